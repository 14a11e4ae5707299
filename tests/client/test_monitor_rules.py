"""The rules of polling as functions: what monitors, locations and resources say."""

from typing import Any

import pytest

from lro_client import FinalState, MonitorGone, Profile, ServiceUnreachable, Status, UnexpectedAnswer, UnsafeUrl
from lro_client.model import Source, status_of
from lro_client.polling import attach, begin, read
from lro_client.values import value_of
from tests.client.readings import LOC, OL, THING, answer, first, resource, state, track
from tests.client.scripted import HOME, MONITOR, Reply


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("NotStarted", Status.NOT_STARTED),
        ("Running", Status.RUNNING),
        ("InProgress", Status.RUNNING),
        ("Accepted", Status.RUNNING),
        ("Completed", Status.RUNNING),
        ("PartiallySucceeded", Status.RUNNING),
        ("FailedOver", Status.RUNNING),
        ("Canceling", Status.CANCELING),
        ("Cancelling", Status.CANCELING),
        ("succeeded", Status.SUCCEEDED),
        ("FAILED", Status.FAILED),
        ("Canceled", Status.CANCELED),
        ("cancelled", Status.CANCELED),
        (" Succeeded\n", Status.SUCCEEDED),
    ],
)
def test_words(word: str, status: Status) -> None:
    """Three words end an operation, in any case; `cancelled` is read too; every other word means that it runs."""
    assert status_of(word) is status
    assert read(track(Source.OPERATION_LOCATION), answer(state(word))).word == word


def test_monitor_of_a_delete_that_has_no_content() -> None:
    """204 is how a DELETE ends, also where a monitor says it; of anything else it says nothing."""
    for source in (Source.AZURE_ASYNC_OPERATION, Source.OPERATION_LOCATION):
        reading = read(track(source, method="DELETE"), answer(Reply(204)))
        assert (reading.status, reading.has_ended) == (Status.SUCCEEDED, True)
        with pytest.raises(UnexpectedAnswer):
            read(track(source, method="POST"), answer(Reply(204)))


OPERATION = {
    "id": "/subscriptions/1/providers/A.B/locations/c/operations/7",
    "name": "7",
    "startTime": "2026-01-01T00:00:00Z",
}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (OPERATION | {"status": "Failed", "error": {"code": "Quota", "message": "none left"}}, Status.FAILED),
        (OPERATION | {"status": "Canceled"}, Status.CANCELED),
        (OPERATION | {"status": "InProgress", "percentComplete": 5}, Status.RUNNING),
        (OPERATION | {"status": "Succeeded"}, Status.SUCCEEDED),
        ({"id": OPERATION["id"], "status": "Failed"}, Status.FAILED),
        ({"id": "/jobs/7", "name": "7", "status": "Failed"}, Status.SUCCEEDED),
        (OPERATION | {"status": "Failed", "kind": "job"}, Status.SUCCEEDED),
        ({"status": "Failed"}, Status.SUCCEEDED),
    ],
)
def test_operation_resource_behind_location(body: dict[str, Any], status: Status) -> None:
    """ARM's operation resource says how it ended, wherever it lies (msrestazure, issue 157); else it is a result."""
    reading = read(track(Source.LOCATION), answer(Reply(200, body)))
    assert reading.status is status
    assert (str(reading.error) == "Quota: none left") == ("error" in body)


@pytest.mark.parametrize(
    ("encoding", "content_type"),
    [
        ("utf-8", "application/json; charset=iso-8859-1"),
        ("utf-8-sig", ""),
        ("utf-16", "application/json; charset=utf-16"),
        ("utf-16-le", "application/json"),
        ("latin-1", 'application/json; charset="ISO-8859-1"'),
        ("cp1252", "text/json;charset=windows-1252"),
    ],
)
def test_encodings_of_a_monitor(encoding: str, content_type: str) -> None:
    """UTF-8 and its kin are told by their bytes, whatever the type says; what cannot be UTF-8 is what it says it is."""
    body = '{"id": "1", "status": "Succeeded", "result": {"n": "é"}}'.encode(encoding)
    reply = Reply(200, body=body, headers={"Content-Type": content_type} if content_type else {})
    assert read(track(Source.OPERATION_LOCATION), answer(reply)).body == state("Succeeded", result={"n": "é"}).json


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200),
        Reply(204),
        Reply(200, {"id": "1"}),
        Reply(200, {"status": None}),
        Reply(200, {"status": 3}),
        Reply(200, {"status": ""}),
        Reply(200, ["Succeeded"]),
        Reply(200, body=b"<html>Sign in</html>", headers={"Content-Type": "text/html"}),
        Reply(200, body=b'{"status": "Succ', headers={"Content-Type": "application/json"}),
        Reply(200, body=b"[" * 100_000, headers={"Content-Type": "application/json"}),
        Reply(400, {"error": {"code": "Bad"}}),
        Reply(401),
        Reply(403),
        Reply(501),
    ],
    ids=lambda reply: f"{reply.status}-{str(reply.json or reply.body)[:20]}",
)
def test_monitors_that_cannot_be_read(reply: Reply) -> None:
    """No word, no JSON, no success: an error of its own, never a guess at success or failure."""
    with pytest.raises(UnexpectedAnswer) as caught:
        read(track(Source.OPERATION_LOCATION), answer(reply))
    assert caught.value.status_code == reply.status


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("source", [Source.OPERATION_LOCATION, Source.AZURE_ASYNC_OPERATION, Source.LOCATION])
def test_gone(source: Source, status: int) -> None:
    """An operation that is not there any more has an error of its own."""
    with pytest.raises(MonitorGone):
        read(track(source), answer(Reply(status)))


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_not_now(status: int) -> None:
    """After all retries, "not now" is not a failure of the operation."""
    for source in (Source.OPERATION_LOCATION, Source.LOCATION, Source.RESOURCE):
        with pytest.raises(ServiceUnreachable):
            read(track(source), answer(Reply(status)))


