"""`$skiptoken`: where the next page starts, as text that only this service reads."""

import json
import re
from hashlib import sha256
from typing import Any, NoReturn, cast

from shared.contracts import paging
from shared.contracts.odata.query.ordering import Ordering
from shared.errors import RequestError
from shared.frozen import frozen

_OBJECT = re.compile(r"\{.*\}", re.DOTALL)
_MAX_VALUES = 1000
"""Bytes of values in a token. A URL has to carry it, and holds some thousand."""

Restriction = tuple[str | None, str | None]
"""The texts of `$filter` and `$search`."""


@frozen
class Position:
    """Behind the entity of this key. `values` are those of the order, None where only the entity knows them."""

    key: str
    values: tuple[Any, ...] | None = None
    count: int | None = None
    """What `$count=true` counted for the first page: the later ones repeat it."""


def write_position(position: Position, ordering: Ordering | None, restriction: Restriction) -> str:
    """The token. It fits the order, the filter and the search that it was made for alone."""
    token: dict[str, Any] = {"k": position.key, "q": _fingerprint(ordering, restriction)}
    if position.count is not None:
        token["c"] = position.count
    if ordering is not None and position.values is not None:
        values = ordering.write_values(position.values)
        if sum(len((value or "").encode(errors="replace")) for value in values) <= _MAX_VALUES:
            token["v"] = values
    return paging.write_token(json.dumps(token, ensure_ascii=False, separators=(",", ":")))


def read_position(text: str, ordering: Ordering | None, restriction: Restriction) -> Position:
    """The position in a token. Raises RequestError 400 InvalidSkipToken for one that was not made for this query."""
    decoded = paging.read_token(text, _OBJECT, name="$skiptoken")
    try:
        token: Any = json.loads(decoded or "")
        # Half a surrogate pair can be escaped, and is no text that a store or an answer takes.
        json.dumps(token, ensure_ascii=False).encode()
        key, values, count = token["k"], token.get("v"), token.get("c")
        if token["q"] != _fingerprint(ordering, restriction) or not isinstance(key, str):
            refuse_token()
        if count is not None and (type(count) is not int or count < 0):
            refuse_token()
        if ordering is None or values is None:
            return Position(key, None, count)
        return Position(key, ordering.read_values(cast(list[Any], values)), count)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        refuse_token()


def _fingerprint(ordering: Ordering | None, restriction: Restriction) -> str:
    options = (ordering.text if ordering else None, *restriction)
    return sha256(repr(options).encode(errors="replace")).hexdigest()[:10]


def refuse_token() -> NoReturn:
    message = "$skiptoken is not for this request; follow @odata.nextLink as it is."
    raise RequestError(400, "InvalidSkipToken", message, target="$skiptoken")
