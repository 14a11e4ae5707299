"""What is interrupted goes on: Ctrl-C, a start that failed, storage that is gone, a cancel from elsewhere."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from socket import socket
from typing import Any
from uuid import uuid4

import httpx
import pytest

from local_host import azurite as local_azurite
from shared.storage.azure_calls import CALL_TIMES
from tests.support.host import ROOT, TEST_APP, LocalHost, emulator, on_the_same_ports, require_azurite, timed
from tests.support.lro import begin, ended, listing, monitor, running, until
from tests.support.scenarios import SHORT_LEASES, Outcomes, Scenario, connected, on

pytestmark = pytest.mark.timeout(300)


# --- Ctrl-C --------------------------------------------------------------------------------------------------------


def interrupted_while_running(folder: Path, store: str) -> None:
    """Ctrl-C during running operations: exit code 0, no process left, and the operations go on.

    They are given back, not failed and not canceled: the attempt that was interrupted does not count.
    """
    marker = folder / "marker"
    host = LocalHost(folder, store=store, app_root=TEST_APP, environment=SHORT_LEASES, stop="drain")
    with host, connected(host) as client:
        survivor = begin(client, "/trial/t1:survive", {"marker": str(marker)})["id"]
        sync = begin(client, "/trial/t2:wait-sync", {"seconds": 200})["id"]
        late = begin(client, "/trial/t3:late")["id"]
        running(client, survivor)
        running(client, sync)
        waiting = until(client, late, lambda state: "lastError" in state)
        assert (waiting["status"], waiting["attempt"], waiting["lastError"]["code"]) == ("Running", 1, "ActionError")
        assert "error" not in waiting
        children = host.children()
        assert bool(children) == (store == "azurite")
        assert host.interrupt() == 0
        assert not [pid for pid in children if _is_alive(pid)]
    with (
        LocalHost(folder, store=store, app_root=TEST_APP, environment=SHORT_LEASES) as again,
        connected(again) as client,
    ):
        for each in (survivor, sync, late):
            assert monitor(client, each)["status"] in {"NotStarted", "Running", "Succeeded"}
        # On the Durable extension a message that was fetched comes back after a minute.
        state = ended(client, survivor, within=120)
        assert (state["status"], state["attempt"]) == ("Succeeded", 1), state
        assert until(client, sync, lambda state: state["status"] == "Running", within=120)["attempt"] == 1
        client.post(f"/status/{sync}:cancel")
        assert ended(client, sync)["status"] == "Canceled"
        assert monitor(client, late)["status"] == "Running"
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
    with LocalHost(folder, store=store, app_root=TEST_APP, environment={**SHORT_LEASES, "FAIL_STARTS": "1"}) as host:
        with connected(host) as client:
            first = begin(client, "/trial/t1:nothing")["id"]
            second = begin(client, "/trial/t2:nothing")["id"]
            assert ended(client, second)["status"] == "Succeeded"
            assert monitor(client, first)["status"] == "NotStarted"
            state = ended(client, first)
            assert (state["status"], state["attempt"]) == ("Succeeded", 1)
        assert "The engine did not take a start" in host.log


def polls_start_what_the_engine_refused(folder: Path, store: str) -> None:
    """Housekeeping comes once a year: whoever watches an operation, in whatever profile, has it started again.

    So has who repeats a start. Nobody is watching the last one, so it stays where it is.
    """
    environment = {**SHORT_LEASES, "FAIL_STARTS": "9", "HOUSEKEEPING_SCHEDULE": "0 0 0 1 1 *"}
    with LocalHost(folder, store=store, app_root=TEST_APP, environment=environment) as host, connected(host) as client:
        urls = _refused_starts(client)
        repeated = begin(client, "/trial/t9:nothing", **{"Operation-Id": "repeated"})["id"]
        unwatched = begin(client, "/trial/t0:nothing")["id"]
        deadline = time.monotonic() + 90
        while urls:
            assert time.monotonic() < deadline, urls
            time.sleep(0.1)
            urls = [url for url in urls if not _shows_the_end(client.get(url))]
        while host.log.count("Restarted an operation") < 8:
            assert time.monotonic() < deadline
            begin(client, "/trial/t9:nothing", **{"Operation-Id": "repeated"})
            time.sleep(0.1)
        assert ended(client, repeated)["status"] == "Succeeded"
        states = {item["id"]: item["status"] for item in listing(client)}
        assert states[unwatched] == "NotStarted"


def _refused_starts(client: httpx.Client) -> list[str]:
    """The URLs by which the operations of seven starts are watched, one of each kind."""
    ids = [begin(client, f"/trial/t{n}:nothing")["id"] for n in range(2)]
    assert client.put("/trial-jobs/j1", json={}).status_code == 201
    put = client.put("/trial/t2", json={"note": "a"})
    things = f"/subscriptions/{uuid4()}/resourceGroups/rg/providers/Contoso.Things"
    version, body = {"api-version": "2026-01-01"}, {"location": "westeurope", "properties": {}}
    by_status = client.put(f"{things}/asyncThings/a", params=version, json=body)
    by_result = client.put(f"{things}/locationThings/a", params=version, json=body)
    odata = client.post("/odata/TrialNothing", json={}, headers={"Prefer": "respond-async"})
    return [
        f"/status/{ids[0]}",
        f"/status/{ids[1]}/result",
        "/trial-jobs/j1",
        f"/trial/t2/operations/{put.headers['operation-id']}",
        by_status.headers["azure-asyncoperation"],
        by_result.headers["location"],
        odata.headers["location"],
    ]


def _shows_the_end(answer: httpx.Response) -> bool:
    """Whether the monitor, or the result, says that it has succeeded."""
    if answer.status_code in (202, 409):
        return False
    assert answer.is_success, answer.text
    return not answer.content or answer.json().get("status", "Succeeded") == "Succeeded"


# --- two instances -------------------------------------------------------------------------------------------------


def canceled_on_another_instance(folder: Path, store: str) -> None:
    """A cancel request that reaches another instance stops the handler by its next heartbeat."""
    with emulator() as (_, connection):
        environment = {"AzureWebJobsStorage": connection}
        one = LocalHost(folder / "one", store=store, app_root=TEST_APP, environment={**SHORT_LEASES, **environment})
        two = LocalHost(folder / "two", store=store, app_root=TEST_APP, environment={**SHORT_LEASES, **environment})
        with one, two, connected(one) as here, connected(two) as there:
            logs = {action: folder / action for action in ("wait", "wait-sync")}
            ids: dict[str, str] = {}
            for action, log in logs.items():
                ids[action] = begin(here, f"/trial/t1:{action}", {"seconds": 200, "log": str(log)})["id"]
                running(there, ids[action])
            for each in ids.values():
                assert there.post(f"/status/{each}:cancel").json()["status"] == "Canceling"
            for action, log in logs.items():
                assert ended(here, ids[action])["status"] == "Canceled"
                assert monitor(there, ids[action])["status"] == "Canceled"
                assert log.read_text().split() == ["began", "stopped"]


# --- storage that is not there -------------------------------------------------------------------------------------


def storage_that_is_not_there(folder: Path, store: str) -> None:
    """On a closed port every route that needs storage is 503 with Retry-After in time, and health says so."""
    with socket() as taken:  # bound and not listening: nobody else gets the port
        taken.bind(("127.0.0.1", 0))
        closed = local_azurite.connection_string(local_azurite.Ports(*[taken.getsockname()[1]] * 3))
        _all_unavailable(folder, store, closed)


def _all_unavailable(folder: Path, store: str, connection: str) -> None:
    environment = {"AzureWebJobsStorage": connection}
    host = LocalHost(folder, store=store, app_root=TEST_APP, environment={**SHORT_LEASES, **environment})
    with host, connected(host) as client:
        assert client.get("/health").status_code == 503
        for method, path in _EVERY_STORED:
            _unavailable(client, method, path)
        assert client.post("/trial/busy:refused").status_code == 409
        assert client.post("/trial/t1:nothing", json={"x": 1}).status_code == 400


def storage_that_hangs(folder: Path, store: str) -> None:
    """Storage takes the request and does not answer: 503 in time, and when it is back nothing or one that runs.

    A caller with an Operation-Id asks again and knows that it is one.
    """
    with emulator() as (azurite, connection):
        environment = {"AzureWebJobsStorage": connection}
        host = LocalHost(folder, store=store, app_root=TEST_APP, environment={**SHORT_LEASES, **environment})
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
    """The same where the start's input is larger than a row holds: still 503 in time."""
    with emulator() as (azurite, connection):
        environment = {"AzureWebJobsStorage": connection}
        host = LocalHost(folder, store=store, app_root=TEST_APP, environment={**SHORT_LEASES, **environment})
        with host, connected(host) as client:
            assert ended(client, begin(client, "/trial/t0:nothing")["id"])["status"] == "Succeeded"
            assert azurite.pid is not None
            os.kill(azurite.pid, signal.SIGSTOP)
            try:
                _unavailable(client, "POST", "/trial/t1:nothing", {"note": "a" * 40_000})
            finally:
                os.kill(azurite.pid, signal.SIGCONT)


