"""A page of an entity set, read from the stream of its entities in bounded memory.

OData Protocol 4.01, sections 11.2.6 "Querying Collections" and 11.2.6.7 "Server-Driven Paging".
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from heapq import heappop, heappush, heappushpop
from typing import Any

from shared.actions.odata.entities import EntitySource, Stored
from shared.contracts.odata.query.options import Query
from shared.contracts.odata.query.ordering import Ordering, Reversed
from shared.contracts.odata.query.positions import Position, refuse_token
from shared.contracts.odata.turns import Turns
from shared.errors import RequestError
from shared.frozen import frozen
from shared.model.timing import Clock


@frozen(kw_only=True)
class ReadLimits:
    """How far one request looks."""

    looked_at: int = 20_000
    """Entities for one page in the order of the keys; a page that has not filled by then is short, and links on."""
    sorted: int = 10_000
    """`$skip` and a page together, in any other order: so many entities are held."""
    scanned: int = 500_000
    """Entities of a set that is sorted or counted."""


@frozen
class Page:
    """`count` where `$count=true`; `next` are the query parameters of the next page, None on the last one."""

    entities: tuple[Stored, ...]
    count: int | None
    next: dict[str, str] | None


async def read_page(source: EntitySource, query: Query, *, clock: Clock, limits: ReadLimits | None = None) -> Page:
    """The page that `query` asks for. It may be empty and link on, where a filter matches little.

    Raises RequestError 400 where `$orderby` or `$count` would go beyond the limits, or where the filter has no result;
    410 for a `$skiptoken` whose entity is gone and was needed.
    """
    limits = limits or ReadLimits()
    if query.orderby is not None and query.top != 0:
        return await _sorted_page(source, query, query.orderby, limits, clock)
    return await _page(source, query, limits, clock)


async def count_entities(
    source: EntitySource, query: Query, *, clock: Clock, limits: ReadLimits | None = None, option: str = "$count"
) -> int:
    """How many entities match the filter: `/$count`. Raises RequestError 400 as `read_page` does, naming `option`."""
    count = 0
    async with aclosing(_entities(source, query, clock, limits=limits or ReadLimits(), option=option)) as entities:
        async for stored in entities:
            count += _matches(query, stored)
    return count


async def _page(source: EntitySource, query: Query, limits: ReadLimits, clock: Clock) -> Page:
    """In the order of the keys: it ends where the page is full, unless the rest has to be counted."""
    count = _count_so_far(query)
    counting = query.count and query.position is None
    if query.shown == 0 and not counting:
        return Page((), count, None)
    state = _Filling(query)
    looked_at = matched = 0
    after = query.position.key if query.position else None
    async with aclosing(_entities(source, query, clock, limits=limits, option="$count", after=after)) as entities:
        async for stored in entities:
            if not counting and (state.is_over or state.is_complete or looked_at >= limits.looked_at):
                return state.page(count, more=not state.is_complete)
            looked_at += 1
            matched += state.take(stored)
    return state.page(matched if counting else count, more=state.is_over and not state.is_complete)


class _Filling:
    """A page that is being filled."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._found: list[Stored] = []
        self._skip = query.skip
        self._last = query.position.key if query.position else ""
        self.is_over = False
        """Whether one that matches has been seen behind the last one of the page."""

    @property
    def is_complete(self) -> bool:
        """Whether no other page follows: `$top` is fulfilled."""
        return self._query.top is not None and len(self._found) >= self._query.top

    def take(self, stored: Stored) -> bool:
        """Whether it matches the filter. Whatever lies before the first one that has no place needs no second look."""
        matches = _matches(self._query, stored)
        if matches and len(self._found) >= self._query.shown:
            self.is_over = True
        if self.is_over:
            return matches
        self._last = _key(self._query, stored)
        if matches and self._skip:
            self._skip -= 1
        elif matches:
            self._found.append(stored)
        return matches

    def page(self, count: int | None, *, more: bool) -> Page:
        if not more:
            return Page(tuple(self._found), count, None)
        top = None if self._query.top is None else self._query.top - len(self._found)
        position = Position(self._last, None, count if self._query.count else None)
        return Page(tuple(self._found), count, self._query.following(position, top=top, skip=self._skip))


