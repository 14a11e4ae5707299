"""Starting, waiting, giving up, canceling: over a service without sockets, where time passes when somebody sleeps."""

import pytest

from lro_client import (
    CancellationToken,
    CancelRefused,
    NotFinished,
    OperationCanceled,
    OperationFailed,
    Snapshot,
    Status,
    StoppedWaiting,
    WaitCanceled,
)
from lro_client.pacing import SHORTEST
from tests.client.scripted import ACCEPTED, HOME, MONITOR, RUNNING, SUCCEEDED, Counted, Reply, Service, started


def test_start_and_return_when_complete() -> None:
    """`run` starts, waits and returns the result in the type that was asked for."""
    service = Service(ACCEPTED, RUNNING, SUCCEEDED)
    assert service.client().run("POST", "things/1:go", json={"a": 1}, result=Counted) == Counted(n=7)
    assert service.urls == [f"POST {HOME}/things/1:go", f"GET {MONITOR}", f"GET {MONITOR}"]
    assert (service.requests[0].body, service.requests[0].headers["content-type"]) == (b'{"a": 1}', "application/json")


def test_start_then_wait() -> None:
    """`start` returns at once; the value is there after the wait and not before."""
    service, operation = started(RUNNING, SUCCEEDED)
    assert (operation.has_completed, operation.status, operation.id) == (False, Status.NOT_STARTED, "1")
    assert len(service.requests) == 1
    with pytest.raises(NotFinished):
        _ = operation.value
    assert operation.wait() == operation.value == {"n": 7}
    assert operation.wait() == {"n": 7}
    assert len(service.requests) == 3


def test_custom_polling_interval() -> None:
    """The caller's interval is kept, and the server's Retry-After where that is longer."""
    service, operation = started(RUNNING, Reply(200, RUNNING.json, {"Retry-After": "9"}), RUNNING, SUCCEEDED)
    operation.wait(interval=4)
    assert service.at == [0, 0, 4, 13, 17]


def test_manual_polling() -> None:
    """`update_status` looks once, at once; what has ended is not asked again."""
    service, operation = started(RUNNING, SUCCEEDED)
    while not operation.has_completed:
        operation.update_status()
    operation.update_status()
    assert (len(service.requests), service.now, operation.value) == (3, 0, {"n": 7})


def test_raw_response_at_every_step() -> None:
    """The last answer is at hand after the start, after each look, and in each snapshot."""
    _, operation = started(RUNNING, SUCCEEDED)
    codes = [operation.response.status_code]
    for snapshot in operation:
        assert snapshot.answer is operation.response
        codes.append(operation.response.status_code)
    assert codes == [202, 200, 200]
    assert operation.response.json()["status"] == "Succeeded"


def test_pace_without_a_word_from_the_server() -> None:
    """The first look is at once, the next ones further and further apart."""
    service, operation = started(RUNNING, RUNNING, RUNNING, SUCCEEDED)
    operation.wait()
    assert service.at == pytest.approx([0, 0, 1, 2.5, 4.75])


def test_retry_after_is_kept() -> None:
    """On the first answer too; a date; nothing; 0 is not a busy loop; garbage is the usual pace."""
    values = ["Thu, 01 Jan 2026 00:00:07 GMT", "0", "soon"]
    first = Reply(202, ACCEPTED.json, dict(ACCEPTED.headers) | {"Retry-After": "3"})
    service = Service(first, *(Reply(200, RUNNING.json, {"Retry-After": text}) for text in values), SUCCEEDED)
    service.client().run("POST", "x")
    assert service.at == pytest.approx([0, 3, 7, 7 + SHORTEST, 7 + SHORTEST + 2.25])


def test_failure() -> None:
    """A failure raises with code, message, details, status, body and monitor URL."""
    body = {
        "id": "1",
        "status": "Failed",
        "error": {"code": "Full", "message": "No space.", "details": [{"code": "A"}]},
    }
    _, operation = started(Reply(200, body))
    with pytest.raises(OperationFailed, match="Full: No space") as caught:
        operation.wait()
    error = caught.value
    assert (error.code, error.status_code, error.monitor_url, error.details[0].code) == ("Full", 200, MONITOR, "A")
    assert "No space." in (error.body or "")
    assert operation.error is error.error
    assert (operation.has_completed, operation.status) == (True, Status.FAILED)


def test_canceled_is_not_failed() -> None:
    """An operation that was canceled raises an error of its own."""
    _, operation = started(Reply(200, {"id": "1", "status": "Canceled"}))
    with pytest.raises(OperationCanceled):
        operation.wait()
    assert operation.status is Status.CANCELED


def test_stopped_waiting_is_not_failed() -> None:
    """A time-out stops exactly then, says that the operation goes on, and can be followed by another wait."""
    service, operation = started(RUNNING)
    with pytest.raises(StoppedWaiting, match="goes on") as caught:
        operation.wait(timeout=30)
    assert service.now == 30
    assert isinstance(caught.value, TimeoutError)
    assert (caught.value.monitor_url, operation.status) == (MONITOR, Status.RUNNING)
    service.script = [SUCCEEDED]
    assert operation.wait(timeout=30) == {"n": 7}


def test_stopped_waiting_in_the_middle_of_retries() -> None:
    """A server that asks to come back in an hour does not keep the caller beyond the time-out."""
    service, operation = started(Reply(503, headers={"Retry-After": "3600"}))
    with pytest.raises(StoppedWaiting):
        operation.wait(timeout=10)
    assert service.now == 10


def test_no_request_outlives_the_timeout() -> None:
    """Each request is given what is left of the time, and the usual limit at most."""
    service, operation = started(RUNNING)
    with pytest.raises(StoppedWaiting):
        operation.wait(timeout=100, interval=30)
    assert service.timeouts == [60, 60, 60, 40, 10]


