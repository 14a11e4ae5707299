"""Bounds of ranges of rows, and doing many small requests a few at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

_PARALLEL = 16

A = TypeVar("A")
B = TypeVar("B")


def behind(key: str) -> str:
    """The lower bound of what follows `key`: `!` sorts below every character of an id."""
    return f"{key}!"


async def in_turns(items: Sequence[A], each: Callable[[A], Awaitable[B]]) -> list[B]:
    """`each` of the items, sixteen side by side."""
    done: list[B] = []
    for at in range(0, len(items), _PARALLEL):
        done += await asyncio.gather(*(each(item) for item in items[at : at + _PARALLEL]))
    return done
