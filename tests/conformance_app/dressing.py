"""Answers of the product as the scenarios' fixtures have them: their ids, their words, no member of our own. Pure.

The fixtures compare whole bodies: a member more is a failure. What they fix and no service would (a resource of another
type than its URL's, one moment for all times) is put in here.
"""

import json
from dataclasses import replace
from typing import Any

from shared.contracts.http import Request, Response
from shared.errors import RequestError

_WORDS = {"NotStarted": "InProgress", "Running": "InProgress", "Accepted": "InProgress", "Creating": "InProgress"}
_MONITOR = ("id", "status", "result", "error")
_TIMES = {"startTime": "2024-11-08T01:41:53.5508583+00:00", "endTime": "2024-11-08T01:42:41.5354192+00:00"}
_BY = {"By": "AzureSDK", "ByType": "User", "At": "2024-10-04T00:56:07.442Z"}
_SYSTEM_DATA = {f"{what}{name}": value for what in ("created", "lastModified") for name, value in _BY.items()}


def own_version(request: Request, version: str, *, required: bool = True) -> Request:
    """The request without the scenarios' api-version, which the product's own routes do not know."""
    given = request.query.get("api-version")
    if given != version and (required or given is not None):
        raise RequestError(400, "UnsupportedApiVersionValue", f"The scenarios use {version}.", target="api-version")
    return replace(request, query={name: value for name, value in request.query.items() if name != "api-version"})


def monitor(response: Response) -> Response:
    """A data-plane monitor: `id`, `status`, `result`, `error`."""
    body = json.loads(response.body)
    shown = {name: value for name, value in body.items() if name in _MONITOR}
    return _with_body(response, shown | {"status": _WORDS.get(body["status"], body["status"])})


def order(response: Response, *, is_new: bool = False) -> Response:
    """The order; the fixture of its creation shows no more than the state of its properties."""
    body = json.loads(response.body)
    properties = body["properties"]
    properties["provisioningState"] = _WORDS.get(properties["provisioningState"], properties["provisioningState"])
    if is_new:
        properties = {"provisioningState": properties["provisioningState"]}
    del body["tags"]
    type = "Azure.ResourceManager.Resources/orders"
    return _with_body(response, body | {"type": type, "properties": properties, "systemData": _SYSTEM_DATA})


def arm_status(response: Response, *, name: str, path: str) -> Response:
    """ARM's operation resource at the URL that the fixture has."""
    body = json.loads(response.body)
    shown: dict[str, Any] = {"id": path, "name": name, "status": _WORDS.get(body["status"], body["status"])}
    return _with_body(response, shown | {key: value for key, value in _TIMES.items() if key in body})


def pointing_to(response: Response, header: str, url: str) -> Response:
    """The answer with its header led to the fixture's URL."""
    return replace(response, headers={**response.headers, header: url})


def _with_body(response: Response, body: Any) -> Response:
    return replace(response, body=json.dumps(body).encode())
