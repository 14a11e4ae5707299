"""Lists: `filter`, `orderby`, `count`, `top`, `skipToken`.

Azure REST API Guidelines, "Pattern to List Status Monitors" and "Collections".
"""

import re

from shared.contracts import paging
from shared.contracts.dataplane.filters import parse_filter
from shared.contracts.http import Request
from shared.errors import RequestError
from shared.frozen import frozen
from shared.model.ids import ID_PATTERN
from shared.operations.lists import ALL, Selection

DEFAULT_TOP = 50
OLDEST_FIRST = "createdDateTime asc"
_ORDERS = {OLDEST_FIRST: True, "createdDateTime": True, "createdDateTime desc": False}
_BOOLEANS = {"true": True, "false": False}

_PARAMETERS = frozenset({"api-version", "filter", "orderby", "count", "top", "skiptoken"})

_POSITION = re.compile(rf"[0-9]{{17}}!{ID_PATTERN}")
_POSITION_FOR_ALL = re.compile(rf"[0-9]{{17}}![0-9a-f]{{16}}!{ID_PATTERN}")


@frozen
class ListRequest:
    """`position` is where the page starts, None for the first."""

    selection: Selection
    filter: str | None
    top: int
    position: str | None
    oldest_first: bool
    count: bool
    owner: str = ""
    """As it was named in the request; empty in the caller's own list."""


def parse_list(request: Request, *, owner: str = "", for_all: bool = False) -> ListRequest:
    """Read the list's parameters; raises RequestError 400 for an unknown one or a value that does not fit.

    `owner` is what the request says of it, where the caller may; `for_all`: the list is that of all owners.
    """
    query = paging.known_parameters(request, _PARAMETERS | ({"owner"} if owner else frozenset[str]()))
    text = query.get("filter")
    selection = parse_filter(text) if text is not None else ALL
    oldest_first = _one_of(_ORDERS, query.get("orderby"), "orderby", "InvalidOrderBy")
    if oldest_first and not selection.is_active:
        message = (
            "The oldest come first only among operations that are not over; "
            "add to the filter: status in ('NotStarted','Running','Canceling')"
        )
        raise RequestError(400, "InvalidOrderBy", message, target="orderby")
    return ListRequest(
        selection=selection,
        filter=text,
        top=paging.page_size(query.get("top"), name="top", default=DEFAULT_TOP),
        position=paging.read_token(
            query.get("skiptoken"), _POSITION_FOR_ALL if for_all else _POSITION, name="skipToken"
        ),
        oldest_first=oldest_first,
        count=_one_of(_BOOLEANS, query.get("count"), "count", "InvalidCount"),
        owner=owner,
    )


def _one_of(values: dict[str, bool], text: str | None, name: str, code: str) -> bool:
    if text is None:
        return False
    if text not in values:
        raise RequestError(400, code, f"{name} is one of: {', '.join(values)}.", target=name)
    return values[text]
