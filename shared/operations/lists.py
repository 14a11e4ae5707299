"""Lists of operations, and counts: their cost does not grow with the number of records.

A list is merged from the ordered ranges of the partitions, and looks at 1,000 rows at most. One that can show only
operations that are not over reads their markers instead, so it misses none, however long ago that was started.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from datetime import datetime
from itertools import product, starmap

from shared.frozen import frozen, replace
from shared.model.ids import PARTITIONS, Locator
from shared.model.operation import TERMINAL, Status
from shared.operations import list_rows, rows
from shared.operations.due_rows import readable_rows
from shared.operations.list_ranges import newest_first
from shared.operations.list_rows import ListRow
from shared.storage.pages import row_pages
from shared.storage.ports import Storage

BUDGET = 1000
"""Rows that one page, or one count, looks at."""
ACTIVE = frozenset(Status) - TERMINAL
_SHOWN_WITH_PROGRESS = 100
"""Running rows of a page that are read themselves."""
_READS_AT_ONCE = 16
_SCAN = 80
"""Rows of each partition that are read at a time where a filter passes over many: 16 such pages hold a budget."""

Marker = tuple[str, Locator]
"""An operation that is not over, after its position in the list."""


@frozen
class Selection:
    """Which operations a list shows: those that match. All else is what can be said of them beforehand."""

    matches: Callable[[ListRow], bool] = lambda row: True
    statuses: frozenset[Status] = frozenset(Status)
    since: datetime | None = None
    """None of them was created before."""
    until: datetime | None = None
    """None of them was created after."""
    id: str | None = None
    """The only one that there can be."""
    is_all: bool = False
    """Whether nothing is passed over."""

    @property
    def is_active(self) -> bool:
        """Whether it can only show what is not over."""
        return self.statuses <= ACTIVE

    def spans(self, created: datetime) -> bool:
        return (self.since is None or created >= self.since) and (self.until is None or created <= self.until)


ALL = Selection(is_all=True)


@frozen
class ListPage:
    """`position` is where the next page starts; None when the list ends here.

    `looked_back_to`: rows created before have not been looked at yet; None where all were.
    """

    rows: tuple[ListRow, ...]
    position: str | None
    looked_back_to: datetime | None = None


@frozen
class ListCount:
    """How many there are. `by_status` has those that were looked at; `more` says that there may be more."""

    active: int
    ended: int
    more: bool
    by_status: dict[Status, int]


class OperationLists:
    """Lists of one store."""

    def __init__(self, storage: Storage) -> None:
        self._table = storage.table("operations")

    async def page(
        self,
        owner_hash: str | None,
        *,
        position: str | None,
        limit: int,
        selection: Selection = ALL,
        oldest_first: bool = False,
        budget: int = BUDGET,
    ) -> ListPage:
        """The owner's operations, newest first, or those of all owners; `oldest_first` only where the selection is
        active.

        At most `budget` rows are looked at, so a filter that matches little answers short pages.
        """
        if selection.id is not None and owner_hash is not None:
            return await self._one(Locator(owner_hash, selection.id), selection, position)
        if selection.is_active:
            found = self._active(owner_hash, selection, position, oldest_first)
        else:
            size = max(limit // 4, 8) if selection.is_all else _SCAN
            found = self._rows(owner_hash, selection, position, size)
        page = await _page(found, selection.matches, limit, budget)
        return replace(page, rows=await self._with_progress(page.rows))

    async def count(self, owner_hash: str | None, selection: Selection = ALL) -> ListCount:
        """How many of them the selection shows.

        The active ones are counted by their markers, and looked at where that is not enough; of the others the newest
        `BUDGET`, and of what is active and older than those as many.
        """
        if selection.id is not None and owner_hash is not None:
            one = (await self._one(Locator(owner_hash, selection.id), selection, None)).rows
            return _count(one, active=len([row for row in one if row.status in ACTIVE]), more=False)
        markers = await self._markers(owner_hash, selection)
        by_key = dict(markers)
        found: list[ListRow] = []
        ended, more = 0, False
        if not selection.is_active:
            async with aclosing(self._rows(owner_hash, selection, None, _SCAN)) as listed:
                async for row in listed:
                    if row.status in TERMINAL:
                        if ended == BUDGET:
                            more = True
                            break
                        ended += 1
                    by_key.pop(row.position, None)
                    found.append(row)
        older = list(by_key.values())
        found += [row for row in await self._read(older[:BUDGET]) if row is not None]
        found = [row for row in found if selection.matches(row)]
        active = len([row for row in found if row.status in ACTIVE])
        if selection.is_all:
            active = max(active, len(markers))
        return _count(found, active=active, more=more or (len(older) > BUDGET and not selection.is_all))

    async def _one(self, locator: Locator, selection: Selection, position: str | None) -> ListPage:
        """The one that has this id, by one point read."""
        found = [row for row in await self._read([locator]) if row is not None and selection.matches(row)]
        return ListPage(tuple(row for row in found if position is None or row.position > position), None)

    def _rows(
        self, owner_hash: str | None, selection: Selection, position: str | None, size: int
    ) -> AsyncGenerator[ListRow]:
        return newest_first(
            self._table,
            "g!" if owner_hash is None else f"l!{owner_hash}!",
            position=position,
            since=selection.since,
            until=selection.until,
            size=size,
        )

    async def _active(
        self, owner_hash: str | None, selection: Selection, position: str | None, oldest_first: bool
    ) -> AsyncGenerator[ListRow]:
        """Those that are not over, by their markers, each read as its turn comes."""
        markers = sorted(await self._markers(owner_hash, selection), key=lambda each: each[0], reverse=oldest_first)
        if position is not None:
            markers = [each for each in markers if (each[0] < position if oldest_first else each[0] > position)]
        for first in range(0, len(markers), _READS_AT_ONCE):
            some = markers[first : first + _READS_AT_ONCE]
            for row in await self._read([locator for _, locator in some], for_all=owner_hash is None):
                if row is not None:
                    yield row

    async def _markers(self, owner_hash: str | None, selection: Selection) -> list[Marker]:
        """Those of all active operations, parked ones included, that the selection may show, in no order."""
        for_all = owner_hash is None

        async def of(partition: str, kind: str) -> list[Marker]:
            found: list[Marker] = []
            prefix = kind if for_all else f"{kind}!{owner_hash}"
            async for page in row_pages(self._table, partition, lower=f"{prefix}!", upper=f'{prefix}"'):
                for locator, created in readable_rows(page, rows.read_active_row):
                    if selection.spans(created):
                        found.append((list_rows.list_position(locator, created, for_all=for_all), locator))
            return found

        kinds = product(PARTITIONS, ("a", "p"))
        # One that is parked or woken between two of the reads has both markers.
        return list({each for found in await asyncio.gather(*starmap(of, kinds)) for each in found})

    async def _read(self, locators: Sequence[Locator], *, for_all: bool = False) -> list[ListRow | None]:
        """The records themselves, each by a point read; None for one that is gone."""
        at_once = asyncio.Semaphore(_READS_AT_ONCE)

        async def read(locator: Locator) -> ListRow | None:
            async with at_once:
                row = await self._table.read(locator.partition, locator.record_key, columns=list_rows.LIST_COLUMNS)
            return list_rows.list_row(rows.from_row(row), for_all=for_all) if row else None

        return list(await asyncio.gather(*map(read, locators)))

    async def _with_progress(self, found: Sequence[ListRow]) -> tuple[ListRow, ...]:
        """With the progress of those that run, of the first hundred of them, where their records still say so."""
        running = [row for row in found if row.status in (Status.RUNNING, Status.CANCELING) and not row.is_read_itself][
            :_SHOWN_WITH_PROGRESS
        ]
        read = await self._read([Locator(row.owner_hash, row.id) for row in running])
        newer = {(row.owner_hash, row.id): row for row in read if row is not None}
        return tuple(
            replace(row, attempt=now.attempt, percent=now.percent, changed=now.changed)
            if (now := newer.get((row.owner_hash, row.id))) is not None and now.status is row.status
            else row
            for row in found
        )


async def _page(
    found: AsyncGenerator[ListRow], matches: Callable[[ListRow], bool], limit: int, budget: int
) -> ListPage:
    """As many of those that are found as fit, at most `budget` looked at."""
    shown: list[ListRow] = []
    last: ListRow | None = None
    seen = 0
    async with aclosing(found):
        async for row in found:
            if last is not None and (len(shown) == limit or seen == budget):
                return ListPage(tuple(shown), last.position, last.created)
            seen += 1
            last = row
            if matches(row):
                shown.append(row)
    return ListPage(tuple(shown), None)


def _count(found: Iterable[ListRow], *, active: int, more: bool) -> ListCount:
    counted = Counter(row.status for row in found)
    ended = sum(number for status, number in counted.items() if status in TERMINAL)
    return ListCount(active, ended, more, {status: counted[status] for status in Status})
