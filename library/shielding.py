"""Steps that a cancel must not cut in two: a write that was sent is done or not, whoever still waits for it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def finish_then_cancel(work: Coroutine[Any, Any, T]) -> T:
    """Await `work`; a cancel meanwhile waits for its end and then goes on."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # Read, or asyncio logs that nobody has read it.
        raise


async def ignore_cancel(work: Coroutine[Any, Any, T]) -> T:
    """Await `work`; a cancel meanwhile comes too late and is forgotten, unless `work` fails."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            await asyncio.wait({task})
        if task.cancelled() or task.exception() is not None:
            raise
        current = asyncio.current_task()
        assert current is not None, "a coroutine runs in a task"
        current.uncancel()
        return task.result()
