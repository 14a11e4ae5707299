"""`@azure/core-lro` of npm, unchanged, against the running local host. `make javascript` installs it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from local_host.azurite import find_node
from tests.sample import SAMPLE_APP
from tests.sample.books import upload
from tests.sample.trials import LARGE_STARTS, PATTERNS, check_large, large_start, start_of
from tests.support.arm_things import MODELS, NAMESPACE, VERSION
from tests.support.epubs import make_epub
from tests.support.host import ROOT, STORES, Hosts, LocalHost
from tests.support.lro import run

SCRIPT = Path(__file__).parent / "javascript" / "poll.mjs"
MODULE = ROOT / ".build" / "js" / "node_modules" / "@azure" / "core-lro" / "dist" / "esm" / "index.js"
EPUB = make_epub(("one two three",), title="A Polled Book")

Order = dict[str, Any]
Outcome = dict[str, Any]
Outcomes = dict[tuple[str, str], tuple[Order, Outcome]]
HOW = ("good", "fail", "cancel")
ARM_VERBS: dict[str, tuple[str, str, Any]] = {
    "create": ("PUT", "", {"location": "westeurope", "properties": {"note": "n"}}),
    "update": ("PATCH", "", {"tags": {"a": "b"}}),
    "add": ("POST", "/add", {"a": 2, "b": 3}),
    "touch": ("POST", "/touch", {}),
    "delete": ("DELETE", "", None),
}
MONITORED = [name for name, model in MODELS.items() if model.async_operation]


def order(app: LocalHost, method: str, path: str, body: Any = None, **more: Any) -> Order:
    """A start for the script."""
    return {"method": method, "url": app.url + path, **({} if body is None else {"body": body}), **more}


def drive(*chains: list[Order]) -> list[list[Outcome]]:
    """What `createHttpPoller(...).pollUntilDone()` came to for each start, and the requests and waits it took.

    One process for all of them: what takes long is to load the library.
    """
    work = {"modulesUrl": MODULE.as_uri(), "share": 0.1, "chains": chains}
    line = [find_node(), str(SCRIPT), json.dumps(work)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def require_javascript() -> None:
    if MODULE.exists():
        return
    if os.environ.get("CI"):
        pytest.fail("@azure/core-lro is not installed; `make test` installs it")
    pytest.skip("@azure/core-lro is not installed; `make javascript` installs it")


@pytest.fixture(scope="module")
def app(hosts: Hosts) -> LocalHost:
    """The tests' own app, which can fail and take long."""
    require_javascript()
    return hosts.shared("open", app_root=SAMPLE_APP)


def order_of(app: LocalHost, pattern: str, how: str) -> Order:
    """The order of a start; one that is to be canceled is canceled at its monitor."""
    method, path, body = start_of(pattern, how)
    more = {"cancel": "operation-location"} if how == "cancel" else {}
    return order(app, method, path, body, **more)


def arm_url(type: str) -> str:
    return f"/subscriptions/{uuid4()}/resourceGroups/rg/providers/{NAMESPACE}/{type}/one"


def arm_start(app: LocalHost, type: str, mode: str, **more: Any) -> Order:
    body = {"location": "westeurope", "properties": {"mode": mode}}
    return order(app, "PUT", f"{arm_url(type)}?api-version={VERSION}", body, **more)


def arm_start_at(app: LocalHost, group: str) -> Order:
    return order(app, "PUT", f"{group}?api-version={VERSION}", {"location": "westeurope"})


@pytest.fixture(scope="module")
def outcomes(app: LocalHost) -> Outcomes:
    """Every start of the data plane, and those of ARM that fail or are canceled, by pattern or type and by how."""
    orders = {(pattern, how): order_of(app, pattern, how) for pattern in PATTERNS for how in HOW}
    for type in MONITORED:
        orders[type, "fail"] = arm_start(app, type, "fail")
        orders[type, "cancel"] = arm_start(app, type, "wait", cancel="azure-asyncoperation")
    found = drive(*([each] for each in orders.values()))
    return {key: (each, outcome) for (key, each), [outcome] in zip(orders.items(), found, strict=True)}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_success(outcomes: Outcomes, pattern: str) -> None:
    """Polled at Operation-Location, at once and every second; a PUT ends with a GET of its own URL."""
    start, outcome = outcomes[pattern, "good"]
    assert outcome["status"] == "succeeded", outcome
    first, *polls = outcome["requests"]
    assert first["status"] == {"post": 202, "put": 201, "delete": 202, "put-operation": 201}[pattern]
    assert all(poll["status"] == 200 for poll in polls)
    if start["method"] == "PUT":
        assert polls.pop()["url"] == start["url"]
    assert len({poll["url"] for poll in polls}) == 1
    assert outcome["waits"] == [1000] * (len(polls) - 1)
    result = outcome["result"]
    if pattern == "put":
        assert result == {"id": start["url"].rpartition("/")[2], "note": "new"}
    else:
        assert result["status"] == "Succeeded"
        assert ("result" in result) == (pattern != "delete")


