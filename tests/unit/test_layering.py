"""The dependency rule of docs/architecture.md, held over every import, without exceptions for single files."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from shared import parts
from tests.support.sources import syntax_tree

ROOT = Path(__file__).parents[2]
PARTS = ("shared", "blueprints", "actions", "library", "local_host", "lro_client")
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for part in PARTS
    for path in (ROOT / part).rglob("*.py")
}

LAYERS = [
    ("shared.frozen", "shared.lazy"),
    ("shared.errors",),
    ("shared.misfits", "shared.settings", "shared.system_clock", "shared.telemetry"),
    ("shared.model",),
    ("shared.storage", "shared.engine"),
    ("shared.actions",),
    ("shared.operations",),
    ("shared.resources",),
    ("shared.contracts",),
    ("shared.endpoints",),
    ("shared.parts",),
    ("shared.composition",),
    ("blueprints", "shared.testing"),
]
"""Lowest first. What stands in one line knows nothing of the other in it."""

PROFILES = ("dataplane", "arm", "odata")
FACADES = ("shared.actions", "shared.storage")
ADAPTERS = ("tables", "blobs", "sqlite", "files", "connection")
HEAVY = ("azure", "aiohttp", "sqlite3", "opentelemetry")


@cache
def parsed(path: Path) -> ast.Module:
    """A module's tree: most rules look at all of them."""
    return syntax_tree(path.read_text(encoding="utf-8"))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """Every node of a module's tree."""
    return tuple(ast.walk(parsed(path)))


@cache
def imports(path: Path, *, top_level: bool = False) -> tuple[str, ...]:
    """Full names of what a module imports; with `top_level` only what runs when it is imported."""
    return tuple(_imports(path, top_level=top_level))


