"""Housekeeping where the engine is slow to fail: a pass has limits of time, and later ones get to all others."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.actions import ActionContext, action
from shared.model.ids import Locator
from shared.model.timing import Timing
from shared.operations.housekeeping import Report
from tests.support.parts import Faults, FaultyStorage, Input, RecordingEngine, World, sqlite
from tests.unit.runner.handlers import until

TENDING = Timing().tending_within


@action("test:work", post="thing/{id}:work", keep="1h")
async def work(context: ActionContext, request: Input) -> None: ...


class HangingEngine(RecordingEngine):
    """Takes questions and answers none."""

    async def is_live(self, instance_id: str) -> bool:
        self.asked.append(instance_id)
        await asyncio.Event().wait()
        return False


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with sqlite(tmp_path) as inner:
        world = World(FaultyStorage(inner, Faults()), work)
        world.engine = HangingEngine()
        yield world


async def one_pass(world: World) -> Report:
    """A pass in which the engine is asked about eight operations, as many as it looks at side by side."""
    asked = len(world.engine.asked)
    tidying = asyncio.create_task(world.tidy())
    await until(lambda: len(world.engine.asked) == asked + 8)
    await world.clock.run_for(seconds=TENDING - 0.1)
    assert not tidying.done()
    await world.clock.run_for(seconds=0.1)
    return await tidying


async def test_tending_leaves_time_for_removals(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """With more than a pass can ask about, what has expired is removed all the same; one line says so."""
    ended = await world.start()
    await world.run(ended)
    world.clock.pass_by(hours=1, seconds=1)
    for _ in range(20):
        await world.start()
    world.clock.pass_by(seconds=10)
    assert (await one_pass(world)).removed == 1
    assert caplog.text.count("Not all that is active was looked at in this pass") == 1


@pytest.mark.parametrize("partitions", ["0", "0123456789abcdef"], ids=["one-partition", "all-partitions"])
async def test_later_passes_get_to_all_others(world: World, partitions: str) -> None:
    """Each pass begins somewhere else, in another partition and at another row, so that nothing is always left."""
    started: set[str] = set()
    ids = (id for id in map("op-{}".format, itertools.count()) if Locator.of("", id).partition in partitions)
    for id in itertools.islice(ids, 24):
        started.add((await world.start(operation_id=id)).instance_id)
    world.clock.pass_by(seconds=10)
    chance = random.Random(0)
    for _ in range(30):
        world.chance = chance.random()
        await one_pass(world)
        if set(world.engine.asked) == started:
            return
    pytest.fail("some were never looked at")
