"""All books in the order of their ids: those stored one by one and those of the published set, merged page by page."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field

from library.book_rows import FIRST, LAST, OWN, FoundBook, seen
from library.ranges import behind
from library.sets import BookSets, partition
from shared.storage.ports import Row, Table

WINDOW = 500
"""Rows of each kind that are held at a time."""

_Rows = tuple[tuple[Row, ...], bool]
"""The next rows of one kind, and whether these are the last."""


async def merged(
    table: Table, sets: BookSets, *, after: str | None = None, window: int = WINDOW
) -> AsyncGenerator[list[FoundBook], None]:
    """The books whose ids are beyond `after`, in lists of at most twice `window`; a list may be empty.

    A set that is published on the way counts from the next id on: what was read of the one before is still whole.
    """

    async def own_rows(lower: str) -> _Rows:
        return await _read(table, OWN, lower, window)

    async def set_rows(lower: str) -> _Rows:
        name = await sets.published()
        while name:
            found = await _read(table, partition(name), lower, window)
            # A set that was replaced meanwhile may have been half removed when it was read.
            if (again := await sets.published()) == name:
                return found
            name = again
        return (), True

    lower = FIRST if after is None else behind(after)
    own, bulk = _Window(own_rows, lower), _Window(set_rows, lower)
    while True:
        await own.fill()
        await bulk.fill()
        if not own.rows and not bulk.rows:
            return
        # Beyond the last row of a window there may be more of its kind that were not read yet.
        horizon = min((max(each.rows) for each in (own, bulk) if not each.ended), default=LAST)
        mine, theirs = own.take(horizon), bulk.take(horizon)
        found = (seen(mine.get(key), theirs.get(key)) for key in sorted(mine.keys() | theirs.keys()))
        yield [book for book in found if book is not None]


@dataclass
class _Window:
    """The next rows of one kind; there are some unless it has ended."""

    read: Callable[[str], Awaitable[_Rows]]
    lower: str
    rows: dict[str, Row] = field(default_factory=dict[str, Row])
    ended: bool = False

    async def fill(self) -> None:
        """Read on where nothing is left of what was read."""
        if self.rows or self.ended:
            return
        rows, self.ended = await self.read(self.lower)
        if rows:
            self.lower = behind(rows[-1].key)
        self.rows = {row.key: row for row in rows}

    def take(self, horizon: str) -> dict[str, Row]:
        """The rows up to `horizon`, which are not ours any more."""
        taken = {key: row for key, row in self.rows.items() if key <= horizon}
        self.rows = {key: row for key, row in self.rows.items() if key > horizon}
        return taken


async def _read(table: Table, where: str, lower: str, size: int) -> _Rows:
    continuation: str | None = None
    while True:
        page = await table.page(where, lower=lower, upper=LAST, limit=size, continuation=continuation)
        if page.rows or page.continuation is None:
            return page.rows, page.continuation is None
        continuation = page.continuation
