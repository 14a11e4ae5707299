"""What a URL below the service root stands for (OData URL Conventions 4.01, section 4 "Resource Path")."""

import re
from enum import StrEnum
from urllib.parse import quote, unquote

from shared.actions.odata.routes import ROOT, Binding
from shared.actions.odata.service import EntitySet, ODataOperation, ODataService
from shared.actions.routes import READ
from shared.contracts.odata.urls import read_key, service_root
from shared.errors import RequestError
from shared.frozen import frozen

_BEYOND = frozenset({"$all", "$crossjoin", "$each", "$entity", "$filter", "$query", "$ref"})
"""Segments of URL Conventions 4.01, section 4, that lead nowhere here."""
_SEGMENT = re.compile(r"(?P<name>\$?[A-Za-z_][A-Za-z0-9_.]*)(?P<parentheses>\((?P<inside>.*)\))?", re.DOTALL)


class Kind(StrEnum):
    """What is addressed."""

    SERVICE = "service"
    METADATA = "metadata"
    BATCH = "batch"
    SET = "set"
    COUNT = "count"
    ENTITY = "entity"
    CALL = "call"
    MONITOR = "monitor"
    CANCELLATION = "cancellation"


@frozen(kw_only=True)
class Target:
    """What a path leads to; `allow` are the methods it takes."""

    kind: Kind
    allow: tuple[str, ...]
    entity_set: EntitySet | None = None
    key: str | None = None
    """The entity's key, decoded."""
    operation: ODataOperation | None = None
    arguments: str = ""
    """What stands between the parentheses of a function, decoded."""
    operation_id: str = ""


def resolve(service: ODataService, path: str) -> Target:
    """The target of an encoded path, `/odata/...`. Names are compared with case.

    Raises RequestError 404 for what is not there, 400 for a key that is none, 501 for what OData has and this has not.
    """
    segments = [unquote(segment) for segment in path.strip("/").split("/")]
    if segments[0].lower() != ROOT:
        raise _not_found()
    if beyond := next((name for name in (each.partition("(")[0] for each in segments) if name in _BEYOND), None):
        raise RequestError(501, "PathNotSupported", f"The path segment {beyond} is not supported.", target=beyond)
    match segments[1:]:
        case []:
            return Target(kind=Kind.SERVICE, allow=READ)
        case ["$metadata"]:
            return Target(kind=Kind.METADATA, allow=READ)
        case ["$batch"]:
            return Target(kind=Kind.BATCH, allow=("POST",))
        case ["$async", operation_id]:
            return Target(kind=Kind.MONITOR, allow=(*READ, "DELETE"), operation_id=operation_id)
        case ["$async", operation_id, "cancellation"]:
            return Target(kind=Kind.CANCELLATION, allow=READ, operation_id=operation_id)
        case [one]:
            return _first(service, one)
        case [one, two, *more]:
            found = _second(service, _first(service, one), two)
            if more:
                raise _not_found()
            return found
        case _:
            raise _not_found()


def monitor_url(base: str, operation_id: str, *, cancellation: bool = False) -> str:
    """The absolute URL of an asynchronous request's monitor, or of its cancellation's."""
    return f"{service_root(base)}/$async/{quote(operation_id, safe='')}" + ("/cancellation" if cancellation else "")


def _first(service: ODataService, segment: str) -> Target:
    name, inside = _parts(segment)
    entity_set = service.entity_sets.get(name)
    if entity_set is not None:
        methods = entity_set.methods
        if not (inside or "").strip():  # Microsoft's client writes Books() for the set
            return Target(kind=Kind.SET, allow=methods.many, entity_set=entity_set)
        key = read_key(entity_set, inside or "")
        return Target(kind=Kind.ENTITY, allow=methods.one, entity_set=entity_set, key=key)
    for operation in service.operations:
        if operation.binding is Binding.NONE and name in (operation.name, operation.qualified):
            return _call(operation, inside, None, None)
    raise _not_found()


def _second(service: ODataService, first: Target, segment: str) -> Target:
    if first.kind not in (Kind.SET, Kind.ENTITY):
        raise _not_found()
    if first.kind is Kind.SET and segment == "$count":
        return Target(kind=Kind.COUNT, allow=READ, entity_set=first.entity_set)
    name, inside = _parts(segment)
    binding = Binding.ENTITY if first.kind is Kind.ENTITY else Binding.COLLECTION
    operation = service.find(name, first.entity_set, binding)
    if operation is not None:
        return _call(operation, inside, first.entity_set, first.key)
    if first.entity_set is not None and name in first.entity_set.type.properties:
        raise _not_found("A property has no URL of its own here; read the entity, with $select.")
    raise _not_found()


def _call(operation: ODataOperation, inside: str | None, entity_set: EntitySet | None, key: str | None) -> Target:
    if operation.is_action and (inside or "").strip():
        raise _not_found("An action takes its parameters in the body, and nothing in parentheses.")
    allow = ("POST",) if operation.is_action else READ
    return Target(
        kind=Kind.CALL, allow=allow, entity_set=entity_set, key=key, operation=operation, arguments=inside or ""
    )


def _parts(segment: str) -> tuple[str, str | None]:
    match = _SEGMENT.fullmatch(segment)
    if match is None:
        raise _not_found()
    return match["name"], match["inside"] if match["parentheses"] else None


def _not_found(message: str = "There is nothing at this path.") -> RequestError:
    return RequestError(404, "ResourceNotFound", message)
