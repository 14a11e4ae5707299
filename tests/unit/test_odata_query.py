"""The query options of OData requests: names, values, what is refused, what the next page keeps."""

import json
import re
import subprocess
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shared.contracts.odata.limits import DEFAULT_PAGE, MAX_LENGTH
from shared.contracts.odata.query import collections
from shared.contracts.odata.query.collections import ReadLimits
from shared.contracts.odata.query.compiling import MAX_ITEMS
from shared.contracts.odata.query.expression_values import MAX_SEGMENTS
from shared.contracts.odata.query.functions import FUNCTIONS, NOT_SUPPORTED
from shared.contracts.odata.query.names import check_once
from shared.contracts.odata.query.options import QueriedResource, parse_query
from shared.contracts.odata.query.ordering import MAX_KEYS
from shared.contracts.odata.query.positions import Position
from shared.contracts.odata.query.searching import MAX_TEXTS
from shared.contracts.odata.query.syntax import MAX_DEPTH
from shared.contracts.paging import MAX_TOP
from shared.errors import RequestError
from shared.system_clock import SystemClock
from tests.support.odata_things import DRACULA, EMMA, THINGS, TYPE, ZERO, ThingSet

read_page = partial(collections.read_page, clock=SystemClock())


def refusal(query: dict[str, str], **options: Any) -> RequestError:
    with pytest.raises(RequestError) as error:
        parse_query(query, TYPE, **options)
    return error.value


@pytest.mark.parametrize("form", [str, str.upper, lambda name: name.removeprefix("$"), lambda n: n[1:].title()])
def test_names_in_every_form(form: Any) -> None:
    """4.01 takes the names in any case, with and without `$` (URL Conventions 4.01, section 5.1)."""
    wanted = {"$filter": "words lt 0", "$orderby": "title desc", "$select": "id", "$top": "3", "$skip": "2"}
    query = parse_query({form(name): value for name, value in (wanted | {"$count": "TRUE"}).items()}, TYPE)
    assert query.filter is not None
    assert [query.filter(thing) for thing in (EMMA, ZERO)] == [True, False]
    assert query.orderby is not None
    assert (query.select, query.top, query.skip, query.count) == (("id",), 3, 2, True)


def test_no_options() -> None:
    """Without options: everything, by the key, in pages of the default size."""
    query = parse_query({}, TYPE)
    assert (query.filter, query.orderby, query.select, query.top, query.skip) == (None, None, None, None, 0)
    assert (query.count, query.page_size, query.position) == (False, DEFAULT_PAGE, None)


def test_what_is_the_callers_own() -> None:
    """Other names without `$` are no query options; keys of the host and aliases are none either."""
    query = parse_query({"search-id": "1", "code": "secret", "id": "7", "": "x", "@a": "'b'", "levels": "2"}, TYPE)
    assert query == parse_query({"search-id": "1", "id": "7", "": "x", "@a": "'b'", "levels": "2"}, TYPE)


@pytest.mark.parametrize(
    ("query", "status", "code", "target"),
    [
        ({"$wrong": "1"}, 400, "InvalidQueryOption", "$wrong"),
        ({"$top": "1", "top": "1"}, 400, "InvalidQueryOption", "$top"),
        ({"$Filter": "true", "$filter": "true"}, 400, "InvalidQueryOption", "$filter"),
        ({"$top": "-1"}, 400, "InvalidQueryOption", "$top"),
        ({"$top": ""}, 400, "InvalidQueryOption", "$top"),
        ({"$top": "\u0663"}, 400, "InvalidQueryOption", "$top"),
        ({"$top": "+5"}, 400, "InvalidQueryOption", "$top"),
        ({"@a": "1", "$top": "1,2"}, 400, "InvalidQueryOption", "$top"),
        ({"$skip": "1.0"}, 400, "InvalidQueryOption", "$skip"),
        ({"$count": "yes"}, 400, "InvalidQueryOption", "$count"),
        ({"$select": "titel"}, 400, "InvalidQueryOption", "$select"),
        ({"$select": ""}, 400, "InvalidQueryOption", "$select"),
        ({"$select": "title/length"}, 400, "InvalidQueryOption", "$select"),
        ({"$select": "cover($select=size)"}, 501, "QueryOptionNotSupported", "$select"),
        ({"$filter": "titel eq 1"}, 400, "InvalidExpression", "$filter"),
        ({"$orderby": "titel"}, 400, "InvalidExpression", "$orderby"),
        ({"$skiptoken": "x"}, 400, "InvalidSkipToken", "$skiptoken"),
        ({"$expand": "notes"}, 501, "QueryOptionNotSupported", "$expand"),
        ({"search": "x"}, 501, "QueryOptionNotSupported", "$search"),
        ({"$apply": "x"}, 501, "QueryOptionNotSupported", "$apply"),
        ({"$compute": "x"}, 501, "QueryOptionNotSupported", "$compute"),
        ({"$deltatoken": "x"}, 501, "QueryOptionNotSupported", "$deltatoken"),
        ({"$id": "x"}, 501, "QueryOptionNotSupported", "$id"),
    ],
)
def test_what_is_refused(query: dict[str, str], status: int, code: str, target: str) -> None:
    """A wrong option is 400, one that is not done 501; both name it (Protocol 4.01, sections 11.2.1 and 9.3.1)."""
    error = refusal(query)
    assert (error.status, error.code, error.target) == (status, code, target)


