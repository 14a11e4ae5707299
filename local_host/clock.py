"""Time as the host takes it. Nothing else in `local_host` names a clock of the system, so a test can move one."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Clock:
    """`now`: aware, in UTC. `monotonic` and the sleeps: seconds. `pause` holds the calling thread."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    pause: Callable[[float], None]

    async def sleep_until(self, moment: datetime, longest: float = 60.0) -> None:
        """Return once `now` has reached `moment` (aware), also where somebody sets the wall clock meanwhile."""
        while (left := (moment - self.now()).total_seconds()) > 0:
            await self.sleep(min(left, longest))


def _now() -> datetime:
    return datetime.now(UTC)


SYSTEM = Clock(_now, time.monotonic, asyncio.sleep, time.sleep)
"""The machine's own clock: the default at every entry point."""
