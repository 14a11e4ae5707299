"""The real clock, behind `shared.model.timing.Clock`."""

import asyncio
import time
from datetime import UTC, datetime


class SystemClock:
    """This machine's clocks, and the sleep and the time-out of the running event loop."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def thread_time(self) -> float:
        return time.thread_time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def timeout(self, seconds: float | None) -> asyncio.Timeout:
        return asyncio.timeout(seconds)
