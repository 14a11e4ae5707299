"""Shares requests among processes in turn, as the platform's front end does among instances.

Messages pass through as they are: path, headers and bodies, with the Host that the caller used. A process that takes
no connection is passed over; one that breaks off in the middle of an answer is 502.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import count

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from local_host.connections import failure

# Between two neighbours only (RFC 9110, section 7.6.1).
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "expect"})
_CONNECT_WITHIN = 5.0  # seconds


class Front:
    """A proxy over the URLs of the processes."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = urls
        self._turn = count()
        self._session: aiohttp.ClientSession | None = None

    def app(self) -> web.Application:
        app = web.Application(client_max_size=0)
        app.router.add_route("*", r"/{target:[\s\S]*}", self._handle)
        return app

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        first = next(self._turn)
        for number in range(len(self._urls)):
            url = self._urls[(first + number) % len(self._urls)]
            try:
                return await self._pass_on(url, request)
            except aiohttp.ClientConnectorError:
                continue  # nothing was sent yet
            except aiohttp.ClientError:
                return failure(502, "BadGateway", "A process of the app broke off before it had answered.")
        text = "No process of the app takes requests at this moment; try again."
        return failure(503, "ServiceUnavailable", text, **{"Retry-After": "1"})

    async def _pass_on(self, url: str, request: web.Request) -> web.StreamResponse:
        target = request.raw_path if request.raw_path.startswith("/") else request.rel_url.raw_path_qs
        async with self._client().request(
            request.method,
            URL(f"{url}{target}", encoded=True),
            headers=_passed(request.headers),
            data=_body(request),
            allow_redirects=False,
        ) as answer:
            response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=_passed(answer.headers))
            await response.prepare(request)
            if request.method != "HEAD":
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
            await response.write_eof()
            return response

    def _client(self) -> aiohttp.ClientSession:
        """Made on the running loop. A connection for each request: an old one may belong to a process that is gone."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_WITHIN),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        return self._session


def _passed(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """Of a multidict: a name may occur several times."""
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP)


def _body(request: web.Request) -> AsyncIterator[bytes] | None:
    return request.content.iter_any() if request.body_exists else None