def _imports(path: Path, *, top_level: bool) -> Iterator[str]:
    for node in parsed(path).body if top_level else nodes_of(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def layer(name: str) -> tuple[int, str] | None:
    """Which layer a module is of, and which of those in it."""
    return next(((at, p) for at, packages in enumerate(LAYERS) for p in packages if within(name, p)), None)


def profile(name: str) -> str | None:
    """The profile that a module of `shared` belongs to, by the folder, or in `openapi` the file, it is in."""
    parts = name.split(".")[2:]
    if parts[:1] == ["openapi"]:
        parts = ["".join(parts[1:2]).partition("_")[0]]
    return next((each for each in PROFILES if each in parts), None)


def module_of(imported: str) -> str | None:
    """The module of ours that an imported name is, or is of."""
    while imported and imported not in MODULES:
        imported = imported.rpartition(".")[0]
    return imported or None


def imported_by(*parts: str) -> Iterator[tuple[str, str]]:
    """Each module of these packages beside the name of each thing that it imports."""
    for name, path in MODULES.items():
        if any(within(name, part) for part in parts):
            yield from ((name, imported) for imported in imports(path))


def test_layers() -> None:
    """A module imports from its own layer and those below it, never from one above or beside."""
    packages = [package for packages in LAYERS for package in packages]
    found = list(imported_by(*packages))
    assert len(found) > 1000
    wrong = [
        f"{name} imports {imported}"
        for name, imported in found
        if (own := layer(name)) and (other := layer(imported)) and other[0] >= own[0] and other != own
    ]
    assert wrong == []


def test_no_profile_knows_another() -> None:
    """What is of one profile imports what is of that profile, or of none."""
    wrong = [
        f"{name} imports {imported}"
        for name, imported in imported_by("shared")
        if (own := profile(name)) and (module := module_of(imported)) and profile(module) not in (None, own)
    ]
    assert wrong == []


def test_profiles_are_found() -> None:
    """The rule above looks at every layer's rooms, and at the description's files."""
    for name, expected in {
        "shared.actions.arm.resource": "arm",
        "shared.contracts.odata.query.nodes": "odata",
        "shared.endpoints.dataplane.routes": "dataplane",
        "shared.contracts.openapi.odata_sets": "odata",
        "shared.contracts.openapi.document": None,
    }.items():
        assert name in MODULES
        assert profile(name) == expected, name


def test_what_users_write_imports_facades() -> None:
    """Of `shared`, actions and the sample's domain know the public facades alone."""
    wrong = [
        f"{name} imports {imported}"
        for name, imported in imported_by("actions", "library")
        if within(imported, "shared") and imported.rpartition(".")[0] not in FACADES
    ]
    assert wrong == []


@pytest.mark.parametrize("part", PARTS)
def test_files_do_not_import_each_other(part: str) -> None:
    """The graph of a part's files has no cycle, late imports included; an `__init__` is a door, not a room."""
    rooms = {name: path for name, path in MODULES.items() if within(name, part) and path.stem != "__init__"}
    graph = {
        name: {module for i in imports(path) if (module := module_of(i)) in rooms and module != name}
        for name, path in rooms.items()
    }
    TopologicalSorter(graph).prepare()


def test_packages_do_not_import_each_other() -> None:
    """Neither do the packages of `shared`."""
    graph: dict[str, set[str]] = {}
    for name, path in MODULES.items():
        if within(name, "shared") and name != "shared":
            package = name.split(".")[1]
            others = {i.split(".")[1] for i in imports(path) if i.startswith("shared.")}
            graph.setdefault(package, set()).update(others - {package})
    TopologicalSorter(graph).prepare()


def test_only_blueprints_know_the_functions_sdk() -> None:
    """azure.functions is imported by blueprints and the root alone."""
    for name, path in MODULES.items():
        if not within(name, "blueprints") and not within(name, "local_host"):
            assert not any(within(imported, "azure.functions") for imported in imports(path)), name


def test_one_file_knows_the_durable_sdk() -> None:
    """azure-functions-durable is imported by its adapter alone; the local host is the other side of its protocol."""
    found = {
        name
        for name, path in {"function_app": ROOT / "function_app.py", **MODULES}.items()
        if not within(name, "local_host")
        for imported in imports(path)
        if within(imported, "azure.durable_functions") or within(imported, "durabletask")
    }
    assert found == {"blueprints.durable"}


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
    adapters = tuple(
        f"shared.storage.{adapter}" for adapter in (*ADAPTERS, "sqlite_file", "sqlite_rows", "sqlite_writer")
    )
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


def test_nobody_gets_the_whole_application() -> None:
    """Endpoints and services take what they use. Of the blueprints, the package alone hands it out.

    `shared.testing` is a root of its own: it composes the app that a test has.
    """
    for name, path in MODULES.items():
        if within(name, "shared") and name != "shared.composition" and not within(name, "shared.testing"):
            assert not any(within(i, "shared.composition") for i in imports(path)), name
        if within(name, "blueprints") and name != "blueprints":
            assert not any(i == "shared.composition.Application" for i in imports(path)), name


def test_nothing_is_opened_on_import() -> None:
    """No module of the app makes a client, a connection, a thread or a clock value at its top level."""
    calls = {"open_storage", "connect", "from_connection_string", "Thread", "ThreadPoolExecutor", "now", "uuid4"}
    for name, path in MODULES.items():
        tree = parsed(path)
        for statement in tree.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign | ast.Expr) and statement.value is not None:
                for node in ast.walk(statement.value):
                    if isinstance(node, ast.Call):
                        called = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
                        assert called not in calls, (name, called)


TIMED = ("shared", "blueprints", "actions", "library")
"""The folders in which nobody has a clock of his own."""

CLOCKS = ("shared.system_clock", "blueprints.durable", "shared.storage.azure_calls", "shared.storage.blob_files")
"""What a clock is made of, and the adapters whose calls are bounded in real time."""

TIME = {
    "asyncio": {"sleep", "timeout", "timeout_at", "wait_for"},
    "datetime.datetime": {"now", "today", "utcnow"},
    "datetime.date": {"today"},
    "time": None,
}
"""What may not be used of a module; None is everything."""


