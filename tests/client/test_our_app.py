"""The client against the app on the local host: the data plane's start patterns."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel

from lro_client import OperationCanceled, OperationFailed, Pace, StartRefused, Status, StoppedWaiting
from tests.client.clocks import QuickClock
from tests.client.twins import Twins
from tests.support.host import LocalHost
from tests.support.lro import identity

pytestmark = [pytest.mark.timeout(60), pytest.mark.xdist_group("client-host")]

QUICK: dict[str, Any] = {"pace": Pace(first=0.1, longest=1), "clock": QuickClock()}
PATTERNS = ("post", "put", "delete", "put-operation")


class Waited(BaseModel):
    seconds: float
    attempt: int


@pytest.fixture
def client(host: LocalHost, twins: Twins) -> Any:
    """A caller that nobody has been before."""
    return twins.client("DataPlaneClient", host.url, headers=identity(uuid4().hex), **QUICK)


def start_of(pattern: str, how: str) -> tuple[str, str, Any]:
    """A start of each pattern that ends well, fails, or takes a minute: method, path, body."""
    name = {"good": "good", "fail": "bad", "cancel": "slow"}[how] + uuid4().hex[:8]
    seconds = 60 if how == "cancel" else 0.05
    if pattern == "post":
        return (
            ("POST", f"trial/{name}:fail", {})
            if how == "fail"
            else ("POST", f"trial/{name}:wait", {"seconds": seconds})
        )
    return {
        "put": ("PUT", f"trial/{name}", {"note": "new"}),
        "delete": ("DELETE", f"trial/{name}", None),
        "put-operation": ("PUT", f"trial-jobs/{name}", {"seconds": seconds, "fail": how == "fail"}),
    }[pattern]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_start_ends_with_its_value(client: Any, pattern: str) -> None:
    """The value is what the action returned: the monitor's result, or the resource that a PUT has made."""
    method, path, body = start_of(pattern, "good")
    operation = client.start(method, path, json=body)
    assert not operation.has_completed
    value = operation.wait(timeout=20)
    name = path.rpartition("/")[2]
    expected = {
        "post": {"seconds": 0.05, "attempt": 1},
        "put": {"id": name, "note": "new"},
        "delete": None,
        "put-operation": {"seconds": 0.05, "attempt": 1},
    }
    assert (operation.status, value) == (Status.SUCCEEDED, expected[pattern])
    assert pattern != "put-operation" or operation.id == name


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_failure_raises(client: Any, pattern: str) -> None:
    """Code, message and monitor of a failure reach the caller, whatever started it."""
    method, path, body = start_of(pattern, "fail")
    operation = client.start(method, path, json=body)
    with pytest.raises(OperationFailed, match="This trial always fails") as caught:
        operation.wait(timeout=20)
    assert (caught.value.code, caught.value.monitor_url) == ("TrialFailed", operation.monitor_url)
    assert pattern != "post" or [detail.code for detail in caught.value.details] == ["Cracked"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_cancel_reaches_the_end(client: Any, pattern: str) -> None:
    """Cancel is taken, and the wait for the end says that it was canceled."""
    method, path, body = start_of(pattern, "cancel")
    operation = client.start(method, path, json=body)
    operation.cancel()
    assert operation.status in (Status.CANCELING, Status.CANCELED)
    with pytest.raises(OperationCanceled) as caught:
        operation.wait(timeout=20)
    assert caught.value.code == "OperationCanceled"
    assert operation.try_cancel() is False


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_start_can_be_run_at_once(client: Any, pattern: str) -> None:
    """Start and wait in one call; with `Prefer: wait` the first answer may be the last."""
    method, path, body = start_of(pattern, "good")
    value = client.run(method, path, json=body, headers={"Prefer": "wait=10"}, timeout=20)
    assert (value is None) == (pattern == "delete")


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_start_is_resumed(host: LocalHost, twins: Twins, pattern: str) -> None:
    """Another client goes on from either token, ours or .NET's, to the same value."""
    caller = identity(uuid4().hex)
    method, path, body = start_of(pattern, "good")
    first = twins.client("DataPlaneClient", host.url, headers=caller, **QUICK).start(method, path, json=body)
    tokens = [first.token(), first.dotnet_token()]
    second = twins.client("DataPlaneClient", host.url, headers=caller, **QUICK)
    values = [second.resume(token).wait(timeout=20) for token in tokens]
    assert values[0] == values[1] == first.wait(timeout=20)


def test_typed_value_and_progress(client: Any) -> None:
    """A pydantic model is the value's type; snapshots show percent, message and data; each has its raw answer."""
    operation = client.start("POST", "trial/p1:progress", json={"seconds": 1.6}, result=Waited)
    snapshots = list(operation)
    assert operation.value == Waited(seconds=1.6, attempt=1)
    running = [shown for shown in snapshots if shown.status is Status.RUNNING]
    assert (running[-1].percent, running[-1].message, running[-1].data) == (75, "step 3", {"step": 3})
    assert all(shown.answer.status_code == 200 for shown in snapshots)
    assert snapshots[-1].status is Status.SUCCEEDED


def test_manual_polling(client: Any) -> None:
    """Nothing is asked but by `update_status`; what has ended is not asked again."""
    operation = client.start("POST", "trial/m1:wait", json={"seconds": 0})
    while not operation.has_completed:
        operation.update_status()
    last = operation.response
    operation.update_status()
    assert operation.response is last
    assert operation.value == {"seconds": 0.0, "attempt": 1}


def test_time_out_is_no_failure(client: Any) -> None:
    """Whoever stops waiting is told that the operation goes on; it can still be seen and canceled."""
    operation = client.start("POST", "trial/slow:wait", json={"seconds": 60})
    with pytest.raises(StoppedWaiting, match="goes on"):
        operation.wait(timeout=0.3)
    assert operation.update_status().status in (Status.NOT_STARTED, Status.RUNNING)
    assert operation.try_cancel() is True


def test_repeated_start(client: Any) -> None:
    """The same operation id and body is the same operation; another body is refused with the service's words."""
    id = uuid4().hex
    operations = [
        client.start("POST", "trial/r1:wait", json={"seconds": 0}, operation_id=id, timeout=10) for _ in range(2)
    ]
    assert {operation.id for operation in operations} == {id}
    with pytest.raises(StartRefused) as caught:
        client.start("POST", "trial/r1:wait", json={"seconds": 1}, operation_id=id)
    assert (caught.value.status_code, caught.value.code) == (409, "OperationIdInUse")


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("trial/busy1:refused", {}, 409, "TrialBusy"),
        ("trial/t1:wait", {"seconds": "soon"}, 400, "InvalidInput"),
        ("no/such:thing", {}, 404, None),
    ],
)
def test_refused_starts(client: Any, path: str, body: Any, status: int, code: str | None) -> None:
    """A start that is refused raises with status and code, and nothing runs."""
    with pytest.raises(StartRefused) as caught:
        client.start("POST", path, json=body)
    assert caught.value.status_code == status
    assert code is None or caught.value.code == code


