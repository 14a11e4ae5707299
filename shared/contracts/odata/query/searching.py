"""`$search`: from its text to a tree, and the entities that a search has found.

OData URL Conventions 4.01, section 5.1.8, and the rule `searchExpr` of the ABNF. `NOT` binds tighter than `AND`, that
tighter than `OR`; two expressions side by side are joined by `AND`. The three are operators where expressions stand at
the places of their operands, and words elsewhere.
"""

import asyncio
import re
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, NoReturn

from shared.actions.odata.entities import EntitySource, Stored
from shared.actions.odata.search import SearchAnd, SearchExpression, SearchNot, SearchOr, SearchText
from shared.contracts.odata.limits import MAX_LENGTH
from shared.contracts.odata.query.syntax import MAX_DEPTH, invalid

MAX_TEXTS = 50
"""Words and phrases of one `$search`."""

_AT_ONCE = 25
"""Entities that are read side by side."""

_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<open>\()|(?P<close>\))
    |"(?P<phrase>(?:[^"\\]|\\["\\])+)"
    |(?P<word>[^\s"();'][^\s"();]*)""",
    re.VERBOSE,
)
_ESCAPED = re.compile(r'\\(["\\])')


class _Token(NamedTuple):
    kind: str
    text: str
    position: int
    """Of its first character, from 1 on."""


_END = _Token("end", "", 0)


def parse_search(text: str) -> SearchExpression:
    """The tree of a `$search`. Raises RequestError 400 InvalidExpression that says what does not fit and where."""
    if len(text) > MAX_LENGTH:
        _refuse(f"it has more than {MAX_LENGTH} characters")
    return _Parser(_tokens(text)).expression()


def _tokens(text: str) -> list[_Token]:
    """What the text consists of, without the spaces, which have to be between two expressions."""
    found: list[_Token] = []
    at, is_apart = 0, True
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            _refuse_character(text, at)
        kind = match.lastgroup or ""
        if kind not in ("space", "close"):
            if not is_apart:
                _refuse(f"a space is missing at position {at + 1}, before {text[at : at + 20]!r}")
            found.append(_Token(kind, match[kind], at + 1))
        elif kind == "close":
            found.append(_Token(kind, ")", at + 1))
        is_apart = kind in ("space", "open")
        at = match.end()
    return found


def _refuse_character(text: str, at: int) -> NoReturn:
    where = f"at position {at + 1}"
    if text.startswith('""', at):
        _refuse(f"the phrase {where} is empty")
    if text[at] == '"':
        _refuse(f'the phrase {where} has no end, or a backslash that is neither \\\\ nor \\"')
    _refuse(f"{text[at]!r} {where} is no part of a word; put a phrase into double quotes")


class _Parser:
    """One method for each level of precedence."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = self._texts = 0

    def expression(self) -> SearchExpression:
        """All of it."""
        found = self._any()
        if self._next is not _END:
            _refuse(f"')' at position {self._next.position} closes nothing")
        return found

    def _any(self) -> SearchExpression:
        parts = [self._all()]
        while self._is_operator("OR"):
            self._at += 1
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else SearchOr(tuple(parts))

    def _all(self) -> SearchExpression:
        parts = [self._one()]
        while self._begins(self._next) and not self._is_operator("OR"):
            if self._is_operator("AND"):
                self._at += 1
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else SearchAnd(tuple(parts))

    def _one(self) -> SearchExpression:
        token = self._next
        if not self._begins(token):
            _refuse("it ends too early" if token is _END else f"an expression is missing at position {token.position}")
        is_not = self._is_operator("NOT")
        self._at += 1
        if token.kind != "open" and not is_not:
            return self._text(token)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            _refuse(f"it nests deeper than {MAX_DEPTH} at position {token.position}")
        found = SearchNot(self._one()) if is_not else self._group(token)
        self._depth -= 1
        return found

    def _text(self, token: _Token) -> SearchText:
        self._texts += 1
        if self._texts > MAX_TEXTS:
            _refuse(f"it has more than {MAX_TEXTS} words and phrases")
        return SearchText(_ESCAPED.sub(r"\1", token.text) if token.kind == "phrase" else token.text)

    def _group(self, opening: _Token) -> SearchExpression:
        found = self._any()
        if self._next.kind != "close":
            _refuse(f"'(' at position {opening.position} is not closed")
        self._at += 1
        return found

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else _END

    def _begins(self, token: _Token) -> bool:
        """Whether an expression begins with it."""
        return token.kind in ("word", "phrase", "open")

    def _is_operator(self, name: str) -> bool:
        """Whether the next token is this operator: another expression follows it."""
        following = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else _END
        return self._next.kind == "word" and self._next.text == name and self._begins(following)


def _refuse(problem: str) -> NoReturn:
    invalid("$search", problem)


class FoundEntities:
    """Those entities of a source that a search has found: a source that reads no other ones."""

    def __init__(self, source: EntitySource, keys: Sequence[str]) -> None:
        """`keys` in order."""
        self._source = source
        self._keys = keys

    async def scan(self, *, after: str | None = None) -> AsyncIterator[Sequence[Stored]]:
        first = 0 if after is None else bisect_right(self._keys, after)
        for start in range(first, len(self._keys), _AT_ONCE):
            found = await asyncio.gather(*map(self._source.get, self._keys[start : start + _AT_ONCE]))
            yield [stored for stored in found if stored is not None]

    async def get(self, key: str) -> Stored | None:
        return await self._source.get(key)
