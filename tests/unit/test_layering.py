"""The dependency rule of the design, held over every import."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("shared", "blueprints", "actions", "library", "local_host", "lro_client")
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for part in PARTS
    for path in (ROOT / part).rglob("*.py")
}

LAYERS = [
    ("shared.errors", "shared.settings"),
    ("shared.operations.ids", "shared.operations.model", "shared.operations.lifecycle"),
    ("shared.storage.ports", "shared.storage.write_once", "shared.engine.port"),
    ("shared.operations", "shared.actions", "shared.resources"),
    ("shared.contracts",),
    ("shared.endpoints", "shared.composition"),
    ("actions", "library"),
    ("blueprints",),
]
ADAPTERS = ("tables", "blobs", "sqlite", "files", "connection")
HEAVY = ("azure", "aiohttp", "sqlite3")


def imports(path: Path, *, top_level: bool = False) -> Iterator[str]:
    """Full names of what a module imports; with `top_level` only what runs when it is imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes: list[ast.AST] = list(ast.walk(tree))
    if top_level:
        nodes = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def layer(name: str) -> int | None:
    """The layer of a module, by its most particular entry."""
    found = [(len(package), at) for at, packages in enumerate(LAYERS) for package in packages if within(name, package)]
    return max(found)[1] if found else None


@pytest.mark.parametrize("name", [name for name in MODULES if layer(name) is not None])
def test_layers(name: str) -> None:
    """A module imports from its own layer and those below it, never from one above."""
    for imported in imports(MODULES[name]):
        other = layer(imported)
        assert other is None or other <= (layer(name) or 0), f"{name} imports {imported}"


@pytest.mark.parametrize(
    ("package", "inside"),
    [
        ("actions", ("shared.contracts", "shared.endpoints", "shared.engine")),
        ("library", ("shared.endpoints", "shared.engine")),
    ],
)
def test_what_is_declared_does_not_know_how_it_is_served(package: str, inside: tuple[str, ...]) -> None:
    """Actions, and the sample's domain, are written without HTTP and without the engine."""
    mine = [name for name in MODULES if within(name, package)]
    assert mine
    for name in mine:
        for imported in imports(MODULES[name]):
            assert not any(within(imported, part) for part in inside), f"{name} imports {imported}"


def test_only_blueprints_know_the_functions_sdk() -> None:
    """azure.functions and azure.durable_functions are imported by blueprints and the root alone."""
    for name, path in MODULES.items():
        if not within(name, "blueprints") and not within(name, "local_host"):
            for imported in imports(path):
                assert not within(imported, "azure.functions"), name
                assert not within(imported, "azure.durable_functions"), name


def test_adapters_are_named_in_one_place() -> None:
    """Inside the app, the storage adapters are imported by the factory and by each other only."""
    for name, path in MODULES.items():
        if name == "shared.storage.factory" or within(name, "shared.storage") or within(name, "local_host"):
            continue
        for imported in imports(path):
            assert not any(within(imported, f"shared.storage.{adapter}") for adapter in ADAPTERS), (name, imported)


def test_client_and_app_do_not_know_each_other() -> None:
    """The wire is the contract between lro_client and shared."""
    for name, path in MODULES.items():
        mine, theirs = ("lro_client", "shared") if within(name, "lro_client") else ("shared", "lro_client")
        if within(name, mine):
            assert not any(within(imported, theirs) for imported in imports(path)), name


def test_the_app_does_not_know_the_local_host() -> None:
    """What is deployed never imports local_host or tests."""
    for name, path in MODULES.items():
        if not within(name, "local_host"):
            assert not any(within(i, "local_host") or within(i, "tests") for i in imports(path)), name


def test_sdks_are_imported_late() -> None:
    """Outside the adapters nothing under shared/ imports a heavy SDK when it is imported itself."""
    adapters = tuple(f"shared.storage.{adapter}" for adapter in (*ADAPTERS, "sqlite_rows"))
    for name, path in MODULES.items():
        if within(name, "shared") and name not in adapters:
            for imported in imports(path, top_level=True):
                assert imported.partition(".")[0] not in HEAVY, (name, imported)


def test_only_composition_reads_the_environment() -> None:
    """os.environ is read where the app is composed, and nowhere below."""
    # The command `lro` is composed in its settings, as the app is in its composition.
    allowed = ("shared.composition", "lro_client.command.settings")
    for name, path in MODULES.items():
        if within(name, "local_host") or name in allowed:
            continue
        text = path.read_text(encoding="utf-8")
        assert "os.environ" not in text, name
        assert "getenv" not in text, name


def test_nothing_is_opened_on_import() -> None:
    """No module of the app makes a client, a connection, a thread or a clock value at its top level."""
    calls = {"open_storage", "connect", "from_connection_string", "Thread", "ThreadPoolExecutor", "now", "uuid4"}
    for name, path in MODULES.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for statement in tree.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign | ast.Expr) and statement.value is not None:
                for node in ast.walk(statement.value):
                    if isinstance(node, ast.Call):
                        called = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
                        assert called not in calls, (name, called)
