"""What is told when the time is up, a token is used, or nothing can be sent: over a service without sockets."""

from typing import Any

import pytest

import lro_client
from lro_client import (
    CancellationToken,
    InvalidRequest,
    ServiceUnreachable,
    StoppedWaiting,
    UnexpectedAnswer,
    WaitCanceled,
)
from tests.client.scripted import ACCEPTED, HOME, MONITOR, RUNNING, Reply, Service, lost, started


@pytest.mark.parametrize(
    ("trouble", "reason", "what"),
    [
        (lost(), "the connection was closed", "did not answer in time"),
        (lost(was_sent=False), "the connection was closed", "could not be reached"),
        (Reply(503, {"error": {"code": "Busy"}}), "503 Busy", "did not answer in time"),
    ],
    ids=["lost", "no connection", "503"],
)
def test_time_is_up_after_failures(trouble: Any, reason: str, what: str) -> None:
    """The time-out names the last failure. An operation that was never seen is one that could not be reached; nobody
    knows that it goes on. Where there was no connection, the time is not to blame."""
    service, operation = started(RUNNING, trouble)
    with pytest.raises(StoppedWaiting, match=f"goes on.*'Running'.*{reason}"):
        operation.wait(timeout=4)
    assert service.now == 4
    never_seen = Service(trouble).client().open(MONITOR)
    with pytest.raises(ServiceUnreachable, match=f"{MONITOR} {what}: {reason}") as caught:
        never_seen.wait(timeout=4)
    assert (caught.value.monitor_url, caught.value.status_code) == (MONITOR, 503 if "503" in reason else None)
    with pytest.raises(StoppedWaiting):
        Service(RUNNING).client().open(MONITOR).wait(timeout=0)
    with pytest.raises(ServiceUnreachable, match=f"{what}: {reason}"):
        Service(trouble).client().start("POST", "x", operation_id="1", timeout=1)
    with pytest.raises(ServiceUnreachable, match=f"{what}: {reason}"):
        list(Service(trouble).client().operations("status", timeout=1))


@pytest.mark.parametrize(
    ("script", "may_be_taken"),
    [
        ([lost(was_sent=False)], False),
        ([Reply(503)], False),
        ([lost()], True),
        ([Reply(500)], True),
        ([lost(), lost(was_sent=False)], True),
    ],
    ids=["no connection", "503", "lost", "500", "lost and no connection"],
)
def test_time_is_up_before_the_start_is_answered(script: list[Any], may_be_taken: bool) -> None:
    """A start may have been taken only where one of its tries was sent and not answered with "not now"."""
    with pytest.raises(ServiceUnreachable, match=r"did not answer in time|could not be reached") as caught:
        Service(*script).client().start("POST", "x", operation_id="1", timeout=2)
    assert ("may have taken" in str(caught.value)) is may_be_taken
    with pytest.raises(ServiceUnreachable, match=r"in time\.$"):
        Service(*script).client().start("POST", "x", timeout=0)


def test_time_is_up_while_the_monitor_lags() -> None:
    """A monitor that is not there yet is named as what failed."""
    _, operation = started(Reply(404))
    with pytest.raises(StoppedWaiting, match=r"goes on.*The last try failed: 404\."):
        operation.wait(timeout=1)


def test_cancel_at_the_end_of_the_time() -> None:
    """With `cancel_operation` the cancel has what is left of the time-out, two seconds at the least and ten at most."""
    for timeout, at, given in ((None, 3, 10.0), (60, 3, 10.0), (10, 3, 7.0), (3.5, 3, 2.0)):
        token = CancellationToken()
        service, operation = started(RUNNING)
        service.on_sleep = lambda now, token=token, at=at: token.cancel() if now >= at else None
        with pytest.raises(WaitCanceled):
            operation.wait(timeout=timeout, interval=at, cancellation=token, cancel_operation=True)
        assert (service.urls[-1], service.timeouts[-1]) == (f"POST {MONITOR}:cancel", given)


def test_note_of_a_cancel_that_hangs() -> None:
    """The note says that the time was up."""
    token = CancellationToken()
    service, operation = started(RUNNING, Reply(503, headers={"Retry-After": "60"}))
    service.on_sleep = lambda now: token.cancel()
    with pytest.raises(WaitCanceled, match="goes on") as caught:
        operation.wait(cancellation=token, cancel_operation=True)
    assert "the time was up" in caught.value.__notes__[0]
    assert service.now == pytest.approx(11)


def test_every_call_can_be_stopped() -> None:
    """Start, cancel, delete, retry and lists take a cancellation token too."""
    token = CancellationToken()
    _, operation = started(RUNNING)
    token.cancel()
    client = Service(ACCEPTED).client()
    for call in (
        lambda: client.start("POST", "x", cancellation=token),
        lambda: list(client.operations("status", cancellation=token)),
        lambda: operation.cancel(cancellation=token),
        lambda: operation.try_cancel(cancellation=token),
        lambda: operation.delete(cancellation=token),
        lambda: operation.retry(cancellation=token),
    ):
        with pytest.raises(WaitCanceled):
            call()


@pytest.mark.parametrize(
    "links",
    [
        ["/status"],
        ["HTTPS://Contoso.Example:443/status"],
        ["/status?page=2", "/status?page=3", "/status?page=2"],
    ],
)
def test_lists_that_lead_back(links: list[str]) -> None:
    """A list whose next page has been read already is no list, and not read for ever."""
    service = Service(*(Reply(200, {"value": [{"id": "1"}], "nextLink": link}) for link in links))
    with pytest.raises(UnexpectedAnswer, match="leads back"):
        list(service.client().operations("status"))
    assert len(service.requests) == len(links)


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GE T", "x", {}),
        ("", "x", {}),
        ("P\u00d6ST", "x", {}),
        ("PUT", "x#y", {}),
        ("PUT", f"{HOME}/x?y#z", {}),
        ("PUT", "x", {"a": "\u20ac"}),
        ("PUT", "x", {"a": "b\r\nc: d"}),
        ("PUT", "x", {"a b": "c"}),
        ("PUT", "x", {"": "c"}),
    ],
)
def test_what_cannot_be_sent(method: str, path: str, headers: dict[str, str]) -> None:
    """The caller's mistake is told at once, and nothing is sent."""
    service = Service(ACCEPTED)
    with pytest.raises(InvalidRequest) as caught:
        service.client(api_version="1").start(method, path, headers=headers)
    assert isinstance(caught.value, ValueError)
    assert service.requests == []
    if headers:
        with pytest.raises(InvalidRequest):
            service.client(headers=headers)


def test_paths_need_an_endpoint() -> None:
    """Without one only whole URLs can be asked."""
    with pytest.raises(InvalidRequest, match="endpoint"), lro_client.LroClient() as client:
        client.start("POST", "x")
    with pytest.raises(InvalidRequest, match="#"):
        lro_client.LroClient(f"{HOME}/#x")
