"""The state machine: every arrow, every missing arrow, every guard."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from shared.errors import ErrorBody, FenceLost, TransitionError
from shared.operations import lifecycle
from shared.operations.lifecycle import LEASE, TRANSITIONS, Event
from shared.operations.model import Operation, Outcome, Progress, Status
from tests.unit.parts import T0, make_operation

DOCS = Path(__file__).parents[2] / "docs" / "lifecycle.md"
NOW = T0 + timedelta(minutes=1)
TIMEOUT = timedelta(minutes=5)
ERROR = ErrorBody("Broken", "It broke.")

APPLY: dict[Event, Callable[[Operation], Operation]] = {
    Event.CLAIM: lambda o: lifecycle.claim(o, NOW, holder="h2", timeout=TIMEOUT),
    Event.HEARTBEAT: lambda o: lifecycle.heartbeat(o, NOW, fence=o.fence),
    Event.RETRY_LATER: lambda o: lifecycle.retry_later(o, NOW, fence=o.fence, not_before=NOW, error=ERROR),
    Event.CONTINUE_LATER: lambda o: lifecycle.continue_later(o, NOW, fence=o.fence, not_before=NOW),
    Event.RESTART: lambda o: lifecycle.restart(o, NOW),
    Event.NOTE_UNKNOWN_ACTION: lambda o: lifecycle.note_unknown_action(o, NOW),
    Event.SUCCEED: lambda o: lifecycle.succeed(o, NOW, fence=o.fence, outcome=Outcome(204)),
    Event.FAIL: lambda o: lifecycle.fail(o, NOW, fence=o.fence, outcome=Outcome(500, error=ERROR)),
    Event.REQUEST_CANCEL: lambda o: lifecycle.request_cancel(o, NOW),
    Event.CONFIRM_CANCEL: lambda o: lifecycle.confirm_cancel(o, NOW),
    Event.UPDATE: lambda o: lifecycle.update(replace(o, external=True), NOW),
}


def stored(status: Status, **changes: Any) -> Operation:
    """An operation in this status, held by a lease that has run out where an attempt holds it."""
    held = {"fence": 3, "attempt": 1, "holder": "h1", "lease_until": T0, "attempt_deadline": T0 + TIMEOUT}
    fields = held if status in (Status.RUNNING, Status.CANCELING) else {}
    return make_operation(**{"status": status, **fields, **changes})


@pytest.mark.parametrize(("event", "status"), TRANSITIONS, ids=str)
def test_arrow(event: Event, status: Status) -> None:
    """Every arrow of the table leads where the table says."""
    assert APPLY[event](stored(status)).status is TRANSITIONS[event, status]


@pytest.mark.parametrize(("event", "status"), sorted(set(product(Event, Status)) - set(TRANSITIONS)), ids=str)
def test_missing_arrow(event: Event, status: Status) -> None:
    """What is not in the table raises TransitionError, naming the event and the status."""
    with pytest.raises(TransitionError) as caught:
        APPLY[event](stored(status))
    assert (caught.value.event, caught.value.status) == (event, status)


def test_table_is_the_design() -> None:
    """The arrows are exactly those of the design: terminal states are left by nothing."""
    for (event, status), to in TRANSITIONS.items():
        if status.is_terminal:
            assert (event, to) == (Event.REQUEST_CANCEL, status)
    assert len(TRANSITIONS) == 26


def test_docs_show_the_table() -> None:
    """docs/lifecycle.md has a table `| event | from | to |` with one row per arrow, and no other."""
    words = "|".join(Event)
    rows = re.findall(
        rf"^\| `?({words})`? \| `?(\w+)`? \| `?(\w+)`? \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(rows) == len(set(rows))
    assert set(rows) == {(str(event), str(start), str(to)) for (event, start), to in TRANSITIONS.items()}


def test_claim_of_a_new_operation() -> None:
    """The first claim is fence 1, attempt 1, with a lease and a deadline of its own."""
    claimed = APPLY[Event.CLAIM](stored(Status.NOT_STARTED, unknown_since=T0, not_before=NOW))
    assert (claimed.fence, claimed.attempt, claimed.failures, claimed.holder) == (1, 1, 0, "h2")
    assert (claimed.lease_until, claimed.attempt_deadline) == (NOW + LEASE, NOW + TIMEOUT)
    assert claimed.started == claimed.changed == NOW
    assert claimed.not_before is None
    assert claimed.unknown_since is None


def test_claim_numbers() -> None:
    """Every claim raises the fence; the attempt rises after a failure or a lost lease, and not after a give-back."""
    one = APPLY[Event.CLAIM](stored(Status.NOT_STARTED))
    slice_ = APPLY[Event.CLAIM](APPLY[Event.CONTINUE_LATER](one))
    assert (slice_.fence, slice_.attempt, slice_.failures) == (2, 1, 0)
    retried = APPLY[Event.CLAIM](APPLY[Event.RETRY_LATER](slice_))
    assert (retried.fence, retried.attempt, retried.failures) == (3, 2, 1)
    lost = APPLY[Event.CLAIM](replace(retried, lease_until=NOW))
    assert (lost.fence, lost.attempt, lost.failures) == (4, 3, 2)
    assert lost.started == one.started


@pytest.mark.parametrize("event", [Event.CLAIM, Event.RESTART])
def test_live_lease_is_respected(event: Event) -> None:
    """While a lease is live nobody else claims or restarts."""
    with pytest.raises(TransitionError):
        APPLY[event](stored(Status.RUNNING, lease_until=NOW + timedelta(microseconds=1)))


def test_lease_ends_at_its_time() -> None:
    """A lease is over at the moment it names, not after it."""
    assert not stored(Status.RUNNING, lease_until=NOW).lease_is_live(NOW)
    assert APPLY[Event.CLAIM](stored(Status.RUNNING, lease_until=NOW)).fence == 4


def test_claim_waits_for_its_time() -> None:
    """A retry is not claimed before its time, whoever comes."""
    with pytest.raises(TransitionError):
        APPLY[Event.CLAIM](stored(Status.NOT_STARTED, not_before=NOW + timedelta(microseconds=1)))


@pytest.mark.parametrize("status", [Status.RUNNING, Status.CANCELING])
@pytest.mark.parametrize(
    "write",
    [
        lambda o: lifecycle.heartbeat(o, NOW, fence=2),
        lambda o: lifecycle.retry_later(o, NOW, fence=2, not_before=NOW),
        lambda o: lifecycle.continue_later(o, NOW, fence=2, not_before=NOW),
        lambda o: lifecycle.succeed(o, NOW, fence=2, outcome=Outcome(204)),
        lambda o: lifecycle.fail(o, NOW, fence=2, outcome=Outcome(500)),
    ],
    ids=["heartbeat", "retry_later", "continue_later", "succeed", "fail"],
)
def test_fence_guards_every_write(status: Status, write: Callable[[Operation], Operation]) -> None:
    """An attempt whose claim was followed by another writes nothing any more."""
    with pytest.raises(FenceLost):
        write(stored(status))


def test_confirm_cancel_guards() -> None:
    """A cancel is confirmed by the holder's fence, or by anybody once no lease is live."""
    held = stored(Status.CANCELING, lease_until=NOW + LEASE)
    assert lifecycle.confirm_cancel(held, NOW, fence=3).status is Status.CANCELED
    with pytest.raises(FenceLost):
        lifecycle.confirm_cancel(held, NOW, fence=2)
    with pytest.raises(TransitionError):
        lifecycle.confirm_cancel(held, NOW)


