"""When a client is told to poll next: often enough to see the end soon, and not more often than that."""

from collections.abc import Mapping

from shared.actions.declaration import Action
from shared.model.operation import Operation, Status
from shared.model.timing import Clock, Timing
from shared.operations.durations import Durations

_GROWTH = 0.1
"""Where nothing tells of the end, part of the time it has taken so far."""
_LATE = 0.05
"""Part of an expected rest that a poll comes later: one that comes too early is for nothing."""
_FEWEST_PERCENT = 1.0
_SHORTEST = 1.0
"""Seconds between two polls, however short the work is known to be."""


class Pacing:
    """Proposes polls by what an operation waits for, its progress, and the duration of its action."""

    def __init__(self, actions: Mapping[str, Action], durations: Durations, *, clock: Clock, timing: Timing) -> None:
        self._actions = actions
        self._durations = durations
        self._clock = clock
        self._timing = timing

    def first_poll(self, operation: Operation) -> float | None:
        """Seconds from the start to a first poll; None for the operation's `retry_after`."""
        if operation.status.is_terminal or operation.external or operation.waiting_for:
            return self.next_poll(operation)
        end = self._end(operation, 0.0, self._actions.get(operation.action))
        if end is not None and end >= operation.retry_after:
            return self.next_poll(operation)
        return max(self._timing.first_poll, (end or 0.0) * (1 + _LATE))

    def next_poll(self, operation: Operation) -> float | None:
        """Seconds to the next one; None for the operation's `retry_after`.

        They are less than that, but a second at least, for work that is known to be shorter.
        """
        if operation.status.is_terminal or operation.external or operation.status is Status.CANCELING:
            return None
        action = self._actions.get(operation.action)
        if action is None or action.has_fixed_pace:
            return None
        now, least = self._clock.now(), operation.retry_after
        elapsed = (now - operation.may_begin).total_seconds()
        if operation.not_before is not None and operation.waiting_for and operation.not_before > now:
            seconds = (operation.not_before - now).total_seconds()
        elif (end := self._end(operation, elapsed, action)) is not None:
            seconds, least = (end - elapsed) * (1 + _LATE), min(_SHORTEST, least)
        else:
            seconds = elapsed * _GROWTH
            if self._durations.is_shorter(operation.action, least):
                least = min(_SHORTEST, least)
        seconds = min(max(seconds, least), self._timing.longest_poll_wait)
        return seconds if seconds != operation.retry_after else None

    def _end(self, operation: Operation, elapsed: float, action: Action | None) -> float | None:
        """When it is likely to end, in seconds since it may begin; None where that is over or unknown."""
        percent = operation.progress.percent if operation.progress is not None else None
        if percent is not None and percent >= _FEWEST_PERCENT and operation.started is not None:
            # It may have waited before it was started, and goes on from there as fast as it did so far.
            waited = (operation.started - operation.may_begin).total_seconds()
            worked = (operation.changed - operation.started).total_seconds()
            end = waited + worked * 100 / percent
        elif action is not None and action.expected_duration is not None:
            end = action.expected_duration.total_seconds()
        else:
            end = self._durations.next_end(operation.action, elapsed)
        return end if end is not None and end > elapsed else None
