"""What the operations of an OData service have in common: headers, parameters, errors."""

from collections.abc import Iterable
from typing import Any

from shared.actions.odata import EntitySet
from shared.contracts.odata.query import DEFAULT_PAGE
from shared.contracts.odata.syntax import MAX_LENGTH
from shared.contracts.openapi import odata_schemas
from shared.contracts.openapi.dialect import Json
from shared.contracts.openapi.parts import JSON, Scope, path_parameter
from shared.contracts.paging import MAX_TOP

TAG = "OData"

_FORMATS = ("json", *(f"application/json;odata.metadata={metadata}" for metadata in ("minimal", "full", "none")))
_TEXT: Json = {"type": "string", "maxLength": MAX_LENGTH}
_ALWAYS = ("OData-Version",)

COLLECTION_OPTIONS = ("filter", "orderby", "select", "top", "skip", "count", "skiptoken")

_OPTIONS: dict[str, tuple[Json, str]] = {
    "filter": (_TEXT, "Which entities: `words gt 1000 and contains(title,'sea')`."),
    "orderby": (_TEXT, "In which order: `published desc,title`; by the key where it is left out."),
    "select": (_TEXT, "Which properties: `id,title`, `cover/size`, `*`."),
    "top": ({"type": "integer", "minimum": 0}, f"How many; a page has at most {MAX_TOP}, else {DEFAULT_PAGE}."),
    "skip": ({"type": "integer", "minimum": 0}, "How many to leave out first."),
    "count": ({"type": "boolean"}, "Whether to say how many there are in all."),
    "skiptoken": ({"type": "string"}, "From `@odata.nextLink`; follow that as it is."),
    "format": ({"type": "string", "enum": list(_FORMATS)}, "The form of the answer, in place of `Accept`."),
}

ERRORS = (400, 406)
"""Any request may have odd options or headers, or take no form that there is."""


def answer(
    scope: Scope,
    description: str,
    schema: Json | None = None,
    *,
    headers: Iterable[str] = (),
    content_type: str = JSON,
) -> Json:
    return scope.response(description, schema, headers=(*_ALWAYS, *headers), content_type=content_type)


def errors(scope: Scope, *statuses: int) -> dict[str, Json]:
    return scope.errors(statuses, headers=_ALWAYS, name="OData")


def other_error(scope: Scope) -> dict[str, Json]:
    """For handlers and sources, which refuse with a status of their choice."""
    return scope.other_error(headers=_ALWAYS, name="OData")


def option(scope: Scope, name: str) -> Json:
    """A system query option."""
    schema, description = _OPTIONS[name]
    return scope.parameter(f"${name}", schema, description, component=f"odata-{name}", required=False)


def version(scope: Scope) -> Json:
    """The highest version that the caller reads."""
    description = "The highest version of OData that the caller reads; 4.01 where it does not say."
    return header(scope, "OData-MaxVersion", {"type": "string", "enum": ["4.0", "4.01"]}, description)


def header(scope: Scope, name: str, schema: Json, description: str, **more: Any) -> Json:
    more.setdefault("required", False)
    return scope.parameter(name, schema, description, place="header", **more)


def key(scope: Scope, entity_set: EntitySet) -> Json:
    """The key of an entity, inside the quotes that its path has."""
    found = entity_set.type.key
    assert found is not None, "an entity type has a key"
    shown = scope.schemas.resolved(odata_schemas.structure(scope.schemas, entity_set.type))["properties"][found.name]
    schema = {word: value for word, value in shown.items() if word != "default"}
    return path_parameter("key", schema, "The entity's key; a quote in it is written twice.")


def quoted(route: str) -> str:
    """The route with the quotes that a key, which is text, has around it (URL Conventions 4.01, section 4.3)."""
    return route.replace("({key})", "('{key}')")
