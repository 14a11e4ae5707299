"""OData batches: requests as JSON or multipart, and the answers of either form. Without I/O.

Sources: OData JSON Format 4.01, section 19; OData 4.01 Protocol, 11.7 "Batch Requests".
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast
from uuid import uuid4

from lro_client.errors import UnexpectedAnswer
from lro_client.messages import JSON_TYPE, Answer, Headers
from lro_client.model import Outcome
from lro_client.odata_answers import enclosed
from lro_client.reasons import ErrorDetail, error_of

MOST_RESULTS = 100_000
"""Results that one batch response may have."""

_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]+)"|([^\s;]+))', re.IGNORECASE)
_DEEPEST = 2


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """One request of a batch. `url` is relative to the service root, or `$id` of an earlier one."""

    id: str
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Any = None
    group: str | None = None
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of one request. `id` is that of the request, or its place where the service names none.

    `body` is JSON where it is JSON, text otherwise. A `status_code` of 202 with `monitor_url` means that this request
    alone goes on asynchronously: open it with `ODataClient.open`.
    """

    id: str
    status_code: int
    headers: Headers
    body: Any
    error: ErrorDetail | None = None
    monitor_url: str | None = None

    @property
    def is_success(self) -> bool:
        return 200 <= self.status_code < 300


@dataclass(frozen=True, slots=True)
class BatchResponse:
    """The results so far, in the order of the service. `next_url` leads to the rest of an interim response."""

    results: tuple[BatchResult, ...]
    next_url: str | None = None

    def __getitem__(self, id: str) -> BatchResult:
        """The result of the request with this id."""
        found = next((result for result in self.results if result.id == id), None)
        if found is None:
            raise KeyError(id)
        return found

    def joined(self, more: "BatchResponse") -> "BatchResponse":
        """This response and the one that its `next_url` led to."""
        return replace(more, results=self.results + more.results)


class Batch:
    """Requests that go to the service in one. Ids are "1", "2", ... unless they are given."""

    def __init__(self, *, continue_on_error: bool = False) -> None:
        self.continue_on_error = continue_on_error
        self.requests: list[BatchRequest] = []

    def add(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        id: str | None = None,
        headers: Mapping[str, str] | None = None,
        group: str | None = None,
        depends_on: tuple[str, ...] = (),
    ) -> str:
        """Add a request and return its id. Requests of one `group` happen all or not at all; they must be neighbours.

        Raises:
            ValueError: the id is taken, or a request that this one depends on is not there yet.
        """
        known = {request.id for request in self.requests}
        own = id or str(len(self.requests) + 1)
        if own in known:
            raise ValueError(f"there is a request {own!r} in this batch already")
        groups = {request.group for request in self.requests}
        if missing := [name for name in depends_on if name not in known | groups]:
            raise ValueError(f"request {own!r} depends on {', '.join(missing)}, which must come before it")
        request = BatchRequest(own, method.upper(), url, dict(headers or {}), body, group, tuple(depends_on))
        self.requests.append(request)
        return own

    def create(self, entity_set: str, entity: Any, **more: Any) -> str:
        """Add a POST of an entity."""
        return self.add("POST", entity_set, entity, **more)

    def json(self) -> bytes:
        """The batch as JSON (`application/json`)."""
        return json.dumps({"requests": [_as_json(request) for request in self.requests]}).encode()

    def multipart(self, boundary: str) -> bytes:
        """The batch as `multipart/mixed`; a group becomes a change set. Lines end in CRLF, as the format wants."""
        lines: list[bytes] = []
        at = 0
        while at < len(self.requests):
            request = self.requests[at]
            end = at + 1
            lines.append(f"--{boundary}".encode())
            if request.group is None:
                lines += _part(request)
            else:
                while end < len(self.requests) and self.requests[end].group == request.group:
                    end += 1
                inner = f"changeset_{uuid4()}"
                lines += [f"Content-Type: multipart/mixed; boundary={inner}".encode(), b""]
                for member in self.requests[at:end]:
                    lines += [f"--{inner}".encode(), f"Content-ID: {member.id}".encode(), *_part(member)]
                lines.append(f"--{inner}--".encode())
            at = end
        return b"\r\n".join([*lines, f"--{boundary}--".encode(), b""])


