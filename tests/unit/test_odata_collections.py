"""Pages of an entity set: every entity once and in order, in bounded memory, whatever the options."""

import asyncio
import gc
import time
import tracemalloc
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.actions.models import Model
from shared.actions.odata.edm import Types
from shared.actions.odata.entities import Stored
from shared.contracts.odata.query import collections
from shared.contracts.odata.query.collections import Page, ReadLimits
from shared.contracts.odata.query.options import QueriedResource, Query, parse_query
from shared.contracts.odata.turns import Turns
from shared.errors import RequestError
from shared.system_clock import SystemClock
from tests.support.clock import ManualClock
from tests.support.odata_things import TYPE, Thing, ThingSet

read_page = partial(collections.read_page, clock=SystemClock())
count_entities = partial(collections.count_entities, clock=SystemClock())


def some(number: int) -> list[Thing]:
    """Things with few different values, so that ties and nulls abound."""
    return [
        Thing(id=f"k{i:04}", title="xyz"[i * 7 % 3], words=i * 37 % 5, published=None if i % 4 else str(i % 3))
        for i in range(number)
    ]


async def follow(source: ThingSet, options: dict[str, str], **given: Any) -> tuple[list[str], list[Page]]:
    """The ids of all pages, following every link."""
    limits = given.pop("limits", None)
    pages: list[Page] = []
    following: dict[str, str] | None = options
    while following is not None:
        pages.append(await read_page(source, parse_query(following, TYPE, **given), limits=limits))
        following = pages[-1].next
        assert len(pages) <= 500, "links without an end"
    return [stored.entity.id for page in pages for stored in page.entities], pages


FILTERS = {
    "": lambda thing: True,
    "words eq 3": lambda thing: thing.words == 3,
    "words eq 99": lambda thing: False,
    "published ne null": lambda thing: thing.published is not None,
    "id ge 'k0010' and id lt 'k0033'": lambda thing: "k0010" <= thing.id < "k0033",
}
NULL_FIRST = {
    "": [],
    "title": [(lambda thing: thing.title, False)],
    "published desc,words": [
        (lambda thing: (thing.published is not None, thing.published or ""), True),
        (lambda thing: thing.words, False),
    ],
    "id desc": [(lambda thing: thing.id, True)],
}


def expected(things: Sequence[Thing], filter: str, order: str) -> list[str]:
    """What all pages together are, by Python's own sort."""
    found = sorted((thing for thing in things if FILTERS[filter](thing)), key=lambda thing: thing.id)
    for key, descending in reversed(NULL_FIRST[order]):
        found.sort(key=key, reverse=descending)
    return [thing.id for thing in found]


@settings(deadline=None, max_examples=150)
@given(
    number=st.integers(0, 60),
    filter=st.sampled_from(sorted(FILTERS)),
    order=st.sampled_from(sorted(NULL_FIRST)),
    top=st.none() | st.integers(0, 70),
    skip=st.none() | st.integers(0, 70),
    size=st.integers(1, 25),
    budget=st.integers(1, 30),
    count=st.booleans(),
    scan=st.integers(1, 20),
)
def test_all_pages_together(
    *,
    number: int,
    filter: str,
    order: str,
    top: int | None,
    skip: int | None,
    size: int,
    budget: int,
    count: bool,
    scan: int,
) -> None:
    """Following the links gives exactly what Python's sort and slices give, with every combination of options."""
    things = some(number)
    options = {"$filter": filter, "$orderby": order, "$count": "true" if count else ""}
    options = {name: value for name, value in options.items() if value}
    options |= {} if top is None else {"$top": str(top)}
    options |= {} if skip is None else {"$skip": str(skip)}
    source = ThingSet(things, page=scan)
    limits = ReadLimits(looked_at=budget)
    ids, pages = asyncio.run(follow(source, options, preferences={"maxpagesize": str(size)}, limits=limits))
    wanted = expected(things, filter, order)
    start = skip or 0
    assert ids == wanted[start : None if top is None else start + top]
    assert {page.count for page in pages} == ({len(wanted)} if count else {None})
    assert all(len(page.entities) <= size for page in pages)
    assert source.closed > 0 or top == 0