def uses_of_time(tree: ast.Module) -> Iterator[str]:
    """What of `TIME` a module uses, whatever names it has imported it under.

    The default of a parameter is no use: it is how a caller's clock gets in.
    """
    names: dict[str, str] = {}
    nodes = list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    if not any(within(name, module.partition(".")[0]) for name in names.values() for module in TIME):
        return
    arguments = [node for node in nodes if isinstance(node, ast.arguments)]
    defaults = {id(default) for each in arguments for default in (*each.defaults, *each.kw_defaults)}
    for node in nodes:
        if isinstance(node, ast.Name | ast.Attribute) and id(node) not in defaults:
            first, dot, rest = ast.unparse(node).partition(".")
            module, _, name = f"{names[first]}{dot}{rest}".rpartition(".") if first in names else ("", "", "")
            if module in TIME and name in (TIME[module] or {name}):
                yield f"{module}.{name}"


@pytest.mark.parametrize(
    ("source", "used"),
    [
        ("import time\ntime.monotonic()", ["time.monotonic"]),
        ("from time import sleep as rest\nrest(1)", ["time.sleep"]),
        ("from datetime import datetime\nf(clock=datetime.now)", ["datetime.datetime.now"]),
        ("import datetime as d\nd.datetime.now(d.UTC)", ["datetime.datetime.now"]),
        ("import asyncio\nasync def f():\n    await asyncio.sleep(0)", ["asyncio.sleep"]),
        ("import asyncio as a\nasync def f(*, sleep=a.sleep):\n    await sleep(0)", []),
        ("import asyncio\nasync def f(clock):\n    await asyncio.wait(set())\n    clock.now()", []),
        ("import datetime\ndatetime.time(5)", []),
    ],
)
def test_uses_of_time_are_found(source: str, used: list[str]) -> None:
    """The rule below sees through aliases and takes nothing else for a clock."""
    assert list(uses_of_time(syntax_tree(source))) == used


def test_one_clock() -> None:
    """The time, and waiting for it, come from the `Clock` that was chosen where the app is composed."""
    mine = [name for name in MODULES if any(within(name, folder) for folder in TIMED) and name not in CLOCKS]
    assert len(mine) > 100
    found = {name: sorted(set(uses_of_time(parsed(MODULES[name])))) for name in mine}
    assert {name: used for name, used in found.items() if used} == {}


def additions_over_a_wait(tree: ast.Module) -> Iterator[int]:
    """Lines that add to what several tasks share: it is read before the wait and written after it."""
    for node in ast.walk(tree):
        is_shared = isinstance(node, ast.AugAssign) and not isinstance(node.target, ast.Name)
        if is_shared and any(isinstance(part, ast.Await) for part in ast.walk(node.value)):
            yield node.lineno


def test_nothing_is_added_up_over_a_wait() -> None:
    """What another task has added meanwhile would be lost."""
    assert list(additions_over_a_wait(syntax_tree("async def f():\n report.n += await g()\n n += await g()"))) == [2]
    found = {name: list(additions_over_a_wait(parsed(path))) for name, path in MODULES.items()}
    assert {name: lines for name, lines in found.items() if lines} == {}


TESTS = ROOT / "tests"
SAMPLE = ("actions", "library", "function_app")
"""What of the repository is the sample: its actions, its domain, and the app of both."""

TESTS_OF_THE_SAMPLE = {
    "tests/sample": "it proves the sample",
    "tests/docs": "the documents show the sample, and their commands run on it",
}
"""Where tests may use the sample, and why.

`make run`, what is deployed, and what the scaffold makes are proven on the repository as a whole, by processes that
start in it or in a copy: such a test needs no import of the sample.
"""


def of_an_app(path: Path, module: str) -> bool:
    """Whether `module` is what an app of the tests' own, which has `path`, calls so."""
    folders = [folder for folder in path.parents if folder.is_relative_to(TESTS)]
    return any((folder / module).is_dir() or (folder / f"{module}.py").exists() for folder in folders)


