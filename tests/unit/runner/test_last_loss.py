"""The last loss that an action allows: whoever counts it ends the operation, for no attempt is to come."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.actions import action
from shared.model.operation import Operation, Status
from tests.support.parts import T0, World
from tests.unit.runner.handlers import claim_elsewhere, echo, error_code


async def counted_by(world: World, who: str, operation: Operation) -> None:
    """Somebody who meets the operation, whose lease has run out."""
    match who:
        case "pass":
            await world.tidy()
        case "poll":
            await world.service.get("", operation.id, world.engine)
        case "poll without an engine":
            await world.service.get("", operation.id)
        case _:
            await world.run(operation)


@pytest.mark.parametrize("who", ["pass", "poll", "poll without an engine", "delivery"])
@pytest.mark.parametrize("max_lost", [1, 2, 5])
async def test_the_last_loss_ends_at_once(make: Callable[..., World], max_lost: int, who: str) -> None:
    """Whoever counts the last loss ends the operation, with no wait and without the engine; one before it does not."""
    world = make(echo, max_lost=max_lost)
    started = await world.start()
    for losses in range(1, max_lost + 1):
        stored = await world.read(started)
        world.clock.pass_by(seconds=max(0.0, ((stored.not_before or T0) - world.clock.now()).total_seconds()))
        await claim_elsewhere(world, started)
        world.clock.pass_by(seconds=30)
        if losses < max_lost:
            await world.tidy()
            waiting = await world.read(started)
            assert (waiting.status, waiting.losses) == (Status.RUNNING, losses)
    world.engine.unreachable = True
    world.engine.failures = 1
    await counted_by(world, who, started)
    ended = await world.read(started)
    assert (error_code(ended), ended.losses, ended.ended) == ("AttemptLost", max_lost, world.clock.now())
    assert [each.outcome for each in ended.attempts] == ["Lost"] * max_lost


@pytest.mark.parametrize("who", ["pass", "poll", "delivery"])
async def test_a_last_loss_that_was_counted_and_waits(make: Callable[..., World], who: str) -> None:
    """An action that allows fewer losses since the latest deployment: what has had them waits for no other attempt."""
    world = make(echo)
    started = await world.start()
    for _ in range(2):
        await claim_elsewhere(world, started)
        world.clock.pass_by(seconds=30)
    await world.service.get("", started.id, world.engine)
    waiting = await world.read(started)
    assert (waiting.losses, waiting.not_before) == (2, world.clock.now() + timedelta(seconds=5))
    after = World(world.storage, action("test:work", post="thing/{id}:work", max_lost=2)(echo), clock=world.clock)
    await counted_by(after, who, started)
    assert error_code(await world.read(started)) == "AttemptLost"


async def test_losses_of_an_unknown_action(make: Callable[..., World]) -> None:
    """An instance that does not know the action knows no limit: it counts the loss, and starts the operation anew."""
    world = make(echo, max_lost=1)
    started = await world.start()
    await claim_elsewhere(world, started)
    world.clock.pass_by(seconds=30)
    other = World(world.storage, clock=world.clock)
    assert (await other.tidy()).restarted == 1
    assert ((await world.read(started)).status, (await world.read(started)).losses) == (Status.RUNNING, 1)
    assert await world.run(started) is None
    assert error_code(await world.read(started)) == "AttemptLost"