async def test_a_page_reads_no_further_than_it_must() -> None:
    """A page in the order of the keys stops reading once it knows whether another one follows."""
    source = ThingSet(some(5000), page=100)
    page = await read_page(source, parse_query({"$top": "50"}, TYPE))
    assert (len(page.entities), page.next, source.looked_at) == (50, None, 100)
    source = ThingSet(some(5000), page=100)
    page = await read_page(source, parse_query({}, TYPE, preferences={"maxpagesize": "50"}))
    assert (len(page.entities), source.looked_at) == (50, 100)
    assert page.next is not None
    await read_page(source, parse_query(page.next, TYPE))
    assert source.looked_at == 300
    assert source.closed == 2


async def test_the_last_page_has_no_link() -> None:
    """A set that ends with the page has no next page, not even an empty one."""
    for order in ({}, {"$orderby": "title"}):
        page = await read_page(ThingSet(some(20)), parse_query(order, TYPE, preferences={"maxpagesize": "20"}))
        assert (len(page.entities), page.next) == (20, None)


async def test_a_filter_that_matches_little_stays_quick() -> None:
    """A page gives up at the limit and links on from there: short pages, but never a long wait."""
    source = ThingSet(some(1000), page=10)
    options = {"$filter": "title eq 'none' or id eq 'k0999'"}
    first = await read_page(source, parse_query(options, TYPE), limits=ReadLimits(looked_at=300))
    assert (first.entities, source.looked_at) == ((), 310)
    ids, pages = await follow(source, options, limits=ReadLimits(looked_at=300))
    assert (ids, len(pages)) == (["k0999"], 4)


@pytest.mark.parametrize(
    ("filter", "most"),
    [
        ("id eq 'k0500'", 20),
        ("id in ('k0500')", 1000),
        ("startswith(id, 'k050') and words ge 0", 120),
        ("id gt 'k0499' and 'k0510' ge id", 20),
        ("words ge 0 and (id ge 'k0500' and id le 'k0509')", 20),
        ("$it/id lt 'k0010'", 20),
        ("id eq 'k0500' or id eq 'k0501'", 1000),
        ("not (id eq 'k0500')", 1000),
        ("id eq 'nothing'", 10),
        ("id eq ''", 10),
    ],
)
@pytest.mark.parametrize("options", [{}, {"$orderby": "words"}, {"$count": "true"}])
async def test_a_filter_on_the_key_reads_a_part(filter: str, most: int, options: dict[str, str]) -> None:
    """Comparisons of the key that hold for the whole filter bound what is read, and never what is found."""
    things = some(1000)
    source = ThingSet(things, page=10)
    ids, pages = await follow(source, {"$filter": filter, **options}, preferences={"maxpagesize": "1000"})
    assert len(pages) == 1
    assert source.looked_at <= most
    matches = parse_query({"$filter": filter}, TYPE).filter
    assert matches is not None
    assert sorted(ids) == [thing.id for thing in things if matches(thing)]


async def test_sorted_pages_hold_while_the_set_changes() -> None:
    """Pages of another order continue behind the last entity, though it and others are gone by then."""
    things = some(40)
    source = ThingSet(things)
    first = await read_page(source, parse_query({"$orderby": "title"}, TYPE, preferences={"maxpagesize": "10"}))
    assert first.next is not None
    last = first.entities[-1].entity
    source.things = [thing for thing in source.things if thing is not last and thing.id > "k0005"]
    second = await read_page(source, parse_query(first.next, TYPE, preferences={"maxpagesize": "40"}))
    shown = {stored.entity.id for stored in first.entities}
    rest = [id for id in expected(things, "", "title") if id not in shown and id > "k0005"]
    assert [stored.entity.id for stored in second.entities] == rest


