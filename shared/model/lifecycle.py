"""The state machine: one pure function per event, over the table of `shared.model.transitions`.

    NotStarted --claim--> Running --succeed/fail--> Succeeded, Failed
        |                   |
        +--request_cancel---|----> Canceled <--confirm_cancel--+
                            +--request_cancel--> Canceling ----+--succeed/fail--> Succeeded, Failed

From its first claim on an operation is Running, also while its next attempt is waited for: then it has no lease and no
holder. A lease that has run out and was not cleared is a lost attempt; whoever clears it counts the loss, and so it is
counted once. Lost attempts and failed ones are counted apart.

An operation that is delegated has no attempts: `update` takes the place of claim and heartbeat, and its end
is an update followed by one of the arrows that end an attempt.

Guards (fence, lease, times) are in the functions; the store enforces them with the record's etag. docs/lifecycle.md
shows the same table with a reason for each arrow.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from shared.errors import ErrorBody, FenceLost, TransitionError
from shared.frozen import replace
from shared.model import attempts
from shared.model.attempts import AttemptOutcome
from shared.model.leases import Leases
from shared.model.operation import (
    WAITING_FOR_RETRY,
    WAITING_FOR_TIME,
    Operation,
    Outcome,
    Payload,
    Progress,
    Status,
)
from shared.model.transitions import Event, target

CANCELED_ERROR = ErrorBody("OperationCanceled", "The operation was canceled at the caller's request.")
DEADLINE_ERROR = ErrorBody("DeadlineExceeded", "The operation did not end before its deadline.")
LOST_ERROR = ErrorBody("AttemptLost", "The instance that ran the last attempt was lost.")


Transition = Callable[[Operation], Operation]

LossWait = Callable[[int], timedelta]
"""How long the next claim waits after so many lost attempts, at least one."""

_OUTCOMES = {
    Status.SUCCEEDED: AttemptOutcome.SUCCEEDED,
    Status.FAILED: AttemptOutcome.FAILED,
    Status.CANCELED: AttemptOutcome.CANCELED,
}
"""How the attempt has ended that ends the operation."""


def claim(
    operation: Operation, now: datetime, *, holder: str, timeout: timedelta, leases: Leases, instance: str = ""
) -> Operation:
    """An attempt takes the operation, unless another one holds it or its next one is not due.

    Every claim raises the fence; the attempt's number rises only after a failure or a loss. A lease that has run out
    is counted as a loss. `instance` is a short hash of where the attempt runs.
    """
    status = target(Event.CLAIM, operation.status)
    if operation.external:
        raise TransitionError(Event.CLAIM, "delegated")
    if operation.is_parked:
        raise TransitionError(Event.CLAIM, "parked")
    if leases.are_live(operation, now):
        raise TransitionError(Event.CLAIM, "held by another attempt")
    if operation.not_before is not None and now < operation.not_before:
        raise TransitionError(Event.CLAIM, "waiting for its next attempt")
    operation = count_loss(operation, now, leases=leases)
    number = operation.forgiven + operation.failures + operation.losses + 1
    return replace(
        operation,
        status=status,
        fence=operation.fence + 1,
        holder=holder,
        attempt=number,
        attempts=attempts.begun(operation.attempts, number, now, instance=instance),
        started=operation.started or now,
        changed=now,
        not_before=None,
        waiting_for="",
        waiting_since=None,
        lease_until=leases.end(now),
        attempt_deadline=now + timeout,
        unknown_since=None,
        last_error=None,
    )


def heartbeat(
    operation: Operation,
    now: datetime,
    *,
    fence: int,
    leases: Leases,
    progress: Progress | None = None,
    saved: Payload | None = None,
    attempt_deadline: datetime | None = None,
) -> Operation:
    """Renew the lease, and store progress and a checkpoint if there are any. A holder past its lease may still write.

    `attempt_deadline` is another one than it was claimed with, because the clock was set.
    """
    target(Event.HEARTBEAT, operation.status)
    _check_holds(operation, fence)
    if saved is not None:
        operation = _with_checkpoint(operation, saved)
    return replace(
        operation,
        lease_until=leases.end(now),
        attempt_deadline=attempt_deadline or operation.attempt_deadline,
        changed=now,
        progress=progress or operation.progress,
    )


def _with_checkpoint(operation: Operation, saved: Payload) -> Operation:
    """Work that got further is not given up for what went wrong before: failures and losses are counted anew."""
    if operation.saved is not None and operation.saved.sha256 == saved.sha256:
        return operation
    return replace(
        operation,
        saved=saved,
        saved_fence=operation.fence,
        forgiven=operation.forgiven + operation.failures + operation.losses,
        failures=0,
        losses=0,
        idle_slices=0,
    )


def note_step(operation: Operation, now: datetime, *, fence: int, leases: Leases) -> Operation:
    """The attempt stores, beside this, the result of one more step that is done once."""
    return replace(heartbeat(operation, now, fence=fence, leases=leases), steps=operation.steps + 1)


def retry_later(
    operation: Operation,
    now: datetime,
    *,
    fence: int,
    not_before: datetime,
    error: ErrorBody | None = None,
    park_after: timedelta | None = None,
) -> Operation:
    """The attempt failed and another one follows, not before the given time; a wait above `park_after` is parked."""
    _check_holds(operation, fence)
    failed = replace(operation, failures=operation.failures + 1, last_error=error)
    event, outcome = Event.RETRY_LATER, AttemptOutcome.FAILED
    waiting = _release(failed, event, now, fence=fence, not_before=not_before, outcome=outcome)
    return _waiting(waiting, now, WAITING_FOR_RETRY, park_after)


def continue_later(
    operation: Operation,
    now: datetime,
    *,
    fence: int,
    after: timedelta = timedelta(0),
    brief: timedelta = timedelta(0),
    idle_wait: Callable[[int], timedelta] = lambda idle: timedelta(0),
    park_after: timedelta | None = None,
) -> Operation:
    """The slice ends on purpose, and another one follows `after` that long: neither a failure nor a loss.

    One that has got nowhere within `brief` is followed after `idle_wait` of the number of such slices in a row.
    """
    _check_holds(operation, fence)
    began = operation.attempts[-1].began if operation.attempts else now
    is_idle = operation.saved_fence != fence and now - began < brief
    idle = operation.idle_slices + 1 if is_idle else 0
    event, outcome = Event.CONTINUE_LATER, AttemptOutcome.CONTINUED
    not_before = now + max(after, idle_wait(idle))
    ended = replace(operation, idle_slices=idle)
    waiting = _release(ended, event, now, fence=fence, not_before=not_before, outcome=outcome)
    return _waiting(waiting, now, WAITING_FOR_TIME, park_after)


def give_back(operation: Operation, now: datetime, *, fence: int, not_before: datetime) -> Operation:
    """The attempt gives the operation back without having failed (the host is stopping, or lacks the action)."""
    _check_holds(operation, fence)
    outcome = AttemptOutcome.GIVEN_BACK
    return _release(operation, Event.GIVE_BACK, now, fence=fence, not_before=not_before, outcome=outcome)


def scheduled(operation: Operation, moment: datetime, *, park_after: timedelta) -> Operation:
    """A new operation whose first attempt is not to begin before; a time that is past is as good as none."""
    operation = replace(operation, scheduled=moment)
    if moment <= operation.created:
        return operation
    return _waiting(replace(operation, not_before=moment), operation.created, WAITING_FOR_TIME, park_after)


def _waiting(operation: Operation, now: datetime, reason: str, park_after: timedelta | None) -> Operation:
    """With the reason why its next attempt is not yet due, if it is not; parked where that takes long."""
    due = operation.not_before
    if operation.status.is_terminal or due is None or due <= now:
        return operation
    is_long = park_after is not None and due - now > park_after
    # Past its deadline there is nothing to wait for: it is looked at then, and given up.
    look_at = min(due, operation.deadline) if is_long else None
    return replace(operation, waiting_for=reason, waiting_since=now, look_at=look_at)


def wake(operation: Operation, now: datetime, *, seen: Operation, purged: int = 0) -> Operation:
    """What was parked, as it was `seen`, is active again: a new orchestration is started.

    `purged` says how many generations, the first ones, the engine keeps nothing of.
    """
    status = target(Event.WAKE, operation.status)
    if operation.look_at is None or operation.look_at != seen.look_at or operation.generation != seen.generation:
        raise TransitionError(Event.WAKE, "parked no more")
    return replace(
        operation,
        status=status,
        generation=operation.generation + 1,
        purged=max(operation.purged, purged),
        changed=now,
        not_before=now,
        waiting_for="",
        waiting_since=None,
        look_at=None,
    )


def note_misfit(
    operation: Operation, now: datetime, *, fence: int, not_before: datetime, error: ErrorBody
) -> Operation:
    """The attempt gives the operation back because the stored input does not fit here; counted from the first time."""
    since = operation.misfit_since or now
    released = give_back(operation, now, fence=fence, not_before=not_before)
    return released if released.status.is_terminal else replace(released, misfit_since=since, last_error=error)


def _release(
    operation: Operation, event: Event, now: datetime, *, fence: int, not_before: datetime, outcome: AttemptOutcome
) -> Operation:
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
        misfit_since=None,
        attempts=attempts.ended(operation.attempts, now, outcome, operation.last_error),
        dispatch_failures=operation.dispatch_failures + 1 if event is Event.NOTE_DISPATCH_FAILURE else 0,
    )


def note_dispatch_failure(
    operation: Operation, now: datetime, *, fence: int, not_before: datetime, error: ErrorBody
) -> Operation:
    """The app failed around the handler, by no fault of the store: that is counted apart, and tried again."""
    failed = replace(operation, last_error=error)
    event, outcome = Event.NOTE_DISPATCH_FAILURE, AttemptOutcome.FAILED
    return _release(failed, event, now, fence=fence, not_before=not_before, outcome=outcome)


def count_loss(operation: Operation, now: datetime, *, leases: Leases) -> Operation:
    """With a lease that has run out cleared, and the loss counted; as it is where none has.

    Part of every event that meets such a lease from outside the attempt, so that no loss is counted twice.
    """
    until = operation.lease_until
    if until is None or not leases.ran_out(operation, now):
        return operation
    return replace(
        operation,
        losses=operation.losses + 1,
        attempts=attempts.ended(operation.attempts, min(until, now), AttemptOutcome.LOST, LOST_ERROR),
        last_error=LOST_ERROR,
        changed=now,
        lease_until=None,
        attempt_deadline=None,
        holder="",
    )


def losses(operation: Operation, now: datetime, *, leases: Leases) -> int:
    """Lost attempts, with the one whose lease has run out and that nobody has counted yet.

    Where that is the last loss which the action allows, whoever meets it ends the operation: no attempt is to come, so
    nothing is waited for.
    """
    return operation.losses + leases.ran_out(operation, now)


def note_loss(operation: Operation, now: datetime, *, leases: Leases, wait: LossWait) -> Operation:
    """A delivery met a lease that has run out, and the next claim has to wait."""
    status = target(Event.NOTE_LOSS, operation.status)
    if not leases.ran_out(operation, now):
        raise TransitionError(Event.NOTE_LOSS, "not lost")
    lost = count_loss(operation, now, leases=leases)
    return replace(lost, status=status, not_before=now + wait(lost.losses))


def restart(operation: Operation, now: datetime, *, leases: Leases, wait: LossWait) -> Operation:
    """A new orchestration is started: older ones find another generation and do nothing.

    The expired lease goes with it: until the new orchestration has claimed, it is the engine that knows whether there
    is one. Otherwise every look would restart what still waits for its turn. `not_before` says when the next claim is
    due: after a loss its wait, else at once; so a look beside this one leaves the engine its time.
    """
    target(Event.RESTART, operation.status)
    if operation.external:
        raise TransitionError(Event.RESTART, "delegated")
    if operation.is_parked:
        raise TransitionError(Event.RESTART, "parked")
    if leases.are_live(operation, now):
        raise TransitionError(Event.RESTART, "held by a live attempt")
    lost = count_loss(operation, now, leases=leases)
    due = now if lost is operation else now + wait(lost.losses)
    return replace(lost, generation=operation.generation + 1, not_before=due)


def note_unknown_action(operation: Operation, now: datetime) -> Operation:
    """An instance that lacks the action met the operation; patience is counted from the first such meeting."""
    target(Event.NOTE_UNKNOWN_ACTION, operation.status)
    return operation if operation.unknown_since else replace(operation, unknown_since=now)


def succeed(operation: Operation, now: datetime, *, fence: int, outcome: Outcome) -> Operation:
    status = target(Event.SUCCEED, operation.status)
    _check_holds(operation, fence)
    progress = replace(operation.progress or Progress(), percent=100.0)
    return _end(replace(operation, progress=progress), status, now, outcome)


def fail(operation: Operation, now: datetime, *, fence: int, outcome: Outcome) -> Operation:
    """The attempt failed for good. From NotStarted (a deadline) the fence is the record's own."""
    status = target(Event.FAIL, operation.status)
    _check_holds(operation, fence)
    return _end(operation, status, now, outcome)


