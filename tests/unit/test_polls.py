"""Which polls wait a moment for the end, and when a first one is proposed."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from shared.model.operation import Operation, Status
from shared.model.timing import Timing
from shared.operations.durations import Durations
from tests.support.clock import ManualClock
from tests.support.parts import Faults, FaultyStorage, World, make_operation, sqlite
from tests.unit.test_service import work

TIMING = Timing()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with sqlite(tmp_path) as inner:
        yield World(FaultyStorage(inner, Faults()), work, clock=ManualClock(free_waits=True), timing=TIMING)


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


async def test_it_is_switched_off(world: World) -> None:
    """A timing without the wait has none."""
    still = World(world.storage, work, clock=ManualClock(free_waits=True), timing=replace(TIMING, young_wait=0))
    assert await waited(still, make_operation(created=still.clock.now())) == 0


async def test_the_first_poll(world: World) -> None:
    """Proposed for an action that is not known yet, and for one that is short; never for what has ended."""
    operation = make_operation()
    service, durations = world.service, world.live.durations
    assert service.first_poll(operation) == TIMING.first_poll
    durations.note(operation.action, 0.3)
    assert service.first_poll(operation) == 0.3
    durations.note(operation.action, 100)
    assert service.first_poll(operation) is None
    assert service.first_poll(replace(operation, status=Status.SUCCEEDED)) is None
    assert service.first_poll(replace(operation, external=True)) is None


def test_durations() -> None:
    """They follow what is seen, slowly, for as many actions as there is room for."""
    durations = Durations()
    for number in range(1001):
        durations.note(f"a{number}", 1.0)
    assert durations.expected("a0") is None
    durations.note("a5", 2.0)
    assert durations.expected("a5") == pytest.approx(1.2)
    for _ in range(50):
        durations.note("a5", 2.0)
    assert durations.expected("a5") == pytest.approx(2.0, abs=0.01)


def test_young_is_short() -> None:
    """Polls of what takes longer cost no further wait."""
    assert TIMING.young <= timedelta(seconds=1)
