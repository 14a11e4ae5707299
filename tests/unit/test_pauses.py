"""Paused actions: nothing is started or claimed, polls and deadlines go on, and how often anybody looks."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from shared.actions import ActionContext, RequestError, action
from shared.actions.registry import Registry
from shared.composition import Application
from shared.contracts.http import Request
from shared.engine.port import Work
from shared.model.operation import Status
from shared.model.timing import Timing
from shared.operations.pauses import Pause, Pauses
from tests.support.arm_parts import arm_api, code, path_of
from tests.support.arm_things import both_things
from tests.support.clock import ManualClock
from tests.support.parts import Faults, FaultyStorage, Input, World, settings, sqlite

WAIT = timedelta(seconds=30)


@action("test:work", post="thing/{id}:work")
async def work(context: ActionContext, request: Input) -> str:
    return "done"


@action("test:other", post="thing/{id}:other")
async def other(context: ActionContext, request: Input) -> str:
    return "done"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with sqlite(tmp_path) as inner:
        yield World(FaultyStorage(inner, Faults()), work, other, paused=())


async def looked(world: World) -> None:
    """What the store says is known from now on."""
    assert world.pauses is not None
    world.clock.pass_by(seconds=world.timing.pause_look)
    await world.pauses.current()


async def elsewhere(world: World) -> Pauses:
    """Another process at the same store."""
    return Pauses(world.storage, (), clock=world.clock, timing=world.timing)


@pytest.mark.parametrize("paused", ["test:work", "*"])
async def test_a_start_is_refused(world: World, paused: str) -> None:
    """503 with Retry-After, nothing stored; what is not paused starts; resumed, all does."""
    pauses = await elsewhere(world)
    await pauses.pause(paused, by="aad:op")
    await looked(world)
    with pytest.raises(RequestError) as caught:
        await world.start(work)
    assert (caught.value.status, caught.value.code) == (503, "ActionPaused")
    assert caught.value.headers == {"Retry-After": "30"}
    assert [key for key in await world.keys() if key[1] == "!"] == []
    if paused != "*":
        assert (await world.start(other)).status is Status.NOT_STARTED
    await pauses.resume(paused)
    await looked(world)
    assert (await world.start(work)).status is Status.NOT_STARTED


async def test_nothing_is_claimed(world: World) -> None:
    """What is due comes back in 30 s as if it had never been looked at; it is read, canceled, and runs once resumed."""
    first, second = await world.start(work), await world.start(work)
    pauses = await elsewhere(world)
    await pauses.pause("test:work", by="aad:op")
    world.clock.pass_by(seconds=world.timing.pause_look)
    before = await world.read(first)
    for _ in range(3):
        assert await world.run(first) == world.clock.now() + WAIT
        assert await world.read(first) == before
        world.clock.pass_by(seconds=30)
    assert (await world.service.get("", first.id)).status is Status.NOT_STARTED
    assert (await world.service.cancel("", second.id)).status is Status.CANCELED
    assert await world.run(second) is None
    await world.tidy()
    assert (await world.read(first)).generation == 1
    await pauses.resume("test:work")
    world.clock.pass_by(seconds=world.timing.pause_look)
    assert await world.run(first) is None
    ended = await world.read(first)
    assert (ended.status, ended.attempt, ended.failures, ended.losses) == (Status.SUCCEEDED, 1, 0, 0)


async def test_deadlines_go_on(world: World) -> None:
    """An operation comes back for its deadline and ends at it, paused or not."""
    operation = await world.start(work)
    await (await elsewhere(world)).pause("*", by="aad:op")
    world.clock.pass_by(seconds=(operation.deadline - world.clock.now()).total_seconds() - 10)
    assert await world.run(operation) == operation.deadline
    world.clock.pass_by(seconds=10)
    assert await world.run(operation) is None
    ended = await world.read(operation)
    assert ended.outcome is not None
    assert ended.outcome.error is not None
    assert (ended.status, ended.outcome.error.code) == (Status.FAILED, "DeadlineExceeded")


async def test_replays_are_answered(world: World) -> None:
    """A start that was taken before finds its operation."""
    operation = await world.start(work, operation_id="mine")
    await (await elsewhere(world)).pause("*", by="aad:op")
    await looked(world)
    assert (await world.start(work, operation_id="mine")).run_id == operation.run_id


async def test_how_often_the_row_is_read(world: World) -> None:
    """Once in five seconds, for any number of starts and claims; a start waits for no read."""
    assert world.pauses is not None
    faults = world.faults
    pauses, looks = world.pauses, 0
    look = pauses._look  # pyright: ignore[reportPrivateUsage]

    async def counted() -> None:
        nonlocal looks
        looks += 1
        await look()

    pauses._look = counted  # pyright: ignore[reportPrivateUsage]

    async def starts_and_claims() -> int:
        before = looks
        for each in [await world.start(work) for _ in range(5)]:
            await world.runner.run(Work.of(each))
        return looks - before

    assert await starts_and_claims() == 1
    assert await starts_and_claims() == 0
    world.clock.pass_by(seconds=4.9)
    assert await starts_and_claims() == 0
    world.clock.pass_by(seconds=0.1)
    assert await starts_and_claims() == 1
    world.clock.pass_by(seconds=5)
    faults.reads = 0
    world.pauses.check_start("test:work")
    assert faults.reads == 0
    await world.pauses.current()
    assert faults.reads == 1


async def test_a_store_that_does_not_answer(world: World) -> None:
    """What was known holds, and the next look is five seconds later."""
    assert world.pauses is not None
    await (await elsewhere(world)).pause("test:work", by="aad:op")
    await looked(world)
    world.faults.failing_reads = 1
    await looked(world)
    assert [pause.action for pause in await world.pauses.current()] == ["test:work"]
    with pytest.raises(RequestError):
        world.pauses.check_start("test:work")


async def test_a_setting_pauses(tmp_path: Path) -> None:
    """It holds from the first start on, whatever the switch says."""
    async with sqlite(tmp_path) as storage:
        world = World(storage, work, other, paused=("test:work",))
        assert world.pauses is not None
        await world.pauses.resume("test:work")
        with pytest.raises(RequestError, match="ActionPaused"):
            await world.start(work)
        await world.start(other)
        await world.pauses.pause("test:other", by="aad:op")
        found = await world.pauses.current()
        assert found == (Pause("test:other", "aad:op", world.clock.now()), Pause("test:work", "PAUSED_ACTIONS"))


async def test_two_switches_at_once(world: World) -> None:
    """Neither change is lost, and pausing again keeps who did it first."""
    one, two = await elsewhere(world), await elsewhere(world)
    await asyncio.gather(*(each.pause(f"test:{name}", by=name) for each, name in ((one, "one"), (two, "two"))))
    await two.pause("test:one", by="two")
    await looked(world)
    assert world.pauses is not None
    assert [(pause.action, pause.by) for pause in await world.pauses.current()] == [
        ("test:one", "one"),
        ("test:two", "two"),
    ]


async def test_an_arm_write(tmp_path: Path) -> None:
    """It is 503 before anything is held; the resource is free as soon as it is resumed."""
    async with arm_api(tmp_path, both_things, PAUSED_ACTIONS="*") as api:
        path = path_of("bothThings", "one")
        assert code(await api("PUT", path, {"location": "westeurope"})) == (503, "ActionPaused")
        assert code(await api("GET", path)) == (404, "ResourceNotFound")
        assert api.engine.started == []


async def test_health_shows_it(tmp_path: Path) -> None:
    """Paused is no trouble: it is 200, with the names."""
    async with sqlite(tmp_path) as storage:
        paused = settings(tmp_path, PAUSED_ACTIONS="test:work, test:other")
        application = Application(
            Registry([work, other]), settings=paused, storage=storage, clock=ManualClock(), timing=Timing()
        )
        response = await application.health.answer(Request(method="GET", url="http://h/health"))
        assert response.status == 200
        assert response.body == b'{"status":"Healthy","paused":["test:other","test:work"]}'
