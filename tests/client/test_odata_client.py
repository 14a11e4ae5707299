"""The OData client against a service of the tests that follows the protocol: each call, both forms, batches."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, Field

from lro_client import (
    Batch,
    CancellationToken,
    CancelRefused,
    LroError,
    MonitorGone,
    ODataStatus,
    OperationCanceled,
    OperationFailed,
    Pace,
    Snapshot,
    StartRefused,
    Status,
    StoppedWaiting,
    UnexpectedAnswer,
    WaitCanceled,
)
from tests.client.clocks import QuickClock
from tests.client.odata_service import REPORT, Running
from tests.client.twins import Twins

pytestmark = pytest.mark.timeout(30)


class Report(BaseModel):
    report_url: str = Field(alias="reportUrl")


@pytest.fixture
def server() -> Iterator[Running]:
    running = Running()
    try:
        yield running
    finally:
        running.close()


@pytest.fixture(params=["4.01", "4.0"])
def client(request: pytest.FixtureRequest, server: Running, twins: Twins) -> Any:
    """A client that understands the final answer in a header (4.01), or as a message in the body (4.0)."""
    headers = {"OData-MaxVersion": request.param}
    pace = Pace(first=0.02, longest=0.02)
    return twins.client("ODataClient", server.url, headers=headers, pace=pace, clock=QuickClock())


def test_action_that_goes_on(client: Any, server: Running) -> None:
    """A call prefers an asynchronous answer; there is an operation, and no result yet; the wait has the result."""
    called = client.call_action("Library.Report", {"year": 2026}, result=Report)
    assert called.is_async
    with pytest.raises(LroError):
        _ = called.synchronous_result
    operation = called.operation
    assert operation.monitor_url.startswith(f"{server.url}/$async/")
    assert (operation.state, operation.is_completed) == (ODataStatus.PENDING, False)
    assert operation.wait_for_completion().report_url == "/reports/1"
    assert (operation.state, operation.result.report_url) == (ODataStatus.COMPLETED, "/reports/1")
    method, path, headers, body = server.service.seen[0]
    assert (method, path, headers["prefer"], json.loads(body)) == (
        "POST", "/odata/Library.Report", "respond-async", {"year": 2026},
    )  # fmt: skip


def test_action_that_is_answered_at_once(client: Any) -> None:
    """A service may answer at once; then there is a result, and no operation."""
    called = client.call_action("Sync", result=Report)
    assert not called.is_async
    assert called.synchronous_result.report_url == "/reports/1"
    with pytest.raises(LroError):
        _ = called.operation


@pytest.mark.parametrize("action", ["Sync", "Report"])
def test_call_and_wait(client: Any, action: str) -> None:
    """Whichever way the service answers, the result is the same."""
    assert client.call_and_wait(action, timeout=10) == REPORT


def test_action_without_a_result(client: Any) -> None:
    """204 at the end is no value."""
    assert client.call_and_wait("Nothing", timeout=10) is None


def test_polling_by_hand(client: Any, server: Running) -> None:
    """`poll` looks once, and is true while it runs; the monitor's newest Location is asked."""
    operation = client.call_action("Report").operation
    seen: list[ODataStatus] = [operation.state]
    while operation.poll():
        seen.append(operation.state)
    assert seen == [ODataStatus.PENDING, ODataStatus.RUNNING]
    assert operation.state is ODataStatus.COMPLETED
    assert server.service.seen[-1][1].endswith("/1")


def test_poll_interval(client: Any, server: Running) -> None:
    """The interval of the call is that of its operation."""
    operation = client.call_action("Report", poll_interval=0.01).operation
    assert operation.poll_interval == 0.01
    assert operation.wait_for_completion(poll_interval=0.005) == REPORT


def test_failed_request(client: Any, server: Running) -> None:
    """A request that ends with 409 fails in either form, although the monitor answers 200: with monitor URL, status
    code, body and details."""
    operation = client.call_action("Wrong").operation
    with pytest.raises(OperationFailed, match="Locked: Somebody else has it") as caught:
        operation.wait_for_completion()
    error = caught.value
    assert (error.status_code, error.code, error.details[0].code) == (409, "Locked", "Owner")
    assert (error.monitor_url, "Somebody else" in (error.body or "")) == (operation.monitor_url, True)
    assert (operation.state, operation.is_completed) == (ODataStatus.FAILED, True)
    assert "Locked" in (operation.error_message or "")
    assert operation.poll() is False