def read_batch(outcome: Outcome) -> BatchResponse:
    """The response to a batch, JSON or multipart.

    Raises:
        UnexpectedAnswer: it is neither, or not whole.
    """
    answer = outcome.answer
    if answer is None:
        return BatchResponse(())
    if answer.media_type == "multipart/mixed":
        return BatchResponse(tuple(_parts(answer.headers["content-type"], answer.body, answer, _DEEPEST)))
    body = answer.object()
    listed: Any = (body or {}).get("responses")
    if body is None or not isinstance(listed, list):
        raise UnexpectedAnswer("The answer to the batch is neither a JSON batch nor multipart.", answer=answer)
    entries = cast("list[Any]", listed)
    if len(entries) > MOST_RESULTS:
        raise UnexpectedAnswer(f"The batch has more than {MOST_RESULTS} results.", answer=answer)
    results = tuple(_from_json(entry, place, answer) for place, entry in enumerate(entries, 1))
    link = body.get("@nextLink", body.get("@odata.nextLink"))
    return BatchResponse(results, link if isinstance(link, str) else None)


def _as_json(request: BatchRequest) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": request.id, "method": request.method.lower(), "url": request.url}
    if request.group is not None:
        entry["atomicityGroup"] = request.group
    if request.depends_on:
        entry["dependsOn"] = list(request.depends_on)
    headers = {name.lower(): value for name, value in request.headers.items()}
    if request.body is not None:
        headers.setdefault("content-type", JSON_TYPE)
        entry["body"] = request.body
    return entry | ({"headers": headers} if headers else {})


def _part(request: BatchRequest) -> list[bytes]:
    body = b"" if request.body is None else json.dumps(request.body).encode()
    headers = Headers({"Content-Type": JSON_TYPE} if body else {}).merged(request.headers)
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary", ""]
    lines += [f"{request.method} {request.url} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), ""]
    return [*(line.encode() for line in lines), body]


def _from_json(entry: Any, place: int, answer: Answer) -> BatchResult:
    found = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
    status = found.get("status")
    if isinstance(status, str) and status.isascii() and status.isdigit():
        status = int(status)
    if not isinstance(status, int) or not 100 <= status <= 599:
        raise UnexpectedAnswer(f"Result {place} of the batch has no status.", answer=answer)
    fields: Any = found.get("headers")
    named = cast("dict[str, Any]", fields) if isinstance(fields, dict) else {}
    headers = Headers((name, str(value)) for name, value in named.items())
    body = found.get("body")
    return _result(str(found.get("id", place)), status, headers, body)


def _result(id: str, status: int, headers: Headers, body: Any) -> BatchResult:
    error = None
    if status >= 400:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        error = error_of(Answer("", "", status, headers, raw)) or ErrorDetail(None, f"status {status}")
    monitor = headers.get("location") if status == 202 else None
    return BatchResult(id, status, headers, body, error, monitor)


def _parts(content_type: str, body: bytes, answer: Answer, depth: int) -> list[BatchResult]:
    """The results in a multipart body; change sets are multipart parts of it."""
    found = _BOUNDARY.search(content_type)
    if found is None or depth == 0:
        raise UnexpectedAnswer("A multipart part has no boundary, or lies too deep.", answer=answer)
    boundary = re.escape((found[1] or found[2]).encode())
    pieces = re.split(rb"(?:^|\r?\n)--" + boundary + rb"(--)?[ \t]*(?:\r?\n|$)", body)
    # The pattern's group comes between the pieces: b"--" where the boundary was the closing one.
    if len(pieces) < 3 or b"--" not in pieces[1::2]:
        raise UnexpectedAnswer("The multipart answer is not whole.", answer=answer)
    last = pieces[1::2].index(b"--")
    results: list[BatchResult] = []
    for part in pieces[2 : 2 * last + 1 : 2]:
        # A part is shaped like a message without a status line.
        _, headers, inner = enclosed(b"HTTP/1.1 200 OK\r\n" + part, answer, is_part=True)
        if headers.get("content-type", "").lower().startswith("multipart/mixed"):
            results += _parts(headers["content-type"], inner, answer, depth - 1)
        else:
            results.append(_from_part(headers, inner, len(results) + 1, answer))
        if len(results) > MOST_RESULTS:
            raise UnexpectedAnswer(f"The batch has more than {MOST_RESULTS} results.", answer=answer)
    return results


def _from_part(outer: Headers, inner: bytes, place: int, answer: Answer) -> BatchResult:
    status, headers, body = enclosed(inner, answer, is_part=True)
    shown = Answer("", "", status, headers, body.rstrip(b"\r\n"))
    content: Any = None
    if shown.body:
        content = shown.text()
        if shown.is_json:
            try:
                content = shown.json()
            except ValueError:
                raise UnexpectedAnswer(f"Result {place} of the batch is not the JSON it says.", answer=answer) from None
    id = outer.get("content-id") or headers.get("content-id") or str(place)
    return _result(id, status, headers, content)
