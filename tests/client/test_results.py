"""Results of every kind, lists, and what is fetched besides, over a service without sockets."""

import pickle
from typing import Any

import pytest

from lro_client import (
    OperationFailed,
    ResultMismatch,
    StartRefused,
    UnexpectedAnswer,
)
from lro_client.errors import LroError
from tests.client.scripted import ACCEPTED, HOME, MONITOR, RUNNING, SUCCEEDED, Counted, Reply, Service, started


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


@pytest.mark.parametrize(
    "script",
    [
        [Reply(200, {"n": 7})],
        [Reply(200, headers={"Content-Type": "text/html"}, body=b"<p>gone</p>")],
        [Reply(200, headers={"Content-Type": "application/json"}, body=b"{no JSON")],
        [Reply(202, headers={"Location": "/r"}), Reply(200, {"n": 7})],
        [Reply(202, headers={"Location": "/r"}), Reply(200, headers={"Content-Type": "text/html"}, body=b"<p>")],
        [ACCEPTED, SUCCEEDED],
    ],
    ids=["JSON", "HTML", "no JSON", "Location", "HTML at Location", "monitor"],
)
def test_last_answer_to_a_delete(script: list[Reply]) -> None:
    """What is deleted leaves no value, whatever the last answer holds and says of itself; a type that is asked for is
    read from it."""
    assert Service(*script).client().run("DELETE", "things/1") is None
    arm = Service(*script).client("ArmClient", None, endpoint=HOME, api_version="1")
    assert arm.delete("/things/1").wait() is None
    if script[-1].json is not None:
        assert Service(*script).client().run("DELETE", "things/1", result=Counted) == Counted(n=7)


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
