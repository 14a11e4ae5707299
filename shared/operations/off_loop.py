"""Keeps off the event loop what takes time that a caller decides on: all polls wait while the loop computes."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

SMALL = 64 * 1024
"""Bytes that are worked on at once: to hand so few to a thread costs more than what is done with them."""

P = ParamSpec("P")
T = TypeVar("T")


async def off_loop(size: int, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """What `function` returns or raises; it works on `size` bytes, without I/O, and in a thread where these are many.

    It may end after whoever waits for it was canceled, so it changes nothing that others see.
    """
    if size <= SMALL:
        return function(*arguments, **named)
    return await asyncio.to_thread(function, *arguments, **named)