@pytest.mark.parametrize("name", ["$top", "$skip"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "has no value; it takes a whole number"),
        ("-1", "is not negative"),
        ("-99999999999999999999", "is not negative"),
        *[(text, "the digits 0 to 9 alone") for text in ("1.5", "1e3", "-1.5", "ten", " 5", "0x10", "\u0663", "null")],
    ],
)
def test_why_a_number_is_refused(name: str, value: str, reason: str) -> None:
    """The message is true of what was sent."""
    error = refusal({name: value})
    assert (error.code, error.target) == ("InvalidQueryOption", name)
    assert reason in error.message


@pytest.mark.parametrize("digits", ["99999999999999999999", "9223372036854775808", "9" * 8000, "0" * 30 + "9" * 19])
def test_numbers_of_any_length(digits: str) -> None:
    """A whole number is never too large: no set has so many entities, and answers come in pages (11.2.6)."""
    query = parse_query({"$top": digits, "$skip": digits}, TYPE)
    assert (query.top, query.skip) == (2**63 - 1, 2**63 - 1)
    assert query.shown == query.page_size == MAX_TOP
    assert parse_query({"$top": "0" * 5000 + "7", "$skip": "00"}, TYPE).top == 7


async def test_pages_of_a_huge_top() -> None:
    """It gives everything, page by page; a huge `$skip` leaves nothing, in any order."""
    huge = "9" * 20
    options, found = {"$top": huge}, []
    while options:
        page = await read_page(ThingSet(THINGS), parse_query(options, TYPE, preferences={"maxpagesize": "2"}))
        found += page.entities
        options = page.next or {}
    assert len(found) == len(THINGS)
    beyond = await read_page(ThingSet(THINGS), parse_query({"$skip": huge, "$count": "true"}, TYPE))
    assert (beyond.entities, beyond.count, beyond.next) == ((), len(THINGS), None)
    for options in ({"$orderby": "title"}, {"$orderby": "title", "$top": huge, "$filter": "words gt 0"}):
        beyond = await read_page(ThingSet(THINGS), parse_query({**options, "$skip": huge}, TYPE))
        assert (beyond.entities, beyond.count, beyond.next) == ((), None, None)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["$top", "$top"], "$top"),
        (["$top", "$filter", "TOP"], "$top"),
        (["format", "$Format"], "$format"),
        (["@w", "@w"], "@w"),
        (["$id", "$ID"], "$id"),
        (["$mine", "$mine"], "$mine"),
    ],
)
def test_options_that_are_repeated(names: list[str], shown: str) -> None:
    """An option is there once, in whatever spelling (URL Conventions 4.01, section 5.1); so is a parameter alias."""
    with pytest.raises(RequestError, match="is there twice") as caught:
        check_once(names)
    assert (caught.value.status, caught.value.target) == (400, shown)
    check_once([*dict.fromkeys(names[:1]), "mine", "mine", "id", "id", "code", "code"])


def test_select() -> None:
    """Properties, each once, and nested ones; a star is everything."""
    assert parse_query({"$select": "title, id,title,cover/size"}, TYPE).select == ("title", "id", "cover/size")
    assert parse_query({"$select": "title,*"}, TYPE).select is None