def test_holder_past_its_lease_may_write() -> None:
    """A late heartbeat renews the lease while nobody else has claimed, and keeps progress where it brings none."""
    progress = Progress(percent=5)
    beaten = lifecycle.heartbeat(stored(Status.RUNNING, progress=progress), NOW, fence=3)
    assert (beaten.lease_until, beaten.progress) == (NOW + LEASE, progress)
    newer = Progress(percent=6)
    assert lifecycle.heartbeat(beaten, NOW, fence=3, progress=newer).progress == newer


@pytest.mark.parametrize(
    ("event", "status", "code"),
    [
        (Event.SUCCEED, Status.RUNNING, 204),
        (Event.FAIL, Status.CANCELING, 500),
        (Event.FAIL, Status.NOT_STARTED, 500),
        (Event.REQUEST_CANCEL, Status.NOT_STARTED, 409),
        (Event.CONFIRM_CANCEL, Status.CANCELING, 409),
        (Event.RETRY_LATER, Status.CANCELING, 409),
        (Event.CONTINUE_LATER, Status.CANCELING, 409),
    ],
    ids=str,
)
def test_end(event: Event, status: Status, code: int) -> None:
    """Whatever ends an operation sets its outcome and its expiry, and leaves nothing of the attempt."""
    ended = APPLY[event](stored(status, keep=timedelta(days=7)))
    assert ended.ended == ended.changed == NOW
    assert ended.expires == NOW + timedelta(days=7)
    assert ended.outcome is not None
    assert ended.outcome.status_code == code
    assert (ended.lease_until, ended.attempt_deadline, ended.not_before, ended.holder) == (None, None, None, "")
    if ended.status is Status.CANCELED:
        assert ended.outcome.error == lifecycle.CANCELED_ERROR


