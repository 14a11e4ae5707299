"""Leases that end later than they can: the clock was set back, and would have them be alive for as long as that."""

from datetime import datetime, timedelta

from shared.frozen import replace
from shared.model.leases import Leases
from shared.model.operation import Operation

_KEPT = timedelta(hours=1).total_seconds()


class LeaseWatch:
    """Tells whether such a lease is still renewed, by looking at it again.

    A holder renews its lease several times in its length, and each time by the clock as it is then. So one whose end
    has not changed in all that length, by the monotonic clock, has no holder, whatever its end says.
    """

    def __init__(self, length: timedelta) -> None:
        self._length = length
        self._seen: dict[str, tuple[datetime, float]] = {}
        """By run: the lease's end, and since when it is known (`Clock.monotonic()`); the latest are the last."""

    def is_abandoned(self, operation: Operation, now: datetime, monotonic: float) -> bool:
        """Whether its lease ends more than two lengths from now, and has stood unchanged for one."""
        until = operation.lease_until
        if until is None or until <= now + 2 * self._length:
            self._seen.pop(operation.run_id, None)
            return False
        while self._seen and self._seen[oldest := next(iter(self._seen))][1] < monotonic - _KEPT:
            del self._seen[oldest]
        end, since = self._seen.get(operation.run_id, (None, monotonic))
        if end != until:
            self._seen.pop(operation.run_id, None)
            self._seen[operation.run_id] = (until, monotonic)
            return False
        return monotonic >= since + self._length.total_seconds()


def end_lease(operation: Operation, now: datetime, *, seen: Operation, leases: Leases) -> Operation:
    """The record with its lease at its end now, as that of a lost attempt; as it is where it was renewed."""
    if operation.lease_until != seen.lease_until or not leases.are_live(operation, now):
        return operation
    return replace(operation, lease_until=now)
