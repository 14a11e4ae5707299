"""Lists: `top`, `skipToken`, and a `filter` on `status` and `kind` with eq, and, or, and parentheses.

Azure REST API Guidelines, "Pattern to List Status Monitors" and "Collections". The grammar is small enough that a
parser of it is shorter than the use of a general one; it is recursive descent over at most 2,000 characters.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from shared.contracts import paging
from shared.contracts.http import Request
from shared.errors import RequestError
from shared.model.operation import Status
from shared.operations.rows import ListRow

DEFAULT_TOP = 50
_MAX_FILTER = 2000
_MAX_DEPTH = 32

Predicate = Callable[[ListRow], bool]

_TOKEN = re.compile(r"\s*(?:(?P<punctuation>[()])|(?P<word>[A-Za-z]+)|'(?P<text>(?:[^']|'')*)')")
_PARAMETERS = frozenset({"api-version", "filter", "top", "skiptoken"})

_STATUS_WORDS = tuple(status.value for status in Status)
_POSITION = re.compile(r"[0-9]{17}![A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class ListRequest:
    """`position` is where the page starts, None for the first."""

    matches: Predicate
    filter: str | None
    top: int
    position: str | None


def parse_list(request: Request) -> ListRequest:
    """Read the list's parameters; raises RequestError 400 for an unknown one or a value that does not fit."""
    query = paging.known_parameters(request, _PARAMETERS)
    text = query.get("filter")
    return ListRequest(
        matches=parse_filter(text) if text is not None else lambda row: True,
        filter=text,
        top=paging.page_size(query.get("top"), name="top", default=DEFAULT_TOP),
        position=paging.read_token(query.get("skiptoken"), _POSITION, name="skipToken"),
    )


def parse_filter(text: str) -> Predicate:
    """A predicate over list rows; raises RequestError 400 InvalidFilter saying what was expected where."""
    if len(text) > _MAX_FILTER:
        raise _invalid(f"it has more than {_MAX_FILTER} characters")
    tokens: list[tuple[str, str]] = []
    position = 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _invalid(f"it cannot be read at position {position + 1}")
        kind = match.lastgroup or ""
        tokens.append((kind, match[kind]))
        position = match.end()
    return _Parser(tokens).parse()


class _Parser:
    """expression := term (or term)*; term := factor (and factor)*; factor := ( expression ) | field eq 'value'."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    def parse(self) -> Predicate:
        predicate = self._expression()
        if self._next < len(self._tokens):
            raise _invalid(f"{self._tokens[self._next][1]!r} was not expected")
        return predicate

    def _expression(self) -> Predicate:
        terms = [self._term()]
        while self._take("word", "or"):
            terms.append(self._term())
        return terms[0] if len(terms) == 1 else lambda row: any(term(row) for term in terms)

    def _term(self) -> Predicate:
        factors = [self._factor()]
        while self._take("word", "and"):
            factors.append(self._factor())
        return factors[0] if len(factors) == 1 else lambda row: all(factor(row) for factor in factors)

    def _factor(self) -> Predicate:
        if self._take("punctuation", "("):
            self._depth += 1
            if self._depth > _MAX_DEPTH:
                raise _invalid(f"it nests more than {_MAX_DEPTH} parentheses")
            predicate = self._expression()
            if not self._take("punctuation", ")"):
                raise _invalid("a closing parenthesis is missing")
            self._depth -= 1
            return predicate
        return self._comparison()

    def _comparison(self) -> Predicate:
        field = self._any("word")
        if field not in ("status", "kind"):
            raise _invalid("write status or kind")
        if not self._take("word", "eq"):
            raise _invalid(f"write eq after {field}")
        value = self._any("text")
        if value is None:
            raise _invalid(f"write a value in single quotes after {field} eq")
        text = value.replace("''", "'")
        if field == "status":
            if text not in _STATUS_WORDS:
                raise _invalid(f"status is one of {', '.join(_STATUS_WORDS)}")
            return lambda row: row.status.value == text
        return lambda row: row.kind == text

    def _take(self, kind: str, text: str) -> bool:
        if self._next < len(self._tokens) and self._tokens[self._next] == (kind, text):
            self._next += 1
            return True
        return False

    def _any(self, kind: str) -> str | None:
        if self._next < len(self._tokens) and self._tokens[self._next][0] == kind:
            self._next += 1
            return self._tokens[self._next - 1][1]
        return None


def _invalid(problem: str) -> RequestError:
    message = f"The filter does not fit: {problem}. Example: status eq 'Running' and kind eq 'greeting:send'"
    return RequestError(400, "InvalidFilter", message, target="filter")
