"""Asynchronous requests: the 202, the monitor, and both forms of the final answer.

OData Protocol 4.01, sections 8.2.8.8 "Preference respond-async", 8.2.8.10 "Preference wait" and 11.6 "Asynchronous
Requests".
"""

from dataclasses import asdict
from typing import Any, Literal

from shared.contracts.headers import pace
from shared.contracts.http import Request, Response
from shared.contracts.odata.media import Metadata, Representation
from shared.contracts.odata.messages import write_message
from shared.contracts.odata.targets import monitor_url
from shared.contracts.preferences import preferences
from shared.frozen import frozen, replace
from shared.model.operation import Operation, Status

PROFILE = "odata"

_FACT = "odata"
_CANCEL_REQUESTED = "odataCancelRequested"
_DISMISSED = "odataDismissed"


@frozen(kw_only=True)
class StartState:
    """What has to be remembered of a start to answer its monitor."""

    version: str
    """OData-Version of the answer."""
    metadata: Metadata
    ieee754: bool
    enclosed: bool
    """Whether the final answer is an enclosed HTTP message where the poll does not say."""
    undoable: bool
    batch: Literal["", "json", "multipart"] = ""

    @property
    def representation(self) -> Representation:
        return Representation(metadata=self.metadata, ieee754=self.ieee754)

    def to_profile_state(self) -> dict[str, Any]:
        return {_FACT: asdict(self)}

    @classmethod
    def of(cls, operation: Operation) -> "StartState":
        return cls(**operation.profile_state[_FACT])


CANCEL_REQUESTED = {_CANCEL_REQUESTED: True}
"""Fact of an operation whose monitor was deleted while it ran."""

DISMISSED = {_DISMISSED: True}
"""Fact of an operation whose monitor was deleted after its end."""


def is_gone(operation: Operation) -> bool:
    """Whether the monitor answers 404 because it was deleted, though the record is kept."""
    if operation.profile_state.get(_DISMISSED):
        return True
    return operation.status is Status.CANCELED and cancel_requested(operation)


def cancel_requested(operation: Operation) -> bool:
    """Whether DELETE of the monitor has asked it to stop."""
    return bool(operation.profile_state.get(_CANCEL_REQUESTED))


def is_being_canceled(operation: Operation) -> bool:
    """Whether DELETE of the monitor has asked it to stop, and it has not yet."""
    return cancel_requested(operation) and not operation.status.is_terminal


def wants_async(request: Request) -> bool:
    """Whether the caller takes 202 for an answer; the preference has no value (RFC 7240, section 4.1)."""
    return preferences(request).get("respond-async") == ""


def encloses_by_default(request: Request) -> bool:
    """What the headers of a start say about the form of the final answer.

    OData 4.0 knows the enclosed message alone, so a client that takes no later version gets it.
    """
    enclosed = _accepts_message(request)
    return bool(enclosed) or request.headers.get("odata-maxversion", "").strip() == "4.0"


def encloses(request: Request, profile_state: StartState) -> bool:
    """Which form a poll gets: by its Accept, else by its OData-MaxVersion, else by the start's headers."""
    enclosed = _accepts_message(request)
    if enclosed is not None:
        return enclosed
    version = request.headers.get("odata-maxversion", "").strip()
    return version == "4.0" if version else profile_state.enclosed


def accepted(operation: Operation, base: str, *, waited: int) -> Response:
    """202 for a start. `waited` are the seconds that were waited before, by the preference `wait`."""
    applied = f"respond-async, wait={waited}" if waited else "respond-async"
    response = running(operation, base)
    return replace(response, headers={**response.headers, "Preference-Applied": applied})


def running(operation: Operation, base: str) -> Response:
    """202 of a monitor, with the URL to ask next."""
    location = monitor_url(base, operation.id, cancellation=is_being_canceled(operation))
    return Response(status=202, headers={"Location": location, **pace(operation)})


def finished(final: Response, *, enclosed: bool) -> Response:
    """200 with the final answer: enclosed as a message, or as this answer's own headers and body."""
    if enclosed:
        headers = {"Content-Transfer-Encoding": "binary"}
        return Response(status=200, headers=headers, body=write_message(final), content_type="application/http")
    return replace(final, status=200, headers={**final.headers, "AsyncResult": str(final.status)})


def without_message(request: Request) -> Request:
    """The request with what its Accept says of the final answer's own format, the enclosing message left out."""
    ranges = request.headers.get("accept", "").split(",")
    left = [part for part in ranges if part.partition(";")[0].strip().lower() != "application/http"]
    return replace(request, headers={**request.headers, "accept": ",".join(left)})


def _accepts_message(request: Request) -> bool | None:
    """Whether Accept names application/http; None where it says nothing, as `*/*` does."""
    ranges = [part.strip().lower() for part in request.headers.get("accept", "").split(",") if part.strip()]
    named = [part.partition(";")[0].strip() for part in ranges]
    refused = [part.replace(" ", "").partition(";q=")[2] in ("0", "0.0", "0.00", "0.000") for part in ranges]
    if any(name == "application/http" and not no for name, no in zip(named, refused, strict=True)):
        return True
    return None if all(name == "*/*" for name in named) else False
