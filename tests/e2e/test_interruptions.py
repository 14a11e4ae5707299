"""What is interrupted goes on: Ctrl-C, a start that failed, storage that is gone, a cancel from elsewhere."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from socket import socket
from typing import Any

import httpx
import pytest

from local_host import azurite as local_azurite
from tests.e2e.scenarios import Outcomes, Scenario, connected, on
from tests.host import ROOT, TEST_APP, LocalHost, emulator, require_azurite
from tests.lro import begin, ended, listing, monitor, running, until

pytestmark = pytest.mark.timeout(150)


# --- Ctrl-C --------------------------------------------------------------------------------------------------------


def interrupted_while_running(folder: Path, store: str) -> None:
    """Ctrl-C during running operations: exit code 0 within 5 s, no process left, and the operations go on.

    They are given back, not failed and not canceled: the attempt that was interrupted does not count.
    """
    marker = folder / "marker"
    host = LocalHost(folder, store=store, app_root=TEST_APP)
    with host, connected(host) as client:
        survivor = begin(client, "/trial/t1:survive", {"marker": str(marker)})["id"]
        sync = begin(client, "/trial/t2:wait-sync", {"seconds": 200})["id"]
        late = begin(client, "/trial/t3:late")["id"]
        running(client, survivor)
        running(client, sync)
        until(client, late, lambda state: (state["status"], state["attempt"]) == ("NotStarted", 1))
        children = host.children()
        assert bool(children) == (store == "azurite")
        before = time.monotonic()
        assert host.interrupt() == 0
        assert time.monotonic() - before < 5
        assert not [pid for pid in children if _is_alive(pid)]
    with LocalHost(folder, store=store, app_root=TEST_APP) as again, connected(again) as client:
        for each in (survivor, sync, late):
            assert monitor(client, each)["status"] in {"NotStarted", "Running", "Succeeded"}
        state = ended(client, survivor, within=40)
        assert (state["status"], state["attempt"]) == ("Succeeded", 1), state
        assert until(client, sync, lambda state: state["status"] == "Running", within=20)["attempt"] == 1
        client.post(f"/status/{sync}:cancel")
        assert ended(client, sync)["status"] == "Canceled"
        assert monitor(client, late)["status"] == "NotStarted"
        assert client.post(f"/status/{late}:cancel").json()["status"] == "Canceled"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# --- a start that the engine does not take -------------------------------------------------------------------------


def start_that_the_engine_refuses(folder: Path, store: str) -> None:
    """The engine fails once: the caller has his 202, and housekeeping starts the operation again."""
    with LocalHost(folder, store=store, app_root=TEST_APP, environment={"FAIL_STARTS": "1"}) as host:
        with connected(host) as client:
            first = begin(client, "/trial/t1:nothing")["id"]
            second = begin(client, "/trial/t2:nothing")["id"]
            assert ended(client, second)["status"] == "Succeeded"
            assert monitor(client, first)["status"] == "NotStarted"
            state = ended(client, first, within=30)
            assert (state["status"], state["attempt"]) == ("Succeeded", 1)
        assert "The engine did not take a start" in host.log


# --- two instances -------------------------------------------------------------------------------------------------


def canceled_on_another_instance(folder: Path, store: str) -> None:
    """A cancel request that reaches another instance stops the handler within a heartbeat (10 s)."""
    with emulator() as (_, connection):
        environment = {"AzureWebJobsStorage": connection}
        one = LocalHost(folder / "one", store=store, app_root=TEST_APP, environment=environment)
        two = LocalHost(folder / "two", store=store, app_root=TEST_APP, environment=environment)
        with one, two, connected(one) as here, connected(two) as there:
            logs = {action: folder / action for action in ("wait", "wait-sync")}
            ids: dict[str, str] = {}
            for action, log in logs.items():
                ids[action] = begin(here, f"/trial/t1:{action}", {"seconds": 200, "log": str(log)})["id"]
                running(there, ids[action])
            asked = time.time()
            for each in ids.values():
                assert there.post(f"/status/{each}:cancel").json()["status"] == "Canceling"
            for action, log in logs.items():
                assert ended(here, ids[action], within=15)["status"] == "Canceled"
                assert monitor(there, ids[action])["status"] == "Canceled"
                word, _, moment = log.read_text().splitlines()[1].partition(" ")
                assert word == "stopped"
                assert float(moment) - asked < 12


# --- storage that is not there -------------------------------------------------------------------------------------


def storage_that_is_not_there(folder: Path, store: str) -> None:
    """On a closed port every route that needs storage is 503 with Retry-After within 10 s; health is not asked."""
    with socket() as taken:  # bound and not listening: nobody else gets the port
        taken.bind(("127.0.0.1", 0))
        closed = local_azurite.connection_string(local_azurite.Ports(*[taken.getsockname()[1]] * 3))
        _all_unavailable(folder, store, closed)


def _all_unavailable(folder: Path, store: str, connection: str) -> None:
    environment = {"AzureWebJobsStorage": connection}
    host = LocalHost(folder, store=store, app_root=TEST_APP, environment=environment)
    with host, connected(host) as client:
        assert client.get("/health").status_code == 200
        for method, path in _EVERY_STORED:
            _unavailable(client, method, path)
        assert client.get("/health").status_code == 200
        assert client.post("/trial/busy:refused").status_code == 409
        assert client.post("/trial/t1:nothing", json={"x": 1}).status_code == 400


def storage_that_hangs(folder: Path, store: str) -> None:
    """Storage takes the request and does not answer: 503 within 10 s, and when it is back nothing or one that runs.

    A caller with an Operation-Id asks again and knows that it is one.
    """
    with emulator() as (azurite, connection):
        environment = {"AzureWebJobsStorage": connection}
        host = LocalHost(folder, store=store, app_root=TEST_APP, environment=environment)
        with host, connected(host) as client:
            assert ended(client, begin(client, "/trial/t0:nothing")["id"])["status"] == "Succeeded"
            assert azurite.pid is not None
            os.kill(azurite.pid, signal.SIGSTOP)
            try:
                with ThreadPoolExecutor(20) as threads:
                    list(threads.map(lambda each: _unavailable(client, *each), (*_EVERY_STORED, *_STARTS)))
            finally:
                os.kill(azurite.pid, signal.SIGCONT)
            _nothing_or_one_that_runs(client)


def storage_that_hangs_over_a_large_input(folder: Path, store: str) -> None:
    """The same where the start's input is larger than a row holds: still 503 within 10 s."""
    with emulator() as (azurite, connection):
        environment = {"AzureWebJobsStorage": connection}
        host = LocalHost(folder, store=store, app_root=TEST_APP, environment=environment)
        with host, connected(host) as client:
            assert ended(client, begin(client, "/trial/t0:nothing")["id"])["status"] == "Succeeded"
            assert azurite.pid is not None
            os.kill(azurite.pid, signal.SIGSTOP)
            try:
                _unavailable(client, "POST", "/trial/t1:nothing", {"note": "a" * 40_000})
            finally:
                os.kill(azurite.pid, signal.SIGCONT)


