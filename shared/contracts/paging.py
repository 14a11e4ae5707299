"""What every profile's lists share: known parameters only, a page size, and an opaque token for the next page."""

import base64
import re
from collections.abc import Set
from typing import Any

from shared.contracts.http import Request, Response, json_response
from shared.errors import RequestError

MAX_TOP = 1000

KEYS = frozenset({"code", "clientid"})
"""How Azure Functions takes keys from a query string: never a parameter of ours, never an error."""


def known_parameters(request: Request, names: Set[str]) -> dict[str, str]:
    """The query by lower-cased name; raises RequestError 400 for one that is not among `names` (lower-cased)."""
    query: dict[str, str] = {}
    for name, value in request.query.items():
        if name.lower() not in names | KEYS:
            known = ", ".join(sorted(names))
            message = f"A list takes {known}, not {name!r}."
            raise RequestError(400, "UnknownQueryParameter", message, target=name)
        query[name.lower()] = value
    return query


def page_size(text: str | None, *, name: str, default: int) -> int:
    """The parameter `name` as a number from 1 to 1000; raises RequestError 400 InvalidTop."""
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= MAX_TOP:
        raise RequestError(400, "InvalidTop", f"{name} is one whole number from 1 to {MAX_TOP}.", target=name)
    return int(text)


def page_response(items: list[Any], next_link: str | None) -> Response:
    """A page; without `nextLink` it is the last one."""
    return json_response(200, {"value": items} | ({"nextLink": next_link} if next_link else {}))


def write_token(position: str) -> str:
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def read_token(text: str | None, pattern: re.Pattern[str], *, name: str) -> str | None:
    """The position in a token; raises RequestError 400 InvalidSkipToken for what `pattern` does not take."""
    if text is None:
        return None
    try:
        position = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        position = ""
    if not pattern.fullmatch(position):
        raise RequestError(400, "InvalidSkipToken", "Follow nextLink as it is.", target=name)
    return position
