"""What is said about an operation that is driven from elsewhere, and what it does to the record. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from shared.errors import ErrorBody
from shared.operations import lifecycle
from shared.operations.model import Operation, Outcome, Progress, Status

DEADLINE_ERROR = ErrorBody("DeadlineExceeded", "The operation did not end before its deadline.")
STOPPED_ERROR = ErrorBody("OperationCanceled", "The operation was canceled by the system that works on it.")


@dataclass(frozen=True, slots=True)
class Running:
    """The work goes on. Without `progress` the last one stands (`shared.actions.context.measured` makes one)."""

    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class Succeeded:
    """It is done. `result` is what pydantic can write as JSON, None for nothing; `status_code` is what a synchronous
    call would have answered with it."""

    result: Any = None
    status_code: int = 200


@dataclass(frozen=True, slots=True)
class Failed:
    """It came to nothing. `status_code` is what a synchronous call would have answered."""

    error: ErrorBody
    status_code: int = 500


@dataclass(frozen=True, slots=True)
class Canceled:
    """It has stopped, because it was asked to or on its own account."""


Update = Running | Succeeded | Failed | Canceled


def apply(operation: Operation, now: datetime, update: Update, outcome: Outcome | None) -> Operation:
    """The record after `update`; `outcome` is that of Succeeded and Failed, stored already.

    Raises TransitionError from a terminal state, for Running from Canceling, and for what attempts of ours run.
    """
    if isinstance(update, Running):
        return lifecycle.update(operation, now, progress=update.progress)
    # An end says that it runs first: so `update` is the only arrow that leads here from NotStarted.
    canceling = operation.status is Status.CANCELING
    running = operation if canceling else lifecycle.update(operation, now)
    if isinstance(update, Canceled):
        asked = lifecycle.request_cancel(running, now)
        stopped = lifecycle.confirm_cancel(asked, now)
        return stopped if canceling else replace(stopped, outcome=Outcome(409, error=STOPPED_ERROR))
    if outcome is None:
        raise ValueError("an operation ends with an outcome")
    end = lifecycle.succeed if isinstance(update, Succeeded) else lifecycle.fail
    return end(running, now, fence=running.fence, outcome=outcome)


def give_up(operation: Operation, now: datetime) -> Operation:
    """The record once its deadline has passed: what housekeeping would make of it."""
    if operation.status.is_terminal:
        return operation
    if operation.status is Status.CANCELING:
        return lifecycle.confirm_cancel(operation, now)
    return lifecycle.fail(operation, now, fence=operation.fence, outcome=Outcome(500, error=DEADLINE_ERROR))
