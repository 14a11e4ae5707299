"""What a handler is given for one slice of an attempt: `ActionContext` where it is async, else `SyncActionContext`."""

import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

from shared.actions.context import Context
from shared.actions.files import FileUploads, ResultFile, SyncResultFile
from shared.actions.progress import cut_to_fit
from shared.errors import ActionCanceled, ActionFailed
from shared.frozen import frozen
from shared.model.files import DEFAULT_TYPE
from shared.model.ids import Locator
from shared.model.operation import Progress
from shared.storage.ports import Container

T = TypeVar("T")


class StepResult(NamedTuple):
    """The stored result of a step that was done before."""

    value: Any


class Attempt(Protocol):
    """The running attempt behind a context. What is no coroutine may be used from any thread."""

    @property
    def cancel_requested(self) -> bool: ...

    @property
    def saved(self) -> Any:
        """The last checkpoint, of an earlier slice or of this one; None where there is none."""
        ...

    @property
    def time_left(self) -> timedelta:
        """Until this slice is stopped; zero where it is over."""
        ...

    @property
    def files(self) -> FileUploads:
        """Where a file goes that is the result. On the event loop."""
        ...

    def report(self, progress: Progress) -> None: ...

    async def save(self, state: Any, *, flush: bool) -> None:
        """Take a snapshot, which is stored soon; `flush` waits until it is. Raises ActionFailed."""
        ...

    async def find_step(self, key: str, function: str) -> StepResult | None:
        """What the step has come to, if it was done before. Raises ActionFailed for a key of another `function`."""
        ...

    async def keep_step(self, key: str, function: str, value: Any) -> Any:
        """Store what the step has come to; that value, as later attempts are given it. Raises ActionFailed."""
        ...

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` comes to on the event loop. Only from the thread of a `def` handler."""
        ...


@frozen(kw_only=True)
class AttemptContext(Context):
    """What both kinds of handlers are given."""

    operation_id: str
    run_id: str
    """The same over all attempts of one operation and never used again: derive names of what you create from it."""
    action: str
    attempt: int
    """1 for the first."""
    deadline: datetime
    """When this slice is stopped (aware, UTC); `time_left` is not disturbed by a clock that is set."""
    logger: logging.LoggerAdapter[logging.Logger]
    """Puts the operation's id, action and attempt before each line."""
    attempt_state: Attempt = field(repr=False)
    _logged_mistakes: set[str] = field(default_factory=set[str], init=False, repr=False, compare=False)

    @property
    def saved(self) -> Any:
        """The last checkpoint as a JSON value; None before the first. A model: `State.model_validate(context.saved)`.

        It is what an earlier slice, or this one, has saved last: no monitor shows it.
        """
        return self.attempt_state.saved

    @property
    def time_left(self) -> timedelta:
        """How long this slice may still take: less than the action's `timeout`, and never below zero."""
        return self.attempt_state.time_left

    @property
    def cancel_requested(self) -> bool:
        """Whether the operation was asked to stop, or this attempt is over its deadline."""
        return self.attempt_state.cancel_requested

    def raise_if_canceled(self) -> None:
        """Raise ActionCanceled once the handler should stop. Call it between steps of a sync handler."""
        if self.cancel_requested:
            raise ActionCanceled(f"operation {self.operation_id} was asked to stop")

    def report_progress(
        self,
        *,
        percent: float | None = None,
        done: int | None = None,
        total: int | None = None,
        message: str | None = None,
        data: Any = None,
    ) -> None:
        """Show how far the work is. Costs nothing to call often: at most one write a second reaches the store.

        `percent` is 0 to 100 and follows from `done` and `total` where it is not given; `message` is cut after
        500 characters; `data` is any JSON value of up to 4 KiB, for it is stored in the record.

        A mistake here ends no work: a number out of range is moved into it, what is no number, or no JSON of that
        size, is left out. The log says so, once for each of the parameters.
        """
        progress, mistakes = cut_to_fit(percent=percent, done=done, total=total, message=message, data=data)
        for name in mistakes.keys() - self._logged_mistakes:
            self._logged_mistakes.add(name)
            self.logger.warning("Progress does not fit and was cut: %s", mistakes[name])
        self.attempt_state.report(progress)

    async def _lock(self, resource: str) -> None:
        await self.services.locks.take(resource, Locator.of(self.owner, self.operation_id), self.run_id)

    async def _save_properties(self, resource_id: str, properties: Mapping[str, Any]) -> bool:
        holder = Locator.of(self.owner, self.operation_id)
        return await self.services.resources.save_properties_of(resource_id, holder, properties)


@frozen(kw_only=True)
class ActionContext(AttemptContext):
    """One slice of an attempt, as an async handler sees it."""

    async def save(self, state: Any, *, flush: bool = False) -> None:
        """Have the next slice go on from `state`: any JSON value or pydantic model, up to 4 MiB as JSON.

        It takes a snapshot and returns. That is stored within a second (10 seconds above 64 KiB), and in any case with
        the end of the slice; `flush=True` returns once it is. A state that differs from the one before has failures and
        losses counted anew. Raises ActionFailed InvalidCheckpoint or CheckpointTooLarge.
        """
        await self.attempt_state.save(state, flush=flush)

    async def once(self, key: str, step: Callable[[], Awaitable[Any] | Any]) -> Any:
        """Call `step`, async or not, and store what it returns; a later attempt is given that, and does not call it.

        What it returns is a JSON value or a model, and comes as a JSON value. Where the attempt dies between the call
        and the store, the step is called again. `key` is its name within the operation, which has 1,000 at most.
        Raises what `step` raises, and ActionFailed: StepMismatch, TooManySteps, InvalidStepResult, StepResultTooLarge.
        """
        name = step_name(step)
        found = await self.attempt_state.find_step(key, name)
        if found is not None:
            return found.value
        value = step()
        if inspect.isawaitable(value):
            value = await value
        return await self.attempt_state.keep_step(key, name, value)

    def result_file(self, *, file_name: str | None = None, content_type: str = DEFAULT_TYPE) -> ResultFile:
        """A file to write in `async with`, and to return after it: the result of an action that declares `-> File`.

        It goes to the store in blocks while it is written, up to the setting `MAX_FILE_BYTES`. Where the block raises,
        nothing of it is kept. Raises ActionFailed InvalidFile for a name or a media type that could not be sent.
        """
        return ResultFile(self.attempt_state.files, file_name, content_type)

    async def lock(self, resource: str) -> None:
        """Have `resource`, such as `book/moby-dick`, written by this operation alone until it has ended.

        Nothing has to be released. Raises RequestError 409 OperationInProgress while another operation holds it.
        """
        await self._lock(resource)

    async def save_properties(self, resource_id: str, properties: Mapping[str, Any]) -> bool:
        """Change properties of an ARM resource that this operation works on; False where it does so no more."""
        return await self._save_properties(resource_id, properties)


@frozen(kw_only=True)
class SyncActionContext(AttemptContext):
    """One slice of an attempt, as a `def` handler sees it. For the handler's own thread."""

    def save(self, state: Any, *, flush: bool = False) -> None:
        """As `ActionContext.save`."""
        self.attempt_state.wait_for(self.attempt_state.save(state, flush=flush))

    def once(self, key: str, step: Callable[[], Any]) -> Any:
        """As `ActionContext.once`; `step` is called in the handler's thread."""
        attempt, name = self.attempt_state, step_name(step)
        found = attempt.wait_for(attempt.find_step(key, name))
        if found is not None:
            return found.value
        return attempt.wait_for(attempt.keep_step(key, name, step()))

    def result_file(self, *, file_name: str | None = None, content_type: str = DEFAULT_TYPE) -> SyncResultFile:
        """As `ActionContext.result_file`, in `with`."""
        attempt = self.attempt_state
        return SyncResultFile(attempt.files, file_name, content_type, attempt.wait_for)

    def read_blob(self, container: str, name: str) -> bytes | None:
        """The content of a blob; None where there is none. In a thread and in a process.

        Raises ActionFailed BlobTooLarge above `MAX_UPLOAD_BYTES`, and StorageError.
        """
        reading = _content(self.storage.container(container), name, limit=self.settings.max_upload_bytes)
        return self.attempt_state.wait_for(reading)

    def write_blob(
        self, container: str, name: str, data: bytes, *, content_type: str = "application/octet-stream"
    ) -> None:
        """Store a blob, in place of one of that name. In a thread and in a process. Raises StorageError."""
        self.attempt_state.wait_for(self.storage.container(container).put(name, data, content_type=content_type))

    def lock(self, resource: str) -> None:
        """As `ActionContext.lock`."""
        self.attempt_state.wait_for(self._lock(resource))

    def save_properties(self, resource_id: str, properties: Mapping[str, Any]) -> bool:
        """As `ActionContext.save_properties`."""
        return self.attempt_state.wait_for(self._save_properties(resource_id, properties))


async def _content(container: Container, name: str, *, limit: int) -> bytes | None:
    async with container.open(name) as reader:
        if reader is None:
            return None
        if reader.info.size > limit:
            message = (
                f"The blob {name} has more than the {limit} bytes of MAX_UPLOAD_BYTES: read it in an async handler."
            )
            raise ActionFailed("BlobTooLarge", message, status_code=500)
        return b"".join([chunk async for chunk in reader.chunks()])


def step_name(step: Callable[..., Any]) -> str:
    """What tells one step from another: the name of its function, that of a lambda within the function around it."""
    while isinstance(step, partial):
        step = step.func
    return str(getattr(step, "__qualname__", type(step).__qualname__))[:200]
