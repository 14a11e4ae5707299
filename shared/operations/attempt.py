"""An attempt under way in this process: its copy of the record, its heartbeat, its progress, its cancellation."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

from shared.actions.attempt_context import StepResult
from shared.errors import ActionCanceled, FenceLost, StorageError, TransitionError
from shared.frozen import replace
from shared.model import lifecycle
from shared.model.ids import Locator
from shared.model.operation import Operation, Payload, Progress, Status
from shared.model.timing import Clock, Timing
from shared.operations.checkpoints import Checkpoints
from shared.operations.durations import Durations
from shared.operations.files import ResultFiles
from shared.operations.invocations import current
from shared.operations.log_lines import about
from shared.operations.loop_watch import watch_loop
from shared.operations.recent_starts import RecentStarts
from shared.operations.records import OperationRecords
from shared.operations.snapshots import CHECKPOINT, MAX_CHECKPOINT_BYTES, Snapshot, snapshot
from shared.operations.steps import Steps
from shared.operations.tasks import is_set_within
from shared.operations.waiting import Completions
from shared.settings import MAX_RESULT_BYTES
from shared.storage.ports import Change

_log = logging.getLogger(__name__)

T = TypeVar("T")


class LiveAttempt:
    """Keeps the lease of one claimed operation. The handler's side may be used from any thread."""

    def __init__(
        self,
        records: OperationRecords,
        operation: Operation,
        *,
        clock: Clock,
        timing: Timing,
        max_step_bytes: int = MAX_RESULT_BYTES,
        max_file_bytes: int | None = None,
    ) -> None:
        """`max_file_bytes`: of a file that is the result; None where the action returns none."""
        self.operation = operation
        self._records = records
        self._clock = clock
        self._timing = timing
        self.fence = operation.fence
        now = clock.now()
        self._ends = clock.monotonic() + ((operation.attempt_deadline or now) - now).total_seconds()
        """Its deadline, by the monotonic clock."""
        self._loop = asyncio.get_running_loop()
        self.invocation = current()
        self._wake = asyncio.Event()
        self._closed = asyncio.Event()
        self._progress: Progress | None = None
        self._writing = asyncio.Lock()
        """One write of the record at a time: two would meet each other as conflicts."""
        time: dict[str, Any] = {"clock": clock, "timing": timing}
        self.checkpoints = Checkpoints(records, operation, **time, wake=self._wake.set)
        self.steps = Steps(records, self, limit=max_step_bytes, pause=self._pause)
        self.files = ResultFiles(records, operation, limit=max_file_bytes, check_open=self.checkpoints.check_open)
        self.is_canceled = False
        """Whether the handler is to stop for good: the operation was canceled or lost, or the time is up."""
        self.is_given_back = False
        """Whether the instance is stopping: the handler is to let go, so that another one can go on."""
        self.was_reached = False
        """Whether that has reached the handler: what it does from then on may be because of it."""
        self.has_begun = False
        """Whether the handler was called."""
        self._flag = False
        self._lost = False
        self._interrupt: Callable[[], object] = lambda: None
        self._let_go: Callable[[], bool] = lambda: False

    @property
    def cancel_requested(self) -> bool:
        """What the handler sees."""
        return self.is_canceled or self._flag

    def report(self, progress: Progress) -> None:
        self._progress = progress
        self._loop.call_soon_threadsafe(self._wake.set)

    @property
    def saved(self) -> Any:
        return self.checkpoints.value

    @property
    def time_left(self) -> timedelta:
        return timedelta(seconds=max(0.0, self._ends - self._clock.monotonic()))

    def is_overdue(self, patience: timedelta) -> bool:
        """Whether its deadline was so long ago."""
        return self._clock.monotonic() >= self._ends + patience.total_seconds()

    async def save(self, state: Any, *, flush: bool) -> None:
        self.checkpoints.check_open()
        await self.save_snapshot(await snapshot(state, CHECKPOINT, limit=MAX_CHECKPOINT_BYTES), flush=flush)

    async def save_snapshot(self, made: Snapshot, *, flush: bool) -> None:
        """As `save`, of what was made elsewhere."""
        self.checkpoints.replace(made)
        if flush:
            await self.checkpoints.flush()

    async def find_step(self, key: str, function: str) -> StepResult | None:
        self.checkpoints.check_open()
        return await self.steps.find(key, function)

    async def keep_step(self, key: str, function: str, value: Any) -> Any:
        return await self.steps.keep(key, function, value)

    async def keep_step_snapshot(self, key: str, function: str, made: Snapshot) -> Any:
        """As `keep_step`, of what was made elsewhere."""
        return await self.steps.keep_snapshot(key, function, made)

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def note_step(self, also: Sequence[Change]) -> None:
        """As `shared.operations.steps.StepWriter` has it."""
        self.checkpoints.check_open()
        fence, leases = self.fence, self._records.leases

        def note(operation: Operation) -> Operation:
            return lifecycle.note_step(operation, self._clock.now(), fence=fence, leases=leases)

        try:
            async with self._writing:
                self.operation = await self._records.change(self.operation, note, also=also)
        except (FenceLost, TransitionError) as error:
            self._lose(error)
            raise ActionCanceled(f"operation {self.operation.id} went to another attempt") from error
        if self.operation.status is Status.CANCELING:
            self.cancel()

    async def refresh(self) -> None:
        async with self._writing:
            found = await self._records.read(self.operation.locator)
            if found is not None and found.fence == self.fence:
                self.operation = found

    async def _pause(self, tried: int) -> None:
        self.checkpoints.check_open()
        waits = self._timing.settle_waits
        await is_set_within(self._closed, waits[min(tried, len(waits) - 1)], self._clock)
        self.checkpoints.check_open()

    def stop_with(self, interrupt: Callable[[], object], *, let_go: Callable[[], bool]) -> None:
        """How the handler is reached: `interrupt` cancels an async one's task, `let_go` has it given back.

        `let_go` says whether it has reached the handler: some are left alone, and some have ended already.
        """
        self._interrupt, self._let_go = interrupt, let_go
        if self.is_canceled:
            interrupt()
        if self.is_given_back:
            self.was_reached = let_go()

    def cancel(self) -> None:
        """Tell the handler to stop. On the loop's thread."""
        if not self.is_canceled:
            self.is_canceled = True
            self._interrupt()

    def give_back(self) -> None:
        """Have the handler let go, because the instance is stopping. On the loop's thread."""
        if not self.is_given_back:
            self.is_given_back = True
            self.was_reached = self._let_go()

    def raise_flag(self) -> None:
        """What a `def` handler sees of a stop."""
        self._flag = True

    async def keep(self) -> None:
        """Renew the lease and write progress, each as often as the timing says, until closed.

        A write that meets another status learns of a cancel request made on another instance; one that meets another
        fence has lost the operation and stops the handler.
        """
        clock, written = self._clock, self._clock.monotonic()
        while not self._closed.is_set():
            left = self._due(written) - clock.monotonic()
            if left > 0:
                self._wake.clear()
                await is_set_within(self._wake, left, clock)
                continue
            self.checkpoints.advance()
            if self._due(written) > clock.monotonic():
                continue  # What was due is on its way to a blob first.
            written = clock.monotonic()
            try:
                await self._beat()
            except (FenceLost, TransitionError) as error:
                self._lose(error)
                return
            except StorageError as error:
                self.checkpoints.failed()
                line = about(_log, self.operation, "heartbeat_failed")
                line.warning("A heartbeat did not reach the store: %s", error)

    def _due(self, written: float) -> float:
        """When there is something to do for the heartbeat, which has written last at that time."""
        due = written + (self._timing.heartbeat if self._progress is None else self._timing.progress_interval)
        saved = self.checkpoints.due(written)
        return due if saved is None else min(due, saved)

    def _lose(self, error: Exception) -> None:
        if not self._lost:
            about(_log, self.operation, "attempt_lost").warning("Lost an operation: %s", error)
        self._lost = True
        self.cancel()

    async def _beat(self) -> None:
        progress, self._progress = self._progress, None
        saved = self.checkpoints.ready
        try:
            async with self._writing:
                self.operation = await self._records.change(
                    self.operation,
                    lambda o: self._renewed(o, self._clock.now(), progress, saved),
                )
        except StorageError:
            self._progress = self._progress or progress
            raise
        self.checkpoints.written(saved)
        if self.operation.status is Status.CANCELING:
            self.cancel()

    def _renewed(
        self, operation: Operation, now: datetime, progress: Progress | None, saved: Payload | None
    ) -> Operation:
        return lifecycle.heartbeat(
            operation,
            now,
            fence=self.fence,
            leases=self._records.leases,
            progress=progress,
            saved=saved,
            attempt_deadline=self._moved_deadline(operation, now),
        )

    def _moved_deadline(self, operation: Operation, now: datetime) -> datetime | None:
        """Its deadline by the wall clock as it is now; None where the record has it."""
        deadline = now + timedelta(seconds=self._ends - self._clock.monotonic())
        if operation.attempt_deadline and abs(deadline - operation.attempt_deadline) >= self._timing.clock_jump:
            return deadline
        return None

    async def close(self, keeper: asyncio.Task[None]) -> None:
        """End the heartbeat, letting a write under way finish so that the record at hand is the stored one."""
        self._closed.set()
        self._wake.set()
        await asyncio.wait({keeper})
        self.checkpoints.close()
        if not keeper.cancelled() and (error := keeper.exception()):
            raise error

    async def settle(self, conclusion: Callable[[Operation, datetime, int], Operation]) -> datetime | None:
        """Write how the attempt ended, with progress and a checkpoint that were not written yet; when to come back, if
        ever."""
        if self._lost:
            self.checkpoints.abandon()
            await self.files.tidy(None)
            raise FenceLost(f"operation {self.operation.id} went to another attempt")
        progress = self._progress
        saved: Payload | None = None
        tried: list[Operation] = []

        def apply(operation: Operation) -> Operation:
            if any(replace(operation, etag=one.etag) == one for one in tried):
                return operation  # an earlier try was done after all, only its answer was lost
            now = self._clock.now()
            if progress is not None or saved is not None:
                operation = self._renewed(operation, now, progress, saved)
            settled = conclusion(operation, now, self.fence)
            tried.append(settled)
            return settled

        for wait in (*self._timing.settle_waits, None):
            try:
                saved = await self.checkpoints.finish()
                self.operation = await self._records.change(self.operation, apply)
                break
            except StorageError:
                self.checkpoints.failed()
                # Work that is done is not given up for one failed write: nobody else claims while the lease lives.
                if wait is None:
                    raise
                await self._clock.sleep(wait)
        self.checkpoints.written(saved)
        await self.checkpoints.tidied()
        await self.files.tidy(self.operation.file)
        is_over = self.operation.status.is_terminal or self.operation.is_parked
        return None if is_over else self.operation.not_before


