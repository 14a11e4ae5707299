"""TRUST_PLATFORM_AUTH where the platform does not say that it checks callers: nobody is served as somebody."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.arm_things import NAMESPACE, VERSION
from tests.support.host import Hosts, LocalHost
from tests.support.lro import ask, identity

SUBSCRIPTION = "/subscriptions/11111111-2222-3333-4444-555555555555"
THINGS = f"{SUBSCRIPTION}/resourceGroups/rg/providers/{NAMESPACE}/asyncThings"
MONITORS = f"{SUBSCRIPTION}/providers/{NAMESPACE}/locations/westeurope"


@pytest.fixture(scope="module")
def unchecked_host(hosts: Hosts, app_root: Path) -> LocalHost:
    return hosts.shared("unchecked", app_root=app_root, environment={"TRUST_PLATFORM_AUTH": "true"})


ASK_WHO_CALLS: list[tuple[str, str, Any]] = [
    ("GET", "/status", None),
    ("GET", "/status/x1", None),
    ("GET", "/status/x1/result", None),
    ("POST", "/status/x1:cancel", None),
    ("DELETE", "/status/x1", None),
    ("POST", "/trial/t1:nothing", {}),
    ("PUT", "/trial/t1", {}),
    ("DELETE", "/trial/t1", None),
    ("PUT", "/trial-jobs/j1", {}),
    ("GET", "/trial-jobs/j1", None),
    ("GET", "/trial/t1/operations/x1", None),
    ("GET", "/trial-rows", None),
    ("POST", "/trial/t1:echo", {}),
    ("PUT", f"{THINGS}/a?api-version={VERSION}", {"location": "westeurope"}),
    ("GET", f"{THINGS}?api-version={VERSION}", None),
    ("GET", f"{MONITORS}/operationStatuses/x1?api-version={VERSION}", None),
    ("POST", f"{MONITORS}/operationStatuses/x1/cancel?api-version={VERSION}", None),
    ("GET", f"{MONITORS}/operationResults/x1?api-version={VERSION}", None),
    ("GET", "/odata", None),
    ("GET", "/odata/Notes", None),
    ("POST", "/odata/Notes", {"id": "a"}),
    ("POST", "/odata/$batch", {"requests": []}),
    ("GET", "/odata/$async/x1", None),
    ("GET", "/openapi.json", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ASK_WHO_CALLS)
def test_nobody_is_served(unchecked_host: LocalHost, method: str, path: str, body: Any) -> None:
    """Every request that asks who calls is 500 InvalidConfiguration, with and without a principal in its headers."""
    for headers in ({}, identity("me")):
        answer = ask(method, f"{unchecked_host.url}{path}", json=body, headers=headers)
        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (500, "InvalidConfiguration"), answer.text
        assert answer.json()["error"]["code"] == "InvalidConfiguration"


def test_updates_ask_for_the_secret_only(unchecked_host: LocalHost) -> None:
    """The system that works on an operation has a secret of it, and is nobody's principal: a wrong one is refused."""
    answer = ask("POST", f"{unchecked_host.url}/status/x1:update", json={"status": "Running"})
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (404, "OperationNotFound"), answer.text


def test_what_asks_nobody(unchecked_host: LocalHost) -> None:
    """Health says so, the page and its files are served, unknown paths stay unknown, and the log names the setting."""
    health = ask("GET", f"{unchecked_host.url}/health")
    assert (health.status_code, health.json()["problems"]) == (503, ["InvalidConfiguration"])
    with httpx.Client(base_url=unchecked_host.url) as client:
        assert client.get("/docs").status_code == 200
        assert client.get("/docs/page.js").status_code == 200
        assert client.get("/nowhere").status_code == 404
        assert client.get("/status").status_code == 500
    assert "The app is not configured: TRUST_PLATFORM_AUTH is true" in unchecked_host.log
