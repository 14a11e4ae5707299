"""Reading a range of rows page by page, and doing many small requests a few at a time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from shared.storage.ports import Row, Table

_PAGE = 1000
_PARALLEL = 16

A = TypeVar("A")
B = TypeVar("B")


async def row_pages(
    table: Table,
    partition: str,
    *,
    lower: str = " ",
    upper: str = "~",
    columns: Sequence[str] | None = None,
    limit: int = _PAGE,
) -> AsyncIterator[tuple[Row, ...]]:
    """The rows with `lower <= key < upper` in the order of their keys; no page is empty.

    Rows that are removed on the way do not disturb it, and neither do pages that the store leaves empty.
    """
    continuation: str | None = None
    while True:
        page = await table.page(
            partition, lower=lower, upper=upper, columns=columns, limit=limit, continuation=continuation
        )
        if page.rows:
            yield page.rows
        continuation = page.continuation
        if continuation is None:
            return


def behind(key: str) -> str:
    """The lower bound of what follows `key`: `!` sorts below every character of an id."""
    return f"{key}!"


async def in_turns(items: Sequence[A], each: Callable[[A], Awaitable[B]]) -> list[B]:
    """`each` of the items, sixteen side by side."""
    done: list[B] = []
    for at in range(0, len(items), _PARALLEL):
        done += await asyncio.gather(*(each(item) for item in items[at : at + _PARALLEL]))
    return done