def give_up(operation: Operation, now: datetime, error: ErrorBody) -> Operation:
    """It fails, whoever holds it: for who has made sure that nobody else does."""
    return _end(operation, target(Event.FAIL, operation.status), now, Outcome(500, error=error))


def lose(operation: Operation, now: datetime, *, fence: int) -> Operation:
    """The attempt stops with its instance, and the handler must not run again: the operation ends as if it was lost."""
    lost = replace(
        operation,
        losses=operation.losses + 1,
        attempts=attempts.ended(operation.attempts, now, AttemptOutcome.LOST, LOST_ERROR),
    )
    return fail(lost, now, fence=fence, outcome=Outcome(500, error=LOST_ERROR))


def update(operation: Operation, now: datetime, *, progress: Progress | None = None) -> Operation:
    """The other system reports that a delegated operation runs, and how far it is; its last report stands."""
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


def fail_unheld(operation: Operation, now: datetime, error: ErrorBody, *, seen: Operation, leases: Leases) -> Operation:
    """Give the operation up from outside any attempt, as it was `seen`.

    Raises FenceLost while an attempt holds a live lease, and where one has written in the meantime.
    """
    moved = any(getattr(operation, name) != getattr(seen, name) for name in ("fence", "status", "holder"))
    if moved or leases.are_live(operation, now):
        raise FenceLost(f"operation {operation.id} has moved on")
    return give_up(count_loss(operation, now, leases=leases), now, error)


