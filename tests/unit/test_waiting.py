"""Waiting for an end: woken where it happens, found out elsewhere, and never an error of its own."""

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise

import pytest

from shared.errors import StorageUnavailable
from shared.model.ids import Locator
from shared.model.operation import Operation, Status
from shared.model.timing import Timing
from shared.operations.waiting import Completions, wait_for_end, wait_for_young
from tests.support.clock import ManualClock
from tests.support.parts import make_operation

RUNNING = make_operation(status=Status.RUNNING)
ENDED = replace(RUNNING, status=Status.SUCCEEDED)


class Record:
    """A record that `reads` times says Running; waiting for it takes no real time."""

    def __init__(self, stored: Operation | None, reads: int = 0, *, free_waits: bool = True) -> None:
        self.stored, self.reads, self.read_at = stored, reads, list[float]()
        self.clock = ManualClock(free_waits=free_waits)

    async def read(self, locator: Locator) -> Operation | None:
        self.read_at.append(self.clock.monotonic())
        return self.stored if len(self.read_at) > self.reads else RUNNING

    async def wait(self, operation: Operation, seconds: float, completions: Completions | None = None) -> Operation:
        completions = completions or Completions()
        return await wait_for_end(operation, seconds, completions, self.read, clock=self.clock, timing=Timing())


async def test_ended_already() -> None:
    """What has ended is not looked at again."""
    record = Record(None)
    assert await record.wait(ENDED, 5) is ENDED
    assert record.read_at == []


async def test_looked_at_ever_less_often() -> None:
    """Where it ends on another instance, the end is found by reading, with growing pauses up to the longest."""
    record = Record(ENDED, reads=6)
    assert await record.wait(RUNNING, 60) is ENDED
    assert [round(b - a, 3) for a, b in pairwise([0, *record.read_at])] == [0.1, 0.2, 0.4, 0.8, 1.6, 2, 2]


async def test_in_vain() -> None:
    """After its time the caller gets what was last seen, and not a moment later."""
    record = Record(ENDED, reads=99)
    assert await record.wait(RUNNING, 0.35) is RUNNING
    assert record.clock.monotonic() == 0.35


async def test_woken() -> None:
    """An end in this process wakes all who wait for it, without another read, and nobody else; none is left behind."""
    completions, record = Completions(), Record(ENDED, reads=99, free_waits=False)
    waits = [asyncio.create_task(record.wait(RUNNING, 20, completions)) for _ in range(2)]
    await record.clock.run_for(seconds=0.9)
    before = len(record.read_at)
    completions.notify(replace(ENDED, id="another"))
    completions.notify(ENDED)
    assert await asyncio.gather(*waits) == [ENDED, ENDED]
    assert (len(record.read_at), record.clock.waits) == (before, [])
    assert completions._waiting == {}


@pytest.mark.parametrize("stored", [None, replace(ENDED, run_id="1" * 32)], ids=["purged", "another"])
async def test_gone(stored: Operation | None) -> None:
    """An operation that was removed meanwhile, or replaced by another of its id, ends the wait as it was known."""
    assert await Record(stored).wait(RUNNING, 5) is RUNNING


async def test_storage_down() -> None:
    """A read that fails does not take back what was accepted."""

    class Down(Record):
        async def read(self, locator: Locator) -> Operation | None:
            raise StorageUnavailable("down")

    assert await Down(None).wait(RUNNING, 5) is RUNNING


class TestYoung:
    """Polls of what was just started."""

    async def test_it_ends_meanwhile(self) -> None:
        """The end in this process is the answer, without a read."""
        completions, clock = Completions(), ManualClock()
        waiting = asyncio.create_task(wait_for_young(RUNNING, 0.05, completions, most=1, patient=8, clock=clock))
        await asyncio.sleep(0)
        completions.notify(ENDED)
        assert await waiting is ENDED

    async def test_it_has_just_ended(self) -> None:
        """Who has read it a moment before its end does not wait; another run of the same id is another operation."""
        completions, clock = Completions(), ManualClock(free_waits=True)
        completions.notify(ENDED)
        assert await wait_for_young(RUNNING, 0.05, completions, most=1, patient=8, clock=clock) is ENDED
        other = replace(RUNNING, run_id="1" * 32)
        assert await wait_for_young(other, 0.05, completions, most=1, patient=8, clock=clock) is other
        assert clock.monotonic() == 0.05

    async def waiting(self, computing: float, waiters: int = 1, *, most: float = 1) -> "asyncio.Task[float]":
        """Seconds that a poll waits, while the loop computes for so large a part of the time."""
        completions, clock = Completions(), ManualClock()

        async def waited() -> float:
            await wait_for_young(RUNNING, 0.05, completions, most=most, patient=8, clock=clock)
            return round(clock.monotonic(), 3)

        with ExitStack() as others:
            for number in range(waiters - 1):
                others.enter_context(completions.subscribe(Locator("0" * 16, f"other{number}")))
            task = asyncio.create_task(waited())
            await asyncio.sleep(0)
            while not task.done():
                clock.use_cpu(0.05 * computing)
                await clock.run_for(seconds=0.05 * (1 - computing))
        return task

    async def test_a_saturated_process(self) -> None:
        """It waits on while the loop has no time for polls that tell nothing new, as long as it is young."""
        assert (await self.waiting(0.6)).result() == 1
        assert (await self.waiting(0.6, most=0.2)).result() == 0.2
        assert (await self.waiting(0.4)).result() == 0.05

    async def test_few_wait_on(self) -> None:
        """Those who do take places of the requests under way."""
        assert (await self.waiting(0.6, waiters=8)).result() == 1
        assert (await self.waiting(0.6, waiters=9)).result() == 0.05

    async def test_its_end_in_a_saturated_process(self) -> None:
        """Is the answer at once."""
        completions, clock = Completions(), ManualClock()
        waiting = asyncio.create_task(wait_for_young(RUNNING, 0.05, completions, most=1, patient=8, clock=clock))
        await asyncio.sleep(0)
        for _ in range(3):
            clock.use_cpu(0.04)
            await clock.run_for(seconds=0.01)
        completions.notify(ENDED)
        assert await waiting is ENDED

    async def test_few_are_kept(self) -> None:
        """What has ended is remembered for a while only."""
        completions, clock = Completions(), ManualClock(free_waits=True)
        completions.notify(ENDED)
        for number in range(64):
            completions.notify(replace(ENDED, id=f"other{number}"))
        assert await wait_for_young(RUNNING, 0.05, completions, most=1, patient=8, clock=clock) is RUNNING
