"""Starting, waiting, giving up, canceling: over a service without sockets, where time passes when somebody sleeps."""

import pickle
from typing import Any

import pytest
from pydantic import BaseModel

from lro_client import (
    CancellationToken,
    CancelRefused,
    MonitorGone,
    NotFinished,
    OperationCanceled,
    OperationFailed,
    ResultMismatch,
    Retries,
    ServiceUnreachable,
    Snapshot,
    StartRefused,
    Status,
    StoppedWaiting,
    UnexpectedAnswer,
    WaitCanceled,
)
from lro_client.errors import LroError
from lro_client.pacing import SHORTEST
from tests.client.scripted import ACCEPTED, HOME, MONITOR, RUNNING, SUCCEEDED, Reply, Service, lost


class Counted(BaseModel):
    n: int


def started(*script: Any, **options: Any) -> tuple[Service, Any]:
    service = Service(ACCEPTED, *script)
    return service, service.client(**options).start("POST", "things/1:go", json={})


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
    said = ["Thu, 01 Jan 2026 00:00:07 GMT", "0", "soon"]
    first = Reply(202, ACCEPTED.json, dict(ACCEPTED.headers) | {"Retry-After": "3"})
    service = Service(first, *(Reply(200, RUNNING.json, {"Retry-After": text}) for text in said), SUCCEEDED)
    service.client().run("POST", "x")
    assert service.at == pytest.approx([0, 3, 7, 7 + SHORTEST, 7 + SHORTEST + 2.25])


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_polls_survive_not_now(status: int) -> None:
    """Polls are sent again after 429 and 5xx, with or without a body, and wait as long as they are told."""
    service, operation = started(Reply(status), Reply(status, headers={"Retry-After": "20"}), RUNNING, SUCCEEDED)
    assert operation.wait() == {"n": 7}
    assert service.at == pytest.approx([0, 0, 0.8, 20.8, 21.8])


def test_polls_survive_lost_connections() -> None:
    """A connection that breaks, or cannot be made, in the middle is not the end."""
    _, operation = started(lost(), RUNNING, lost(was_sent=False), lost(), SUCCEEDED)
    assert operation.wait() == {"n": 7}


@pytest.mark.parametrize("trouble", [lost(), Reply(503)], ids=["lost", "503"])
def test_the_budget_ends(trouble: Any) -> None:
    """After so many tries in a row it is given up, and says where the operation can be watched; it can be looked at
    again later."""
    service, operation = started(trouble, retries=Retries(attempts=3))
    with pytest.raises(ServiceUnreachable) as caught:
        operation.wait()
    assert (caught.value.monitor_url, len(service.requests)) == (MONITOR, 4)
    assert not operation.has_completed
    service.script = [SUCCEEDED]
    assert operation.wait() == {"n": 7}


def test_the_budget_is_for_failures_in_a_row() -> None:
    """One good answer, and it starts anew."""
    _, operation = started(*[lost(), lost(), RUNNING] * 5, SUCCEEDED, retries=Retries(attempts=3))
    assert operation.wait() == {"n": 7}


@pytest.mark.parametrize(
    ("method", "headers", "trouble", "sent"),
    [
        ("PUT", {}, Reply(500), 2),
        ("DELETE", {}, lost(), 2),
        ("POST", {}, Reply(500), 1),
        ("POST", {}, lost(), 1),
        ("POST", {}, lost(was_sent=False), 2),
        ("POST", {}, Reply(503), 2),
        ("POST", {}, Reply(429), 2),
        ("PATCH", {}, Reply(502), 1),
        ("POST", {"Operation-Id": "1"}, Reply(500), 2),
        ("POST", {"Repeatability-Request-ID": "1"}, lost(), 2),
        ("POST", {"idempotency-key": "1"}, lost(), 2),
    ],
)
def test_which_starts_are_sent_again(method: str, headers: dict[str, str], trouble: Any, sent: int) -> None:
    """What may be done twice, or was surely not done, is sent again, the same; anything else is not."""
    service = Service(trouble, ACCEPTED)
    client = service.client()
    if sent == 1:
        with pytest.raises(ServiceUnreachable):
            client.start(method, "things/1", json={"a": 1}, headers=headers)
    else:
        client.start(method, "things/1", json={"a": 1}, headers=headers)
        assert service.requests[0] == service.requests[1]
    assert len(service.requests) == sent


