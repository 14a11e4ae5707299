"""A proxy before a storage emulator that injects faults: every n-th request meets the next kind, so all kinds come.

    plan = FaultPlan(seed=7, every=20)
    with behind_faults(connection, plan) as faulty_connection:
        ...
    plan.injected[Fault.CUT_BODY]

Tables and blobs pass through it, queues do not. It runs in a thread of its own.
"""

import asyncio
import random
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from enum import StrEnum
from typing import NamedTuple

REFUSED_FOR = 0.3
"""Seconds: longer than the first pause of our storage calls, and shorter than all of them together."""
SLOW = 1.5
TOO_SLOW = 5.0
"""Seconds: below and above the time-out of our storage clients (`CLIENT_OPTIONS`, 4 s)."""
_WRITES = ("POST", "PUT", "PATCH", "MERGE", "DELETE")


class Fault(StrEnum):
    """What goes wrong with a request."""

    REFUSED = "connection refused"
    RESET_BEFORE = "reset before the write"
    RESET_AFTER = "reset after the write"
    ERROR_BEFORE = "500 before the write"
    ERROR_AFTER = "500 after the write"
    BUSY = "503 without Retry-After"
    BUSY_UNTIL = "503 with Retry-After"
    THROTTLED = "429"
    SLOW = "slow answer"
    TOO_SLOW = "answer after the time-out"
    CUT_BODY = "cut body"
    WRONG_ETAG = "wrong ETag"


_OF_WRITES = (Fault.RESET_BEFORE, Fault.RESET_AFTER, Fault.ERROR_BEFORE, Fault.ERROR_AFTER)
_OF_ANSWERS = (Fault.CUT_BODY, Fault.WRONG_ETAG)
"""Whether they are possible shows in the answer only: they wait for the first one that fits."""

_INSTEAD = {
    Fault.ERROR_BEFORE: (500, "InternalError", ""),
    Fault.ERROR_AFTER: (500, "InternalError", ""),
    Fault.BUSY: (503, "ServerBusy", ""),
    Fault.BUSY_UNTIL: (503, "ServerBusy", "Retry-After: 1\r\n"),
    Fault.THROTTLED: (429, "TooManyRequests", "Retry-After: 1\r\n"),
}


class Message(NamedTuple):
    """A request or an answer, as its bytes."""

    head: bytes
    body: bytes

    @property
    def method(self) -> str:
        return self.head.split(b" ", 1)[0].decode()

    def with_wrong_etag(self) -> "Message":
        """Of the same length: a table's ETag is a time, which gets another year; a blob's is a number."""
        return Message(*(re.sub(rb"(datetime'|\"0x)[0-9A-F]", rb"\g<1>1", part) for part in self))


class FaultPlan:
    """Which request meets what. `injected` counts by kind, `requests` all that passed."""

    def __init__(self, *, seed: int, every: int) -> None:
        """`every`: one of so many requests; 20 are five percent."""
        self.injected: Counter[Fault] = Counter()
        self.requests = 0
        self.is_on = True
        self._random = random.Random(seed)
        self._every = every
        self._coming: list[Fault] = []
        self._for_answers: list[Fault] = []

    def of_request(self, method: str) -> Fault | None:
        self.requests += 1
        if not self.is_on or self.requests % self._every:
            return None
        while (fault := self._next(method)) is None:
            self._coming += self._random.sample(list(Fault), len(Fault))
        self._coming.remove(fault)
        if fault in _OF_ANSWERS:
            self._for_answers.append(fault)
            return None
        self.injected[fault] += 1
        return fault

    def _next(self, method: str) -> Fault | None:
        """The first one to come that can happen to such a request."""
        return next((each for each in self._coming if each not in _OF_WRITES or method in _WRITES), None)

    def of_answer(self, answer: Message) -> Fault | None:
        if not self.is_on:
            return None
        for fault in self._for_answers:
            if (fault is Fault.CUT_BODY and len(answer.body) > 1) or (
                fault is Fault.WRONG_ETAG and answer.with_wrong_etag() != answer
            ):
                self._for_answers.remove(fault)
                self.injected[fault] += 1
                return fault
        return None


