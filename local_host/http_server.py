"""The HTTP side of the host: routes requests to functions and answers what the host itself answers.

Host-own routes (`extra_routes`) win over functions, as `/admin` and `/runtime` do on the Functions host.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from local_host.functions import AppFunction
from local_host.http_messages import MAX_BODY, from_function, to_function
from local_host.invocation import Calls
from local_host.request_path import BadPathError
from local_host.routing import Router, RouteValues
from local_host.settings_file import NO_CORS, Cors

_log = logging.getLogger(__name__)
_access = logging.getLogger("local_host.access")
_FINISH_WITHIN = 2.0  # seconds that running requests get at a stop
_LINGER = 1.0  # seconds of an unwanted body that are read and dropped, so that its sender sees the answer
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class HttpLimits:
    """`extensions.http` of host.json; None means unbounded. Outstanding: running and waiting together."""

    concurrent: int | None = None
    outstanding: int | None = None


class Throttle:
    """Requests beyond the limit of running ones wait; beyond the limit of outstanding ones they are refused."""

    def __init__(self, limits: HttpLimits) -> None:
        self._outstanding = 0
        self._limit = limits.outstanding
        self._slots = asyncio.Semaphore(limits.concurrent) if limits.concurrent else None

    async def run(self, handler: _Handler, request: web.Request) -> web.StreamResponse:
        if self._limit is not None and self._outstanding >= self._limit:
            return web.Response(status=429, headers={"X-FUNCTION-SCALEOUT": "1"})
        self._outstanding += 1
        try:
            if self._slots is None:
                return await handler(request)
            async with self._slots:
                return await handler(request)
        finally:
            self._outstanding -= 1


def build_app(
    functions: Sequence[AppFunction],
    router: Router,
    call: Calls,
    *,
    limits: HttpLimits = HttpLimits(),
    cors: Cors = NO_CORS,
    extra_routes: Sequence[web.RouteDef] = (),
    homepage: bool = True,
) -> web.Application:
    """The application that serves functions by the router, behind host-own routes."""
    # Without a size limit of aiohttp: function requests are measured here, host-own routes stream theirs.
    app = web.Application(middlewares=[_log_requests, _cors(cors)], client_max_size=0)
    app.add_routes(extra_routes)
    front = FunctionFront({function.name: function for function in functions}, router, call, homepage=homepage)
    throttle = Throttle(limits)

    async def throttled(request: web.Request) -> web.StreamResponse:
        return await throttle.run(front.handle, request)

    app.router.add_route("*", r"/{target:[\s\S]*}", throttled, expect_handler=_expect)
    return app


class FunctionFront:
    """Everything that is not a host-own route."""

    def __init__(
        self, functions: Mapping[str, AppFunction], router: Router, call: Calls, *, homepage: bool = True
    ) -> None:
        self._functions = functions
        self._router = router
        self._call = call
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
            return await self._run(self._functions[match.function], request, match.values)
        if path == "/":
            return _home() if self._homepage else web.Response(status=204)
        return web.Response(status=404)

    async def _run(self, function: AppFunction, request: web.Request, values: RouteValues) -> web.Response:
        argument = await to_function(request, values)
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


@web.middleware
async def _log_requests(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """One line a request, without the query: it may carry keys and signatures."""
    started = time.perf_counter()
    status: int | str = "aborted"
    try:
        response = await handler(request)
        status = response.status
    except web.HTTPException as error:
        status = error.status
        raise
    finally:
        # The durable client's own calls are the engine at work, not somebody's requests.
        level = logging.DEBUG if request.path.startswith("/runtime/") else logging.INFO
        elapsed = (time.perf_counter() - started) * 1000
        _access.log(level, "%s %s %s %.1f ms", request.method, request.raw_path.partition("?")[0], status, elapsed)
    return response


def _cors(cors: Cors) -> Any:
    """The host answers preflights and adds the headers itself, when `Host.CORS` names origins."""

    @web.middleware
    async def middleware(request: web.Request, handler: _Handler) -> web.StreamResponse:
        allowed = cors.allowed(request.headers["Origin"]) if cors.origins and "Origin" in request.headers else None
        asked = request.headers.get("Access-Control-Request-Method")
        if cors.origins and asked and request.method == "OPTIONS" and "Origin" in request.headers:
            response: web.StreamResponse = web.Response(status=204)
            if allowed:
                response.headers["Access-Control-Allow-Methods"] = asked
                wanted = request.headers.get("Access-Control-Request-Headers")
                if wanted:
                    response.headers["Access-Control-Allow-Headers"] = wanted
        else:
            response = await handler(request)
        if allowed and not response.prepared:
            response.headers["Access-Control-Allow-Origin"] = allowed
            response.headers.add("Vary", "Origin")
            if cors.credentials:
                response.headers["Access-Control-Allow-Credentials"] = "true"
        return response

    return middleware


class Server:
    """A listening server over an open socket; `close` lets running requests finish briefly."""

    def __init__(self, app: web.Application) -> None:
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=_FINISH_WITHIN,
            lingering_time=_LINGER,
        )
        self._site: web.BaseSite | None = None

    async def start(self, listener: Any) -> None:
        await self._runner.setup()
        self._site = web.SockSite(self._runner, listener, backlog=1024)
        await self._site.start()

    async def close(self) -> None:
        with suppress(RuntimeError):  # never started
            await self._runner.cleanup()