def test_a_lost_start_says_so() -> None:
    """The caller must know that it may have been taken."""
    with pytest.raises(ServiceUnreachable, match="may have taken the request"):
        Service(lost()).client().start("POST", "x")


def test_data_plane_posts_can_be_repeated() -> None:
    """The data-plane client gives each POST an id of its own, the same on every try; the caller's own wins."""
    service = Service(lost(), ACCEPTED)
    client = service.client("DataPlaneClient")
    client.start("POST", "things/1:go")
    ids = [request.headers["operation-id"] for request in service.requests]
    assert ids[0] == ids[1]
    client.start("POST", "things/1:go", operation_id="mine")
    client.start("POST", "things/1:go", headers={"operation-id": "header"})
    client.start("PUT", "things/1")
    assert [request.headers.get("operation-id") for request in service.requests[2:]] == ["mine", "header", None]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 422, 501])
def test_refused_start(status: int) -> None:
    """A start that is refused raises at once, with the service's own words."""
    service = Service(Reply(status, {"error": {"code": "No", "message": "Never.", "details": [{"code": "Why"}]}}))
    with pytest.raises(StartRefused, match="No: Never") as caught:
        service.client().start("POST", "x")
    error = caught.value
    assert (error.status_code, error.code, error.details[0].code, error.monitor_url) == (status, "No", "Why", None)
    assert "Never." in (error.body or "")
    assert len(service.requests) == 1


def test_monitor_that_lags() -> None:
    """A 404 right after the start is given some time; later on it means that the operation has gone."""
    _, operation = started(Reply(404), Reply(404), RUNNING, SUCCEEDED)
    assert operation.wait() == {"n": 7}
    service, operation = started(RUNNING, Reply(404), SUCCEEDED)
    with pytest.raises(MonitorGone) as caught:
        operation.wait()
    assert (caught.value.monitor_url, len(service.requests)) == (MONITOR, 3)


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


def test_odd_word_is_told() -> None:
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


def test_cancel_that_fails_is_told() -> None:
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


def test_result_that_does_not_fit() -> None:
    """A result of another shape is an error that names the type, and keeps the answer."""
    service = Service(ACCEPTED, Reply(200, {"status": "Succeeded", "result": {"n": "many"}}))
    with pytest.raises(ResultMismatch, match="Counted") as caught:
        service.client().run("POST", "x", result=Counted)
    assert (caught.value.monitor_url, caught.value.status_code) == (MONITOR, 200)


@pytest.mark.parametrize(
    ("kind", "headers", "body", "value"),
    [
        (None, {"Content-Type": "text/csv"}, b"a,b", "a,b"),
        (None, {"Content-Type": "application/zip"}, b"PK\x03", b"PK\x03"),
        (None, {}, b'{"n": 1}', {"n": 1}),
        (None, {}, b"\x00\x01", b"\x00\x01"),
        (None, {"Content-Type": "application/json"}, b"\xef\xbb\xbf[1]", [1]),
        (None, {"Content-Type": "application/problem+json"}, b"[1]", [1]),
        (bytes, {"Content-Type": "application/json"}, b"[1]", b"[1]"),
        (str, {"Content-Type": "text/html"}, b"<p>", "<p>"),
        (str, {"Content-Type": "application/json"}, b'"x"', "x"),
        (list[int], {"Content-Type": "application/json"}, b"[1]", [1]),
        (None, {"Content-Type": "application/json"}, b"", None),
    ],
)
def test_results_of_every_kind(kind: Any, headers: dict[str, str], body: bytes, value: Any) -> None:
    """JSON, text, bytes, models and lists of them, as the answer says or the caller wants."""
    service = Service(Reply(202, headers={"Location": "/r"}), Reply(200, headers=headers, body=body))
    assert service.client().run("POST", "x", result=kind) == value


def test_html_is_not_a_result() -> None:
    """A page for people in place of a result is an error."""
    page = Reply(200, headers={"Content-Type": "text/html; charset=utf-8"}, body=b"<h1>Sign in</h1>")
    with pytest.raises(UnexpectedAnswer, match="HTML"):
        Service(Reply(202, headers={"Location": "/r"}), page).client().run("POST", "x")