def test_timeout_is_its_own_error(client: Any) -> None:
    """The operation goes on, and the error says so and where."""
    with pytest.raises(StoppedWaiting, match="goes on") as caught:
        client.call_and_wait("Busy", timeout=0.3)
    assert caught.value.monitor_url is not None
    assert not isinstance(caught.value, OperationFailed)


def test_cancel(client: Any, server: Running) -> None:
    """DELETE of the monitor ends it: Cancelled, completed, and never polled again."""
    operation = client.call_action("Busy").operation
    operation.poll()
    assert operation.try_cancel() is True
    assert (operation.state, operation.is_completed) == (ODataStatus.CANCELLED, True)
    requests = len(server.service.seen)
    with pytest.raises(OperationCanceled):
        operation.wait_for_completion()
    assert operation.poll() is False
    assert operation.try_cancel() is False
    assert (len(server.service.seen), server.service.seen[-1][0]) == (requests, "DELETE")


def test_cancel_that_takes_time(client: Any) -> None:
    """202 with another Location: it is being canceled, and a 404 there means that it has been."""
    operation = client.call_action("Slow").operation
    assert operation.try_cancel() is True
    assert (operation.state, operation.is_completed) == (ODataStatus.RUNNING, False)
    with pytest.raises(OperationCanceled):
        operation.wait_for_completion(timeout=10)
    assert operation.state is ODataStatus.CANCELLED


def test_cancel_that_is_not_offered(client: Any) -> None:
    """405: False for those who ask, an error for those who insist; the operation is as it was."""
    operation = client.call_action("Fixed").operation
    assert operation.try_cancel() is False
    with pytest.raises(CancelRefused) as caught:
        operation.cancel()
    assert (caught.value.status_code, operation.state) == (405, ODataStatus.PENDING)


def test_somebody_else_canceled(client: Any, server: Running) -> None:
    """A monitor that is not there any more is an error, not a success."""
    operation = client.call_action("Busy").operation
    operation.poll()
    server.service.jobs.clear()
    with pytest.raises(MonitorGone):
        operation.wait_for_completion()


def test_refused(client: Any) -> None:
    """A call that is refused raises with the service's words."""
    with pytest.raises(StartRefused, match="Locked") as caught:
        client.call_action("Refused")
    assert caught.value.status_code == 400


def test_accepted_without_a_monitor(client: Any) -> None:
    """202 without Location breaks the protocol, and is an error."""
    with pytest.raises(UnexpectedAnswer):
        client.call_action("Lost")


def test_resume(client: Any, server: Running) -> None:
    """Another client goes on from the token."""
    operation = client.call_action("Report").operation
    assert client.resume(operation.token()).wait_for_completion() == REPORT
    opened = client.open(client.call_action("Report").operation.monitor_url)
    assert opened.wait_for_completion() == REPORT


def test_wait_preference(client: Any, server: Running) -> None:
    """How long the service may take at once is told, and the caller's own preferences stay."""
    client.call_action("Sync", wait=10, headers={"Prefer": "return=minimal"})
    assert server.service.seen[-1][2]["prefer"] == "respond-async, wait=10, return=minimal"


def products(count: int = 3, first: str = "Products") -> Batch:
    batch = Batch()
    for number in range(count):
        batch.create(first if number == 0 else "Products", {"name": f"Widget {number}"})
    return batch


@pytest.mark.parametrize("format", ["json", "multipart"])
def test_batch(client: Any, server: Running, format: str) -> None:
    """A batch is one asynchronous request; each request in it has its result, good or bad."""
    batch = products(2)
    batch.add("POST", "Wrong", {})
    called = client.execute_batch(batch, format=format)
    assert called.is_async
    response = called.operation.wait_for_completion(timeout=10)
    assert [(result.id, result.status_code) for result in response.results] == [("1", 201), ("2", 201), ("3", 409)]
    assert response["2"].body == {"name": "Widget 1"}
    assert (response["1"].is_success, response["3"].is_success) == (True, False)
    assert response["3"].error is not None
    assert response["3"].error.code == "Locked"
    assert called.operation.state is ODataStatus.COMPLETED
    headers = server.service.seen[0][2]
    assert headers["prefer"] == "respond-async"


