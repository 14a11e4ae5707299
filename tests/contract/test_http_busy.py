"""An instance that works on as many requests as it takes: health is answered, everything else is told to come back."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.arm_things import NAMESPACE, VERSION
from tests.support.host import Hosts, LocalHost, timed
from tests.support.lro import ask

PROVIDER = f"/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/{NAMESPACE}"
LIMIT = 3

REFUSED: list[tuple[str, str, Any]] = [
    ("GET", "/status", None),
    ("GET", "/status/x1", None),
    ("POST", "/status/x1:cancel", None),
    ("DELETE", "/status/x1", None),
    ("POST", "/status/x1:update", "{"),
    ("POST", "/trial/t1:nothing", "{"),
    ("PUT", "/trial/t1", "{"),
    ("GET", "/trial-rows", None),
    ("PUT", f"{PROVIDER}/asyncThings/a?api-version={VERSION}", "{"),
    ("GET", f"{PROVIDER}/asyncThings?api-version={VERSION}", None),
    ("GET", "/odata", None),
    ("POST", "/odata/$batch", "{"),
    ("GET", "/odata/$async/x1", None),
    ("GET", "/openapi.json", None),
    ("GET", "/docs", None),
    ("GET", "/operations", None),
]


@pytest.fixture(scope="module")
def busy_host(hosts: Hosts, app_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHost]:
    """A host with as many requests under way as it takes: polls of a young operation which does not end."""
    environment = {"MAX_CONCURRENT_REQUESTS": str(LIMIT), **timed(young_wait=60, young=600)}
    host = hosts.shared("busy", app_root=app_root, environment=environment)
    marker = tmp_path_factory.mktemp("busy") / "marker"
    monitor = ask("POST", f"{host.url}/trial/t1:gated", json={"marker": str(marker)}).headers["Operation-Location"]

    def polls() -> str:
        """The last answer; the question below may have been in its way."""
        while (answer := ask("GET", monitor)).is_error:
            assert answer.status_code == 429, answer.text
        return answer.json()["status"]

    with ThreadPoolExecutor(LIMIT) as threads:
        running = [threads.submit(polls) for _ in range(LIMIT)]
        deadline = time.monotonic() + 60
        while ask("GET", f"{host.url}/status/x1").status_code != 429:
            assert time.monotonic() < deadline, "the host does not get busy"
        yield host
        marker.touch()
        assert [each.result() for each in running] == ["Succeeded"] * LIMIT
    assert ask("GET", f"{host.url}/status/x1").status_code == 404


def test_starts_that_wait_shut_out_nobody(hosts: Hosts, app_root: Path, tmp_path: Path) -> None:
    """More of them than the host takes requests: one is waited for, the others are answered at once and say so."""
    host = hosts.shared("crowded", app_root=app_root, environment={"MAX_CONCURRENT_REQUESTS": str(LIMIT)})
    marker = tmp_path / "marker"

    def start(number: int) -> httpx.Response:
        headers = {"Prefer": "wait=20", "Operation-Id": f"crowded{number}"}
        return ask("POST", f"{host.url}/trial/t{number}:gated", json={"marker": str(marker)}, headers=headers)

    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(start, 0)
        deadline = time.monotonic() + 60
        # Seen in the log: a request that asks for it would take the place that the first one waits in.
        while "operation_id=crowded0 action=trial:gated attempt=1: Attempt began" not in host.log:
            assert time.monotonic() < deadline, "the first one does not start"
            time.sleep(0.05)
        others = [start(number) for number in range(1, LIMIT + 2)]
        assert {(each.status_code, each.json()["status"]) for each in others} <= {(202, "NotStarted"), (202, "Running")}
        assert not any("Preference-Applied" in each.headers for each in others)
        assert not first.done()
        marker.touch()
        waited = first.result()
    assert (waited.json()["status"], waited.headers["Preference-Applied"]) == ("Succeeded", "wait=20")


@pytest.mark.parametrize(("method", "path", "body"), REFUSED)
def test_others_are_told_to_come_back(busy_host: LocalHost, method: str, path: str, body: str | None) -> None:
    """429 with our error body and Retry-After, whatever the profile, and before the body is read."""
    answer = ask(method, f"{busy_host.url}{path}", content=body)
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (429, "TooManyRequests"), answer.text
    assert answer.json()["error"]["code"] == "TooManyRequests"
    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["x-ms-request-id"]
    assert ("OData-Version" in answer.headers) == path.startswith("/odata")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_health_is_answered(busy_host: LocalHost, method: str) -> None:
    """Whoever watches the instance hears that it works."""
    for _ in range(5):
        assert ask(method, f"{busy_host.url}/health").status_code == 200