def test_result_that_cannot_be_fetched_yet() -> None:
    """The operation has succeeded but its result answers 202: it is polled until it is there."""
    both = {"Azure-AsyncOperation": MONITOR, "Location": "/results/1"}
    service = Service(Reply(202, headers=both), SUCCEEDED, Reply(202, headers={"Retry-After": "2"}), Reply(200, [1]))
    assert service.client().run("POST", "x") == [1]
    assert service.at == [0, 0, 0, 2]


def test_result_that_cannot_be_fetched_at_all() -> None:
    """An error for the result does not make a failure of the operation, and a token goes on where it stopped."""
    service = Service(Reply(201, {}, {"Operation-Location": MONITOR}), SUCCEEDED, Reply(403), Reply(200, {"id": 1}))
    operation = service.client().start("PUT", "things/1")
    with pytest.raises(UnexpectedAnswer, match="its result"):
        operation.wait()
    assert not operation.has_completed
    token = operation.token()
    assert operation.wait() == {"id": 1}
    assert service.client().resume(token).wait() == {"id": 1}
    assert service.urls[-2:] == [f"GET {HOME}/things/1"] * 2


def test_one_request_id_for_the_whole_operation() -> None:
    """The start, the polls and the cancel carry the same id; the caller's own is taken."""
    service = Service(ACCEPTED, RUNNING, Reply(200, {"status": "Canceled"}))
    operation = service.client().start("POST", "x", headers={"x-ms-client-request-id": "mine"})
    operation.update_status()
    operation.cancel()
    assert {request.headers["x-ms-client-request-id"] for request in service.requests} == {"mine"}


def test_listing() -> None:
    """Every page is followed, with the filter as given; something that is no list is an error."""
    service = Service(
        Reply(200, {"value": [{"id": "1"}], "nextLink": "/status?skiptoken=2"}),
        Reply(200, {"value": [], "nextLink": f"{HOME}/status?skiptoken=3"}),
        Reply(200, {"value": [{"id": "2"}, "?"]}),
    )
    client = service.client()
    found = list(client.operations("status", filter="status eq 'Running'", top=5))
    assert [item["id"] for item in found] == ["1", "2"]
    assert service.urls[0] == f"GET {HOME}/status?filter=status%20eq%20%27Running%27&top=5"
    assert service.urls[1:] == [f"GET {HOME}/status?skiptoken={n}" for n in (2, 3)]
    with pytest.raises(UnexpectedAnswer):
        list(Service(Reply(200, {"items": []})).client().operations("status"))
    with pytest.raises(StartRefused):
        list(Service(Reply(400)).client().operations("status"))


def test_delete() -> None:
    """DELETE of the monitor; a service that still needs it refuses."""
    service, operation = started(SUCCEEDED, Reply(204), Reply(409))
    operation.wait()
    operation.delete()
    assert service.urls[-1] == f"DELETE {MONITOR}"
    with pytest.raises(StartRefused):
        operation.delete()


def test_answered_at_once() -> None:
    """A service that needs no operation: completed, with its value and without a monitor."""
    service = Service(Reply(200, {"n": 1}))
    operation = service.client().start("POST", "x", result=Counted)
    assert (operation.has_completed, operation.monitor_url, operation.value) == (True, None, Counted(n=1))
    assert operation.wait() == Counted(n=1)
    assert len(service.requests) == 1


def test_open() -> None:
    """An operation that somebody else has started, by its monitor's URL."""
    service = Service(RUNNING, SUCCEEDED)
    operation = service.client().open(MONITOR, result=Counted)
    assert (operation.wait(), operation.monitor_url) == (Counted(n=7), MONITOR)


def test_errors_can_be_sent_to_another_process() -> None:
    """Errors survive pickling, as process pools and test runners do it."""
    _, operation = started(Reply(200, {"status": "Failed", "error": {"code": "X", "message": "m"}}))
    with pytest.raises(LroError) as caught:
        operation.wait()
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), again.code, again.status_code) == (OperationFailed, str(caught.value), "X", 200)
