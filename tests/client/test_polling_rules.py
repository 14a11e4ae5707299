"""The rules of polling as functions: what the first answer says."""

import pytest

from lro_client import Profile, Status, UnexpectedAnswer
from lro_client.model import Source
from lro_client.polling import read
from lro_client.values import value_of
from tests.client.readings import AAO, LOC, OL, THING, answer, first, resource, state, track
from tests.client.scripted import HOME, MONITOR, Reply


@pytest.mark.parametrize(
    ("profile", "headers", "source", "url"),
    [
        ("auto", {OL: "/o", AAO: "/a", LOC: "/l"}, Source.OPERATION_LOCATION, "/o"),
        ("data-plane", {AAO: "/a", LOC: "/l"}, Source.AZURE_ASYNC_OPERATION, "/a"),
        ("arm", {OL: "/o", AAO: "/a", LOC: "/l"}, Source.AZURE_ASYNC_OPERATION, "/a"),
        ("arm", {OL: "/o"}, Source.OPERATION_LOCATION, "/o"),
        ("auto", {LOC: "/l"}, Source.LOCATION, "/l"),
        ("odata", {OL: "/o", AAO: "/a", LOC: "/l"}, Source.LOCATION, "/l"),
    ],
)
def test_which_header_is_polled(profile: str, headers: dict[str, str], source: Source, url: str) -> None:
    """Operation-Location, Azure-AsyncOperation, Location; ARM prefers its own, OData knows Location alone."""
    reading = first("POST", Reply(202, headers=headers), Profile(profile))
    assert (reading.track.source, reading.track.poll_url, reading.status) == (source, HOME + url, Status.NOT_STARTED)


@pytest.mark.parametrize("name", [OL, AAO, LOC])
def test_header_names_in_any_case(name: str) -> None:
    """HTTP field names have no case."""
    assert first("POST", Reply(202, headers={name.upper(): "/x"})).track.poll_url == f"{HOME}/x"


@pytest.mark.parametrize("name", [OL, AAO, LOC])
def test_headers_without_a_value(name: str) -> None:
    """A header that says nothing names no monitor: of an ARM PUT the resource is polled, a POST cannot be watched."""
    put = first("PUT", Reply(202, headers={name: " "}), Profile.ARM)
    assert (put.track.source, put.track.poll_url) == (Source.RESOURCE, THING)
    with pytest.raises(UnexpectedAnswer, match="named no URL to watch it at"):
        first("POST", Reply(202, headers={name: " "}))


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_monitor_headers_count_on_every_success(method: str, status: int) -> None:
    """200, 201 and 202 are all polled where they name a monitor, even if the resource says that it is ready."""
    ready = resource("Succeeded", status).json
    reading = first(method, Reply(status, ready, {AAO: MONITOR}))
    assert (reading.track.source, reading.has_ended) == (Source.AZURE_ASYNC_OPERATION, False)


def test_patch_answered_200_is_done() -> None:
    """Its headers are not followed; a 202 is."""
    assert first("PATCH", Reply(200, {"a": 1}, {OL: MONITOR})).has_ended
    assert not first("PATCH", Reply(202, {"a": 1}, {OL: MONITOR})).has_ended


def test_location_of_a_created_resource_is_not_polled() -> None:
    """201 with Location is what HTTP says of any new resource."""
    reading = first("POST", Reply(201, {"id": "7"}, {LOC: "/things/7"}))
    assert reading.status is Status.SUCCEEDED
    assert reading.track.monitor_url is None


def test_accepted_body_may_be_the_last_word() -> None:
    """A 202 whose body is a finished monitor needs no poll, and its result is there."""
    reply = Reply(202, {"id": "1", "status": "Succeeded", "result": {"n": 1}}, {OL: MONITOR})
    reading = first("POST", reply)
    assert reading.outcome is not None
    assert (reading.status, value_of(reading.outcome)) == (Status.SUCCEEDED, {"n": 1})
    failed = first("DELETE", Reply(202, {"status": "Failed", "error": {"code": "No"}}, {OL: MONITOR}))
    assert (failed.status, failed.error and failed.error.code) == (Status.FAILED, "No")