async def test_values_too_long_for_a_link() -> None:
    """A token holds a key where the values are long; without its entity the caller starts over."""
    things = [Thing(id=f"k{i}", title=f"{i}" + "é" * 600) for i in range(6)]
    source = ThingSet(things)
    ids, pages = await follow(source, {"$orderby": "title desc"}, preferences={"maxpagesize": "2"})
    assert ids == ["k5", "k4", "k3", "k2", "k1", "k0"]
    link = pages[0].next
    assert link is not None
    assert len(link["$skiptoken"]) < 200
    source.things = [thing for thing in things if thing.id != "k4"]
    with pytest.raises(RequestError) as error:
        await read_page(source, parse_query(link, TYPE))
    assert (error.value.status, error.value.code) == (410, "PageGone")


async def test_limits_are_named() -> None:
    """What would hold or read too much is 400 with the limit in its message, and reads no further."""
    limits = ReadLimits(sorted=50, scanned=200)
    source = ThingSet(some(1000), page=100)
    cases: list[tuple[dict[str, str], str, str]] = [
        ({"$orderby": "title", "$skip": "41", "$top": "10"}, "OrderByLimitExceeded", "50"),
        ({"$orderby": "title", "$top": "10"}, "OrderByLimitExceeded", "200"),
        ({"$count": "true"}, "CountLimitExceeded", "200"),
        ({"$count": "true", "$top": "0", "$orderby": "title"}, "CountLimitExceeded", "200"),
    ]
    for options, code, part in cases:
        with pytest.raises(RequestError) as error:
            await read_page(source, parse_query(options, TYPE), limits=limits)
        assert (error.value.status, error.value.code) == (400, code)
        assert part in error.value.message
    with pytest.raises(RequestError, match="200"):
        await count_entities(source, parse_query({}, TYPE, resource=QueriedResource.COUNT), limits=limits)
    assert source.looked_at <= 300 * len(cases)
    page = await read_page(source, parse_query({"$orderby": "id", "$skip": "51", "$top": "9"}, TYPE), limits=limits)
    assert next(stored.entity.id for stored in page.entities) == "k0051"


async def test_a_failing_filter_fails_the_request() -> None:
    """No page leaves out an entity for which the filter has no result."""
    with pytest.raises(RequestError, match="k0000"):
        await read_page(ThingSet(some(10)), parse_query({"$filter": "1 div words gt 0"}, TYPE))


async def test_count_without_entities() -> None:
    """`$top=0` with `$count` counts and shows nothing; without `$count` it reads nothing."""
    source = ThingSet(some(30))
    page = await read_page(source, parse_query({"$top": "0", "$count": "true", "$filter": "words eq 3"}, TYPE))
    assert page == Page((), 6, None)
    source = ThingSet(some(30))
    assert await read_page(source, parse_query({"$top": "0"}, TYPE)) == Page((), None, None)
    assert source.looked_at == 0


async def test_count_of_a_set() -> None:
    """`/$count` counts what the filter matches."""
    source = ThingSet(some(30))
    for text, count in (("", 30), ("words eq 3", 6), ("words eq 99", 0)):
        query = parse_query({"$filter": text} if text else {}, TYPE, resource=QueriedResource.COUNT)
        assert await count_entities(source, query) == count


class Row(Model):
    """Few properties: what is measured is the reading, not the making of entities."""

    id: str
    title: str
    words: int


ROW = Types("Library").entity(Row, "id", "test")


class Large:
    """A large set whose entities are made as they are read, so that whoever keeps them is seen."""

    def __init__(self, number: int, *, page: int = 1000) -> None:
        self.number = number
        self.page = page

    async def scan(self, *, after: str | None = None) -> AsyncIterator[Sequence[Stored]]:
        for start in range(0, self.number, self.page):
            yield [Stored(self._make(i), "1") for i in range(start, min(start + self.page, self.number))]

    async def get(self, key: str) -> Stored | None:
        return Stored(self._make(int(key[1:])), "1")

    def _make(self, i: int) -> Row:
        # Padding makes an entity large, so that memory tells how many are held.
        return Row.model_construct(id=f"k{i:06}", title=f"{i * 7919 % 100_003:06}" + "x" * 1000, words=i % 1000)


LARGE = 10_000


