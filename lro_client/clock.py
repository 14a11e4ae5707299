"""Where time comes from: nothing else in the package reads a clock or sleeps."""

import asyncio
import threading
import time
from datetime import UTC, datetime


class Clock:
    """The system's clock. A client takes another one with the same methods as its option `clock`."""

    def monotonic(self) -> float:
        """Seconds from a fixed moment; they never go back."""
        return time.monotonic()

    def now(self) -> datetime:
        """The date and the time of day, in UTC."""
        return datetime.now(UTC)

    def wait(self, woken: threading.Event, seconds: float) -> bool:
        """Sleep in this thread; True as soon as `woken` is set, False when the seconds are over."""
        return woken.wait(seconds)

    async def sleep(self, seconds: float) -> None:
        """Sleep on the event loop."""
        await asyncio.sleep(seconds)
