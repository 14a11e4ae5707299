"""The rules of polling, without I/O: from an answer to what it says of the operation, and to what is asked next.

Sources: Azure REST API Guidelines, "Long-Running Operations & Jobs"; ARM RPC, `async-api-reference.md`; OData 4.01
Protocol, 11.6 "Asynchronous Requests"; `x-ms-long-running-operation-options` of autorest. Where these are silent, the
common ground of azure-core, Azure.Core and @azure/core-lro is taken.
"""

from dataclasses import replace

from lro_client.errors import UnexpectedAnswer, UnsafeUrl
from lro_client.locations import read_cancellation, read_location, read_result
from lro_client.messages import Answer
from lro_client.model import NOTHING, FinalState, Outcome, Profile, Reading, Source, Status, Track, status_of
from lro_client.monitors import (
    followed,
    is_own_monitor,
    of_monitor,
    of_resource,
    provisioning_state,
    read_monitor,
    read_resource,
    unreadable,
)
from lro_client.urls import last_segment, resolve, same_resource


def begin(profile: Profile, answer: Answer, final_state: FinalState | None = None) -> Reading:
    """What the first answer to a start says; it is 2xx or 3xx.

    `Operation-Location` is polled before `Azure-AsyncOperation` (ARM: after it), and both before a 202's `Location`.
    OData knows `Location` alone. An ARM resource that is still provisioning is polled itself.

    Raises:
        UnexpectedAnswer: a redirect, or a 202 that names no monitor.
        UnsafeUrl: the monitor's URL is not followed.
    """
    if not 200 <= answer.status_code < 300:
        raise unreadable(answer, "The start")
    track = Track(
        profile=profile,
        method=answer.method.upper(),
        start_url=answer.url,
        source=Source.NONE,
        poll_url=answer.url,
        location_url=_location(answer),
        final_state=final_state,
        operation_id=answer.headers.get("operation-id"),
    )
    source, found = _monitor_header(profile, answer)
    if found is not None and answer.status_code in (200, 201, 202) and not _is_done_patch(answer):
        track = _pointed(track, source, followed(track, answer.url, found))
        return _first_monitor(track, answer)
    if answer.status_code == 202:
        return _accepted(track, answer)
    if profile in (Profile.ARM, Profile.AUTO) and answer.method.upper() in ("PUT", "PATCH", "DELETE"):
        return _provisioned(track, answer)
    return _complete(track, answer)


def attach(profile: Profile, url: str) -> Track:
    """What is known of an operation of which somebody has the monitor's URL only."""
    source = Source.LOCATION if profile is Profile.ODATA else Source.UNKNOWN
    return Track(profile, "POST", url, source, url, monitor_url=url)


def read(track: Track, answer: Answer) -> Reading:
    """What the answer to a poll says.

    Raises:
        MonitorGone: 404 or 410, where that is not an end.
        ServiceUnreachable: the answer is "not now".
        UnexpectedAnswer: the state could not be read from it.
        UnsafeUrl: it names a monitor whose URL is not followed.
    """
    if track.source is Source.UNKNOWN:
        track = replace(track, source=_recognised(answer))
    if track.source is Source.LOCATION:
        return read_location(track, answer)
    if track.source is Source.RESOURCE:
        return read_resource(track, answer)
    if track.source is Source.RESULT:
        return read_result(track, answer)
    if track.source is Source.CANCELLATION:
        return read_cancellation(track, answer)
    return read_monitor(track, answer)


def _monitor_header(profile: Profile, answer: Answer) -> tuple[Source, str | None]:
    if profile is Profile.ODATA:
        return Source.NONE, None
    order = [Source.OPERATION_LOCATION, Source.AZURE_ASYNC_OPERATION]
    for source in reversed(order) if profile is Profile.ARM else order:
        if found := answer.headers.get(source.value, "").strip():
            return source, found
    return Source.NONE, None


def _is_done_patch(answer: Answer) -> bool:
    """A PATCH answered 200 is done, whatever headers it has (Azure.Core and ARM clients agree)."""
    return answer.method.upper() == "PATCH" and answer.status_code == 200


def _pointed(track: Track, source: Source, url: str) -> Track:
    operation_id = track.operation_id or last_segment(url)
    return replace(track, source=source, poll_url=url, monitor_url=url, operation_id=operation_id)


def _first_monitor(track: Track, answer: Answer) -> Reading:
    """The body of a 202 is the monitor itself, so it can be the last word. A PUT's body is the resource, whose own
    `status` says nothing of the operation, unless the operation is what was put."""
    body = answer.object()
    is_monitor = answer.status_code == 202 if track.method != "PUT" else is_own_monitor(track)
    if body is None or not is_monitor or not isinstance(body.get("status"), str):
        return Reading(track, Status.NOT_STARTED)
    return of_monitor(track, answer, body)


def _accepted(track: Track, answer: Answer) -> Reading:
    if found := answer.headers.get("location", "").strip():
        track = _pointed(track, Source.LOCATION, followed(track, answer.url, found))
        return Reading(track, Status.NOT_STARTED, body=answer.object())
    if track.method in ("PUT", "PATCH") and track.profile in (Profile.ARM, Profile.AUTO):
        return Reading(_pointed(track, Source.RESOURCE, track.start_url), Status.RUNNING, body=answer.object())
    raise UnexpectedAnswer("The service accepted the request with 202 but named no URL to watch it at.", answer=answer)


def _provisioned(track: Track, answer: Answer) -> Reading:
    """ARM without a monitor's header: the body's `provisioningState` decides (ARM RPC, "provisioningState property").

    While it goes on, a `Location` is polled, which says why it failed; but neither one that is the resource itself, as
    any 201 may name it, nor that of a PATCH answered 200.
    """
    word = provisioning_state(answer.object())
    waits_for_body = track.profile is Profile.ARM and answer.status_code == 201 and not answer.body.strip()
    if word is None and not waits_for_body:
        return _complete(track, answer)
    goes_on = (word is None or not status_of(word).is_terminal) and not _is_done_patch(answer)
    if goes_on and track.location_url and not same_resource(track.location_url, track.start_url):
        url = followed(track, answer.url, track.location_url)
        return Reading(_pointed(track, Source.LOCATION, url), Status.RUNNING, word, answer.object())
    track = _pointed(track, Source.RESOURCE, track.start_url)
    if word is None:
        return Reading(track, Status.RUNNING)
    return of_resource(track, answer, word)


def _complete(track: Track, answer: Answer) -> Reading:
    return Reading(track, Status.SUCCEEDED, outcome=Outcome(answer) if answer.body else NOTHING)


def _recognised(answer: Answer) -> Source:
    """What kind of monitor it is that answers like this."""
    if "asyncresult" in answer.headers or answer.media_type == "application/http":
        return Source.LOCATION
    body = answer.object() or {}
    if isinstance(body.get("status"), str):
        is_arm = str(body.get("id", "")).startswith("/")
        return Source.AZURE_ASYNC_OPERATION if is_arm else Source.OPERATION_LOCATION
    if answer.status_code == 200 and provisioning_state(body) is not None:
        return Source.RESOURCE
    return Source.LOCATION


def _location(answer: Answer) -> str | None:
    """The first answer's `Location`. One that makes no sense matters only to who needs it."""
    found = answer.headers.get("location")
    if found is None:
        return None
    try:
        return resolve(answer.url, found)
    except UnsafeUrl:
        return None
