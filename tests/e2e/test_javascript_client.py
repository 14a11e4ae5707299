"""`@azure/core-lro` of npm, unchanged, against the running local host on both stores. `make javascript` installs it."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from local_host.azurite import find_node
from tests.arm_things import MODELS, NAMESPACE, VERSION
from tests.e2e.books import upload
from tests.epubs import make_epub
from tests.host import ROOT, STORES, TEST_APP, LocalHost
from tests.lro import run

SCRIPT = Path(__file__).parent / "javascript" / "poll.mjs"
MODULE = ROOT / ".build" / "js" / "node_modules" / "@azure" / "core-lro" / "dist" / "esm" / "index.js"
EPUB = make_epub(("one two three",), title="A Polled Book")


@pytest.fixture(scope="module", params=STORES)
def app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHost]:
    """The tests' own app, which can fail and take long."""
    _require_javascript()
    store: str = request.param
    with LocalHost(tmp_path_factory.mktemp(f"js-{store}"), store=store, app_root=TEST_APP) as running:
        yield running


@pytest.fixture
def caller(app: LocalHost) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=app.url, timeout=30, verify=False) as client:
        yield client


def _require_javascript() -> None:
    if MODULE.exists():
        return
    if os.environ.get("CI"):
        pytest.fail("@azure/core-lro is not installed; `make test` installs it")
    pytest.skip("@azure/core-lro is not installed; `make javascript` installs it")


