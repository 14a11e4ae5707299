"""Rows of the table of operations by a range of their keys, over all of its partitions."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Generic, TypeVar

from shared.model.ids import PARTITIONS
from shared.storage.ports import Page, Row, Table

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


def readable_rows(found: Iterable[Row], read: Callable[[Row], _T]) -> Iterator[_T]:
    """Without rows that cannot be read: one of them must keep neither a pass nor a list from all others."""
    for row in found:
        try:
            each = read(row)
        except (ValueError, KeyError, TypeError) as error:
            line = "A row of the table of operations cannot be read and is passed over: %r (%s)"
            _log.error(line, row.key, error, extra={"event": "row_unreadable"})
        else:
            yield each


def _rotated(found: Sequence[_T], first: int) -> Sequence[_T]:
    return [*found[first:], *found[:first]]


class DueRows(Generic[_T]):
    """Rows of all partitions between two keys. Read when it is first gone through; later ones re-use the first pages.

    `start`, 0 up to 1, is where it begins: at a partition, and at a row of each page; the rest follows. Who breaks off
    before the end, and begins somewhere else the next time, gets to each of them in the end.
    """

    def __init__(self, table: Table, lower: str, upper: str, read: Callable[[Row], _T], start: float) -> None:
        first, self._part = divmod(start * len(PARTITIONS), 1)
        self._partitions = _rotated(PARTITIONS, int(first))
        self._page = partial(table.page, lower=lower, upper=upper)
        self._read = read
        self._firsts: Sequence[tuple[list[_T], str | None]] | None = None

    async def __aiter__(self) -> AsyncIterator[_T]:
        if self._firsts is None:
            pages = await asyncio.gather(*(self._page(partition) for partition in self._partitions))
            self._firsts = [(self._found(page), page.continuation) for page in pages]
        for partition, (firsts, first_end) in zip(self._partitions, self._firsts, strict=True):
            for each in firsts:
                yield each
            continuation = first_end
            while continuation is not None:
                page = await self._page(partition, continuation=continuation)
                for each in self._found(page):
                    yield each
                continuation = page.continuation

    def _found(self, page: Page) -> list[_T]:
        return list(readable_rows(_rotated(page.rows, int(self._part * len(page.rows))), self._read))