_Ranked = tuple[Reversed, Stored]
"""An entity and its place in the order, reversed: a heap has the last one of the order on top."""


async def _sorted_page(
    source: EntitySource, query: Query, ordering: Ordering, limits: ReadLimits, clock: Clock
) -> Page:
    """In another order: one pass over the set, holding the best so far."""
    held = query.skip + query.shown
    if query.skip >= limits.scanned:
        # Beyond the end of any set that is put in order: nothing has to be held for the empty page.
        matched = await count_entities(source, query, clock=clock, limits=limits, option="$orderby")
        return Page((), matched if query.count else None, None)
    if held > limits.sorted:
        message = f"With this $orderby, $skip and a page together are at most {limits.sorted}."
        raise RequestError(400, "OrderByLimitExceeded", message, target="$skip")
    start = await _start(source, query, ordering)
    count = _count_so_far(query)
    matched = 0
    best: list[_Ranked] = []
    async with aclosing(_entities(source, query, clock, limits=limits, option="$orderby")) as entities:
        async for stored in entities:
            if not _matches(query, stored):
                continue
            matched += 1
            place = (*ordering.rank(ordering.values(stored.entity)), _key(query, stored))
            if start is not None and not start < place:
                continue
            one = (Reversed(place), stored)
            # One more than is shown tells whether another page follows.
            if len(best) <= held:
                heappush(best, one)
            else:
                heappushpop(best, one)
    more = len(best) > held
    if more:
        heappop(best)
    found = await _from_the_end(best, len(best) - query.skip, Turns(clock))
    if query.count and query.position is None:
        count = matched
    top = None if query.top is None else query.top - len(found)
    if not more or top == 0:
        return Page(tuple(found), count, None)
    position = Position(_key(query, found[-1]), ordering.values(found[-1].entity), count)
    return Page(tuple(found), count, query.following(position, top=top))


async def _from_the_end(best: list[_Ranked], number: int, turns: Turns) -> list[Stored]:
    """The last `number` of a heap, in the order. What is skipped needs no sorting, and leaves the heap as it comes."""
    found: list[Stored] = []
    for _ in range(number):
        found.append(heappop(best)[1])
        await turns.rest()
    while best:
        # To free thousands of entities at once would be a long turn.
        best.pop()
        await turns.rest()
    return found[::-1]


async def _start(source: EntitySource, query: Query, ordering: Ordering) -> tuple[Any, ...] | None:
    """What the page lies behind, in the order's own terms."""
    position = query.position
    if position is None:
        return None
    if position.values is not None:
        return (*ordering.rank(position.values), position.key)
    stored = await source.get(position.key)
    if stored is None:
        message = "The entity at which the last page ended is gone; start over with the first page."
        raise RequestError(410, "PageGone", message, target="$skiptoken")
    return (*ordering.rank(ordering.values(stored.entity)), position.key)


def _count_so_far(query: Query) -> int | None:
    """The count that the first page made, on a later one."""
    if not query.count or query.position is None:
        return None
    if query.position.count is None:
        refuse_token()
    return query.position.count


async def _entities(
    source: EntitySource, query: Query, clock: Clock, *, limits: ReadLimits, option: str, after: str | None = None
) -> AsyncGenerator[Stored]:
    """The entities that can match. What is done with each counts as work of the same turn of the event loop.

    Raises RequestError 400 that names `option`, for which too many would be looked at.
    """
    turns, looked_at = Turns(clock), 0
    pages = source.scan(after=query.keys.start(after))
    try:
        async for page in pages:
            for stored in page:
                if query.keys.is_beyond(_key(query, stored)):
                    return
                looked_at += 1
                if looked_at > limits.scanned:
                    message = f"{option} takes a set of at most {limits.scanned} entities, and this one has more."
                    code = "CountLimitExceeded" if option == "$count" else "OrderByLimitExceeded"
                    raise RequestError(400, code, message, target=option)
                yield stored
                await turns.rest()
    finally:
        if isinstance(pages, AsyncGenerator):
            await pages.aclose()


def _matches(query: Query, stored: Stored) -> bool:
    return query.filter is None or query.filter(stored.entity)


def _key(query: Query, stored: Stored) -> str:
    assert query.entity_type.key is not None, "an entity set's type has a key"
    return getattr(stored.entity, query.entity_type.key.field)
