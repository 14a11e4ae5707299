"""What the unit tests of the core are made of: a clock, an engine, faults at the store, and a whole application."""

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from shared.actions import ActionContext
from shared.actions.declaration import Action
from shared.actions.execution import HandlerThreads
from shared.actions.models import Model
from shared.engine.port import Work
from shared.errors import EngineError, StorageAnswerLost, StorageUnavailable
from shared.operations.attempt import LiveAttempts
from shared.operations.holds import Holds
from shared.operations.housekeeping import Housekeeping, Report
from shared.operations.model import Operation, Payload, Progress
from shared.operations.records import OperationRecords
from shared.operations.runner import Runner
from shared.operations.service import OperationService, StartRequest
from shared.settings import Settings
from shared.storage.factory import open_storage
from shared.storage.ports import BlobInfo, BlobReader, Change, Container, Page, Row, Storage, Table

T0 = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


class FakeClock:
    """The time is what a test says."""

    def __init__(self, now: datetime = T0) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **length: float) -> datetime:
        self.now += timedelta(**length)
        return self.now


class RecordingEngine:
    """Keeps what was started. `failures` starts fail first; with `forget` an instance is never live."""

    def __init__(self, *, failures: int = 0) -> None:
        self.failures = failures
        self.unreachable = False
        self.started: list[tuple[str, Work]] = []
        self.live: set[str] = set()
        self.asked: list[str] = []

    async def start(self, instance_id: str, work: Work) -> None:
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise EngineError("the engine did not take it")
        self.started.append((instance_id, Work.parse(str(work))))
        self.live.add(instance_id)

    async def is_live(self, instance_id: str) -> bool:
        self.asked.append(instance_id)
        if self.unreachable:
            raise EngineError("the engine did not answer")
        return instance_id in self.live


class Killed(BaseException):
    """The process dies here."""


Fault = Literal["kill", "kill-before", "lost", "lost-before", "down"]
"""Die after or before the write; do it or not and lose the answer; fail without doing it."""


@dataclass
class Faults:
    """Counts requests, and goes wrong at the `at`-th write (1 for the first), or from then on while `lasting`."""

    at: int = 0
    fault: Fault = "kill"
    lasting: bool = False
    writes: int = 0
    reads: int = 0
    pages: int = 0
    down: bool = False
    failing_reads: int = 0
    seen: list[tuple[str, Sequence[Change]]] = field(default_factory=list[tuple[str, Sequence[Change]]])

    def strikes(self) -> bool:
        self.writes += 1
        return self.writes == self.at or (self.lasting and 0 < self.at <= self.writes)

    async def around(self, write: Callable[[], Any]) -> Any:
        strikes = self.strikes()
        if self.down:
            raise StorageUnavailable("the store is down")
        if not strikes:
            return await write()
        match self.fault:
            case "kill-before":
                raise Killed
            case "lost-before":
                raise StorageAnswerLost("the request never arrived")
            case "down":
                raise StorageUnavailable("the store is down")
            case _:
                await write()
        raise Killed if self.fault == "kill" else StorageAnswerLost("the answer never arrived")


@dataclass(frozen=True)
class FaultyTable:
    inner: Table
    name: str
    faults: Faults

    async def read(self, partition: str, key: str, *, columns: Sequence[str] | None = None) -> Row | None:
        self.faults.reads += 1
        if self.faults.down or self.faults.failing_reads > 0:
            self.faults.failing_reads -= 1
            raise StorageUnavailable("the store is down")
        return await self.inner.read(partition, key, columns=columns)

    async def write(self, partition: str, changes: Sequence[Change]) -> tuple[str | None, ...]:
        self.faults.seen.append((self.name, changes))
        return await self.faults.around(lambda: self.inner.write(partition, changes))

    async def page(self, partition: str, **arguments: Any) -> Page:
        self.faults.pages += 1
        return await self.inner.page(partition, **arguments)


@dataclass(frozen=True)
class FaultyContainer:
    inner: Container
    faults: Faults

    async def put(
        self, name: str, data: bytes | AsyncIterable[bytes], *, content_type: str, overwrite: bool = True
    ) -> BlobInfo:
        return await self.faults.around(
            lambda: self.inner.put(name, data, content_type=content_type, overwrite=overwrite)
        )

    async def info(self, name: str) -> BlobInfo | None:
        return await self.inner.info(name)

    def open(self, name: str, *, if_match: str | None = None) -> AbstractAsyncContextManager[BlobReader | None]:
        return self.inner.open(name, if_match=if_match)

    async def delete(self, name: str) -> bool:
        return await self.faults.around(lambda: self.inner.delete(name))

    async def upload_url(self, name: str, *, lifetime_seconds: int) -> str:
        return await self.inner.upload_url(name, lifetime_seconds=lifetime_seconds)


