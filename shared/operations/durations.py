"""How long actions take, as this process has seen: what tells when a poll is worth sending."""

from bisect import bisect_right, insort
from collections import deque
from itertools import accumulate

_NAMES = 1000
_KEPT = 32
_ENOUGH = 1
_ADDED = 0.1
"""Part of their length that operations are made longer by at most, on average, by the wait for the next poll."""


class _Seen:
    """The last durations of one action, in seconds."""

    def __init__(self) -> None:
        self.latest: deque[float] = deque(maxlen=_KEPT)
        self.ordered: list[float] = []
        self.inverse_sums: list[float] = [0.0]
        """Of the first n of `ordered`, the sum of 1/duration."""

    def add(self, seconds: float) -> None:
        if len(self.latest) == _KEPT:
            self.ordered.remove(self.latest[0])
        self.latest.append(seconds)
        insort(self.ordered, seconds)
        self.inverse_sums = list(accumulate((1 / each for each in self.ordered), initial=0.0))

    def next_end(self, elapsed: float) -> float | None:
        """See `Durations.next_end`."""
        if len(self.latest) < _ENOUGH:
            return None
        first = bisect_right(self.ordered, elapsed)
        found = None
        for place in range(first, len(self.ordered)):
            # The mean of (poll - duration) / duration over those that would have ended by then.
            mean_inverse = (self.inverse_sums[place + 1] - self.inverse_sums[first]) / (place + 1 - first)
            if self.ordered[place] * mean_inverse - 1 > _ADDED:
                break
            found = self.ordered[place]
        return found


class Durations:
    """The last durations by action, of operations that succeeded in this process. Used on the event loop."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def note(self, action: str, seconds: float) -> None:
        """One more operation of `action` took `seconds` from when it might begin to its end."""
        seen = self._seen.pop(action, None) or _Seen()
        if len(self._seen) >= _NAMES:
            del self._seen[next(iter(self._seen))]
        self._seen[action] = seen
        seen.add(max(seconds, 0.001))

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
