"""The ordered range of one partition's list rows, read ahead page by page, and the order of all of them."""

import asyncio
import heapq
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime

from shared.model.ids import PARTITIONS
from shared.operations import list_rows
from shared.operations.due_rows import readable_rows
from shared.operations.list_rows import ListRow
from shared.storage.ports import Table


async def newest_first(
    table: Table,
    prefix: str,
    *,
    position: str | None,
    since: datetime | None,
    until: datetime | None,
    size: int,
) -> AsyncGenerator[ListRow]:
    """The list rows whose keys begin so, created from `since` to `until`, after `position`.

    `size` rows of each partition are read at a time.
    """
    lower = prefix + list_rows.inverted(until) if until else prefix
    if position:
        # `!` sorts below every character of an id, so this is the first key after `position`.
        lower = max(lower, f"{prefix}{position}!")
    upper = f'{prefix}{list_rows.inverted(since)}"' if since else f'{prefix[:-1]}"'
    if lower >= upper:
        return
    ranges = [_Range(table, partition, lower, upper, size) for partition in PARTITIONS]
    await asyncio.gather(*(each.fill() for each in ranges))
    heads = [(each.head.position, i) for i, each in enumerate(ranges) if each.head]
    heapq.heapify(heads)
    while heads:
        _, i = heapq.heappop(heads)
        yield await ranges[i].take()
        if head := ranges[i].head:
            heapq.heappush(heads, (head.position, i))


class _Range:
    def __init__(self, table: Table, partition: str, lower: str, upper: str, size: int) -> None:
        self._table = table
        self._partition = partition
        self._lower = lower
        self._upper = upper
        self._size = size
        self._continuation: str | None = None
        self._rows: Sequence[ListRow] = ()
        self._next = 0

    @property
    def head(self) -> ListRow | None:
        return self._rows[self._next] if self._next < len(self._rows) else None

    async def fill(self) -> None:
        """Read pages until there is a row or the range ends: a page may be empty and yet not the last."""
        while True:
            page = await self._table.page(
                self._partition,
                lower=self._lower,
                upper=self._upper,
                limit=self._size,
                continuation=self._continuation,
            )
            self._rows, self._next = list(readable_rows(page.rows, list_rows.read_list_row)), 0
            self._continuation = page.continuation
            if self._rows or self._continuation is None:
                return

    async def take(self) -> ListRow:
        row = self._rows[self._next]
        self._next += 1
        if self._next == len(self._rows) and self._continuation is not None:
            await self.fill()
        return row
