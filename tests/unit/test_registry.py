"""The registry and the application: what does not fit together refuses to start, naming both."""

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from shared.actions import ActionContext, RequestContext, action, read
from shared.actions.declaration import Action, Read
from shared.actions.registry import Registry, discover
from shared.composition import Application
from shared.contracts.functions import BUILT_IN, FALLBACK
from shared.errors import DeclarationError
from tests.support.parts import Input

ROOT = Path(__file__).parents[2]


def declared(name: str = "a", route: str = "a", **more: Any) -> Action:
    async def handler(context: ActionContext, request: Input) -> None: ...

    handler.__qualname__ = f"handler_of_{route}"
    return action(name, post=route, **more)(handler)


def reading(name: str, route: str) -> Read:
    async def reader(context: RequestContext, request: Input) -> Input:
        return request

    reader.__qualname__ = f"reader_of_{route}"
    return read(name, get=route)(reader)


def refused(call: Callable[[], object], *parts: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        call()
    for part in parts:
        assert part in str(caught.value)


def test_duplicate_name() -> None:
    """Two declarations of one name are refused, naming both; also an action and a read."""
    refused(lambda: Registry([declared("a", "x"), declared("a", "y")]), "handler_of_x", "handler_of_y", "'a'")
    refused(lambda: Registry([declared("a", "x")], [reading("a", "y")]), "handler_of_x", "reader_of_y")


def test_same_function_name() -> None:
    """Names that become one function name are refused, naming both."""
    registry = Registry([declared("a:b", "x"), declared("a-b", "y")])
    refused(lambda: Application(registry), "handler_of_x", "handler_of_y", "'a_b'")


@pytest.mark.parametrize("name", ["housekeeping", "longRunningActions", "longrunningactionorchestrator", "status"])
def test_built_in_function_names(name: str) -> None:
    """An action cannot take the name of a function the app has, whatever triggers that."""
    refused(lambda: Application(Registry([declared(name, "x")])), "blueprints.", "handler_of_x")


def test_overlapping_routes() -> None:
    """Routes that can match one URL are refused, with the built-in ones too."""
    refused(
        lambda: Application(Registry([declared("a", "thing/{id}"), declared("b", "thing/{file_name}")])),
        "thing/{id}", "thing/{file_name}",
    )  # fmt: skip
    refused(lambda: Application(Registry([declared("a", "status/{id}:cancel")])), "blueprints.status", "handler_of_")
    refused(lambda: Application(Registry([], [reading("a", "health")])), "blueprints.discovery", "reader_of_health")


def test_after_the_fallback() -> None:
    """A function name that sorts after the fallback is refused."""
    refused(lambda: Application(Registry([declared("zzz", "x")])), "handler_of_x", FALLBACK)
    assert all(endpoint.function_name < FALLBACK for endpoint in BUILT_IN)


def test_timeout_below_the_hosts() -> None:
    """A timeout above functionTimeout minus 60 s is refused, naming the setting; exactly that much is fine."""
    registry = Registry([declared("a", "x", timeout="9m")])
    Application(registry, function_timeout=timedelta(minutes=10))
    Application(registry, function_timeout=None)
    shorter = timedelta(minutes=10, seconds=-1)
    refused(lambda: Application(registry, function_timeout=shorter), "functionTimeout", "handler_of_x", "9m", "8m59s")
    page, section = "docs/configuration.md", "Time limits of the plans"
    refused(lambda: Application(registry, function_timeout=shorter), f"({page}, '{section}')")
    assert f"\n## {section}\n" in (ROOT / page).read_text(encoding="utf-8")


def test_timeout_below_the_total() -> None:
    """A timeout above what the whole operation may take is refused, with and without a limit of the host."""
    registry = Registry([declared("a", "x", timeout="25h")])
    for host in (None, timedelta(days=3)):
        refused(lambda host=host: Application(registry, function_timeout=host), "handler_of_x", "1d1h", "at most 1d")
    Application(Registry([declared("a", "x", timeout="24h")]), function_timeout=None)
    refused(lambda: registry.check_timeouts(None, total_deadline=timedelta(hours=1)), "at most 1h")


def test_read_only() -> None:
    """What was collected has the routes that were declared, and takes nothing more."""
    registry = Registry([declared("a", "thing/{id}:a")], [reading("b", "thing/{id}")])
    assert {(e.methods, e.route) for e in registry.endpoints()} >= {
        (("POST",), "thing/{id}:a"),
        (("GET", "HEAD"), "thing/{id}"),
    }
    with pytest.raises(TypeError):
        registry.actions["x"] = declared()  # type: ignore[index]


def test_built_in_routes() -> None:
    """The monitors' routes and methods are those of the specification."""
    assert {(e.methods[0], e.route) for e in BUILT_IN} == {
        ("GET", "health"),
        ("GET", "openapi.json"),
        ("GET", "docs"),
        ("GET", "docs/{file}"),
        ("GET", "status"),
        ("GET", "status/{operation_id}"),
        ("GET", "status/{operation_id}/result"),
        ("POST", "status/{operation_id}:cancel"),
        ("POST", "status/{operation_id}:update"),
        ("POST", "status/{operation_id}:retry"),
        ("DELETE", "status/{operation_id}"),
        ("GET", "operations"),
        ("GET", "operations/{file}"),
        ("GET", "pauses"),
        ("POST", "pauses:pause"),
        ("POST", "pauses:resume"),
    }


def test_discover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every module but those with `_` is imported; what one imports from another counts once."""
    package = tmp_path / "declared_here"
    package.mkdir()
    (package / "__init__.py").write_text("")
    source = "from tests.unit.test_registry import declared\none = declared('one', 'one')\n"
    (package / "a.py").write_text(source)
    (package / "b.py").write_text("from declared_here.a import one\nother = one\n")
    (package / "_c.py").write_text("raise RuntimeError\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = ModuleType("declared_here")
    module.__path__ = [str(package)]
    try:
        assert list(discover(module).actions) == ["one"]
    finally:
        for name in [name for name in sys.modules if name.startswith("declared_here")]:
            del sys.modules[name]
