"""What the engine's tests share: the program and its hosts."""

import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from azure.data.tables import TableServiceClient

from local_host.engine.child_settings import engine_environment
from local_host.engine.program import NAME, EngineProgram, find_program
from local_host.errors import EngineError
from tests.support.host import ENGINE_SETTINGS, ROOT, LocalHost, timed
from tests.support.lro import PATIENCE, begin, caller, ended, monitor
from tests.support.witness import lines_of

APP = Path(__file__).with_name("app")
HUB = "EngineTests"

TIMING = {"lease": 10, "heartbeat": 2, "housekeeping_patience": 2, "removal_patience": 2}
"""Another instance may go on with an operation after 10 s instead of 30 s; what sleeps on is ended after 2 s."""

SHORT_LIVED = {
    "DOTNET_TieredPGO": "0",
    "DOTNET_TC_CallCountThreshold": "1000",
    "DOTNET_ThreadPool_UnfairSemaphoreSpinLimit": "0",
    "DOTNET_gcServer": "0",
    "DOTNET_gcConcurrent": "0",
}
"""For the program's .NET runtime. It lives for a minute or two here: to compile its code again for speed, and to spin
while it waits, costs it twice as much as all of its work."""

SETTINGS = {**ENGINE_SETTINGS, **SHORT_LIVED, "TASK_HUB_NAME": HUB, **timed(**TIMING)}


def engine_program() -> Path:
    """The program, or the test is skipped; with DURABLE_HOST_REQUIRED=1 its absence is a failure."""
    try:
        return find_program(NAME, ROOT, os.environ, said=NAME)
    except EngineError as error:
        if os.environ.get("DURABLE_HOST_REQUIRED") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))


def host_on(
    folder: Path, connection: str, engine: Path | str, *, processes: int = 1, port: int = 0, **timing: Any
) -> LocalHost:
    """A host of the tests' app on this storage account and the tests' hub; `timing` are fields of `Timing`."""
    environment = {**SETTINGS, "AzureWebJobsStorage": connection, **timed(**{**TIMING, **timing})}
    return LocalHost(
        folder,
        store="azurite",
        app_root=APP,
        environment=environment,
        engine=str(engine),
        processes=processes,
        port=port,
    )


def started_engine(program: Path, connection: str, port: int) -> tuple[EngineProgram, str]:
    """The program without a host of its own, calling the port; and the URL that it printed."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    settings = {**kept, **SETTINGS, "AzureWebJobsStorage": connection}
    engine = EngineProgram(program)
    engine.start(engine_environment(settings, host_json=str(APP / "host.json"), url=f"http://127.0.0.1:{port}"))
    return engine, engine.rpc_base_url()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Patient(httpx.HTTPTransport):
    """Sends again what may be sent twice while the emulator is too busy to answer, as every client of the app does."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        may_repeat = (
            request.method == "GET" or "operation-id" in request.headers or request.url.path.endswith(":cancel")
        )
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = super().handle_request(request)
            if answer.status_code != 503 or not may_repeat or time.monotonic() > deadline:
                return answer
            answer.close()
            time.sleep(1)


def connected(host: LocalHost) -> httpx.Client:
    return caller(host.url, "anybody", transport=Patient())


def started(client: httpx.Client, path: str, body: Mapping[str, object]) -> str:
    """The id of an operation that is started once, however often that has to be sent."""
    return str(begin(client, path, body, **{"Operation-Id": str(uuid4())})["id"])


def start_work(client: httpx.Client, log: Path, count: int, first_seconds: float) -> list[str]:
    """Start operations that leave their lines in `log`; a first attempt takes that long, a later one ends at once."""
    body = {"log": str(log), "firstSeconds": first_seconds}
    return [started(client, f"/proof/p{number}:run", body) for number in range(count)]


def until_begun(log: Path, count: int, *, within: float = 60) -> None:
    """Wait until that many operations are under way."""
    deadline = time.monotonic() + within
    while sum(line.word == "began" for line in lines_of(log)) < count:
        assert time.monotonic() < deadline, f"fewer than {count} have begun"
        time.sleep(0.05)


def all_succeed(client: httpx.Client, ids: Iterable[str], *, within: float = 120) -> list[dict[str, object]]:
    """Wait for every end, together at most `within` seconds; each must be Succeeded."""
    deadline = time.monotonic() + within
    states = [ended(client, each, within=max(1, deadline - time.monotonic())) for each in ids]
    assert {state["status"] for state in states} == {"Succeeded"}, states
    assert all(monitor(client, str(state["id"])) == state for state in states)
    return states


def hub_rows(connection: str, table: str) -> list[Mapping[str, object]]:
    """The rows of the tests' hub in `Instances` or `History`; a row's PartitionKey is its instance's id."""
    with TableServiceClient.from_connection_string(connection) as service:
        return list(service.get_table_client(f"{HUB}{table}").list_entities())


def hub_instances(connection: str) -> set[object]:
    """All instances of which the hub has anything."""
    return {row["PartitionKey"] for table in ("Instances", "History") for row in hub_rows(connection, table)}


def wait_for(condition: Callable[[], object], *, within: float = 60) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "never came true"
        time.sleep(0.05)