LEASES_THAT_LAST = timed(lease=120, heartbeat=2, housekeeping_patience=2)
"""Longer than storage is away, however busy the machine is: what is shown is not a lost lease."""


def storage_that_goes_and_comes_back(folder: Path, store: str) -> None:
    """Storage stops while the host runs: 503 in the meantime, then everything goes on, without a restart of the host.

    An operation that was running keeps its attempt: a heartbeat that fails is no lost lease.
    """
    require_azurite()
    first = local_azurite.Azurite(ROOT, location=folder / "azurite")
    environment = {"AzureWebJobsStorage": first.start()}
    second: local_azurite.Azurite | None = None
    try:
        host = LocalHost(folder, store=store, app_root=TEST_APP, environment={**LEASES_THAT_LAST, **environment})
        with host, connected(host) as client:
            runner = begin(client, "/trial/t0:wait", {"seconds": 15})["id"]
            running(client, runner)
            first.stop()
            for method, path in (*_EVERY_STORED[:2], ("POST", "/trial/t1:nothing")):
                _unavailable(client, method, path)
            second = on_the_same_ports(folder / "azurite", environment["AzureWebJobsStorage"])
            assert second.start() == environment["AzureWebJobsStorage"]
            _nothing_or_one_that_runs(client)
            state = ended(client, runner)
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
    ("GET", "/trial-rows/t1"),
    ("GET", "/trial-rows"),
)
TWO_CALLS = 2 * CALL_TIMES.control
"""Seconds. One call of the storage is bounded by half of them; whoever waits for one after the other waits too long."""