def uses_of_the_sample(path: Path) -> Iterator[str]:
    """Imports of the sample, paths added to a package's own, and hosts that serve it because no `app_root` is given."""
    for imported in imports(path):
        first = imported.partition(".")[0]
        if first in SAMPLE and not of_an_app(path, first):
            yield imported
    for node in nodes_of(path):
        if isinstance(node, ast.Name) and node.id == "__path__":
            yield "__path__"
        if isinstance(node, ast.Call) and all(keyword.arg not in ("app_root", None) for keyword in node.keywords):
            function = ast.unparse(node.func)
            if function.rpartition(".")[2] in ("LocalHost", "shared"):
                yield function


@pytest.mark.parametrize(
    ("source", "used"),
    [
        ("import actions", ["actions"]),
        ("def test():\n    from library.books import BookStore", ["library.books.BookStore"]),
        ("__path__.append('actions')", ["__path__"]),
        ("with LocalHost(folder, store='sqlite') as host: ...", ["LocalHost"]),
        ("hosts.shared('a')", ["hosts.shared"]),
        ("hosts.shared('a', app_root=APP)\nfrom shared import actions\nimport actionstore", []),
    ],
)
def test_uses_of_the_sample_are_found(source: str, used: list[str], tmp_path: Path) -> None:
    """The rule below sees each way to the sample."""
    path = tmp_path / "test_it.py"
    path.write_text(source)
    assert list(uses_of_the_sample(path)) == used


def test_the_framework_is_tested_without_the_sample() -> None:
    """Tests of the framework declare what they run: a sample that changes, or goes, fails none of them."""
    places = [ROOT / place for place in TESTS_OF_THE_SAMPLE]
    assert all(place.exists() for place in places)
    files = [path for path in TESTS.rglob("*.py") if not any(path.is_relative_to(place) for place in places)]
    assert len(files) > 100
    found = {str(path.relative_to(ROOT)): sorted(set(uses_of_the_sample(path))) for path in files}
    assert {name: used for name, used in found.items() if used} == {}


@pytest.mark.parametrize("app", ["tests/e2e/test_app", "tests/conformance_app"])
def test_apps_of_the_tests_run_without_the_sample(app: str) -> None:
    """What an app of the framework's tests imports, by whatever way, is its own or the framework's."""
    code = "import sys, function_app; print(*(getattr(module, '__file__', None) for module in sys.modules.values()))"
    path = os.pathsep.join(str(folder) for folder in (ROOT / app, ROOT))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(ROOT / app / "actions") in done.stdout
    assert not [file for file in done.stdout.split() for part in SAMPLE if file.startswith(str(ROOT / part))]


def test_importing_an_app_loads_its_declarations_alone() -> None:
    """What serves requests, a store and the description is loaded when it is used, profiles where they are declared."""
    code = "import sys, function_app; print(*sorted(name for name in sys.modules if name.startswith('shared.')))"
    app = ROOT / "tests" / "e2e" / "test_app"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(app), str(ROOT)))}
    for folder in (ROOT, app):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
        )
        loaded = done.stdout.split()
        late = (
            "shared.operations",
            "shared.resources",
            "shared.endpoints",
            "shared.contracts",
            "shared.storage.sqlite",
        )
        names = [name for name in loaded if any(within(name, part) for part in late)]
        assert set(names) <= {"shared.contracts", "shared.contracts.functions"}


def test_the_description_loads_no_reader_of_requests() -> None:
    """It names their limits; the parsers of OData would add half to what its first answer imports."""
    code = "import sys, shared.contracts.openapi.document; print(*(n for n in sys.modules if n.startswith('shared.')))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    read = [name for name in done.stdout.split() if within(name, "shared.contracts.odata")]
    assert sorted(read) == ["shared.contracts.odata", "shared.contracts.odata.limits"]


def test_parts_are_exported_as_they_are_typed() -> None:
    """The names that type checkers read in `shared.parts` are those that it loads."""
    tree = parsed(ROOT / "shared" / "parts.py")
    typed = {
        f"{statement.module}.{alias.name}"
        for block in tree.body if isinstance(block, ast.If)
        for statement in block.body if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }  # fmt: skip
    loaded = {f"{home}.{name}" for home, names in parts._MODULES.items() for name in names.split()}
    assert typed == loaded
    assert all(getattr(parts, name.rpartition(".")[2]) for name in loaded)
