"""One attempt at an action, as a test sees it."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from dataclasses import field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel

from shared.actions.attempt_context import AttemptContext, StepResult
from shared.actions.context import Context, Services
from shared.actions.files import File
from shared.actions.slices import ContinueLater
from shared.errors import ActionCanceled, ErrorBody
from shared.frozen import frozen, replace
from shared.model.operation import Operation, Outcome, Payload, Progress, Status
from shared.operations.containment import contained
from shared.operations.files import ResultFiles
from shared.operations.handler_runs import handler_context
from shared.operations.handler_threads import HandlerThreads
from shared.operations.records import OperationRecords
from shared.operations.snapshots import CHECKPOINT, MAX_CHECKPOINT_BYTES, STEP_RESULT, snapshot
from shared.operations.steps import check_function, check_step
from shared.testing.targets import Target

T = TypeVar("T")

_STOPS_WITHIN = 5.0
"""Seconds that a handler gets to stop after its time-out. Real ones: a thread does not know the test's clock."""


@frozen
class ReturnedFile:
    """A file as callers would fetch it."""

    file_name: str
    content_type: str
    content: bytes = field(repr=False)
    sha256: str


class Run:
    """An attempt that has begun. Awaiting it gives the handler's result, or raises how it failed.

    ActionFailed and every other exception come as the handler raised them; what is no Exception, such as SystemExit,
    is the cause of a RuntimeError that names it. Besides: ActionCanceled where the run was canceled and the handler
    stopped; TimeoutError where it was not done in its time; TypeError for a result that is not what the handler
    declares; ContinueLater where it ended its slice on purpose.
    """

    def __init__(
        self,
        target: Target,
        arguments: tuple[BaseModel, ...],
        operation: Operation,
        *,
        services: Services,
        records: OperationRecords,
        threads: HandlerThreads,
        on_progress: "Callable[[Run, Progress], object] | None",
        follows: "Run | None" = None,
    ) -> None:
        """`FakeApp.run` makes it, on a running loop."""
        self.progress: list[Progress] = []
        """Every report, in order; the app would store at most one a second."""
        self.saved: Any = follows.saved if follows else None
        """The last checkpoint, as the next slice is given it."""
        self.continues: ContinueLater | None = None
        """How the handler ended its slice on purpose; None where it did not."""
        self._steps: dict[str, tuple[str, Any]] = dict(follows._steps) if follows else {}
        self._operation = operation
        self._file: Payload | None = None
        returns_file = target.action.returns_file
        limit = services.settings.max_file_bytes if returns_file else None
        self.files = ResultFiles(records, operation, limit=limit, check_open=self._check_open)
        self._target = target
        self._services = services
        self._records = records
        self._threads = threads
        self._on_progress = on_progress
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._expired = asyncio.Event()
        self._cancel_requested = False
        self._interrupted = False
        self._call: asyncio.Task[Any] | None = None
        self._task = asyncio.create_task(self._drive(arguments), name=f"run of {target.action.name}")
        self._task.add_done_callback(self._note_end)

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._task.__await__()

    @property
    def status(self) -> Status:
        """Of the operation: Running, and at the end Succeeded, Failed or Canceled."""
        return self._operation.status

    @property
    def operation_id(self) -> str:
        return self._operation.id

    @property
    def run_id(self) -> str:
        return self._operation.run_id

    @property
    def owner(self) -> str:
        return self._operation.owner

    @property
    def created(self) -> datetime:
        return self._operation.created

    @property
    def attempt(self) -> int:
        return self._operation.attempt

    @property
    def steps(self) -> dict[str, Any]:
        """What the steps that are done once have come to, by their keys."""
        return {key: value for key, (_, value) in self._steps.items()}

    async def file(self) -> ReturnedFile:
        """The file that the handler has returned, once it has ended. Raises LookupError where there is none."""
        content = await self._records.load_payload(self._file) if self._file is not None else None
        if self._file is None or content is None:
            raise LookupError("the handler has returned no file")
        return ReturnedFile(self._file.file_name, self._file.content_type, content, self._file.sha256)

    def done(self) -> bool:
        """Whether the attempt, or its slice, has ended."""
        return self._task.done()

    def cancel(self) -> None:
        """Cancel the operation: an async handler gets CancelledError, a def handler sees it in its context.

        From any thread. A handler that goes on to its end has succeeded.
        """
        self._cancel_requested = True
        self._loop.call_soon_threadsafe(self._interrupt)

    async def until(self, fits: Callable[[Progress], bool]) -> Progress:
        """The first report that `fits`, as soon as it is there. Raises what the run raises; LookupError at its end."""
        while True:
            self._news.clear()
            ended = self._task.done()
            for progress in tuple(self.progress):
                if fits(progress):
                    return progress
            if ended:
                await self
                raise LookupError("the run has ended without such a report")
            await self._news.wait()

    async def aclose(self) -> None:
        """Cancel what still runs, and wait for its end. FakeApp does it."""
        if not self._task.done():
            self.cancel()
            self._task.cancel()
            await asyncio.wait({self._task})

    # What the context of the handler sees (shared.actions.context.Attempt)

    @property
    def cancel_requested(self) -> bool:
        return self._cancel_requested or self._expired.is_set()

    def report(self, progress: Progress) -> None:
        self.progress.append(progress)
        if self._on_progress is not None:
            self._on_progress(self, progress)
        with suppress(RuntimeError):  # the loop may have ended before a thread that nobody waits for
            self._loop.call_soon_threadsafe(self._news.set)

    @property
    def time_left(self) -> timedelta:
        deadline = self._operation.attempt_deadline
        assert deadline is not None, "an attempt has one"
        return max(timedelta(0), deadline - self._services.clock.now())

    async def save(self, state: Any, *, flush: bool) -> None:
        self.saved = (await snapshot(state, CHECKPOINT, limit=MAX_CHECKPOINT_BYTES)).value

    async def find_step(self, key: str, function: str) -> StepResult | None:
        check_step(key, done=len(self._steps), known=key in self._steps)
        if key not in self._steps:
            return None
        done_by, value = self._steps[key]
        check_function(key, function, done_by)
        return StepResult(value)

    async def keep_step(self, key: str, function: str, value: Any) -> Any:
        made = await snapshot(value, STEP_RESULT, limit=self._services.settings.max_result_bytes)
        return self._steps.setdefault(key, (function, made.value))[1]

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    # The attempt

    async def _drive(self, arguments: tuple[BaseModel, ...]) -> Any:
        await self._record()
        status, error = Status.FAILED, ErrorBody("ActionError", "The action failed.")
        try:
            value = await self._attempt(arguments)
            status, error = Status.SUCCEEDED, None
            return value
        except ActionCanceled:
            status = Status.CANCELED
            raise
        except ContinueLater as later:
            self.continues = later
            raise
        finally:
            if self.continues is None:
                await self._end(status, error)

    async def _record(self) -> None:
        """Have a record of the operation, for locks to look at; that of an earlier attempt goes, unless it goes on."""
        before = await self._records.read(self._operation.locator)
        if before is not None and not before.status.is_terminal:
            now = replace(self._operation, created=before.created)
            self._operation = await self._records.change(before, lambda stored: replace(now, etag=stored.etag))
            return
        if before is not None and (remains := await self._records.remove(before)) is not None:
            await self._records.discard(remains)
        self._operation = await self._records.insert(self._operation)

    async def _end(self, status: Status, error: ErrorBody | None) -> None:
        """Write the end, and do what the action declares to be done after it."""
        now = self._services.clock.now()
        ended = replace(
            self._operation,
            status=status,
            changed=now,
            ended=now,
            expires=now + self._operation.keep,
            attempt_deadline=None,
            outcome=Outcome(500 if error else 200, error=error),
        )
        self._operation = await self._records.change(self._operation, lambda stored: replace(ended, etag=stored.etag))
        if self._target.action.after_end is not None:
            context = Context(
                owner=ended.owner,
                base_url=self._services.settings.own_url,
                api_version=ended.api_version,
                services=self._services,
            )
            await self._target.action.after_end(context, self._operation)

    async def _attempt(self, arguments: tuple[BaseModel, ...]) -> Any:
        timeout = self._target.action.timeout.total_seconds()
        self._call = asyncio.create_task(self._called(arguments))
        self._interrupt()
        try:
            async with self._services.clock.timeout(timeout):
                await asyncio.wait({self._call})
        except TimeoutError:
            self._expired.set()
            self._interrupt()
            await asyncio.wait({self._call}, timeout=_STOPS_WITHIN)
            if self._cancel_requested:
                raise ActionCanceled("the run was canceled, and went on to its time-out") from None
            raise TimeoutError(f"the attempt did not end within {timeout:g} seconds") from None
        finally:
            self._call.add_done_callback(_forget)
            self._call.cancel()
        return await self._judge(self._call)

    async def _called(self, arguments: tuple[BaseModel, ...]) -> Any:
        context = self._context()
        function = self._target.function
        if self._target.is_async:
            with contained():
                return await self._kept(context, await function(context, *arguments))

        def unless_stopped() -> Any:
            context.raise_if_canceled()
            return function(context, *arguments)

        value = await self._threads.run(unless_stopped, operation=self._operation)
        with contained():
            return await self._kept(context, value)

    async def _kept(self, context: AttemptContext, value: Any) -> Any:
        """The value; a file that the action declares is stored, as the app does it."""
        if self._target.action.returns_file and isinstance(value, File):
            read = partial(self._threads.read, operation=self._operation)
            self._file = await self.files.store(value, check=context.raise_if_canceled, read=read)
        return value

    def _check_open(self) -> None:
        if self._task.done():
            raise ActionCanceled("the run is over: it stores nothing more")

    def _context(self) -> AttemptContext:
        operation = self._operation
        assert operation.attempt_deadline is not None, "an attempt has one"
        return handler_context(
            self._services,
            operation,
            is_async=self._target.is_async,
            deadline=operation.attempt_deadline,
            attempt_state=self,
        )

    async def _judge(self, call: asyncio.Task[Any]) -> Any:
        """The result of a handler that has ended in time."""
        try:
            value = call.result()
        except (ActionCanceled, asyncio.CancelledError) as error:
            if self._cancel_requested:
                raise ActionCanceled("the run was canceled") from error
            raise RuntimeError("the handler stopped, but nobody had canceled it") from error
        if self._file is not None:
            return value
        await self._target.check_result(value, limit=self._services.settings.max_result_bytes)
        return value

    def _interrupt(self) -> None:
        """Have an async handler stop, once, where it is to. On the loop's thread."""
        if self.cancel_requested and self._target.is_async and self._call is not None and not self._interrupted:
            self._interrupted = True
            self._call.cancel()

    def _note_end(self, task: asyncio.Task[Any]) -> None:
        _forget(task)
        self._news.set()


def _forget(task: asyncio.Task[Any]) -> None:
    """Nobody has to await a run: asyncio need not complain of its exception."""
    if not task.cancelled():
        task.exception()
