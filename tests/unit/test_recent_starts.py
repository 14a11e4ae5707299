"""The claim on the instance that started an operation: it reads nothing, and what has changed since misleads it not."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from shared.actions import ActionContext, Model, action
from shared.engine.port import Work
from shared.model.operation import Operation, Status
from shared.operations.recent_starts import RecentStarts
from tests.support.clock import ManualClock
from tests.support.parts import FaultyStorage, World, make_operation, sqlite

ran: list[str] = []


class Named(Model):
    id: str
    file_name: str = ""


@action("test:work", post="thing/{id}:work")
async def work(context: ActionContext, request: Named) -> Named:
    ran.append(context.operation_id)
    return request


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    ran.clear()
    async with sqlite(tmp_path) as inner:
        yield World(FaultyStorage(inner), work)


def requests(world: World) -> tuple[int, int]:
    return world.faults.writes, world.faults.reads


async def test_three_requests_where_it_was_started(world: World) -> None:
    """An operation is three writes, its input included; on another instance one read more."""
    here = await world.start()
    await world.runner.run(Work.of(here))
    assert requests(world) == (3, 0)
    elsewhere = await world.start()
    world.live.starts.take(Work.of(elsewhere))
    await world.runner.run(Work.of(elsewhere))
    assert requests(world) == (6, 1)
    assert ran == [here.id, elsewhere.id]
    for each in (here, elsewhere):
        ended = await world.read(each)
        assert (ended.status, ended.outcome and ended.outcome.status_code) == (Status.SUCCEEDED, 200)


async def test_a_second_delivery_reads(world: World) -> None:
    """The engine may deliver twice: the second time the record says that it has ended."""
    started = await world.start()
    assert [await world.runner.run(Work.of(started)) for _ in range(2)] == [None, None]
    assert ran == [started.id]


async def canceled(world: World, started: Operation) -> None:
    await world.service.cancel("", started.id)


async def deleted(world: World, started: Operation) -> None:
    await world.service.cancel("", started.id)
    await world.delete(started)


async def restarted(world: World, started: Operation) -> None:
    """By housekeeping, as the next generation."""
    world.engine.live.clear()
    world.clock.pass_by(seconds=10)
    await world.tidy()
    assert (await world.read(started)).generation == 2


@pytest.mark.parametrize("change", [canceled, deleted, restarted])
async def test_what_has_changed_since(world: World, change: Callable[[World, Operation], Awaitable[None]]) -> None:
    """The delivery of the start does nothing then."""
    started = await world.start()
    await change(world, started)
    assert await world.runner.run(Work.of(started)) is None
    assert ran == []


async def test_a_claim_of_somebody_else(world: World) -> None:
    """It is read when that one's lease ends, and looked at again then."""
    started = await world.start()
    lease: list[object] = []

    async def meanwhile(context: ActionContext, request: Named) -> None:
        lease.append(await world.runner.run(Work.of(started)))

    other = action("test:work", post="thing/{id}:work")(meanwhile)
    elsewhere = World(world.storage, other, clock=world.clock)
    await elsewhere.runner.run(Work.of(started))
    assert lease == [world.clock.now() + world.timing.lease]
    assert ran == []


def test_few_are_kept_and_not_for_long() -> None:
    """The last 256, for ten seconds; each for one delivery of its own generation."""
    clock = ManualClock()
    starts = RecentStarts(clock=clock)
    made = [make_operation(id=f"op-{number}") for number in range(257)]
    for each in made:
        starts.keep(each)
    assert starts.take(Work.of(made[0])) is None
    assert starts.take(Work(made[1].locator, 2)) is None
    assert starts.take(Work.of(made[2])) is made[2]
    assert starts.take(Work.of(made[2])) is None
    clock.pass_by(seconds=10)
    assert starts.take(Work.of(made[3])) is made[3]
    clock.pass_by(milliseconds=1)
    assert starts.take(Work.of(made[4])) is None
    starts.keep(made[0])
    assert len(starts._kept) == 1  # what nobody takes is forgotten with the next start
