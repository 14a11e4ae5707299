"""What keeps operations moving: the judgement on one record, and passes over a real store."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.actions import ActionContext, Retry, action
from shared.model import lifecycle
from shared.model.leases import Leases
from shared.model.operation import Operation, Status
from shared.model.timing import Timing
from shared.operations.recovery import Verdict, judge
from shared.storage.ports import Insert, Merge
from tests.support.clock import ManualClock
from tests.support.parts import LEASES, T0, Faults, FaultyStorage, Input, World, make_operation, sqlite

TIMEOUT = timedelta(minutes=5)
PATIENCE, STUCK_AFTER = Timing().housekeeping_patience, Timing().stuck_after
LIVE = {"lease_until": T0 + timedelta(seconds=1), "attempt_deadline": T0 + TIMEOUT}


@pytest.mark.parametrize(
    ("changes", "after", "verdict"),
    [
        ({}, timedelta(0), Verdict.NOTHING),
        ({}, PATIENCE - timedelta(microseconds=1), Verdict.NOTHING),
        ({}, PATIENCE, Verdict.RESTART_UNLESS_LIVE),
        ({"not_before": T0 + timedelta(hours=1)}, timedelta(hours=1), Verdict.NOTHING),
        ({"not_before": T0 + timedelta(hours=1)}, timedelta(hours=1) + PATIENCE, Verdict.RESTART_UNLESS_LIVE),
        ({}, timedelta(hours=24), Verdict.EXCEED_DEADLINE),
        ({"status": Status.RUNNING, **LIVE}, timedelta(0), Verdict.NOTHING),
        ({"status": Status.RUNNING, **LIVE}, timedelta(seconds=1), Verdict.RESTART),
        ({"status": Status.RUNNING}, PATIENCE, Verdict.RESTART_UNLESS_LIVE),
        ({"status": Status.RUNNING, **LIVE}, timedelta(hours=24), Verdict.EXCEED_DEADLINE),
        (
            {"status": Status.RUNNING, "lease_until": T0 + timedelta(hours=30), "attempt_deadline": T0},
            STUCK_AFTER,
            Verdict.GIVE_UP_STUCK,
        ),
        (
            {"status": Status.RUNNING, "lease_until": T0 + timedelta(hours=30), "attempt_deadline": T0},
            STUCK_AFTER - timedelta(microseconds=1),
            Verdict.NOTHING,
        ),
        ({"status": Status.CANCELING, **LIVE}, timedelta(0), Verdict.NOTHING),
        ({"status": Status.CANCELING, **LIVE}, timedelta(seconds=1), Verdict.CONFIRM_CANCEL),
        ({"status": Status.CANCELING, **LIVE}, timedelta(hours=24), Verdict.CONFIRM_CANCEL),
        ({"status": Status.SUCCEEDED}, timedelta(hours=24), Verdict.NOTHING),
        ({"status": Status.FAILED}, timedelta(hours=24), Verdict.NOTHING),
        ({"status": Status.CANCELED}, timedelta(hours=24), Verdict.NOTHING),
    ],
    ids=str,
)
def test_judge(changes: dict[str, Any], after: timedelta, verdict: Verdict) -> None:
    """The table of what a record needs at a time."""
    assert judge(make_operation(**changes), T0 + after, timing=Timing(), leases=LEASES) is verdict


LEASE = timedelta(seconds=30)


@pytest.mark.parametrize(
    ("changes", "after", "verdict"),
    [
        ({"created": T0 - LEASE}, timedelta(0), Verdict.RESTART_UNLESS_LIVE),
        ({}, timedelta(0), Verdict.NOTHING),
        ({"created": T0 - LEASE, "not_before": T0 + LEASE}, timedelta(0), Verdict.NOTHING),
        ({"created": T0 - LEASE, "not_before": T0}, timedelta(0), Verdict.NOTHING),
        ({"created": T0 - LEASE, "not_before": T0 - PATIENCE}, timedelta(0), Verdict.RESTART_UNLESS_LIVE),
        ({"status": Status.RUNNING, "lease_until": T0 + LEASE / 2}, timedelta(0), Verdict.RESTART),
        ({"status": Status.RUNNING, "lease_until": T0 + LEASE}, timedelta(0), Verdict.NOTHING),
        ({"status": Status.RUNNING, "lease_until": T0 + LEASE}, LEASE, Verdict.RESTART),
        ({"status": Status.CANCELING, "lease_until": T0 + LEASE / 2}, timedelta(0), Verdict.CONFIRM_CANCEL),
        ({"status": Status.CANCELING, "lease_until": T0 + LEASE}, timedelta(0), Verdict.NOTHING),
    ],
    ids=str,
)
def test_judge_what_a_dead_process_has_left(changes: dict[str, Any], after: timedelta, verdict: Verdict) -> None:
    """In a store that is this process's own since T0, older leases are void and older starts need no patience."""
    mine = Leases(length=LEASE, exclusive_since=T0)
    assert judge(make_operation(**changes), T0 + after, timing=Timing(), leases=mine) is verdict


