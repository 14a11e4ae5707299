"""The app on the released Durable extension: start, poll, result, retries, and the settings that reach it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from local_host.engine.child_settings import engine_environment
from lro_client.clock import Clock
from tests.client.lro_command import lro
from tests.docs.test_backends import PREFIX, TYPES
from tests.docs.test_backends import settings as backend_settings
from tests.engine.support import (
    APP,
    SETTINGS,
    connected,
    host_on,
    hub_instances,
    hub_rows,
    wait_for,
)
from tests.support.host import ROOT, LocalHost, emulator
from tests.support.lro import begin, ended, until
from tests.support.witness import lines_of

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def connection() -> Iterator[str]:
    with emulator() as (_, connection):
        yield connection


@pytest.fixture(scope="module")
def host(program: Path, connection: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHost]:
    with host_on(tmp_path_factory.mktemp("engine"), connection, program) as running:
        yield running


@pytest.fixture
def client(host: LocalHost) -> Iterator[httpx.Client]:
    with connected(host) as client:
        yield client


def test_start_poll_result(client: httpx.Client, tmp_path: Path) -> None:
    """202, then a monitor that ends Succeeded with the result; the handler ran once."""
    log = tmp_path / "log"
    state = run_long(client, "/proof/p1:run", {"log": str(log)})
    assert (state["status"], state["attempt"], state["result"]) == ("Succeeded", 1, {"attempt": 1})
    assert [line.word for line in lines_of(log)] == ["began", "ended"]


def test_side_by_side(client: httpx.Client, tmp_path: Path) -> None:
    """More operations than run at a time: each runs once, and each ends."""
    log = tmp_path / "log"
    ids = [begin(client, f"/proof/p{n}:run", {"log": str(log), "firstSeconds": 0.2})["id"] for n in range(20)]
    assert {ended(client, each, within=60)["status"] for each in ids} == {"Succeeded"}
    assert sorted(line.id for line in lines_of(log) if line.word == "began") == sorted(ids)


def test_lro_check(host: LocalHost, tmp_path: Path) -> None:
    """`lro check` finds nothing wrong, an operation that is canceled while it runs included, and leaves nothing."""
    body = json.dumps({"log": str(tmp_path / "log"), "firstSeconds": 2})
    done = lro("check", host.base, "--action", "proof/check:run", "--input", body, "-o", "json", clock=Clock())
    assert (done.code, done.json["right"]) == (0, True), done.out
    said = {each["check"]: each["message"] for each in done.json["findings"]}
    assert (said["end"], said["cancel"]) == ("Succeeded", "Ended as Canceled")
    assert said["delete"].endswith("2 operations of this check")


def test_retry_by_durable_timer(client: httpx.Client, connection: str, tmp_path: Path) -> None:
    """An attempt that fails is made again by a durable timer, not before its time, and as often as declared.

    Each retry is one round of timer and activity: of a timer that fires too early there would be more.
    """
    log = tmp_path / "log"
    before = hub_instances(connection)
    state = run_long(client, "/proof/p1:retry", {"log": str(log), "goodAttempt": 3})
    assert (state["status"], state["attempt"]) == ("Succeeded", 3)
    lines = lines_of(log)
    assert [line.word for line in lines] == ["began", "failed", "began", "failed", "began", "ended"]
    assert lines[2].at - lines[1].at >= 2  # a delay of 3 s, less what jitter takes
    wait_for(lambda: "ExecutionCompleted" in history_of(connection, before))
    history = history_of(connection, before)
    assert (history.count("TaskScheduled"), history.count("TimerCreated"), len(history)) == (3, 2, 8 * 3), history


def test_hub_keeps_nothing_of_what_is_removed(client: httpx.Client, connection: str, tmp_path: Path) -> None:
    """Operations that are deleted as they end, that expire, whose orchestration sleeps: no row of the hub stays."""
    body: dict[str, object] = {"log": str(tmp_path / "log")}
    before = hub_instances(connection)
    brief = [begin(client, f"/proof/b{n}:brief", body)["id"] for n in range(6)]
    deleted = [begin(client, f"/proof/p{n}:run", body)["id"] for n in range(5)]
    sleeper = begin(client, "/proof/s1:late", {**body, "goodAttempt": 2})["id"]
    wait_for(lambda: len(hub_instances(connection) - before) >= 6)
    until(client, sleeper, lambda state: "lastError" in state, within=60)
    assert client.post(f"/status/{sleeper}:cancel").json()["status"] == "Canceled"
    for each in (*deleted, sleeper):
        ended(client, each, within=60)
        assert client.delete(f"/status/{each}").status_code == 204
    wait_for(lambda: hub_instances(connection) <= before)
    assert {client.get(f"/status/{each}").status_code for each in (*brief, *deleted, sleeper)} == {404}


def test_cancel(client: httpx.Client, tmp_path: Path) -> None:
    """A running handler is told to stop, and the operation ends Canceled."""
    log = tmp_path / "log"
    started = begin(client, "/proof/p1:run", {"log": str(log), "firstSeconds": 100})["id"]
    until_running(client, started)
    client.post(f"/status/{started}:cancel")
    assert ended(client, started, within=40)["status"] == "Canceled"
    assert [line.word for line in lines_of(log)] == ["began", "stopped"]


def options_of(program: Path, settings: Mapping[str, str], host_json: Path) -> dict[str, Any]:
    """What the extension makes of host.json and the settings: `--options` prints it."""
    environment = engine_environment(settings, host_json=str(host_json), url="http://127.0.0.1:1")
    kept = {"PATH": os.environ["PATH"]}
    printed = subprocess.run(
        [program, "--options"], env=kept | environment, capture_output=True, text=True, timeout=60, check=True
    )
    options: dict[str, Any] = json.loads(printed.stdout)
    return {**options, "StorageProvider": {name.lower(): value for name, value in options["StorageProvider"].items()}}


def test_what_a_deployment_sets_reaches_the_extension(program: Path) -> None:
    """host.json with the sample settings: a minute, twice, until what a lost instance had fetched comes back.

    And tracing by W3C's trace context; nothing is set that belongs to one backend but these two.
    """
    settings = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    options = options_of(program, settings, ROOT / "host.json")
    minute = "00:01:00"
    assert options["StorageProvider"] == {
        "controlqueuevisibilitytimeout": minute,
        "workitemqueuevisibilitytimeout": minute,
    }
    tracing = options["Tracing"]
    assert (tracing["DistributedTracingEnabled"], tracing["Version"]) == (True, 2)
    assert (options["MaxConcurrentActivityFunctions"], options["MaxConcurrentOrchestratorFunctions"]) == (28, 8)


def test_app_settings_reach_the_extension(program: Path) -> None:
    """Settings under the platform's name, in any case, are what the extension reads, above host.json.

    So are all that docs/backends.md names for Azure Storage.
    """
    own = {name: value for backend, name, value in backend_settings() if backend == "Azure Storage"}
    settings = {
        **SETTINGS,
        f"{PREFIX}maxConcurrentActivityFunctions": "3",
        f"{PREFIX.upper()}maxConcurrentOrchestratorFunctions": "4",
        **{f"{PREFIX}{name}": value for name, value in own.items()},
    }
    options = options_of(program, settings, ROOT / "host.json")
    assert (options["MaxConcurrentActivityFunctions"], options["MaxConcurrentOrchestratorFunctions"]) == (3, 4)
    for name, value in own.items():
        assert options["StorageProvider"][name.removeprefix("storageProvider__").lower()] == value, name


def test_a_setting_alone_chooses_the_backend(program: Path) -> None:
    """The extension looks for the one that is named; this program has Azure Storage's only, and says so.

    It would say the same of any other name.
    """
    backend = TYPES["MSSQL"]
    settings = SETTINGS | {f"{PREFIX}storageProvider__type": backend}
    environment = engine_environment(settings, host_json=str(ROOT / "host.json"), url="http://127.0.0.1:1")
    kept = {"PATH": os.environ["PATH"], "AzureWebJobsStorage": "UseDevelopmentStorage=true"}
    done = subprocess.run([program], env=kept | environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert f"Storage provider type ({backend}) was not found" in done.stdout + done.stderr


def test_what_is_no_engine_is_one_line(connection: str, tmp_path: Path) -> None:
    """A program that is not the engine, and ends: one line that names it, exit code 1."""
    fake = tmp_path / "durable-host"
    fake.write_text("#!/bin/sh\necho 'this is something else'\n")
    fake.chmod(0o755)
    line = [sys.executable, "-m", "local_host", "--app-root", str(APP), "--port", "0", "--store", "azurite"]
    line += ["--no-local-settings", "--data-dir", str(tmp_path / "data"), "--engine", str(fake)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "AzureWebJobsStorage": connection}
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 1
    assert done.stderr == f"local_host: the engine {fake} did not get ready: this is something else\n"


def run_long(client: httpx.Client, path: str, body: dict[str, object]) -> dict[str, object]:
    """Start an action and wait as long as a busy machine takes."""
    return ended(client, begin(client, path, body)["id"], within=60)


def history_of(connection: str, before: set[object]) -> list[str]:
    """The events of the one instance that has come since."""
    rows = [row for row in hub_rows(connection, "History") if row["PartitionKey"] not in before]
    assert len({row["PartitionKey"] for row in rows}) <= 1
    return [str(row["EventType"]) for row in rows if row["RowKey"] != "sentinel"]


def until_running(client: httpx.Client, operation_id: str) -> None:
    until(client, operation_id, lambda state: state["status"] == "Running", within=40)