def test_a_page_is_not_the_end() -> None:
    """A 500 with a page was answered by something before the service: the operation may be well."""
    text = b"<!doctype html><html><head><title>500 Internal Server Error</title></head></html>"
    for kind in ("text/html", ""):
        reply = Reply(500, headers={"Content-Type": kind} if kind else {}, body=text)
        with pytest.raises(ServiceUnreachable, match="500 Internal Server Error"):
            read(track(Source.LOCATION), answer(reply))


def test_accepted_monitor_without_a_body_runs() -> None:
    """A bare 202 on a status monitor means that it runs; a 202 with a body is read."""
    monitor = track(Source.AZURE_ASYNC_OPERATION)
    assert read(monitor, answer(Reply(202))).status is Status.RUNNING
    assert read(monitor, answer(Reply(202, {"status": "Failed"}))).status is Status.FAILED


def test_new_monitor_url_is_followed() -> None:
    """A poll that names another monitor moves the polling there; Location on a monitor's answer is ignored."""
    reading = read(
        track(Source.OPERATION_LOCATION), answer(Reply(200, {"status": "Running"}, {OL: "/operations/2", LOC: "/no"}))
    )
    assert (reading.track.poll_url, reading.track.location_url) == (f"{HOME}/operations/2", None)
    moved = read(track(Source.LOCATION), answer(Reply(202, headers={LOC: "/operations/3"})))
    assert moved.track.poll_url == f"{HOME}/operations/3"


def test_api_version_goes_along() -> None:
    """A monitor URL without api-version gets the start's; another one is left as it is."""
    started = answer(Reply(202, headers={OL: "/o?x=1"}), "POST", f"{THING}?Api-Version=2026-01-01")
    assert begin(Profile.AUTO, started).track.poll_url == f"{HOME}/o?x=1&api-version=2026-01-01"
    other = answer(Reply(202, headers={OL: "/o?api-version=2020-01-01"}), "POST", f"{THING}?api-version=2026-01-01")
    assert begin(Profile.AUTO, other).track.poll_url == f"{HOME}/o?api-version=2020-01-01"


def test_failure_and_its_error() -> None:
    """The error object of a failed or canceled monitor is kept whole; a succeeded one's is not an error."""
    raw = {"code": "NoSpace", "message": "Full.", "target": "disk", "details": [{"code": "A", "message": "B"}]}
    error = read(track(Source.OPERATION_LOCATION), answer(state("Failed", error=raw))).error
    assert error is not None
    assert (error.code, error.message, error.target, error.details[0].code) == ("NoSpace", "Full.", "disk", "A")
    assert read(track(Source.OPERATION_LOCATION), answer(state("Failed"))).error is None
    assert read(track(Source.OPERATION_LOCATION), answer(state("Failed", error="no"))).error is not None
    assert read(track(Source.OPERATION_LOCATION), answer(state("Succeeded", error=raw))).error is None


