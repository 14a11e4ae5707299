"""The lifecycle under any order of events, from attempts that live, are late, or were lost: what always holds."""

from collections.abc import Callable
from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shared.errors import ErrorBody, FenceLost, TransitionError
from shared.model import lifecycle
from shared.model.attempts import KEPT, AttemptOutcome
from shared.model.operation import Operation, Outcome, Status
from tests.support.parts import LEASES, T0, make_operation

ERROR = ErrorBody("Broken", "It broke.")
TIMEOUT = timedelta(minutes=5)
COUNTED = {AttemptOutcome.FAILED, AttemptOutcome.LOST}


def wait(losses: int) -> timedelta:
    """What the next claim waits after so many losses."""
    return timedelta(seconds=(0, 5, 30, 120)[min(losses, 4) - 1])


class Lifecycle(RuleBasedStateMachine):
    """One record, moved by whoever has ever claimed it, by deliveries, by housekeeping and by a caller."""

    def __init__(self) -> None:
        super().__init__()
        self.operation = make_operation()
        self.now = T0
        self.claims = 0
        self.failures = 0
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
        self.operation = after
        return True

    @rule(seconds=st.sampled_from([1, 5, 29, 30, 60, 300]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def claim(self) -> None:
        before, now = self.operation, self.now
        if self.move(lambda o, now: lifecycle.claim(o, now, holder=f"h{o.fence + 1}", timeout=TIMEOUT, leases=LEASES)):
            self.claims += 1
            assert not LEASES.are_live(before, now), "two attempts at once"
            assert before.not_before is None or before.not_before <= now
            assert self.operation.attempt == self.failures + len(self.lost) + 1

    @rule()
    def note_loss(self) -> None:
        if self.move(lambda o, now: lifecycle.note_loss(o, now, leases=LEASES, wait=wait)):
            assert self.operation.not_before == self.now + wait(len(self.lost))

    @rule()
    def restart(self) -> None:
        self.move(lambda o, now: lifecycle.restart(o, now, leases=LEASES, wait=wait))

    @rule(age=st.integers(0, 2))
    def heartbeat(self, age: int) -> None:
        if self.move(lambda o, now: lifecycle.heartbeat(o, now, fence=self.claims - age, leases=LEASES)):
            assert age == 0, "an older claim has written"

    @rule(age=st.integers(0, 2), seconds=st.sampled_from([0, 5, 60]))
    def retry(self, age: int, seconds: int) -> None:
        later = self.now + timedelta(seconds=seconds)
        held = self.operation.lease_until is not None
        if held and self.move(
            lambda o, now: lifecycle.retry_later(o, now, fence=self.claims - age, not_before=later, error=ERROR)
        ):
            assert age == 0
            self.failures = self.operation.failures

    @rule(age=st.integers(0, 2))
    def give_back(self, age: int) -> None:
        if self.operation.lease_until is not None:
            self.move(lambda o, now: lifecycle.continue_later(o, now, fence=self.claims - age, not_before=now))

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
        assert operation.losses == len(self.lost)
        assert operation.failures + operation.losses <= operation.fence

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
