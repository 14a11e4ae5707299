"""The clock port: the system's clock and the one that tests move keep the same promises."""

import asyncio
from datetime import timedelta

import pytest

from shared.model.timing import Clock
from shared.system_clock import SystemClock
from tests.support.clock import T0, ManualClock

pytestmark = pytest.mark.timeout(30)


@pytest.fixture(params=["system", "manual"])
def clock(request: pytest.FixtureRequest) -> Clock:
    return SystemClock() if request.param == "system" else ManualClock(free_waits=True)


async def test_now_is_aware(clock: Clock) -> None:
    """The wall clock is UTC, and says so."""
    assert clock.now().utcoffset() == timedelta(0)


async def test_sleep(clock: Clock) -> None:
    """A sleep is as long as it says by both clocks, and no other task sleeps with it."""
    others: list[int] = []

    async def other() -> None:
        others.append(1)

    task = asyncio.create_task(other())
    now, began, used = clock.now(), clock.monotonic(), clock.thread_time()
    await clock.sleep(0.05)
    assert others == [1]
    assert clock.monotonic() - began >= 0.045
    assert clock.now() - now >= timedelta(seconds=0.045)
    assert clock.thread_time() >= used
    await task


@pytest.mark.parametrize("seconds", [0, -1])
async def test_sleep_of_no_length(clock: Clock, seconds: float) -> None:
    """Zero and less let others run first."""
    order: list[str] = []

    async def other() -> None:
        order.append("other")

    task = asyncio.create_task(other())
    await clock.sleep(seconds)
    order.append("me")
    assert order == ["other", "me"]
    await task


async def test_sleepers_wake_in_order(clock: Clock) -> None:
    """The shortest sleep ends first, whoever began it."""
    order: list[float] = []

    async def one(seconds: float) -> None:
        await clock.sleep(seconds)
        order.append(seconds)

    await asyncio.gather(*(one(seconds) for seconds in (0.09, 0.01, 0.05)))
    assert order == [0.01, 0.05, 0.09]


@pytest.mark.parametrize("seconds", [0.02, 0, -1])
async def test_timeout_expires(clock: Clock, seconds: float) -> None:
    """A block over its time ends with TimeoutError, and the timeout says that it was its own."""
    began = clock.monotonic()
    timeout = clock.timeout(seconds)
    with pytest.raises(TimeoutError):
        async with timeout:
            await asyncio.Event().wait()
    assert timeout.expired()
    assert clock.monotonic() - began >= max(0, seconds) - 0.005


@pytest.mark.parametrize("seconds", [60, None])
async def test_timeout_that_is_not_needed(clock: Clock, seconds: float | None) -> None:
    """A block that ends in time is as it would be without: its result, its errors."""
    async with clock.timeout(seconds) as _:
        await clock.sleep(0.01)
    timeout = clock.timeout(seconds)
    with pytest.raises(TimeoutError, match="mine"):
        async with timeout:
            raise TimeoutError("mine")
    assert not timeout.expired()


async def test_inner_timeout(clock: Clock) -> None:
    """Of nested blocks the one whose time is over ends."""
    outer, inner = clock.timeout(60), clock.timeout(0.02)
    async with outer:
        with pytest.raises(TimeoutError):
            async with inner:
                await asyncio.Event().wait()
    assert (inner.expired(), outer.expired()) == (True, False)


async def test_cancelled(clock: Clock) -> None:
    """Whoever is cancelled while waiting is cancelled, not out of time."""

    async def waits() -> None:
        async with clock.timeout(60):
            await asyncio.Event().wait()

    async def sleeps() -> None:
        await clock.sleep(60)

    for work in (waits, sleeps):
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_manual_clock_stands_still() -> None:
    """Nothing goes on until the test moves the clock, then all that is due does, at the time it was due."""
    clock = ManualClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *lengths: float) -> None:
        for seconds in lengths:
            await clock.sleep(seconds)
            woken.append((name, clock.monotonic()))

    tasks = [asyncio.create_task(sleeper("a", 1, 1)), asyncio.create_task(sleeper("b", 1.5))]
    await clock.run_for(seconds=0.9)
    assert (woken, clock.waits) == ([], [0.1, 0.6])
    await clock.run_for(minutes=1)
    assert woken == [("a", 1), ("b", 1.5), ("a", 2)]
    assert (clock.now(), clock.waits) == (T0 + timedelta(seconds=60.9), [])
    await asyncio.gather(*tasks)


async def test_manual_clock_moved_at_once() -> None:
    """`pass_by` does not stop on the way: a sleeper finds that it is later."""
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0)
    assert clock.pass_by(hours=1) == T0 + timedelta(hours=1)
    await task
    assert clock.monotonic() == 3600


async def test_manual_clock_forgets_who_is_gone() -> None:
    """Nobody who was cancelled, or was done in time, is left among those who wait."""
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(5))
    async with clock.timeout(3):
        await asyncio.sleep(0)
        assert clock.waits == [3, 5]
        task.cancel()
        await asyncio.wait({task})
    assert clock.waits == []
    clock.use_cpu(2)
    assert (clock.thread_time(), clock.monotonic()) == (2, 2)
