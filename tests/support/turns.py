"""What one turn of the event loop costs at the most, in CPU of its thread."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from shared.model.timing import Timing
from shared.operations.loop_watch import watch_loop
from shared.system_clock import SystemClock

_TURN = 0.05
"""Seconds of CPU that one turn may use of the loop's thread."""


@pytest.fixture(autouse=True)
def no_garbage_of_others() -> None:
    """What earlier tests have left is not looked through by a collection that happens in the loop's thread.

    Nor is it by the next one here: it stays frozen.
    """
    gc.collect()
    gc.freeze()


@asynccontextmanager
async def watched(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """The loop watch, told to look at each turn; time that other processes took from the thread does not count."""
    timing = Timing(loop_watch_interval=0.005, loop_lag=_TURN)
    watch = asyncio.create_task(watch_loop(lambda: [], say=lambda line: line(), clock=SystemClock(), timing=timing))
    with caplog.at_level(logging.WARNING):
        await asyncio.sleep(0)
        yield
        await asyncio.sleep(0.01)
    watch.cancel()
    turns = [record.__dict__["cpu"] for record in caplog.records if record.__dict__.get("event") == "loop_lag"]
    assert max(turns, default=0) <= _TURN


async def held(caplog: pytest.LogCaptureFixture, work: Callable[[], Awaitable[None]]) -> None:
    """No turn of `work` is long, in one of three tries: a busy core adds to a turn's CPU, nothing takes from it."""
    for tries_left in (2, 1, 0):
        try:
            async with watched(caplog):
                await work()
            return
        except AssertionError:
            if not tries_left:
                raise
            caplog.clear()
