"""Places for handlers that hold up others while they run: a bounded number, taken before an operation is claimed.

A claim that then waits would keep the operation from other instances, and its activity's place from other work. So few
wait, for a moment; every other delivery goes back to the engine unclaimed, which counts as nothing.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from shared.model.timing import Clock, Timing

MAX_WAITING = 8
"""Deliveries of a process that wait for a place of any kind."""


class WaitingRoom:
    """Of a process: who may wait for a place, and how long."""

    def __init__(self, *, clock: Clock, timing: Timing) -> None:
        self._clock = clock
        self._seconds = timing.place_wait
        self._waiting = 0

    async def acquired(self, places: asyncio.Semaphore) -> bool:
        """Whether a place was taken, after a wait at most."""
        if not places.locked():
            return await places.acquire()
        if self._waiting >= MAX_WAITING:
            return False
        self._waiting += 1
        try:
            async with self._clock.timeout(self._seconds):
                return await places.acquire()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1


class Places:
    """Places of one kind."""

    def __init__(self, limit: int, room: WaitingRoom) -> None:
        self._free = asyncio.Semaphore(limit)
        self._room = room

    @asynccontextmanager
    async def taken(self) -> AsyncGenerator[bool]:
        """Whether there is one, which is given back with the end of the block."""
        if not await self._room.acquired(self._free):
            yield False
            return
        try:
            yield True
        finally:
            self._free.release()
