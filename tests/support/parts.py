"""What the unit tests of the core are made of: an engine, faults at the store, and a whole application."""

import asyncio
import logging
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Generator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from shared.actions import ActionContext, RequestContext
from shared.actions.context import Services
from shared.actions.declaration import Action
from shared.actions.models import Model
from shared.engine.port import Work
from shared.errors import EngineError, StorageAnswerLost, StorageUnavailable
from shared.model.leases import Leases
from shared.model.operation import Operation, Payload, Progress
from shared.model.timing import Clock, Timing
from shared.operations.after_end import DeclaredAfterEnd
from shared.operations.attempt import LiveAttempts
from shared.operations.external import ExternalOperations
from shared.operations.handler_places import WaitingRoom
from shared.operations.handler_processes import HandlerProcesses
from shared.operations.handler_threads import HandlerThreads
from shared.operations.housekeeping import Housekeeping, Report
from shared.operations.lock_sweep import LockSweep
from shared.operations.locks import Locks
from shared.operations.pacing import Pacing
from shared.operations.pauses import Pauses
from shared.operations.records import OperationRecords
from shared.operations.recovery import Recovery
from shared.operations.removal import Removals
from shared.operations.runner import Runner
from shared.operations.service import OperationService, StartRequest
from shared.operations.site import Site, SiteName
from shared.resources.operations import ResourcesById
from shared.resources.service import Resources
from shared.settings import Settings
from shared.storage.factory import open_storage
from shared.storage.ports import Change, Container, Page, Row, Storage, Table
from shared.system_clock import SystemClock
from tests.support.clock import T0, ManualClock, carried_out
from tests.support.containers import ContainerBehind

__all__ = ["T0"]

_T = TypeVar("_T")

LEASES = Leases(length=Timing().lease)
"""Those of a store that processes share."""


async def as_it_is(operation: Operation) -> Operation:
    """What delegates the work of no operation."""
    return operation


async def nothing(operation: Operation) -> None:
    """What is done after the end of an operation, where that does not matter."""


def services(
    storage: Storage,
    clock: Clock | None = None,
    timing: Timing | None = None,
    environment: Mapping[str, str] | None = None,
) -> Services:
    """What an app over this storage, with these settings, offers to the code of its actions."""
    settings = {"OPERATIONS_STORE": "sqlite", "WEBSITE_HOSTNAME": "127.0.0.1:7071", **(environment or {})}
    time: dict[str, Any] = {"clock": clock or SystemClock(), "timing": timing or Timing()}
    records = OperationRecords(storage, **time)
    return Services(
        settings=Settings.read(settings),
        storage=storage,
        clock=time["clock"],
        locks=Locks(storage, records, **time),
        resources=ResourcesById(Resources(storage, records, **time)),
        external=ExternalOperations(records, **time, after_end=nothing),
    )


def request_context(storage: Storage, clock: Clock | None = None, **changes: Any) -> RequestContext:
    """A context inside a request over this storage."""
    values: dict[str, Any] = {"owner": "", "base_url": "http://127.0.0.1:7071", "api_version": "2026-01-01"}
    return RequestContext(**{**values, "services": services(storage, clock), **changes})


class RecordingEngine:
    """Keeps what was started, and what a task hub would keep of it. `failures` starts fail first.

    `unreachable`: no call is answered. An instance is live until a test says otherwise, or `World.run` has nothing
    more to do for it.
    """

    def __init__(self, *, failures: int = 0) -> None:
        self.failures = failures
        self.unreachable = False
        self.started: list[tuple[str, Work]] = []
        self.live: set[str] = set()
        self.kept: set[str] = set()
        self.asked: list[str] = []
        self.purged: list[str] = []
        self.terminated: list[str] = []

    async def start(self, instance_id: str, work: Work) -> None:
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise EngineError("the engine did not take it")
        self.started.append((instance_id, Work.parse(str(work))))
        self.live.add(instance_id)
        self.kept.add(instance_id)

    async def is_live(self, instance_id: str) -> bool:
        self.asked.append(instance_id)
        await self._answer()
        return instance_id in self.live

    async def purge(self, instance_id: str) -> bool:
        self.purged.append(instance_id)
        await self._answer()
        if instance_id in self.live:
            return False
        self.kept.discard(instance_id)
        return True

    async def terminate(self, instance_id: str) -> None:
        self.terminated.append(instance_id)
        await self._answer()
        self.live.discard(instance_id)

    async def _answer(self) -> None:
        await asyncio.sleep(0)
        if self.unreachable:
            raise EngineError("the engine did not answer")


