"""What a start, a poll or a cancel does for its own operation: what is overdue for it, and for nobody else."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from shared.actions import ActionContext, action
from shared.model import lifecycle
from shared.model.operation import Operation, Status
from shared.model.timing import Timing
from tests.support.parts import T0, Faults, FaultyStorage, Input, World, make_operation, sqlite
from tests.unit.runner.handlers import until

LEASE, PATIENCE = Timing().lease, Timing().housekeeping_patience


@action("test:work", post="thing/{id}:work")
async def work(context: ActionContext, request: Input) -> None: ...


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with sqlite(tmp_path) as inner:
        yield World(FaultyStorage(inner, Faults()), work)


async def claimed(world: World, operation: Operation) -> Operation:
    timeout, leases = timedelta(minutes=5), world.records.leases
    return await world.records.change(
        operation, lambda o: lifecycle.claim(o, world.clock.now(), holder="elsewhere", timeout=timeout, leases=leases)
    )


async def lost(world: World) -> Operation:
    """An operation whose lease has run out."""
    operation = await claimed(world, await world.start())
    world.engine.started.clear()
    world.clock.pass_by(seconds=LEASE.total_seconds())
    return operation


def restarted(world: World) -> list[int]:
    """The generations that were started."""
    return [work.generation for _, work in world.engine.started]


async def poll(world: World, operation: Operation) -> Operation:
    return await world.service.get("", operation.id, world.engine)


async def test_a_poll_leaves_what_runs_here_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the clocks say: an attempt of this process holds it. Most polls are of such a one, so no clock is read
    for it."""
    operation = await claimed(world, await world.start())
    world.clock.pass_by(seconds=100 * LEASE.total_seconds())

    def refuse(_: object) -> NoReturn:
        pytest.fail("the clock was read")

    monkeypatch.setattr(type(world.clock), "now", refuse)
    with world.live.claiming("elsewhere"):
        assert await world.recovery.recover_for_request(operation, world.engine) is operation


async def test_a_poll_starts_again_what_was_lost(world: World) -> None:
    """The poll that meets the lease counts the loss and answers with it; polls and passes after it do nothing more."""
    operation = await lost(world)
    seen = await poll(world, operation)
    assert (seen.status, seen.losses, seen.lease_until, seen.generation) == (Status.RUNNING, 1, None, 2)
    assert seen.last_error is not None
    assert seen.last_error.code == "AttemptLost"
    assert await poll(world, operation) == seen
    assert (await world.tidy()).restarted == 0
    assert restarted(world) == [2]
    await world.runner.run(world.engine.started[0][1])
    assert (await poll(world, operation)).status is Status.SUCCEEDED


async def test_a_request_does_nothing_for_others(world: World) -> None:
    """Of two operations that were lost together the polled one goes on; the other waits for its own poll."""
    mine, other = await lost(world), await claimed(world, await world.start())
    world.clock.pass_by(seconds=LEASE.total_seconds())
    world.engine.started.clear()
    before = await world.read(other)
    await poll(world, mine)
    assert [str(work.locator) for _, work in world.engine.started] == [str(mine.locator)]
    assert await world.read(other) == before


@pytest.mark.parametrize(
    ("canceled", "after", "status", "code"),
    [
        (True, LEASE, Status.CANCELED, "OperationCanceled"),
        (False, timedelta(hours=24), Status.FAILED, "DeadlineExceeded"),
    ],
)
async def test_a_poll_ends_what_is_over(
    world: World, canceled: bool, after: timedelta, status: Status, code: str
) -> None:
    """A cancel that nobody confirms, a deadline that is over: the poll that meets it says so, without an engine."""
    operation = await claimed(world, await world.start())
    if canceled:
        await world.service.cancel("", operation.id)
    world.clock.pass_by(seconds=after.total_seconds())
    seen = await world.service.get("", operation.id)
    assert seen.outcome is not None
    assert seen.outcome.error is not None
    assert (seen.status, seen.outcome.error.code) == (status, code)
    assert seen == (await world.records.read(operation.locator, for_monitor=True))


async def test_a_poll_gives_up_what_is_stuck(world: World) -> None:
    """A holder that renews its lease long past its deadline."""
    operation = await claimed(world, await world.start())
    world.clock.pass_by(minutes=6)
    leases = world.records.leases
    await world.records.change(operation, lambda o: lifecycle.heartbeat(o, world.clock.now(), fence=1, leases=leases))
    seen = await poll(world, operation)
    assert seen.outcome is not None
    assert seen.outcome.error is not None
    assert seen.outcome.error.code == "AttemptStuck"


async def test_a_poll_of_what_is_not_overdue_is_one_point_read(world: World) -> None:
    """New, running, waiting and ended: nothing is written, and the engine is asked nothing."""
    new = await world.start()
    running = await claimed(world, await world.start())
    waiting = await claimed(world, await world.start())
    due = T0 + timedelta(hours=1)
    await world.records.change(waiting, lambda o: lifecycle.retry_later(o, T0, fence=1, not_before=due))
    ended = await world.start()
    await world.service.cancel("", ended.id)
    world.clock.pass_by(seconds=PATIENCE.total_seconds() - 1)
    world.faults.reads = world.faults.writes = 0
    for each in (new, running, waiting, ended):
        await poll(world, each)
    assert (world.faults.reads, world.faults.writes, world.engine.asked) == (4, 0, [])