@pytest.mark.parametrize(
    "options",
    [
        {"$orderby": "title desc", "$skip": "400", "$top": "100"},
        {"$orderby": "words desc,title", "$count": "true", "$filter": "contains(tolower(title), '77') or words gt 5"},
        {"$count": "true", "$filter": "endswith(title, 'x') and words mod 2 eq 1"},
    ],
)
async def test_a_large_set_in_bounded_memory(options: dict[str, str]) -> None:
    """10,000 entities of 1.5 KB, 15 MB in all, are read in the memory of scan pages and what the page keeps."""
    query = parse_query(options, ROW)
    tracemalloc.start()
    try:
        await read_page(Large(LARGE, page=200), query)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    print(f"\n{options}: peak {peak / 1e6:.1f} MB")
    # At most two scan pages of 200, the 501 that are kept, and a little of the reading's own.
    assert peak < 1201 * 1800


@pytest.fixture
def no_collections() -> Iterator[None]:
    """Collections of garbage go through all that the tests before have left, which is no work of the code's."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def longest_turn(work: Coroutine[Any, Any, Any]) -> float:
    """CPU seconds of the longest turn that `work` takes on the event loop: what else the machine does counts little."""
    longest = 0.0
    task = asyncio.ensure_future(work)
    while not task.done():
        began = time.thread_time()
        await asyncio.sleep(0)
        longest = max(longest, time.thread_time() - began)
    await task
    return longest


EXPENSIVE = " or ".join(f"contains(toupper(concat(title,'a')),'Z{i}')" for i in range(80))


@pytest.mark.usefixtures("no_collections")
@pytest.mark.parametrize(
    ("number", "options"),
    [
        (500, {"$filter": EXPENSIVE, "$count": "true"}),
        (500, {"$filter": EXPENSIVE, "$orderby": "title"}),
        (20_000, {"$orderby": "title desc,words desc,id desc", "$skip": "9000", "$top": "1000"}),
    ],
)
async def test_others_have_their_turn(number: int, options: dict[str, str]) -> None:
    """However expensive an expression is and however many are sorted, others wait for some milliseconds."""
    source = Large(number, page=100)
    began = time.thread_time()
    await anext(source.scan())
    # A turn ends after 5 ms, or after a page of the source that was begun by then.
    floor = 0.005 + time.thread_time() - began
    longest = await longest_turn(read_page(source, parse_query(options, ROW)))
    print(f"\n{list(options)}: longest turn {longest * 1e3:.1f} ms, floor {floor * 1e3:.1f} ms")
    assert longest < 3 * floor


@pytest.mark.usefixtures("no_collections")
async def test_a_count_leaves_turns_to_others() -> None:
    """`/$count` goes through its set as a page does."""
    query = parse_query({"$filter": EXPENSIVE}, ROW, resource=QueriedResource.COUNT)
    assert await longest_turn(count_entities(Large(500, page=100), query)) < 0.03


async def test_what_arrives_is_answered_between_two_turns() -> None:
    """What needs a few rounds of the event loop does not wait for a whole turn of a read in each."""
    rounds = 0

    async def others() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(others())
    clock = ManualClock()
    turns = Turns(clock)
    await turns.rest()
    assert rounds == 0, "there was no work to rest from"
    clock.pass_by(milliseconds=10)
    await turns.rest()
    assert rounds >= 4
    task.cancel()


async def test_sorting_ever_better_entities_stays_bounded() -> None:
    """The worst order, in which each entity displaces another one, is right, and no entity costs more than before."""
    query = parse_query({"$orderby": "id desc", "$skip": "900", "$top": "100"}, ROW)

    async def seconds_each(number: int) -> float:
        began = time.thread_time()
        page = await read_page(Large(number), query)
        assert [stored.entity.id for stored in page.entities][:2] == [f"k{number - 901:06}", f"k{number - 902:06}"]
        return (time.thread_time() - began) / number

    assert await seconds_each(LARGE) < 5 * await seconds_each(LARGE // 5)


def test_a_query_is_a_value() -> None:
    """A query can be kept, compared and changed as one."""
    query = parse_query({"$top": "5"}, TYPE)
    assert replace(query, top=6) != query
    assert isinstance(query, Query)
