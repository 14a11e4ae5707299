"""Which polls wait a moment for the end, and when a first one is proposed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.actions import ActionContext, action
from shared.model.operation import Operation, Progress, Status
from shared.model.timing import Timing
from shared.operations.durations import Durations
from tests.support.clock import T0, ManualClock
from tests.support.parts import Faults, FaultyStorage, Input, World, make_operation, sqlite
from tests.unit.test_service import work

TIMING = Timing()


@action("test:new", post="thing/{id}:new")
async def new(context: ActionContext, request: Input) -> None: ...


@action("test:paced", post="thing/{id}:paced", retry_after=7)
async def paced(context: ActionContext, request: Input) -> None: ...


@action("test:declared", post="thing/{id}:declared", expected_duration="12s")
async def declared(context: ActionContext, request: Input) -> None: ...


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with sqlite(tmp_path) as inner:
        actions = (work, new, paced, declared)
        yield World(FaultyStorage(inner, Faults()), *actions, clock=ManualClock(free_waits=True), timing=TIMING)


async def waited(world: World, operation: Operation) -> float:
    """Seconds that a poll of it takes, and no storage request."""
    began, reads = world.clock.monotonic(), world.faults.reads
    assert await world.service.wait_if_young(operation, world.engine) is operation
    assert world.faults.reads == reads
    return round(world.clock.monotonic() - began, 3)


async def test_which_wait(world: World) -> None:
    """A young one that has not begun, and no other that does not run here: once, and for less than 50 ms."""
    started = make_operation(created=world.clock.now())
    assert await waited(world, started) == TIMING.young_wait < 0.05
    others = [
        replace(started, created=started.created - TIMING.young),
        replace(started, status=Status.RUNNING),
        replace(started, status=Status.SUCCEEDED),
        replace(started, external=True),
    ]
    assert [await waited(world, other) for other in others] == [0] * len(others)


async def test_the_clock_was_set_back(tmp_path: Path) -> None:
    """Then what was started before is of the future: its polls wait on in a saturated process as long as others do."""
    async with sqlite(tmp_path) as storage:
        world = World(storage, new, clock=ManualClock(), timing=TIMING)
        started = make_operation(created=world.clock.now() + timedelta(hours=1))
        poll = asyncio.create_task(world.service.wait_if_young(started, world.engine))
        await asyncio.sleep(0)
        for _ in range(40):
            world.clock.use_cpu(0.6 * TIMING.young_wait)
            await world.clock.run_for(seconds=0.4 * TIMING.young_wait)
        assert poll.done()
        assert await poll is started


async def test_it_is_switched_off(world: World) -> None:
    """A timing without the wait has none."""
    still = World(world.storage, work, clock=ManualClock(free_waits=True), timing=replace(TIMING, young_wait=0))
    assert await waited(still, make_operation(created=still.clock.now())) == 0


def test_the_first_poll(world: World) -> None:
    """Soon for an action that is not known yet, and when it is likely to have ended for one that is short."""
    operation = make_operation()
    pacing, durations = world.service.pacing, world.live.durations
    assert pacing.first_poll(operation) == TIMING.first_poll
    durations.note(operation.action, 0.3)
    assert pacing.first_poll(operation) == pytest.approx(0.3, rel=0.1)
    assert pacing.first_poll(replace(operation, status=Status.SUCCEEDED)) is None
    assert pacing.first_poll(replace(operation, external=True)) is None


@pytest.mark.parametrize(
    ("changes", "elapsed", "seconds"),
    [
        pytest.param({}, 0, 20, id="one that takes about as long each time"),
        pytest.param({}, 15, 5, id="the rest of that"),
        pytest.param({}, 40, 4, id="longer than ever: a tenth of what it has taken"),
        pytest.param({"action": "test:new"}, 100, 10, id="of an action that is not known"),
        pytest.param({"action": "test:new"}, 2000, TIMING.longest_poll_wait, id="the longest wait"),
        pytest.param({"progress": Progress(percent=25)}, 10, 30, id="progress tells better"),
        pytest.param({"progress": Progress(percent=0)}, 10, 10, id="too little of it tells nothing"),
        pytest.param({"progress": Progress(done=1)}, 10, 10, id="and so do counts"),
        pytest.param({"retry_after": 30}, 15, 5, id="sooner than Retry-After, as it is known to be shorter"),
        pytest.param({"retry_after": 30}, 19.9, 1, id="but not at once"),
        pytest.param({"retry_after": 30}, 25, 2.5, id="nor later where it takes longer this time"),
        pytest.param({"created": T0 - timedelta(days=3), "scheduled": T0}, 15, 5, id="what was started for later"),
        pytest.param({"waiting_for": "retry", "not_before": T0 + timedelta(seconds=18)}, 10, 8, id="for a retry"),
    ],
)
def test_when_to_poll_next(world: World, changes: dict[str, Any], elapsed: float, seconds: float) -> None:
    """When it is likely to have ended, a little later rather than too early."""
    pacing, durations = world.service.pacing, world.live.durations
    for _ in range(3):
        durations.note("test:work", 20)
    now = T0 + timedelta(seconds=elapsed)
    world.clock.set_wall_clock(seconds=elapsed)
    given = {"action": "test:work", "status": Status.RUNNING, "started": T0, "changed": now, "retry_after": 1}
    operation = make_operation(**{**given, **changes})
    assert pacing.next_poll(operation) == pytest.approx(seconds, rel=0.06)


def test_the_pace_that_was_declared(world: World) -> None:
    """Holds, whatever is known; so does the contract's shortest wait, and nothing is known of what is outside."""
    pacing, durations = world.service.pacing, world.live.durations
    running = make_operation(action="test:paced", status=Status.RUNNING, retry_after=7)
    durations.note("test:paced", 20)
    durations.note("test:work", 20)
    assert pacing.next_poll(running) is None
    assert pacing.next_poll(replace(running, action="test:work")) == pytest.approx(20, rel=0.06)
    for others in (
        {"retry_after": 25, "action": "test:new"},
        {"external": True},
        {"status": Status.CANCELING},
        {"status": Status.FAILED},
        {"action": "test:unknown"},
    ):
        assert pacing.next_poll(replace(running, **{"action": "test:work", **others})) is None


