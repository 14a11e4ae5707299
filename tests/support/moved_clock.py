"""A clock for the local host that stands until a test moves it."""

import asyncio
from datetime import UTC, datetime, timedelta

from local_host.clock import Clock

START = datetime(2026, 11, 20, 10, 7, 30, tzinfo=UTC)
_TURNS = 20  # of the event loop, for what wakes up to do its work


class MovedClock:
    """`sleepers`: how many tasks wait for a later time. `clock` is what the host takes."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._sleeping: list[tuple[datetime, asyncio.Future[None]]] = []
        self.clock = Clock(self._read, self._monotonic, self._sleep, self._pause)

    @property
    def sleepers(self) -> int:
        return sum(not woken.done() for _, woken in self._sleeping)

    async def move(self, by: timedelta) -> None:
        """Set the clock ahead, wake who is due, and let them work."""
        self._now += by
        for due, woken in self._sleeping:
            if due <= self._now and not woken.done():
                woken.set_result(None)
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    def _read(self) -> datetime:
        return self._now

    def _monotonic(self) -> float:
        return (self._now - START).total_seconds()

    async def _sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        self._sleeping.append((self._now + timedelta(seconds=seconds), woken))
        await woken

    def _pause(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
