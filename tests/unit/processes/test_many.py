"""What computes, however much of it there is, holds up nothing else."""

import asyncio
from datetime import datetime

import pytest

from shared.model.operation import Status
from shared.operations.handler_places import MAX_WAITING
from shared.system_clock import SystemClock
from tests.support.parts import World
from tests.support.turns import no_garbage_of_others, watched
from tests.unit.processes.conftest import Processes
from tests.unit.runner.handlers import until

__all__ = ["no_garbage_of_others"]

TURNS = 100
"""Of the loop, for an attempt that does nothing."""


@pytest.mark.parametrize("operations", [8, 100])
async def test_a_trivial_action_starts_at_once(
    processes: Processes, caplog: pytest.LogCaptureFixture, operations: int
) -> None:
    """Eight compute, and the rest waits or comes back: an attempt that needs no place runs within a few turns of the
    loop, none of which takes long."""
    world = World(processes.world.storage, *processes.world.actions.values(), processes=8, clock=SystemClock())  # type: ignore[arg-type]
    here = Processes(world, processes.folder)
    started = [await here.start("numbers:computes", "computes_until") for _ in range(operations)]
    trivial = await here.start("numbers:trivial", "nothing")
    async with watched(caplog):
        runs = [asyncio.create_task(world.run(each)) for each in started]
        await until(lambda: len(world.live._attempts) == 8)
        await until(lambda: sum(run.done() for run in runs) == max(0, operations - 8 - MAX_WAITING))
        again, turns = await counted(world, trivial)
        assert again is None
        assert turns <= TURNS
        assert (await world.read(trivial)).status is Status.SUCCEEDED
        assert len(world.live._attempts) == 8
        (here.folder / "go").touch()
        await asyncio.gather(*runs)
    await world.processes.aclose()
    ended = [each for each in started if (await world.read(each)).status is Status.SUCCEEDED]
    assert len(ended) >= 8


async def counted(world: World, operation: object) -> tuple[datetime | None, int]:
    """What a delivery says, and how many turns of the loop it took."""
    turns, running = 0, asyncio.create_task(world.run(operation))  # type: ignore[arg-type]
    while not running.done():
        turns += 1
        await asyncio.sleep(0)
    return running.result(), turns
