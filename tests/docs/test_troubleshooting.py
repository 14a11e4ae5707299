"""docs/troubleshooting.md explains every error code and every log event of the source, and no others."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.sources import syntax_tree

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"
CODE = re.compile(r"[A-Z][A-Za-z]+")
EVENT = re.compile(r"[a-z][a-z_]+")
ERRORS = ("RequestError", "ActionFailed", "ErrorBody", "ErrorDetail")
PARAMETERS = ("code", "detail_code")
NOT_SHOWN = {"BlockError"}
"""Classes with a `code` of Azure Blob's own protocol, which the local host's uploads speak."""
GIVEN = {"InvalidConfiguration", "NamespaceTaken", "StorageUnavailable", "InternalError"}
"""Codes of `health`, which are in no call."""

Callables = dict[str, list[str]]


def modules(*folders: str) -> Iterator[ast.Module]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield syntax_tree(path.read_text(encoding="utf-8"))


def name_of(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def constants(node: ast.AST, form: re.Pattern[str]) -> set[str]:
    texts = {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}
    return {text for text in texts if form.fullmatch(text)}


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef, *, of_class: bool) -> list[str]:
    names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    return names[1:] if of_class else names


def who_takes_codes(trees: list[ast.Module]) -> Callables:
    """Functions and classes with a parameter of that name: its name, and its parameters in order."""
    found: Callables = {"ErrorBody": ["code", "message", "target"], "ErrorDetail": ["code", "message", "target"]}
    # Dataclasses: of `shared.operations.snapshots`, with the codes of a value that is no JSON and of one too large.
    found["Kind"] = ["name", "code", "code", "advice"]
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                made = [each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
                here = {node.name: parameters(made[0], of_class=True)} if made else {}
            elif isinstance(node, ast.FunctionDef) and node.name != "__init__":
                here = {node.name: parameters(node, of_class=False) + [each.arg for each in node.args.kwonlyargs]}
            else:
                continue
            found |= {name: each for name, each in here.items() if set(PARAMETERS) & set(each)}
    return {name: each for name, each in found.items() if name not in NOT_SHOWN}


def codes(trees: list[ast.Module], takers: Callables) -> set[str]:
    """Codes that are given to one of `takers`, by place or by name, are a default there, or are called so before."""
    found: set[str] = set()
    for tree in trees:
        # A helper of this module is meant, where another module has one of that name.
        own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        known = {name: each for name, each in takers.items() if name not in own} | who_takes_codes([tree])
        for node in ast.walk(tree):
            found |= codes_at(node, known)
    return found


def codes_at(node: ast.AST, takers: Callables) -> set[str]:
    match node:
        case ast.ClassDef() if bases := {name_of(base) for base in node.bases} & {*ERRORS}:
            calls = [each for each in ast.walk(node) if isinstance(each, ast.Call) and name_of(each.func) == "__init__"]
            return set().union(*(given(each, takers[bases.copy().pop()]) for each in calls))
        case ast.Call() if name_of(node.func) in takers:
            return given(node, takers[name_of(node.func)])
        case ast.FunctionDef():
            pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            return set().union(*(constants(value, CODE) for each, value in pairs if value and each.arg in PARAMETERS))
        case ast.Assign() if re.fullmatch(r"code|_\w*CODES", name_of(node.targets[0])):
            return constants(node.value, CODE)
        case _:
            return set()


def given(call: ast.Call, names: list[str]) -> set[str]:
    arguments = [value for name, value in zip(names, call.args, strict=False) if name in PARAMETERS]
    arguments += [each.value for each in call.keywords if each.arg in PARAMETERS]
    return set().union(*(constants(each, CODE) for each in arguments))


def events(trees: list[ast.Module]) -> set[str]:
    """The third argument of `about`, and `event` in what `extra` is."""
    found: set[str] = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and name_of(node.func) == "about":
                assert len(node.args) == 3, ast.unparse(node)
                found |= constants(node.args[2], EVENT)
            elif isinstance(node, ast.keyword) and node.arg == "extra" and isinstance(node.value, ast.Dict):
                for key, value in zip(node.value.keys, node.value.values, strict=True):
                    if key is not None and constants(key, EVENT) == {"event"}:
                        found |= constants(value, EVENT)
    return found


def explained(title: str) -> dict[str, list[str]]:
    """First column of a section's tables, by name: the other columns."""
    (part,) = [
        each for each in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.M) if each.startswith(title)
    ]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("| `")
    ]
    names = [row[0].strip("`") for row in rows]
    assert len(set(names)) == len(names), f"twice in {title}"
    return {name: row[1:] for name, row in zip(names, rows, strict=True)}


