"""What one turn of the event loop costs at the most, in CPU of its thread."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

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
    """No turn is long meanwhile."""
    turns: list[float] = []
    async with _watched(caplog, turns):
        yield
    assert _are_short(turns)


def tries(caplog: pytest.LogCaptureFixture) -> Iterator[AbstractAsyncContextManager[None]]:
    """No turn is long in one of three tries of the same work: `for each in tries(caplog): async with each: ...`.

    A busy core adds to a turn's CPU, and nothing takes from it. What the work itself raises is not tried again.
    """
    for _ in range(3):
        turns: list[float] = []
        yield _watched(caplog, turns)
        if _are_short(turns):
            return
    raise AssertionError(f"turns of {turns} s in the last of three tries")


@asynccontextmanager
async def _watched(caplog: pytest.LogCaptureFixture, turns: list[float]) -> AsyncIterator[None]:
    """The loop watch, told to look at each turn; time that other processes took from the thread does not count."""
    before = len(caplog.records)
    timing = Timing(loop_watch_interval=0.005, loop_lag=_TURN)
    watch = asyncio.create_task(watch_loop(lambda: [], say=lambda line: line(), clock=SystemClock(), timing=timing))
    with caplog.at_level(logging.WARNING):
        await asyncio.sleep(0)
        yield
        await asyncio.sleep(0.01)
    watch.cancel()
    records = [record.__dict__ for record in caplog.records[before:]]
    turns += [record["cpu"] for record in records if record.get("event") == "loop_lag"]


def _are_short(turns: Sequence[float]) -> bool:
    return max(turns, default=0) <= _TURN
