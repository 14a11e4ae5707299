"""What status monitors say, and resources that are still provisioning. Without I/O; see `lro_client.polling`."""

from dataclasses import replace
from typing import Any, cast

from lro_client.errors import MonitorGone, ServiceUnreachable, UnexpectedAnswer
from lro_client.messages import Answer
from lro_client.model import NOTHING, FinalState, Outcome, Reading, Source, Status, Track, status_of
from lro_client.pacing import TRANSIENT
from lro_client.reasons import error_of, reason_of
from lro_client.urls import resolve, same_resource, with_api_version

_POST_KEEPS_MONITOR = frozenset({FinalState.AZURE_ASYNC_OPERATION, FinalState.OPERATION_LOCATION})


def read_monitor(track: Track, answer: Answer) -> Reading:
    if not 200 <= answer.status_code < 300:
        raise unreadable(answer, "The status monitor")
    for source in (Source.OPERATION_LOCATION, Source.AZURE_ASYNC_OPERATION):
        if found := answer.headers.get(source.value):
            track = replace(track, poll_url=followed(track, answer.url, found))
    if answer.status_code == 202 and not answer.body.strip():
        return Reading(track, Status.RUNNING)
    if answer.status_code == 204 and track.method == "DELETE":
        # Some services answer what a synchronous DELETE would have answered (azure-sdk-for-net, issues 44640, 52402).
        return Reading(track, Status.SUCCEEDED, outcome=NOTHING)
    body = answer.object()
    if body is None:
        raise UnexpectedAnswer(
            f"The status monitor answered {answer.status_code} with {_shown(answer)} instead of a JSON object.",
            answer=answer,
        )
    word = body.get("status")
    if not isinstance(word, str) or not word:
        raise UnexpectedAnswer("The status monitor has no 'status' that is a word.", answer=answer)
    return of_monitor(track, answer, body)


def of_monitor(track: Track, answer: Answer, body: dict[str, Any]) -> Reading:
    word = cast("str", body["status"])
    status = status_of(word)
    shown: Any = body.get("name" if track.source is Source.AZURE_ASYNC_OPERATION else "id")
    if isinstance(shown, str) and shown:
        track = replace(track, operation_id=shown)
    if status is not Status.SUCCEEDED:
        return Reading(track, status, word, body, reason_of(body) if status.is_terminal else None)
    if (url := final_url(track, body)) is not None:
        return Reading(replace(track, source=Source.RESULT, poll_url=url), Status.RUNNING, word, body)
    return Reading(track, status, word, body, outcome=_in_monitor(track, answer, body))


def final_url(track: Track, body: dict[str, Any]) -> str | None:
    """The URL that has the result of an operation whose monitor says Succeeded; None where the monitor has it.

    The first rule that fits: `final-state-via` Location; POST that keeps to its monitor; the original URL where asked
    for; the body's `resourceLocation`; the original URL of PUT and PATCH; the `Location` of a POST. The answer to a
    DELETE is only looked up where its final state is said to be at `Location`, and an original URL that is the monitor
    itself is none.
    """
    if track.final_state is FinalState.LOCATION and track.location_url:
        return followed(track, track.poll_url, track.location_url)
    if track.method == "POST" and track.final_state in _POST_KEEPS_MONITOR:
        return None
    if track.method == "DELETE":
        return None
    is_own = is_own_monitor(track)
    if track.final_state is FinalState.ORIGINAL_URI and not is_own:
        return track.start_url
    named: Any = body.get("resourceLocation")
    if not isinstance(named, str) or not named:
        if is_own:
            return None
        if track.method in ("PUT", "PATCH"):
            return track.start_url
        named = track.location_url if track.method == "POST" else None
    return followed(track, track.poll_url, named) if named else None


def _in_monitor(track: Track, answer: Answer, body: dict[str, Any]) -> Outcome:
    """`result` (data plane), `properties` (ARM); the whole body only where the caller said that it is the result."""
    if "result" in body:
        return Outcome(answer, "result")
    if track.source is Source.AZURE_ASYNC_OPERATION and body.get("properties") is not None:
        return Outcome(answer, "properties")
    return Outcome(answer) if track.method == "POST" and track.final_state in _POST_KEEPS_MONITOR else NOTHING


def read_resource(track: Track, answer: Answer) -> Reading:
    if answer.status_code in (204, 404) and track.method == "DELETE":
        return Reading(track, Status.SUCCEEDED, outcome=NOTHING)
    if not 200 <= answer.status_code < 300:
        raise unreadable(answer, "The resource")
    if answer.object() is None:
        raise UnexpectedAnswer(f"The resource answered with {_shown(answer)} instead of a JSON object.", answer=answer)
    return of_resource(track, answer, provisioning_state(answer.object()))


def of_resource(track: Track, answer: Answer, word: str | None) -> Reading:
    """A resource without `provisioningState` is ready (ARM RPC, "provisioningState property")."""
    ready = Status.RUNNING if answer.status_code == 202 else Status.SUCCEEDED
    status = ready if word is None else status_of(word)
    body = answer.object()
    if status is Status.SUCCEEDED:
        return Reading(track, status, word, body, outcome=Outcome(answer))
    return Reading(track, status, word, body, reason_of(body) if status.is_terminal else None)


def provisioning_state(body: dict[str, Any] | None) -> str | None:
    if body is None:
        return None
    properties: Any = body.get("properties")
    inner: Any = cast("dict[str, Any]", properties).get("provisioningState") if isinstance(properties, dict) else None
    word = inner if inner is not None else body.get("provisioningState")
    return word if isinstance(word, str) and word else None


def is_own_monitor(track: Track) -> bool:
    """The operation was put at its own URL, so the original URL is the monitor and no result."""
    return track.monitor_url is not None and same_resource(track.monitor_url, track.start_url)


def followed(track: Track, base: str, found: str) -> str:
    return with_api_version(resolve(base, found), track.start_url)


def unreadable(answer: Answer, what: str) -> UnexpectedAnswer | ServiceUnreachable:
    code = answer.status_code
    if 300 <= code < 400 and code != 304:
        return UnexpectedAnswer(f"{what} answered {code}: redirects are not followed.", answer=answer)
    if code in (404, 410):
        return MonitorGone(f"{what} answered {code}: there is no such operation, or it has expired.", answer=answer)
    error = error_of(answer)
    tail = f": {error}" if error else f" with {_shown(answer)}."
    if code in TRANSIENT:
        return ServiceUnreachable(f"{what} still answered {code} after all retries{tail}", answer=answer)
    return UnexpectedAnswer(f"{what} could not be read: {code}{tail}", answer=answer)


def _shown(answer: Answer) -> str:
    return f"{answer.media_type or 'a body without a type'} ({len(answer.body)} bytes)" if answer.body else "no body"
