"""What keeps operations moving when something was lost: restarts, deadlines, abandoned cancels, expiry.

The same pass runs on Azure and on the local host. An idle one costs 32 queries however many records there are.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import Enum

from shared.engine.port import Engine, Work
from shared.errors import EngineError, ErrorBody, FenceLost, StorageConflict, TransitionError
from shared.operations import lifecycle
from shared.operations.ids import Locator
from shared.operations.model import Operation, Status
from shared.operations.records import OperationRecords

PATIENCE = timedelta(seconds=10)
"""How long a start, or a due retry, is left to the engine before housekeeping looks."""

STUCK_AFTER = timedelta(seconds=60)
"""How long past its attempt's deadline a holder may still renew its lease before it is given up."""

CANCEL_GRACE = timedelta(minutes=5)
"""How long whoever drives an external operation has to confirm a cancel: it hears of it at its next update only."""

_PARALLEL = 8

_log = logging.getLogger(__name__)


class Verdict(Enum):
    """What an active operation needs."""

    NOTHING = "nothing"
    CONFIRM_CANCEL = "confirm_cancel"
    EXCEED_DEADLINE = "exceed_deadline"
    GIVE_UP_STUCK = "give_up_stuck"
    RESTART = "restart"
    RESTART_UNLESS_LIVE = "restart_unless_live"


@dataclass(slots=True)
class Report:
    """What one pass did."""

    looked_at: int = 0
    restarted: int = 0
    canceled: int = 0
    failed: int = 0
    removed: int = 0

    @property
    def did_something(self) -> bool:
        return bool(self.restarted or self.canceled or self.failed or self.removed)

    def __str__(self) -> str:
        return ", ".join(f"{field.name} {getattr(self, field.name)}" for field in fields(self))


def judge(operation: Operation, now: datetime) -> Verdict:
    """What to do about one record. Pure."""
    if operation.status.is_terminal:
        return Verdict.NOTHING
    if operation.external:
        return _judge_external(operation, now)
    if operation.lease_is_live(now):
        limit = operation.attempt_deadline
        return Verdict.GIVE_UP_STUCK if limit and now >= limit + STUCK_AFTER else Verdict.NOTHING
    if operation.status is Status.CANCELING:
        return Verdict.CONFIRM_CANCEL
    if now >= operation.deadline:
        return Verdict.EXCEED_DEADLINE
    if operation.status is Status.RUNNING and operation.lease_until is not None:
        return Verdict.RESTART
    due = max(operation.created, operation.not_before or operation.created)
    return Verdict.RESTART_UNLESS_LIVE if now >= due + PATIENCE else Verdict.NOTHING


def _judge_external(operation: Operation, now: datetime) -> Verdict:
    """What is driven from elsewhere has deadlines only. While Canceling, `changed` is when that was asked for."""
    if operation.status is Status.CANCELING:
        patience = min(operation.deadline, operation.changed + CANCEL_GRACE)
        return Verdict.CONFIRM_CANCEL if now >= patience else Verdict.NOTHING
    return Verdict.EXCEED_DEADLINE if now >= operation.deadline else Verdict.NOTHING


class Housekeeping:
    """One pass over what is active and what has expired."""

    def __init__(
        self,
        records: OperationRecords,
        *,
        clock: Callable[[], datetime],
        before_removal: Callable[[Operation], Awaitable[None]] | None = None,
    ) -> None:
        """`before_removal` does what the end of an operation left to its readers, while there is still a record."""
        self._records = records
        self._clock = clock
        self._before_removal = before_removal

    async def run(self, engine: Engine) -> Report:
        report = Report()
        now = self._clock()
        await _side_by_side(self._due(now), lambda locator: self._tend(locator, engine, report))
        await _side_by_side(self._records.expired(now), lambda locator: self._remove(locator, report))
        return report

    async def _due(self, now: datetime) -> AsyncIterator[Locator]:
        async for locator, created in self._records.active():
            if now >= created + PATIENCE:
                yield locator

    async def _tend(self, locator: Locator, engine: Engine, report: Report) -> None:
        try:
            operation = await self._records.read(locator, for_monitor=True)
            if operation is not None:
                report.looked_at += 1
                await self._act(judge(operation, self._clock()), operation, engine, report)
        except (FenceLost, TransitionError, StorageConflict):
            pass  # Somebody else moved the operation in the meantime: the next pass looks again.
        except EngineError as error:
            _log.warning("Could not restart an operation: %s", error, extra={"action": "restart_failed"})
        except Exception:
            # One record that cannot be read must not keep the pass from all others.
            _log.exception("Could not tend an operation", extra={"action": "tend_failed", "operation_id": locator.id})

    async def _act(self, verdict: Verdict, operation: Operation, engine: Engine, report: Report) -> None:
        now = self._clock()
        match verdict:
            case Verdict.NOTHING:
                return
            case Verdict.CONFIRM_CANCEL:
                await self._records.change(operation, lambda o: lifecycle.confirm_cancel(o, now))
                report.canceled += 1
            case Verdict.EXCEED_DEADLINE:
                error = ErrorBody("DeadlineExceeded", "The operation did not end before its deadline.")
                await self._records.change(operation, lambda o: lifecycle.fail_unheld(o, now, error, seen=operation))
                report.failed += 1
            case Verdict.GIVE_UP_STUCK:
                await self._records.change(operation, lambda o: lifecycle.give_up_stuck(o, now, fence=operation.fence))
                report.failed += 1
            case Verdict.RESTART:
                await self._restart(operation, engine, report)
            case Verdict.RESTART_UNLESS_LIVE:
                if not await engine.is_live(operation.instance_id):
                    await self._restart(operation, engine, report)

    async def _restart(self, operation: Operation, engine: Engine, report: Report) -> None:
        generation = operation.generation

        def restart(o: Operation) -> Operation:
            if o.generation != generation:
                raise FenceLost(f"operation {o.id} was restarted by somebody else")
            return lifecycle.restart(o, self._clock())

        restarted = await self._records.change(operation, restart)
        await engine.start(restarted.instance_id, Work.of(restarted))
        report.restarted += 1
        _log.warning(
            "Restarted an operation",
            extra={"action": "restarted", "operation_id": operation.id, "action_name": operation.action},
        )

    async def _remove(self, locator: Locator, report: Report) -> None:
        try:
            operation = await self._records.read(locator)
            if operation and operation.expires and operation.expires <= self._clock():
                if self._before_removal is not None:
                    await self._before_removal(operation)
                report.removed += await self._records.purge(operation)
        except Exception:
            _log.exception(
                "Could not remove an operation", extra={"action": "purge_failed", "operation_id": locator.id}
            )


async def _side_by_side(locators: AsyncIterator[Locator], work: Callable[[Locator], Awaitable[None]]) -> None:
    """Work through a stream, a few at a time, without holding it all."""
    places = asyncio.Semaphore(_PARALLEL)

    async def one(locator: Locator) -> None:
        try:
            await work(locator)
        finally:
            places.release()

    async with asyncio.TaskGroup() as group:
        async for locator in locators:
            await places.acquire()
            group.create_task(one(locator))
