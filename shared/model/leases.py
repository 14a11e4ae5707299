"""When an attempt still holds its operation. Pure.

Leases go by the wall clock. Where those of two instances differ, attempts may overlap: then the fence decides. What a
process makes of its own clock being set is in docs/decisions/0021-a-clock-that-is-set.md.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from shared.frozen import frozen
from shared.model.operation import Operation


def by_nobody(operation: Operation) -> bool:
    """What is held where no attempt runs."""
    return False


@frozen(kw_only=True)
class Leases:
    """How long a lease lasts, and since when a lease can be alive at all."""

    length: timedelta
    """From a claim or a heartbeat on."""
    exclusive_since: datetime | None = None
    """When this process became the only one that uses the store (`Storage.exclusive_since`): whoever was granted a
    lease before has died. None where processes share the store."""
    held_here: Callable[[Operation], bool] = by_nobody
    """Whether an attempt of this process holds it. A process that stalls for longer than a lease comes back to find its
    own leases run out: nothing is lost then, as long as nobody else has claimed."""

    def end(self, now: datetime) -> datetime:
        """The end of a lease that is granted now."""
        return now + self.length

    def are_live(self, operation: Operation, now: datetime) -> bool:
        """Whether an attempt holds the operation: one of this process, or one whose lease has not run out and is not
        that of a dead process."""
        if self.held_here(operation):
            return True
        until = operation.lease_until
        return until is not None and now < until and not self.predates(until - self.length)

    def ran_out(self, operation: Operation, now: datetime) -> bool:
        """Whether its attempt is lost: it was granted a lease, did not let go, and holds it no more."""
        return operation.lease_until is not None and not self.are_live(operation, now)

    def predates(self, moment: datetime) -> bool:
        """Whether what happened then was done by a process that is gone."""
        return self.exclusive_since is not None and moment < self.exclusive_since
