"""An attempt under way in this process: its copy of the record, its heartbeat, its progress, its cancellation."""

import asyncio
import logging
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime

from shared.errors import FenceLost, StorageError, TransitionError
from shared.operations import lifecycle
from shared.operations.ids import Locator
from shared.operations.loop_watch import watch_loop
from shared.operations.model import Operation, Progress, Status
from shared.operations.records import OperationRecords
from shared.operations.waiting import Endings

PROGRESS_INTERVAL = 1.0
"""Seconds: progress reaches the store at most this often."""

SETTLE_WAITS = (0.5, 1.0, 2.0, 4.0)
"""Seconds between tries to write how an attempt ended, while the store does not answer."""

_log = logging.getLogger(__name__)


class LiveAttempt:
    """Keeps the lease of one claimed operation. The handler's side may be used from any thread."""

    def __init__(self, records: OperationRecords, operation: Operation, clock: Callable[[], datetime]) -> None:
        self.operation = operation
        self._records = records
        self._clock = clock
        self._fence = operation.fence
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._closed = asyncio.Event()
        self._progress: Progress | None = None
        self._cancel_requested = False
        self._lost = False
        self._interrupt: Callable[[], object] = lambda: None

    @property
    def cancel_requested(self) -> bool:
        return self._cancel_requested

    def report(self, progress: Progress) -> None:
        self._progress = progress
        self._loop.call_soon_threadsafe(self._wake.set)

    def stop_with(self, interrupt: Callable[[], object]) -> None:
        """What reaches the handler beside the flag: an async handler's task is cancelled."""
        self._interrupt = interrupt
        if self._cancel_requested:
            interrupt()

    def cancel(self) -> None:
        """Tell the handler to stop. On the loop's thread."""
        if not self._cancel_requested:
            self._cancel_requested = True
            self._interrupt()

    async def keep(self) -> None:
        """Renew the lease every ten seconds and write progress at most once a second, until closed.

        A write that meets another status learns of a cancel request made on another instance; one that meets another
        fence has lost the operation and stops the handler.
        """
        heartbeat = lifecycle.HEARTBEAT.total_seconds()
        written = time.monotonic()
        while True:
            await _wait(self._wake, written + heartbeat - time.monotonic())
            await _wait(self._closed, min(PROGRESS_INTERVAL, written + PROGRESS_INTERVAL - time.monotonic()))
            if self._closed.is_set():
                return
            self._wake.clear()
            written = time.monotonic()
            try:
                await self._beat()
            except (FenceLost, TransitionError) as error:
                _log.warning("Lost an operation: %s", error, extra={"action": "attempt_lost"})
                self._lost = True
                self.cancel()
                return
            except StorageError as error:
                _log.warning("A heartbeat did not reach the store: %s", error, extra={"action": "heartbeat_failed"})

    async def _beat(self) -> None:
        progress, self._progress = self._progress, None
        try:
            self.operation = await self._records.change(
                self.operation,
                lambda o: lifecycle.heartbeat(o, self._clock(), fence=self._fence, progress=progress),
            )
        except StorageError:
            self._progress = self._progress or progress
            raise
        if self.operation.status is Status.CANCELING:
            self.cancel()

    async def close(self, keeper: asyncio.Task[None]) -> None:
        """End the heartbeat, letting a write under way finish so that the record at hand is the stored one."""
        self._closed.set()
        self._wake.set()
        await asyncio.wait({keeper})
        if not keeper.cancelled() and (error := keeper.exception()):
            raise error

    async def settle(self, verdict: Callable[[Operation, datetime, int], Operation]) -> datetime | None:
        """Write how the attempt ended, together with progress that was not written yet; when to come back, if ever."""
        if self._lost:
            raise FenceLost(f"operation {self.operation.id} went to another attempt")
        progress = self._progress
        tried: list[Operation] = []

        def apply(operation: Operation) -> Operation:
            if any(replace(operation, etag=one.etag) == one for one in tried):
                return operation  # an earlier try was done after all, only its answer was lost
            now = self._clock()
            if progress is not None:
                operation = lifecycle.heartbeat(operation, now, fence=self._fence, progress=progress)
            settled = verdict(operation, now, self._fence)
            tried.append(settled)
            return settled

        for wait in (*SETTLE_WAITS, None):
            try:
                self.operation = await self._records.change(self.operation, apply)
                break
            except StorageError:
                # Work that is done is not given up for one failed write: nobody else claims while the lease lives.
                if wait is None:
                    raise
                await asyncio.sleep(wait)
        return None if self.operation.status.is_terminal else self.operation.not_before


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, seconds)):
            await event.wait()


class LiveAttempts:
    """The attempts of this process, so that a cancel request on the same instance reaches its handler at once."""

    def __init__(self) -> None:
        self.endings = Endings()
        """Who waits on this instance for an operation to end."""
        self._attempts: dict[Locator, LiveAttempt] = {}
        self._watch: asyncio.Task[None] | None = None

    @contextmanager
    def registered(self, attempt: LiveAttempt) -> Generator[None]:
        locator = attempt.operation.locator
        self._attempts[locator] = attempt
        if self._watch is None:
            self._watch = asyncio.create_task(watch_loop(self._names), name="loop watch")
        try:
            yield
        finally:
            if self._attempts.get(locator) is attempt:
                del self._attempts[locator]
            if not self._attempts:
                self._stop_watching()

    def cancel(self, locator: Locator) -> None:
        if attempt := self._attempts.get(locator):
            attempt.cancel()

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _names(self) -> list[str]:
        return [attempt.operation.action for attempt in self._attempts.values()]
