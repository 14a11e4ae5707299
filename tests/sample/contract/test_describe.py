"""`python -m local_host.describe`: what the app says of itself, as a file that a repository keeps and compares."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

from tests.support.host import ROOT, LocalHost

UNDESCRIBED = """
from collections.abc import Callable

import azure.functions as func

from blueprints import description
from shared.actions import ActionContext, Model, action
from shared.actions.registry import Registry
from shared.composition import Application


class Odd(Model):
    work: Callable[[], int] | None = None


@action("odd:start", post="odd")
async def start(context: ActionContext, request: Odd) -> None: ...


app = func.FunctionApp()
application = Application(Registry([start]))
pages = (lambda: application.description, lambda: application.operations_page)
app.register_functions(description.build(*pages, lambda: application.admission))
"""
KEPT = ROOT / "docs" / "openapi.json"


def describe(*arguments: str, cwd: Path = ROOT, **settings: str) -> subprocess.CompletedProcess[str]:
    """The command with no settings but these."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **settings}
    line = [sys.executable, "-m", "local_host.describe", *arguments]
    return subprocess.run(line, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_kept_file_is_what_the_app_says() -> None:
    """docs/openapi.json is up to date."""
    done = describe("--check", "--output", str(KEPT))
    assert done.returncode == 0, f"{done.stderr}run: make openapi"


def test_a_difference_is_found(tmp_path: Path) -> None:
    """A file that lacks an action, or is not there, fails the comparison and is left as it is."""
    document = json.loads(KEPT.read_text(encoding="utf-8"))
    del document["paths"]["/odata/GenerateReport"]
    older = tmp_path / "older.json"
    older.write_text(json.dumps(document))
    for file in (older, tmp_path / "none.json"):
        done = describe("--check", "--output", str(file))
        assert (done.returncode, file.name in done.stderr) == (1, True)
    assert json.loads(older.read_text()) == document
    assert not (tmp_path / "none.json").exists()


def test_what_to_compare_with() -> None:
    """Without a file there is nothing to compare with: that is said, and is no success."""
    done = describe("--check")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--output" in done.stderr


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """A file that cannot be written is named, in one line, and the command ends with 1."""
    done = describe("--output", str(tmp_path / "none" / "openapi.json"))
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr == f"describe: {tmp_path / 'none' / 'openapi.json'} cannot be written: No such file or directory\n"
    )


def test_it_is_written(tmp_path: Path) -> None:
    """Both versions are written, to a file or the standard output, each valid, with address and security."""
    address = {"PUBLIC_BASE_URL": "https://api.example/library", "HTTP_AUTH_LEVEL": "anonymous"}
    assert describe("--app-root", str(ROOT), "--output", "new.json", cwd=tmp_path, **address).returncode == 0
    newest = json.loads((tmp_path / "new.json").read_text(encoding="utf-8"))
    assert (newest["openapi"], newest["servers"]) == ("3.1.1", [{"url": "https://api.example/library"}])
    assert newest["security"] == []
    OpenAPIV31SpecValidator(newest).validate()
    prefix = {"AzureFunctionsJobHost__extensions__http__routePrefix": "v1/api"}
    older = json.loads(describe("--version", "3.0", **prefix).stdout)
    assert (older["openapi"], older["security"]) == ("3.0.3", [{"functionKey": []}])
    assert older["servers"] == [{"url": "http://localhost:7071/v1/api"}]
    OpenAPIV30SpecValidator(older).validate()


def test_an_action_that_cannot_be_described(tmp_path: Path) -> None:
    """The action and its side are named."""
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "function_app.py").write_text(UNDESCRIBED)
    done = describe("--app-root", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "what odd:start takes cannot be described" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_is_what_is_served(tmp_path: Path) -> None:
    """The file and the running app say the same."""
    with LocalHost(tmp_path) as host:
        served = httpx.get(f"{host.url}/openapi.json").json()
    assert served | {"servers": []} == json.loads(KEPT.read_text(encoding="utf-8")) | {"servers": []}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "function_app.py"),
        ("import azure.functions as func\napp = func.FunctionApp()\n", "openapi"),
    ],
)
def test_an_app_that_does_not_describe_itself(tmp_path: Path, content: str | None, reason: str) -> None:
    """Where there is no app, or it has no such function, the command says so and ends with 1."""
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    if content is not None:
        (tmp_path / "function_app.py").write_text(content)
    done = describe("--app-root", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
