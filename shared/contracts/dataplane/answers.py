"""The data-plane profile: `Operation-Location` and the status monitor.

Azure REST API Guidelines, "Long-Running Operations & Jobs": the start answers with the monitor, or with the resource
that was put; the monitor always answers 200, a failure is inside it, and no header ever redirects.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.actions.patterns import Pattern
from shared.contracts.dataplane.listing import OLDEST_FIRST, ListRequest
from shared.contracts.errors import error_json
from shared.contracts.headers import pace, segment
from shared.contracts.http import Response, json_response
from shared.contracts.paging import write_token
from shared.contracts.scheduling import waiting_json
from shared.errors import RequestError
from shared.model.attempts import AttemptRecord
from shared.model.files import attachment
from shared.model.operation import Operation, Progress, Status
from shared.model.times import write_time
from shared.operations.list_rows import ListRow
from shared.operations.lists import ListCount, ListPage

PATTERN = "pattern"
"""The fact of an operation that says how it was started; absent for a POST."""


def profile_state_of(pattern: Pattern) -> dict[str, str]:
    """What has to be remembered of the start, so that monitors need no registry."""
    return {} if pattern is Pattern.ACTION else {PATTERN: pattern.value}


def pattern_of(operation: Operation) -> Pattern:
    return Pattern(operation.profile_state.get(PATTERN, Pattern.ACTION))


def monitor_url(base: str, operation: Operation, api_version: str) -> str:
    """The absolute URL of an operation's monitor; its last segment is the id (lro-aware clients read it there).

    A PUT of an operation is polled where it was put ("LRO action with no related resource pattern").
    """
    own = pattern_of(operation) is Pattern.PUT_OPERATION
    return f"{base}/{operation.path if own else f'status/{segment(operation.id)}'}?api-version={api_version}"


def operator_url(base: str, operation: Operation, api_version: str) -> str:
    """The same for who acts on the operations of all owners: it names the owner."""
    return _status_url(base, operation.id, api_version, operation.locator.owner_hash)


def _status_url(base: str, operation_id: str, api_version: str, owner_hash: str = "") -> str:
    url = f"{base}/status/{segment(operation_id)}?api-version={api_version}"
    return f"{url}&owner={owner_hash}" if owner_hash else url


def result_url(base: str, operation: Operation, api_version: str, *, owner: bool = False) -> str:
    """Where its bare result lies; with `owner`, for who acts on the operations of all owners."""
    url = f"{base}/status/{segment(operation.id)}/result?api-version={api_version}"
    return f"{url}&owner={operation.locator.owner_hash}" if owner else url


def carries_result(operation: Operation) -> bool:
    """Whether its monitor has a `result`.

    Where the resource itself is what the operation makes there is none ("Obtaining status and results"), nor where the
    action hands out a link.
    """
    return operation.status is Status.SUCCEEDED and pattern_of(operation).has_result and not operation.links_result


def monitor_json(
    operation: Operation, *, parameters: Mapping[str, Any] | None = None, location: str = ""
) -> dict[str, Any]:
    """The status monitor ("The Status Monitor Resource"), with this app's additions: times, progress, attempts.

    It is all but the `result`. `parameters` are the request's, echoed beside it; `location` is where a result lies
    that it does not carry.
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
    if operation.retry_of:
        body["retryOf"] = operation.retry_of
    if operation.labels:
        body["labels"] = list(operation.labels)
    body |= waiting_json(operation)
    if operation.progress is not None:
        if operation.progress.percent is not None:
            body["percentComplete"] = operation.progress.percent
        if details := _progress_json(operation.progress):
            body["progress"] = details
    if operation.attempts:
        body["attempts"] = [_attempt_json(each) for each in operation.attempts]
    if operation.is_waiting and operation.last_error is not None:
        body["lastError"] = error_json(operation.last_error)
    error = operation.outcome.error if operation.outcome else None
    if operation.status is not Status.SUCCEEDED and error is not None:
        body["error"] = error_json(error)
    if operation.expires is not None:
        body["expiresAt"] = write_time(operation.expires)
    if operation.links_result and operation.status is Status.SUCCEEDED:
        body["resourceLocation"] = location
    return body


def monitor_response(operation: Operation, *, result_url: str, parameters: bytes | None = None) -> Response:
    """`GET` of a monitor: 200 whatever the state, without its result; `parameters` is the JSON input."""
    return json_response(200, _monitor(operation, parameters, result_url), pace(operation))


def started_response(
    operation: Operation,
    *,
    location: str,
    result_url: str,
    replayed: bool = False,
    parameters: bytes | None = None,
) -> Response:
    """The monitor, which lies at `location`, without its result, as the answer to a start, even when it is over.

    202 for a POST and a DELETE, always ("LRO action on a resource pattern", "DELETE LRO pattern"); for a PUT of an
    operation 201, and 200 when it was there.
    """
    own = pattern_of(operation) is Pattern.PUT_OPERATION
    status = 200 if own and replayed else operation.start_status
    headers = _start_headers(operation, location)
    return json_response(status, _monitor(operation, parameters, result_url), headers)


