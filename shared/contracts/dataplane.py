"""The data-plane profile: `Operation-Location` and the status monitor.

Azure REST API Guidelines, "Long-Running Operations & Jobs": the start answers with the monitor, or with the resource
that was put; the monitor always answers 200, a failure is inside it, and no header ever redirects.
"""

import json
from collections.abc import Mapping
from typing import Any

from shared.actions.patterns import Pattern
from shared.contracts.errors import error_json
from shared.contracts.headers import segment
from shared.contracts.http import Response, json_response
from shared.contracts.paging import write_token
from shared.errors import RequestError
from shared.operations.model import Operation, Progress, Status
from shared.operations.rows import ListRow, write_time

PATTERN = "pattern"
"""The fact of an operation that says how it was started; absent for a POST."""


def facts_of(pattern: Pattern) -> dict[str, str]:
    """What has to be remembered of the start, so that monitors need no registry."""
    return {} if pattern is Pattern.ACTION else {PATTERN: pattern.value}


def pattern_of(operation: Operation) -> Pattern:
    return Pattern(operation.facts.get(PATTERN, Pattern.ACTION))


def monitor_url(base: str, operation: Operation, api_version: str) -> str:
    """The absolute URL of an operation's monitor; its last segment is the id (lro-aware clients read it there).

    A PUT of an operation is polled where it was put ("LRO action with no related resource pattern").
    """
    own = pattern_of(operation) is Pattern.PUT_OPERATION
    return f"{base}/{operation.path if own else f'status/{segment(operation.id)}'}?api-version={api_version}"


def monitor_json(
    operation: Operation, result: Any = None, *, parameters: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The status monitor ("The Status Monitor Resource"), with this app's additions: times, progress, attempt.

    `parameters` are the request's, echoed beside it. Where the resource itself is what the operation makes, there is
    no `result` ("Obtaining status and results").
    """
    body: dict[str, Any] = {
        "id": operation.id,
        "kind": operation.action,
        "status": operation.status.value,
        "createdDateTime": write_time(operation.created),
        "lastActionDateTime": write_time(operation.changed),
        "attempt": operation.attempt,
        **(parameters or {}),
    }
    if operation.progress is not None:
        if operation.progress.percent is not None:
            body["percentComplete"] = operation.progress.percent
        if details := _progress_json(operation.progress):
            body["progress"] = details
    if operation.status is Status.SUCCEEDED:
        if result is not None and pattern_of(operation).has_result:
            body["result"] = result
    elif operation.outcome is not None and operation.outcome.error is not None:
        body["error"] = error_json(operation.outcome.error)
    if operation.expires is not None:
        body["expiresAt"] = write_time(operation.expires)
    return body


def monitor_response(operation: Operation, content: bytes | None, *, parameters: bytes | None = None) -> Response:
    """`GET` of a monitor: 200 whatever the state; `content` is the stored JSON result, `parameters` the JSON input."""
    body = monitor_json(operation, _loaded(content), parameters=_loaded(parameters))
    return json_response(200, body, _pace(operation))


def started_response(
    operation: Operation,
    content: bytes | None,
    *,
    base: str,
    api_version: str,
    replayed: bool = False,
    parameters: bytes | None = None,
) -> Response:
    """The monitor as the answer to a start, even when it is already over.

    202 for a POST and a DELETE, always ("LRO action on a resource pattern", "DELETE LRO pattern"); for a PUT of an
    operation 201, and 200 when it was there.
    """
    own = pattern_of(operation) is Pattern.PUT_OPERATION
    status = 200 if own and replayed else operation.start_status
    headers = _start_headers(operation, base, api_version)
    return json_response(status, monitor_json(operation, _loaded(content), parameters=_loaded(parameters)), headers)


def resource_response(operation: Operation, resource: bytes, *, base: str, api_version: str) -> Response:
    """The resource as the answer to its PUT: 201 where it is new, 200 where it was there, also when repeated."""
    headers = _start_headers(operation, base, api_version)
    return Response(status=operation.start_status, headers=headers, body=resource, content_type="application/json")


def result_response(operation: Operation, content: bytes | None) -> Response:
    """`GET` of a result: 200 as stored, 204 where there is none, 409 while it runs or after it failed."""
    if not operation.status.is_terminal:
        raise RequestError(
            409,
            "OperationNotFinished",
            f"The operation is {operation.status}; its result is not there yet.",
            headers=_pace(operation),
        )
    if operation.status is not Status.SUCCEEDED:
        error = operation.outcome.error if operation.outcome else None
        reason = f" {error.code}: {error.message}" if error else ""
        raise RequestError(409, "OperationFailed", f"The operation is {operation.status}.{reason}")
    body = operation.outcome.body if operation.outcome else None
    if content is None or body is None:
        return Response(status=204)
    return Response(status=200, body=content, content_type=body.content_type)


def list_response(rows: tuple[ListRow, ...], *, next_link: str | None) -> Response:
    """One page of monitors, short form ("Pattern to List Status Monitors")."""
    body: dict[str, Any] = {"value": [_list_item(row) for row in rows]}
    if next_link is not None:
        body["nextLink"] = next_link
    return json_response(200, body)


def next_link(base: str, *, position: str, filter: str | None, top: int, api_version: str) -> str:
    """Absolute and self-contained ("Collections"): everything the next page needs is in it."""
    link = f"{base}/status?api-version={api_version}&top={top}&skipToken={write_token(position)}"
    return f"{link}&filter={segment(filter)}" if filter is not None else link


def _list_item(row: ListRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "status": row.status.value,
        "createdDateTime": write_time(row.created),
        "lastActionDateTime": write_time(row.changed),
    }


def _progress_json(progress: Progress) -> dict[str, Any]:
    members = {
        "done": progress.done,
        "total": progress.total,
        "message": progress.message,
        "data": progress.data,
    }
    return {name: value for name, value in members.items() if value is not None}


def _start_headers(operation: Operation, base: str, api_version: str) -> dict[str, str]:
    location = monitor_url(base, operation, api_version)
    return {"Operation-Location": location, "Operation-Id": operation.id, **_pace(operation)}


def _loaded(content: bytes | None) -> Any:
    return json.loads(content) if content else None


def _pace(operation: Operation) -> dict[str, str]:
    """Whole seconds, at least one, and only while there is something to wait for."""
    return {} if operation.status.is_terminal else {"Retry-After": str(max(1, operation.retry_after))}
