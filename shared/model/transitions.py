"""The table of the state machine: which event leads from which status to which.

docs/lifecycle.md shows the same table with a reason for each arrow.
"""

from enum import StrEnum

from shared.errors import TransitionError
from shared.model.operation import Status


class Event(StrEnum):
    """What can happen to an operation."""

    CLAIM = "claim"
    HEARTBEAT = "heartbeat"
    RETRY_LATER = "retry_later"
    CONTINUE_LATER = "continue_later"
    GIVE_BACK = "give_back"
    WAKE = "wake"
    RESTART = "restart"
    NOTE_LOSS = "note_loss"
    NOTE_UNKNOWN_ACTION = "note_unknown_action"
    NOTE_DISPATCH_FAILURE = "note_dispatch_failure"
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
    (Event.RETRY_LATER, _R): _R,
    (Event.RETRY_LATER, _G): _C,
    (Event.CONTINUE_LATER, _R): _R,
    (Event.CONTINUE_LATER, _G): _C,
    (Event.GIVE_BACK, _R): _R,
    (Event.GIVE_BACK, _G): _C,
    (Event.WAKE, _N): _N,
    (Event.WAKE, _R): _R,
    (Event.RESTART, _N): _N,
    (Event.RESTART, _R): _R,
    (Event.NOTE_LOSS, _R): _R,
    (Event.NOTE_UNKNOWN_ACTION, _N): _N,
    (Event.NOTE_UNKNOWN_ACTION, _R): _R,
    (Event.NOTE_DISPATCH_FAILURE, _N): _N,
    (Event.NOTE_DISPATCH_FAILURE, _R): _R,
    (Event.NOTE_DISPATCH_FAILURE, _G): _C,
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


def target(event: Event, status: Status) -> Status:
    """Where `event` leads from `status`; raises TransitionError where there is no arrow."""
    try:
        return TRANSITIONS[event, status]
    except KeyError:
        raise TransitionError(event, status) from None
