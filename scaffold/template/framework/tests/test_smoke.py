"""The whole app, as `make run` starts it: it gets ready, and describes all that `actions/` declares.

A newer version of the framework replaces this file.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

import actions
from shared.actions.registry import discover

ROOT = Path(__file__).parent.parent
READY_WITHIN = 45.0
"""Seconds: a generous time-out, not a measure."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL at which this app's routes begin, run by the local host over a store that is thrown away."""
    folder = tmp_path_factory.mktemp("app")
    ready, log = folder / "ready.json", folder / "log"
    line = [sys.executable, "-m", "local_host", "--port", "0", "--store", "sqlite", "--no-local-settings"]
    line += ["--data-dir", str(folder / "data"), "--ready-file", str(ready)]
    with log.open("wb") as output:
        process = subprocess.Popen(line, cwd=ROOT, env=_environment(), stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + READY_WITHIN
        while not ready.exists():
            assert process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < deadline, log.read_text(errors="replace")
            time.sleep(0.02)
        yield json.loads(ready.read_text())["base"]
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            code = process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert code == 0, log.read_text(errors="replace")


def _environment() -> dict[str, str]:
    """This process's, without what would take the app elsewhere."""
    elsewhere = ("PORT", "STORE", "DATA_DIR", "OPERATIONS_", "AzureWebJobs", "AzureFunctionsJobHost", "PUBLIC_BASE_URL")
    return {name: value for name, value in os.environ.items() if not name.startswith(elsewhere)}


def _get(url: str) -> tuple[int, bytes]:
    with urlopen(url, timeout=30) as answer:
        return answer.status, answer.read()


def test_it_gets_ready(app: str) -> None:
    """The app answers."""
    assert _get(f"{app}/health")[0] == 200


def test_it_describes_every_declaration(app: str) -> None:
    """What the modules under `actions/` declare is served, and stands in openapi.json."""
    status, body = _get(f"{app}/openapi.json")
    assert status == 200
    paths: dict[str, dict[str, Any]] = json.loads(body)["paths"]
    served = {operation["operationId"] for methods in paths.values() for operation in methods.values()}
    assert {endpoint.function_name for endpoint in discover(actions).endpoints()} - served == set()


def test_the_page_is_there(app: str) -> None:
    """The page at /docs comes with its files."""
    status, page = _get(f"{app}/docs")
    assert status == 200
    assert b"<html" in page
    assert _get(f"{app}/docs/swagger-ui.css")[0] == 200


def test_the_page_of_operations_is_there(app: str) -> None:
    """The page at /operations comes with its files."""
    status, page = _get(f"{app}/operations")
    assert status == 200
    assert b"<html" in page
    assert _get(f"{app}/operations/page.js")[0] == 200