def test_results_of_monitors() -> None:
    """`result` is the value; ARM's is `properties`; the whole body only where the caller says so; DELETE has none."""

    def value(source: Source, reply: Reply, **more: Any) -> Any:
        outcome = read(track(source, **more), answer(reply)).outcome
        assert outcome is not None
        return value_of(outcome)

    assert value(Source.OPERATION_LOCATION, state("Succeeded", result={"n": 1})) == {"n": 1}
    assert value(Source.OPERATION_LOCATION, state("Succeeded", result=None)) is None
    assert value(Source.OPERATION_LOCATION, state("Succeeded", properties={"n": 1})) is None
    assert value(Source.AZURE_ASYNC_OPERATION, state("Succeeded", properties={"n": 1})) == {"n": 1}
    assert value(Source.AZURE_ASYNC_OPERATION, state("Succeeded"), method="DELETE") is None
    whole = value(Source.OPERATION_LOCATION, state("Succeeded", n=2), final_state=FinalState.OPERATION_LOCATION)
    assert whole["n"] == 2


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Reply(200, {"status": "Running"}), Status.SUCCEEDED),
        (Reply(201, {}), Status.SUCCEEDED),
        (Reply(204), Status.SUCCEEDED),
        (Reply(400, {"error": {"code": "Bad", "message": "m"}}), Status.FAILED),
        (Reply(409, {"error": {"code": "Conflict"}}), Status.FAILED),
        (Reply(409, {"error": {"code": "OperationCanceled"}}), Status.CANCELED),
        (Reply(500, {"error": {"code": "Broken", "message": "m"}}), Status.FAILED),
        (Reply(422), Status.FAILED),
    ],
    ids=lambda part: str(getattr(part, "status", part)),
)
def test_end_at_location(reply: Reply, status: Status) -> None:
    """What is not 202 is what a synchronous call would have answered: a success, or how it failed."""
    reading = read(track(Source.LOCATION), answer(reply))
    assert reading.status is status
    assert (reading.error is None) == (status is Status.SUCCEEDED)


def test_delete_and_404() -> None:
    """What is deleted may take its Location along: 404 there, or at the resource, ends a DELETE well. A status monitor
    must still be there."""
    assert read(track(Source.LOCATION, "DELETE"), answer(Reply(404))).status is Status.SUCCEEDED
    assert read(track(Source.RESOURCE, "DELETE"), answer(Reply(404))).status is Status.SUCCEEDED
    assert read(track(Source.RESOURCE, "DELETE"), answer(Reply(204))).status is Status.SUCCEEDED
    gone = (("DELETE", Source.AZURE_ASYNC_OPERATION), ("POST", Source.LOCATION), ("PUT", Source.RESOURCE))
    for method, source in gone:
        with pytest.raises(MonitorGone):
            read(track(source, method), answer(Reply(404)))
    odata = track(Source.LOCATION, "DELETE", profile=Profile.ODATA)
    with pytest.raises(MonitorGone):
        read(odata, answer(Reply(404)))


def test_resource_polling() -> None:
    """The resource's state in either place, and its error."""
    running = read(track(Source.RESOURCE, "PUT"), answer(resource("Creating")))
    assert running.status is Status.RUNNING
    top = read(track(Source.RESOURCE, "PUT"), answer(Reply(200, {"provisioningState": "Succeeded"})))
    assert top.status is Status.SUCCEEDED
    body = {"properties": {"provisioningState": "Failed", "error": {"code": "Quota", "message": "m"}}}
    failed = read(track(Source.RESOURCE, "PUT"), answer(Reply(200, body)))
    assert (failed.status, failed.error and failed.error.code) == (Status.FAILED, "Quota")


@pytest.mark.parametrize(
    ("reply", "source", "ended"),
    [
        (Reply(202), Source.LOCATION, False),
        (Reply(202, {"status": "Running"}), Source.OPERATION_LOCATION, False),
        (state("Running"), Source.OPERATION_LOCATION, False),
        (Reply(200, {"id": "/subscriptions/1", "status": "Running"}), Source.AZURE_ASYNC_OPERATION, False),
        (resource("Creating"), Source.RESOURCE, False),
        (Reply(200, {"n": 1}), Source.LOCATION, True),
        (Reply(200, {"status": "x"}, {"AsyncResult": "201"}), Source.LOCATION, True),
    ],
)
def test_a_url_tells_what_it_is(reply: Reply, source: Source, ended: bool) -> None:
    """Of what somebody else has started only a URL is known: its answer shows what kind of monitor it is."""
    reading = read(attach(Profile.AUTO, MONITOR), answer(reply))
    assert (reading.track.source, reading.has_ended) == (source, ended)


@pytest.mark.parametrize("url", ["http://contoso.example/", "ftp://contoso.example/", "//user:pass@contoso.example/"])
def test_monitors_that_are_not_followed(url: str) -> None:
    """http after https, other schemes, and URLs with a password are refused, in headers of starts and polls."""
    with pytest.raises(UnsafeUrl):
        first("POST", Reply(202, headers={OL: url}))
    with pytest.raises(UnsafeUrl):
        read(track(Source.LOCATION), answer(Reply(202, headers={LOC: url})))


def test_location_that_makes_no_sense_matters_only_if_needed() -> None:
    """A useless Location beside a monitor does not stop anything."""
    reading = first("POST", Reply(202, headers={OL: MONITOR, LOC: "http://user@x/"}))
    assert reading.track.location_url is None
