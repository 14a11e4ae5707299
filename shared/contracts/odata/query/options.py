"""The query options of a request (OData URL Conventions 4.01, section 5; Protocol 4.01, sections 11.2.5 and 11.2.6)."""

import re
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import Enum
from typing import NoReturn

from shared.actions.odata.edm import StructuredType, TypeRef
from shared.actions.odata.search import SearchExpression
from shared.contracts import paging
from shared.contracts.odata.limits import DEFAULT_PAGE, MAX_LENGTH
from shared.contracts.odata.query.filters import Predicate, compile_filter
from shared.contracts.odata.query.key_ranges import KeyRange, key_range
from shared.contracts.odata.query.names import OPTIONS, check_once, option
from shared.contracts.odata.query.ordering import Ordering, compile_orderby
from shared.contracts.odata.query.positions import Position, Restriction, read_position, write_position
from shared.contracts.odata.query.searching import parse_search
from shared.contracts.odata.query.syntax import parse_filter
from shared.errors import RequestError
from shared.frozen import frozen

_MOST = 2**63 - 1
"""No set has so many entities: a larger `$top` or `$skip` means no other answer."""


class QueriedResource(Enum):
    """What is queried; the value says which options it takes, and which it leaves without effect."""

    COLLECTION = (OPTIONS, frozenset[str]())
    ENTITY = (frozenset({"select", "format"}), frozenset[str]())
    COUNT = (frozenset({"filter", "search"}), (OPTIONS | {"expand"}) - {"filter", "search"})
    """Protocol 4.01, section 11.2.10: `/$count` does not depend on $top, $skip, $orderby and $expand."""


@frozen(kw_only=True)
class Query:
    """What a request asks of the entities of one set."""

    entity_type: StructuredType
    filter: Predicate | None = None
    keys: KeyRange = field(default_factory=KeyRange)
    """Outside of it the filter matches nothing."""
    search: SearchExpression | None = None
    """What the source is asked for; the filter and all else are of what it finds (Protocol 4.01, 11.2.1)."""
    orderby: Ordering | None = None
    """None: by the key, ascending."""
    select: tuple[str, ...] | None = None
    """Names on the wire, a slash before a nested one; None: everything."""
    top: int | None = None
    skip: int = 0
    count: bool = False
    page_size: int = DEFAULT_PAGE
    applied_page_size: int | None = None
    """The preference maxpagesize as the caller gave it, where it was honoured."""
    position: Position | None = None
    restriction: Restriction = (None, None)
    """A token of a page fits no other one."""
    carried: Mapping[str, str] = field(default_factory=dict[str, str])
    """The options that every page of the answer has in common, as the caller wrote them."""

    @property
    def shown(self) -> int:
        """Entities on a full page."""
        return self.page_size if self.top is None else min(self.page_size, self.top)

    def following(self, position: Position, *, top: int | None, skip: int = 0) -> dict[str, str]:
        """The query of the page that starts at `position`, with what is left of `$top` and `$skip`."""
        parameters = dict(self.carried)
        if top is not None:
            parameters["$top"] = str(top)
        if skip:
            parameters["$skip"] = str(skip)
        parameters["$skiptoken"] = write_position(position, self.orderby, self.restriction)
        return parameters


