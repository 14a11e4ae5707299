"""How the package is cut: no module needs itself, and one module alone reads the clock."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.support.host import ROOT
from tests.support.sources import syntax_tree

PACKAGE = ROOT / "lro_client"


def modules() -> dict[str, Path]:
    """The modules of the package by name, `__init__` apart: it leads to all of them."""
    paths = (path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" and "build" not in path.parts)
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in paths}


def imports(path: Path) -> Iterator[str]:
    """What a module imports, at its top, late, or for types alone: `from a import b` gives a and a.b."""
    for node in ast.walk(syntax_tree(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, "relative imports are not used"
            assert node.level == 0, "relative imports are not used"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_module_needs_itself() -> None:
    """The graph of imports has no cycle: `CycleError` names one."""
    known = modules()
    graph = {name: {found for found in imports(path) if found in known} for name, path in known.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(known)
    assert graph["lro_client.client"] >= {"lro_client.sync_sender", "lro_client.clock"}


@pytest.mark.parametrize("name", sorted(modules()))
def test_one_module_reads_the_clock(name: str) -> None:
    """Nothing but `lro_client.clock` sleeps or takes the time from the system; all else is given a clock."""
    path = modules()[name]
    found = {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(syntax_tree(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    ways = {"asyncio.sleep", "datetime.now", "datetime.utcnow", "date.today"}
    used = (ways & found) | ({"time"} & set(imports(path)))
    assert not used or name == "lro_client.clock"