class LiveAttempts:
    """The attempts of this process, so that a cancel request on the same instance reaches its handler at once."""

    def __init__(self, *, clock: Clock, timing: Timing) -> None:
        self._clock = clock
        self._timing = timing
        self.completions = Completions()
        """Who waits on this instance for an operation to end."""
        self.durations = Durations()
        self.starts = RecentStarts(clock=clock)
        self.is_stopping = False
        """Whether the instance is stopping: nothing is claimed any more."""
        self._holders: set[str] = set()
        self._idle = asyncio.Event()
        self._attempts: dict[Locator, LiveAttempt] = {}
        self._watch: asyncio.Task[None] | None = None

    @contextmanager
    def registered(self, attempt: LiveAttempt) -> Generator[None]:
        locator = attempt.operation.locator
        self._attempts[locator] = attempt
        if self.is_stopping:
            attempt.give_back()
        if self._watch is None:
            watch = watch_loop(self._names, say=self.say, clock=self._clock, timing=self._timing)
            self._watch = asyncio.create_task(watch, name="loop watch")
        try:
            yield
        finally:
            if self._attempts.get(locator) is attempt:
                del self._attempts[locator]
            if not self._attempts:
                self._stop_watching()

    def has(self, locator: Locator) -> bool:
        """Whether an attempt at this operation runs here."""
        return locator in self._attempts

    def runs(self, operation: Operation) -> bool:
        """Whether it is held by an attempt that runs here, has just claimed it, or whose end is being written.

        One that is far past its deadline hangs, and holds nothing any more.
        """
        if operation.holder not in self._holders:
            return False
        attempt = self._attempts.get(operation.locator)
        return attempt is None or not attempt.is_overdue(self._timing.stuck_after)

    @contextmanager
    def claiming(self, holder: str) -> Generator[None]:
        """An attempt, from before its claim as that holder until its end is written: a stop waits for it."""
        self._holders.add(holder)
        try:
            yield
        finally:
            self._holders.discard(holder)
            if not self._holders:
                self._idle.set()

    def cancel(self, locator: Locator) -> None:
        if attempt := self._attempts.get(locator):
            attempt.cancel()

    async def give_back(self) -> bool:
        """Claim nothing more, and have all attempts let go; whether they did, and wrote so, within `stop_within`."""
        self.is_stopping = True
        self._idle.clear()
        for attempt in list(self._attempts.values()):
            attempt.give_back()
        return not self._holders or await is_set_within(self._idle, self._timing.stop_within, self._clock)

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def say(self, line: Callable[[], object]) -> None:
        """Write a line that is about no single operation for the invocation of an attempt that runs.

        Not in the caller's task, which the worker would ask first: the invocation that has made it may be over.
        """
        invocation = next((each.invocation for each in self._attempts.values() if each.invocation), None)
        if invocation is None:
            line()
        else:
            asyncio.get_running_loop().call_soon(invocation.call, line)

    def _names(self) -> list[str]:
        return [f"{attempt.operation.action} ({attempt.operation.id})" for attempt in self._attempts.values()]
