"""The list's parameters: the filter's grammar against Python's own, garbage, top, tokens."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.contracts.dataplane.listing import ListRequest, parse_filter, parse_list
from shared.contracts.http import Request
from shared.contracts.paging import MAX_TOP, write_token
from shared.errors import RequestError
from shared.model.ids import ID_PATTERN
from shared.model.operation import Status
from shared.operations.rows import ListRow
from tests.support.parts import T0

KINDS = ["book:start", "o'clock", "a b"]
ROWS = [ListRow("x", kind, status, T0, T0, "p") for kind in KINDS for status in Status]
SPACE = st.sampled_from([" ", "  ", "\t"])


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


LEAVES = st.sampled_from(Status).map(lambda s: (f"status eq {quoted(s)}", f"(status == {str(s)!r})")) | st.sampled_from(
    [*KINDS, ""]
).map(lambda k: (f"kind eq {quoted(k)}", f"(kind == {k!r})"))
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


@given(EXPRESSIONS)
def test_filter_means_what_python_means(expression: tuple[str, str]) -> None:
    """`and` binds tighter than `or`, parentheses group, quotes double: as the same expression in Python."""
    text, python = expression
    matches = parse_filter(text)
    for row in ROWS:
        assert matches(row) == eval(python, {"status": str(row.status), "kind": row.kind}), text


@given(st.text(max_size=60) | st.text("()'= andoreqstukil", max_size=60))
@example("(" * 2000)
@example("(" * 33 + "status eq 'Failed'" + ")" * 33)
@example("'" * 2001)
@example("")
@example("   ")
@example("status eq 'Failed' or")
@example("status eq Failed")
@example("status ne 'Failed'")
@example("Status eq 'Failed'")
@example("status eq 'failed'")
@example("status eq 'Failed' kind eq 'x'")
def test_garbage_is_400(text: str) -> None:
    """Whatever is sent as a filter is understood or answered with 400 InvalidFilter, never with a crash."""
    refusal: RequestError | None = None
    try:
        parse_filter(text)(ROWS[0])
    except RequestError as error:
        refusal = error
    if " eq " not in text or text.count("'") < 2:
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


@pytest.mark.parametrize(("query", "known"), [({"orderby": "x"}, False), ({"FILTER": "kind eq 'x'"}, True)])
def test_parameters(query: dict[str, Any], known: bool) -> None:
    """Names are compared without case; an unknown one is 400, and the host's key parameters are not unknown."""
    listing(code="k", clientId="c", **{"api-version": "2026-01-01"})
    if known:
        assert listing(**query).filter == "kind eq 'x'"
        return
    with pytest.raises(RequestError, match="UnknownQueryParameter"):
        listing(**query)
