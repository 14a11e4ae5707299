"""A wall clock that is set, or a machine that slept: what runs goes on, and what is lost or overdue is found."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from shared.actions import ActionContext, RequestError, Retry, action
from shared.engine.port import Work
from shared.model.ids import Locator
from shared.model.operation import Status
from shared.model.timing import Timing
from shared.model.updates import Running
from shared.operations.lease_watch import LeaseWatch
from shared.operations.site import SiteName
from shared.operations.verdict_clock import VerdictClock
from tests.support.clock import T0, ManualClock
from tests.support.parts import Faults, FaultyStorage, Input, World, make_operation, sqlite
from tests.unit.runner.handlers import begun, claim_elsewhere, error_code, until

TIMING = Timing()
LEASE = TIMING.lease.total_seconds()
JUMPS = [timedelta(hours=2), timedelta(hours=25), timedelta(days=8), timedelta(hours=-2), timedelta(seconds=40)]


class SharedStorage(FaultyStorage):
    """A store that other processes use, too: no lease in it is void because of when it was opened."""

    @property
    def exclusive_since(self) -> datetime | None:
        return None


class Gate:
    """A handler that ends when it is told to."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.canceled = False

    async def handler(self, context: ActionContext, request: Input) -> None:
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.canceled = True
            raise


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture(params=[FaultyStorage, SharedStorage], ids=["own store", "shared store"])
async def world(request: pytest.FixtureRequest, tmp_path: Path, gate: Gate) -> AsyncIterator[World]:
    declared = action("test:work", post="thing/{id}:work", exclusive="thing/{id}", retry=Retry(max_attempts=3))
    async with sqlite(tmp_path) as inner:
        world = World(request.param(inner, Faults()), declared(gate.handler))
        try:
            yield world
        finally:
            gate.may_end.set()
            await world.clock.run_for(seconds=TIMING.heartbeat)


async def beat(world: World) -> None:
    """Time passes until the attempt has renewed its lease once."""
    before = world.faults.writes
    await world.clock.run_for(seconds=TIMING.heartbeat)
    await until(lambda: world.faults.writes > before)
    await begun(world)


@pytest.mark.parametrize("jump", JUMPS, ids=str)
async def test_what_runs_goes_on(world: World, gate: Gate, jump: timedelta) -> None:
    """Neither passes nor polls nor a second delivery end it or run it again, right after the jump or any time later."""
    started = await world.start()
    attempt = asyncio.create_task(world.run(started))
    await begun(world)
    world.engine.started.clear()
    world.clock.set_wall_clock(seconds=jump.total_seconds())
    for _ in range(12):
        assert not (await world.tidy()).did_something
        seen = await world.service.get("", started.id, world.engine)
        assert (seen.status, seen.fence, seen.losses) == (Status.RUNNING, 1, 0)
        again = await world.runner.run(Work.of(seen))
        assert again is not None
        assert timedelta(0) < again - world.clock.now() <= TIMING.lease
        await beat(world)
    stored = await world.read(started)
    assert stored.attempt_deadline == world.clock.now() + timedelta(minutes=3)  # of the five that it has
    gate.may_end.set()
    assert await attempt is None
    assert (await world.read(started)).status is Status.SUCCEEDED
    assert (gate.canceled, world.engine.started) == (False, [])


async def test_jumps_there_and_back(world: World, gate: Gate) -> None:
    """As where a wrong time is put right soon."""
    started = await world.start()
    attempt = asyncio.create_task(world.run(started))
    await begun(world)
    for hours in (2, -2, -3, 5, -2):
        world.clock.set_wall_clock(hours=hours)
        assert not (await world.tidy()).did_something
        await beat(world)
    gate.may_end.set()
    await attempt
    assert (await world.read(started)).status is Status.SUCCEEDED


@pytest.mark.parametrize("jump", JUMPS, ids=str)
async def test_its_own_deadline_is_where_it_was(world: World, gate: Gate, jump: timedelta) -> None:
    """An attempt gets the time that it has, no more and no less."""
    started = await world.start()
    attempt = asyncio.create_task(world.run(started))
    await begun(world)
    world.clock.set_wall_clock(seconds=jump.total_seconds())
    await beat(world)
    for _ in range(28):
        await beat(world)
    assert not gate.canceled
    await world.clock.run_for(seconds=TIMING.heartbeat)
    await until(attempt.done)
    assert gate.canceled


@pytest.mark.parametrize("jump", JUMPS, ids=str)
@pytest.mark.parametrize("canceled", [False, True], ids=["running", "canceling"])
async def test_what_is_lost_is_found(world: World, jump: timedelta, canceled: bool) -> None:
    """At most two leases after the jump, or when it would have been found without it."""
    started = await world.start()
    await claim_elsewhere(world, started)
    if canceled:
        await world.service.cancel("", started.id)
    world.engine.started.clear()
    world.clock.set_wall_clock(seconds=jump.total_seconds())
    done = 0
    for _ in range(5):
        report = await world.tidy()
        done += report.restarted + report.canceled + report.failed
        world.clock.pass_by(seconds=LEASE / 2)
    assert done == 1
    ended = await world.read(started)
    over = jump >= TIMING.total_deadline and not canceled
    assert ended.status is (Status.CANCELED if canceled else Status.FAILED if over else Status.RUNNING)
    assert ended.losses == 1
    if over:
        assert error_code(ended) == "DeadlineExceeded"


