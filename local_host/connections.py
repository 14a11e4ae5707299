"""Connections to the host, bounded as the server of the Functions host bounds them.

The limits are Kestrel's defaults (learn.microsoft.com, "Configure options for the ASP.NET Core Kestrel web server"):
a request's line and headers arrive in time and in size, bodies are sent and read at a lowest rate, and an idle
connection ends.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from aiohttp import Payload, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpProcessingError

from local_host.clock import Clock

MAX_LINE = 8_192
"""Bytes of a request line."""
MAX_HEADER = 32_768
"""Bytes of a header."""
SLICE = 65_536
"""Bytes of an answer that a transport gets at a time: what it cannot send at once, it copies."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """Seconds, and bytes a second."""

    headers: float = 30.0
    """From a request's first byte to the end of its headers."""
    idle: float = 130.0
    """For a connection on which nothing is asked."""
    body_grace: float = 5.0
    """Before the rate of a body counts."""
    body_rate: float = 240.0
    """The lowest average rate of a body that comes, and of each slice of one that is sent."""
    linger: float = 1.0
    """In which an unwanted body is read and dropped, so that its sender sees the answer."""


PATIENCE = Patience()

Served = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class BodyTooSlow(Exception):
    """A body came slower than the lowest rate."""


class CallerLeft(ConnectionError):
    """A body ended before it was whole, or was not read to its end."""


def failure(status: int, code: str, message: str, **headers: str) -> web.Response:
    """An answer of the host itself in the form of the app's errors; its connection ends with it."""
    body = {"error": {"code": code, "message": message}}
    own = {"x-ms-error-code": code, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    response = web.json_response(body, status=status, headers={**own, **headers})
    response.force_close()
    return response


async def arriving(request: web.BaseRequest) -> AsyncIterator[bytes]:
    """The body in pieces as they come. Raises BodyTooSlow and CallerLeft; a `Connection` answers both."""
    patience = request.protocol.patience if isinstance(request.protocol, Connection) else PATIENCE
    loop = asyncio.get_running_loop()
    began, size = loop.time(), 0
    while True:
        try:
            async with asyncio.timeout_at(began + patience.body_grace + size / patience.body_rate):
                piece = await request.content.readany()
        except TimeoutError:
            raise BodyTooSlow from None
        except (web.RequestPayloadError, ConnectionError):
            raise CallerLeft from None
        if not piece:
            return
        size += len(piece)
        yield piece


class SlicedBody(Payload):
    """A body in memory that goes out in slices, as its reader takes them: there is no second copy of it.

    A reader that is slower than the lowest rate loses its connection, so that it does not keep the body in memory.
    """

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self._size = len(body)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._value.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        connection = getattr(writer, "protocol", None)
        patience = connection.patience if isinstance(connection, Connection) else PATIENCE
        view = memoryview(self._value)
        try:
            for first in range(0, len(view), SLICE):
                async with asyncio.timeout(patience.body_grace + SLICE / patience.body_rate):
                    await writer.write(view[first : first + SLICE])
        except TimeoutError:
            if isinstance(connection, Connection):
                connection.give_up()
            raise CallerLeft from None


class Complaints:
    """Short warnings about what callers do, at most one a second, without anything of the request."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next = 0.0
        self._left_out = 0

    def note(self, text: str) -> None:
        now = self._clock.monotonic()
        if now < self._next:
            self._left_out += 1
            return
        more = f" ({self._left_out} more since the last such line)" if self._left_out else ""
        _log.warning("%s%s", text, more)
        self._next, self._left_out = now + 1.0, 0


class Connection(web.RequestHandler):
    """One connection: it ends where its request does not come, and what cannot be read is answered as an error."""

    def __init__(
        self,
        server: web.Server,
        *,
        complaints: Complaints,
        patience: Patience = PATIENCE,
    ) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # pyright: ignore[reportArgumentType] - None turns it off
            keepalive_timeout=patience.idle,
            lingering_time=patience.linger,
            max_line_size=MAX_LINE,
            max_field_size=MAX_HEADER,
            # Functions get what was sent; a small body must not become a large one here.
            auto_decompress=False,
        )
        self._complaints = complaints
        self.patience = patience
        self._end: asyncio.TimerHandle | None = None
        self._waits_for_a_request = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._end_within(self.patience.idle)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._end_within(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._waits_for_a_request:
            self._waits_for_a_request = False
            self._end_within(self.patience.headers)
        super().data_received(data)

    async def serve(self, request: web.BaseRequest, served: Served) -> web.StreamResponse:
        """Answer a request whose headers are there."""
        self._end_within(None)
        try:
            return await served(request)
        except BodyTooSlow:
            self._complaints.note("A request was refused: its body came too slowly")
            slow = f"A body comes with {self.patience.body_rate:g} bytes a second at least."
            return failure(408, "RequestTimeout", slow)
        except CallerLeft:
            self._complaints.note("A request was refused: its caller left")
            return failure(400, "BadRequest", "The body broke off.")
        finally:
            self._waits_for_a_request = True

    def give_up(self) -> None:
        """End at once, with what is not sent yet."""
        self._complaints.note("An answer was broken off: it was read too slowly")
        if self.transport is not None:
            self.transport.abort()

    def _end_within(self, seconds: float | None) -> None:
        """aiohttp bounds the time between requests only. None: without a bound from now on."""
        if self._end is not None:
            self._end.cancel()
        self._end = None if seconds is None else asyncio.get_running_loop().call_later(seconds, self.force_close)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """aiohttp's own text would repeat what was sent, keys among it, and its log line as well."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        self._complaints.note(f"A request was refused: {type(exc).__name__}")
        if type(exc).__name__ == "LineTooLong":
            text = f"A request line has at most {MAX_LINE} bytes, a header at most {MAX_HEADER}."
            return failure(431, "RequestHeaderFieldsTooLarge", text)
        return failure(400, "BadRequest", "This is not a request that HTTP/1.1 knows.")
