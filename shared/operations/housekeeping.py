"""What keeps operations moving: restarts, wakes, deadlines, abandoned cancels, expiry; and the sweeps.

The same pass runs on Azure and on the local host. An idle one costs 33 queries however many records there are.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

from shared.engine.port import Engine
from shared.errors import EngineError, FenceLost, StorageConflict, StorageError, TransitionError
from shared.model.ids import Locator
from shared.model.operation import Operation
from shared.model.timing import Clock, Timing
from shared.operations.after_end import AfterEnd
from shared.operations.backlog import Backlog, BacklogReport
from shared.operations.log_lines import about
from shared.operations.records import OperationRecords
from shared.operations.recovery import Recovery, Verdict, is_overdue
from shared.operations.remains import Remains
from shared.operations.removal import Removals
from shared.operations.rows import Look
from shared.operations.site import Site

_PARALLEL = 8

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Report:
    """What one pass did."""

    looked_at: int = 0
    restarted: int = 0
    woken: int = 0
    canceled: int = 0
    failed: int = 0
    removed: int = 0

    def count(self, done: Verdict) -> None:
        """One more operation for which that was done."""
        match done:
            case Verdict.RESTART | Verdict.RESTART_UNLESS_LIVE | Verdict.DELEGATE:
                self.restarted += 1
            case Verdict.WAKE:
                self.woken += 1
            case Verdict.CONFIRM_CANCEL:
                self.canceled += 1
            case Verdict.EXCEED_DEADLINE | Verdict.GIVE_UP_STUCK | Verdict.GIVE_UP_LOST:
                self.failed += 1
            case Verdict.NOTHING:
                pass

    @property
    def did_something(self) -> bool:
        return bool(self.restarted or self.woken or self.canceled or self.failed or self.removed)

    def __str__(self) -> str:
        return ", ".join(f"{field.name} {getattr(self, field.name)}" for field in fields(self))


class Housekeeping:
    """One pass over what is active and what has expired."""

    def __init__(
        self,
        records: OperationRecords,
        recovery: Recovery,
        removals: Removals,
        site: Site,
        *,
        clock: Clock,
        timing: Timing,
        randomness: Callable[[], float],
        after_end: AfterEnd,
        sweeps: Mapping[str, Callable[[], Awaitable[None]]],
    ) -> None:
        """A pass does nothing while another than this `site` has the namespace.

        `randomness`, 0 up to 1, says where a pass begins: one that does not get to the end leaves others behind.
        `after_end` is done once more before a removal, while there still is a record that tells how it ended.
        `sweeps`, by their names, remove in bounded steps what nothing else leads to.
        """
        self._records = records
        self._recovery = recovery
        self._removals = removals
        self._site = site
        self._clock = clock
        self._timing = timing
        self._randomness = randomness
        self._after_end = after_end
        self._sweeps = sweeps
        self._backlog = BacklogReport(clock=clock, timing=timing)

    async def run(self, engine: Engine) -> Report:
        report, backlog = Report(), Backlog()
        if not await self._site.hold():
            return report
        now, start, timing = self._records.verdict_clock.now(), self._randomness(), self._timing
        due = self._records.due(now, start=start)
        looks = (each.locator async for each in due if isinstance(each, Look))
        tended = _in_turns(self._active(now, start, backlog), looks)
        tending = _side_by_side(tended, lambda locator: self._tend(locator, engine, report, backlog))
        if not await self._ends_within(timing.tending_within, tending):
            backlog.is_complete = False
            _log.warning("Not all that is active was looked at in this pass", extra={"event": "tending_unfinished"})
        self._backlog.tell(backlog)
        expired = (each async for each in due if not isinstance(each, Look))
        removals = _side_by_side(expired, lambda each: self._remove(each, engine, report))
        if not await self._ends_within(timing.removals_within, removals):
            _log.warning("Not all that has expired was removed in this pass", extra={"event": "removals_unfinished"})
        for name, sweep in self._sweeps.items():
            await self._sweep(name, sweep)
        return report

    async def _ends_within(self, seconds: float, work: Coroutine[Any, Any, None]) -> bool:
        """Whether it has ended by then; what it has not got to is left to later passes, which begin elsewhere."""
        try:
            async with self._clock.timeout(seconds):
                await work
        except TimeoutError:
            return False
        return True

    async def _active(self, now: datetime, start: float, backlog: Backlog) -> AsyncIterator[Locator]:
        async for locator, created in self._records.active(start=start):
            # One that was created later than now may be old: the clock was set back.
            if created > now or is_overdue(created, now, self._timing, self._records.leases):
                yield locator
            else:
                backlog.young += 1

    async def _tend(self, locator: Locator, engine: Engine, report: Report, backlog: Backlog) -> None:
        operation: Operation | None = None
        try:
            operation = await self._records.read(locator, for_monitor=True)
            if operation is not None:
                report.looked_at += 1
                backlog.note(operation, self._records.verdict_clock.now())
                _, done = await self._recovery.recover(operation, engine)
                report.count(done)
        except (FenceLost, TransitionError, StorageConflict):
            pass  # Somebody else moved the operation in the meantime: the next pass looks again.
        except EngineError as error:
            about(_log, operation or locator, "restart_failed").warning("Could not restart an operation: %s", error)
        except StorageError as error:
            about(_log, operation or locator, "tend_failed").warning("Could not tend an operation: %s", error)
        except Exception:
            # One record that cannot be read must not keep the pass from all others.
            about(_log, operation or locator, "tend_failed").exception("Could not tend an operation")

    async def _remove(self, expired: Locator | Remains, engine: Engine, report: Report) -> None:
        if isinstance(expired, Remains):
            await self._removals.clear(expired, engine)
            return
        locator = expired
        operation: Operation | None = None
        try:
            operation = await self._records.read(locator)
            if operation and operation.expires and operation.expires <= self._records.verdict_clock.now():
                await self._after_end(operation)
                if await self._removals.remove(operation, engine):
                    report.removed += 1
        except StorageError as error:
            about(_log, operation or locator, "purge_failed").warning("Could not remove an operation: %s", error)
        except Exception:
            about(_log, operation or locator, "purge_failed").exception("Could not remove an operation")

    async def _sweep(self, name: str, sweep: Callable[[], Awaitable[None]]) -> None:
        try:
            async with self._clock.timeout(self._timing.sweep_within):
                await sweep()
        except Exception as error:
            is_known = isinstance(error, StorageError | TimeoutError)
            _log.warning(
                "The sweep %s goes on with the next pass: %r",
                name,
                error,
                exc_info=not is_known,
                extra={"event": "sweep_failed", "sweep": name},
            )


_T = TypeVar("_T")


async def _in_turns(*streams: AsyncIterator[_T]) -> AsyncIterator[_T]:
    """One of each in turn, so that none has to wait for the end of another."""
    left = list(streams)
    while left:
        for stream in tuple(left):
            try:
                yield await anext(stream)
            except StopAsyncIteration:
                left.remove(stream)


async def _side_by_side(stream: AsyncIterator[_T], work: Callable[[_T], Awaitable[None]]) -> None:
    """Work through a stream, a few at a time, without holding it all."""
    places = asyncio.Semaphore(_PARALLEL)

    async def one(each: _T) -> None:
        try:
            await work(each)
        finally:
            places.release()

    async with asyncio.TaskGroup() as group:
        async for each in stream:
            await places.acquire()
            group.create_task(one(each))