def resource_response(operation: Operation, resource: bytes, *, location: str) -> Response:
    """The resource as the answer to its PUT: 201 where it is new, 200 where it was there, also when repeated."""
    headers = _start_headers(operation, location)
    return Response(status=operation.start_status, headers=headers, body=resource, content_type="application/json")


def result_response(operation: Operation, content: bytes | None) -> Response:
    """`GET` of a result: 200 as stored, of a file its bytes; 204 where there is none, 409 while it runs or after it
    failed."""
    if not operation.status.is_terminal:
        raise RequestError(
            409,
            "OperationNotFinished",
            f"The operation is {operation.status}; its result is not there yet.",
            headers=pace(operation),
        )
    if operation.status is not Status.SUCCEEDED:
        error = operation.outcome.error if operation.outcome else None
        reason = f" {error.code}: {error.message}" if error else ""
        raise RequestError(409, "OperationFailed", f"The operation is {operation.status}.{reason}")
    body = operation.outcome.body if operation.outcome else None
    if content is None or body is None:
        return Response(status=204)
    headers = {"Content-Disposition": attachment(body.file_name)} if body.file_name else {}
    return Response(status=200, headers=headers, body=content, content_type=body.content_type)


def list_response(
    page: ListPage, asked: ListRequest, *, base: str, api_version: str, now: datetime, count: ListCount | None = None
) -> Response:
    """One page of monitors, short form ("Pattern to List Status Monitors"), and how far back it looked."""
    body: dict[str, Any] = {"value": [_list_item(row, asked, base, api_version, now) for row in page.rows]}
    if count is not None:
        by_status = {status.value: number for status, number in count.by_status.items()}
        body["count"] = {"active": count.active, "ended": count.ended, "more": count.more, "byStatus": by_status}
    if page.position is not None:
        body["nextLink"] = _next_link(base, page.position, asked, api_version)
        if page.looked_back_to is not None and not asked.oldest_first:
            body["lookedBackTo"] = write_time(page.looked_back_to)
    return json_response(200, body)


def _next_link(base: str, position: str, asked: ListRequest, api_version: str) -> str:
    """Absolute and self-contained ("Collections"): everything the next page needs is in it. It counts nothing."""
    link = f"{base}/status?api-version={api_version}&top={asked.top}&skipToken={write_token(position)}"
    if asked.filter is not None:
        link = f"{link}&filter={segment(asked.filter)}"
    if asked.owner:
        link = f"{link}&owner={segment(asked.owner)}"
    return f"{link}&orderby={segment(OLDEST_FIRST)}" if asked.oldest_first else link


def _list_item(row: ListRow, asked: ListRequest, base: str, api_version: str, now: datetime) -> dict[str, Any]:
    item: dict[str, Any] = {
        "id": row.id,
        "kind": row.kind,
        "status": row.status.value,
        "createdDateTime": write_time(row.created),
        "lastActionDateTime": write_time(row.changed),
        "attempt": row.attempt,
        "operationLocation": _status_url(base, row.id, api_version, row.owner_hash if asked.owner else ""),
    }
    if asked.owner:
        item["owner"] = row.owner_hash
    if row.started is not None:
        until = row.changed if row.status.is_terminal else now
        item["durationSeconds"] = round(max(0.0, (until - row.started).total_seconds()), 3)
    if row.percent is not None and not row.status.is_terminal:
        item["percentComplete"] = row.percent
    if row.error_code:
        item["errorCode"] = row.error_code
    if row.labels:
        item["labels"] = list(row.labels)
    return item


def _progress_json(progress: Progress) -> dict[str, Any]:
    members = {name: getattr(progress, name) for name in ("done", "total", "message", "data")}
    return {name: value for name, value in members.items() if value is not None}


def _attempt_json(attempt: AttemptRecord) -> dict[str, Any]:
    members = {
        "number": attempt.number,
        "began": write_time(attempt.began),
        "ended": write_time(attempt.ended) if attempt.ended else None,
        "outcome": attempt.outcome.value if attempt.outcome else None,
        "code": attempt.code or None,
        "message": attempt.message or None,
        "instance": attempt.instance or None,
    }
    return {name: value for name, value in members.items() if value is not None}


def _start_headers(operation: Operation, location: str) -> dict[str, str]:
    return {"Operation-Location": location, "Operation-Id": operation.id, **pace(operation)}


def _monitor(operation: Operation, parameters: bytes | None, location: str) -> dict[str, Any]:
    return monitor_json(operation, parameters=json.loads(parameters) if parameters else None, location=location)
