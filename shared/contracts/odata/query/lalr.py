"""An LALR(1) parser with a contextual lexer, driven by the tables of `grammar.json`.

The tables are made from `grammar.lark` beforehand, by `python -m tests.support.odata_grammar`: to make them takes
longer than a caller should wait for a first answer. A test holds the two files together.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

END = "$END"
_FILE = Path(__file__).with_name("grammar.json")
_SPACE = re.compile(r"\s*")


class Token(str):
    """Text that one terminal matched."""

    __slots__ = ("start_pos", "type")

    type: str
    start_pos: int


class Unreadable(Exception):
    """No terminal of the grammar matches at `position`."""

    def __init__(self, position: int) -> None:
        self.position = position


class Unexpected(Exception):
    """What was `found` at `position` cannot stand there."""

    def __init__(self, position: int, found: str) -> None:
        self.position = position
        self.found = found


class EndsEarly(Exception):
    """The text may not end here."""


class Parser:
    """Of one set of tables, for all threads."""

    def __init__(self, tables: Mapping[str, Any]) -> None:
        self._starts: Mapping[str, int] = tables["starts"]
        self._ends: Mapping[str, int] = tables["ends"]
        self._states: Sequence[Mapping[str, int]] = tables["states"]
        """By symbol: the next state; or, below 0, the complement of the number of the rule to reduce."""
        self._rules: Sequence[tuple[str, int, Sequence[tuple[int, bool]], str]] = tables["rules"]
        """What one becomes, of how many symbols; which of them are children, each with whether its own children take
        its place; and the builder's method. Without one the result is the sole child, or the list of children."""
        self._terminals: Mapping[str, str] = tables["terminals"]
        """Regular expressions; the first one that matches takes the text."""
        self._keywords: Mapping[str, Mapping[str, str]] = tables["keywords"]
        """By terminal, in lower case: texts that are terminals of their own where these can stand."""
        self._anywhere = self._candidates(self._terminals)
        self._in_state: dict[int, Sequence[_Candidate]] = {}

    def parse(self, start: str, text: str, builder: object) -> object:
        """What the methods of `builder`, named as the grammar's rules are, make of a text. Raises what they raise too.

        Raises Unreadable, Unexpected, EndsEarly.
        """
        states: list[int] = [self._starts[start]]
        values: list[Any] = []
        position = 0
        while True:
            token = self._next_token(states[-1], text, position)
            position = token.start_pos + len(token)
            while (action := self._states[states[-1]].get(token.type)) is not None and action < 0:
                self._reduce(~action, states, values, builder)
            if token.type == END and states[-1] == self._ends[start]:
                return values[-1]
            if action is None:
                raise EndsEarly if token.type == END else Unexpected(token.start_pos, token)
            states.append(action)
            values.append(token)

    def _reduce(self, rule: int, states: list[int], values: list[Any], builder: object) -> None:
        origin, size, kept, method = self._rules[rule]
        first = len(values) - size
        children: list[Any] = []
        for offset, is_inlined in kept:
            found = values[first + offset]
            children += cast(list[Any], found) if is_inlined else [found]
        del states[first + 1 :], values[first:]
        if method:
            values.append(getattr(builder, method)(children))
        else:
            values.append(children if origin.startswith("__") else children[0])
        states.append(self._states[states[-1]][origin])

    def _next_token(self, state: int, text: str, position: int) -> Token:
        position = cast(re.Match[str], _SPACE.match(text, position)).end()
        if position == len(text):
            return _token(END, "", position)
        if state not in self._in_state:
            self._in_state[state] = self._candidates(self._states[state])
        if token := _match(self._in_state[state], text, position):
            return token
        if token := _match(self._anywhere, text, position):
            raise Unexpected(position, token)
        raise Unreadable(position)

    def _candidates(self, expected: Mapping[str, Any]) -> "Sequence[_Candidate]":
        names = [name for name in self._terminals if name in expected]
        words = {
            name: {text: word for text, word in self._keywords.get(name, {}).items() if word in expected}
            for name in names
        }
        also = {word for each in words.values() for word in each.values()}
        return [_Candidate(name, self._terminals[name], words[name]) for name in names if name not in also]


class _Candidate(NamedTuple):
    """A terminal that can stand in a state."""

    name: str
    pattern: str
    words: Mapping[str, str]


@cache
def parser() -> Parser:
    """That of the grammar."""
    return Parser(json.loads(_FILE.read_bytes()))


def _match(candidates: Sequence[_Candidate], text: str, position: int) -> Token | None:
    for name, pattern, words in candidates:
        if found := _compiled(pattern).match(text, position):
            return _token(words.get(found[0].lower(), name), found[0], position)
    return None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compiled when it is first tried: most expressions need few of them."""
    return re.compile(pattern)


def _token(type: str, text: str, position: int) -> Token:
    token = Token(text)
    token.type = type
    token.start_pos = position
    return token
