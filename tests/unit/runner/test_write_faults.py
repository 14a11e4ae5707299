"""Whichever write of an operation with steps, checkpoints and slices goes wrong, and whichever kind its handler is."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
from pydantic_core import from_json

from shared.actions import ActionContext, ContinueLater, SyncActionContext
from shared.errors import StorageError
from shared.model.operation import Operation, Status
from tests.support.parts import Input, Killed, World
from tests.unit.runner.test_steps import FAULTS, LARGE, check_nothing_is_left, settle, step_rows

WRITES = (
    "claim", "step", "checkpoint's blob", "checkpoint", "slice",
    "second claim", "step's blob", "second step", "second checkpoint", "older blob", "end",
)  # fmt: skip
"""Those of an operation that nothing disturbs, in their order."""

Seen = list[Any]
"""What each attempt was given to go on from."""


def async_handler(seen: Seen) -> Callable[..., Any]:
    async def handler(context: ActionContext, request: Input) -> str:
        seen.append(context.saved)
        attempt = str(context.attempt)
        small = await context.once("small", lambda: attempt)
        if context.saved is None:
            await context.save([LARGE, attempt], flush=True)
            raise ContinueLater
        large = await context.once("large", lambda: attempt * len(LARGE))
        await context.save(["second", attempt], flush=True)
        return small + large[0]

    return handler


def def_handler(seen: Seen) -> Callable[..., Any]:
    def handler(context: SyncActionContext, request: Input) -> str:
        seen.append(context.saved)
        attempt = str(context.attempt)
        small = context.once("small", lambda: attempt)
        if context.saved is None:
            context.save([LARGE, attempt], flush=True)
            raise ContinueLater
        large = context.once("large", lambda: attempt * len(LARGE))
        context.save(["second", attempt], flush=True)
        return small + large[0]

    return handler


async def carried_out(world: World, work: Coroutine[Any, Any, Any]) -> None:
    """Until it ends, or its process dies, while the clock moves on; between two steps threads get a moment."""
    others = asyncio.all_tasks()
    task = asyncio.create_task(work)
    while not (task.done() or world.faults.is_dead):
        await asyncio.wait({task}, timeout=0.005)
        await world.clock.run_for(seconds=0.5)
    if world.faults.is_dead:
        # Nothing of a process goes on that is dead, and no request of it is done.
        dead = asyncio.all_tasks() - others
        for each in dead:
            each.cancel()
        await asyncio.gather(*dead, return_exceptions=True)
    if not task.cancelled():
        task.result()


async def slices(world: World, started: Operation) -> None:
    while await world.run(started) is not None:
        pass


async def saved(world: World, started: Operation) -> Any:
    stored = (await world.read(started)).saved
    content = None if stored is None else await world.records.load_payload(stored)
    return None if content is None else from_json(content)


@pytest.mark.parametrize("kind", [async_handler, def_handler], ids=["async", "def"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("at", range(1, len(WRITES) + 1), ids=WRITES)
async def test_any_write_goes_wrong(make: Callable[..., World], kind: Any, fault: Any, at: int) -> None:
    """It goes on from the checkpoint that was stored last, no stored step is done again, and nothing is left."""
    seen: Seen = []
    world = make(kind(seen), max_lost=2)
    faults, started = world.faults, await world.start()
    faults.at, faults.fault, faults.kills_process = faults.writes + at, fault.removesuffix("-unread"), True

    async def fail_a_read() -> None:
        faults.failing_reads = 1

    faults.after = fail_a_read if fault == "lost-unread" else None
    with suppress(StorageError, Killed):
        await carried_out(world, slices(world, started))
    assert faults.writes >= faults.at, "nothing has gone wrong"
    faults.failing_reads = 0
    world = world.restarted() if faults.is_dead else world
    kept, checkpoint, attempts = await step_rows(world, started), await saved(world, started), len(seen)
    await carried_out(world, settle(world, started))
    ended = await world.read(started)
    assert (ended.status, ended.steps, ended.failures) == (Status.SUCCEEDED, 2, 0)
    assert (await step_rows(world, started)).items() >= kept.items()
    assert (seen[attempts:] or [checkpoint])[0] == checkpoint
    assert (await saved(world, started))[0] == "second"
    done_by = dict(zip(["small", "large"], from_json(ended.outcome.body.text), strict=True))
    assert {done_by[key] for key in kept} <= {"1"}
    await world.delete(started)
    await check_nothing_is_left(world, started)


@pytest.mark.parametrize("kind", [async_handler, def_handler], ids=["async", "def"])
async def test_the_writes_of_it(make: Callable[..., World], kind: Any) -> None:
    """The table above has all of them."""
    world = make(kind([]))
    started = await world.start()
    await slices(world, started)
    assert world.faults.writes == 1 + len(WRITES), "the start comes before them"