def test_one_entity() -> None:
    """One entity takes `$select` and `$format`, and no option of a collection."""
    query = parse_query({"$select": "id", "$format": "json"}, TYPE, resource=QueriedResource.ENTITY)
    assert query.select == ("id",)
    for name in ("$filter", "$top", "$orderby", "$count", "$skiptoken"):
        assert refusal({name: "1"}, resource=QueriedResource.ENTITY).status == 400


def test_count_of_a_set() -> None:
    """`/$count` takes `$filter`; what orders and cuts a collection has no effect on it, however wrong."""
    query = parse_query(
        {"$filter": "words lt 0", "$top": "x", "$skip": "2", "$orderby": "titel", "$expand": "y"},
        TYPE,
        resource=QueriedResource.COUNT,
    )
    assert query.filter is not None
    assert (query.top, query.skip, query.orderby) == (None, 0, None)
    assert refusal({"$search": "x"}, resource=QueriedResource.COUNT).status == 501


@pytest.mark.parametrize(
    ("preferences", "top", "size", "applied"),
    [
        ({}, None, DEFAULT_PAGE, None),
        ({}, "700", 500, None),
        ({"maxpagesize": "7"}, None, 7, 7),
        ({"maxpagesize": "7"}, "700", 7, 7),
        ({"odata.maxpagesize": "8"}, None, 8, 8),
        ({"maxpagesize": "7", "odata.maxpagesize": "8"}, None, 7, 7),
        ({"maxpagesize": "2000"}, None, 500, 2000),
        ({"maxpagesize": "0"}, None, DEFAULT_PAGE, None),
        ({"maxpagesize": "many"}, None, DEFAULT_PAGE, None),
        ({"maxpagesize": ""}, None, DEFAULT_PAGE, None),
    ],
)
def test_page_size(preferences: dict[str, str], top: str | None, size: int, applied: int | None) -> None:
    """The preference lowers a page; one that cannot be read is none (RFC 7240, section 2)."""
    options = {} if top is None else {"$top": top}
    query = parse_query(options, TYPE, max_page=500, preferences=preferences)
    assert (query.page_size, query.applied_page_size) == (size, applied)


async def test_the_next_page_keeps_the_options() -> None:
    """The link carries all options as they were written, the caller's own too, but never a key."""
    options = {
        "$Filter": "words ge @w",
        "orderby": "words",
        "$select": "id",
        "$count": "true",
        "$format": "json",
        "@w": "-100",
        "mine": "1",
        "code": "secret",
        "clientId": "me",
        "$top": "3",
        "$skip": "1",
    }
    page = await read_page(ThingSet(THINGS), parse_query(options, TYPE, preferences={"maxpagesize": "1"}))
    assert [stored.entity for stored in page.entities] == [ZERO]
    assert page.count == 3
    assert page.next is not None
    kept = {name: value for name, value in page.next.items() if name not in ("$top", "$skiptoken")}
    assert kept == {k: v for k, v in options.items() if k not in ("code", "clientId", "$top", "$skip")}
    assert page.next["$top"] == "2"
    following = await read_page(ThingSet(THINGS), parse_query(page.next, TYPE))
    assert [stored.entity for stored in following.entities] == [DRACULA]
    assert (following.count, following.next) == (3, None)


def test_a_token_is_for_its_query_alone() -> None:
    """A token with another order or filter, or one that was made up, is 400 and never a wrong page."""
    query = parse_query({"$orderby": "words"}, TYPE)
    token = query.following(Position("emma", (5,), 2), top=None)["$skiptoken"]
    assert parse_query({"$orderby": "words", "$skiptoken": token}, TYPE).position == Position("emma", (5,), 2)
    for other in ({}, {"$orderby": "words desc"}, {"$orderby": "words", "$filter": "isFree"}, {"$orderby": "title"}):
        assert refusal({**other, "$skiptoken": token}).code == "InvalidSkipToken"
    for made_up in ("", "e30", "W10", "bnVsbA", token[:-3], "\ud800", "é", "=" * 10, "eyJrIjoxfQ", "A" * 5000):
        assert refusal({"$orderby": "words", "$skiptoken": made_up}).code == "InvalidSkipToken"


