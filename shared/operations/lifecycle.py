"""The state machine: a table, one function that looks it up, and one pure function per event.

    NotStarted --claim--> Running --succeed/fail--> Succeeded, Failed
        ^  |                | |
        |  +-request_cancel-|-|--> Canceled <--confirm_cancel--+
        +----retry_later----+ +--request_cancel--> Canceling --+--succeed/fail--> Succeeded, Failed

An operation that is driven from elsewhere has no attempts: `update` takes the place of claim and heartbeat, and its end
is an update followed by one of the arrows that end an attempt.

Guards (fence, lease, times) are in the functions; the store enforces them with the record's etag. docs/lifecycle.md
shows the same table with a reason for each arrow.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.errors import ErrorBody, FenceLost, TransitionError
from shared.operations.model import Operation, Outcome, Progress, Status

LEASE = timedelta(seconds=30)
HEARTBEAT = timedelta(seconds=10)

CANCELED_ERROR = ErrorBody("OperationCanceled", "The operation was canceled at the caller's request.")


class Event(StrEnum):
    """What can happen to an operation."""

    CLAIM = "claim"
    HEARTBEAT = "heartbeat"
    RETRY_LATER = "retry_later"
    CONTINUE_LATER = "continue_later"
    RESTART = "restart"
    NOTE_UNKNOWN_ACTION = "note_unknown_action"
    SUCCEED = "succeed"
    FAIL = "fail"
    REQUEST_CANCEL = "request_cancel"
    CONFIRM_CANCEL = "confirm_cancel"
    UPDATE = "update"


_N, _R, _G = Status.NOT_STARTED, Status.RUNNING, Status.CANCELING
_S, _F, _C = Status.SUCCEEDED, Status.FAILED, Status.CANCELED

TRANSITIONS: dict[tuple[Event, Status], Status] = {
    (Event.CLAIM, _N): _R,
    (Event.CLAIM, _R): _R,
    (Event.HEARTBEAT, _R): _R,
    (Event.HEARTBEAT, _G): _G,
    (Event.RETRY_LATER, _R): _N,
    (Event.RETRY_LATER, _G): _C,
    (Event.CONTINUE_LATER, _R): _N,
    (Event.CONTINUE_LATER, _G): _C,
    (Event.RESTART, _N): _N,
    (Event.RESTART, _R): _R,
    (Event.NOTE_UNKNOWN_ACTION, _N): _N,
    (Event.NOTE_UNKNOWN_ACTION, _R): _R,
    (Event.SUCCEED, _R): _S,
    (Event.SUCCEED, _G): _S,
    (Event.FAIL, _N): _F,
    (Event.FAIL, _R): _F,
    (Event.FAIL, _G): _F,
    (Event.REQUEST_CANCEL, _N): _C,
    (Event.REQUEST_CANCEL, _R): _G,
    (Event.REQUEST_CANCEL, _G): _G,
    (Event.REQUEST_CANCEL, _S): _S,
    (Event.REQUEST_CANCEL, _F): _F,
    (Event.REQUEST_CANCEL, _C): _C,
    (Event.CONFIRM_CANCEL, _G): _C,
    (Event.UPDATE, _N): _R,
    (Event.UPDATE, _R): _R,
}

Transition = Callable[[Operation], Operation]


def target(event: Event, status: Status) -> Status:
    """Where `event` leads from `status`; raises TransitionError where there is no arrow."""
    try:
        return TRANSITIONS[event, status]
    except KeyError:
        raise TransitionError(event, status) from None


def claim(operation: Operation, now: datetime, *, holder: str, timeout: timedelta) -> Operation:
    """An attempt takes the operation, unless another one holds it or its next one is not due.

    Every claim raises the fence; the attempt's number rises only after a failure or a lost lease.
    """
    status = target(Event.CLAIM, operation.status)
    if operation.external:
        raise TransitionError(Event.CLAIM, "driven from elsewhere")
    if operation.lease_is_live(now):
        raise TransitionError(Event.CLAIM, "held by another attempt")
    if operation.not_before is not None and now < operation.not_before:
        raise TransitionError(Event.CLAIM, "waiting for its next attempt")
    failures = operation.failures + (1 if operation.status is Status.RUNNING else 0)
    return replace(
        operation,
        status=status,
        fence=operation.fence + 1,
        holder=holder,
        failures=failures,
        attempt=failures + 1,
        started=operation.started or now,
        changed=now,
        not_before=None,
        lease_until=now + LEASE,
        attempt_deadline=now + timeout,
        unknown_since=None,
    )


def heartbeat(operation: Operation, now: datetime, *, fence: int, progress: Progress | None = None) -> Operation:
    """Renew the lease, and store progress if there is any. A holder past its lease may still write."""
    target(Event.HEARTBEAT, operation.status)
    _check_fence(operation, fence)
    return replace(operation, lease_until=now + LEASE, changed=now, progress=progress or operation.progress)


def retry_later(
    operation: Operation, now: datetime, *, fence: int, not_before: datetime, error: ErrorBody | None = None
) -> Operation:
    """The attempt failed and another one follows, not before the given time."""
    failed = replace(operation, failures=operation.failures + 1, last_error=error)
    return _release(failed, Event.RETRY_LATER, now, fence=fence, not_before=not_before)


def continue_later(operation: Operation, now: datetime, *, fence: int, not_before: datetime) -> Operation:
    """The attempt gives the operation back without having failed (the host is stopping, or lacks the action)."""
    return _release(operation, Event.CONTINUE_LATER, now, fence=fence, not_before=not_before)


def _release(operation: Operation, event: Event, now: datetime, *, fence: int, not_before: datetime) -> Operation:
    status = target(event, operation.status)
    _check_fence(operation, fence)
    if status is Status.CANCELED:
        return _end(operation, status, now, Outcome(409, error=CANCELED_ERROR))
    return replace(
        operation,
        status=status,
        changed=now,
        not_before=not_before,
        lease_until=None,
        attempt_deadline=None,
        holder="",
    )


def restart(operation: Operation, now: datetime) -> Operation:
    """Housekeeping starts a new orchestration: older ones find another generation and do nothing.

    The expired lease goes with it: until the new orchestration has claimed, it is the engine that knows whether there
    is one. Otherwise every pass would restart what still waits for its turn. `not_before` says when it was started
    anew, so that a pass beside this one leaves the engine its time.
    """
    target(Event.RESTART, operation.status)
    if operation.external:
        raise TransitionError(Event.RESTART, "driven from elsewhere")
    if operation.lease_is_live(now):
        raise TransitionError(Event.RESTART, "held by a live attempt")
    return replace(operation, generation=operation.generation + 1, not_before=now, lease_until=None, holder="")


def note_unknown_action(operation: Operation, now: datetime) -> Operation:
    """An instance that lacks the action met the operation; patience is counted from the first such meeting."""
    target(Event.NOTE_UNKNOWN_ACTION, operation.status)
    return operation if operation.unknown_since else replace(operation, unknown_since=now)


def succeed(operation: Operation, now: datetime, *, fence: int, outcome: Outcome) -> Operation:
    status = target(Event.SUCCEED, operation.status)
    _check_fence(operation, fence)
    progress = replace(operation.progress or Progress(), percent=100.0)
    return _end(replace(operation, progress=progress), status, now, outcome)


def fail(operation: Operation, now: datetime, *, fence: int, outcome: Outcome) -> Operation:
    """The attempt failed for good. From NotStarted (a deadline) the fence is the record's own."""
    status = target(Event.FAIL, operation.status)
    _check_fence(operation, fence)
    return _end(operation, status, now, outcome)