def drive(app: LocalHost, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
    """What `createHttpPoller(...).pollUntilDone()` came to, and the requests it made."""
    order = {"method": method, "url": app.url + path, "modulesUrl": MODULE.as_uri(), **more}
    if body is not None:
        order["body"] = body
    line = [find_node(), str(SCRIPT), json.dumps(order)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def starts(how: str) -> dict[str, tuple[str, str, Any]]:
    """A start of each pattern that ends well, fails, or takes a minute: method, path, body."""
    name = {"good": "good", "fail": "bad", "cancel": "slow"}[how] + uuid4().hex[:8]
    seconds = 60 if how == "cancel" else 0.2
    return {
        "post": ("POST", f"/trial/{name}:fail", {})
        if how == "fail"
        else ("POST", f"/trial/{name}:wait", {"seconds": seconds}),
        "put": ("PUT", f"/trial/{name}", {"note": "new"}),
        "delete": ("DELETE", f"/trial/{name}", None),
        "put-operation": ("PUT", f"/trial-jobs/{name}", {"seconds": seconds, "fail": how == "fail"}),
    }


PATTERNS = list(starts("good"))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_success(app: LocalHost, pattern: str) -> None:
    """Polled at Operation-Location at 0 and 1 s; a PUT ends with a GET of its own URL; the result is as promised."""
    method, path, body = starts("good")[pattern]
    outcome = drive(app, method, path, body)
    assert outcome["status"] == "succeeded", outcome
    first, *polls = outcome["requests"]
    assert first["status"] == {"post": 202, "put": 201, "delete": 202, "put-operation": 201}[pattern]
    assert all(poll["status"] == 200 for poll in polls)
    if method == "PUT":
        assert polls.pop()["url"] == app.url + path
    assert 1 <= len(polls) <= 3
    assert len({poll["url"] for poll in polls}) == 1
    result = outcome["result"]
    if pattern == "put":
        assert result == {"id": path.rpartition("/")[2], "note": "new"}
    else:
        assert result["status"] == "Succeeded"
        assert ("result" in result) == (pattern != "delete")


@pytest.mark.parametrize("pattern", PATTERNS)
def test_failure(app: LocalHost, pattern: str) -> None:
    """A failure is thrown with our code and message, which core-lro shows only where both are there."""
    outcome = drive(app, *starts("fail")[pattern])
    assert (outcome["status"], "result" in outcome) == ("failed", False)
    assert "TrialFailed" in outcome["error"]["message"]
    assert "This trial always fails." in outcome["error"]["message"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_cancel(app: LocalHost, pattern: str) -> None:
    """A canceled operation throws and its state says so."""
    outcome = drive(app, *starts("cancel")[pattern], cancel="operation-location")
    assert (outcome["status"], "result" in outcome) == ("canceled", False)
    assert "cancel" in outcome["error"]["message"].lower()


def test_the_library(app: LocalHost, caller: httpx.Client) -> None:
    """The sample from upload to removal, every start driven by core-lro."""
    book = f"js{uuid4().hex[:8]}"
    finished = drive(app, "POST", f"/book/{book}:upload-finish", upload(caller, book, EPUB))
    assert finished["result"]["result"]["title"] == "A Polled Book"
    changed = drive(app, "PUT", f"/book/{book}", {"title": "Mine"})
    assert changed["result"]["title"] == "Mine"
    items = [{"id": f"{book}-2", **upload(caller, f"{book}-2", EPUB)}]
    imported = drive(app, "PUT", f"/imports/{book}", {"items": items})
    assert imported["result"]["result"]["imported"] == 1
    removed = drive(app, "DELETE", f"/book/{book}")
    assert removed["status"] == "succeeded"
    assert caller.get(f"/book/{book}").status_code == 404
    assert run(caller, f"/book/{book}:upload-finish", upload(caller, book, EPUB))["status"] == "Succeeded"


ARM_VERBS: dict[str, tuple[str, str, Any]] = {
    "create": ("PUT", "", {"location": "westeurope", "properties": {"note": "n"}}),
    "update": ("PATCH", "", {"tags": {"a": "b"}}),
    "add": ("POST", "/add", {"a": 2, "b": 3}),
    "touch": ("POST", "/touch", {}),
    "delete": ("DELETE", "", None),
}


@pytest.mark.parametrize("type", MODELS)
def test_arm_verbs(app: LocalHost, type: str) -> None:
    """Every ARM verb with every header model ends with what the operation promises, wherever core-lro looks for it."""
    group = f"/subscriptions/{uuid4()}/resourceGroups/rg/providers/{NAMESPACE}/{type}"
    version = f"api-version={VERSION}"
    for verb, (method, suffix, body) in ARM_VERBS.items():
        outcome = drive(app, method, f"{group}/one{suffix}?{version}", body)
        assert outcome["status"] == "succeeded", (verb, outcome)
        result = outcome.get("result")
        if verb in ("create", "update"):
            assert result["properties"]["provisioningState"] == "Succeeded"
            assert result["id"].endswith("/one")
        elif verb == "add":
            assert (result if MODELS[type].location else result["properties"]) == {"total": 5}
    with httpx.Client(base_url=app.url, timeout=30, verify=False) as client:
        assert client.get(f"{group}/one?{version}").status_code == 404


@pytest.mark.parametrize("type", [name for name, model in MODELS.items() if model.async_operation])
def test_arm_failure(app: LocalHost, type: str) -> None:
    """A failed ARM operation throws with our code and message."""
    url = f"/subscriptions/{uuid4()}/resourceGroups/rg/providers/{NAMESPACE}/{type}/one?api-version={VERSION}"
    outcome = drive(app, "PUT", url, {"location": "westeurope", "properties": {"mode": "fail"}})
    assert (outcome["status"], "result" in outcome) == ("failed", False)
    assert "ThingFailed" in outcome["error"]["message"]


@pytest.mark.parametrize("type", [name for name, model in MODELS.items() if model.async_operation])
def test_arm_cancel(app: LocalHost, type: str) -> None:
    """A canceled ARM operation throws and its state says so."""
    url = f"/subscriptions/{uuid4()}/resourceGroups/rg/providers/{NAMESPACE}/{type}/one?api-version={VERSION}"
    body = {"location": "westeurope", "properties": {"mode": "wait"}}
    outcome = drive(app, "PUT", url, body, cancel="azure-asyncoperation")
    assert (outcome["status"], "result" in outcome) == ("canceled", False)