_STARTS: tuple[tuple[Any, ...], ...] = (
    ("POST", "/trial/t1:wait", {"seconds": 0}),
    ("POST", "/trial/t1:wait", {"seconds": 0}, "chosen"),
)


def _unavailable(client: httpx.Client, method: str, path: str, body: Any = None, operation_id: str = "") -> None:
    before = time.monotonic()
    headers = {"Operation-Id": operation_id} if operation_id else {}
    answer = client.request(method, path, json=body, headers=headers, timeout=60)
    seconds = time.monotonic() - before
    found = (answer.status_code, answer.headers.get("x-ms-error-code"))
    assert found == (503, "StorageUnavailable"), (method, path, answer.text)
    assert int(answer.headers["retry-after"]) >= 1
    assert seconds < TWO_CALLS, f"{method} {path} took {seconds:.1f} s"


def _nothing_or_one_that_runs(client: httpx.Client) -> None:
    """Every start that was answered by 503 either left nothing behind or an operation that ends."""
    answer = client.post("/trial/t1:wait", json={"seconds": 0}, headers={"Operation-Id": "chosen"})
    assert answer.status_code == 202, answer.text
    for item in listing(client):
        assert ended(client, item["id"])["status"] == "Succeeded"
    kinds = [item["kind"] for item in listing(client)]
    assert [item["id"] for item in listing(client)].count("chosen") == 1
    # The one before, and at most one for each start during the outage.
    assert kinds.count("trial:nothing") <= 3
    assert kinds.count("trial:wait") <= 3


@pytest.mark.parametrize(
    "scenario",
    [
        *on(interrupted_while_running, "sqlite", "azurite"),
        *on(start_that_the_engine_refuses, "sqlite"),
        *on(polls_start_what_the_engine_refused, "sqlite"),
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
