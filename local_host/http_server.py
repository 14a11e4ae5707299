"""The HTTP side of the host: routes requests to functions and answers what the host itself answers.

Host-own routes (`extra_routes`) win over functions, as `/admin` and `/runtime` do on the Functions host.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web
from azure.functions.http import HttpRequest

from local_host.clock import SYSTEM, Clock
from local_host.connections import PATIENCE, Complaints, Connection, Patience, failure
from local_host.errors import PortInUseError
from local_host.functions import AppFunction
from local_host.http_messages import MAX_BODY, from_function, to_function
from local_host.invocation import Calls
from local_host.request_path import BadPathError
from local_host.routing import Router
from local_host.settings_file import NO_CORS, Cors

ADDRESS = "127.0.0.1"
_log = logging.getLogger(__name__)
_access = logging.getLogger("local_host.access")
_FINISH_WITHIN = 2.0  # seconds that running requests get at a stop
_ENGINE_AT_WORK = ("/runtime/", "/__host/")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class HttpLimits:
    """`extensions.http` of host.json; None means unbounded. Outstanding: running and waiting together."""

    concurrent: int | None = None
    outstanding: int | None = None


class Throttle:
    """Requests beyond the limit of running ones wait; beyond the limit of outstanding ones they are refused.

    A place is taken by a request whose body has arrived: who never sends one takes none.
    """

    def __init__(self, limits: HttpLimits) -> None:
        self._outstanding = 0
        self._limit = limits.outstanding
        self._slots = asyncio.Semaphore(limits.concurrent) if limits.concurrent else None

    @property
    def is_full(self) -> bool:
        return self._limit is not None and self._outstanding >= self._limit

    async def run(self, function: Callable[[], Awaitable[web.Response]]) -> web.Response:
        if self.is_full:
            return _busy()
        self._outstanding += 1
        try:
            if self._slots is None:
                return await function()
            async with self._slots:
                return await function()
        finally:
            self._outstanding -= 1


def build_app(
    functions: Sequence[AppFunction],
    router: Router,
    call: Calls,
    *,
    clock: Clock = SYSTEM,
    limits: HttpLimits = HttpLimits(),
    cors: Cors = NO_CORS,
    extra_routes: Sequence[web.RouteDef] = (),
    homepage: bool = True,
) -> web.Application:
    """The application that serves functions by the router, behind host-own routes."""
    # Without a size limit of aiohttp: function requests are measured here, host-own routes stream theirs.
    app = web.Application(middlewares=[_log_requests(clock), _cors(cors)], client_max_size=0)
    app.add_routes(extra_routes)
    by_name = {function.name: function for function in functions}
    front = FunctionFront(by_name, router, call, Throttle(limits), homepage=homepage)
    app.router.add_route("*", r"/{target:[\s\S]*}", front.handle, expect_handler=_expect)
    return app


class FunctionFront:
    """Everything that is not a host-own route."""

    def __init__(
        self,
        functions: Mapping[str, AppFunction],
        router: Router,
        call: Calls,
        throttle: Throttle,
        *,
        homepage: bool = True,
    ) -> None:
        self._functions = functions
        self._router = router
        self._call = call
        self._throttle = throttle
        self._homepage = homepage

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        try:
            match = self._router.match(request.method, path if path.startswith("/") else request.rel_url.raw_path)
        except BadPathError:
            return web.Response(status=400)
        if match is not None:
            if (request.content_length or 0) > MAX_BODY:
                return _too_large()
            if self._throttle.is_full:
                return _busy()
            argument = await to_function(request, match.values)
            return await self._throttle.run(partial(self._run, self._functions[match.function], argument))
        if path == "/":
            return _home() if self._homepage else web.Response(status=204)
        return web.Response(status=404)

    async def _run(self, function: AppFunction, argument: HttpRequest) -> web.Response:
        try:
            return from_function(await self._call(function, argument))
        except Exception:
            _log.exception("Function '%s' failed", function.name)
            return web.Response(status=500)


async def _expect(request: web.Request) -> web.StreamResponse | None:
    """`Expect: 100-continue`: refuse what is too large before it is sent."""
    if request.headers.get("Expect", "").lower() != "100-continue":
        raise web.HTTPExpectationFailed
    if (request.content_length or 0) > MAX_BODY:
        return _too_large()
    if request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return None


def _busy() -> web.Response:
    text = "Too many requests are under way; try again."
    return failure(429, "TooManyRequests", text, **{"Retry-After": "1", "X-FUNCTION-SCALEOUT": "1"})


def _too_large() -> web.Response:
    response = web.Response(status=413)
    response.force_close()  # the rest of the body is not read
    return response


def _home() -> web.Response:
    text = (
        "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>Function app</title></head>"
        "<body><h1>Your function app is up and running</h1></body></html>"
    )
    return web.Response(text=text, content_type="text/html")


def _log_requests(clock: Clock) -> Any:
    """One line a request, without the query: it may carry keys and signatures."""

    @web.middleware
    async def middleware(request: web.Request, handler: _Handler) -> web.StreamResponse:
        started = clock.monotonic()
        status: int | str = "aborted"
        try:
            response = await handler(request)
            status = response.status
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            # Calls between the durable client, the engine and this host are not somebody's requests.
            level = logging.DEBUG if request.path.startswith(_ENGINE_AT_WORK) else logging.INFO
            elapsed = (clock.monotonic() - started) * 1000
            _access.log(level, "%s %s %s %.1f ms", request.method, request.raw_path.partition("?")[0], status, elapsed)
        return response

    return middleware


def _cors(cors: Cors) -> Any:
    """The host answers preflights and adds the headers itself, when `Host.CORS` names origins."""

    @web.middleware
    async def middleware(request: web.Request, handler: _Handler) -> web.StreamResponse:
        allowed = cors.allowed(request.headers["Origin"]) if cors.origins and "Origin" in request.headers else None
        method = request.headers.get("Access-Control-Request-Method")
        if cors.origins and method and request.method == "OPTIONS" and "Origin" in request.headers:
            response: web.StreamResponse = web.Response(status=204)
            if allowed:
                response.headers["Access-Control-Allow-Methods"] = method
                if headers := request.headers.get("Access-Control-Request-Headers"):
                    response.headers["Access-Control-Allow-Headers"] = headers
        else:
            response = await handler(request)
        if allowed and not response.prepared:
            response.headers["Access-Control-Allow-Origin"] = allowed
            response.headers.add("Vary", "Origin")
            if cors.credentials:
                response.headers["Access-Control-Allow-Credentials"] = "true"
        return response

    return middleware


def listen(port: int) -> socket.socket:
    """A socket bound to the port on the loopback interface, 0 for any; PortInUseError when taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
        # Listening at once keeps a second host from binding the same port with SO_REUSEADDR meanwhile.
        listener.listen(1024)
    except OSError:
        listener.close()
        raise PortInUseError(port) from None
    return listener


class Server:
    """A listening server over an open socket; `close` lets running requests finish briefly."""

    def __init__(self, app: web.Application, *, clock: Clock = SYSTEM, patience: Patience = PATIENCE) -> None:
        self._runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=_FINISH_WITHIN)
        self._connection = partial(Connection, complaints=Complaints(clock), patience=patience)
        self._listening: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        await self._runner.setup()
        server = self._runner.server
        assert server is not None, "it is there once the runner is set up"
        served = server.request_handler

        async def serve(request: web.BaseRequest) -> web.StreamResponse:
            connection = request.protocol
            assert isinstance(connection, Connection)
            return await connection.serve(request, served)

        server.request_handler = serve
        make = partial(self._connection, server)
        self._listening = await asyncio.get_running_loop().create_server(make, sock=listener, backlog=1024)

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.close()
        await self._runner.cleanup()