def test_success_is_all_of_it() -> None:
    """A succeeded operation is at 100 %, with the rest of its last progress kept."""
    ended = APPLY[Event.SUCCEED](stored(Status.RUNNING, progress=Progress(percent=40, done=2, total=5)))
    assert ended.progress == Progress(percent=100.0, done=2, total=5)


def test_release_keeps_the_reason() -> None:
    """A failed attempt leaves its error and its time; the lease is gone."""
    failed = lifecycle.retry_later(stored(Status.RUNNING), NOW, fence=3, not_before=NOW + LEASE, error=ERROR)
    assert (failed.not_before, failed.last_error, failed.lease_until) == (NOW + LEASE, ERROR, None)


@pytest.mark.parametrize("status", [Status.CANCELING, Status.SUCCEEDED, Status.FAILED, Status.CANCELED])
def test_cancel_again_changes_nothing(status: Status) -> None:
    """A cancel of what is cancelled already, or over, returns the very record: nothing is written."""
    operation = stored(status)
    assert APPLY[Event.REQUEST_CANCEL](operation) is operation


def test_cancel_of_a_running_one_leaves_its_lease() -> None:
    """The attempt keeps its lease while it winds up."""
    asked = APPLY[Event.REQUEST_CANCEL](stored(Status.RUNNING, lease_until=NOW + LEASE))
    assert (asked.lease_until, asked.fence, asked.outcome) == (NOW + LEASE, 3, None)


def test_restart() -> None:
    """A restart is a new generation, thus a new instance; the dead lease goes, the fence stays."""
    again = APPLY[Event.RESTART](stored(Status.RUNNING))
    assert (again.generation, again.fence, again.lease_until) == (2, 3, None)
    assert again.instance_id == f"{again.run}.2"


def test_unknown_action_is_noted_once() -> None:
    """Patience is counted from the first meeting."""
    assert APPLY[Event.NOTE_UNKNOWN_ACTION](stored(Status.NOT_STARTED)).unknown_since == NOW
    noted = stored(Status.NOT_STARTED, unknown_since=T0)
    assert APPLY[Event.NOTE_UNKNOWN_ACTION](noted) is noted


def test_give_up_from_outside() -> None:
    """An operation is failed from outside only as it was seen: unheld, and not touched by an attempt since."""
    seen = stored(Status.RUNNING)
    assert lifecycle.fail_unheld(seen, NOW, ERROR, seen=seen).status is Status.FAILED
    for moved in (
        replace(seen, lease_until=NOW + LEASE),
        replace(seen, fence=4),
        replace(seen, status=Status.NOT_STARTED, lease_until=None),
        replace(seen, status=Status.CANCELING),
    ):
        with pytest.raises(FenceLost):
            lifecycle.fail_unheld(moved, NOW, ERROR, seen=seen)


def test_give_up_stuck() -> None:
    """A stuck attempt is ended under its fence: Failed, or Canceled where that was asked; not once it let go."""
    ended = lifecycle.give_up_stuck(stored(Status.RUNNING), NOW, fence=3)
    assert ended.outcome is not None
    assert ended.outcome.error is not None
    assert (ended.status, ended.outcome.error.code) == (Status.FAILED, "AttemptStuck")
    assert lifecycle.give_up_stuck(stored(Status.CANCELING), NOW, fence=3).status is Status.CANCELED
    for moved in (stored(Status.RUNNING, fence=4), stored(Status.NOT_STARTED, fence=3)):
        with pytest.raises(FenceLost):
            lifecycle.give_up_stuck(moved, NOW, fence=3)