class _Proxy:
    """One port before another one."""

    def __init__(self, port: int, plan: FaultPlan) -> None:
        self._upstream = port
        self._plan = plan
        self._server: asyncio.Server | None = None
        self._idle: set[asyncio.StreamWriter] = set()
        self._refusing: asyncio.Task[None] | None = None
        self.port = 0

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=2**20)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while self._server is not None:
                self._idle.add(writer)
                request = await _read(reader, has_body=True)
                self._idle.discard(writer)
                await self._answer(request, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # either side has gone
        finally:
            self._idle.discard(writer)
            writer.close()

    async def _answer(self, request: Message, writer: asyncio.StreamWriter) -> None:
        fault = self._plan.of_request(request.method)
        match fault:
            case Fault.REFUSED:
                self._refusing = self._refusing or asyncio.create_task(self._refuse())
            case Fault.RESET_BEFORE:
                _reset(writer)
            case Fault.ERROR_BEFORE | Fault.BUSY | Fault.BUSY_UNTIL | Fault.THROTTLED:
                await _send(writer, _instead(fault))
                return
            case Fault.SLOW:
                await asyncio.sleep(SLOW)
            case _:
                pass
        answer = await self._forward(request)
        match fault or self._plan.of_answer(answer):
            case Fault.RESET_AFTER:
                _reset(writer)
            case Fault.ERROR_AFTER:
                answer = _instead(Fault.ERROR_AFTER)
            case Fault.TOO_SLOW:
                await asyncio.sleep(TOO_SLOW)
            case Fault.CUT_BODY:
                await _send(writer, Message(answer.head, answer.body[: len(answer.body) // 2]))
                raise ConnectionAbortedError
            case Fault.WRONG_ETAG:
                answer = answer.with_wrong_etag()
            case _:
                pass
        await _send(writer, answer)

    async def _forward(self, request: Message) -> Message:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream, limit=2**20)
        try:
            await _send(writer, request)
            return await _read(reader, has_body=request.method != "HEAD")
        finally:
            writer.close()

    async def _refuse(self) -> None:
        """Nobody listens for a while, and whoever is not being answered has to connect anew."""
        assert self._server is not None
        self._server.close()
        self._server = None
        for writer in list(self._idle):
            writer.transport.abort()
        await asyncio.sleep(REFUSED_FOR)
        await self.listen()
        self._refusing = None


async def _read(reader: asyncio.StreamReader, *, has_body: bool) -> Message:
    """Framed as RFC 9112, section 6.3, says, as far as storage clients and emulators use it."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    headers = dict(line.split(b": ", 1) for line in lines[1:] if b": " in line)
    if not has_body or lines[0].split(b" ")[1] in (b"204", b"304"):
        return Message(head, b"")
    if headers.get(b"transfer-encoding") == b"chunked":
        body = b""
        while not body.endswith(b"0\r\n\r\n"):
            size = await reader.readuntil(b"\r\n")
            body += size + await reader.readexactly(int(size, 16) + 2)
            if int(size, 16) == 0:
                break
        return Message(head, body)
    return Message(head, await reader.readexactly(int(headers.get(b"content-length", b"0"))))


async def _send(writer: asyncio.StreamWriter, message: Message) -> None:
    writer.write(message.head + message.body)
    await writer.drain()


def _instead(fault: Fault) -> Message:
    """The store's own error, in its own shape (learn.microsoft.com, "Status and error codes")."""
    status, code, header = _INSTEAD[fault]
    body = f'{{"odata.error": {{"code": "{code}", "message": {{"lang": "en-US", "value": "{fault}"}}}}}}'.encode()
    head = f"HTTP/1.1 {status} {code}\r\nContent-Type: application/json\r\nx-ms-error-code: {code}\r\n{header}"
    return Message(f"{head}Content-Length: {len(body)}\r\n\r\n".encode(), body)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End the connection by RST, as a machine that has gone does. Raises ConnectionAbortedError."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    raise ConnectionAbortedError


@contextmanager
def behind_faults(connection: str, plan: FaultPlan) -> Generator[str]:
    """The connection string of an emulator, with a proxy before its tables and another one before its blobs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="faulty proxy", daemon=True)
    thread.start()

    proxies: list[_Proxy] = []

    def proxied(found: "re.Match[str]") -> str:
        proxy = _Proxy(int(found["port"]), plan)
        proxies.append(proxy)
        asyncio.run_coroutine_threadsafe(proxy.listen(), loop).result()
        return f"{found['service']}Endpoint=http://127.0.0.1:{proxy.port}"

    try:
        yield re.sub(r"(?P<service>Blob|Table)Endpoint=http://127\.0\.0\.1:(?P<port>\d+)", proxied, connection)
    finally:
        asyncio.run_coroutine_threadsafe(_end(proxies), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(proxies: Iterable[_Proxy]) -> None:
    for proxy in proxies:
        proxy.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    # A transport closes its socket in a later turn of the loop than it is told to.
    for _ in range(3):
        await asyncio.sleep(0)
