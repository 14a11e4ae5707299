"""Removals that meet what nobody expects: a start that arrives late, an odd error, a row that cannot be read."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.actions import ActionContext, RequestError, action
from shared.engine.port import Work
from shared.errors import EngineError
from shared.model.operation import Operation
from shared.model.timing import Timing
from shared.operations.lists import OperationLists
from shared.storage.ports import Insert
from tests.support.parts import Faults, FaultyStorage, Input, RecordingEngine, World, sqlite
from tests.unit.runner.handlers import until

LATE = Timing().late_start.total_seconds()


@action("test:work", post="thing/{id}:work", keep="1h")
async def work(context: ActionContext, request: Input) -> str:
    return request.file_name


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with sqlite(tmp_path) as inner:
        yield World(FaultyStorage(inner, Faults()), work)


async def is_seen(world: World, operation: Operation) -> bool:
    try:
        await world.service.get(operation.owner, operation.id)
    except RequestError:
        return False
    return True


class LateEngine(RecordingEngine):
    """Takes a start only when the test lets it, or after its caller has given up."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = 0
        self.arrives = asyncio.Event()
        self.gives_up = False
        self.late = list[tuple[str, Work]]()

    async def start(self, instance_id: str, work: Work) -> None:
        if self.gives_up:
            self.late.append((instance_id, work))
            raise EngineError("no answer in time")
        self.waiting += 1
        await self.arrives.wait()
        await super().start(instance_id, work)


@pytest.mark.parametrize("what", ["start", "restart"])
@pytest.mark.parametrize("gives_up", [False, True], ids=["slow", "gave-up"])
async def test_a_start_that_arrives_after_the_removal(world: World, what: str, gives_up: bool) -> None:
    """What was canceled and deleted while a start of it was under way leaves nothing in the engine, however late that
    is: the row that tells of it stays for a minute after the end."""
    world.engine = engine = LateEngine()
    if what == "restart":
        engine.arrives.set()
        await world.start(operation_id="mine")
        engine.arrives.clear()
        engine.waiting = 0
        engine.live.clear()
        world.clock.pass_by(seconds=10)
    engine.gives_up = gives_up
    starting = asyncio.create_task(world.start(operation_id="mine") if what == "start" else world.tidy())
    if gives_up:
        await starting
    else:
        await until(lambda: engine.waiting)
    await world.service.cancel("", "mine")
    await world.service.delete("", "mine", engine)
    assert len(await world.keys()) == 1
    engine.gives_up = False
    engine.arrives.set()
    await starting
    for each in engine.late:
        await engine.start(*each)
    engine.live.clear()
    assert engine.kept != set()
    world.clock.pass_by(seconds=LATE - 11)
    await world.tidy()
    assert (engine.kept, len(await world.keys())) == (set(), 1)
    world.clock.pass_by(seconds=11)
    await world.tidy()
    assert (await world.keys(), engine.kept) == ([], set())


async def test_a_start_that_has_arrived_is_not_waited_for(world: World) -> None:
    """An attempt has run, so its only start has arrived: DELETE leaves no row behind."""
    started = await world.start()
    await world.run(started)
    await world.delete(started)
    assert await world.keys() == []


class OddEngine(RecordingEngine):
    """Fails in a way that no adapter translates, for one operation."""

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self.run_id = run_id

    async def purge(self, instance_id: str) -> bool:
        if instance_id.startswith(self.run_id):
            raise ValueError("odd")
        return await super().purge(instance_id)


@pytest.mark.parametrize("way", ["delete", "expiry"])
async def test_an_engine_that_fails_oddly(world: World, way: str, caplog: pytest.LogCaptureFixture) -> None:
    """An error that nobody expects is logged: DELETE succeeds, for its record is gone; a pass removes all others."""
    odd, other = await world.start(), await world.start()
    for each in (odd, other):
        await world.run(each)
    working, world.engine = world.engine, OddEngine(odd.run_id)
    if way == "delete":
        await world.delete(odd)
    world.clock.pass_by(hours=1, seconds=1)
    await world.tidy()
    assert [await is_seen(world, each) for each in (odd, other)] == [False, False]
    assert len(await world.keys()) == 1
    assert "What a removed operation has left could not be cleared" in caplog.text
    world.engine = working
    world.clock.pass_by(seconds=1)
    await world.tidy()
    assert await world.keys() == []


UNREADABLE: list[tuple[str, dict[str, Any]]] = [
    ("t!2020!0123456789abcdef!gone!clear!run!more", {}),
    ("t!2020-01-01T00:00:00.000000Z!0123456789abcdef!gone!clear!run", {}),
    ("t!2020-01-01T00:00:00.000000Z!0123456789abcdef!gone!clear!run", {"generations": "many", "blobs": "[]"}),
    ("t!2020-01-01T00:00:00.000000Z!0123456789abcdef!gone!clear!run", {"generations": 1, "blobs": "{"}),
    ("t!0!0123456789abcdef!gone!clear!run", {"generations": 1, "blobs": "[]"}),
    ("t!2020", {}),
    ("t!2020-01-01T00:00:00.000000Z!0123456789abcdef!gone!dance", {}),
    ("t!2020-01-01T00:00:00.000000Z!0123456789abcdef!gone!clear", {}),
    ("t!2020-01-01T00:00:00.000000Z!0123456789abcdef!gone!expire!more", {}),
    ("a!0123456789abcdef", {"created": "2020-01-01T00:00:00.000000Z"}),
    ("a!0123456789abcdef!gone", {"created": "long ago"}),
    ("a!0123456789abcdef!gone", {}),
]


@pytest.mark.parametrize(("key", "values"), UNREADABLE)
async def test_a_row_that_cannot_be_read(
    world: World, key: str, values: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged and passed over, and everything else is tended and removed."""
    ended = await world.start()
    await world.run(ended)
    world.clock.pass_by(hours=1, seconds=1)
    lost = await world.start()
    world.clock.pass_by(seconds=10)
    world.engine.live.clear()
    for partition in "0123456789abcdef":
        await world.storage.table("operations").write(partition, [Insert(key, values)])
    report = await world.tidy()
    assert (report.restarted, report.removed) == (1, 1)
    assert caplog.text.count(f"cannot be read and is passed over: '{key}'") == 16
    assert (await world.read(lost)).generation == 2


async def test_a_list_row_that_cannot_be_read(world: World) -> None:
    """The list shows all others."""
    started = await world.start()
    for partition in "0123456789abcdef":
        key = f"l!{started.locator.owner_hash}!00000000000000001!odd"
        await world.storage.table("operations").write(partition, [Insert(key, {"status": "Dancing"})])
    page = await OperationLists(world.storage).page(started.locator.owner_hash, position=None, limit=1000)
    assert [row.id for row in page.rows] == [started.id]
