"""A reverse proxy on aiohttp that gives the app another address: host, port and path are rewritten, as gateways do.

    with reverse_proxy(host.url, Rules(prefix="/library")) as address:
        httpx.get(f"{address}/health")

What else a gateway may do is a rule of its own. It runs in a thread.
"""

import asyncio
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from yarl import URL

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "content-length", "content-encoding"}
Interference = Callable[[web.Request], web.Response | None]


@dataclass(frozen=True)
class Rules:
    """`prefix` is the proxy's own and is taken away, `upstream` is put in its place. Unless `keeps_host`, the app sees
    its own host, and with `forwards` the caller's in `X-Forwarded-Host` and `X-Forwarded-Proto`."""

    prefix: str = ""
    upstream: str = ""
    keeps_host: bool = False
    forwards: bool = False
    key: str | None = None
    """Who has it not, in `x-functions-key`, gets an empty 401; but not for health."""
    takes_away: frozenset[str] = frozenset()
    """Headers of answers, in lower case."""
    adds: Mapping[str, str] = field(default_factory=dict[str, str])
    """Headers of answers."""
    drops_query: bool = False
    instead: Interference | None = None
    """An answer of the gateway's own, where it has one."""


class _Proxy:
    def __init__(self, app: str, rules: Rules, port: int) -> None:
        self._app = app
        self._rules = rules
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None
        self.port = port

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        assert self._runner is not None
        assert self._session is not None
        await self._runner.cleanup()
        await self._session.close()

    async def _serve(self, request: web.Request) -> web.Response:
        rules = self._rules
        if not f"{request.path}/".startswith(f"{rules.prefix}/"):
            return web.Response(status=404)
        path = request.rel_url.raw_path.removeprefix(rules.prefix)
        if rules.key not in (None, request.headers.get("x-functions-key")) and path != "/health":
            return web.Response(status=401)
        if rules.instead is not None and (answer := rules.instead(request)) is not None:
            return answer
        return await self._forward(request, path)

    async def _forward(self, request: web.Request, path: str) -> web.Response:
        rules = self._rules
        assert self._session is not None
        headers = {n: v for n, v in request.headers.items() if n.lower() not in {*_HOP_BY_HOP, "host"}}
        if rules.keeps_host:
            headers["Host"] = request.host
        if rules.forwards:
            headers |= {"X-Forwarded-Host": request.host, "X-Forwarded-Proto": request.scheme}
        query = "" if rules.drops_query or not request.query_string else f"?{request.rel_url.raw_query_string}"
        target = URL(f"{self._app}{rules.upstream}{path}{query}", encoded=True)
        async with self._session.request(
            request.method, target, data=await request.read(), headers=headers, allow_redirects=False
        ) as answer:
            left_out = _HOP_BY_HOP | rules.takes_away
            kept = {n: v for n, v in answer.headers.items() if n.lower() not in left_out and n not in rules.adds}
            return web.Response(status=answer.status, body=await answer.read(), headers={**kept, **rules.adds})


@contextmanager
def reverse_proxy(app: str, rules: Rules, *, port: int = 0) -> Generator[str]:
    """The address of the app behind a proxy with these rules, with the prefix."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="reverse proxy", daemon=True)
    thread.start()
    proxy = _Proxy(app, rules, port)
    try:
        asyncio.run_coroutine_threadsafe(proxy.start(), loop).result()
        yield f"http://127.0.0.1:{proxy.port}{rules.prefix}"
    finally:
        asyncio.run_coroutine_threadsafe(proxy.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
