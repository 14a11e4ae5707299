"""One write operation on a resource at a time: who holds, until when, and that no start leaves a lock behind."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from shared.actions import ActionContext, RequestError, action
from shared.model.ids import Locator
from shared.model.operation import Status
from tests.support.parts import Faults, FaultyStorage, Input, Killed, World, sqlite

ME, YOU = Locator.of("", "me"), Locator.of("", "you")


@action("test:write", post="thing/{id}:write", exclusive="thing/{id}")
async def write(context: ActionContext, request: Input) -> None: ...


@write.precondition
def refuse(request: Input) -> None:
    if request.file_name == "refuse":
        raise RequestError(400, "Refused", "No.")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with sqlite(tmp_path) as inner:
        yield World(FaultyStorage(inner, Faults()), write)


HELD = {"resource": "thing/1", "exclusive": True}


async def busy(world: World, **changes: object) -> None:
    with pytest.raises(RequestError) as caught:
        await world.start(**{**HELD, **changes})
    assert (caught.value.status, caught.value.code) == (409, "OperationInProgress")


async def test_second_start(world: World) -> None:
    """While an operation has not ended, another one on its resource is 409 and leaves nothing; others may start."""
    first = await world.start(**HELD)
    before = await world.keys()
    await busy(world)
    await busy(world, resource="THING/1")
    assert await world.keys() == before
    await world.start(**{**HELD, "resource": "thing/2"})
    await world.start()
    await world.run(first)
    await world.start(**HELD)


async def test_ended_in_any_way(world: World) -> None:
    """Canceled and deleted operations hold nothing; nobody has to release anything."""
    first = await world.start(**HELD)
    await world.service.cancel("", first.id)
    second = await world.start(**HELD)
    await world.service.cancel("", second.id)
    await world.delete(second)
    world.clock.pass_by(seconds=60)
    await world.start(**HELD)


async def test_canceling_still_locks(world: World) -> None:
    """What was only asked to stop may still write."""
    first = await world.start(**HELD)
    await world.records.change(await world.read(first), lambda o: replace(o, status=Status.CANCELING))
    await busy(world)


async def test_replay_before_busy(world: World) -> None:
    """The same start again is answered although the resource is busy: with itself."""
    first = await world.start(**HELD, operation_id="mine")
    assert (await world.start(**HELD, operation_id="mine")).run_id == first.run_id
    await busy(world, operation_id="other")


async def test_busy_before_precondition(world: World) -> None:
    """The order of answers: busy, then what the action itself refuses."""
    await world.start(**HELD)
    await busy(world, input=Input(file_name="refuse"))


async def test_refused_start_holds_nothing(world: World) -> None:
    """What a precondition refuses leaves the resource free."""
    with pytest.raises(RequestError, match="Refused"):
        await world.start(**HELD, input=Input(file_name="refuse"))
    await world.start(**HELD)


async def test_race(world: World) -> None:
    """Of different starts at one time exactly one gets the resource."""
    found = await asyncio.gather(*(world.start(**HELD) for _ in range(6)), return_exceptions=True)
    assert sum(not isinstance(each, BaseException) for each in found) == 1
    assert {each.code for each in found if isinstance(each, RequestError)} == {"OperationInProgress"}
    assert len(world.engine.started) == 1


async def test_race_of_equal_starts(world: World) -> None:
    """Of equal starts at one time one creates the operation and all get it; it holds the resource, whoever took it."""
    found = await asyncio.gather(*(world.start(**HELD, operation_id="mine") for _ in range(8)))
    assert len({each.run_id for each in found}) == 1
    assert len(world.engine.started) == 1
    world.clock.pass_by(minutes=5)
    await busy(world)


async def test_lost_race_of_one_id(world: World) -> None:
    """A start that finds its id taken by one on another resource gives its lock up again."""
    results = await asyncio.gather(
        world.start(**HELD, operation_id="mine"),
        world.start(resource="thing/2", exclusive=True, operation_id="mine", fingerprint="0" * 64),
        return_exceptions=True,
    )
    [lost] = [each for each in results if isinstance(each, RequestError)]
    [won] = [each for each in results if not isinstance(each, BaseException)]
    assert lost.code == "OperationIdInUse"
    free = "thing/2" if won.resource == "thing/1" else "thing/1"
    await world.start(**{**HELD, "resource": free})
    await busy(world, resource=won.resource)


@pytest.mark.parametrize("fault", ["kill", "kill-before"])
@pytest.mark.parametrize("at", [1, 2])
async def test_start_killed(world: World, fault: str, at: int) -> None:
    """A start that dies at either write leaves a lock that counts for a minute at most, or for its operation."""
    world.faults.at, world.faults.fault = at, fault  # type: ignore[assignment]
    with pytest.raises(Killed):
        await world.start(**HELD)
    if (at, fault) == (1, "kill-before"):
        await world.start(**HELD)
        return
    await busy(world)
    world.clock.pass_by(seconds=61)
    if (at, fault) == (2, "kill"):
        await busy(world)
    else:
        await world.start(**HELD)


async def test_held_by_hand(world: World) -> None:
    """A handler may hold more resources for its operation: again without a write, and until it has ended."""
    importing = await world.start()
    for _ in range(2):
        await world.locks.take("thing/1", importing.locator, importing.run_id)
    assert world.faults.writes == 2
    await busy(world)
    world.clock.pass_by(minutes=5)
    await busy(world)
    await world.run(importing)
    await world.start(**HELD)


async def test_used_again_id(world: World) -> None:
    """A deleted operation's id, used again for something else, does not bring its lock back."""
    first = await world.start(**HELD, operation_id="mine")
    await world.run(first)
    await world.service.delete("", "mine", world.engine)
    await world.start(operation_id="mine", resource="thing/2", exclusive=True, fingerprint="0" * 64)
    world.clock.pass_by(seconds=61)
    await world.start(**HELD)


async def test_release(world: World) -> None:
    """Only the run that holds gives up, and giving up twice is nothing."""
    await world.locks.take("thing/1", ME, "a" * 32)
    await world.locks.release("thing/1", "b" * 32)
    with pytest.raises(RequestError):
        await world.locks.check("thing/1", YOU)
    for _ in range(2):
        await world.locks.release("thing/1", "a" * 32)
    await world.locks.check("thing/1", YOU)
