"""The `filter` of the list of operations: a small part of OData's expressions, read by recursive descent.

    expression := term ("or" term)*        term := factor ("and" factor)*        factor := "(" expression ")" | one of
    status, kind, errorCode                eq, ne 'value'; in ('value', ...)     id eq 'value'
    createdDateTime, lastActionDateTime    eq, ge, gt, le, lt 2026-01-01T00:00:00Z
    startswith(kind, 'value')              labels/any(l: l eq 'value')

Azure REST API Guidelines, "Collections" (filtering); OData 4.01, "URL Conventions", 5.1.1. Every refusal says where,
and what is possible there.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, NoReturn

from shared.errors import RequestError
from shared.frozen import replace
from shared.model.operation import Status
from shared.operations.list_rows import ListRow
from shared.operations.lists import Selection

MAX_FILTER = 2000
_MAX_DEPTH = 32
_EXAMPLE = "status in ('Running','Failed') and startswith(kind,'greeting:')"

_TOKEN = re.compile(
    r"\s*(?:(?P<punctuation>[()/,:])|(?P<time>\d{4}-[0-9T:.Z+-]*(?:(?<=[0-9]) \d\d:\d\d)?)"
    r"|(?P<word>[A-Za-z][A-Za-z0-9]*)"
    r"|'(?P<text>(?:[^']|'')*)')",
    re.ASCII,
)
_STATUS_WORDS = tuple(status.value for status in Status)

_TEXTS: Mapping[str, Callable[[ListRow], str]] = {
    "status": lambda row: row.status.value,
    "kind": lambda row: row.kind,
    "errorCode": lambda row: row.error_code,
}
_TIMES: Mapping[str, Callable[[ListRow], datetime]] = {
    "createdDateTime": lambda row: row.created,
    "lastActionDateTime": lambda row: row.changed,
}
_ORDERS: Mapping[str, Callable[[datetime, datetime], bool]] = {
    "eq": lambda one, other: one == other,
    "ge": lambda one, other: one >= other,
    "gt": lambda one, other: one > other,
    "le": lambda one, other: one <= other,
    "lt": lambda one, other: one < other,
}
_POSSIBLE = f"{', '.join((*_TEXTS, *_TIMES, 'id'))}, startswith(kind,'...'), labels/any(l:l eq '...') or ("


class _Token(NamedTuple):
    kind: str
    text: str
    position: int
    """Of its first character, 1 for the filter's first."""


def parse_filter(text: str) -> Selection:
    """What the filter selects; raises RequestError 400 InvalidFilter saying what was expected where."""
    if len(text) > MAX_FILTER:
        raise _invalid(f"it has more than {MAX_FILTER} characters")
    tokens: list[_Token] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            # The parser refuses it: it knows what would be possible there.
            rest = text[position:].lstrip()
            tokens.append(_Token("unreadable", rest, len(text) - len(rest) + 1))
            break
        kind = match.lastgroup or ""
        tokens.append(_Token(kind, match[kind], match.start(kind) + (1 if kind != "text" else 0)))
        position = match.end()
    tokens.append(_Token("end", "", end + 1))
    return _Parser(tokens).parse()


