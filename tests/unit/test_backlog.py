"""What a pass of housekeeping tells of all that is active: a line of the log, and gauges."""

import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from shared.actions import action
from shared.model.operation import DELEGATION, WAITING_FOR_TIME, Status
from shared.model.timing import Timing
from shared.operations.backlog import Backlog, BacklogReport
from tests.support.clock import ManualClock
from tests.support.parts import T0, Faults, FaultyStorage, World, make_operation, sqlite
from tests.support.telemetry import Recorded, recorded
from tests.unit.runner.handlers import claim_elsewhere, echo

__all__ = ["recorded"]

BEGIN = "Active operations: "


@pytest.fixture
async def world(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[World]:
    caplog.set_level(logging.INFO)
    async with sqlite(tmp_path) as storage:
        yield World(FaultyStorage(storage, Faults()), action("test:work", post="thing/{id}:work")(echo))


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text.removeprefix(BEGIN) for text in caplog.messages if text.startswith(BEGIN)]


async def test_a_pass_tells_what_is_active(world: World, recorded: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    """How many by status, and the age of the oldest that waits for its first attempt; from what is read anyway."""
    await world.start()
    world.clock.pass_by(seconds=100)
    await world.start()
    held = await world.start()
    world.clock.pass_by(seconds=20)
    await claim_elsewhere(world, held)
    await world.start()
    world.faults.pages = world.faults.reads = 0
    await world.tidy()
    assert lines(caplog) == ["2 NotStarted, 1 Running, 0 Canceling, 1 young; the oldest NotStarted is 120 s old"]
    found = recorded.metrics()
    assert found["lro.operation.active"] == {("NotStarted",): 2, ("Running",): 1, ("Canceling",): 0, ("young",): 1}
    assert found["lro.operation.oldest_not_started"] == {(): 120}
    # 16 partitions of what is active and of what has expired, and one of locks.
    assert world.faults.pages == 33
    # Each operation that is not young, as without the counts.
    assert world.faults.reads == 3


async def test_a_restart_does_not_make_it_younger(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """An operation that the engine loses again and again is as old as its start."""
    started = await world.start()
    for _ in range(3):
        world.engine.live.clear()
        world.clock.pass_by(seconds=60)
        await world.tidy()
    assert (await world.read(started)).generation == 4
    assert lines(caplog)[-1].endswith("the oldest NotStarted is 180 s old")


async def test_an_idle_app_tells_nothing(world: World, recorded: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    """No line; the gauges are zero, so that a chart comes down."""
    await world.run(await world.start())
    await world.tidy()
    assert lines(caplog) == []
    assert set(recorded.metrics()["lro.operation.active"].values()) == {0}


async def test_counts_get_old(world: World, recorded: Recorded) -> None:
    """An instance that the timer has left tells no counts any more: another one does."""
    await world.start()
    world.clock.pass_by(seconds=60)
    await world.tidy()
    assert recorded.metrics()["lro.operation.oldest_not_started"] == {(): 60}
    world.clock.pass_by(seconds=Timing().backlog_shown)
    assert "lro.operation.oldest_not_started" not in recorded.metrics()


@pytest.mark.parametrize(
    ("changes", "counted", "oldest"),
    [
        ({}, Status.NOT_STARTED, 300),
        ({"status": Status.RUNNING}, Status.RUNNING, 0),
        ({"external": True}, Status.NOT_STARTED, 0),
        ({"external": True, "profile_state": {DELEGATION: "x"}}, Status.NOT_STARTED, 300),
        ({"status": Status.SUCCEEDED}, None, 0),
        ({"scheduled": T0 + timedelta(seconds=240), "waiting_for": WAITING_FOR_TIME}, Status.NOT_STARTED, 60),
        ({"scheduled": T0 + timedelta(seconds=400)}, Status.NOT_STARTED, 0),
        ({"scheduled": T0 - timedelta(seconds=400)}, Status.NOT_STARTED, 300),
    ],
    ids=[
        "waits",
        "runs",
        "delegated",
        "not delegated yet",
        "ended",
        "named a time",
        "named a time to come",
        "named a time that was past",
    ],
)
def test_who_waits_for_a_first_attempt(changes: dict[str, object], counted: Status | None, oldest: float) -> None:
    """Another system's work waits for that system, and a start that names a time for that time; all of it is active."""
    backlog = Backlog()
    backlog.note(make_operation(**changes), T0 + timedelta(seconds=300))
    assert backlog.by_status == ({counted: 1} if counted else {})
    assert backlog.oldest.total_seconds() == oldest


def test_a_pass_that_was_cut_short_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """Its counts are of a part."""
    caplog.set_level(logging.INFO)
    BacklogReport(clock=ManualClock(), timing=Timing()).tell(Backlog(young=1, is_complete=False))
    (line,) = lines(caplog)
    assert (
        line == "0 NotStarted, 0 Running, 0 Canceling, 1 young; the oldest NotStarted is 0 s old; not all were counted"
    )