def storage_that_goes_and_comes_back(folder: Path, store: str) -> None:
    """Storage stops while the host runs: 503 in the meantime, then everything goes on, without a restart of the host.

    An operation that was running keeps its attempt: a heartbeat that fails is no lost lease.
    """
    require_azurite()
    first = local_azurite.Azurite(ROOT, location=folder / "azurite")
    environment = {"AzureWebJobsStorage": first.start()}
    second: _SamePorts | None = None
    try:
        host = LocalHost(folder, store=store, app_root=TEST_APP, environment=environment)
        with host, connected(host) as client:
            runner = begin(client, "/trial/t0:wait", {"seconds": 12})["id"]
            running(client, runner)
            first.stop()
            for method, path in (*_EVERY_STORED[:2], ("POST", "/trial/t1:nothing")):
                _unavailable(client, method, path)
            second = _SamePorts(ROOT, location=folder / "azurite", connection=environment["AzureWebJobsStorage"])
            assert second.start() == environment["AzureWebJobsStorage"]
            _nothing_or_one_that_runs(client)
            state = ended(client, runner, within=20)
            assert (state["status"], state["attempt"]) == ("Succeeded", 1), state
    finally:
        first.stop()
        if second is not None:
            second.stop()


_EVERY_STORED = (
    ("GET", "/status/t1"),
    ("POST", "/trial/t1:nothing"),
    ("GET", "/status"),
    ("GET", "/status/t1/result"),
    ("POST", "/status/t1:cancel"),
    ("DELETE", "/status/t1"),
    ("GET", "/book/b1"),
    ("GET", "/book"),
)
_STARTS: tuple[tuple[Any, ...], ...] = (
    ("POST", "/trial/t1:wait", {"seconds": 0}),
    ("POST", "/trial/t1:wait", {"seconds": 0}, "chosen"),
)


