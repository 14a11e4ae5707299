"""Waiting for a task, or for an event, for so long."""

import asyncio
from contextlib import suppress
from typing import Any

from shared.model.timing import Clock


async def ends_within(task: asyncio.Future[Any], seconds: float | None, clock: Clock) -> bool:
    """Whether the task has ended after at most so many seconds, None for any number. One that has not goes on.

    Never raises what the task raises.
    """
    if not task.done():
        with suppress(TimeoutError):
            async with clock.timeout(_not_negative(seconds)):
                await asyncio.wait({task})
    return task.done()


async def is_set_within(event: asyncio.Event, seconds: float | None, clock: Clock) -> bool:
    """Whether the event is set after at most so many seconds, None for any number."""
    if not event.is_set():
        with suppress(TimeoutError):
            async with clock.timeout(_not_negative(seconds)):
                await event.wait()
    return event.is_set()


def _not_negative(seconds: float | None) -> float | None:
    return None if seconds is None else max(0.0, seconds)