def test_the_duration_that_was_declared(world: World) -> None:
    """Counts more than what is seen."""
    world.live.durations.note("test:declared", 3)
    running = make_operation(action="test:declared", status=Status.RUNNING, retry_after=1)
    assert world.service.pacing.next_poll(running) == pytest.approx(12, rel=0.06)


async def test_a_time_that_was_asked_for_is_no_duration(world: World) -> None:
    """An action that takes a moment is known to do so, whenever it was asked to begin."""
    started = await world.start(new, not_before=world.clock.now() + timedelta(minutes=5))
    world.clock.pass_by(minutes=5, seconds=3)
    await world.run(started)
    assert world.live.durations.next_end(started.action, 0) == pytest.approx(3)


def test_durations() -> None:
    """The last ones, for as many actions as there is room for."""
    durations = Durations()
    for number in range(1001):
        durations.note(f"a{number}", 1.0)
    assert durations.next_end("a0", 0) is None
    assert durations.next_end("a5", 0) == 1.0
    for _ in range(32):
        durations.note("a5", 2.0)
    assert durations.next_end("a5", 0) == 2.0
    assert durations.next_end("a5", 2.0) is None, "none has taken longer"


def test_durations_that_differ() -> None:
    """A poll makes what ends before it longer by a tenth on average, so it comes soon where they are far apart."""
    durations = Durations()
    for step in range(32):
        durations.note("a", 1.1**step)
    end = durations.next_end("a", 2.0)
    assert end is not None
    between = [1.1**step for step in range(32) if 2.0 < 1.1**step <= end]
    assert 2 <= len(between) <= 4
    assert sum(end / each - 1 for each in between) / len(between) <= 0.1


def test_young_is_short() -> None:
    """Polls of what takes longer cost no further wait."""
    assert TIMING.young <= timedelta(seconds=1)