async def test_a_holder_whose_clock_is_ahead(world: World) -> None:
    """A lease that ends far away is left alone as long as it is renewed: its holder lives, by another clock."""
    started = await world.start()
    await claim_elsewhere(world, started, after=7200)
    for _ in range(10):
        assert not (await world.tidy()).did_something
        stored = await world.read(started)
        assert stored.lease_until is not None
        renewed = stored.lease_until + timedelta(seconds=10)
        await world.records.change(stored, lambda o, until=renewed: replace(o, lease_until=until))
        world.clock.pass_by(seconds=10)
    await world.tidy()
    world.clock.pass_by(seconds=LEASE)
    await world.tidy()
    assert (await world.read(started)).losses == 1


async def test_what_has_expired_is_kept_for_a_lease(world: World, gate: Gate) -> None:
    """A clock that is put right at once removes nothing; one that stays removes what it says has expired."""
    gate.may_end.set()
    started = await world.start()
    await world.run(started)
    world.clock.set_wall_clock(days=30)
    assert (await world.tidy()).removed == 0
    world.clock.set_wall_clock(days=-30)
    world.clock.pass_by(seconds=LEASE)
    assert (await world.tidy()).removed == 0
    world.clock.set_wall_clock(days=30)
    assert (await world.tidy()).removed == 0
    world.clock.pass_by(seconds=LEASE)
    assert (await world.tidy()).removed == 1


async def test_a_lock_whose_start_is_under_way(world: World) -> None:
    """Between the two writes of a start a jump gives its lock to nobody else."""
    await world.locks.take("thing/1", Locator.of("", "me"), "0" * 32)
    world.clock.set_wall_clock(hours=2)
    with pytest.raises(RequestError, match="OperationInProgress"):
        await world.locks.take("thing/1", Locator.of("", "you"), "1" * 32)
    world.clock.pass_by(seconds=LEASE)
    await world.locks.take("thing/1", Locator.of("", "you"), "1" * 32)


async def test_what_was_removed_is_not_terminated(world: World) -> None:
    """Its orchestration has the time to end by itself that it would have had."""
    started = await world.start()
    await world.service.cancel("", started.id)
    await world.delete(started)
    world.clock.set_wall_clock(hours=2)
    await world.tidy()
    assert world.engine.terminated == []
    world.clock.pass_by(seconds=LEASE)
    await world.tidy()
    assert world.engine.terminated == [started.instance_id]


async def test_an_update_of_what_is_delegated(world: World) -> None:
    """Its deadline is of the wall clock, for others know it; what comes right after a jump is in time."""
    created = await world.services.external.create(kind="k", owner="", deadline="1h")
    world.clock.set_wall_clock(hours=2)
    assert (await world.services.external.update("", created.operation.id, Running())).status is Status.RUNNING
    assert not (await world.tidy()).did_something


async def test_a_namespace_is_not_taken_over(tmp_path: Path) -> None:
    """By a jump alone no site seems to have left: it has the time in which it renews what is its own."""
    one, two = SiteName("one", "Production", "HubOne"), SiteName("two", "Production", "HubTwo")
    clock = ManualClock()
    async with sqlite(tmp_path) as inner:
        storage = SharedStorage(inner, Faults())
        first, second = World(storage, clock=clock, site=one), World(storage, clock=clock, site=two)
        assert await first.site.hold()
        assert not await second.site.hold()
        for hours in (2, -3, 5):
            clock.set_wall_clock(hours=hours)
            for _ in range(30):
                assert not await second.site.hold()
                assert await first.site.hold()
                clock.pass_by(seconds=60)
        clock.pass_by(hours=4)
        assert await second.site.hold()


async def test_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """One line for a jump, with its length; none for a clock that is adjusted little by little."""
    caplog.set_level(logging.INFO)
    clock = ManualClock()
    judged = VerdictClock(clock, timing=TIMING, patience=TIMING.lease)
    for _ in range(100):
        clock.set_wall_clock(seconds=4)
        assert judged.now() == clock.now()
    assert not caplog.records
    clock.set_wall_clock(hours=2)
    for _ in range(3):
        assert judged.now() == clock.now() - timedelta(hours=2)
    clock.pass_by(seconds=LEASE)
    assert judged.now() == clock.now()
    (line,) = caplog.records
    assert line.getMessage() == "The clock was set by +7200 s"
    assert judged.set_back == timedelta(0)
    clock.set_wall_clock(hours=-3)
    assert (judged.now(), judged.set_back) == (clock.now(), timedelta(hours=-1))


def test_leases_that_are_watched_are_forgotten() -> None:
    """Of operations that have ended meanwhile nothing is kept for longer than an hour."""
    watch = LeaseWatch(TIMING.lease)
    for number in range(100):
        odd = make_operation(run_id=f"{number:032}", lease_until=T0 + timedelta(days=1))
        assert not watch.is_abandoned(odd, T0, 60.0 * number)
    assert len(watch._seen) <= 61
