"""Cancelling and deleting operations.

Rules: Azure REST API Guidelines, "Considerations: Controlling a long-running operation".
"""

import json
from pathlib import Path

import httpx
import pytest

from tests.support.host import TEST_APP
from tests.support.lro import begin, ended, listing, monitor, run, running, until

pytestmark = pytest.mark.both_stores

HOST = json.loads((TEST_APP / "host.json").read_text(encoding="utf-8"))
PLACES: int = HOST["extensions"]["durableTask"]["maxConcurrentActivityFunctions"]
"""Activities that the host runs at a time."""


def test_cancel_waiting_for_its_next_attempt(client: httpx.Client) -> None:
    """What no attempt holds is Canceled in the answer itself."""
    started = begin(client, "/trial/t1:late")
    until(client, started["id"], lambda state: "lastError" in state)
    answer = client.post(f"/status/{started['id']}:cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "Canceled")
    assert answer.json()["error"]["code"] == "OperationCanceled"
    assert answer.json()["error"]["message"]
    assert "retry-after" not in answer.headers
    assert monitor(client, started["id"]) == answer.json()


def test_cancel_queued(client: httpx.Client, tmp_path: Path) -> None:
    """A start that waits behind the host's last activity is Canceled at once and its handler never runs."""
    log = tmp_path / "queued"
    busy = [begin(client, f"/trial/t{n}:wait", {"seconds": 60})["id"] for n in range(PLACES)]
    for operation_id in busy:
        running(client, operation_id)
    queued = begin(client, "/trial/t9:wait", {"seconds": 60, "log": str(log)})["id"]
    assert client.post(f"/status/{queued}:cancel").json()["status"] == "Canceled"
    for operation_id in busy:
        client.post(f"/status/{operation_id}:cancel")
    for operation_id in busy:
        assert ended(client, operation_id)["status"] == "Canceled"
    # The places are free again; what was queued does not take one.
    assert run(client, "/trial/t1:wait", {"seconds": 0})["status"] == "Succeeded"
    assert monitor(client, queued)["attempt"] == 0
    assert not log.exists()


@pytest.mark.parametrize("action", ["wait", "wait-sync"])
def test_cancel_running(client: httpx.Client, tmp_path: Path, action: str) -> None:
    """Canceling first, then Canceled: the async handler is cancelled, the sync one sees raise_if_canceled."""
    log = tmp_path / "log"
    operation_id = begin(client, f"/trial/t1:{action}", {"seconds": 60, "log": str(log)})["id"]
    running(client, operation_id)
    answer = client.post(f"/status/{operation_id}:cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "Canceling")
    assert "retry-after" in answer.headers
    state = ended(client, operation_id)
    assert (state["status"], state["error"]["code"]) == ("Canceled", "OperationCanceled")
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["began", "stopped"]


@pytest.mark.parametrize("action", ["nothing", "fail"])
def test_cancel_finished(client: httpx.Client, action: str) -> None:
    """200 and the monitor as it was, however often."""
    state = run(client, f"/trial/t1:{action}")
    for _ in range(2):
        answer = client.post(f"/status/{state['id']}:cancel")
        assert (answer.status_code, answer.json()) == (200, state)
    assert monitor(client, state["id"]) == state


def test_cancel_twice(client: httpx.Client) -> None:
    """A second request while the first one works is 200 and does not disturb it."""
    operation_id = begin(client, "/trial/t1:wait-sync", {"seconds": 60})["id"]
    running(client, operation_id)
    answers = [client.post(f"/status/{operation_id}:cancel") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert ended(client, operation_id)["status"] == "Canceled"


def test_delete(client: httpx.Client) -> None:
    """204 once, then every route is 404, the list is empty, and the id is free again."""
    begin(client, "/trial/t1:large", **{"Operation-Id": "mine"})
    ended(client, "mine")
    answer = client.delete("/status/mine")
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.delete("/status/mine").status_code == 404
    assert client.get("/status/mine").status_code == 404
    assert client.get("/status/mine/result").status_code == 404
    assert client.post("/status/mine:cancel").status_code == 404
    assert listing(client) == []
    begin(client, "/trial/t2:nothing", **{"Operation-Id": "mine"})
    assert ended(client, "mine")["kind"] == "trial:nothing"


def test_delete_while_it_runs(client: httpx.Client) -> None:
    """409 OperationNotFinished, and the operation is not disturbed."""
    operation_id = begin(client, "/trial/t1:wait", {"seconds": 60})["id"]
    running(client, operation_id)
    answer = client.delete(f"/status/{operation_id}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "OperationNotFinished")
    assert monitor(client, operation_id)["status"] == "Running"
    client.post(f"/status/{operation_id}:cancel")
    assert ended(client, operation_id)["status"] == "Canceled"
    assert client.delete(f"/status/{operation_id}").status_code == 204
