"""The list's parameters: the filter's grammar against Python's own, garbage, top, tokens."""

from datetime import UTC, datetime, timedelta
from itertools import combinations_with_replacement, product
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.contracts.dataplane.filters import parse_filter
from shared.contracts.dataplane.listing import ListRequest, parse_list
from shared.contracts.http import Request
from shared.contracts.paging import MAX_TOP, write_token
from shared.errors import RequestError
from shared.model.ids import ID_PATTERN
from shared.model.operation import Status
from shared.model.times import write_time
from shared.operations.list_rows import ListRow
from tests.support.parts import T0

KINDS = ["book:start", "o'clock", "a b"]
CODES = ["", "Broken"]
LABELS = [(), ("one",), ("one", "o'two")]
TIMES = [T0, T0 + timedelta(microseconds=1), T0 + timedelta(hours=1)]
ROWS = [
    ListRow("0" * 16, f"i{number % 3}", kind, status, created, changed, "p", error_code=code, labels=labels)
    for number, (kind, status, (created, changed), code, labels) in enumerate(
        product(KINDS, Status, combinations_with_replacement(TIMES, 2), CODES, LABELS)
    )
]
SPACE = st.sampled_from([" ", "  ", "\t"])


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def of_text(field: str, values: list[str]) -> st.SearchStrategy[tuple[str, str]]:
    """Comparisons of a text, each beside the same in Python."""
    value, several = st.sampled_from(values), st.lists(st.sampled_from(values), min_size=1, max_size=3)
    return (
        value.map(lambda v: (f"{field} eq {quoted(v)}", f"({field} == {v!r})"))
        | value.map(lambda v: (f"{field} ne {quoted(v)}", f"({field} != {v!r})"))
        | several.map(lambda v: (f"{field} in ({' , '.join(map(quoted, v))})", f"({field} in {v!r})"))
    )


SIGNS = {"eq": "==", "ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
TIMED = st.tuples(
    st.sampled_from(["createdDateTime", "lastActionDateTime"]), st.sampled_from([*SIGNS]), st.sampled_from(TIMES)
).map(lambda t: (f"{t[0]} {t[1]} {write_time(t[2])}", f"({t[0]} {SIGNS[t[1]]} {write_time(t[2])!r})"))
LEAVES = (
    of_text("status", [str(status) for status in Status])
    | of_text("kind", [*KINDS, ""])
    | of_text("errorCode", CODES)
    | TIMED
    | st.sampled_from(["i0", "i1", "i9"]).map(lambda i: (f"id eq {quoted(i)}", f"(id == {i!r})"))
    | st.sampled_from(["", "b", "o'"]).map(lambda p: (f"startswith(kind,{quoted(p)})", f"kind.startswith({p!r})"))
    | st.sampled_from(["one", "o'two"]).map(lambda x: (f"labels/any(x: x eq {quoted(x)})", f"({x!r} in labels)"))
)
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["and", "or"]), inner, SPACE).map(
            lambda t: (f"{t[0][0]}{t[3]}{t[1]}{t[3]}{t[2][0]}", f"{t[0][1]} {t[1]} {t[2][1]}")
        )
        | inner.map(lambda e: (f"({e[0]} )", f"({e[1]})"))
    ),
    max_leaves=8,
)


def values_of(row: ListRow) -> dict[str, Any]:
    """The names of a filter, for Python."""
    return {
        "status": str(row.status),
        "kind": row.kind,
        "errorCode": row.error_code,
        "id": row.id,
        "labels": row.labels,
        "createdDateTime": write_time(row.created),
        "lastActionDateTime": write_time(row.changed),
    }


@given(EXPRESSIONS)
def test_filter_means_what_python_means(expression: tuple[str, str]) -> None:
    """`and` binds tighter than `or`, parentheses group, quotes double: as the same expression in Python."""
    text, python = expression
    selection = parse_filter(text)
    compiled = compile(python, "filter", "eval")
    for row in ROWS:
        assert selection.matches(row) == eval(compiled, values_of(row)), text