class Killed(BaseException):
    """The process dies here."""


Fault = Literal["kill", "kill-before", "lost", "lost-before", "down", "hang"]
"""Die after or before the write; do it or not and lose the answer; fail without doing it; never answer."""


@dataclass
class Faults:
    """Counts requests, and goes wrong at the `at`-th write (1 for the first), or from then on while `lasting`."""

    at: int = 0
    fault: Fault = "kill"
    lasting: bool = False
    writes: int = 0
    reads: int = 0
    pages: int = 0
    puts: list[str] = field(default_factory=list[str])
    """Names of blobs, in the order of their writes."""
    down: bool = False
    failing_reads: int = 0
    seen: list[tuple[str, Sequence[Change]]] = field(default_factory=list[tuple[str, Sequence[Change]]])
    before: Callable[[str, Sequence[Change]], Awaitable[object]] | None = None
    """Called before each write of rows with the table's name: what somebody else does then, or a wait."""
    after: Callable[[], Awaitable[object]] | None = None
    """Called after the write that goes wrong, where it is done: what somebody else does before its writer looks."""
    kills_process: bool = False
    """Whether a kill ends all of the process: until `World.restarted` no request is done, whoever catches the first."""
    is_dead: bool = False
    underway: int = 0
    """Requests that the store, in its threads, has not answered yet."""

    @contextmanager
    def request(self) -> Generator[None]:
        """Around a request that the store is to do."""
        if self.is_dead:
            raise Killed
        self.underway += 1
        try:
            yield
        finally:
            self.underway -= 1

    def kill(self) -> Killed:
        self.is_dead = self.kills_process
        return Killed()

    def strikes(self) -> bool:
        self.writes += 1
        return self.writes == self.at or (self.lasting and 0 < self.at <= self.writes)

    async def around(self, do: Callable[[], Any]) -> Any:
        async def write() -> Any:
            with self.request():
                return await do()

        strikes = self.strikes()
        if self.down:
            raise StorageUnavailable("the store is down")
        if not strikes:
            return await write()
        match self.fault:
            case "kill-before":
                raise self.kill()
            case "lost-before":
                raise StorageAnswerLost("the request never arrived")
            case "down":
                raise StorageUnavailable("the store is down")
            case "hang":
                await asyncio.Event().wait()
            case _:
                await write()
                if self.after is not None:
                    await self.after()
        raise self.kill() if self.fault == "kill" else StorageAnswerLost("the answer never arrived")


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
        with self.faults.request():
            return await self.inner.read(partition, key, columns=columns)

    async def write(self, partition: str, changes: Sequence[Change]) -> tuple[str | None, ...]:
        self.faults.seen.append((self.name, changes))
        if self.faults.before is not None:
            await self.faults.before(self.name, changes)
        return await self.faults.around(lambda: self.inner.write(partition, changes))

    async def page(self, partition: str, **arguments: Any) -> Page:
        self.faults.pages += 1
        with self.faults.request():
            return await self.inner.page(partition, **arguments)


@dataclass(frozen=True)
class FaultyContainer(ContainerBehind):
    faults: Faults

    async def change(self, what: str, do: Callable[[], Awaitable[_T]]) -> _T:
        return await self.faults.around(do)

    async def look(self, what: str, do: Callable[[], Awaitable[_T]]) -> _T:
        with self.faults.request():
            return await do()

    @asynccontextmanager
    async def reading(self, name: str) -> AsyncGenerator[None]:
        with self.faults.request():
            yield

    def put_is_asked(self, name: str) -> None:
        self.faults.puts.append(name)


@dataclass(frozen=True)
class FaultyStorage:
    """A storage whose writes, of rows and of blobs, are counted together and go wrong as `faults` says."""

    inner: Storage
    faults: Faults = field(default_factory=Faults)

    @property
    def exclusive_since(self) -> datetime | None:
        return self.inner.exclusive_since

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
async def sqlite(directory: Path, clock: Clock | None = None) -> AsyncIterator[Storage]:
    """The embedded store, opened at T0 or by the clock's time."""
    storage = open_storage(settings(directory), clock=clock or ManualClock())
    try:
        yield storage
    finally:
        await storage.aclose()


