"""What a process for handlers writes to its standard streams, as lines of the log."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from shared.model.timing import Clock

_LONGEST = 8 * 1024
"""Bytes of a line; a longer one becomes several."""


class OutputLines:
    """One stream. It is read while a handler runs; a mark that the process writes ends the lines of one run."""

    def __init__(self, reader: asyncio.StreamReader, mark: str, clock: Clock) -> None:
        self._reader = reader
        self._mark = mark.encode()
        self._clock = clock
        self._left = b""

    async def until_mark(self, say: Callable[[str], object]) -> None:
        """Hand each line over, up to the mark or the end of the stream."""
        while True:
            line, found, rest = self._left.partition(b"\n")
            if not found and len(line) < _LONGEST:
                with suppress(OSError):
                    if data := await self._reader.read(_LONGEST):
                        self._left += data
                        continue
            if len(line) > _LONGEST:
                line, rest = line[:_LONGEST], line[_LONGEST:] + found + rest
            self._left = rest
            is_marked = line.endswith(self._mark)
            if text := line.removesuffix(self._mark).decode(errors="replace").rstrip():
                say(text)
            if is_marked or not (found or rest or line):
                return
            # Many lines may be at hand: others get their turn between two of them.
            await self._clock.sleep(0)