def _changed(token: str, **parts: Any) -> str:
    """The token with other parts, as somebody could make it who has read it."""
    known = json.loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    return urlsafe_b64encode(json.dumps(known | parts).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("order", "value", "parts"),
    [
        ("words", 5, {"k": "\ud800"}),
        ("title", "x", {"v": ["\ud800"]}),
        ("title", "x", {"v": [5]}),
        ("title", "x", {"v": ["x", "y"]}),
        ("added", datetime(2024, 1, 1, tzinfo=UTC), {"v": ["2024-01-01T00:00:00"]}),
        ("added", datetime(2024, 1, 1, tzinfo=UTC), {"v": ["2024-01-01"]}),
        ("added", datetime(2024, 1, 1, tzinfo=UTC), {"v": ["soon"]}),
        ("price", Decimal(1), {"v": ["NaN"]}),
        ("price", Decimal(1), {"v": ["sNaN"]}),
        ("price", Decimal(1), {"v": ["1e9999999999999999999"]}),
        ("words", 5, {"v": ["9" * 5000]}),
    ],
)
async def test_a_token_that_was_changed(order: str, value: Any, parts: dict[str, Any]) -> None:
    """Values that do not fit the order, or that nothing takes as text, are 400 before anything is read."""
    query = parse_query({"$orderby": order}, TYPE)
    token = query.following(Position("emma", (value,)), top=None)["$skiptoken"]
    same = parse_query({"$orderby": order, "$skiptoken": _changed(token)}, TYPE)
    assert same.position == Position("emma", (value,))
    assert refusal({"$orderby": order, "$skiptoken": _changed(token, **parts)}).code == "InvalidSkipToken"


@pytest.mark.parametrize("value", ["10:00:00Z", "10:00:00"])
async def test_times_of_a_changed_token_compare(value: str) -> None:
    """A time with an offset is read as the one without, as everywhere."""
    query = parse_query({"$orderby": "opens"}, TYPE)
    token = query.following(Position("emma", (time(9),)), top=None)["$skiptoken"]
    page = parse_query({"$orderby": "opens", "$skiptoken": _changed(token, v=[value])}, TYPE)
    assert (await read_page(ThingSet(THINGS), page)).entities == ()


async def test_infinity_is_followed() -> None:
    """The link of a page that ends at an infinite value leads on (a division by zero gives one, 5.1.1.2.4)."""
    options = {"$orderby": "1.5 divby creators/$count,id"}
    found: list[str] = []
    while options:
        page = await read_page(ThingSet(THINGS), parse_query(options, TYPE, preferences={"maxpagesize": "1"}))
        found += [stored.entity.model_dump()["id"] for stored in page.entities]
        options = page.next or {}
    assert found == ["emma", "dracula", "zero"]


def test_the_document_says_all() -> None:
    """docs/odata-queries.md names every function, every option and every limit, as they are."""
    document = (Path(__file__).parents[2] / "docs" / "odata-queries.md").read_text(encoding="utf-8")
    words = set(re.findall(r"`([^`]+)`", document))
    named = {word.lower() for text in words for word in text.split()}
    assert set(FUNCTIONS) | {"now"} <= named
    assert {name for name in NOT_SUPPORTED if not name.startswith("geo.")} <= named
    for options, _ in (resource.value for resource in QueriedResource):
        assert {f"${name}" for name in options} <= named
    rows = re.findall(r"\| ([0-9]+) \|", document.partition("## Limits")[2])
    limits = ReadLimits()
    expected = [MAX_LENGTH, MAX_DEPTH, MAX_TEXTS, MAX_ITEMS, MAX_SEGMENTS, MAX_KEYS]
    assert [int(row) for row in rows] == [*expected, limits.looked_at, limits.sorted, limits.scanned]
    assert f"A page has {DEFAULT_PAGE} entities; with `$top` it has up to {MAX_TOP}," in document


def test_a_first_query_compiles_few_patterns() -> None:
    """What serves one is loaded while a caller waits: patterns of what most requests have not wait for who has it."""
    code = """
import re, sys
compiled, compile = [], re.compile
def note(pattern, flags=0):
    compiled.append(sys._getframe(1).f_globals["__name__"])
    return compile(pattern, flags)
re.compile = note
import shared.endpoints.odata.service, shared.endpoints.odata.reads
print(*(name for name in compiled if name.startswith(("shared.contracts.odata", "shared.endpoints.odata"))))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert len(done.stdout.split()) <= 6, done.stdout