def _unavailable(client: httpx.Client, method: str, path: str, body: Any = None, operation_id: str = "") -> None:
    before = time.monotonic()
    headers = {"Operation-Id": operation_id} if operation_id else {}
    answer = client.request(method, path, json=body, headers=headers, timeout=12)
    seconds = time.monotonic() - before
    found = (answer.status_code, answer.headers.get("x-ms-error-code"))
    assert found == (503, "StorageUnavailable"), (method, path, answer.text)
    assert int(answer.headers["retry-after"]) >= 1
    assert seconds < 10, f"{method} {path} took {seconds:.1f} s"


def _nothing_or_one_that_runs(client: httpx.Client) -> None:
    """Every start that was answered by 503 either left nothing behind or an operation that ends."""
    answer = client.post("/trial/t1:wait", json={"seconds": 0}, headers={"Operation-Id": "chosen"})
    assert answer.status_code == 202, answer.text
    for item in listing(client):
        assert ended(client, item["id"], within=40)["status"] == "Succeeded"
    kinds = [item["kind"] for item in listing(client)]
    assert [item["id"] for item in listing(client)].count("chosen") == 1
    # The one before, and at most one for each start during the outage.
    assert kinds.count("trial:nothing") <= 3
    assert kinds.count("trial:wait") <= 3


class _SamePorts(local_azurite.Azurite):
    """An emulator on the ports of one that has ended."""

    def __init__(self, root: Path, *, location: Path, connection: str) -> None:
        super().__init__(root, location=location)
        self._wanted = connection

    def start(self) -> str:
        ports = local_azurite.Ports(*(_port(self._wanted, each) for each in ("Blob", "Queue", "Table")))
        kept, local_azurite._free_ports = local_azurite._free_ports, lambda: ports
        try:
            return super().start()
        finally:
            local_azurite._free_ports = kept


def _port(connection: str, service: str) -> int:
    return int(connection.split(f"{service}Endpoint=http://127.0.0.1:")[1].split("/", maxsplit=1)[0])


@pytest.mark.parametrize(
    "scenario",
    [
        *on(interrupted_while_running, "sqlite", "azurite"),
        *on(start_that_the_engine_refuses, "sqlite"),
        *on(canceled_on_another_instance, "azurite"),
        *on(storage_that_is_not_there, "azurite"),
        *on(storage_that_hangs, "azurite"),
        *on(storage_that_goes_and_comes_back, "azurite"),
    ],
)
def test_interruption(outcomes: Outcomes, scenario: Scenario) -> None:
    """What the scenario's own docstring says."""
    outcomes[scenario].result()


@pytest.mark.parametrize("scenario", on(storage_that_hangs_over_a_large_input, "azurite"))
def test_large_input_while_storage_hangs(outcomes: Outcomes, scenario: Scenario) -> None:
    """What the scenario's own docstring says."""
    outcomes[scenario].result()
