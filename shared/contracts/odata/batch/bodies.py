"""A batch's body in either format, in and out, and its answers as they are kept."""

import base64
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from shared.contracts.bodies import check_arrived
from shared.contracts.http import Request, Response
from shared.contracts.odata.batch.json import parse_json, render_json
from shared.contracts.odata.batch.multipart import parse_multipart, render_multipart
from shared.contracts.odata.batch.parts import Batch, BatchLimits, BatchResponse
from shared.contracts.odata.batch.references import check_references
from shared.contracts.odata.media import quality
from shared.contracts.odata.messages import invalid, is_json, parse_media_type
from shared.errors import RequestError

Format = Literal["json", "multipart"]

_MEDIA_TYPES: Mapping[Format, str] = {"json": "application/json", "multipart": "multipart/mixed"}
_VERSIONS = ("odata-version", "odata-maxversion")


def read_batch(request: Request, *, root: str, also: Collection[str] = (), limits: BatchLimits | None = None) -> Batch:
    """The batch of a request to `$batch`, every rule checked that needs nothing but the batch.

    `root` and `also` are as for `relative_url`. Raises RequestError 400 that names the rule or the limit, 411 for a
    chunked body that the host has dropped, 413, and 415 for another media type.
    """
    check_arrived(request)
    if not request.body:
        # Nor has it a type then: what Content-Type says is about nothing (RFC 9110, section 8.3).
        raise invalid("The batch has no body")
    content_type = request.headers.get("content-type", "")
    try:
        media_type, parameters = parse_media_type(content_type, where="The batch")
    except RequestError:
        media_type, parameters = "", {}
    if media_type == "multipart/mixed":
        batch = parse_multipart(request.body, content_type, limits)
    elif is_json(media_type) and parameters.get("charset", "utf-8").lower() == "utf-8":
        batch = parse_json(request.body, limits)
    else:
        message = "A batch is multipart/mixed with a boundary, or application/json."
        raise RequestError(415, "UnsupportedMediaType", message)
    return check_references(batch, root, also)


def answer_format(request: Request, *, is_json: bool) -> Format:
    """In which format the batch is answered: as `Accept` prefers, else its own (Protocol 4.01, section 11.7.1).

    JSON batches are new in OData 4.01. A client that sends a multipart batch and does not say that it knows 4.01 is
    answered in multipart: such clients send the Accept that they want for the requests inside. Raises RequestError 406
    where neither format is accepted.
    """
    own: Format = "json" if is_json else "multipart"
    accept = request.headers.get("accept", "")
    versions = {request.headers[name].strip() for name in _VERSIONS if name in request.headers}
    if not accept.strip() or not (is_json or versions - {"4.0"}):
        return own
    other: Format = "multipart" if is_json else "json"
    qualities = {format: quality(accept, _MEDIA_TYPES[format]) for format in (own, other)}
    if not any(qualities.values()):
        raise RequestError(406, "NotAcceptable", "A batch is answered as multipart/mixed or application/json.")
    return other if qualities[other] > qualities[own] else own


def write_batch(responses: Sequence[BatchResponse], format: Format) -> Response:
    """The answer to the batch: 200, whatever the answers in it are (Protocol 4.01, section 11.7.1)."""
    if format == "json":
        return Response(status=200, body=render_json(responses), content_type="application/json")
    content_type, body = render_multipart(responses)
    return Response(status=200, body=body, content_type=content_type)


def to_stored(responses: Sequence[BatchResponse]) -> list[dict[str, Any]]:
    """The answers as JSON that loses nothing, to be written in either format later."""
    return [_to_stored(answer) for answer in responses]


def from_stored(stored: Sequence[Mapping[str, Any]]) -> list[BatchResponse]:
    """What `to_stored` was given."""
    return [
        BatchResponse(
            id=entry["id"],
            group=entry.get("group"),
            response=Response(
                status=entry["status"],
                headers=entry.get("headers", {}),
                body=base64.b64decode(entry["bytes"]) if "bytes" in entry else entry.get("text", "").encode(),
                content_type=entry.get("contentType"),
            ),
        )
        for entry in stored
    ]


def _to_stored(answer: BatchResponse) -> dict[str, Any]:
    response = answer.response
    entry: dict[str, Any] = {"id": answer.id, "status": response.status}
    if answer.group is not None:
        entry["group"] = answer.group
    if response.headers:
        entry["headers"] = dict(response.headers)
    if response.content_type is not None:
        entry["contentType"] = response.content_type
    if response.body:
        try:
            entry["text"] = response.body.decode()
        except UnicodeDecodeError:
            entry["bytes"] = base64.b64encode(response.body).decode()
    return entry
