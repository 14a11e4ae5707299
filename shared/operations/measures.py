"""The metrics of operations, counted where a change of a record is stored: whoever makes it, and each one once.

docs/operations.md lists them. Names follow OpenTelemetry's rules; `error.type` is of its semantic conventions.
"""

from shared.model.attempts import AttemptOutcome
from shared.model.operation import Operation
from shared.telemetry import Attributes, Counter, Gauge, Histogram, is_measuring

ACTION = "lro.action"
STATUS = "lro.status"
OPERATION_ID = "lro.operation.id"
ATTEMPT = "lro.attempt"
OUTCOME = "lro.attempt.outcome"

STARTED = Counter("lro.operation.started", "{operation}", "Operations that were started.")
ENDED = Counter("lro.operation.ended", "{operation}", "Operations that ended.")
DURATION = Histogram("lro.operation.duration", "s", "From the start of an operation to its end.")
TIME_TO_FIRST_ATTEMPT = Histogram(
    "lro.operation.time_to_first_attempt", "s", "From the start of an operation to its first attempt."
)
RESTARTED = Counter("lro.operation.restarted", "{restart}", "Operations that were started again.")
ACTIVE = Gauge("lro.operation.active", "{operation}", "Operations that have not ended, seen by housekeeping.")
OLDEST_NOT_STARTED = Gauge(
    "lro.operation.oldest_not_started", "s", "The age of the oldest operation that waits for its first attempt."
)
FAILED = Counter("lro.attempt.failed", "{attempt}", "Attempts that failed.")
LOST = Counter("lro.attempt.lost", "{attempt}", "Attempts whose instance was lost.")
NO_PLACE = Counter(
    "lro.attempt.no_place", "{delivery}", "Deliveries that went back unclaimed: no thread or process was free."
)
ABANDONED = Counter("lro.handler.abandoned", "{thread}", "Threads of handlers that did not stop and were left.")
LOOP_LAG = Histogram("lro.loop.lag", "s", "How late the event loop comes back, measured while attempts run.")


def count_start(operation: Operation) -> None:
    """A record was inserted."""
    STARTED.add(1, {ACTION: operation.action, "lro.profile": operation.profile})


def count_change(before: Operation, after: Operation) -> None:
    """A change of a record was stored."""
    if not is_measuring():
        return
    action: Attributes = {ACTION: after.action}
    if after.started and not before.started and not after.external:
        TIME_TO_FIRST_ATTEMPT.record((after.started - after.created).total_seconds(), action)
    if after.losses > before.losses:
        LOST.add(after.losses - before.losses, action)
    if code := _failure(before, after):
        FAILED.add(1, {**action, "error.type": code})
    if after.generation > before.generation:
        RESTARTED.add(1, action)
    if after.status.is_terminal and not before.status.is_terminal:
        end: Attributes = {**action, STATUS: after.status.value}
        DURATION.record((after.changed - after.created).total_seconds(), end)
        error = after.outcome.error if after.outcome else None
        ENDED.add(1, {**end, "error.type": error.code} if error else end)


def _failure(before: Operation, after: Operation) -> str:
    """The code of the attempt that this change ended as failed; empty where it ended none so."""
    if not after.attempts or after.attempts[-1].outcome is not AttemptOutcome.FAILED:
        return ""
    if before.attempts and before.attempts[-1].outcome is not None:
        return ""
    return after.attempts[-1].code or "ActionError"
