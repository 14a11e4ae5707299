"""What a pass of housekeeping finds active: how many by status, and how long the oldest waits for its first attempt.

It is counted from what a pass reads anyway. What is younger than the pass looks at has no status here: it is `young`.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.model.operation import Operation, Status
from shared.model.timing import Clock, Timing
from shared.operations import measures
from shared.telemetry import Values

_STATUSES = (Status.NOT_STARTED, Status.RUNNING, Status.CANCELING)

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Backlog:
    """The counts of one pass."""

    by_status: Counter[Status] = field(default_factory=Counter[Status])
    young: int = 0
    oldest: timedelta = timedelta(0)
    """Since the oldest one that is NotStarted could have begun: its start, or the later time that its start has named.
    Zero where there is none."""
    is_complete: bool = True
    """Whether the pass got to all that is active."""

    def note(self, operation: Operation, now: datetime) -> None:
        """The pass has read this one. What another system works on has no attempt to wait for."""
        if operation.status.is_terminal:
            return
        self.by_status[operation.status] += 1
        if operation.status is not Status.NOT_STARTED:
            return
        if not operation.external or operation.is_undelegated:
            due = max(operation.created, operation.scheduled or operation.created)
            self.oldest = max(self.oldest, now - due)

    @property
    def is_empty(self) -> bool:
        return not self.young and not self.by_status


class BacklogReport:
    """Tells the counts of the latest pass: a line of the log, and gauges while they are fresh."""

    def __init__(self, *, clock: Clock, timing: Timing) -> None:
        self._clock = clock
        self._timing = timing
        self._latest: tuple[float, Backlog] | None = None

    def tell(self, backlog: Backlog) -> None:
        self._latest = self._clock.monotonic(), backlog
        measures.ACTIVE.show(self._counts)
        measures.OLDEST_NOT_STARTED.show(self._age)
        if backlog.is_empty:
            return
        counts = [backlog.by_status[each] for each in _STATUSES]
        _log.info(
            "Active operations: %d NotStarted, %d Running, %d Canceling, %d young; the oldest NotStarted is %d s old%s",
            *counts,
            backlog.young,
            backlog.oldest.total_seconds(),
            "" if backlog.is_complete else "; not all were counted",
            extra={"event": "active", "oldest": backlog.oldest.total_seconds()},
        )

    def _fresh(self) -> Iterator[Backlog]:
        """The latest counts; none once they are old: the timer may be on another instance by now, which tells its own.

        In a thread of the exporter.
        """
        if self._latest is not None and self._clock.monotonic() < self._latest[0] + self._timing.backlog_shown:
            yield self._latest[1]

    def _counts(self) -> Values:
        for backlog in self._fresh():
            for status in _STATUSES:
                yield backlog.by_status[status], {measures.STATUS: status.value}
            yield backlog.young, {measures.STATUS: "young"}

    def _age(self) -> Values:
        for backlog in self._fresh():
            yield backlog.oldest.total_seconds(), {}