async def echo(context: ActionContext, request: Input) -> None: ...


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with sqlite(tmp_path) as inner:
        declared = action("test:work", post="thing/{id}:work", retry=Retry(max_attempts=3))(echo)
        yield World(FaultyStorage(inner, Faults()), declared)


async def claimed(world: World, operation: Operation) -> Operation:
    return await world.records.change(
        operation,
        lambda o: lifecycle.claim(
            o, world.clock.now(), holder="elsewhere", timeout=TIMEOUT, leases=world.records.leases
        ),
    )


async def test_engine_fails_once(world: World) -> None:
    """A start the engine did not take is made again after ten seconds, and the operation ends."""
    world.engine.failures = 1
    started = await world.start()
    assert world.engine.started == []
    assert (await world.tidy()).restarted == 0
    world.clock.pass_by(seconds=10)
    assert (await world.tidy()).restarted == 1
    ((instance, work),) = world.engine.started
    assert instance == f"{started.run_id}.2"
    assert await world.runner.run(work) is None
    assert (await world.read(started)).status is Status.SUCCEEDED


async def test_live_orchestration_is_left_alone(world: World) -> None:
    """What the engine still has is not started a second time; an engine that does not answer is asked again later."""
    started = await world.start()
    world.clock.pass_by(minutes=5)
    world.engine.unreachable = True
    assert not (await world.tidy()).did_something
    world.engine.unreachable = False
    assert not (await world.tidy()).did_something
    assert world.engine.asked == [f"{started.run_id}.1"] * 2
    world.engine.live.clear()
    assert (await world.tidy()).restarted == 1


async def test_lost_attempt_is_restarted_once(world: World) -> None:
    """Running with an expired lease is started anew at once; passes that follow leave the new start its turn."""
    started = await claimed(world, await world.start())
    world.clock.pass_by(seconds=29)
    assert not (await world.tidy()).did_something
    world.clock.pass_by(seconds=1)
    assert (await world.tidy()).restarted == 1
    for _ in range(3):
        world.clock.pass_by(seconds=60)
        assert (await world.tidy()).restarted == 0
    assert [instance for instance, _ in world.engine.started] == [f"{started.run_id}.1", f"{started.run_id}.2"]
    await world.runner.run(world.engine.started[0][1])
    assert (await world.read(started)).status is Status.RUNNING
    await world.runner.run(world.engine.started[1][1])
    ended = await world.read(started)
    assert (ended.status, ended.attempt, ended.fence) == (Status.SUCCEEDED, 2, 2)


async def test_restart_waits_as_its_loss_demands(world: World) -> None:
    """The second loss is claimed 5 s after its restart and not before; what comes meanwhile counts nothing."""
    started = await claimed(world, await world.start())
    world.clock.pass_by(seconds=30)
    await world.tidy()
    await claimed(world, await world.read(started))
    world.clock.pass_by(seconds=30)
    assert (await world.tidy()).restarted == 1
    waiting = await world.read(started)
    due = world.clock.now() + timedelta(seconds=5)
    assert (waiting.status, waiting.losses, waiting.lease_until, waiting.not_before) == (Status.RUNNING, 2, None, due)
    work = world.engine.started[-1][1]
    assert await world.runner.run(work) == due
    assert not (await world.tidy()).did_something
    world.clock.pass_by(seconds=5)
    assert await world.runner.run(work) is None
    ended = await world.read(started)
    assert (ended.status, ended.losses, ended.attempt) == (Status.SUCCEEDED, 2, 3)


async def test_restart_that_fails_is_made_again(world: World) -> None:
    """Where the engine refuses the restart as well, a pass ten seconds later makes another generation."""
    started = await claimed(world, await world.start())
    world.clock.pass_by(seconds=30)
    world.engine.failures = 1
    assert (await world.tidy()).restarted == 0
    assert (await world.tidy()).restarted == 0, "the engine may still be taking it"
    world.clock.pass_by(seconds=10)
    assert (await world.tidy()).restarted == 1
    assert (await world.read(started)).generation == 3


async def test_two_instances_restart_once(world: World) -> None:
    """Of two passes at one time one restarts: the other finds the generation changed."""
    for _ in range(5):
        await claimed(world, await world.start())
    world.engine.started.clear()
    world.clock.pass_by(seconds=30)
    reports = await asyncio.gather(world.tidy(), world.tidy())
    assert sum(report.restarted for report in reports) == 5
    assert len(world.engine.started) == 5


