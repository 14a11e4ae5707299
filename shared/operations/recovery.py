"""What is overdue for one operation: the judgement on its record, and what is done about it.

Housekeeping asks for every operation that is active, a request for its own one.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from enum import Enum
from functools import partial

from shared.actions.declaration import Action
from shared.engine.port import Starter, Work
from shared.errors import EngineError, FenceLost, StorageConflict, StorageError, TransitionError
from shared.model import lifecycle
from shared.model.leases import Leases
from shared.model.lifecycle import Transition
from shared.model.operation import Operation, Status, instance_id
from shared.model.timing import Clock, Timing
from shared.operations.lease_watch import LeaseWatch, end_lease
from shared.operations.log_lines import about
from shared.operations.records import OperationRecords
from shared.operations.site import Site

_PURGED_AT_ONCE = 4
"""Instances that a wake purges at most: mostly there is one, and those of lost attempts."""

_log = logging.getLogger(__name__)


class Verdict(Enum):
    """What an active operation needs."""

    NOTHING = "nothing"
    CONFIRM_CANCEL = "confirm_cancel"
    EXCEED_DEADLINE = "exceed_deadline"
    GIVE_UP_STUCK = "give_up_stuck"
    GIVE_UP_LOST = "give_up_lost"
    RESTART = "restart"
    RESTART_UNLESS_LIVE = "restart_unless_live"
    WAKE = "wake"
    DELEGATE = "delegate"


def judge(
    operation: Operation, now: datetime, *, timing: Timing, leases: Leases, max_lost: int | None = None
) -> Verdict:
    """What to do about one record. Pure. `max_lost` is its action's; None where nobody here knows the action."""
    if operation.status.is_terminal:
        return Verdict.NOTHING
    if operation.external:
        return _judge_external(operation, now, timing, leases)
    if leases.are_live(operation, now):
        return _judge_held(operation, now, timing, leases)
    if operation.status is Status.CANCELING:
        return Verdict.CONFIRM_CANCEL
    if now >= operation.deadline:
        return Verdict.EXCEED_DEADLINE
    if max_lost is not None and lifecycle.losses(operation, now, leases=leases) >= max_lost:
        return Verdict.GIVE_UP_LOST
    if operation.status is Status.RUNNING and operation.lease_until is not None:
        return Verdict.RESTART
    return _judge_waiting(operation, now, timing, leases)


def _judge_held(operation: Operation, now: datetime, timing: Timing, leases: Leases) -> Verdict:
    """What an attempt holds is left to it. Of one of this process the process itself knows whether it hangs."""
    limit = operation.attempt_deadline
    is_stuck = limit is not None and now >= limit + timing.stuck_after and not leases.held_here(operation)
    return Verdict.GIVE_UP_STUCK if is_stuck else Verdict.NOTHING


def _judge_waiting(operation: Operation, now: datetime, timing: Timing, leases: Leases) -> Verdict:
    """What waits for an attempt: parked ones are woken at their time, and others left to the engine for some time."""
    if operation.look_at is not None:
        return Verdict.WAKE if now >= operation.look_at else Verdict.NOTHING
    due = max(operation.created, operation.not_before or operation.created)
    return Verdict.RESTART_UNLESS_LIVE if is_overdue(due, now, timing, leases) else Verdict.NOTHING


def is_overdue(due: datetime, now: datetime, timing: Timing, leases: Leases) -> bool:
    """Whether the engine has had its time since; one of a process that is gone needs none."""
    return leases.predates(due) or now >= due + timing.housekeeping_patience


def _judge_external(operation: Operation, now: datetime, timing: Timing, leases: Leases) -> Verdict:
    """What is delegated has deadlines only. While Canceling, `changed` is when that was asked for."""
    if operation.is_undelegated and now < operation.deadline:
        return Verdict.DELEGATE if is_overdue(operation.created, now, timing, leases) else Verdict.NOTHING
    if operation.status is Status.CANCELING:
        patience = min(operation.deadline, operation.changed + timing.external_cancel_grace)
        return Verdict.CONFIRM_CANCEL if now >= patience else Verdict.NOTHING
    return Verdict.EXCEED_DEADLINE if now >= operation.deadline else Verdict.NOTHING


