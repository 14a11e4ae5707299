"""Long work on the event loop, done in turns with whatever else is there to do."""

from shared.model.timing import Clock

_SECONDS = 0.005
_ROUNDS = 5
"""Rounds of the event loop between two turns: one sees what has arrived, and to answer it takes some more."""


class Turns:
    """Measures the work between two calls of `rest`, from when it is made."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._end = clock.monotonic() + _SECONDS

    async def rest(self) -> None:
        """Lets the others go on where this turn has been long enough; else it costs next to nothing."""
        if self._clock.monotonic() >= self._end:
            for _ in range(_ROUNDS):
                await self._clock.sleep(0)
            self._end = self._clock.monotonic() + _SECONDS
