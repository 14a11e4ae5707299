"""Lists of ARM resources: `$top`, `$skipToken`, `value` and `nextLink` (ARM RPC, "GET Resource collections"). Pure."""

import re
from urllib.parse import urlencode

from shared.contracts import paging
from shared.contracts.arm.answers import resource_json
from shared.contracts.http import Request, Response
from shared.frozen import frozen
from shared.resources.model import Resource

DEFAULT_TOP = 100
_PARAMETERS = frozenset({"api-version", "$top", "$skiptoken"})
_POSITION = re.compile(r"[a-z0-9._()\-]{1,90}![\x22-\x7e]{1,260}")


@frozen
class ListRequest:
    """`after` is the key behind which the page starts, None for the first."""

    top: int
    after: str | None


def parse_list(request: Request) -> ListRequest:
    """Read the list's parameters; raises RequestError 400 for an unknown one or a value that does not fit."""
    query = paging.known_parameters(request, _PARAMETERS)
    return ListRequest(
        top=paging.page_size(query.get("$top"), name="$top", default=DEFAULT_TOP),
        after=paging.read_token(query.get("$skiptoken"), _POSITION, name="$skipToken"),
    )


def next_link(base: str, path: str, *, position: str, top: int, api_version: str) -> str:
    """Absolute and self-contained: everything the next page needs is in it."""
    token = paging.write_token(position)
    query = urlencode({"api-version": api_version, "$top": top, "$skipToken": token}, safe="$")
    return f"{base}{path}?{query}"


def list_response(resources: list[Resource], *, next_link: str | None) -> Response:
    return paging.page_response([resource_json(resource) for resource in resources], next_link)
