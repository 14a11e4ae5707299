"""The lifecycle under any order of events, from attempts that live, are late, or were lost: what always holds."""

from collections.abc import Callable
from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shared.errors import ErrorBody, FenceLost, TransitionError
from shared.model import lifecycle
from shared.model.attempts import KEPT, AttemptOutcome
from shared.model.operation import Operation, Outcome, Payload, Status
from shared.model.timing import Timing
from shared.operations import rows
from shared.storage.limits import check_transaction
from shared.storage.ports import Delete
from tests.support.parts import LEASES, T0, make_operation

ERROR = ErrorBody("Broken", "It broke.")
TIMEOUT = timedelta(minutes=5)
TIMING = Timing()
COUNTED = {AttemptOutcome.FAILED, AttemptOutcome.LOST}


def wait(losses: int) -> timedelta:
    """What the next claim waits after so many losses."""
    return timedelta(seconds=(0, 5, 30, 120)[min(losses, 4) - 1])


def found_by(operation: Operation) -> set[str]:
    """The keys of the rows by which housekeeping finds it."""
    if operation.status.is_terminal:
        return {rows.expiry_key(operation)}
    if operation.is_parked:
        return {operation.locator.parked_key, rows.look_key(operation)}
    return {operation.locator.active_key}


class Lifecycle(RuleBasedStateMachine):
    """One record, moved by whoever has ever claimed it, by deliveries, by housekeeping and by a caller."""

    def __init__(self) -> None:
        super().__init__()
        self.operation = self.stored = make_operation()
        self.now = T0
        self.claims = 0
        self.failures = 0
        """Since the last changed checkpoint."""
        self.losses = 0
        """Since then."""
        self.content = 0
        """The last checkpoint; 0 for none."""
        self.idle = 0
        """Slices in a row that ended at once, on purpose, without a new checkpoint."""
        self.progressed = False
        """Whether the latest claim has stored a new one."""
        self.claimed_at = T0
        self.lost: set[int] = set()
        """The fences of the claims whose lease was met after it had run out."""

    def move(self, event: Callable[[Operation, datetime], Operation]) -> bool:
        """Apply an event, if it is allowed; whether it was."""
        before = self.operation
        ran_out = LEASES.ran_out(before, self.now)
        try:
            after = event(before, self.now)
        except (FenceLost, TransitionError):
            return False
        if before.status.is_terminal:
            assert after is before
        if after.losses > before.losses:
            assert ran_out
            assert before.fence not in self.lost
            self.lost.add(before.fence)
            self.losses += 1
        self.operation = after
        return True

    @initialize(seconds=st.sampled_from([None, -5, 0, 5, 600, 601, 7200]))
    def start(self, seconds: int | None) -> None:
        """At once, or not before a time that the caller has named."""
        if seconds is None:
            return
        moment = T0 + timedelta(seconds=seconds)
        self.operation = self.stored = lifecycle.scheduled(self.operation, moment, park_after=TIMING.park_after)
        assert self.operation.is_parked == (seconds > 600)
        assert (self.operation.waiting_for == "time") == (seconds > 0)

    @rule(seconds=st.sampled_from([0.4, 1, 5, 29, 30, 60, 300, 3600]))
    def time_passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def claim(self) -> None:
        before, now = self.operation, self.now
        if self.move(lambda o, now: lifecycle.claim(o, now, holder=f"h{o.fence + 1}", timeout=TIMEOUT, leases=LEASES)):
            self.claims += 1
            self.progressed, self.claimed_at = False, now
            assert not LEASES.are_live(before, now), "two attempts at once"
            assert before.not_before is None or before.not_before <= now
            assert not before.is_parked
            counted = [each.outcome in COUNTED for each in before.attempts[-1:]] == [True]
            lost = self.operation.losses > before.losses
            assert self.operation.attempt == max(1, before.attempt + (counted or lost)), "the number goes on"

    @rule()
    def note_loss(self) -> None:
        if self.move(lambda o, now: lifecycle.note_loss(o, now, leases=LEASES, wait=wait)):
            assert self.operation.not_before == self.now + wait(self.losses)

    @rule()
    def restart(self) -> None:
        self.move(lambda o, now: lifecycle.restart(o, now, leases=LEASES, wait=wait))

    @rule(age=st.integers(0, 2))
    def heartbeat(self, age: int) -> None:
        if self.move(lambda o, now: lifecycle.heartbeat(o, now, fence=self.claims - age, leases=LEASES)):
            assert age == 0, "an older claim has written"

    @rule(age=st.integers(0, 2), content=st.integers(1, 3))
    def save(self, age: int, content: int) -> None:
        before, saved = self.operation, Payload("application/json", 1, str(content) * 64, text=str(content))
        beat = {"fence": self.claims - age, "leases": LEASES}
        if not self.move(lambda o, now: lifecycle.heartbeat(o, now, **beat, saved=saved)):
            return
        assert age == 0, "an older claim has saved"
        assert (before.attempt, before.attempts) == (self.operation.attempt, self.operation.attempts)
        if content != self.content:
            self.failures = self.losses = self.idle = 0
            self.content, self.progressed = content, True

    @rule(age=st.integers(0, 2))
    def note_step(self, age: int) -> None:
        before = self.operation
        if self.move(lambda o, now: lifecycle.note_step(o, now, fence=self.claims - age, leases=LEASES)):
            assert age == 0, "an older claim has noted a step"
            assert self.operation.steps == before.steps + 1

    @rule(age=st.integers(0, 2), seconds=st.sampled_from([0, 5, 60, 600, 601, 3600, 86_400]))
    def retry(self, age: int, seconds: int) -> None:
        later = self.now + timedelta(seconds=seconds)
        held = self.operation.lease_until is not None
        wait = {"not_before": later, "error": ERROR, "park_after": TIMING.park_after}
        if held and self.move(lambda o, now: lifecycle.retry_later(o, now, fence=self.claims - age, **wait)):
            assert age == 0
            self.failures += 1
            self.check_wait("retry", seconds)

    @rule(age=st.integers(0, 2), seconds=st.sampled_from([0, 5, 601, 86_400]))
    def end_slice(self, age: int, seconds: int) -> None:
        if self.operation.lease_until is None:
            return
        is_brief = self.now - self.claimed_at < TIMING.brief_slice and not self.progressed
        after = {"after": timedelta(seconds=seconds), "brief": TIMING.brief_slice, "idle_wait": TIMING.slice_wait}
        after |= {"park_after": TIMING.park_after}
        if self.move(lambda o, now: lifecycle.continue_later(o, now, fence=self.claims - age, **after)):
            assert age == 0
            self.idle = self.idle + 1 if is_brief else 0
            least = min(60, 2 ** (self.idle - 1)) if self.idle else 0
            self.check_wait("time", max(seconds, least))

    def check_wait(self, reason: str, seconds: float) -> None:
        """Whoever has let go waits so long, and is parked where that is more than ten minutes."""
        operation = self.operation
        if operation.status.is_terminal:
            return
        assert operation.not_before == self.now + timedelta(seconds=seconds)
        assert operation.waiting_for == (reason if seconds else "")
        assert operation.is_parked == (seconds > 600)

    @rule()
    def wake(self) -> None:
        before = self.operation
        if before.look_at is None or self.now < before.look_at:
            return
        assert self.move(lambda o, now: lifecycle.wake(o, now, seen=before))
        assert self.operation.generation == before.generation + 1
        assert not self.move(lambda o, now: lifecycle.wake(o, now, seen=before)), "woken twice"

    @rule(age=st.integers(0, 2))
    def give_back(self, age: int) -> None:
        if self.operation.lease_until is not None:
            self.move(lambda o, now: lifecycle.give_back(o, now, fence=self.claims - age, not_before=now))

    @rule(age=st.integers(0, 2), good=st.booleans())
    def settle(self, age: int, good: bool) -> None:
        if self.operation.lease_until is None:
            return
        end, outcome = (lifecycle.succeed, Outcome(204)) if good else (lifecycle.fail, Outcome(500, error=ERROR))
        if self.move(lambda o, now: end(o, now, fence=self.claims - age, outcome=outcome)):
            assert age == 0

    @rule()
    def cancel(self) -> None:
        before, live = self.operation, LEASES.are_live(self.operation, self.now)
        self.move(lambda o, now: lifecycle.cancel(o, now, leases=LEASES))
        if before.status in (Status.NOT_STARTED, Status.RUNNING):
            assert self.operation.status is (Status.CANCELING if live else Status.CANCELED)
        else:
            assert self.operation is before

    @rule()
    def confirm_unheld(self) -> None:
        self.move(lambda o, now: lifecycle.confirm_cancel_unheld(o, now, leases=LEASES))

    @rule()
    def give_up(self) -> None:
        if self.now >= T0 + timedelta(hours=1):
            seen = self.operation
            self.move(lambda o, now: lifecycle.fail_unheld(o, now, ERROR, seen=seen, leases=LEASES))

    @invariant()
    def counts(self) -> None:
        operation = self.operation
        assert operation.fence == self.claims
        assert (operation.failures, operation.losses) == (self.failures, self.losses)
        assert operation.forgiven + operation.failures + operation.losses <= operation.fence
        assert operation.idle_slices == self.idle
        assert (operation.saved.text if operation.saved else "0") == str(self.content)

    @invariant()
    def parked(self) -> None:
        """Who is parked has no attempt, and is found by one row instead of another, in one transaction."""
        operation = self.operation
        assert (operation.waiting_for != "") == (operation.waiting_since is not None)
        if operation.waiting_for:
            assert operation.is_waiting
        if operation.look_at is not None:
            assert operation.waiting_for
            assert operation.look_at == min(operation.not_before or T0, operation.deadline)
        old, changes = self.stored, rows.updates(self.stored, operation)
        found = found_by(old)
        for change in changes:
            found = found - {change.key} if isinstance(change, Delete) else found | {change.key}
        assert {key for key in found if key[:2] in ("a!", "p!", "t!")} == found_by(operation)
        check_transaction(operation.locator.partition, changes)
        self.stored = operation

    @invariant()
    def status_and_lease(self) -> None:
        operation = self.operation
        held = operation.lease_until is not None
        assert held == (operation.holder != "")
        assert held == (operation.attempt_deadline is not None)
        if operation.status is Status.NOT_STARTED:
            assert operation.fence == 0
        if operation.status is Status.CANCELING:
            assert held
        if operation.status.is_terminal or operation.status is Status.NOT_STARTED:
            assert not held
        assert (operation.outcome is not None) == operation.status.is_terminal
        if held:
            assert operation.last_error is None

    @invariant()
    def attempts(self) -> None:
        found = self.operation.attempts
        assert len(found) <= KEPT + 1
        assert all(each.outcome in COUNTED for each in found[:-1])
        is_open = bool(found) and found[-1].outcome is None
        assert is_open == (self.operation.lease_until is not None)
        assert [each.number for each in found] == sorted(each.number for each in found)


TestLifecycle = Lifecycle.TestCase
TestLifecycle.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
