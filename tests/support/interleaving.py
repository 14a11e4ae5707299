"""Processes over one store, whose requests are let through one at a time, in an order that a seed decides.

Between any two requests anything may happen: another process goes on, time passes, a process dies with its request done
or not. What a process does without the store and the task hub is not split.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from shared.actions.declaration import Action
from shared.engine.port import Work
from shared.errors import EngineError, StorageAnswerLost, StorageError
from shared.model.timing import Timing
from shared.storage.ports import Change, Container, Page, Row, Storage, Table
from tests.support.clock import ManualClock
from tests.support.containers import ContainerBehind
from tests.support.parts import Killed, World

T = TypeVar("T")

_LATE = timedelta(seconds=40)
"""How long a request waits, unless its process stalls: a store answers, or fails, in less than a minute."""

_TURNS = 12
"""Turns of the loop in which a task does what waits for no request."""


def this_process() -> "Process":
    """That of the task which asks."""
    process = _process.get()
    assert process is not None
    return process


_process: ContextVar["Process | None"] = ContextVar("process", default=None)


@dataclass(eq=False)
class Request:
    """One that a process has made, and that waits for its turn."""

    process: "Process"
    what: str
    turn: "asyncio.Future[str]"
    since: datetime


class Process:
    """One that may die: then no request of it is done, and nothing of it goes on."""

    def __init__(self, number: int, schedule: "Schedule") -> None:
        self.number = number
        self.schedule = schedule
        self.tasks: set[asyncio.Task[Any]] = set()
        self.is_dead = False
        self.written: dict[str, datetime] = {}
        """When it asked for the last write of a row that was done."""
        self.world: World

    def now(self) -> datetime:
        return self.schedule.clock.now()

    def note(self, line: str) -> None:
        self.schedule.trace.append(f"{self.number}: {line}")

    async def request(self, what: str, do: Callable[[], Awaitable[T]]) -> T:
        """What it comes to, when it is its turn. Raises Killed in one that is dead, or dies of it."""
        how = await self.schedule.turn(self, what)
        if how == "die before":
            self.schedule.kill(self)
        if self.is_dead:
            raise Killed
        with self.schedule.underway():
            answer = await do()
        if how == "die after":
            self.schedule.kill(self)
            raise Killed
        if how == "lose the answer":
            raise StorageAnswerLost("the answer never arrived")
        return answer

    def begin(self, work: Callable[[], Awaitable[object]], what: str) -> "asyncio.Task[None]":
        """Have this process do it, beside what it does; its own errors are those of a store or of a hub."""

        async def contained() -> None:
            try:
                await work()
            except (StorageError, EngineError) as error:
                self.note(f"{what} failed: {type(error).__name__}")
            except BaseException:
                if not self.is_dead:
                    raise

        token = _process.set(self)
        try:
            return asyncio.get_running_loop().create_task(contained(), name=what)
        finally:
            _process.reset(token)


class Hub:
    """What a task hub keeps: orchestrations by their ids, each with the time of its next delivery."""

    def __init__(self) -> None:
        self.live: dict[str, Work] = {}
        self.due: dict[str, datetime] = {}
        self.kept: set[str] = set()


@dataclass(frozen=True)
class HubOf:
    """The task hub, as one process reaches it."""

    process: Process
    hub: Hub

    async def start(self, instance_id: str, work: Work) -> None:
        async def do() -> None:
            if instance_id not in self.hub.kept:
                self.hub.live[instance_id] = Work.parse(str(work))
                self.hub.kept.add(instance_id)

        await self._ask("hub start", do)

    async def is_live(self, instance_id: str) -> bool:
        async def do() -> bool:
            return instance_id in self.hub.live

        return await self._ask("hub status", do)

    async def purge(self, instance_id: str) -> bool:
        async def do() -> bool:
            if instance_id in self.hub.live:
                return False
            self.hub.kept.discard(instance_id)
            return True

        return await self._ask("hub purge", do)

    async def terminate(self, instance_id: str) -> None:
        async def do() -> None:
            self.hub.live.pop(instance_id, None)

        await self._ask("hub terminate", do)

    async def _ask(self, what: str, do: Callable[[], Awaitable[T]]) -> T:
        try:
            return await self.process.request(what, do)
        except StorageAnswerLost as error:
            raise EngineError("the answer never arrived") from error


@dataclass(frozen=True)
class _Table:
    inner: Table
    name: str
    process: Process

    async def read(self, partition: str, key: str, *, columns: Sequence[str] | None = None) -> Row | None:
        return await self.process.request(f"read {key}", lambda: self.inner.read(partition, key, columns=columns))

    async def write(self, partition: str, changes: Sequence[Change]) -> tuple[str | None, ...]:
        keys, asked = " ".join(f"{type(change).__name__}:{change.key}" for change in changes), self.process.now()
        answer = await self.process.request(f"write {keys}", lambda: self.inner.write(partition, changes))
        self.process.written |= {change.key: asked for change in changes}
        return answer

    async def page(self, partition: str, **arguments: Any) -> Page:
        # A pass asks for dozens of pages: an order among those would be all that a run tries.
        if self.process.is_dead:
            raise Killed
        with self.process.schedule.underway():
            return await self.inner.page(partition, **arguments)


@dataclass(frozen=True)
class _Container(ContainerBehind):
    process: Process

    async def change(self, what: str, do: Callable[[], Awaitable[T]]) -> T:
        return await self.process.request(what, do)

    async def look(self, what: str, do: Callable[[], Awaitable[T]]) -> T:
        return await self.process.request(what, do)

    @asynccontextmanager
    async def reading(self, name: str) -> AsyncGenerator[None]:
        async def nothing() -> None:
            pass

        await self.process.request(f"open {name}", nothing)
        with self.process.schedule.underway():
            yield

    def put_is_asked(self, name: str) -> None:
        self.process.schedule.blobs.add(name)


@dataclass(frozen=True)
class _Storage:
    """The store as one process reaches it. `exclusive_since`: since when it is its alone; None for a shared one."""

    inner: Storage
    process: Process
    exclusive_since: datetime | None

    def table(self, name: str) -> Table:
        return _Table(self.inner.table(name), name, self.process)

    def container(self, name: str) -> Container:
        return _Container(self.inner.container(name), self.process)

    async def aclose(self) -> None:
        await self.inner.aclose()


@dataclass
class Schedule:
    """Who goes on next. `shared`: whether several processes use the store at once, or one after another."""

    inner: Storage
    actions: Sequence[Action]
    seed: int
    shared: bool
    clock: ManualClock = field(default_factory=ManualClock)
    timing: Timing = field(default_factory=lambda: Timing(young_wait=0))
    hub: Hub = field(default_factory=Hub)
    trace: list[str] = field(default_factory=list[str])
    """Each request and each event, in their order: what a failed assertion shows."""
    blobs: set[str] = field(default_factory=set[str])
    """The names of all that were ever written."""
    is_calm: bool = False
    """Whether nothing goes wrong any more."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.processes: list[Process] = []
        self._waiting: list[Request] = []
        self._underway = 0
        self._made = 0
        self._delivered: set[str] = set()
        self._stalled: tuple[Process, datetime] | None = None
        """One that gets no processor, and until when."""

    @contextmanager
    def installed(self) -> Generator[None]:
        """Every task is known to the process that has made it; at the end none is left."""
        loop = asyncio.get_running_loop()

        def make(loop: asyncio.AbstractEventLoop, work: Any, **arguments: Any) -> "asyncio.Task[Any]":
            task = asyncio.Task(work, loop=loop, **arguments)
            if (process := _process.get()) is not None:
                process.tasks.add(task)
                task.add_done_callback(process.tasks.discard)
            return task

        loop.set_task_factory(make)
        try:
            yield
        finally:
            loop.set_task_factory(None)
            for process in self.processes:
                self.kill(process)

    @contextmanager
    def underway(self) -> Generator[None]:
        """Around a request that the store does, perhaps in a thread."""
        self._underway += 1
        try:
            yield
        finally:
            self._underway -= 1

    def _make(self) -> None:
        self._made += 1
        process = Process(self._made, self)
        storage = _Storage(self.inner, process, None if self.shared else self.clock.now())
        process.world = World(storage, *self.actions, clock=self.clock, timing=self.timing)
        self.processes.append(process)

    def kill(self, process: Process) -> None:
        process.note("dies")
        process.is_dead = True
        if process in self.processes:
            self.processes.remove(process)
        self._waiting = [each for each in self._waiting if each.process is not process]
        for task in process.tasks - {asyncio.current_task()}:
            task.cancel()

    @property
    def waits(self) -> bool:
        """Whether a request waits for its turn."""
        return bool(self._waiting)

    def any_process(self) -> Process:
        """One of those that live; who has died is replaced."""
        while len(self.processes) < (2 if self.shared else 1):
            self._make()
        return self.random.choice(self.processes)

    async def turn(self, process: Process, what: str) -> str:
        """Wait for it; how the request is to go."""
        if process.is_dead:
            raise Killed
        request = Request(process, what, asyncio.get_running_loop().create_future(), self.clock.now())
        self._waiting.append(request)
        try:
            return await request.turn
        finally:
            if request in self._waiting:
                self._waiting.remove(request)  # its caller waits no longer

    async def settled(self) -> None:
        """Until all that goes on waits for its turn, or for time."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        while self._underway:
            await asyncio.sleep(0.0005)
            for _ in range(_TURNS):
                await asyncio.sleep(0)

    async def step(self) -> None:
        """One request of somebody, or a delivery, or a while in which nothing is answered."""
        await self.settled()
        for instance_id in list(self.hub.live):
            if (
                instance_id not in self._delivered
                and self.hub.due.get(instance_id, self.clock.now()) <= self.clock.now()
            ):
                self._deliver(instance_id)
                return
        ready = self._ready()
        late = [each for each in ready if self.clock.now() - each.since > _LATE]
        if ready and (late or self.is_calm or self.random.random() < 0.85):
            self._let_through(self.random.choice(late or ready))
        else:
            self._let_time_pass()

    def _ready(self) -> list[Request]:
        """The requests that may have their turn."""
        self._waiting = [each for each in self._waiting if not each.turn.done()]
        if self._stalled and (self.is_calm or self._stalled[1] <= self.clock.now()):
            self._stalled = None
        stalled = self._stalled and self._stalled[0]
        return [each for each in self._waiting if each.process is not stalled]

    def stall(self) -> None:
        """Have a process get no processor for up to two leases."""
        process, seconds = self.any_process(), 2 * self.timing.lease.total_seconds() * self.random.random()
        process.note(f"stalls for {seconds:.1f} s")
        self._stalled = process, self.clock.now() + timedelta(seconds=seconds)

    def _let_through(self, request: Request) -> None:
        self._waiting.remove(request)
        how = "do"
        if not self.is_calm:
            faults = ["die before", "die after", "lose the answer"]
            how = self.random.choices(["do", *faults], [0.94, 0.015, 0.015, 0.03])[0]
            if how == "lose the answer" and request.what.startswith(("read", "open", "info", "list")):
                how = "do"
        request.process.note(f"{request.what} ({how})")
        request.turn.set_result(how)

    def _let_time_pass(self) -> None:
        """Up to the time for which somebody waits, or some longer."""
        waits = [wait for wait in self.clock.waits if wait > 0] or [60.0 if self.is_calm else 1.0]
        due = [(at - self.clock.now()).total_seconds() for at in self.hub.due.values() if at > self.clock.now()]
        seconds = max(min([*waits, *due]), self.random.choice([0.25, 1, 10]))
        seconds = min(seconds, _LATE.total_seconds()) if self._waiting else seconds
        self.trace.append(f"{seconds:g} s pass")
        self.clock.pass_by(seconds=seconds)

    def deliver_twice(self) -> None:
        """A message that comes once more, as from a queue whose reader was slow."""
        if self.hub.live:
            self._deliver(self.random.choice(list(self.hub.live)), again=True)

    def _deliver(self, instance_id: str, *, again: bool = False) -> None:
        work, process = self.hub.live[instance_id], self.any_process()
        again_at: list[datetime | None] = []

        async def deliver() -> None:
            again_at.append(await process.world.runner.run(work))

        def over(task: "asyncio.Task[None]") -> None:
            self._delivered.discard(instance_id)
            # A call that has failed, or whose process has died, is made again.
            due = again_at[0] if again_at else self.clock.now() + timedelta(seconds=5)
            if due is None:
                self.hub.live.pop(instance_id, None)
            else:
                self.hub.due[instance_id] = due

        process.note(f"delivery of {instance_id[-4:]}{' again' if again else ''}")
        task = process.begin(deliver, f"delivery of {instance_id[-4:]}")
        if not again:
            self._delivered.add(instance_id)
            task.add_done_callback(over)

    def tidy(self) -> None:
        process = self.any_process()
        process.note("pass")
        process.begin(lambda: process.world.housekeeping.run(HubOf(process, self.hub)), "pass")