@dataclass(frozen=True)
class FaultyStorage:
    """A storage whose writes, of rows and of blobs, are counted together and go wrong as `faults` says."""

    inner: Storage
    faults: Faults = field(default_factory=Faults)

    def table(self, name: str) -> Table:
        return FaultyTable(self.inner.table(name), name, self.faults)

    def container(self, name: str) -> Container:
        return FaultyContainer(self.inner.container(name), self.faults)

    async def aclose(self) -> None:
        await self.inner.aclose()


def settings(directory: Path, **environment: str) -> Settings:
    return Settings.read(
        {"OPERATIONS_STORE": "sqlite", "DATA_DIR": str(directory), "WEBSITE_HOSTNAME": "127.0.0.1:7071", **environment}
    )


@asynccontextmanager
async def sqlite(directory: Path) -> AsyncIterator[Storage]:
    storage = open_storage(settings(directory))
    try:
        yield storage
    finally:
        await storage.aclose()


def make_operation(**changes: Any) -> Operation:
    """An operation as it is when it was just started."""
    operation = Operation(
        id="op-1",
        owner="",
        run="0" * 32,
        action="test:work",
        method="POST",
        path="thing/1:work",
        api_version="2026-01-01",
        fingerprint="f" * 64,
        input=Payload("application/json", 2, "a" * 64, text="{}"),
        created=T0,
        changed=T0,
        deadline=T0 + timedelta(hours=24),
        keep=timedelta(hours=24),
        retry_after=1,
    )
    return replace(operation, **changes)


class Input(Model):
    """What the actions of these tests take."""

    id: str = "1"
    file_name: str = "a.txt"


class World:
    """The core over one storage: everything but HTTP and a real engine."""

    def __init__(self, storage: Storage, *actions: Action, function_timeout: timedelta | None = None) -> None:
        self.storage = storage
        self.faults = storage.faults if isinstance(storage, FaultyStorage) else Faults()
        self.clock = FakeClock()
        self.engine = RecordingEngine()
        self.records = OperationRecords(storage)
        self.live = LiveAttempts()
        self.threads = HandlerThreads(2)
        self.actions = {action.name: action for action in actions}
        self.holds = Holds(storage, self.records, clock=self.clock)
        self.service = OperationService(self.records, self.live, self.holds, clock=self.clock)
        self.runner = Runner(
            self.records,
            self.actions,
            self.threads,
            self.live,
            clock=self.clock,
            function_timeout=function_timeout,
        )
        self.housekeeping = Housekeeping(self.records, clock=self.clock)

    def request(self, action: Action | None = None, **changes: Any) -> StartRequest:
        request = StartRequest(
            action=action or next(iter(self.actions.values())),
            input=Input(),
            input_json=b'{"fileName":"a.txt","id":"1"}',
            owner="",
            method="POST",
            path="thing/1:work",
            api_version="2026-01-01",
            fingerprint="f" * 64,
        )
        return replace(request, **changes)

    async def start(self, action: Action | None = None, **changes: Any) -> Operation:
        return await self.service.start(self.request(action, **changes), self.engine)

    async def run(self, operation: Operation) -> datetime | None:
        """One delivery of the operation's latest start, as an orchestration makes it."""
        return await self.runner.run(Work.of(await self.read(operation)))

    async def read(self, operation: Operation) -> Operation:
        stored = await self.records.read(operation.locator)
        assert stored is not None
        return stored

    async def tidy(self) -> Report:
        return await self.housekeeping.run(self.engine)

    async def keys(self) -> list[str]:
        """Every row's key, without what differs from run to run."""
        found: list[str] = []
        for partition in "0123456789abcdef":
            page = await self.storage.table("operations").page(partition, lower=" ", upper="~")
            found += [row.key for row in page.rows]
        return sorted(found)


class SilentAttempt:
    """An attempt for handlers that are called without a runner."""

    def __init__(self) -> None:
        self.cancel_requested = False
        self.reports: list[Progress] = []

    def report(self, progress: Progress) -> None:
        self.reports.append(progress)


def context(**changes: Any) -> ActionContext:
    values: dict[str, Any] = {
        "operation_id": "op-1",
        "run_id": "0123456789abcdef" * 2,
        "action": "test:work",
        "attempt": 1,
        "deadline": T0,
        "owner": "",
        "logger": logging.LoggerAdapter(logging.getLogger("test")),
        "attempt_state": SilentAttempt(),
    }
    return ActionContext(**{**values, **changes})
