"""What computes, however much of it there is, holds up nothing else."""

import asyncio

import pytest

from shared.model.operation import Status
from shared.operations.handler_places import MAX_WAITING
from tests.support.parts import World
from tests.support.turns import no_garbage_of_others, watched
from tests.unit.processes.conftest import Processes
from tests.unit.runner.handlers import until

__all__ = ["no_garbage_of_others"]


@pytest.mark.parametrize("operations", [8, 100])
async def test_a_trivial_action_starts_at_once(
    processes: Processes, caplog: pytest.LogCaptureFixture, operations: int
) -> None:
    """Eight compute, and the rest waits or comes back: what needs no place runs to its end while time stands still.

    No turn of the loop takes long meanwhile, those in which processes are made among them.
    """
    world = World(processes.world.storage, *processes.world.actions.values(), processes=8)
    here = Processes(world, processes.folder)
    started = [await here.start("numbers:computes", "computes_until") for _ in range(operations)]
    trivial = await here.start("numbers:trivial", "nothing")
    async with watched(caplog):
        runs = [asyncio.create_task(world.run(each)) for each in started]
        await until(lambda: len(world.live._attempts) == 8)
        turned_away = max(0, operations - 8 - MAX_WAITING)
        await until(lambda: sum(run.done() for run in runs) == turned_away)
        assert await world.run(trivial) is None
        assert (await world.read(trivial)).status is Status.SUCCEEDED
        assert (len(world.live._attempts), sum(run.done() for run in runs)) == (8, turned_away)
        (here.folder / "go").touch()
        await asyncio.gather(*runs)
    await world.processes.aclose()
    ended = [each for each in started if (await world.read(each)).status is Status.SUCCEEDED]
    assert len(ended) == operations - turned_away