def make_operation(**changes: Any) -> Operation:
    """An operation as it is when it was just started."""
    operation = Operation(
        id="op-1",
        owner="",
        run_id="0" * 32,
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
    """The core over one storage: everything but HTTP and a real engine. Time stands still until it is moved."""

    def __init__(
        self,
        storage: Storage,
        *actions: Action,
        function_timeout: timedelta | None = None,
        clock: ManualClock | None = None,
        timing: Timing | None = None,
        site: SiteName | None = None,
        settings: Mapping[str, str] | None = None,
        sweeps: Mapping[str, Callable[[], Awaitable[None]]] | None = None,
        paused: Collection[str] | None = None,
        processes: int = 2,
    ) -> None:
        """`clock` replaces the one that a test moves; `site` says where all this is, which else is one and the same.
        `paused` are the actions that a setting pauses; None has nothing paused, and nobody looks."""
        self.storage = storage
        self.faults = storage.faults if isinstance(storage, FaultyStorage) else Faults()
        self.clock = clock or ManualClock()
        self.timing = timing or Timing(young_wait=0)  # by a clock that stands still a poll would wait for ever
        self.chance = 0.0
        """What the injected randomness gives: 0 up to 1."""
        time: dict[str, Any] = {"clock": self.clock, "timing": self.timing}
        policies: dict[str, Any] = {"site": site, "settings": settings, "sweeps": sweeps, "paused": paused}
        policies["processes"] = processes
        self._another = partial(World, storage, *actions, function_timeout=function_timeout, **time, **policies)
        self.engine = RecordingEngine()
        self.live = LiveAttempts(**time)
        self.records = OperationRecords(storage, **time, held_here=self.live.runs)
        self.room = WaitingRoom(**time)
        self.threads = HandlerThreads(2, self.room, **time)
        self.actions = {action.name: action for action in actions}
        self.locks = Locks(storage, self.records, **time)
        self.site = Site(storage, "testhubname", site or SiteName("local", "Production", "TestHubName"), **time)
        self.recovery = Recovery(
            self.records,
            self.actions,
            self.site,
            **time,
            randomness=lambda: self.chance,
            delegate=as_it_is,
        )
        self.services = services(storage, self.clock, self.timing, settings)
        self.processes = HandlerProcesses(
            processes, self.room, package="tests.support.computing", services=self.services, **time
        )
        self.removals = Removals(self.records, self.site, self.actions, self.services, **time)
        self.pauses = Pauses(storage, paused, **time) if paused is not None else None
        self.service = OperationService(
            self.records,
            self.recovery,
            self.removals,
            self.live,
            self.locks,
            **time,
            pacing=Pacing(self.actions, self.live.durations, **time),
            pauses=self.pauses,
            patient=8,
        )
        self.after_end = DeclaredAfterEnd(self.actions, self.services, nothing)
        self.runner = Runner(
            self.records,
            self.actions,
            self.threads,
            self.processes,
            self.live,
            services=self.services,
            after_end=self.after_end,
            **time,
            function_timeout=function_timeout,
            instance="0badcafe",
            randomness=lambda: self.chance,
            pauses=self.pauses,
        )
        self.housekeeping = Housekeeping(
            self.records,
            self.recovery,
            self.removals,
            self.site,
            **time,
            randomness=lambda: self.chance,
            after_end=self.after_end,
            sweeps={"locks": LockSweep(self.locks, clock=self.clock), **(sweeps or {})},
        )

    def restarted(self) -> "World":
        """The process that comes after this one, over the same storage and the same task hub."""
        self.faults.at, self.faults.is_dead = 0, False
        world = self._another()
        world.engine = self.engine
        return world

    async def carry_out(self, work: Coroutine[Any, Any, _T]) -> _T:
        """What it comes to, while time moves on wherever all wait for it: no wait costs real time.

        Over a FaultyStorage, and not for `def` handlers: nothing else tells of work in other threads.
        """
        return await carried_out(work, self.clock, is_busy=lambda: self.faults.underway > 0)

    def request(self, action: Action | None = None, **changes: Any) -> StartRequest:
        request = StartRequest(
            action=action or next(iter(self.actions.values())),
            context=RequestContext(
                owner="", base_url="http://localhost", api_version="2026-01-01", services=self.services
            ),
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
        stored = await self.read(operation)
        again = await self.runner.run(Work.of(stored))
        if again is None:
            self.engine.live.discard(stored.instance_id)
        return again

    async def delete(self, operation: Operation) -> None:
        await self.service.delete(operation.owner, operation.id, self.engine)

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


def context(storage: Storage | None = None, **changes: Any) -> ActionContext:
    """An attempt's context over this storage; without one its storage is not to be used."""
    values: dict[str, Any] = {
        "base_url": "http://127.0.0.1:7071",
        "api_version": "2026-01-01",
        "services": services(storage) if storage is not None else None,
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
