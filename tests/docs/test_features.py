"""docs/features.md: each row names code that is there, a test that is there, and a URL that the app has."""

import ast
import json
import re
from pathlib import Path

import pytest

from tests.support.sources import syntax_tree

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "features.md"
COLUMNS = 4
GROUP = "subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Contoso.Library"
SHORT = {
    "{shelf}": f"{GROUP}/shelves/{{name}}",
    "{press}": f"{GROUP}/presses/{{name}}",
    "{locations}": "subscriptions/{subscriptionId}/providers/Contoso.Library/locations/{location}",
}
"""As docs/arm.md abbreviates them."""

Row = tuple[str, ...]


def rows() -> list[Row]:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    cells = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    return [row for row in cells if row[0] != "feature" and not set(row[0]) <= {"-"}]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def missing(reference: str) -> str:
    """What is not there of `file` or `file::name`; empty where all is."""
    file, _, name = reference.partition("::")
    if not (ROOT / file).is_file():
        return file
    tree = syntax_tree((ROOT / file).read_text(encoding="utf-8"))
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    names = {node.name for node in ast.walk(tree) if isinstance(node, definitions)}
    return "" if not name or name in names else reference


def offered() -> set[str]:
    paths = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))["paths"]
    return {f"{method.upper()} {path.removeprefix('/')}" for path, methods in paths.items() for method in methods}


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:40])
def test_a_row(row: Row) -> None:
    """Code and test are named and exist, the test is a test, and the app takes the request."""
    assert len(row) == COLUMNS
    _, code, test, url = row
    assert quoted(code)
    assert quoted(test)
    assert [missing(each) for each in quoted(code) + quoted(test) if missing(each)] == []
    assert all(re.fullmatch(r"tests/(\w+/)+test_\w+\.py(::test_\w+)?", each) for each in quoted(test))
    for each in quoted(url):
        request = each
        for short, path in SHORT.items():
            request = request.replace(short, path)
        assert request in offered(), each


def test_every_document_has_its_part() -> None:
    """The five documents are named by their titles; each has a table and says what is different."""
    parts = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert {part.splitlines()[0].strip('"') for part in parts} == {
        "Family of functions used for long-running actions",
        "Azure ARM async operation documentation",
        "Customizing Long-Running Operations",
        "Async Long-Running Operations",
        "System.ClientModel-based client pattern for LROs",
    }
    for part in parts:
        assert "\n| feature |" in part
        assert "\n- " in part


def test_it_can_fail() -> None:
    """A file, a name in one, and a URL that are not there are found."""
    assert missing("shared/nothing.py") == "shared/nothing.py"
    assert missing("shared/errors.py::Nothing") == "shared/errors.py::Nothing"
    assert missing("shared/errors.py::RequestError") == ""
    assert "GET nothing" not in offered()
