"""What is sent again and how often, over a service without sockets."""

from typing import Any

import pytest

from lro_client import (
    MonitorGone,
    Retries,
    ServiceUnreachable,
    StartRefused,
)
from tests.client.scripted import ACCEPTED, MONITOR, RUNNING, SUCCEEDED, Reply, Service, lost, started


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
