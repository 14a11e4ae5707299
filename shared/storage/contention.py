"""Pauses between the tries of writers that keep meeting at one row."""

import asyncio
import random
from collections.abc import Awaitable, Callable

_FIRST, _LONGEST = 0.01, 0.25
"""Seconds."""


async def backoff(tried: int, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
    """Wait before the next try, after `tried` that met a conflict: a random time, longer from try to try.

    Not after the first: a writer that met another one once is hardly ever in a crowd.
    """
    if tried > 1:
        await sleep(random.uniform(0, min(_FIRST * 2**tried, _LONGEST)))  # noqa: S311 - nothing secret