def test_batch_of_groups(client: Any, server: Running) -> None:
    """A group is an atomicityGroup in JSON and a change set in multipart; its results keep their ids."""
    batch = Batch(continue_on_error=True)
    batch.add("POST", "A", {"n": 1}, id="first", group="g")
    batch.add("POST", "B", {"n": 2}, id="second", group="g", headers={"x": "y"})
    batch.add("GET", "C", depends_on=("g",))
    sent = json.loads(batch.json())["requests"]
    assert [entry.get("atomicityGroup") for entry in sent] == ["g", "g", None]
    assert sent[2]["dependsOn"] == ["g"]
    assert sent[1]["headers"] == {"x": "y", "content-type": "application/json"}
    response = client.execute_batch_and_wait(batch, format="multipart", timeout=10)
    assert [result.id for result in response.results] == ["first", "second", "3"]
    assert "continue-on-error" in server.service.seen[0][2]["prefer"]


def test_requests_of_a_batch_that_go_on(client: Any) -> None:
    """A request of a batch may be accepted by itself; its monitor can be opened."""
    batch = Batch()
    batch.add("POST", "Later", {}, headers={"Prefer": "respond-async"})
    result = client.execute_batch_and_wait(batch, timeout=10).results[0]
    assert (result.status_code, result.error) == (202, None)
    assert client.open(result.monitor_url).wait_for_completion() == REPORT


def test_interim_results(client: Any) -> None:
    """A batch whose rest comes later, part after part, is followed to its end; progress is told of each."""
    looks: list[Snapshot] = []
    response = client.execute_batch_and_wait(products(9, "Interim"), timeout=20, on_progress=looks.append)
    assert [result.id for result in response.results] == [str(number) for number in range(1, 10)]
    assert response.next_url is None
    assert [look.status for look in looks].count(Status.SUCCEEDED) == 5


def test_interim_results_of_a_batch_that_was_looked_at(client: Any) -> None:
    """The rest can be asked for later."""
    first = client.execute_batch(products(7, "Interim")).operation.wait_for_completion(timeout=10)
    assert (len(first.results), len(client.rest_of_batch(first, timeout=10).results)) == (2, 7)


@pytest.mark.parametrize("name", ["Endless", "EndlessLater"])
def test_interim_results_without_an_end(client: Any, name: str) -> None:
    """The time-out is for all parts together, however many come and whether they are there at once or accepted first;
    the token stops them too."""
    first = client.execute_batch(products(1, name)).operation.wait_for_completion(timeout=10)
    token = CancellationToken()
    for error, wait in (
        (StoppedWaiting, lambda: client.execute_batch_and_wait(products(1, name), timeout=0.15)),
        (StoppedWaiting, lambda: client.rest_of_batch(first, timeout=0.15)),
        (WaitCanceled, lambda: client.rest_of_batch(first, cancellation=token)),
    ):
        if error is WaitCanceled:
            threading.Timer(0.15, token.cancel).start()
        began = time.monotonic()
        with pytest.raises(error, match=r"[1-9] results of the batch have come|goes on"):
            wait()
        assert time.monotonic() - began < 10


@pytest.mark.parametrize("format", ["json", "multipart"])
def test_calls_that_are_waited_for_tell_their_progress(client: Any, format: str) -> None:
    """`call_and_wait`, `wait_for_completion` and batches show every look."""
    looks: list[Snapshot] = []
    client.call_and_wait("Report", on_progress=looks.append)
    client.call_action("Report").operation.wait_for_completion(on_progress=looks.append)
    client.execute_batch_and_wait(products(2), format=format, on_progress=looks.append)
    assert [look.status for look in looks] == [Status.RUNNING, Status.SUCCEEDED] * 3


def test_request(client: Any) -> None:
    """Any request may be answered asynchronously, and its result be read in a type."""
    assert client.request("POST", "Report", {}, result=Report).operation.wait().report_url == "/reports/1"


def test_batches_that_cannot_be_sent() -> None:
    """An id that is taken, and a dependence on what is not there."""
    batch = products(1)
    with pytest.raises(ValueError, match="already"):
        batch.add("GET", "x", id="1")
    with pytest.raises(ValueError, match="must come before"):
        batch.add("GET", "x", depends_on=("7",))