@pytest.mark.parametrize("store", ["host", "host_on_azurite"])
def test_list_and_delete(request: pytest.FixtureRequest, twins: Twins, store: str) -> None:
    """The list follows every page and filters; what has ended can be deleted, and is gone then. The next page's URL is
    the store's to make, so that both are tried."""
    host: LocalHost = request.getfixturevalue(store)
    client = twins.client("DataPlaneClient", host.url, headers=identity(uuid4().hex), **QUICK)
    operations = [client.start("POST", "trial:tick") for _ in range(5)]
    failed = client.start("POST", "trial/f1:fail", json={})
    for operation in operations:
        operation.wait(timeout=20)
    with pytest.raises(OperationFailed):
        failed.wait(timeout=20)
    ids = {operation.id for operation in operations}
    listed = list(client.operations("status", top=2))
    assert {item["id"] for item in listed} == ids | {failed.id}
    assert {item["id"] for item in client.operations("status", filter="status eq 'Failed'")} == {failed.id}
    operations[0].delete()
    assert {item["id"] for item in client.operations("status")} == ids - {operations[0].id} | {failed.id}
    operations[0].delete()


def test_run_again(client: Any) -> None:
    """A canceled operation is run again with its stored input: a new one, whose value is waited for. One that has ended
    well is refused."""
    due = datetime.now(UTC) + timedelta(hours=1)
    old = client.start("POST", "trial/again:wait", json={"seconds": 0.05}, not_before=due, result=Waited)
    old.cancel()
    assert old.status is Status.CANCELED
    new = old.retry()
    assert new.wait(timeout=20) == Waited(seconds=0.05, attempt=1)
    assert new.id != old.id
    assert new.response.json()["retryOf"] == old.id
    assert client.open(old.monitor_url).retry(operation_id="mine").id == "mine"
    with pytest.raises(StartRefused) as caught:
        new.retry()
    assert (caught.value.status_code, caught.value.code) == (409, "OperationNotFailed")


def test_run_again_what_a_put_has_started(client: Any) -> None:
    """Only operations of a POST can be run again; the service's code says so."""
    method, path, body = start_of("put", "fail")
    old = client.start(method, path, json=body)
    with pytest.raises(OperationFailed):
        old.wait(timeout=20)
    with pytest.raises(StartRefused) as caught:
        old.retry()
    assert (caught.value.status_code, caught.value.code) == (409, "RetryNotSupported")


def test_run_again_and_fail_again(client: Any) -> None:
    """A failed operation that fails again raises the error of the new one; the old one stays as it was."""
    old = client.start("POST", "trial/again:fail", json={})
    with pytest.raises(OperationFailed):
        old.wait(timeout=20)
    with pytest.raises(OperationFailed) as caught:
        old.retry().wait(timeout=20)
    assert caught.value.code == "TrialFailed"
    assert caught.value.monitor_url != old.monitor_url
    assert old.update_status().status is Status.FAILED


def test_somebody_elses_operation(client: Any, host: LocalHost, twins: Twins) -> None:
    """Another caller gets the error for what is not there, from the monitor and from the token."""
    from lro_client import MonitorGone, Retries

    operation = client.start("POST", "trial/o1:wait", json={"seconds": 0})
    other = twins.client("DataPlaneClient", host.url, headers=identity(uuid4().hex), retries=Retries(attempts=1))
    for found in (other.open(operation.monitor_url), other.resume(operation.token())):
        with pytest.raises(MonitorGone):
            found.wait(timeout=10)


@pytest.mark.parametrize("where", ["result/{}:inline", "result/{}:linked", "result-jobs/{}", "linked-jobs/{}"])
def test_large_results(client: Any, where: str) -> None:
    """A megabyte is the value, whether the monitor carries it or names where it lies; it is fetched once."""
    path = where.format(f"l{uuid4().hex[:8]}")
    operation = client.start("POST" if ":" in path else "PUT", path, json={"size": 1_000_000})
    assert operation.wait(timeout=20) == {"text": "x" * 1_000_000}
    is_linked = "linked" in where
    assert operation.response.url.partition("?")[0].endswith("/result") == is_linked
    again = client.open(operation.monitor_url)
    assert again.wait(timeout=20) == {"text": "x" * 1_000_000}