@given(EXPRESSIONS)
def test_nothing_is_left_out_beforehand(expression: tuple[str, str]) -> None:
    """Whatever matches a filter is among what is looked at: the statuses, the times, the id."""
    selection = parse_filter(expression[0])
    for row in ROWS:
        if selection.matches(row):
            assert row.status in selection.statuses
            assert selection.spans(row.created)
            assert selection.id in (None, row.id)


@pytest.mark.parametrize(
    ("text", "position", "possible"),
    [
        ("", 1, "write status, kind, errorCode, createdDateTime, lastActionDateTime, id, startswith"),
        ("Status eq 'Failed'", 1, "write status"),
        ("status is 'Failed'", 8, "write eq, ne or in after status"),
        ("status eq Failed", 11, "write a value in single quotes"),
        ("kind eq 'a' and status eq 'failed'", 27, "status is one of NotStarted, Running"),
        ("status in 'Failed'", 11, "( was expected"),
        ("status in ('Failed' 'Running')", 21, ") was expected"),
        ("kind eq 'a' kind eq 'b'", 13, "and, or, or the end was expected"),
        ("kind eq 'a' or", 15, "write status"),
        ("(kind eq 'a'", 13, ") was expected"),
        ("createdDateTime in ('x')", 17, "write eq, ge, gt, le, lt after createdDateTime"),
        ("createdDateTime ge yesterday", 20, "write a time such as 2026-01-31T12:00:00Z"),
        ("createdDateTime ge 2026-13-01T00:00:00Z", 20, "write a time"),
        ("createdDateTime ge 1600-01-01", 20, "from the years 1970 to 2200"),
        ("id ne 'a'", 4, "write eq after id"),
        ("startswith(status,'a')", 12, "startswith takes kind"),
        ("labels eq 'a'", 8, "/ was expected"),
        ("labels/all(l:l eq 'a')", 8, "write any("),
        ("labels/any(l:m eq 'a')", 14, "write l eq"),
        ("labels/any(l:l ne 'a')", 16, "write eq after l"),
        ("kind eq 'a' & status eq 'Failed'", 13, "and, or, or the end was expected"),
        ("status = 'Failed'", 8, "write eq, ne or in after status"),
        ('kind eq "a"', 9, "write a value in single quotes"),
        ("kind eq 'it", 9, "close the value with a single quote"),
        ("foo eq 1", 1, "write status"),
        ("createdDateTime gt 2026", 20, "write a time such as"),
        ("id eq 5", 7, "write a value in single quotes"),
    ],
)
def test_a_refusal_says_where_and_what_is_possible(text: str, position: int, possible: str) -> None:
    """The position counts from 1, and an example ends the message."""
    with pytest.raises(RequestError) as caught:
        parse_filter(text)
    assert f"at position {position}: " in caught.value.message
    assert possible in caught.value.message
    parse_filter(caught.value.message.partition("Example: ")[2])


@pytest.mark.parametrize(
    ("text", "is_active"),
    [
        ("status eq 'Running'", True),
        ("status ne 'Running'", False),
        ("status in ('Running','NotStarted')", True),
        ("status in ('Running','Failed')", False),
        ("status in ('Running','Failed') and status ne 'Failed' and kind eq 'a'", True),
        ("status eq 'Running' or kind eq 'a'", False),
    ],
)
def test_oldest_first(text: str, is_active: bool) -> None:
    """It is for filters that admit only what is not over."""
    assert parse_filter(text).is_active == is_active
    if is_active:
        assert listing(filter=text, orderby="createdDateTime asc").oldest_first
        return
    with pytest.raises(RequestError) as caught:
        listing(filter=text, orderby="createdDateTime asc")
    assert (caught.value.status, caught.value.code) == (400, "InvalidOrderBy")
    assert parse_filter(caught.value.message.rpartition("filter: ")[2]).is_active