def give_up_stuck(operation: Operation, now: datetime, *, fence: int) -> Operation:
    """End an operation whose holder renews its lease but should have let go long ago."""
    if operation.lease_until is None:
        raise FenceLost(f"operation {operation.id} was let go after all")
    if operation.status is Status.CANCELING:
        return confirm_cancel(operation, now, fence=fence)
    error = ErrorBody("AttemptStuck", "The attempt went on after its deadline and was given up.")
    return fail(operation, now, fence=fence, outcome=Outcome(500, error=error))


def cancel(operation: Operation, now: datetime, *, leases: Leases) -> Operation:
    """The caller wants it to stop: at once where no attempt holds it, otherwise as soon as that lets go.

    What is canceled already, or over, stays as it is.
    """
    canceling = request_cancel(operation, now)
    if canceling is operation or canceling.status is not Status.CANCELING or canceling.external:
        return canceling
    if leases.are_live(canceling, now):
        return canceling
    return confirm_cancel_unheld(canceling, now, leases=leases)


def request_cancel(operation: Operation, now: datetime) -> Operation:
    """What has begun is asked to stop: whoever works on it confirms that."""
    status = target(Event.REQUEST_CANCEL, operation.status)
    if status is operation.status:
        return operation
    if status is Status.CANCELED:
        return _end(operation, status, now, Outcome(409, error=CANCELED_ERROR))
    return replace(operation, status=status, changed=now)