async def test_the_engine_is_not_asked_at_every_poll(world: World) -> None:
    """What waits for its turn is polled often: the engine hears of it once in ten seconds, whoever polls."""
    one, other = await world.start(), await world.start()
    world.clock.pass_by(seconds=PATIENCE.total_seconds())
    for _ in range(5):
        await poll(world, one)
        await poll(world, other)
        world.clock.pass_by(seconds=1)
    assert world.engine.asked == [one.instance_id, other.instance_id]
    world.clock.pass_by(seconds=PATIENCE.total_seconds() - 5)
    world.engine.live.discard(one.instance_id)
    assert (await poll(world, one)).generation == 2
    assert (await poll(world, other)).generation == 1
    assert world.engine.asked == [one.instance_id, other.instance_id] * 2


async def test_without_an_engine_nothing_is_started(world: World) -> None:
    """A cancel, or a delete, leaves the restart to a poll: it writes nothing and counts no loss."""
    operation = await lost(world)
    world.faults.writes = 0
    assert await world.service.get("", operation.id) == await world.records.read(operation.locator, for_monitor=True)
    assert (world.faults.writes, restarted(world)) == (0, [])


async def test_a_cancel_of_what_was_lost(world: World) -> None:
    """It is Canceled at once, not started again first; so is what was asked to stop before its attempt was lost."""
    operation = await lost(world)
    assert (await world.service.cancel("", operation.id)).status is Status.CANCELED
    asked = await claimed(world, await world.start())
    assert (await world.service.cancel("", asked.id)).status is Status.CANCELING
    world.clock.pass_by(seconds=LEASE.total_seconds())
    world.engine.started.clear()
    assert (await world.service.cancel("", asked.id)).status is Status.CANCELED
    assert restarted(world) == []


async def test_a_start_that_is_repeated(world: World) -> None:
    """A start that the engine did not take is taken when its caller repeats it, no later than a poll would."""
    world.engine.failures = 1
    first = await world.start(operation_id="chosen")
    assert (await world.start(operation_id="chosen")).generation == 1
    world.clock.pass_by(seconds=PATIENCE.total_seconds())
    again = await world.start(operation_id="chosen")
    assert (again.run_id, again.generation, restarted(world)) == (first.run_id, 2, [2])


async def test_a_caller_that_waits(world: World) -> None:
    """Who waits for the end with the start need not poll for it."""
    operation = await claimed(world, await world.start())
    world.engine.started.clear()
    waiting = asyncio.create_task(world.service.wait(operation, 40, world.engine))
    for _ in range(40):
        await asyncio.sleep(0.002)  # the store works in a thread
        await world.clock.run_for(seconds=1)
    assert (await waiting).generation == 2
    assert restarted(world) == [2]


async def test_two_polls_at_a_time(world: World) -> None:
    """One of them starts it again; both are answered."""
    operation = await lost(world)
    await asyncio.gather(poll(world, operation), poll(world, operation))
    assert restarted(world) == [2]
    assert (await world.read(operation)).losses == 1


async def test_help_that_fails_fails_no_poll(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Neither an engine that says nothing nor a store that takes no write: the answer is what is stored."""
    silent = await world.start()
    world.clock.pass_by(seconds=PATIENCE.total_seconds())
    world.engine.unreachable = True
    assert (await poll(world, silent)).generation == 1
    operation = await lost(world)
    world.faults.at, world.faults.fault, world.faults.writes = 1, "down", 0
    assert await poll(world, operation) == await world.records.read(operation.locator, for_monitor=True)
    assert caplog.text.count("What is overdue is left to housekeeping") == 2
    assert (await poll(world, operation)).losses == 1


async def test_an_engine_that_refuses_the_restart(world: World) -> None:
    """The poll answers what is stored then, with the loss; the next one ten seconds later starts another generation."""
    operation = await lost(world)
    world.engine.failures = 1
    seen = await poll(world, operation)
    assert (seen.losses, seen.generation) == (1, 2)
    assert seen == await world.records.read(operation.locator, for_monitor=True)
    assert (await poll(world, operation)).generation == 2
    world.clock.pass_by(seconds=PATIENCE.total_seconds())
    seen = await poll(world, operation)
    assert (seen.losses, seen.generation, restarted(world)) == (1, 3, [3])


async def test_help_is_bounded_in_time(world: World) -> None:
    """A write that hangs holds the poll up for `recover_within`, and no longer."""
    operation = await lost(world)
    world.faults.at, world.faults.fault, world.faults.writes = 1, "hang", 0
    polling = asyncio.create_task(poll(world, operation))
    await until(lambda: world.faults.writes == 1)
    await world.clock.run_for(seconds=Timing().recover_within - 0.1)
    assert not polling.done()
    await world.clock.run_for(seconds=0.2)
    assert (await polling).losses == 0


async def test_what_is_delegated(world: World) -> None:
    """Nobody starts it: at its deadline the poll ends it."""
    await world.records.insert(make_operation(external=True, deadline=T0 + timedelta(hours=1)))
    assert (await world.service.get("", "op-1", world.engine)).status is Status.NOT_STARTED
    world.clock.pass_by(hours=1)
    assert (await world.service.get("", "op-1", world.engine)).status is Status.FAILED
    assert world.engine.asked == []