@pytest.mark.parametrize("word", ["Succeeded", "Failed", "Canceled", "Provisioning"])
def test_status_of_a_put_resource_says_nothing(word: str) -> None:
    """The body of a PUT's answer is the resource, whose own status is not the operation's."""
    reading = first("PUT", Reply(201, {"id": "1", "status": word}, {OL: MONITOR}))
    assert reading.status is Status.NOT_STARTED


def test_put_of_an_operation_is_its_own_monitor() -> None:
    """Where the operation itself was put, its answer is the monitor, and no resource is read at the end."""
    url = f"{THING}?api-version=1"
    reading = first("PUT", Reply(201, {"id": "1", "status": "Running"}, {OL: url}))
    assert (reading.status, reading.word) == (Status.RUNNING, "Running")
    ended = read(reading.track, answer(state("Succeeded", result=[1]), url=url))
    assert ended.outcome is not None
    assert value_of(ended.outcome) == [1]


@pytest.mark.parametrize(
    ("method", "status", "word", "expected"),
    [
        ("PUT", 201, "Creating", Status.RUNNING),
        ("PUT", 200, "Updating", Status.RUNNING),
        ("PUT", 200, "Succeeded", Status.SUCCEEDED),
        ("PUT", 200, None, Status.SUCCEEDED),
        ("PUT", 201, "Failed", Status.FAILED),
        ("PATCH", 200, "canceled", Status.CANCELED),
        ("DELETE", 200, "Deleting", Status.RUNNING),
    ],
)
def test_arm_without_headers(method: str, status: int, word: str | None, expected: Status) -> None:
    """The resource's provisioningState decides, and the resource itself is polled."""
    reading = first(method, resource(word, status), Profile.ARM)
    assert reading.status is expected
    if not reading.has_ended:
        assert (reading.track.source, reading.track.poll_url) == (Source.RESOURCE, THING)


def test_provisioning_state_is_arms() -> None:
    """A data-plane or OData resource that happens to have one is done when it is answered."""
    for profile in (Profile.DATA_PLANE, Profile.ODATA):
        assert first("PUT", resource("Creating", 201), profile).has_ended


@pytest.mark.parametrize("method", ["POST", "DELETE", "GET"])
def test_accepted_without_a_monitor(method: str) -> None:
    """202 that names no monitor is an error, not a success: nobody could tell how it ends."""
    with pytest.raises(UnexpectedAnswer, match="no URL to watch"):
        first(method, Reply(202))


def test_accepted_put_without_a_monitor_polls_the_resource() -> None:
    """ARM's old model: the resource's URL is the monitor."""
    assert first("PUT", Reply(202), Profile.ARM).track.source is Source.RESOURCE
    with pytest.raises(UnexpectedAnswer):
        first("PUT", Reply(202), Profile.DATA_PLANE)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_errors(status: int) -> None:
    """Neither a start nor a poll follows a redirect, and the error says so."""
    reply = Reply(status, headers={LOC: "https://elsewhere.example/"})
    with pytest.raises(UnexpectedAnswer, match="redirects are not followed"):
        first("POST", reply)
    for source in (Source.OPERATION_LOCATION, Source.LOCATION, Source.RESOURCE, Source.RESULT):
        with pytest.raises(UnexpectedAnswer, match="redirects are not followed"):
            read(track(source), answer(reply))


@pytest.mark.parametrize("status", [200, 201])
def test_location_of_a_resource_that_goes_on(status: int) -> None:
    """A PUT that is still provisioning is polled at its Location, which says why it failed; unless that is itself."""
    reply = resource("Creating", status)
    elsewhere = first("PUT", Reply(status, reply.json, {LOC: "/operationResults/1"}), Profile.ARM)
    assert (elsewhere.track.source, elsewhere.track.poll_url) == (Source.LOCATION, f"{HOME}/operationResults/1")
    itself = first("PUT", Reply(status, reply.json, {LOC: f"{THING}?api-version=1"}), Profile.ARM)
    assert (itself.track.source, itself.track.poll_url) == (Source.RESOURCE, THING)
    patched = first("PATCH", Reply(200, reply.json, {LOC: "/operationResults/1"}), Profile.ARM)
    assert (patched.track.source, patched.track.poll_url) == (Source.RESOURCE, THING)
    ready = first("PUT", Reply(status, resource("Succeeded").json, {LOC: "/operationResults/1"}), Profile.ARM)
    assert ready.has_ended
