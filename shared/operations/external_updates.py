"""Updates of an operation that is delegated, as changes of its record. Pure."""

from datetime import datetime

from shared.errors import ErrorBody
from shared.frozen import replace
from shared.model import lifecycle
from shared.model.lifecycle import DEADLINE_ERROR
from shared.model.operation import Operation, Outcome, Status
from shared.model.updates import Canceled, Running, Succeeded, Update

STOPPED_ERROR = ErrorBody("OperationCanceled", "The operation was canceled by the system that works on it.")


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
        stopping = lifecycle.request_cancel(running, now)
        stopped = lifecycle.confirm_cancel(stopping, now, fence=stopping.fence)
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
        return lifecycle.confirm_cancel(operation, now, fence=operation.fence)
    return lifecycle.fail(operation, now, fence=operation.fence, outcome=Outcome(500, error=DEADLINE_ERROR))
