"""A clock for tests that are not about pace: it tells the true time, and sleeps a fraction of what is asked for."""

import threading

from lro_client.clock import Clock

FRACTION = 0.02


class QuickClock(Clock):
    """Time-outs are as long as they say; pauses between requests are a fiftieth, and are kept in `slept`, in seconds
    as they were asked for."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def wait(self, woken: threading.Event, seconds: float) -> bool:
        self.slept.append(seconds)
        return super().wait(woken, seconds * FRACTION)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await super().sleep(seconds * FRACTION)
