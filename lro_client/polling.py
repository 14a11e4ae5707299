"""The rules of polling, without I/O: from an answer to what it says of the operation, and to what is asked next.

Sources: Azure REST API Guidelines, "Long-Running Operations & Jobs"; ARM RPC, `async-api-reference.md`; OData 4.01
Protocol, 11.6 "Asynchronous Requests"; `x-ms-long-running-operation-options` of autorest. Where these are silent, the
common ground of azure-core, Azure.Core and @azure/core-lro is taken.
"""

from dataclasses import replace
from typing import Any, cast

from lro_client.errors import MonitorGone, ServiceUnreachable, UnexpectedAnswer, UnsafeUrl
from lro_client.messages import Answer, ErrorDetail, error_detail, error_of
from lro_client.model import NOTHING, FinalState, Outcome, Profile, Reading, Source, Status, Track, status_of
from lro_client.odata_answers import unwrap
from lro_client.pacing import TRANSIENT
from lro_client.urls import last_segment, resolve, same_resource, with_api_version

_CANCELED_CODES = frozenset({"operationcanceled", "operationcancelled", "canceled", "cancelled"})
_POST_KEEPS_MONITOR = frozenset({FinalState.AZURE_ASYNC_OPERATION, FinalState.OPERATION_LOCATION})


def begin(profile: Profile, answer: Answer, final_state: FinalState | None = None) -> Reading:
    """What the first answer to a start says; it is 2xx or 3xx.

    `Operation-Location` is polled before `Azure-AsyncOperation` (ARM: after it), and both before a 202's `Location`.
    OData knows `Location` alone. An ARM resource that is still provisioning is polled itself.

    Raises:
        UnexpectedAnswer: a redirect, or a 202 that names no monitor.
        UnsafeUrl: the monitor's URL is not followed.
    """
    if not 200 <= answer.status_code < 300:
        raise _unreadable(answer, "The start")
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
        track = _pointed(track, source, _followed(track, answer.url, found))
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
        return _read_location(track, answer)
    if track.source is Source.RESOURCE:
        return _read_resource(track, answer)
    if track.source is Source.RESULT:
        return _read_result(track, answer)
    return _read_monitor(track, answer)


# --- the first answer -------------------------------------------------------------------------------------------------


def _monitor_header(profile: Profile, answer: Answer) -> tuple[Source, str | None]:
    if profile is Profile.ODATA:
        return Source.NONE, None
    order = [Source.OPERATION_LOCATION, Source.AZURE_ASYNC_OPERATION]
    for source in reversed(order) if profile is Profile.ARM else order:
        if found := answer.headers.get(source.value):
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
    is_monitor = answer.status_code == 202 if track.method != "PUT" else _is_own_monitor(track)
    if body is None or not is_monitor or not isinstance(body.get("status"), str):
        return Reading(track, Status.NOT_STARTED)
    return _of_monitor(track, answer, body)


def _accepted(track: Track, answer: Answer) -> Reading:
    if (found := answer.headers.get("location")) is not None:
        track = _pointed(track, Source.LOCATION, _followed(track, answer.url, found))
        return Reading(track, Status.NOT_STARTED, body=answer.object())
    if track.method in ("PUT", "PATCH") and track.profile in (Profile.ARM, Profile.AUTO):
        return Reading(_pointed(track, Source.RESOURCE, track.start_url), Status.RUNNING, body=answer.object())
    raise UnexpectedAnswer("The service accepted the request with 202 but named no URL to watch it at.", answer=answer)


def _provisioned(track: Track, answer: Answer) -> Reading:
    """ARM without headers: the body's `provisioningState` decides (ARM RPC, "provisioningState property")."""
    word = _provisioning_state(answer.object())
    waits_for_body = track.profile is Profile.ARM and answer.status_code == 201 and not answer.body.strip()
    if word is None and not waits_for_body:
        return _complete(track, answer)
    track = _pointed(track, Source.RESOURCE, track.start_url)
    if word is None:
        return Reading(track, Status.RUNNING)
    return _of_resource(track, answer, word)


def _complete(track: Track, answer: Answer) -> Reading:
    return Reading(track, Status.SUCCEEDED, outcome=Outcome(answer) if answer.body else NOTHING)


# --- polls ------------------------------------------------------------------------------------------------------------


def _recognised(answer: Answer) -> Source:
    """What kind of monitor it is that answers like this."""
    if "asyncresult" in answer.headers or answer.media_type == "application/http":
        return Source.LOCATION
    body = answer.object() or {}
    if isinstance(body.get("status"), str):
        is_arm = str(body.get("id", "")).startswith("/")
        return Source.AZURE_ASYNC_OPERATION if is_arm else Source.OPERATION_LOCATION
    if answer.status_code == 200 and _provisioning_state(body) is not None:
        return Source.RESOURCE
    return Source.LOCATION