class Recovery:
    """Does what is overdue for one operation."""

    def __init__(
        self,
        records: OperationRecords,
        actions: Mapping[str, Action],
        site: Site,
        *,
        clock: Clock,
        timing: Timing,
        randomness: Callable[[], float],
        delegate: Callable[[Operation], Awaitable[Operation]],
    ) -> None:
        """`actions`: all that an operation can be of, by name. `randomness` gives 0 up to 1; `delegate` delegates the
        work of an operation that may not have been."""
        self._records = records
        self._actions = actions
        self._site = site
        self._clock = clock
        self._timing = timing
        self._delegate = delegate
        self._loss_wait = partial(timing.loss_wait, randomness=randomness)
        self._lease_watch = LeaseWatch(timing.lease)
        self._tried: dict[str, float] = {}
        """Instances that requests tried to get going, the latest last: when (`Clock.monotonic()`)."""

    async def recover(self, operation: Operation, engine: Starter | None) -> tuple[Operation, Verdict]:
        """Do what is overdue; without an engine nothing is started. The operation as it is then, and what was done.

        Raises EngineError where the engine does not say whether it has the operation, and FenceLost, TransitionError
        or StorageConflict where somebody else has moved it meanwhile.
        """
        seen, now, leases = operation, self._clock.now(), self._records.leases
        if self._lease_watch.is_abandoned(seen, now, self._clock.monotonic()) and not leases.held_here(seen):
            operation = await self._records.change(seen, lambda o: end_lease(o, now, seen=seen, leases=leases))
        verdict = self._judge(operation)
        match verdict:
            case Verdict.NOTHING:
                return operation, verdict
            case Verdict.RESTART | Verdict.RESTART_UNLESS_LIVE:
                return await self._restart(operation, engine, verdict)
            case Verdict.WAKE:
                return await self._wake(operation, engine)
            case Verdict.DELEGATE:
                return await self._delegate(operation), verdict
            case _:
                return await self._records.change(operation, self._end(operation, verdict)), verdict

    async def recover_for_request(self, operation: Operation, engine: Starter | None) -> Operation:
        """As `recover`, for a request that has just read the operation. It raises nothing: housekeeping tries again.

        It does nothing where another site has the namespace, and takes `Timing.recover_within` at most. The engine is
        not asked at every poll about what waits for its turn.
        """
        if operation.status.is_terminal or (not operation.external and self._records.is_held_here(operation)):
            # What an attempt of this process holds is left to it, as `judge` has it: most polls are of such a one.
            return operation
        verdict = self._judge(operation)
        if verdict is Verdict.NOTHING or verdict is Verdict.DELEGATE:
            # To delegate may take longer than a request has: only housekeeping lets it end.
            return operation
        if verdict is Verdict.RESTART_UNLESS_LIVE and (engine is None or not self._may_try(operation.instance_id)):
            return operation
        try:
            async with self._clock.timeout(self._timing.recover_within):
                if await self._site.conflict():
                    return operation
                return (await self.recover(operation, engine))[0]
        except (FenceLost, TransitionError, StorageConflict):
            pass  # Somebody else has moved it since it was read.
        except (EngineError, StorageError, TimeoutError) as error:
            reason = str(error) or "it took too long"
            about(_log, operation, "recovery_failed").warning("What is overdue is left to housekeeping: %s", reason)
        except Exception:
            about(_log, operation, "recovery_failed").exception("What is overdue is left to housekeeping")
        return operation

    def _judge(self, operation: Operation) -> Verdict:
        action, now = self._actions.get(operation.action), self._records.verdict_clock.now()
        max_lost = None if action is None else action.max_lost
        return judge(operation, now, timing=self._timing, leases=self._records.leases, max_lost=max_lost)

    def _may_try(self, instance_id: str) -> bool:
        """Whether no request has tried to get it going within `Timing.housekeeping_patience`; from now on it was."""
        now = self._clock.monotonic()
        before = now - self._timing.housekeeping_patience.total_seconds()
        while self._tried and self._tried[oldest := next(iter(self._tried))] <= before:
            del self._tried[oldest]
        if instance_id in self._tried:
            return False
        self._tried[instance_id] = now
        return True

    def _end(self, operation: Operation, verdict: Verdict) -> Transition:
        now, leases = self._clock.now(), self._records.leases
        match verdict:
            case Verdict.CONFIRM_CANCEL:
                return lambda o: lifecycle.confirm_cancel_unheld(o, now, leases=leases)
            case Verdict.EXCEED_DEADLINE | Verdict.GIVE_UP_LOST:
                is_lost = verdict is Verdict.GIVE_UP_LOST
                error = lifecycle.LOST_ERROR if is_lost else lifecycle.DEADLINE_ERROR
                return lambda o: lifecycle.fail_unheld(o, now, error, seen=operation, leases=leases)
            case _:
                return lambda o: lifecycle.give_up_stuck(o, now, fence=operation.fence)

    async def _restart(
        self, operation: Operation, engine: Starter | None, verdict: Verdict
    ) -> tuple[Operation, Verdict]:
        if engine is None:
            return operation, Verdict.NOTHING
        if verdict is Verdict.RESTART_UNLESS_LIVE and await engine.is_live(operation.instance_id):
            return operation, Verdict.NOTHING
        generation = operation.generation

        def restart(o: Operation) -> Operation:
            if o.generation != generation:
                raise FenceLost(f"operation {o.id} was restarted by somebody else")
            return lifecycle.restart(o, self._clock.now(), leases=self._records.leases, wait=self._loss_wait)

        restarted = await self._records.change(operation, restart)
        if not await self._started(restarted, engine):
            return restarted, Verdict.NOTHING
        about(_log, restarted, "restarted").warning("Restarted an operation")
        return restarted, verdict

    async def _started(self, operation: Operation, engine: Starter) -> bool:
        """Whether the engine has taken its latest generation; otherwise a later pass starts another one."""
        try:
            await engine.start(operation.instance_id, Work.of(operation))
        except EngineError as error:
            about(_log, operation, "restart_failed").warning("Could not restart an operation: %s", error)
            return False
        return True

    async def _wake(self, operation: Operation, engine: Starter | None) -> tuple[Operation, Verdict]:
        """Start a parked one whose time has come. A crash behind the write leaves it active: then it is started again.

        The instance before has ended when it was parked. It is purged here, so that the removal need not purge as many
        as an operation has slept.
        """
        if engine is None:
            return operation, Verdict.NOTHING
        seen, purged = operation, operation.purged
        for generation in range(purged + 1, min(operation.generation, purged + _PURGED_AT_ONCE) + 1):
            if not await _is_purged(instance_id(operation.run_id, generation), engine):
                break
            purged = generation
        woken = await self._records.change(
            operation, lambda o: lifecycle.wake(o, self._clock.now(), seen=seen, purged=purged)
        )
        if not await self._started(woken, engine):
            return woken, Verdict.NOTHING
        about(_log, woken, "woken").info("Woke an operation")
        return woken, Verdict.WAKE


async def _is_purged(instance_id: str, engine: Starter) -> bool:
    try:
        return await engine.purge(instance_id)
    except EngineError:
        return False  # The removal does it.
