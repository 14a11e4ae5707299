"""The time by which it is judged what is overdue, in a process whose wall clock may be set.

Stored times are of the wall clock, for other machines compare with them. Somebody may set it, or a machine may sleep:
then all that runs would be overdue at once. The monotonic clock of the process shows that: it goes on as it was.
"""

import logging
from datetime import datetime, timedelta

from shared.model.timing import Clock, Timing

_log = logging.getLogger(__name__)

_NOTHING = timedelta(0)


class VerdictClock:
    """The wall clock; for a while after it was set forward, as if it had not been.

    In that time, `patience`, whoever lives renews by the new time what it holds. Used on one event loop.
    """

    def __init__(self, clock: Clock, *, timing: Timing, patience: timedelta) -> None:
        self._clock = clock
        self._jump = timing.clock_jump.total_seconds()
        self._patience = patience
        self._offset = self._offset_now()
        self._ahead = _NOTHING
        """How far the wall clock is ahead of the time that counts."""
        self._until = 0.0
        """When patience ends (`Clock.monotonic()`)."""
        self._moved = self._set_back = _NOTHING

    def now(self) -> datetime:
        """What counts as now in the question whether something is overdue; what is stored is of the wall clock."""
        self._look()
        return self._clock.now() - self._ahead

    @property
    def set_back(self) -> timedelta:
        """How far the wall clock was behind at most, by having been set back since this was made; never above zero."""
        self._look()
        return self._set_back

    def _look(self) -> None:
        offset = self._offset_now()
        # From look to look, for small differences are no jumps, however they add up: clocks are adjusted all the time.
        jump, self._offset = offset - self._offset, offset
        if self._clock.monotonic() >= self._until:
            self._ahead = _NOTHING
        if abs(jump) < self._jump:
            return
        _log.warning("The clock was set by %+.0f s", jump, extra={"event": "clock_set"})
        by = timedelta(seconds=jump)
        self._ahead = max(_NOTHING, self._ahead + by)
        self._until = self._clock.monotonic() + self._patience.total_seconds()
        self._moved += by
        self._set_back = min(self._set_back, self._moved)

    def _offset_now(self) -> float:
        """Seconds."""
        return self._clock.now().timestamp() - self._clock.monotonic()