def _read_monitor(track: Track, answer: Answer) -> Reading:
    if not 200 <= answer.status_code < 300:
        raise _unreadable(answer, "The status monitor")
    for source in (Source.OPERATION_LOCATION, Source.AZURE_ASYNC_OPERATION):
        if found := answer.headers.get(source.value):
            track = replace(track, poll_url=_followed(track, answer.url, found))
    if answer.status_code == 202 and not answer.body.strip():
        return Reading(track, Status.RUNNING)
    body = answer.object()
    if body is None:
        raise UnexpectedAnswer(
            f"The status monitor answered {answer.status_code} with {_shown(answer)} instead of a JSON object.",
            answer=answer,
        )
    word = body.get("status")
    if not isinstance(word, str) or not word:
        raise UnexpectedAnswer("The status monitor has no 'status' that is a word.", answer=answer)
    return _of_monitor(track, answer, body)


def _of_monitor(track: Track, answer: Answer, body: dict[str, Any]) -> Reading:
    word = cast("str", body["status"])
    status = status_of(word)
    shown: Any = body.get("name" if track.source is Source.AZURE_ASYNC_OPERATION else "id")
    if isinstance(shown, str) and shown:
        track = replace(track, operation_id=shown)
    if status is not Status.SUCCEEDED:
        error = error_detail(body.get("error")) if status.is_terminal else None
        return Reading(track, status, word, body, error)
    if (url := final_url(track, body)) is not None:
        return Reading(replace(track, source=Source.RESULT, poll_url=url), Status.RUNNING, word, body)
    return Reading(track, status, word, body, outcome=_in_monitor(track, answer, body))


def final_url(track: Track, body: dict[str, Any]) -> str | None:
    """The URL that has the result of an operation whose monitor says Succeeded; None where the monitor has it.

    The first rule that fits: `final-state-via` Location; POST that keeps to its monitor; the original URL where asked
    for; the body's `resourceLocation`; the original URL of PUT and PATCH; the `Location` of a POST. The answer to a
    DELETE is only looked up where its final state is said to be at `Location`.
    """
    if track.final_state is FinalState.LOCATION and track.location_url:
        return _followed(track, track.poll_url, track.location_url)
    if track.method == "POST" and track.final_state in _POST_KEEPS_MONITOR:
        return None
    if _is_own_monitor(track) or track.method == "DELETE":
        return None
    if track.final_state is FinalState.ORIGINAL_URI:
        return track.start_url
    named = body.get("resourceLocation")
    if isinstance(named, str) and named:
        return _followed(track, track.poll_url, named)
    if track.method in ("PUT", "PATCH"):
        return track.start_url
    if track.location_url and track.method == "POST":
        return _followed(track, track.poll_url, track.location_url)
    return None


def _in_monitor(track: Track, answer: Answer, body: dict[str, Any]) -> Outcome:
    """`result` (data plane), `properties` (ARM); the whole body only where the caller said that it is the result."""
    if "result" in body:
        return Outcome(answer, "result")
    if track.source is Source.AZURE_ASYNC_OPERATION and body.get("properties") is not None:
        return Outcome(answer, "properties")
    return Outcome(answer) if track.method == "POST" and track.final_state in _POST_KEEPS_MONITOR else NOTHING


def _read_location(track: Track, answer: Answer) -> Reading:
    """202 until the end, then exactly what a synchronous call would have answered (ARM RPC, "202 Accepted and Location
    Headers"), or that enclosed as OData has it."""
    final = unwrap(answer)
    is_enclosed = final is not answer
    if answer.status_code == 202 and not is_enclosed:
        if found := answer.headers.get("location"):
            track = replace(track, poll_url=_followed(track, answer.url, found))
        return Reading(track, _while_accepted(track, answer), body=answer.object())
    if 200 <= final.status_code < 300:
        return Reading(track, Status.SUCCEEDED, outcome=Outcome(final) if final.body else NOTHING)
    if not is_enclosed:
        if answer.status_code in (404, 410) and track.cancel_asked:
            return Reading(track, Status.CANCELED)
        if answer.status_code == 404 and track.method == "DELETE" and track.profile is not Profile.ODATA:
            return Reading(track, Status.SUCCEEDED, outcome=NOTHING)
        if answer.status_code in (401, 403, 404, 410) or answer.status_code < 400 or _is_not_now(answer):
            raise _unreadable(answer, "The monitor")
    error = error_of(final) or ErrorDetail(None, f"The request ended with status {final.status_code}.")
    is_canceled = (error.code or "").lower() in _CANCELED_CODES
    return Reading(track, Status.CANCELED if is_canceled else Status.FAILED, error=error, outcome=Outcome(final))


