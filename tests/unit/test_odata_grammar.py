"""The tables of the expressions' grammar are those that Lark makes, and are read as Lark reads them."""

from collections.abc import Callable
from functools import cache
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from shared.contracts.odata.query import lalr, syntax
from tests.support import odata_grammar

_WORDS = """
( ) , / : - @a $it 1 -1.5e3 1.0.0 INF -INF NaN nan null nullx not notx any all anything has in eq ne gt ge lt le and or
AND Or add sub mul div divby mod asc desc true truex $count contains title a.b.c order x 'it''s' 'x duration'PT1S'
2024-02-30 2024-02-03T04:05:06Z 12:30 12:30:01.5 01234567-89ab-cdef-0123-456789abcdef é ; ~ 1x
"""
PIECES = [*_WORDS.split(), "tags/any(t:t eq 'a')", "id in ('a','b')", "contains(title,'x')", " ", "  \n"]


class Tree:
    """Builds what it is given, by the rule's name."""

    def __getattr__(self, name: str) -> Callable[[list[Any]], object]:
        if name.startswith("_") or not hasattr(syntax._Builder, name):  # pyright: ignore[reportPrivateUsage]
            raise AttributeError(name)
        return lambda children: (name, [_shown(each) for each in children])


def _shown(value: Any) -> object:
    if isinstance(value, str):
        token = cast(lalr.Token, value)
        return token.type, str(token), token.start_pos
    return [_shown(each) for each in cast(list[Any], value)] if isinstance(value, list) else value


@cache
def _lark() -> Any:
    return odata_grammar.lark(Tree())


def _by_lark(start: str, text: str) -> object:
    try:
        return _shown(_lark().parse(text, start=start))
    except UnexpectedCharacters as error:
        return "unreadable", error.pos_in_stream
    except UnexpectedToken as error:
        if error.token.type == "$END":
            return "ends early"
        return "unexpected", error.token.start_pos, str(error.token)


def _by_tables(start: str, text: str) -> object:
    try:
        return _shown(lalr.parser().parse(start, text, Tree()))
    except lalr.Unreadable as error:
        return "unreadable", error.position
    except lalr.Unexpected as error:
        return "unexpected", error.position, str(error.found)
    except lalr.EndsEarly:
        return "ends early"


def test_the_file_has_the_tables_of_the_grammar() -> None:
    """After a change of grammar.lark: `python -m tests.support.odata_grammar`."""
    assert odata_grammar.TABLES.read_text(encoding="utf-8") == odata_grammar.tables()


@given(st.sampled_from(odata_grammar.STARTS), st.lists(st.sampled_from(PIECES), max_size=9), st.booleans())
@settings(max_examples=400, deadline=None)
def test_any_text_is_read_as_by_lark(start: str, pieces: list[str], is_spaced: bool) -> None:
    """The same tree, or the same problem at the same place."""
    text = (" " if is_spaced else "").join(pieces)
    assert _by_tables(start, text) == _by_lark(start, text)


@pytest.mark.parametrize(
    "text",
    [
        "a eq 1 and not (b add 2 mul 3 gt -c) or contains(tolower(d),'e')",
        "tags/any(t:t eq 'x' and t ne null) and names/$count gt 2 and all/all() and x in (1,2,3) and y in z/w",
        "any eq 1 or orders eq and1 or notes eq 'n' and $it/id eq @p",
    ],
)
def test_long_texts_are_read_as_by_lark(text: str) -> None:
    assert _by_tables("filter", text) == _by_lark("filter", text)
    assert "unexpected" not in str(_by_tables("filter", text))
