"""Short work is seen to its end by the first poll, which stock pollers send at once, on every profile.

The host of these tests lets a young operation's poll wait for as long as a busy machine may need.
"""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.support.host import Hosts, timed

GROUP = "/subscriptions/{}/resourceGroups/rg/providers/Contoso.Library/shelves"
VERSION = {"api-version": "2026-01-01"}
TERMINAL = ("Succeeded", "Failed")


@pytest.fixture(scope="module")
def client(hosts: Hosts, app_root: Path) -> Iterator[httpx.Client]:

    patient = hosts.shared("patient", app_root=app_root, environment=timed(young_wait=60, young=600))
    with httpx.Client(base_url=patient.url, timeout=90, verify=False) as client:
        yield client


def started(answer: httpx.Response) -> httpx.Response:
    """A start that says when to ask: in whole seconds, and sooner for who reads that."""
    assert answer.status_code in (200, 201, 202), answer.text
    assert int(answer.headers["retry-after"]) >= 1
    assert 0 < int(answer.headers["retry-after-ms"]) <= 1000
    return answer


def test_data_plane(client: httpx.Client) -> None:
    """POST, PUT and DELETE of a resource, and a PUT of an operation."""
    name = f"short{uuid4().hex[:8]}"
    starts = [
        lambda: client.post(f"/trial/{name}:nothing"),
        lambda: client.put(f"/trial/{name}", json={"note": "x"}),
        lambda: client.delete(f"/trial/{name}"),
        lambda: client.put(f"/imports/{name}", json={"items": [{"id": "b1", "transactionId": "none"}]}),
    ]
    for start in starts:
        monitor = client.get(started(start()).headers["operation-location"])
        assert monitor.json()["status"] in TERMINAL, monitor.text
        assert "retry-after" not in monitor.headers


def test_arm(client: httpx.Client) -> None:
    """PUT, PATCH, POST and DELETE, by the status and by the result."""
    shelf = f"{GROUP.format(uuid4())}/s1"
    requests = [
        ("PUT", "", {"location": "westeurope"}),
        ("PATCH", "", {"tags": {"a": "b"}}),
        ("POST", "/restart", {}),
        ("DELETE", "", None),
    ]
    for method, suffix, body in requests:
        answer = started(client.request(method, shelf + suffix, params=VERSION, json=body))
        if status := answer.headers.get("azure-asyncoperation"):
            assert client.get(status).json()["status"] == "Succeeded"
        else:
            assert client.get(answer.headers["location"]).status_code in (200, 204)


def test_odata(client: httpx.Client) -> None:
    """An action that is asked for asynchronously."""
    headers = {"Prefer": "respond-async", "Content-Type": "application/json"}
    answer = started(client.post("/odata/GenerateReport", json={}, headers=headers))
    assert client.get(answer.headers["location"]).status_code == 200
