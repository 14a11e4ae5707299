"""How the record changes at the end of an attempt."""

from collections.abc import Callable
from datetime import datetime

from shared.model import lifecycle
from shared.model.operation import Operation, Outcome, Status

Conclusion = Callable[[Operation, datetime, int], Operation]
"""(stored record, now, fence) -> record."""


def give_back(operation: Operation, now: datetime, fence: int) -> Operation:
    """The conclusion on an attempt that did not get to do its work: the next one may follow at once."""
    return lifecycle.give_back(operation, now, fence=fence, not_before=now)


def lose(operation: Operation, now: datetime, fence: int) -> Operation:
    return lifecycle.lose(operation, now, fence=fence)


def succeed(outcome: Outcome) -> Conclusion:
    return lambda o, now, fence: lifecycle.succeed(o, now, fence=fence, outcome=outcome)


def confirm(operation: Operation, now: datetime, fence: int) -> Operation:
    if operation.status is Status.RUNNING:
        # The local notice of a cancel came before its write: the write it follows is the caller's.
        operation = lifecycle.request_cancel(operation, now)
    return lifecycle.confirm_cancel(operation, now, fence=fence)