def confirm_cancel(operation: Operation, now: datetime, *, fence: int) -> Operation:
    """The attempt has let go."""
    status = target(Event.CONFIRM_CANCEL, operation.status)
    _check_holds(operation, fence)
    return _end(operation, status, now, Outcome(409, error=CANCELED_ERROR))


def confirm_cancel_unheld(operation: Operation, now: datetime, *, leases: Leases) -> Operation:
    """Nobody is left to let go: from outside any attempt, where none holds a live lease."""
    status = target(Event.CONFIRM_CANCEL, operation.status)
    if leases.are_live(operation, now):
        raise TransitionError(Event.CONFIRM_CANCEL, "held by a live attempt")
    return _end(count_loss(operation, now, leases=leases), status, now, Outcome(409, error=CANCELED_ERROR))


def _check_holds(operation: Operation, fence: int) -> None:
    """An attempt writes as long as it holds the operation: once it has let go, or its loss was counted, no more."""
    _check_fence(operation, fence)
    if operation.fence and not operation.holder and not operation.external:
        raise FenceLost(f"operation {operation.id} is no longer held by claim {fence}")


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
        attempts=attempts.ended(operation.attempts, now, _OUTCOMES[status], outcome.error),
        lease_until=None,
        attempt_deadline=None,
        not_before=None,
        waiting_for="",
        waiting_since=None,
        look_at=None,
        holder="",
    )
