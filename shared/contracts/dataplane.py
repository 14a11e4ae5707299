"""The data-plane profile: `Operation-Location` and the status monitor.

Azure REST API Guidelines, "Long-Running Operations & Jobs": the start answers 202 with the monitor, the monitor
always answers 200, a failure is inside it, and no header ever redirects.
"""

import json
from typing import Any

from shared.contracts.errors import error_json
from shared.contracts.headers import segment
from shared.contracts.http import Response, json_response
from shared.contracts.listing import write_token
from shared.errors import RequestError
from shared.operations.model import Operation, Progress, Status
from shared.operations.rows import ListRow, write_time


def monitor_url(base: str, operation_id: str, api_version: str) -> str:
    """The absolute URL of an operation's monitor; its last segment is the id (lro-aware clients read it there)."""
    return f"{base}/status/{segment(operation_id)}?api-version={api_version}"


def monitor_json(operation: Operation, result: Any = None) -> dict[str, Any]:
    """The status monitor ("The Status Monitor Resource"), with this app's additions: times, progress, attempt."""
    body: dict[str, Any] = {
        "id": operation.id,
        "kind": operation.action,
        "status": operation.status.value,
        "createdDateTime": write_time(operation.created),
        "lastActionDateTime": write_time(operation.changed),
        "attempt": operation.attempt,
    }
    if operation.progress is not None:
        if operation.progress.percent is not None:
            body["percentComplete"] = operation.progress.percent
        if details := _progress_json(operation.progress):
            body["progress"] = details
    if operation.status is Status.SUCCEEDED:
        if result is not None:
            body["result"] = result
    elif operation.outcome is not None and operation.outcome.error is not None:
        body["error"] = error_json(operation.outcome.error)
    if operation.expires is not None:
        body["expiresAt"] = write_time(operation.expires)
    return body


def monitor_response(operation: Operation, content: bytes | None) -> Response:
    """`GET` of a monitor: 200 whatever the state; `content` is the stored JSON result, if any."""
    result = json.loads(content) if content else None
    return json_response(200, monitor_json(operation, result), _pace(operation))


def started_response(operation: Operation, content: bytes | None, *, base: str, api_version: str) -> Response:
    """`POST` of an action: 202 even when it is already over ("LRO action on a resource pattern")."""
    result = json.loads(content) if content else None
    headers = {
        "Operation-Location": monitor_url(base, operation.id, api_version),
        "Operation-Id": operation.id,
        **_pace(operation),
    }
    return json_response(202, monitor_json(operation, result), headers)


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


def _pace(operation: Operation) -> dict[str, str]:
    """Whole seconds, at least one, and only while there is something to wait for."""
    return {} if operation.status.is_terminal else {"Retry-After": str(max(1, operation.retry_after))}
