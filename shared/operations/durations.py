"""How long actions take, as this process has seen: what tells when a poll is worth sending."""

from bisect import bisect_right, insort
from collections import deque

from shared.operations.recent import Recent

_NAMES = 1000
_KEPT = 32
_ADDED = 0.1
"""Part of their length that operations are made longer by at most, on average, by the wait for the next poll."""


class _Seen:
    """The last durations of one action, in seconds."""

    def __init__(self) -> None:
        self.latest: deque[float] = deque(maxlen=_KEPT)
        self.ordered: list[float] = []

    def add(self, seconds: float) -> None:
        if len(self.latest) == _KEPT:
            self.ordered.remove(self.latest[0])
        self.latest.append(seconds)
        insort(self.ordered, seconds)

    def next_end(self, elapsed: float) -> float | None:
        """See `Durations.next_end`."""
        found, inverses = None, 0.0
        for number, seconds in enumerate(self.ordered[bisect_right(self.ordered, elapsed) :], start=1):
            inverses += 1 / seconds
            # The mean of (poll - duration) / duration over those that would have ended by then.
            if seconds * inverses / number - 1 > _ADDED:
                break
            found = seconds
        return found


class Durations:
    """The last durations by action, of operations that succeeded in this process. Used on the event loop."""

    def __init__(self) -> None:
        self._seen: Recent[str, _Seen] = Recent(_NAMES)

    def note(self, action: str, seconds: float) -> None:
        """One more operation of `action` took `seconds` from when it might begin to its end."""
        seen = self._seen.get(action) or _Seen()
        seen.add(max(seconds, 0.001))
        self._seen.put(action, seen)

    def next_end(self, action: str, elapsed: float) -> float | None:
        """When an operation that has taken `elapsed` seconds is likely to have ended, in seconds since it might begin.

        That is the latest time at which a poll makes those that end before it longer by a tenth, on average: the end of
        all for an action that takes about the same each time, soon for one that takes now this, now that. None where
        too little is known, or none has ever taken so long.
        """
        seen = self._seen.get(action)
        return None if seen is None else seen.next_end(elapsed)

    def is_shorter(self, action: str, seconds: float) -> bool:
        """Whether its last operations have all taken less than that."""
        seen = self._seen.get(action)
        return seen is not None and seen.ordered[-1] < seconds
