"""A client that costs next to nothing: HTTP/1.1 on one kept connection, for answers with a Content-Length.

The load must not take the processor that it measures. A request here costs about a tenth of one of aiohttp's.
"""

import asyncio
from types import TracebackType
from typing import NamedTuple
from urllib.parse import urlsplit


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    """By their names in lower case."""
    body: bytes


class Connection:
    """One caller's connection to `url`: one request at a time."""

    def __init__(self, url: str) -> None:
        self._at = urlsplit(url)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> "Connection":
        self._reader, self._writer = await asyncio.open_connection(self._at.hostname, self._at.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._writer is not None
        self._writer.close()

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """Names of `headers` are written with `_` for `-`."""
        assert self._reader is not None
        assert self._writer is not None
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._at.netloc}", f"Content-Length: {len(body)}"]
        if body:
            lines.append("Content-Type: application/json")
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self._writer.write("\r\n".join((*lines, "", "")).encode() + body)
        head = await self._reader.readuntil(b"\r\n\r\n")
        first, *rest = head[:-4].decode("latin-1").split("\r\n")
        found = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
        length = int(found.get("content-length", "0"))
        return Answer(int(first.split(" ", 2)[1]), found, await self._reader.readexactly(length) if length else b"")


def path_of(url: str) -> str:
    """What a request line has of an absolute URL."""
    at = urlsplit(url)
    return f"{at.path}?{at.query}" if at.query else at.path
