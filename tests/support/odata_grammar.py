"""`python -m tests.support.odata_grammar`: make the tables of the OData expressions' grammar, by Lark."""

import io
import json
import pickle
import re
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lark import Lark
from lark.lexer import TerminalDef

from shared.contracts.odata.query import lalr, syntax

FOLDER = Path(lalr.__file__).parent
GRAMMAR, TABLES = FOLDER / "grammar.lark", FOLDER / "grammar.json"
STARTS = ["filter", "ordering", "alias"]


def lark(transformer: Any = None) -> Lark:
    """Lark's own parser of the grammar."""
    text = GRAMMAR.read_text(encoding="utf-8")
    return Lark(
        text, parser="lalr", lexer="contextual", start=STARTS, maybe_placeholders=False, transformer=transformer
    )


def tables() -> str:
    """What belongs into `grammar.json`."""
    parser = lark()
    written = io.BytesIO()
    parser.save(written)
    # Of our own making a line above.
    saved = pickle.loads(written.getvalue())
    table, memo = saved["data"]["parser"]["parser"], saved["memo"]
    numbers = _numbered(table)
    rules: list[list[Any]] = []

    def action(kind: int, target: Any) -> int:
        if kind == 0:
            return numbers[target]
        rule = _rule(memo[target["@"]])
        if rule not in rules:
            rules.append(rule)
        return ~rules.index(rule)

    states = [
        {name: action(*table["states"][state][token]) for name, token in _by_name(table, state)} for state in numbers
    ]
    terminals = sorted(parser.terminals, key=_first)
    found = {
        "starts": {name: numbers[state] for name, state in sorted(table["start_states"].items())},
        "ends": {name: numbers[state] for name, state in sorted(table["end_states"].items())},
        "states": states,
        "rules": rules,
        "terminals": {each.name: each.pattern.to_regexp() for each in terminals if not each.name.startswith("__")},
        "keywords": _keywords(terminals),
    }
    return json.dumps(found, separators=(",", ":")) + "\n"


def _numbered(table: Mapping[str, Any]) -> dict[int, int]:
    """States by how they are reached from the starts: Lark's own numbers differ from run to run."""
    waiting = deque(table["start_states"][name] for name in STARTS)
    numbers: dict[int, int] = {}
    while waiting:
        state = waiting.popleft()
        if state not in numbers:
            numbers[state] = len(numbers)
            actions = (table["states"][state][token] for _, token in _by_name(table, state))
            waiting.extend(target for kind, target in actions if kind == 0)
    return numbers


def _by_name(table: Mapping[str, Any], state: int) -> list[tuple[str, int]]:
    return sorted((table["tokens"][token], token) for token in table["states"][state])


def _rule(saved: Mapping[str, Any]) -> list[Any]:
    expansion, origin = saved["expansion"], saved["origin"]["name"]
    kept = [
        (at, each["name"].startswith("__"))
        for at, each in enumerate(expansion)
        if not (each["__type__"] == "Terminal" and each["filter_out"])
    ]
    method = saved["alias"] or ("" if origin.startswith("__") else str(origin))
    if not hasattr(syntax._Builder, method):  # pyright: ignore[reportPrivateUsage]
        assert len(kept) == 1 or origin.startswith("__"), f"{origin} needs a method"
        method = ""
    is_single = saved["options"]["expand1"] and not saved["alias"] and len(kept) == 1 and not kept[0][1]
    return [str(origin), len(expansion), [list(each) for each in kept], "" if is_single else str(method)]


def _first(terminal: TerminalDef) -> tuple[int, int, int, str]:
    """The order in which Lark tries terminals."""
    return -terminal.priority, -terminal.pattern.max_width, -len(terminal.pattern.value), terminal.name


def _keywords(terminals: list[TerminalDef]) -> dict[str, dict[str, str]]:
    """Texts that another terminal would match as a whole, and that may be written in any case."""
    found: dict[str, dict[str, str]] = {}
    for name in (each for each in terminals if each.pattern.type == "re"):
        words = {
            each.pattern.value.lower(): each.name
            for each in terminals
            if each.pattern.type == "str"
            and each.priority == name.priority
            and each.pattern.flags <= name.pattern.flags
            and re.fullmatch(name.pattern.to_regexp(), each.pattern.value)
        }
        if words and not name.name.startswith("__"):
            found[name.name] = words
    return found


if __name__ == "__main__":
    TABLES.write_text(tables(), encoding="utf-8")
