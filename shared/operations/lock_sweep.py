"""Removing the rows of locks that hold nothing any more: a page in each pass of housekeeping, from one partition.

Holders that have ended, or were never recorded, leave such rows; nothing else knows of the latter. The position is that
of this process, and begins where the clock says, so that instances which live for a few passes begin at different ones.
"""

import asyncio

from shared.model.ids import PARTITIONS
from shared.model.timing import Clock
from shared.operations.locks import Locks

_PAGE = 100
_PARALLEL = 8
_SECONDS = 60


class LockSweep:
    """Goes round the partitions, one in each pass. It goes on in a pass only while half of what it reads is void."""

    def __init__(self, locks: Locks, *, clock: Clock) -> None:
        self._locks = locks
        self._at = int(clock.now().timestamp()) // _SECONDS
        self._continuation: str | None = None

    async def __call__(self) -> None:
        """Raises StorageError; the next call goes on behind the page that it was raised for."""
        while True:
            partition = PARTITIONS[self._at % len(PARTITIONS)]
            page = await self._locks.page(partition, limit=_PAGE, continuation=self._continuation)
            # Before the rows are looked at: no page that cannot be worked on keeps the sweep from all others.
            self._continuation = page.continuation
            if page.continuation is None:
                self._at += 1
            removed = 0
            for first in range(0, len(page.rows), _PARALLEL):
                some = page.rows[first : first + _PARALLEL]
                removed += sum(await asyncio.gather(*map(self._locks.remove_void, some)))
            if page.continuation is None or 2 * removed < len(page.rows):
                return
