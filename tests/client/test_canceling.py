"""Canceling by profile, as rules: what is asked, and what the answer says."""

from typing import Any

import pytest

from lro_client import CancelRefused, Profile, Status
from lro_client.canceling import after_cancel, cancel_request
from lro_client.model import Reading, Source
from lro_client.polling import read
from tests.client.readings import LOC, answer, track
from tests.client.scripted import HOME, MONITOR, Reply, Service

CANCELLATION = f"{MONITOR}/cancellation"


def odata(**more: Any) -> Reading:
    return Reading(track(Source.LOCATION, profile=Profile.ODATA, **more), Status.RUNNING)


def canceling() -> Reading:
    """A DELETE of the monitor was accepted, and has a monitor of its own."""
    return after_cancel(odata(), answer(Reply(202, headers={LOC: CANCELLATION}), "DELETE"))


@pytest.mark.parametrize(
    ("profile", "source", "method", "url"),
    [
        (Profile.DATA_PLANE, Source.OPERATION_LOCATION, "POST", f"{MONITOR}:cancel?api-version=1"),
        (Profile.ARM, Source.AZURE_ASYNC_OPERATION, "POST", f"{MONITOR}/cancel?api-version=1"),
        (Profile.ODATA, Source.LOCATION, "DELETE", f"{MONITOR}?api-version=1"),
    ],
)
def test_requests(profile: Profile, source: Source, method: str, url: str) -> None:
    """Each profile has its way; the query stays where it is."""
    request = cancel_request(track(source, profile=profile, poll_url=f"{MONITOR}?api-version=1"))
    assert (request.method, request.url) == (method, url)


@pytest.mark.parametrize("source", [Source.LOCATION, Source.RESOURCE])
def test_what_has_no_way(source: Source) -> None:
    """ARM has none for what is watched at Location or at the resource; the caller may name one. Where the profile is
    not known, it may be OData's, which has one."""
    for profile, is_odata_named in ((Profile.ARM, False), (Profile.AUTO, True)):
        with pytest.raises(CancelRefused) as caught:
            cancel_request(track(source, profile=profile))
        assert ("Profile.ODATA" in str(caught.value)) is is_odata_named
    named = cancel_request(track(source, profile=Profile.ARM), "/stop")
    assert (named.method, named.url) == ("POST", f"{HOME}/stop")


@pytest.mark.parametrize("status", [200, 204])
def test_odata_cancel_at_once(status: int) -> None:
    """The DELETE of the monitor succeeded: the operation is canceled."""
    assert after_cancel(odata(), answer(Reply(status), "DELETE")).status is Status.CANCELED


@pytest.mark.parametrize("location", [None, MONITOR, "HTTPS://Contoso.Example:443/operations/1"])
def test_odata_cancel_at_the_monitor_itself(location: str | None) -> None:
    """202 that leads nowhere else: the monitor is polled on, and is gone when it is canceled; it may yet succeed."""
    headers = {} if location is None else {LOC: location}
    reading = after_cancel(odata(), answer(Reply(202, headers=headers), "DELETE"))
    assert (reading.status, reading.track.poll_url) == (Status.CANCELING, MONITOR)
    assert read(reading.track, answer(Reply(404))).status is Status.CANCELED
    late = read(reading.track, answer(Reply(200, {"n": 7}, {"AsyncResult": "200"})))
    assert late.status is Status.SUCCEEDED


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Reply(202, headers={LOC: f"{CANCELLATION}/2"}), Status.CANCELING),
        (Reply(200, headers={"AsyncResult": "204"}), Status.CANCELED),
        (Reply(200), Status.CANCELED),
        (Reply(404), Status.CANCELED),
        (Reply(200, headers={"AsyncResult": "409"}), Status.RUNNING),
    ],
)
def test_odata_cancel_that_takes_time(reply: Reply, status: Status) -> None:
    """202 with another Location: that is the monitor of the cancel, and its success is none of the operation."""
    reading = read(canceling().track, answer(reply, url=CANCELLATION))
    assert (reading.status, reading.outcome) == (status, None)


def test_odata_cancel_that_fails_in_the_end() -> None:
    """The operation goes on, is watched where it was before, and may succeed."""
    reading = read(canceling().track, answer(Reply(200, headers={"AsyncResult": "409"}), url=CANCELLATION))
    assert (reading.track.source, reading.track.poll_url) == (Source.LOCATION, MONITOR)
    assert read(reading.track, answer(Reply(200, {"n": 7}, {"AsyncResult": "200"}))).status is Status.SUCCEEDED


def test_odata_cancel_twice() -> None:
    """The second cancel asks the operation's monitor again, not that of the cancel."""
    reading = canceling()
    assert cancel_request(reading.track).url == MONITOR
    again = after_cancel(reading, answer(Reply(202, headers={LOC: CANCELLATION}), "DELETE"))
    assert (again.track.poll_url, again.track.location_url) == (CANCELLATION, MONITOR)


def test_cancel_that_finds_the_end() -> None:
    """A cancel that is answered with Succeeded came too late: the result is fetched from where it is, not taken from
    the monitor, and `try_cancel` says no."""
    created = Reply(201, {"name": "new"}, {"Operation-Location": MONITOR})
    service = Service(created, Reply(200, {"status": "Succeeded"}), Reply(200, {"name": "the resource"}))
    operation = service.client().start("PUT", "things/1", json={})
    assert operation.try_cancel() is False
    assert (operation.status, operation.value) == (Status.SUCCEEDED, {"name": "the resource"})
    assert service.urls[1:] == [f"POST {MONITOR}:cancel", f"GET {HOME}/things/1"]
    assert operation.try_cancel() is False
    assert len(service.requests) == 3


@pytest.mark.parametrize("source", [Source.LOCATION, Source.RESOURCE])
def test_answer_of_a_cancel_of_ones_own(source: Source) -> None:
    """What a URL that the caller names answers is no final answer of the operation."""
    before = Reading(track(source, profile=Profile.ARM), Status.RUNNING)
    reading = after_cancel(before, answer(Reply(200, {"status": "Canceling"}), "POST"))
    assert (reading.status, reading.outcome) == (Status.CANCELING, None)
