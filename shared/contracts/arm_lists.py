"""Lists of ARM resources: `$top`, `$skipToken`, `value` and `nextLink` (ARM RPC, "GET Resource collections"). Pure."""

import base64
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from shared.contracts.arm import resource_json
from shared.contracts.http import Request, Response, json_response
from shared.errors import RequestError
from shared.resources.model import Resource

DEFAULT_TOP = 100
MAX_TOP = 1000
_PARAMETERS = frozenset({"api-version", "$top", "$skiptoken", "code", "clientid"})
_POSITION = re.compile(r"[a-z0-9._()\-]{1,90}![\x22-\x7e]{1,260}")


@dataclass(frozen=True, slots=True)
class ListRequest:
    """`after` is the key behind which the page starts, None for the first."""

    top: int
    after: str | None


def parse_list(request: Request) -> ListRequest:
    """Read the list's parameters; raises RequestError 400 for an unknown one or a value that does not fit."""
    query: dict[str, str] = {}
    for name, value in request.query.items():
        if name.lower() not in _PARAMETERS:
            message = f"A list takes $top and api-version, not {name!r}."
            raise RequestError(400, "UnknownQueryParameter", message, target=name)
        query[name.lower()] = value
    return ListRequest(_top(query.get("$top")), _position(query.get("$skiptoken")))


def next_link(base: str, path: str, *, position: str, top: int, api_version: str) -> str:
    """Absolute and self-contained: everything the next page needs is in it."""
    token = base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")
    query = urlencode({"api-version": api_version, "$top": top, "$skipToken": token}, safe="$")
    return f"{base}{path}?{query}"


def list_response(resources: list[Resource], *, next_link: str | None) -> Response:
    """A page; without `nextLink` it is the last one."""
    body: dict[str, Any] = {"value": [resource_json(resource) for resource in resources]}
    return json_response(200, body | ({"nextLink": next_link} if next_link else {}))


def _top(text: str | None) -> int:
    if text is None:
        return DEFAULT_TOP
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= MAX_TOP:
        raise RequestError(400, "InvalidTop", f"$top is a whole number from 1 to {MAX_TOP}.", target="$top")
    return int(text)


def _position(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        position = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        position = ""
    if not _POSITION.fullmatch(position):
        raise RequestError(400, "InvalidSkipToken", "Follow nextLink as it is.", target="$skipToken")
    return position
