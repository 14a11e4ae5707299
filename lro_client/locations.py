"""What a polled `Location` says, and what lies at the end of it. Without I/O; see `lro_client.polling`."""

from dataclasses import replace
from typing import Any

from lro_client.messages import Answer
from lro_client.model import NOTHING, Outcome, Profile, Reading, Source, Status, Track, status_of
from lro_client.monitors import followed, unreadable
from lro_client.odata_answers import unwrap
from lro_client.pacing import TRANSIENT
from lro_client.plain import is_page
from lro_client.reasons import ErrorDetail, error_of, reason_of

_MONITOR = frozenset(
    {
        "id",
        "name",
        "resourceId",
        "status",
        "startTime",
        "endTime",
        "percentComplete",
        "properties",
        "operations",
        "error",
    }
)
"""All that an operation resource of ARM may have."""
_CANCELED_CODES = frozenset({"operationcanceled", "operationcancelled", "canceled", "cancelled"})


def read_location(track: Track, answer: Answer) -> Reading:
    """202 until the end, then exactly what a synchronous call would have answered (ARM RPC, "202 Accepted and Location
    Headers"), or that enclosed as OData has it."""
    final = unwrap(answer)
    is_enclosed = final is not answer
    if answer.status_code == 202 and not is_enclosed:
        if found := answer.headers.get("location"):
            track = replace(track, poll_url=followed(track, answer.url, found))
        return Reading(track, _while_accepted(track, answer), body=answer.object())
    if 200 <= final.status_code < 300:
        ended = track.profile is not Profile.ODATA and _as_monitor(track, final)
        return ended or Reading(track, Status.SUCCEEDED, outcome=Outcome(final) if final.body else NOTHING)
    if not is_enclosed:
        if answer.status_code in (404, 410) and track.cancel_requested:
            return Reading(track, Status.CANCELED)
        if answer.status_code == 404 and track.method == "DELETE" and track.profile is not Profile.ODATA:
            return Reading(track, Status.SUCCEEDED, outcome=NOTHING)
        if answer.status_code in (401, 403, 404, 410) or answer.status_code < 400 or _is_not_now(answer):
            raise unreadable(answer, "The monitor")
    error = error_of(final) or ErrorDetail(None, f"The request ended with status {final.status_code}.")
    is_canceled = (error.code or "").lower() in _CANCELED_CODES
    return Reading(track, Status.CANCELED if is_canceled else Status.FAILED, error=error, outcome=Outcome(final))


def read_result(track: Track, answer: Answer) -> Reading:
    if answer.status_code == 202:
        # Its `Location` is not ready yet: from here on it is polled like any other.
        return read_location(replace(track, source=Source.LOCATION), answer)
    if 200 <= answer.status_code < 300:
        return Reading(track, Status.SUCCEEDED, outcome=Outcome(answer) if answer.body else NOTHING)
    if answer.status_code == 404 and track.method == "DELETE":
        return Reading(track, Status.SUCCEEDED, outcome=NOTHING)
    raise unreadable(answer, "The operation succeeded, but its result")


def read_cancellation(track: Track, answer: Answer) -> Reading:
    """A DELETE of the monitor that goes on asynchronously (OData 4.01 Protocol, 11.6): once it has ended well, the
    operation is canceled; if it has not, the operation goes on where it was watched before."""
    final = unwrap(answer)
    if answer.status_code == 202 and final is answer:
        if found := answer.headers.get("location"):
            track = replace(track, poll_url=followed(track, answer.url, found))
        return Reading(track, Status.CANCELING)
    if 200 <= final.status_code < 300 or answer.status_code in (404, 410):
        return Reading(track, Status.CANCELED)
    if final is answer:
        raise unreadable(answer, "The cancellation")
    back = replace(
        track, source=Source.LOCATION, poll_url=track.location_url or track.start_url, cancel_requested=False
    )
    return Reading(back, Status.RUNNING)


def _as_monitor(track: Track, answer: Answer) -> Reading | None:
    """What ARM's operation resource says where a service has put it behind `Location` (ARM RPC, "Azure-AsyncOperation
    Resource format"): 200 means nothing then. None for any other body, and for one that says Succeeded."""
    body = answer.object() or {}
    word = body.get("status")
    if not isinstance(word, str) or not body.keys() <= _MONITOR:
        return None
    if "startTime" not in body and "/operation" not in str(body.get("id", "")).lower():
        return None
    status = status_of(word)
    if status is Status.SUCCEEDED:
        return None
    return Reading(track, status, word, body, reason_of(body) if status.is_terminal else None)


def _while_accepted(track: Track, answer: Answer) -> Status:
    if track.cancel_requested:
        return Status.CANCELING
    word: Any = (answer.object() or {}).get("status")
    status = status_of(word) if isinstance(word, str) else Status.RUNNING
    return Status.RUNNING if status.is_terminal else status


def _is_not_now(answer: Answer) -> bool:
    """A 500 that explains itself is how the operation ended; one that does not, or the page of a gateway, is an
    accident."""
    is_explained = answer.status_code == 500 and error_of(answer) is not None and not is_page(answer)
    return answer.status_code in TRANSIENT and not is_explained