@pytest.mark.parametrize("pattern", PATTERNS)
def test_failure(outcomes: Outcomes, pattern: str) -> None:
    """A failure is thrown with our code and message, which core-lro shows only where both are there."""
    _, outcome = outcomes[pattern, "fail"]
    assert (outcome["status"], "result" in outcome) == ("failed", False)
    assert "TrialFailed" in outcome["error"]["message"]
    assert "This trial always fails." in outcome["error"]["message"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_cancel(outcomes: Outcomes, pattern: str) -> None:
    """A canceled operation throws and its state says so."""
    _, outcome = outcomes[pattern, "cancel"]
    assert (outcome["status"], "result" in outcome) == ("canceled", False)
    assert "cancel" in outcome["error"]["message"].lower()


def test_large_results(app: LocalHost) -> None:
    """A megabyte comes with the monitor, or from where that says it lies; of ARM by `Location`, or from the monitor."""
    large = {name: order(app, *large_start(name)) for name in LARGE_STARTS}
    groups = {type: arm_url(type) for type in MODELS}
    version, dump = f"api-version={VERSION}", {"size": 1_000_000}
    outcomes = drive(
        *([each] for each in large.values()),
        *([arm_start_at(app, group), order(app, "POST", f"{group}/dump?{version}", dump)] for group in groups.values()),
    )
    for name, [outcome] in zip(large, outcomes, strict=False):
        check_large(name, outcome["result"])
    for type, [_, outcome] in zip(groups, outcomes[len(large) :], strict=True):
        result = outcome["result"] if MODELS[type].location else outcome["result"]["properties"]
        assert len(result["text"]) == 1_000_000


@pytest.mark.parametrize("store", STORES)
def test_the_library(hosts: Hosts, store: str) -> None:
    """The sample from upload to removal, every start driven by core-lro."""
    require_javascript()
    app = hosts.shared("open", store=store, app_root=SAMPLE_APP)
    book = f"js{uuid4().hex[:8]}"
    with httpx.Client(base_url=app.url, timeout=60, verify=False) as caller:
        items = [{"id": f"{book}-2", **upload(caller, f"{book}-2", EPUB)}]
        [[finished, changed], [imported]] = drive(
            [
                order(app, "POST", f"/book/{book}:upload-finish", upload(caller, book, EPUB)),
                order(app, "PUT", f"/book/{book}", {"title": "Mine"}),
            ],
            [order(app, "PUT", f"/imports/{book}", {"items": items})],
        )
        assert finished["result"]["result"]["title"] == "A Polled Book"
        assert changed["result"]["title"] == "Mine"
        assert imported["result"]["result"]["imported"] == 1
        [[removed]] = drive([order(app, "DELETE", f"/book/{book}")])
        assert removed["status"] == "succeeded"
        assert caller.get(f"/book/{book}").status_code == 404
        assert run(caller, f"/book/{book}:upload-finish", upload(caller, book, EPUB))["status"] == "Succeeded"


def test_arm_verbs(app: LocalHost) -> None:
    """Every ARM verb with every header model ends with what the operation promises, wherever core-lro looks for it."""
    groups = {type: arm_url(type) for type in MODELS}
    version = f"api-version={VERSION}"
    found = drive(
        *(
            [order(app, method, f"{group}{suffix}?{version}", body) for method, suffix, body in ARM_VERBS.values()]
            for group in groups.values()
        )
    )
    for (type, group), outcomes in zip(groups.items(), found, strict=True):
        for verb, outcome in zip(ARM_VERBS, outcomes, strict=True):
            assert outcome["status"] == "succeeded", (verb, outcome)
            result = outcome.get("result")
            if verb in ("create", "update"):
                assert result["properties"]["provisioningState"] == "Succeeded"
                assert result["id"].endswith("/one")
            elif verb == "add":
                assert (result if MODELS[type].location else result["properties"]) == {"total": 5}
        assert httpx.get(f"{app.url}{group}?{version}", timeout=60).status_code == 404


@pytest.mark.parametrize("type", MONITORED)
def test_arm_failure(outcomes: Outcomes, type: str) -> None:
    """A failed ARM operation throws with our code and message."""
    _, outcome = outcomes[type, "fail"]
    assert (outcome["status"], "result" in outcome) == ("failed", False)
    assert "ThingFailed" in outcome["error"]["message"]


@pytest.mark.parametrize("type", MONITORED)
def test_arm_cancel(outcomes: Outcomes, type: str) -> None:
    """A canceled ARM operation throws and its state says so."""
    _, outcome = outcomes[type, "cancel"]
    assert (outcome["status"], "result" in outcome) == ("canceled", False)
