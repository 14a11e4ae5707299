"""What a handler in a process is given: the attempt and its services, by calls to the app that has the store.

Each call blocks the handler's thread until the app has answered. What is a coroutine here never waits for an event
loop, so `wait_for` carries it out at once.
"""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, NoReturn, TypeVar, cast

from pydantic_core import from_json, to_json

from shared.actions.attempt_context import StepResult
from shared.actions.context import DelegatedOperations, Services
from shared.errors import ActionFailed
from shared.model.ids import Locator
from shared.model.operation import Progress
from shared.model.timing import Clock
from shared.operations.process_files import ProcessFiles
from shared.operations.process_frames import PART
from shared.operations.process_link import RunLink
from shared.operations.snapshots import CHECKPOINT, MAX_CHECKPOINT_BYTES, STEP_RESULT, snapshot_now
from shared.operations.steps import check_step
from shared.settings import Settings
from shared.storage.ports import BlobInfo, BlobReader, Container, Table

T = TypeVar("T")


GIVEN = ("owner", "base_url", "api_version", "operation_id", "run_id", "action", "attempt")
"""What a context is told of its operation as it is."""


class ProcessAttempt:
    """The attempt that the app keeps the lease of (`shared.actions.attempt_context.Attempt`)."""

    def __init__(self, link: RunLink, *, saved: Any, time_left: float, max_step_bytes: int, clock: Clock) -> None:
        self._link = link
        self._saved = saved
        self._clock = clock
        self._ends = clock.monotonic() + time_left
        self._max_step_bytes = max_step_bytes
        self.files = ProcessFiles(link)

    @property
    def cancel_requested(self) -> bool:
        return self._link.is_stopped

    @property
    def saved(self) -> Any:
        return self._saved

    @property
    def time_left(self) -> timedelta:
        return timedelta(seconds=max(0.0, self._ends - self._clock.monotonic()))

    def report(self, progress: Progress) -> None:
        self._link.report(progress)

    async def save(self, state: Any, *, flush: bool) -> None:
        made = snapshot_now(state, CHECKPOINT, limit=MAX_CHECKPOINT_BYTES)
        self._link.call("save", made.content, sha256=made.sha256, flush=flush)
        self._saved = made.value

    async def find_step(self, key: str, function: str) -> StepResult | None:
        check_step(key, done=0, known=False)
        found = self._link.call("find_step", key=key, function=function)
        return StepResult(from_json(found.content)) if found.head["found"] else None

    async def keep_step(self, key: str, function: str, value: Any) -> Any:
        made = snapshot_now(value, STEP_RESULT, limit=self._max_step_bytes)
        kept = self._link.call("keep_step", made.content, key=key, function=function, sha256=made.sha256)
        return from_json(kept.content) if kept.content else made.value

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            work.send(None)
        except StopIteration as done:
            return done.value
        work.close()
        raise _refused("wait_for of what waits for an event loop")


def services_in_process(link: RunLink, settings: Settings, clock: Clock) -> Services:
    """What the app offers to a handler in a process."""
    return Services(
        settings=settings,
        storage=_Storage(link),
        clock=clock,
        locks=_Locks(link),
        resources=_Resources(link),
        external=cast(DelegatedOperations, _External()),
    )


class _Storage:
    """Blobs by name, and nothing else."""

    def __init__(self, link: RunLink) -> None:
        self._link = link

    @property
    def exclusive_since(self) -> datetime | None:
        raise _refused("context.storage")

    def table(self, name: str) -> Table:
        raise _refused("context.storage.table")

    def container(self, name: str) -> Container:
        return _Container(self._link, name)

    async def aclose(self) -> None:
        """There is nothing to close."""


class _Container:
    def __init__(self, link: RunLink, name: str) -> None:
        self._link = link
        self._name = name

    async def put(
        self, name: str, data: bytes | AsyncIterable[bytes], *, content_type: str, overwrite: bool = True
    ) -> BlobInfo:
        if not isinstance(data, bytes):
            raise _refused("put of a stream")
        parts = [data[at : at + PART] for at in range(0, len(data), PART)]
        where = {"container": self._name, "name": name, "content_type": content_type, "overwrite": overwrite}
        stored = self._link.send_parts("write_blob", parts, **where)
        return BlobInfo(**stored.head["info"])

    @asynccontextmanager
    async def open(self, name: str, *, if_match: str | None = None) -> AsyncGenerator[BlobReader | None]:
        parts: list[bytes] = []
        found = self._link.call("read_blob", parts=parts, container=self._name, name=name, if_match=if_match)
        info = found.head["info"]
        yield None if info is None else _Reader(BlobInfo(**info), parts)

    async def info(self, name: str) -> BlobInfo | None:
        raise _refused("info of a blob")

    async def delete(self, name: str) -> bool:
        raise _refused("delete of a blob")

    async def list(self, prefix: str, *, limit: int = 1000) -> Sequence[str]:
        raise _refused("a list of blobs")

    async def download_url(self, name: str, *, lifetime_seconds: int, disposition: str) -> str:
        raise _refused("download_url of a blob")

    async def upload_url(self, name: str, *, lifetime_seconds: int) -> str:
        raise _refused("upload_url of a blob")


class _Reader:
    def __init__(self, info: BlobInfo, parts: Sequence[bytes]) -> None:
        self.info = info
        self._parts = parts

    async def chunks(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part


class _Locks:
    def __init__(self, link: RunLink) -> None:
        self._link = link

    async def take(self, resource: str, holder: Locator, run_id: str) -> None:
        self._link.call("lock", resource=resource)


class _Resources:
    def __init__(self, link: RunLink) -> None:
        self._link = link

    async def get(self, resource_id: str) -> NoReturn:
        raise _refused("context.resources.get")

    async def save_properties_of(self, resource_id: str, holder: Locator, properties: Mapping[str, Any]) -> bool:
        written = to_json(dict(properties), by_alias=True)
        return self._link.call("save_properties", written, resource_id=resource_id).head["saved"]


class _External:
    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise _refused(f"context.external.{name}")


def _refused(what: str) -> ActionFailed:
    return ActionFailed(
        "NotInProcess",
        f"{what}: the store itself is not there in a process. Read and write blobs by context.read_blob and "
        "context.write_blob, keep small results by context.save and context.once, and do the rest in an action with "
        "an async handler.",
        status_code=500,
    )
