"""Long work on the event loop, done in turns with whatever else is there to do."""

import asyncio
import time

_SECONDS = 0.005
_ROUNDS = 5
"""Rounds of the event loop between two turns: one sees what has arrived, and to answer it takes some more."""


class Turns:
    """Measures the work between two calls of `rest`, from when it is made."""

    def __init__(self) -> None:
        self._end = time.perf_counter() + _SECONDS

    async def rest(self) -> None:
        """Lets the others go on where this turn has been long enough; else it costs next to nothing."""
        if time.perf_counter() >= self._end:
            for _ in range(_ROUNDS):
                await asyncio.sleep(0)
            self._end = time.perf_counter() + _SECONDS
