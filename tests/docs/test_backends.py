"""docs/backends.md: its settings are the platform's, and choose a backend without a change of host.json or of code."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8")
TYPES = {"Durable Task Scheduler": "azureManaged", "MSSQL": "mssql", "Netherite": "Netherite"}
PREFIX = "AzureFunctionsJobHost__extensions__durableTask__"


def settings() -> list[tuple[str, str, str]]:
    """Rows of the table: backend, the setting below the platform's prefix, value."""
    return re.findall(r"^\| ([\w ]+) \| `([^`]+)` \| `([^`]+)` \|", PAGE, re.MULTILINE)


def test_every_backend_has_its_settings() -> None:
    """Each but the default one is chosen by its type, once; names and values are such as the platform takes."""
    assert f"All names begin with `{PREFIX}`" in PAGE
    assert {backend for backend, *_ in settings()} == {"Azure Storage", *TYPES}
    assert {backend: value for backend, name, value in settings() if name == "storageProvider__type"} == TYPES
    for backend, name, value in settings():
        assert re.fullmatch(r"storageProvider__[A-Za-z]+", name), (backend, name)
        if name.endswith(("Timeout", "Interval")):
            assert re.fullmatch(r"\d\d:\d\d:\d\d", value), (backend, name)


def test_nothing_else_names_a_backend() -> None:
    """host.json has no backend and the hub's name from a setting; the code says nothing of either."""
    hub = json.loads((ROOT / "host.json").read_text())["extensions"]["durableTask"]
    assert "type" not in hub.get("storageProvider", {})
    assert hub["hubName"] == "%TASK_HUB_NAME%"
    deployed = [path for part in ("shared", "blueprints", "actions") for path in (ROOT / part).rglob("*.py")]
    assert [path for path in deployed if re.search(r"azureManaged|mssql|netherite", path.read_text())] == []