def _while_accepted(track: Track, answer: Answer) -> Status:
    if track.cancel_asked:
        return Status.CANCELING
    word: Any = (answer.object() or {}).get("status")
    status = status_of(word) if isinstance(word, str) else Status.RUNNING
    return Status.RUNNING if status.is_terminal else status


def _is_not_now(answer: Answer) -> bool:
    """A 500 that explains itself is how the operation ended; one that does not is an accident."""
    return answer.status_code in TRANSIENT and not (answer.status_code == 500 and error_of(answer) is not None)


def _read_resource(track: Track, answer: Answer) -> Reading:
    if answer.status_code in (204, 404) and track.method == "DELETE":
        return Reading(track, Status.SUCCEEDED, outcome=NOTHING)
    if not 200 <= answer.status_code < 300:
        raise _unreadable(answer, "The resource")
    if answer.object() is None:
        raise UnexpectedAnswer(f"The resource answered with {_shown(answer)} instead of a JSON object.", answer=answer)
    return _of_resource(track, answer, _provisioning_state(answer.object()))


def _of_resource(track: Track, answer: Answer, word: str | None) -> Reading:
    """A resource without `provisioningState` is ready (ARM RPC, "provisioningState property")."""
    ready = Status.RUNNING if answer.status_code == 202 else Status.SUCCEEDED
    status = ready if word is None else status_of(word)
    body = answer.object()
    if status is Status.SUCCEEDED:
        return Reading(track, status, word, body, outcome=Outcome(answer))
    properties: Any = (body or {}).get("properties")
    told = cast("dict[str, Any]", properties).get("error") if isinstance(properties, dict) else None
    error = error_detail(told) or error_detail((body or {}).get("error"))
    return Reading(track, status, word, body, error if status.is_terminal else None)


def _provisioning_state(body: dict[str, Any] | None) -> str | None:
    if body is None:
        return None
    properties: Any = body.get("properties")
    inner: Any = cast("dict[str, Any]", properties).get("provisioningState") if isinstance(properties, dict) else None
    word = inner if inner is not None else body.get("provisioningState")
    return word if isinstance(word, str) and word else None


def _read_result(track: Track, answer: Answer) -> Reading:
    if answer.status_code == 202:
        # Its `Location` is not ready yet: from here on it is polled like any other.
        return _read_location(replace(track, source=Source.LOCATION), answer)
    if 200 <= answer.status_code < 300:
        return Reading(track, Status.SUCCEEDED, outcome=Outcome(answer) if answer.body else NOTHING)
    if answer.status_code == 404 and track.method == "DELETE":
        return Reading(track, Status.SUCCEEDED, outcome=NOTHING)
    raise _unreadable(answer, "The operation succeeded, but its result")


# --- small things -----------------------------------------------------------------------------------------------------


def _is_own_monitor(track: Track) -> bool:
    """The operation was put at its own URL, so the original URL is the monitor and no result."""
    return track.monitor_url is not None and same_resource(track.monitor_url, track.start_url)


def _followed(track: Track, base: str, found: str) -> str:
    return with_api_version(resolve(base, found), track.start_url)


def _location(answer: Answer) -> str | None:
    """The first answer's `Location`. One that makes no sense matters only to who needs it."""
    found = answer.headers.get("location")
    if found is None:
        return None
    try:
        return resolve(answer.url, found)
    except UnsafeUrl:
        return None


def _unreadable(answer: Answer, what: str) -> UnexpectedAnswer | ServiceUnreachable:
    code = answer.status_code
    if 300 <= code < 400:
        return UnexpectedAnswer(f"{what} answered {code}: redirects are not followed.", answer=answer)
    if code in (404, 410):
        return MonitorGone(f"{what} answered {code}: there is no such operation, or it has expired.", answer=answer)
    said = error_of(answer)
    tail = f": {said}" if said else f" with {_shown(answer)}."
    if code in TRANSIENT:
        return ServiceUnreachable(f"{what} still answered {code} after all retries{tail}", answer=answer)
    return UnexpectedAnswer(f"{what} could not be read: {code}{tail}", answer=answer)


def _shown(answer: Answer) -> str:
    return f"{answer.media_type or 'a body without a type'} ({len(answer.body)} bytes)" if answer.body else "no body"
