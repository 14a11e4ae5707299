"""Removing operations: nobody sees half of it, the engine keeps nothing, and what fails is done by a later pass."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.actions import ActionContext, RequestError, action
from shared.model.ids import PARTITIONS, Locator
from shared.model.operation import Operation
from shared.model.timing import Timing
from shared.operations.lists import OperationLists
from tests.support.clock import finished
from tests.support.parts import Faults, FaultyStorage, Input, Killed, RecordingEngine, World, sqlite

LATE = Timing().late_start.total_seconds()
LARGE = b'{"fileName":"' + b"x" * 50_000 + b'"}'


@action("test:work", post="thing/{id}:work", keep="1h")
async def work(context: ActionContext, request: Input) -> str:
    return request.file_name


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with sqlite(tmp_path) as inner:
        yield World(FaultyStorage(inner, Faults()), work)


async def restarted(world: World, operation: Operation) -> None:
    """Housekeeping's restart of an operation whose orchestration is lost."""
    world.engine.live.discard((await world.read(operation)).instance_id)
    world.clock.pass_by(seconds=10)
    assert (await world.tidy()).restarted == 1


async def is_seen(world: World, operation: Operation) -> bool:
    """Whether monitor and list show it, both or neither; one that is seen has all of its payloads."""
    page = await OperationLists(world.storage).page(operation.locator.owner_hash, position=None, limit=1000)
    listed = operation.id in [row.id for row in page.rows]
    if not listed:
        with pytest.raises(RequestError, match="no such operation"):
            await world.service.get(operation.owner, operation.id)
        return False
    _, content = await world.service.result(operation.owner, operation.id)
    assert content is not None
    return True


async def test_every_generation_goes_by_id(world: World) -> None:
    """One purge for each start of the operation, also for one that the engine refused, and no other call."""
    other = await world.start()
    world.engine.failures = 1
    started = await world.start()
    await restarted(world, started)
    await restarted(world, started)
    world.engine.asked.clear()
    await world.run(started)
    world.clock.pass_by(seconds=LATE)
    await world.delete(started)
    assert world.engine.purged == [f"{started.run_id}.{number}" for number in (1, 2, 3)]
    assert (world.engine.asked, world.engine.terminated) == ([], [])
    assert world.engine.kept == {other.instance_id}
    assert {key.split("!")[2] if key[0] != "l" else key.split("!")[3] for key in await world.keys()} == {other.id}


async def test_expired_operations_go_the_same_way(world: World) -> None:
    """A pass removes what has expired, with the instances of all generations and the payloads."""
    started = await world.start(input_json=LARGE)
    await restarted(world, started)
    await world.run(started)
    world.clock.pass_by(hours=1, seconds=1)
    assert (await world.tidy()).removed == 1
    assert (await world.keys(), world.engine.kept) == ([], set())
    assert await blobs(world, started) == []


async def test_an_orchestration_that_is_about_to_end(world: World) -> None:
    """The record is gone at once; the instance that has not ended yet is left to end, and purged by a later pass."""
    started = await world.start()
    await world.runner.run(world.engine.started[0][1])
    await world.delete(started)
    assert not await is_seen(world, started)
    world.clock.pass_by(seconds=59)
    await world.tidy()
    world.engine.live.clear()
    await world.tidy()
    assert (await world.keys(), world.engine.kept, world.engine.terminated) == ([], set(), [])


async def test_an_orchestration_that_sleeps_on(world: World) -> None:
    """One that has not ended after a minute waits for an attempt that does not come: it is terminated, then purged."""
    started = await world.start()
    await world.service.cancel("", started.id)
    await world.delete(started)
    world.clock.pass_by(seconds=60)
    await world.tidy()
    assert (world.engine.terminated, world.engine.kept) == ([started.instance_id], {started.instance_id})
    await world.tidy()
    assert (await world.keys(), world.engine.kept) == ([], set())


