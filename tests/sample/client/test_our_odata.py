"""The client against the app's OData service."""

from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel

from lro_client import Batch, ODataStatus, OperationFailed, Pace, StartRefused, StoppedWaiting
from tests.client.clocks import QuickClock
from tests.client.twins import Twins
from tests.support.host import LocalHost
from tests.support.lro import identity

pytestmark = [pytest.mark.timeout(60), pytest.mark.xdist_group("client-host")]
QUICK: dict[str, Any] = {"pace": Pace(first=0.1, longest=1), "clock": QuickClock()}


class Waited(BaseModel):
    seconds: float
    attempt: int


@pytest.fixture
def make(host: LocalHost, twins: Twins) -> Any:
    """Clients of one caller; `headers` are added to theirs."""
    caller = identity(uuid4().hex)

    def client(**headers: str) -> Any:
        named = caller | {name.replace("_", "-"): value for name, value in headers.items()}
        return twins.client("ODataClient", f"{host.url}/odata", headers=named, **QUICK)

    return client


@pytest.fixture
def client(make: Any) -> Any:
    return make()


@pytest.fixture
def book(client: Any) -> str:
    """A book that is there."""
    id = f"b{uuid4().hex[:10]}"
    assert client.request("POST", "Books", {"id": id, "title": "Emma"}).synchronous_result["id"] == id
    return id


@pytest.mark.parametrize("version", ["4.01", "4.0"])
def test_action_in_either_form(make: Any, version: str) -> None:
    """Pending until it has ended, then Completed with a typed result: by AsyncResult, or enclosed for 4.0."""
    client = make(OData_MaxVersion=version, Accept="*/*")
    called = client.call_action("TrialWait", {"seconds": 0.2}, result=Waited)
    assert called.is_async
    operation = called.operation
    assert not operation.is_completed
    assert operation.wait_for_completion(timeout=20) == Waited(seconds=0.2, attempt=1)
    assert (operation.state, operation.result.seconds) == (ODataStatus.COMPLETED, 0.2)
    headers = operation.response.headers
    assert ("asyncresult" in headers) == (version == "4.01")
    assert headers["content-type"].startswith("application/http") == (version == "4.0")


def test_wait_preference(client: Any) -> None:
    """What ends within the time that was given is answered at once; there is a result and no operation."""
    called = client.call_action("TrialWait", {"seconds": 0}, wait=10)
    assert not called.is_async
    assert called.synchronous_result["seconds"] == 0


@pytest.mark.parametrize(
    ("path", "body", "member"),
    [
        ("GenerateReport", {"format": "csv"}, "reportUrl"),
        ("Library.GenerateReport", {}, "id"),
        ("Books('{book}')/Library.Export", {"format": "json"}, "exportUrl"),
    ],
)
def test_the_samples_actions(client: Any, book: str, path: str, body: Any, member: str) -> None:
    """Unbound and bound actions of the sample, called and waited for."""
    assert client.call_and_wait(path.format(book=book), body, timeout=30)[member]


def test_function(client: Any, book: str) -> None:
    """A function is answered at once."""
    called = client.request("GET", f"Books('{book}')/Library.Summary()")
    assert (called.is_async, called.synchronous_result["title"]) == (False, "Emma")


def test_action_without_a_result(client: Any) -> None:
    """204 at the end is no value."""
    assert client.call_and_wait("TrialNothing", timeout=20) is None


def test_failure_behind_a_200(client: Any) -> None:
    """A monitor that answers 200 with 422 inside is a failure: monitor URL, status code, code, target and details."""
    operation = client.call_action("TrialFail").operation
    with pytest.raises(OperationFailed, match="This trial always fails") as caught:
        operation.wait_for_completion(timeout=20)
    error = caught.value
    assert (error.monitor_url, error.status_code, error.code) == (operation.monitor_url, 422, "TrialFailed")
    assert [detail.code for detail in error.details] == ["Cracked"]
    assert (operation.state, operation.response.status_code) == (ODataStatus.FAILED, 200)
    assert "TrialFailed" in (operation.error_message or "")


def test_cancel(client: Any) -> None:
    """DELETE of the monitor ends it, and it is completed then."""
    operation = client.call_action("TrialWaitLong", {"seconds": 60}).operation
    assert operation.poll() is True
    assert operation.try_cancel() is True
    assert operation.poll() is False
    assert operation.state is ODataStatus.CANCELLED


def test_cancel_that_is_not_offered(client: Any) -> None:
    """An action that cannot be undone is not canceled, and goes on."""
    operation = client.call_action("TrialDone", {"seconds": 1}).operation
    assert operation.try_cancel() is False
    assert operation.wait_for_completion(timeout=20)["attempt"] == 1


def test_time_out(client: Any) -> None:
    """Its own error: the operation goes on."""
    with pytest.raises(StoppedWaiting, match="goes on"):
        client.call_and_wait("TrialWaitLong", {"seconds": 60}, timeout=0.5)


def test_refused(client: Any) -> None:
    """A call of what is not there, and one with parameters that do not fit."""
    for path, body in (("NoSuchAction", {}), ("TrialWait", {"seconds": "soon"})):
        with pytest.raises(StartRefused) as caught:
            client.call_action(path, body)
        assert caught.value.status_code in (400, 404)


def test_resume(make: Any) -> None:
    """Another client goes on from the token."""
    token = make().call_action("TrialWait", {"seconds": 0.2}).operation.token()
    assert make().resume(token).wait_for_completion(timeout=20)["seconds"] == 0.2


@pytest.mark.parametrize("format", ["json", "multipart"])
@pytest.mark.parametrize("prefer", [None, 10])
def test_batch(client: Any, book: str, format: str, prefer: int | None) -> None:
    """Creating, a group, an action and a request that fails: each has its own result, asynchronous or at once."""
    batch, fresh = Batch(continue_on_error=True), f"n{uuid4().hex[:10]}"
    made = batch.create("Books", {"id": fresh, "title": "Persuasion"})
    missing = batch.add("GET", "Books('nobody')")
    called = batch.add("POST", "TrialWait", {"seconds": 0})
    first = batch.create("Books", {"id": f"{fresh}-1", "title": "One"}, group="g1")
    second = batch.create("Books", {"id": f"{fresh}-2", "title": "Two"}, group="g1")
    read = batch.add("GET", f"Books('{book}')")
    started = client.execute_batch(batch, format=format, wait=prefer)
    assert started.is_async == (prefer is None)
    response = started.operation.wait_for_completion(timeout=30) if started.is_async else started.synchronous_result
    assert len(response.results) == 6
    if format == "json":
        codes = {name: response[name].status_code for name in (made, missing, called, first, second, read)}
        assert codes == {made: 201, missing: 404, called: 200, first: 201, second: 201, read: 200}
        assert response[missing].error.code == "ResourceNotFound"
    else:
        assert [result.status_code for result in response.results] == [201, 404, 200, 201, 201, 200]
    assert response.results[-1].body["title"] == "Emma"
    assert not response.results[1].is_success


def test_batch_and_wait(client: Any) -> None:
    """A hundred creates in one batch, waited for in one call."""
    batch, prefix = Batch(), uuid4().hex[:10]
    for number in range(100):
        batch.create("Books", {"id": f"{prefix}-{number}", "title": f"Book {number}"})
    response = client.execute_batch_and_wait(batch, timeout=40)
    assert [result.status_code for result in response.results] == [201] * 100
