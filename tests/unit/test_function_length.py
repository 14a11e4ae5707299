"""Functions are short enough to be read at once."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sources import syntax_tree

ROOT = Path(__file__).parents[2]
PARTS = (
    "shared",
    "blueprints",
    "actions",
    "library",
    "local_host",
    "lro_client",
    "bench",
    "scaffold",
    "function_app.py",
)
LIMIT = 50
"""Lines, with decorators and docstring."""


def modules(part: Path) -> list[Path]:
    found = [part] if part.is_file() else sorted(part.rglob("*.py"))
    return [path for path in found if not any(name.startswith(".") for name in path.relative_to(ROOT).parts)]


def long_functions(source: str) -> Iterator[tuple[str, int]]:
    """Name and number of lines of each function above the limit, nested ones and methods as well."""
    for node in ast.walk(syntax_tree(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            lines = (node.end_lineno or node.lineno) - first + 1
            if lines > LIMIT:
                yield node.name, lines


@pytest.mark.parametrize("part", PARTS)
def test_functions_are_short(part: str) -> None:
    """No function of the product has more than 50 lines."""
    paths = modules(ROOT / part)
    assert paths, f"{part} has no modules"
    found = [
        f"{path.relative_to(ROOT)}: {name} has {lines} lines"
        for path in paths
        for name, lines in long_functions(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_long_functions_are_found() -> None:
    """Decorators, nesting and `async` hide nothing; a function of exactly the limit is short."""
    body = "\n".join(["        pass"] * (LIMIT - 1))
    short = f"class C:\n    async def short(self):\n{body}\n"
    assert list(long_functions(short)) == []
    assert list(long_functions(short.replace("    async", "    @cached\n    async"))) == [("short", LIMIT + 1)]
