"""The ARM profile's answers: the resource, the headers of a start, and the two monitors. Pure.

Azure Resource Manager RPC, `v1.0/async-api-reference.md`; TypeSpec's Azure.ResourceManager LRO header models.
"""

import json
from typing import Any

from shared.actions.arm.models import PROVISIONING_STATE
from shared.actions.arm.resource import ArmVerb, Verb
from shared.contracts.conditions import hash_etag
from shared.contracts.errors import error_json
from shared.contracts.headers import pace, segment
from shared.contracts.http import Response, json_response
from shared.contracts.scheduling import waiting_json
from shared.errors import RequestError
from shared.model.operation import Operation, Status
from shared.model.times import write_time
from shared.resources.model import Resource


def resource_json(resource: Resource) -> dict[str, Any]:
    """A tracked resource ("Resource Provider Contract, Common properties"), names as its creator wrote them."""
    key, body = resource.key, resource.body
    found: dict[str, Any] = {
        "id": key.id,
        "name": key.name,
        "type": f"{key.namespace}/{key.type}",
        "location": body.location,
        "tags": body.tags,
        "properties": {**body.properties, PROVISIONING_STATE: resource.state},
    }
    return found | {"systemData": body.system_data} if body.system_data else found


def etag(resource: Resource) -> str:
    """A hash of what a reader is shown (Azure REST API Guidelines, "Conditional Requests": a hash is preferred)."""
    text = json.dumps(resource_json(resource), sort_keys=True, separators=(",", ":"))
    return hash_etag(text.encode(errors="replace"))


def resource_response(resource: Resource) -> Response:
    return json_response(200, resource_json(resource), {"ETag": etag(resource)})


def start_status(verb: Verb, *, new: bool) -> int:
    """PUT 201 or 200, the rest 202 (async-api-reference.md, table by verb; 2.1).

    A .NET client takes an asynchronous PATCH for done when it is answered 200 (observed, Azure.ResourceManager 1.7).
    """
    if verb is not Verb.WRITE:
        return 202
    return 201 if new else 200


def started_response(
    verb: ArmVerb, operation: Operation, resource: Resource | None, monitors: "MonitorUrls"
) -> Response:
    """The answer to a start: a PUT's is the resource, any other has no body ("202 Accepted and Location Headers")."""
    headers = {"Retry-After": str(operation.retry_after), **pace(operation)}
    if verb.headers.async_operation:
        headers["Azure-AsyncOperation"] = monitors.status(operation.id)
    if verb.headers.location:
        headers["Location"] = monitors.results(operation.id)
    if verb.verb is not Verb.WRITE or resource is None:
        return Response(status=operation.start_status, headers=headers)
    return json_response(operation.start_status, resource_json(resource), {**headers, "ETag": etag(resource)})


class MonitorUrls:
    """URLs of the monitors: absolute, self-contained, below the subscription so that they outlive the resource.

    async-api-reference.md, "Azure-AsyncOperation Resource format".
    """

    def __init__(self, base: str, *, subscription: str, namespace: str, location: str, api_version: str) -> None:
        self._path = f"/subscriptions/{subscription}/providers/{namespace}/locations/{segment(location)}"
        self._base = base
        self._query = f"?api-version={segment(api_version)}"

    def status_id(self, operation_id: str) -> str:
        """The ARM id of the status resource: a path, no URL."""
        return f"{self._path}/operationStatuses/{operation_id}"

    def status(self, operation_id: str) -> str:
        return f"{self._base}{self.status_id(operation_id)}{self._query}"

    def results(self, operation_id: str) -> str:
        return f"{self._base}{self._path}/operationResults/{operation_id}{self._query}"


def status_response(operation: Operation, monitors: MonitorUrls) -> Response:
    """operationStatuses, without its result: 200 whatever the state ("Azure-AsyncOperation Resource format").

    No `Location`: .NET would adopt it for its final GET. `error` is there when it failed and when it was canceled.
    """
    body: dict[str, Any] = {
        "id": monitors.status_id(operation.id),
        "name": operation.id,
        "resourceId": operation.resource,
        "status": operation.status.value,
        "startTime": write_time(operation.created),
    }
    if operation.ended is not None:
        body["endTime"] = write_time(operation.ended)
    body |= waiting_json(operation)
    if operation.progress is not None and operation.progress.percent is not None:
        body["percentComplete"] = operation.progress.percent
    is_failed = operation.status is not Status.SUCCEEDED
    if is_failed and operation.outcome is not None and operation.outcome.error is not None:
        body["error"] = error_json(operation.outcome.error)
    return json_response(200, body, pace(operation))


def carries_result(operation: Operation) -> bool:
    """Whether operationStatuses has the result as `properties`; with `result="link"`, `Location` alone leads to it."""
    return operation.status is Status.SUCCEEDED and not operation.links_result


def results_response(operation: Operation, content: bytes | None, monitors: MonitorUrls) -> Response:
    """operationResults: 202 with `Location` until it has ended, then what a synchronous call would have answered.

    "202 Accepted and Location Headers": the header is repeated on every 202, whose body is empty. A failure is a real
    4xx or 5xx: clients that poll `Location` know no other way to see one.
    """
    if not operation.status.is_terminal:
        return Response(status=202, headers={"Location": monitors.results(operation.id), **pace(operation)})
    outcome = operation.outcome
    if outcome is not None and outcome.error is not None:
        headers = {"x-ms-error-code": outcome.error.code}
        return json_response(max(400, outcome.status_code), {"error": error_json(outcome.error)}, headers)
    if outcome is None or outcome.body is None:
        return Response(status=204)
    if content is None:
        raise RequestError(410, "ResultGone", "The result of this operation has been removed.")
    # What is told of a file is JSON.
    content_type = "application/json" if outcome.body.file_name else outcome.body.content_type
    return Response(status=outcome.status_code, body=content, content_type=content_type)