def parse_query(
    query: Mapping[str, str],
    entity_type: StructuredType,
    *,
    resource: QueriedResource = QueriedResource.COLLECTION,
    searchable: bool = False,
    max_page: int = paging.MAX_TOP,
    preferences: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> Query:
    """Read the options of a request for entities of `entity_type`.

    System query options come in any case and with or without `$`; other names without `$` are the caller's own.
    `preferences` are those of the request: maxpagesize lowers the size of a page, which is at most `max_page`.
    Raises RequestError 400 for an option that is unknown, that stands there twice, whose value does not fit or that the
    resource does not take; 501 for one that OData has and this does not do: `$search`, unless `searchable`.
    """
    options = _options(query, resource, searchable)
    aliases = {name: value for name, value in query.items() if name.startswith("@")}
    filter_text, order_text = options.get("filter"), options.get("orderby")
    ordering = None if order_text is None else compile_orderby(order_text, entity_type, aliases=aliases, now=now)
    tree = None if filter_text is None else parse_filter(filter_text)
    restriction = (filter_text, options.get("search"))
    token = options.get("skiptoken")
    top = _number(options, "top")
    preferred = _preferred_page(preferences or {})
    return Query(
        entity_type=entity_type,
        filter=None if tree is None else compile_filter(tree, entity_type, aliases=aliases, now=now),
        keys=KeyRange() if tree is None else key_range(tree, entity_type),
        search=parse_search(options["search"]) if "search" in options else None,
        orderby=ordering,
        select=_select(options["select"], entity_type) if "select" in options else None,
        top=top,
        skip=_number(options, "skip") or 0,
        count=_boolean(options, "count"),
        page_size=min(preferred or (DEFAULT_PAGE if top is None else max_page), max_page),
        applied_page_size=preferred,
        position=None if token is None else read_position(token, ordering, restriction),
        restriction=restriction,
        carried=_carried(query),
    )


def _options(query: Mapping[str, str], resource: QueriedResource, searchable: bool) -> dict[str, str]:
    taken, without_effect = resource.value
    found: dict[str, str] = {}
    check_once(query)
    for written, value in query.items():
        name = option(written)
        if name is None and written.startswith("$"):
            _refuse(written, f"There is no query option {written!r}.")
        if name is None or name in without_effect:
            continue
        if name not in OPTIONS or (name == "search" and not searchable):
            message = f"The query option ${name} is not supported."
            raise RequestError(501, "QueryOptionNotSupported", message, target=f"${name}")
        if name not in taken:
            _refuse(f"${name}", f"${name} does not apply to this resource.")
        found[name] = value
    return found


def _carried(query: Mapping[str, str]) -> dict[str, str]:
    left_out = {"top", "skip", "skiptoken"}
    return {
        name: value
        for name, value in query.items()
        if name.lower().removeprefix("$") not in left_out and name.lower() not in paging.KEYS
    }


def _select(text: str, entity_type: StructuredType) -> tuple[str, ...] | None:
    if len(text) > MAX_LENGTH:
        _refuse("$select", f"$select has more than {MAX_LENGTH} characters.")
    if not text.strip():
        _refuse("$select", "$select has no value; it takes names of properties, or *.")
    if "(" in text:
        raise RequestError(501, "QueryOptionNotSupported", "$select takes no options in parentheses.", target="$select")
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name != "*":
            _check_path(name, entity_type)
    return None if "*" in names else tuple(names)


def _check_path(path: str, entity_type: StructuredType) -> None:
    type = TypeRef(entity_type.qualified, structured=entity_type)
    for name in path.split("/"):
        found = type.structured.properties.get(name) if type.structured else None
        if found is None:
            _refuse("$select", f"$select: there is no property {name!r} in {type}.")
        type = found.type


def _number(options: Mapping[str, str], name: str) -> int | None:
    """However large: what is asked for comes in pages, and beyond the end of a set there is an empty one (11.2.6)."""
    text = options.get(name)
    if text is None:
        return None
    if not text:
        _refuse(f"${name}", f"${name} has no value; it takes a whole number, such as ${name}=10.")
    if re.fullmatch(r"-[0-9]+", text):
        _refuse(f"${name}", f"${name} is not negative.")
    if not re.fullmatch(r"[0-9]+", text):
        _refuse(f"${name}", f"${name} is a whole number, written in the digits 0 to 9 alone.")
    digits = text.lstrip("0")
    return _MOST if len(digits) > len(str(_MOST)) else min(int(digits or "0"), _MOST)


def _boolean(options: Mapping[str, str], name: str) -> bool:
    text = options.get(name, "false").lower()
    if text not in ("true", "false"):
        _refuse(f"${name}", f"${name} is true or false.")
    return text == "true"


def _preferred_page(preferences: Mapping[str, str]) -> int | None:
    """A preference that cannot be read is none (RFC 7240, section 2). OData 4.0 calls it odata.maxpagesize."""
    text = preferences.get("maxpagesize", preferences.get("odata.maxpagesize", ""))
    return int(text) if re.fullmatch(r"0*[1-9][0-9]{0,8}", text) else None


def _refuse(target: str, message: str) -> NoReturn:
    raise RequestError(400, "InvalidQueryOption", message, target=target)
