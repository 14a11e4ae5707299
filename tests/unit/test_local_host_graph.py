"""How `local_host` is cut: files without cycles, one place of time, short functions."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.support.sources import syntax_tree

ROOT = Path(__file__).parents[2]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): syntax_tree(path.read_text(encoding="utf-8"))
    for path in (ROOT / "local_host").rglob("*.py")
    if path.name != "__init__.py"
}
CLOCKS = {"time", "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "asyncio.sleep"}


def imported(tree: ast.Module) -> set[str]:
    """Modules of this package that a file imports, inside of functions too."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names & MODULES.keys()


def test_files_import_each_other_without_cycles() -> None:
    """A file can be read after those that it imports; CycleError names those that cannot."""
    TopologicalSorter({name: imported(tree) for name, tree in MODULES.items()}).prepare()


@pytest.mark.parametrize("name", sorted(MODULES.keys() - {"local_host.clock"}))
def test_time_is_an_argument(name: str) -> None:
    """Only clock.py names a clock of the system; everything else is given a Clock."""
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Import | ast.ImportFrom):
            used = {alias.name for alias in node.names} | {str(getattr(node, "module", ""))}
        elif isinstance(node, ast.Attribute):
            used = {ast.unparse(node)}
        else:
            continue
        assert not used & CLOCKS, f"{name}, line {node.lineno}: take a Clock"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_functions_are_short(name: str) -> None:
    """No function above 50 lines."""
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 50, f"{name}.{node.name}"