@pytest.mark.parametrize("offset", ["+01:00", " 01:00"])
def test_an_offset_as_it_arrives(offset: str) -> None:
    """A plus that is not escaped in a URL is a space to whoever reads forms: both are the offset."""
    text = f"createdDateTime ge 2026-01-31T12:00:00{offset} and status eq 'Failed'"
    assert parse_filter(text).since == datetime(2026, 1, 31, 11, tzinfo=UTC)


@given(st.text(max_size=60) | st.text("()'= /:,andoreqstukil", max_size=60))
@example("(" * 2000)
@example("(" * 33 + "status eq 'Failed'" + ")" * 33)
@example("'" * 2001)
@example("")
@example("   ")
@example("status eq 'Failed' or")
@example("status eq Failed")
@example("Status eq 'Failed'")
@example("status eq 'failed'")
@example("status eq 'Failed' kind eq 'x'")
def test_garbage_is_400(text: str) -> None:
    """Whatever is sent as a filter is understood or answered with 400 InvalidFilter, never with a crash."""
    refusal: RequestError | None = None
    try:
        parse_filter(text).matches(ROWS[0])
    except RequestError as error:
        refusal = error
    if not any(f" {word} " in text for word in ("eq", "ne", "in", "startswith")) and "startswith" not in text:
        assert refusal is not None
    if refusal is not None:
        assert (refusal.status, refusal.code, refusal.target) == (400, "InvalidFilter", "filter")


def listing(**query: str) -> ListRequest:
    return parse_list(Request(method="GET", url="http://h/status", query=query))


@pytest.mark.parametrize("top", ["0", "-1", "1001", "ten", "", "1.5", "\uff11", "99999999999999999999"])
def test_bad_top(top: str) -> None:
    """top is a whole number from 1 to 1000."""
    with pytest.raises(RequestError) as caught:
        listing(top=top)
    assert (caught.value.status, caught.value.code) == (400, "InvalidTop")


@pytest.mark.parametrize(
    ("query", "code"),
    [({"orderby": "kind"}, "InvalidOrderBy"), ({"orderby": ""}, "InvalidOrderBy"), ({"count": "yes"}, "InvalidCount")],
)
def test_bad_words(query: dict[str, Any], code: str) -> None:
    """An order or a count that cannot be is 400 and says what can."""
    with pytest.raises(RequestError) as caught:
        listing(**query)
    assert (caught.value.status, caught.value.code) == (400, code)


def test_words() -> None:
    """The newest first and no count, where nothing is said."""
    assert (listing().oldest_first, listing().count, listing().selection.is_all) == (False, False, True)
    assert (listing(orderby="createdDateTime desc").oldest_first, listing(count="true").count) == (False, True)


def test_top() -> None:
    """Both ends are fine; 50 by default."""
    assert (listing(top="1").top, listing(top="1000").top, listing().top) == (1, MAX_TOP, 50)


@pytest.mark.parametrize("token", ["", "x", "=", "MDAwMA", "é", "A" * 5000, write_token("1" * 17 + "!a/b")])
def test_bad_token(token: str) -> None:
    """A token that we did not write is 400."""
    with pytest.raises(RequestError) as caught:
        listing(skipToken=token)
    assert (caught.value.status, caught.value.code) == (400, "InvalidSkipToken")


@given(st.from_regex(r"[0-9]{17}!" + ID_PATTERN, fullmatch=True).filter(str.isascii))
def test_tokens(position: str) -> None:
    """What a token was written for is what it reads as."""
    assert listing(skipToken=write_token(position)).position == position


@pytest.mark.parametrize(("query", "known"), [({"order": "x"}, False), ({"FILTER": "kind eq 'x'"}, True)])
def test_parameters(query: dict[str, Any], known: bool) -> None:
    """Names are compared without case; an unknown one is 400, and the host's key parameters are not unknown."""
    listing(code="k", clientId="c", **{"api-version": "2026-01-01"})
    if known:
        assert listing(**query).filter == "kind eq 'x'"
        return
    with pytest.raises(RequestError, match="UnknownQueryParameter"):
        listing(**query)
