"""Frames between the app and a process in which handlers run: a JSON object, and bytes beside it.

    4 bytes: length of the JSON | 8 bytes: length of the content | the JSON | the content

Both are read by who has nothing but the standard library: the process is told by a frame where everything else is.
"""

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

MAX_HEAD = 256 * 1024
"""Bytes of a frame's JSON: a part of it is read on the event loop."""

MAX_TEXT = 8 * 1024
"""Characters of a text of anybody's: a log line, a traceback."""

PART = 1024 * 1024
"""Bytes of the content of a frame, where a larger one is sent in parts."""

_LENGTHS = struct.Struct(">IQ")


class Frame(NamedTuple):
    """One message. `head["kind"]` says which."""

    head: dict[str, Any]
    content: bytes


class FrameError(Exception):
    """What was received is no frame of ours."""


class ChannelEnded(Exception):
    """Nobody is at the other side any more."""


def head_of(head: Mapping[str, Any], content: bytes) -> bytes:
    """The frame, without its content."""
    text = json.dumps(head).encode()
    return _LENGTHS.pack(len(text), len(content)) + text


async def read_frame(reader: asyncio.StreamReader, *, limit: int) -> Frame:
    """The next one, whose content has `limit` bytes at most. Raises FrameError, and ChannelEnded."""
    try:
        head_size, size = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
        if head_size > MAX_HEAD or size > limit:
            raise FrameError(f"a frame of {head_size} and {size} bytes")
        head = json.loads(await reader.readexactly(head_size))
        if not isinstance(head, dict):
            raise FrameError("its JSON is no object")
        return Frame(head, await reader.readexactly(size))
    except (asyncio.IncompleteReadError, OSError) as error:
        raise ChannelEnded(str(error)) from error
    except ValueError as error:
        raise FrameError(str(error)) from error


class Channel:
    """The side of the process: calls that block, from any thread."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def send(self, head: Mapping[str, Any], content: bytes = b"") -> None:
        """Raises OSError where nobody is there any more, ValueError for what makes too large a frame."""
        written = head_of(head, content)
        if len(written) > MAX_HEAD:
            raise ValueError(f"what is sent to the app besides its content has more than {MAX_HEAD} bytes")
        with self._sending:
            self._connection.sendall(written)
            if content:
                self._connection.sendall(content)

    def receive(self) -> Frame | None:
        """The next one; None where the app is gone. For one thread."""
        try:
            head_size, size = _LENGTHS.unpack(self._exactly(_LENGTHS.size))
            return Frame(json.loads(self._exactly(head_size)), bytes(self._exactly(size)))
        except (EOFError, OSError):
            return None

    def _exactly(self, size: int) -> bytearray:
        found = bytearray(size)
        view, at = memoryview(found), 0
        while at < size:
            read = self._connection.recv_into(view[at:])
            if not read:
                raise EOFError
            at += read
        return found