async def test_an_engine_that_does_not_answer(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The record is gone all the same, for DELETE and for what has expired; passes come back to the rest."""
    deleted, expired = await world.start(), await world.start()
    for each in (deleted, expired):
        await world.run(each)
    world.engine.unreachable = True
    await world.delete(deleted)
    world.clock.pass_by(hours=1, seconds=1)
    assert (await world.tidy()).removed == 1
    assert [await is_seen(world, each) for each in (deleted, expired)] == [False, False]
    assert len(await world.keys()) == 2
    assert "What a removed operation has left could not be cleared yet: the engine did not answer" in caplog.text
    world.engine.unreachable = False
    world.clock.pass_by(seconds=1)
    await world.tidy()
    assert (await world.keys(), world.engine.kept) == ([], set())


class HangingEngine(RecordingEngine):
    """Takes every purge and answers none."""

    async def purge(self, instance_id: str) -> bool:
        self.purged.append(instance_id)
        await asyncio.Event().wait()
        return False


async def test_an_engine_that_hangs(tmp_path: Path) -> None:
    """DELETE returns within its time, and a pass within its own: more is to do than a pass can wait for."""
    async with sqlite(tmp_path) as inner:
        world = World(FaultyStorage(inner, Faults()), work)
        working = world.engine
        world.engine = HangingEngine()
        operations = [await world.start() for _ in range(20)]
        for each in operations:
            await world.run(each)
        await finished(asyncio.ensure_future(world.delete(operations[0])), world.clock, within=2)
        world.clock.pass_by(hours=1, seconds=1)
        await finished(asyncio.ensure_future(world.tidy()), world.clock, within=30)
        assert not await is_seen(world, operations[0])
        seen = [await is_seen(world, each) for each in operations]
        assert 0 < seen.count(True) < 20
        world.engine = working
        await world.tidy()
        assert await world.keys() == []


async def test_a_hundred_at_once(world: World) -> None:
    """A pass that removes a hundred costs a purge and two writes each, and tends what is active before."""
    ended = [await world.start() for _ in range(100)]
    for each in ended:
        await world.run(each)
    world.clock.pass_by(hours=1, seconds=1)
    lost = await world.start()
    world.clock.pass_by(seconds=10)
    world.engine.live.clear()
    world.faults.writes = 0
    report = await world.tidy()
    assert (report.restarted, report.removed) == (1, 100)
    assert (len(world.engine.purged), world.faults.writes) == (100, 1 + 2 * 100)
    assert world.engine.kept == {lost.instance_id, f"{lost.run_id}.2"}


async def test_an_id_that_is_used_again(world: World) -> None:
    """While the engine still has something of a removed operation, another one of its id lives a life of its own."""
    first = await world.start(operation_id="mine")
    await world.run(first)
    world.engine.live.add(first.instance_id)
    await world.delete(first)
    second = await world.start(operation_id="mine")
    await world.run(second)
    world.engine.live.add(second.instance_id)
    await world.delete(second)
    third = await world.start(operation_id="mine")
    await world.run(third)
    world.engine.live.clear()
    world.clock.pass_by(seconds=1)
    await world.tidy()
    assert world.engine.kept == {third.instance_id}
    assert await is_seen(world, third)
    await world.delete(third)
    assert (await world.keys(), world.engine.kept) == ([], set())


async def test_two_at_a_time(world: World) -> None:
    """Two removals of one operation, and two passes over what it has left, meet without harm."""
    started = await world.start()
    await world.run(started)
    ended = await world.read(started)
    removals = [world.removals.remove(ended, world.engine) for _ in range(2)]
    assert sorted(await asyncio.gather(*removals)) == [False, True]
    other = await world.start()
    await world.run(other)
    world.clock.pass_by(hours=1, seconds=1)
    reports = await asyncio.gather(world.tidy(), world.tidy())
    assert sum(report.removed for report in reports) == 1
    assert (await world.keys(), world.engine.kept) == ([], set())


@pytest.mark.parametrize("at", range(1, 5))
@pytest.mark.parametrize("fault", ["kill", "kill-before", "lost-before", "down"])
@pytest.mark.parametrize("way", ["delete", "expiry"])
async def test_any_write_of_a_removal(world: World, at: int, fault: Any, way: str) -> None:
    """Whichever write the process dies at, or storage fails at: it is seen whole or not at all, and a pass ends it."""
    started = await world.start(input_json=LARGE)
    await restarted(world, started)
    await world.run(started)
    world.clock.pass_by(seconds=LATE)
    if way == "expiry":
        world.clock.pass_by(hours=1, seconds=1)
    world.faults.writes, world.faults.at, world.faults.fault = 0, at, fault
    try:
        removing = asyncio.ensure_future(world.delete(started) if way == "delete" else world.tidy())
        await finished(removing, world.clock, within=2)
    except* (Killed, Exception):
        pass
    assert world.faults.writes >= at, "a removal has fewer writes than this"
    await is_seen(world, started)
    world.faults.at = 0
    after = World(world.storage, work, clock=world.clock)
    after.engine = world.engine
    after.clock.pass_by(hours=1, seconds=1)
    await after.tidy()
    assert not await is_seen(after, started)
    assert (await after.keys(), after.engine.kept, await blobs(after, started)) == ([], set(), [])


@pytest.mark.parametrize("at", range(1, 5))
@pytest.mark.parametrize("fault", ["kill", "kill-before", "lost", "lost-before", "down"])
async def test_a_start_that_is_cut_in_two(world: World, at: int, fault: Any) -> None:
    """Whichever write of a start with a large input is its last: an hour later it is there as a whole, or nothing is.

    Its lock goes with the sweep, a quarter of an hour later at most.
    """
    world.faults.at, world.faults.fault = at, fault
    try:
        starting = world.start(input_json=LARGE, resource="thing/1", exclusive=True, operation_id="mine")
        await finished(asyncio.ensure_future(starting), world.clock, within=10)
    except* (Killed, Exception):
        pass
    assert world.faults.writes >= at
    world.faults.at = 0
    if (stored := await world.records.read(Locator.of("", "mine"))) is not None:
        await world.run(stored)
        assert await world.records.load_payload(stored.input) == LARGE
        await world.delete(stored)
    after = World(world.storage, work, clock=world.clock)
    after.engine = world.engine
    after.clock.pass_by(hours=26)
    for _ in range(17):
        await after.tidy()
    assert await after.keys() == []
    for _, running in world.engine.started:
        assert await after.records.read(running.locator) is None
    puts = [names for table, changes in world.faults.seen if table == "operations" for names in changes]
    runs = {change.key.rpartition("!")[2] for change in puts if "!clear!" in change.key}
    container = world.storage.container("operations")
    assert [await container.info(f"{run}/input") for run in runs] == [None] * len(runs)
    assert runs
    locks = [await world.storage.table("locks").page(part, lower=" ", upper="~") for part in PARTITIONS]
    assert [row.key for page in locks for row in page.rows] == []


async def blobs(world: World, operation: Operation) -> list[str]:
    """What is left of the operation's payloads."""
    container = world.storage.container("operations")
    names = [f"{operation.run_id}/{name}" for name in ("input", "result-1", "result-2")]
    return [name for name in names if await container.info(name) is not None]