class _Parser:
    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    def parse(self) -> Selection:
        selection = self._expression()
        if self._here.kind != "end":
            self._refuse("and, or, or the end was expected")
        return selection

    def _expression(self) -> Selection:
        terms = [self._term()]
        while self._take("word", "or"):
            terms.append(self._term())
        return _any(terms)

    def _term(self) -> Selection:
        factors = [self._factor()]
        while self._take("word", "and"):
            factors.append(self._factor())
        return _all(factors)

    def _factor(self) -> Selection:
        if self._take("punctuation", "("):
            self._depth += 1
            if self._depth > _MAX_DEPTH:
                self._refuse(f"more than {_MAX_DEPTH} parentheses are nested")
            selection = self._expression()
            self._punctuation(")")
            self._depth -= 1
            return selection
        return self._comparison()

    def _comparison(self) -> Selection:
        field = self._here.text if self._here.kind == "word" else ""
        if field in _TEXTS:
            return self._of_text(field)
        if field in _TIMES:
            return self._of_time(field)
        if self._take("word", "id"):
            if not self._take("word", "eq"):
                self._refuse("write eq after id")
            id = self._text()
            return Selection(lambda row: row.id == id, id=id)
        if self._take("word", "startswith"):
            self._punctuation("(")
            if not self._take("word", "kind"):
                self._refuse("startswith takes kind")
            self._punctuation(",")
            prefix = self._text()
            self._punctuation(")")
            return Selection(lambda row: row.kind.startswith(prefix))
        if self._take("word", "labels"):
            return self._of_labels()
        self._refuse(f"write {_POSSIBLE}")

    def _of_text(self, field: str) -> Selection:
        self._next += 1
        value, is_ne = _TEXTS[field], False
        if self._take("word", "in"):
            self._punctuation("(")
            texts = [self._value_of(field)]
            while self._take("punctuation", ","):
                texts.append(self._value_of(field))
            self._punctuation(")")
        elif self._take("word", "eq") or (is_ne := self._take("word", "ne")):
            texts = [self._value_of(field)]
        else:
            self._refuse(f"write eq, ne or in after {field}")
        taken = frozenset(texts)
        statuses = frozenset(Status)
        if field == "status":
            statuses = frozenset(status for status in Status if (status.value in taken) != is_ne)
        return Selection(lambda row: (value(row) in taken) != is_ne, statuses)

    def _value_of(self, field: str) -> str:
        at = self._here
        text = self._text()
        if field == "status" and text not in _STATUS_WORDS:
            raise _invalid(f"status is one of {', '.join(_STATUS_WORDS)}", at.position)
        return text

    def _of_time(self, field: str) -> Selection:
        self._next += 1
        word = self._here.text
        if self._here.kind != "word" or word not in _ORDERS:
            self._refuse(f"write {', '.join(_ORDERS)} after {field}")
        self._next += 1
        at, value, order = self._time(), _TIMES[field], _ORDERS[word]
        selection = Selection(lambda row: order(value(row), at))
        if field == "lastActionDateTime":
            # Nothing changes before it was created.
            return replace(selection, until=at if word in ("eq", "le", "lt") else None)
        since = at if word in ("eq", "ge", "gt") else None
        return replace(selection, since=since, until=at if word in ("eq", "le", "lt") else None)

    def _time(self) -> datetime:
        here = self._here
        if here.kind in ("time", "text"):
            try:
                # A plus that is not written as %2B arrives as a space.
                moment = datetime.fromisoformat(here.text.replace(" ", "+") if "T" in here.text else here.text)
                moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
            except (ValueError, OverflowError):
                moment = None
            if moment is not None and 1970 <= moment.year <= 2200:
                self._next += 1
                return moment
        self._refuse("write a time such as 2026-01-31T12:00:00Z, from the years 1970 to 2200")

    def _of_labels(self) -> Selection:
        """`labels/any(l:l eq 'x')`: whatever name stands for a label."""
        self._punctuation("/")
        if not self._take("word", "any"):
            self._refuse("write any(l:l eq '...')")
        self._punctuation("(")
        name = self._here
        if name.kind != "word":
            self._refuse("write a name for a label, such as l")
        self._next += 1
        self._punctuation(":")
        if not self._take("word", name.text):
            self._refuse(f"write {name.text} eq '...'")
        if not self._take("word", "eq"):
            self._refuse(f"write eq after {name.text}")
        label = self._text()
        self._punctuation(")")
        return Selection(lambda row: label in row.labels)

    @property
    def _here(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, kind: str, text: str) -> bool:
        if (self._here.kind, self._here.text) == (kind, text):
            self._next += 1
            return True
        return False

    def _punctuation(self, sign: str) -> None:
        if not self._take("punctuation", sign):
            self._refuse(f"{sign} was expected")

    def _text(self) -> str:
        if self._here.kind != "text":
            is_open = self._here.kind == "unreadable" and self._here.text.startswith("'")
            self._refuse("close the value with a single quote" if is_open else "write a value in single quotes")
        self._next += 1
        return self._tokens[self._next - 1].text.replace("''", "'")

    def _refuse(self, problem: str) -> NoReturn:
        raise _invalid(problem, self._here.position)


def _all(parts: Sequence[Selection]) -> Selection:
    if len(parts) == 1:
        return parts[0]
    return Selection(
        lambda row: all(part.matches(row) for part in parts),
        frozenset[Status].intersection(*(part.statuses for part in parts)),
        since=max((part.since for part in parts if part.since), default=None),
        until=min((part.until for part in parts if part.until), default=None),
        id=next((part.id for part in parts if part.id is not None), None),
    )


def _any(parts: Sequence[Selection]) -> Selection:
    if len(parts) == 1:
        return parts[0]
    since = [part.since for part in parts]
    until = [part.until for part in parts]
    ids = {part.id for part in parts}
    return Selection(
        lambda row: any(part.matches(row) for part in parts),
        frozenset[Status]().union(*(part.statuses for part in parts)),
        since=None if None in since else min(each for each in since if each),
        until=None if None in until else max(each for each in until if each),
        id=ids.pop() if len(ids) == 1 else None,
    )


def _invalid(problem: str, position: int | None = None) -> RequestError:
    where = "" if position is None else f" at position {position}"
    message = f"The filter does not fit{where}: {problem}. Example: {_EXAMPLE}"
    return RequestError(400, "InvalidFilter", message, target="filter")