async def test_stuck_attempt(world: World) -> None:
    """A holder that renews its lease long past its deadline is given up; its later writes find the fence closed."""
    started = await claimed(world, await world.start())
    world.clock.pass_by(minutes=6)
    held = await world.records.change(
        started, lambda o: lifecycle.heartbeat(o, world.clock.now(), fence=1, leases=LEASES)
    )
    assert (await world.tidy()).failed == 1
    ended = await world.read(held)
    assert ended.outcome is not None
    assert ended.outcome.error is not None
    assert (ended.status, ended.outcome.error.code) == (Status.FAILED, "AttemptStuck")


async def test_abandoned_cancel(world: World) -> None:
    """Canceling whose attempt is gone becomes Canceled."""
    started = await claimed(world, await world.start())
    await world.service.cancel("", started.id)
    assert not (await world.tidy()).did_something
    world.clock.pass_by(seconds=30)
    assert (await world.tidy()).canceled == 1
    assert (await world.read(started)).status is Status.CANCELED


async def test_deadline(world: World) -> None:
    """What is over its total deadline fails with a code of its own."""
    started = await world.start()
    world.clock.pass_by(hours=24)
    assert (await world.tidy()).failed == 1
    ended = await world.read(started)
    assert ended.outcome is not None
    assert ended.outcome.error is not None
    assert ended.outcome.error.code == "DeadlineExceeded"


async def test_expiry(world: World) -> None:
    """At `expiresAt`, and not before, a terminal record goes with all its rows and its blobs."""
    started = await world.start(input_json=b'"' + b"x" * 50_000 + b'"')
    held = await claimed(world, started)
    result = await world.records.store_result(held, "application/json", b"x" * 50_000)
    assert started.input.blob
    assert result.blob
    await world.service.cancel("", started.id)
    world.clock.pass_by(seconds=30)
    await world.tidy()
    world.engine.live.clear()
    world.clock.pass_by(hours=24, microseconds=-1)
    assert (await world.tidy()).removed == 0
    world.clock.pass_by(microseconds=2)
    assert (await world.tidy()).removed == 1
    assert await world.keys() == []
    for blob in (started.input.blob, result.blob):
        assert await world.storage.container("operations").info(blob) is None
    assert (await world.tidy()).removed == 0


async def test_idle_pass_is_33_queries(world: World) -> None:
    """A pass with nothing to do costs two queries a partition, however many terminal records there are."""
    for _ in range(40):
        started = await world.start()
        await world.service.cancel("", started.id)
    world.faults.pages = world.faults.reads = world.faults.writes = 0
    assert not (await world.tidy()).did_something
    assert (world.faults.pages, world.faults.reads, world.faults.writes) == (33, 0, 0)


async def test_broken_record_does_not_stop_the_pass(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A record nobody can read is logged; all others are tended and removed nevertheless."""
    operations = [await claimed(world, await world.start()) for _ in range(12)]
    broken = operations[0].locator
    await world.storage.table("operations").write(broken.partition, [Merge(broken.record_key, {"status": "Dancing"})])
    await world.storage.table("operations").write("0", [Insert("t!2020!0123456789abcdef!gone!expire", {})])
    world.clock.pass_by(seconds=30)
    assert (await world.tidy()).restarted == 11
    assert "Could not tend an operation" in caplog.text


async def test_forty_operations_of_a_dead_process(tmp_path: Path) -> None:
    """On the embedded store the first pass of the next process has all go on, started and not; a second pass none."""
    clock = ManualClock()
    declared = action("test:work", post="thing/{id}:work", retry=Retry(max_attempts=3))(echo)
    async with sqlite(tmp_path, clock) as storage:
        before = World(storage, declared, clock=clock)
        operations = [await before.start() for _ in range(40)]
        for operation in operations[::2]:
            await claimed(before, operation)
    clock.pass_by(milliseconds=1)
    async with sqlite(tmp_path, clock) as storage:
        after = World(storage, declared, clock=clock)
        assert (await after.tidy()).restarted == 40
        assert (await after.tidy()).restarted == 0
        for _, work in after.engine.started:
            await after.runner.run(work)
        states = [await after.read(operation) for operation in operations]
        assert [(state.status, state.attempt) for state in states] == [
            (Status.SUCCEEDED, 2),
            (Status.SUCCEEDED, 1),
        ] * 20


async def test_removals_side_by_side_are_all_counted(world: World) -> None:
    """Eight at a time, each of which waits for the engine."""
    for _ in range(24):
        await world.run(await world.start())
    world.clock.pass_by(days=2)
    assert (await world.tidy()).removed == 24