@dataclass(frozen=True)
class Source:
    """What is read once, and not where tests are only collected."""

    shared: list[ast.Module]
    sample: list[ast.Module]
    takers: Callables

    def found(self, title: str) -> set[str]:
        """What a section has to explain."""
        match title:
            case "Error codes\n":
                return codes(self.shared, self.takers) | GIVEN
            case "Error codes of the sample\n":
                return codes(self.sample, self.takers) - codes(self.shared, self.takers)
            case "Log events\n":
                return events(self.shared)
            case _:
                return events(self.sample) - events(self.shared)


@pytest.fixture(scope="module")
def source() -> Source:
    shared, sample = list(modules("shared")), list(modules("library", "actions"))
    return Source(shared, sample, who_takes_codes([*shared, *sample]))


@pytest.mark.parametrize(
    "title",
    ["Error codes\n", "Error codes of the sample\n", "Log events\n", "Log events of the sample\n"],
    ids=str.strip,
)
def test_everything_is_explained(source: Source, title: str) -> None:
    """Each has its row with all columns filled; a row whose code or event is gone goes, too."""
    rows, found = explained(title), source.found(title)
    assert found - set(rows) == set(), "explain these"
    assert set(rows) - found == set(), "these are nowhere in the source"
    assert [
        name for name, cells in rows.items() if not all(cells) or len(cells) != len(next(iter(rows.values())))
    ] == []


def test_statuses_are_those_of_the_source(source: Source) -> None:
    """Each status that a code is raised with is in its row: callers tell by it whose fault it is."""
    rows = explained("Error codes\n") | explained("Error codes of the sample\n")
    found: list[str] = []
    for tree in [*source.shared, *source.sample]:
        for node in ast.walk(tree):
            match node:
                case ast.Call(args=[ast.Constant(value=int(status)), ast.Constant(value=str(code)), *_]) if (
                    name_of(node.func) == "RequestError"
                ):
                    found += [code] * (f"request, {status}" not in rows[code][0])
    assert found == []


def test_levels_are_those_of_the_source(source: Source) -> None:
    """A line is as loud as the page says."""
    rows = explained("Log events\n")
    levels = {"info": "info", "warning": "warning", "error": "error", "exception": "error"}
    found: list[str] = []
    for tree in source.shared:
        for node in ast.walk(tree):
            match node:
                case ast.Attribute(value=ast.Call(args=[_, _, ast.Constant(value=str(event))]), attr=level) if (
                    name_of(node.value.func) == "about"
                ):
                    found += [event] * (levels[level] not in rows[event][0])
    assert found == []


def test_the_collector_sees_every_way_to_give_a_code(source: Source) -> None:
    """By place, by name, by a helper, its default, a subclass, a choice, and a table."""
    module = """
class Busy(RequestError):
    def __init__(self, target):
        super().__init__(409, "BySubclass", "text", target=target)

def refuse(message, *, code="ByDefault"):
    return RequestError(400, code, message)

_CODES = {"a": "ByTable"}
code = "ByChoice" if wrong else "ByOther"
refuse("text", code="ByHelper")
RequestError(400, "ByPlace", "Text")
ActionFailed(code="ByName", message="Text")
about(_log, operation, "by_line").info("text")
_log.info("text", extra={"event": "by_extra", "path": "elsewhere"})
"""
    trees = [syntax_tree(module)]
    assert codes(trees, source.takers) == {
        "BySubclass",
        "ByDefault",
        "ByTable",
        "ByChoice",
        "ByOther",
        "ByHelper",
        "ByPlace",
        "ByName",
    }
    assert events(trees) == {"by_line", "by_extra"}