def update(operation: Operation, now: datetime, *, progress: Progress | None = None) -> Operation:
    """Whoever drives an external operation says that it runs, and how far it is; what it says last stands."""
    status = target(Event.UPDATE, operation.status)
    if not operation.external:
        raise TransitionError(Event.UPDATE, "run by attempts of this app")
    return replace(
        operation,
        status=status,
        started=operation.started or now,
        changed=now,
        progress=progress or operation.progress,
    )


def fail_unheld(operation: Operation, now: datetime, error: ErrorBody, *, seen: Operation) -> Operation:
    """Give the operation up from outside any attempt, as it was `seen`.

    Raises FenceLost while an attempt holds a live lease, and where one has written in the meantime.
    """
    if operation.lease_is_live(now) or (operation.fence, operation.status) != (seen.fence, seen.status):
        raise FenceLost(f"operation {operation.id} has moved on")
    return fail(operation, now, fence=operation.fence, outcome=Outcome(500, error=error))


def give_up_stuck(operation: Operation, now: datetime, *, fence: int) -> Operation:
    """End an operation whose holder renews its lease but should have let go long ago."""
    if operation.status is Status.NOT_STARTED:
        raise FenceLost(f"operation {operation.id} was let go after all")
    if operation.status is Status.CANCELING:
        return confirm_cancel(operation, now, fence=fence)
    error = ErrorBody("AttemptStuck", "The attempt went on after its deadline and was given up.")
    return fail(operation, now, fence=fence, outcome=Outcome(500, error=error))


def request_cancel(operation: Operation, now: datetime) -> Operation:
    """The caller wants it to stop: at once where nothing runs, otherwise as soon as the attempt lets go."""
    status = target(Event.REQUEST_CANCEL, operation.status)
    if status is operation.status:
        return operation
    if status is Status.CANCELED:
        return _end(operation, status, now, Outcome(409, error=CANCELED_ERROR))
    return replace(operation, status=status, changed=now)


def confirm_cancel(operation: Operation, now: datetime, *, fence: int | None = None) -> Operation:
    """The attempt has let go; without a fence only where no attempt holds a live lease."""
    status = target(Event.CONFIRM_CANCEL, operation.status)
    if fence is not None:
        _check_fence(operation, fence)
    elif operation.lease_is_live(now):
        raise TransitionError(Event.CONFIRM_CANCEL, "held by a live attempt")
    return _end(operation, status, now, Outcome(409, error=CANCELED_ERROR))


def _check_fence(operation: Operation, fence: int) -> None:
    if operation.fence != fence:
        raise FenceLost(f"operation {operation.id} was claimed again: fence {operation.fence}, not {fence}")


def _end(operation: Operation, status: Status, now: datetime, outcome: Outcome) -> Operation:
    return replace(
        operation,
        status=status,
        ended=now,
        changed=now,
        expires=now + operation.keep,
        outcome=outcome,
        lease_until=None,
        attempt_deadline=None,
        not_before=None,
        holder="",
    )
