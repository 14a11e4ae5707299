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
from shared.model import lifecycle
from shared.model.attempts import AttemptOutcome, AttemptRecord
from shared.model.leases import Leases
from shared.model.operation import Operation, Outcome, Progress, Status
from shared.model.transitions import TRANSITIONS, Event
from tests.support.parts import LEASES, T0, make_operation

DOCS = Path(__file__).parents[2] / "docs" / "lifecycle.md"
NOW = T0 + timedelta(minutes=1)
TIMEOUT = timedelta(minutes=5)
ERROR = ErrorBody("Broken", "It broke.")


def wait(losses: int) -> timedelta:
    """What the next claim waits after so many losses, here."""
    return timedelta(minutes=losses)


APPLY: dict[Event, Callable[[Operation], Operation]] = {
    Event.CLAIM: lambda o: lifecycle.claim(o, NOW, holder="h2", timeout=TIMEOUT, leases=LEASES),
    Event.HEARTBEAT: lambda o: lifecycle.heartbeat(o, NOW, fence=o.fence, leases=LEASES),
    Event.RETRY_LATER: lambda o: lifecycle.retry_later(o, NOW, fence=o.fence, not_before=NOW, error=ERROR),
    Event.CONTINUE_LATER: lambda o: lifecycle.continue_later(o, NOW, fence=o.fence),
    Event.GIVE_BACK: lambda o: lifecycle.give_back(o, NOW, fence=o.fence, not_before=NOW),
    Event.WAKE: lambda o: lifecycle.wake(parked := replace(o, look_at=NOW), NOW, seen=parked),
    Event.RESTART: lambda o: lifecycle.restart(o, NOW, leases=LEASES, wait=wait),
    Event.NOTE_LOSS: lambda o: lifecycle.note_loss(o, NOW, leases=LEASES, wait=wait),
    Event.NOTE_UNKNOWN_ACTION: lambda o: lifecycle.note_unknown_action(o, NOW),
    Event.NOTE_DISPATCH_FAILURE: lambda o: lifecycle.note_dispatch_failure(
        o, NOW, fence=o.fence, not_before=NOW, error=ERROR
    ),
    Event.SUCCEED: lambda o: lifecycle.succeed(o, NOW, fence=o.fence, outcome=Outcome(204)),
    Event.FAIL: lambda o: lifecycle.fail(o, NOW, fence=o.fence, outcome=Outcome(500, error=ERROR)),
    Event.REQUEST_CANCEL: lambda o: lifecycle.request_cancel(o, NOW),
    Event.CONFIRM_CANCEL: lambda o: lifecycle.confirm_cancel_unheld(o, NOW, leases=LEASES),
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
    assert len(TRANSITIONS) == 34


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
    assert (claimed.lease_until, claimed.attempt_deadline) == (LEASES.end(NOW), NOW + TIMEOUT)
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
    assert (lost.fence, lost.attempt, lost.failures, lost.losses) == (4, 3, 1, 1)
    assert lost.started == one.started


@pytest.mark.parametrize("event", [Event.CLAIM, Event.RESTART])
def test_live_lease_is_respected(event: Event) -> None:
    """While a lease is live nobody else claims or restarts."""
    with pytest.raises(TransitionError):
        APPLY[event](stored(Status.RUNNING, lease_until=NOW + timedelta(microseconds=1)))


def test_lease_ends_at_its_time() -> None:
    """A lease is over at the moment it names, not after it."""
    assert not LEASES.are_live(stored(Status.RUNNING, lease_until=NOW), NOW)
    assert APPLY[Event.CLAIM](stored(Status.RUNNING, lease_until=NOW)).fence == 4


@pytest.mark.parametrize(
    ("status", "write"),
    [
        (Status.RUNNING, lambda o, mine: lifecycle.claim(o, NOW, holder="h2", timeout=TIMEOUT, leases=mine)),
        (Status.RUNNING, lambda o, mine: lifecycle.restart(o, NOW, leases=mine, wait=wait)),
        (Status.RUNNING, lambda o, mine: lifecycle.fail_unheld(o, NOW, ERROR, seen=o, leases=mine)),
        (Status.CANCELING, lambda o, mine: lifecycle.confirm_cancel_unheld(o, NOW, leases=mine)),
    ],
    ids=["claim", "restart", "fail_unheld", "confirm_cancel_unheld"],
)
def test_lease_of_a_dead_process_is_void(status: Status, write: Callable[[Operation, Leases], Operation]) -> None:
    """Where this process has had the store alone since a moment, only leases granted from then on are respected."""
    mine = replace(LEASES, exclusive_since=NOW)
    write(stored(status, lease_until=LEASES.end(NOW) - timedelta(microseconds=1)), mine)
    for leases, until in ((mine, LEASES.end(NOW)), (LEASES, NOW + timedelta(microseconds=1))):
        with pytest.raises((TransitionError, FenceLost)):
            write(stored(status, lease_until=until), leases)


def test_claim_waits_for_its_time() -> None:
    """A retry is not claimed before its time, whoever comes."""
    with pytest.raises(TransitionError):
        APPLY[Event.CLAIM](stored(Status.NOT_STARTED, not_before=NOW + timedelta(microseconds=1)))


@pytest.mark.parametrize("status", [Status.RUNNING, Status.CANCELING])
@pytest.mark.parametrize(
    "write",
    [
        lambda o: lifecycle.heartbeat(o, NOW, fence=2, leases=LEASES),
        lambda o: lifecycle.retry_later(o, NOW, fence=2, not_before=NOW),
        lambda o: lifecycle.continue_later(o, NOW, fence=2),
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
    held = stored(Status.CANCELING, lease_until=LEASES.end(NOW))
    assert lifecycle.confirm_cancel(held, NOW, fence=3).status is Status.CANCELED
    with pytest.raises(FenceLost):
        lifecycle.confirm_cancel(held, NOW, fence=2)
    with pytest.raises(TransitionError):
        lifecycle.confirm_cancel_unheld(held, NOW, leases=LEASES)


def test_holder_past_its_lease_may_write() -> None:
    """A late heartbeat renews the lease while nobody else has claimed, and keeps progress where it brings none."""
    progress = Progress(percent=5)
    beaten = lifecycle.heartbeat(stored(Status.RUNNING, progress=progress), NOW, fence=3, leases=LEASES)
    assert (beaten.lease_until, beaten.progress) == (LEASES.end(NOW), progress)
    newer = Progress(percent=6)
    assert lifecycle.heartbeat(beaten, NOW, fence=3, leases=LEASES, progress=newer).progress == newer


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
    failed = lifecycle.retry_later(stored(Status.RUNNING), NOW, fence=3, not_before=LEASES.end(NOW), error=ERROR)
    assert (failed.not_before, failed.last_error, failed.lease_until) == (LEASES.end(NOW), ERROR, None)


@pytest.mark.parametrize("status", [Status.CANCELING, Status.SUCCEEDED, Status.FAILED, Status.CANCELED])
def test_cancel_again_changes_nothing(status: Status) -> None:
    """A cancel of what is cancelled already, or over, returns the very record: nothing is written."""
    operation = stored(status)
    assert APPLY[Event.REQUEST_CANCEL](operation) is operation


def test_cancel_of_a_running_one_leaves_its_lease() -> None:
    """The attempt keeps its lease while it winds up."""
    asked = APPLY[Event.REQUEST_CANCEL](stored(Status.RUNNING, lease_until=LEASES.end(NOW)))
    assert (asked.lease_until, asked.fence, asked.outcome) == (LEASES.end(NOW), 3, None)


def test_restart() -> None:
    """A restart is a new generation, thus a new instance; the fence stays, and the next claim is due at once."""
    for status in (Status.NOT_STARTED, Status.RUNNING):
        again = APPLY[Event.RESTART](stored(status, lease_until=None, holder="", losses=2, fence=3))
        assert (again.generation, again.fence, again.losses, again.not_before) == (2, 3, 2, NOW)
        assert again.instance_id == f"{again.run_id}.2"


def test_unknown_action_is_noted_once() -> None:
    """Patience is counted from the first meeting."""
    assert APPLY[Event.NOTE_UNKNOWN_ACTION](stored(Status.NOT_STARTED)).unknown_since == NOW
    noted = stored(Status.NOT_STARTED, unknown_since=T0)
    assert APPLY[Event.NOTE_UNKNOWN_ACTION](noted) is noted


def test_give_up_from_outside() -> None:
    """An operation is failed from outside only as it was seen: unheld, and not touched by an attempt since."""
    seen = stored(Status.RUNNING)
    assert lifecycle.fail_unheld(seen, NOW, ERROR, seen=seen, leases=LEASES).status is Status.FAILED
    for moved in (
        replace(seen, lease_until=LEASES.end(NOW)),
        replace(seen, fence=4),
        replace(seen, holder="", lease_until=None),
        replace(seen, status=Status.CANCELING),
    ):
        with pytest.raises(FenceLost):
            lifecycle.fail_unheld(moved, NOW, ERROR, seen=seen, leases=LEASES)


def test_give_up_stuck() -> None:
    """A stuck attempt is ended under its fence: Failed, or Canceled where that was asked; not once it let go."""
    ended = lifecycle.give_up_stuck(stored(Status.RUNNING), NOW, fence=3)
    assert ended.outcome is not None
    assert ended.outcome.error is not None
    assert (ended.status, ended.outcome.error.code) == (Status.FAILED, "AttemptStuck")
    assert lifecycle.give_up_stuck(stored(Status.CANCELING), NOW, fence=3).status is Status.CANCELED
    for moved in (stored(Status.RUNNING, fence=4), stored(Status.RUNNING, holder="", lease_until=None)):
        with pytest.raises(FenceLost):
            lifecycle.give_up_stuck(moved, NOW, fence=3)


# Losses


def begun(**changes: Any) -> Operation:
    """An operation whose first attempt runs, under a lease that has run out at NOW."""
    first = lifecycle.claim(make_operation(), T0, holder="h1", timeout=TIMEOUT, leases=LEASES, instance="aa")
    return replace(first, **changes)


@pytest.mark.parametrize("event", [Event.CLAIM, Event.RESTART, Event.NOTE_LOSS])
def test_a_loss_is_counted_once(event: Event) -> None:
    """Whoever meets a lease that has run out counts the loss and clears the lease; nobody counts it again."""
    first = begun()
    lost = APPLY[event](first)
    assert (lost.losses, lost.failures) == (1, 0)
    if event is not Event.CLAIM:
        assert (lost.lease_until, lost.attempt_deadline, lost.holder) == (None, None, "")
        assert lost.not_before == NOW + wait(1)
        assert lost.last_error == lifecycle.LOST_ERROR
        due = replace(lost, not_before=NOW)
        assert APPLY[Event.RESTART](due).losses == 1
        with pytest.raises(TransitionError):
            APPLY[Event.NOTE_LOSS](due)
        lost = APPLY[Event.CLAIM](due)
    assert (lost.losses, lost.attempt, lost.fence, lost.last_error) == (1, 2, 2, None)


def test_a_live_lease_is_no_loss() -> None:
    """Neither is an operation that waits for its next attempt, however long it has waited."""
    with pytest.raises(TransitionError):
        APPLY[Event.NOTE_LOSS](begun(lease_until=LEASES.end(NOW)))
    waiting = APPLY[Event.CONTINUE_LATER](begun())
    for event in (Event.CLAIM, Event.RESTART):
        assert APPLY[event](waiting).losses == 0


@pytest.mark.parametrize("event", [Event.RETRY_LATER, Event.CONTINUE_LATER, Event.RESTART, Event.NOTE_LOSS])
@pytest.mark.parametrize(
    "write", [Event.HEARTBEAT, Event.RETRY_LATER, Event.CONTINUE_LATER, Event.SUCCEED, Event.FAIL], ids=str
)
def test_who_no_longer_holds_it_writes_nothing(event: Event, write: Event) -> None:
    """An attempt that has let go, or whose loss was counted, is over, though nobody has claimed after it."""
    with pytest.raises(FenceLost):
        APPLY[write](APPLY[event](begun()))


def test_give_up_counts_the_last_loss() -> None:
    """An operation that is given up or canceled over an expired lease has lost its attempt, and says so."""
    first = begun()
    for ended in (
        lifecycle.fail_unheld(first, NOW, lifecycle.LOST_ERROR, seen=first, leases=LEASES),
        lifecycle.confirm_cancel_unheld(replace(first, status=Status.CANCELING), NOW, leases=LEASES),
    ):
        assert (ended.losses, ended.attempts[-1].outcome) == (1, AttemptOutcome.LOST)


def test_lose() -> None:
    """What must not run again ends, by its own hand, as if it was lost."""
    ended = lifecycle.lose(begun(), NOW, fence=1)
    assert ended.outcome is not None
    assert (ended.status, ended.outcome.error, ended.losses) == (Status.FAILED, lifecycle.LOST_ERROR, 1)
    assert ended.attempts[-1].outcome is AttemptOutcome.LOST
    with pytest.raises(FenceLost):
        lifecycle.lose(begun(), NOW, fence=2)


# Cancel


def test_cancel_where_no_lease_lives() -> None:
    """A cancel of what nobody holds is Canceled at once; of what is held, or delegated, it has to be confirmed."""
    for unheld in (make_operation(), begun(), APPLY[Event.RETRY_LATER](begun()), APPLY[Event.RESTART](begun())):
        canceled = lifecycle.cancel(unheld, NOW, leases=LEASES)
        assert canceled.outcome is not None
        assert (canceled.status, canceled.outcome.error) == (Status.CANCELED, lifecycle.CANCELED_ERROR)
    for held in (begun(lease_until=LEASES.end(NOW)), make_operation(status=Status.RUNNING, external=True)):
        assert lifecycle.cancel(held, NOW, leases=LEASES).status is Status.CANCELING
    for status in (Status.CANCELING, Status.SUCCEEDED, Status.FAILED, Status.CANCELED):
        operation = stored(status)
        assert lifecycle.cancel(operation, NOW, leases=LEASES) is operation


# Attempts that can be seen


def test_attempts_are_recorded() -> None:
    """The record has each failure and loss, and the latest attempt, from its claim on."""
    first = begun()
    (running,) = first.attempts
    assert running == AttemptRecord(number=1, began=T0, instance="aa")
    failed = APPLY[Event.RETRY_LATER](first)
    (shown,) = failed.attempts
    assert (shown.ended, shown.outcome, shown.code, shown.message) == (NOW, "Failed", "Broken", "It broke.")
    given_back = APPLY[Event.GIVE_BACK](APPLY[Event.CLAIM](failed))
    assert [each.outcome for each in given_back.attempts] == ["Failed", "GivenBack"]
    again = APPLY[Event.CLAIM](given_back)
    assert [(each.number, each.outcome) for each in again.attempts] == [(1, "Failed"), (2, None)]
    lost = APPLY[Event.RESTART](replace(again, lease_until=T0))
    assert [each.outcome for each in lost.attempts] == ["Failed", "Lost"]
    assert (lost.attempts[-1].ended, lost.attempts[-1].code) == (T0, "AttemptLost")
    ended = APPLY[Event.SUCCEED](APPLY[Event.CLAIM](replace(lost, not_before=None)))
    assert [(each.number, each.outcome) for each in ended.attempts] == [(1, "Failed"), (2, "Lost"), (3, "Succeeded")]


def test_ten_attempts_are_kept() -> None:
    """However often it fails, the record has the last ten and the latest, with short texts that can be sent."""
    operation = make_operation()
    error = ErrorBody("C" * 1000, "m\ud800" * 1000)
    for _ in range(30):
        claimed = APPLY[Event.CLAIM](operation)
        operation = lifecycle.retry_later(claimed, NOW, fence=claimed.fence, not_before=NOW, error=error)
    kept = APPLY[Event.CLAIM](operation).attempts
    assert [each.number for each in kept] == [*range(21, 31), 31]
    assert (len(kept[0].code), len(kept[0].message), kept[0].message[:2]) == (100, 200, "m?")


def test_a_heartbeat_leaves_the_attempts() -> None:
    """Only a claim and what ends an attempt write them: a heartbeat stays small."""
    first = begun()
    assert APPLY[Event.HEARTBEAT](first).attempts is first.attempts
    assert APPLY[Event.REQUEST_CANCEL](first).attempts is first.attempts
