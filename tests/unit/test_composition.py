"""Putting the parts together: lazily, and by what the host is configured to."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from shared import composition
from shared.actions.registry import Registry
from shared.composition import Application, function_timeout
from shared.errors import SettingsError
from tests.unit.parts import settings

HOST_JSON = Path(__file__).parents[2] / "host.json"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00:10:00", timedelta(minutes=10)),
        ("1.00:00:30", timedelta(days=1, seconds=30)),
        ("-1", None),
    ],
)
def test_function_timeout(tmp_path: Path, text: str, expected: timedelta | None) -> None:
    """host.json's functionTimeout, overridden by the app setting; -1 is unbounded, and blank counts as not set."""
    file = tmp_path / "host.json"
    file.write_text(json.dumps({"functionTimeout": text}))
    assert function_timeout(file, {}) == expected
    assert function_timeout(file, {"AzureFunctionsJobHost__functionTimeout": " "}) == expected
    assert function_timeout(HOST_JSON, {"AzureFunctionsJobHost__functionTimeout": text}) == expected


def test_full_collections_leave_out_the_app_itself() -> None:
    """What the app's modules hold is not gone through again and again: it would hold up requests for some 30 ms."""
    code = "import gc, function_app; print(gc.isenabled(), gc.get_freeze_count() > 10 * len(gc.get_objects()))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=HOST_JSON.parent
    )
    assert done.stdout.split() == ["True", "True"]


def test_function_timeout_of_this_app(tmp_path: Path) -> None:
    """Ours is explicit, ten minutes; without one the host's default is five; nonsense names the setting."""
    assert function_timeout(HOST_JSON, {}) == timedelta(minutes=10)
    empty = tmp_path / "host.json"
    empty.write_text("{}")
    assert function_timeout(empty, {}) == timedelta(minutes=5)
    with pytest.raises(SettingsError, match="functionTimeout"):
        function_timeout(empty, {"AzureFunctionsJobHost__functionTimeout": "soon"})


def test_wrong_settings_do_not_hide_the_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app whose settings cannot be read is imported with defaults, and says so when it is used."""
    monkeypatch.setenv("MAX_BODY_BYTES", "big")
    composition.settings.cache_clear()
    application = Application(Registry())
    assert application.settings_at_import.max_body_bytes == 1_048_576
    with pytest.raises(SettingsError):
        _ = application.settings
    composition.settings.cache_clear()


def test_lazy(tmp_path: Path) -> None:
    """An application opens nothing until it is used."""
    application = Application(Registry(), settings=settings(tmp_path / "not-there"))
    assert application.live is application.live
    assert not (tmp_path / "not-there").exists()


def test_parts_are_shared(tmp_path: Path) -> None:
    """Every part is made once: a cancel must find the attempts of the runner."""
    read: Callable[[Application], object] = lambda a: a.live  # noqa: E731
    application = Application(Registry(), settings=settings(tmp_path))
    assert read(application) is read(application)
