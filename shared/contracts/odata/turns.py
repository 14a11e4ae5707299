"""Long work on the event loop, done in turns with whatever else is there to do."""

import asyncio
import time

_SECONDS = 0.005
"""How long others wait: a request has several turns, and waits for each."""


class Turns:
    """Measures the work between two calls of `rest`, from when it is made."""

    def __init__(self) -> None:
        self._end = time.perf_counter() + _SECONDS

    async def rest(self) -> None:
        """Lets the others have their turn where this one has been long enough; else it costs next to nothing."""
        if time.perf_counter() >= self._end:
            await asyncio.sleep(0)
            self._end = time.perf_counter() + _SECONDS