def test_odd_word_is_kept() -> None:
    """An operation that ends in a word that no contract has is not guessed at: the time-out names the word."""
    _, operation = started(Reply(200, {"status": "Completed"}))
    with pytest.raises(StoppedWaiting, match="'Completed'"):
        operation.wait(timeout=5)


def test_cancellation_token() -> None:
    """The token stops the wait at once and leaves the operation alone."""
    token = CancellationToken()
    service, operation = started(RUNNING)
    service.on_sleep = lambda now: token.cancel() if now > 3 else None
    with pytest.raises(WaitCanceled, match="goes on") as caught:
        operation.wait(cancellation=token)
    assert caught.value.monitor_url == MONITOR
    assert all(request.method == "GET" for request in service.requests[1:])
    with pytest.raises(WaitCanceled):
        operation.update_status(cancellation=token)


def test_cancellation_token_may_cancel_the_operation() -> None:
    """With `cancel_operation` the service is asked to stop as well, once."""
    token = CancellationToken()
    canceling = Reply(200, {"id": "1", "status": "Canceling"})
    service, operation = started(RUNNING, canceling)
    service.on_sleep = lambda now: token.cancel()
    with pytest.raises(WaitCanceled, match="asked to stop"):
        operation.wait(cancellation=token, cancel_operation=True)
    assert service.urls[-1] == f"POST {MONITOR}:cancel"
    assert operation.status is Status.CANCELING


def test_note_of_a_cancel_that_fails() -> None:
    """The wait still ends as it should, and says that the operation could not be canceled."""
    token = CancellationToken()
    service, operation = started(RUNNING, Reply(409, {"error": {"code": "TooLate"}}))
    service.on_sleep = lambda now: token.cancel()
    with pytest.raises(WaitCanceled, match="goes on") as caught:
        operation.wait(cancellation=token, cancel_operation=True)
    assert "TooLate" in caught.value.__notes__[0]


def test_cancel() -> None:
    """`POST {monitor}:cancel`, the query kept; what it answers is the new state; the wait goes on to the end."""
    where = f"{MONITOR}?api-version=1"
    service = Service(
        Reply(202, {"id": "1", "status": "Running"}, {"Operation-Location": where}),
        Reply(200, {"id": "1", "status": "Canceling"}, {"Retry-After": "1"}),
        Reply(200, {"id": "1", "status": "Canceled"}),
    )
    operation = service.client().start("POST", "x")
    assert operation.cancel().status is Status.CANCELING
    with pytest.raises(OperationCanceled):
        operation.wait()
    assert service.urls[1:] == [f"POST {MONITOR}:cancel?api-version=1", f"GET {where}"]
    operation.cancel()
    assert len(service.requests) == 3


@pytest.mark.parametrize("status", [400, 404, 405, 409, 501])
def test_cancel_refused(status: int) -> None:
    """A service that does not cancel: an error, or False for those who ask."""
    _, operation = started(Reply(status))
    with pytest.raises(CancelRefused) as caught:
        operation.cancel()
    assert (caught.value.monitor_url, caught.value.status_code) == (MONITOR, status)
    assert operation.try_cancel() is False
    assert not operation.has_completed


def test_cancel_of_arm() -> None:
    """Azure-AsyncOperation: `POST {monitor}/cancel`; Location alone has no cancel, but a URL can be named."""
    aao = Service(Reply(202, headers={"Azure-AsyncOperation": MONITOR}), Reply(202), Reply(200, {"status": "Canceled"}))
    operation = aao.client("ArmClient", api_version="1", endpoint=HOME).action("/things/1", "go")
    assert operation.cancel().status is Status.CANCELING
    assert aao.urls[1] == f"POST {MONITOR}/cancel?api-version=1"
    location = Service(Reply(202, headers={"Location": "/results/1"}))
    operation = location.client("ArmClient", api_version="1", endpoint=HOME).action("/things/1", "go")
    with pytest.raises(CancelRefused, match="name the URL"):
        operation.cancel()
    operation.cancel(url="/stop/1")
    assert location.urls[1] == f"POST {HOME}/stop/1?api-version=1"


def test_progress() -> None:
    """Percent, message and data reach the callback and the iterator; what is no percentage is left out."""
    looks = [
        Reply(200, {"status": "Running", "percentComplete": 12.5, "progress": {"message": "m", "data": {"k": 1}}}),
        Reply(200, {"status": "Running", "percentComplete": "40", "message": "top"}),
        Reply(200, {"status": "Running", "percentComplete": "most", "progress": "x"}),
        Reply(200, {"status": "Running", "percentComplete": 4000}),
        SUCCEEDED,
    ]
    seen: list[Snapshot] = []
    _, operation = started(*looks)
    operation.wait(on_progress=seen.append)
    assert [(look.percent, look.message, look.data) for look in seen] == [
        (12.5, "m", {"k": 1}),
        (40.0, "top", None),
        (None, None, None),
        (None, None, None),
        (None, None, None),
    ]
    _, operation = started(*looks)
    assert [look.percent for look in operation] == [look.percent for look in seen]
    assert [look.status for look in operation] == [Status.SUCCEEDED]


def test_iterating_a_failure() -> None:
    """The last look shows the failure; the value raises it."""
    _, operation = started(RUNNING, Reply(200, {"status": "Failed", "error": {"code": "X"}}))
    looks = list(operation)
    assert (looks[-1].status, looks[-1].error and looks[-1].error.code) == (Status.FAILED, "X")
    with pytest.raises(OperationFailed):
        _ = operation.value
