"""The entity sets of an OData service: queries, reads, and writes under ETags."""

from collections.abc import Iterator

from shared.actions.odata import EntitySet
from shared.actions.odata_routes import set_endpoints
from shared.actions.routes import Endpoint
from shared.contracts.openapi import odata_schemas
from shared.contracts.openapi.dialect import Json
from shared.contracts.openapi.odata_parts import (
    COLLECTION_OPTIONS,
    ERRORS,
    TAG,
    answer,
    errors,
    header,
    key,
    option,
    other_error,
    quoted,
    version,
)
from shared.contracts.openapi.parts import BODY_ERRORS, Operation, Scope, body_of

_CONDITION = 'ETags such as `W/"1a2b"`, or `*`.'


def operations(scope: Scope, entity_set: EntitySet) -> Iterator[Operation]:
    """The set, its count, its entities; and what changes them, where that is possible."""
    many, count, one = set_endpoints(entity_set.name, entity_set.where, writable=entity_set.is_writable)
    shown = odata_schemas.structure(scope.schemas, entity_set.type)
    at = [key(scope, entity_set), option(scope, "format"), version(scope)]
    page = answer(
        scope,
        "A page.",
        odata_schemas.page(scope.schemas, entity_set),
        headers=("Preferences.Preference-Applied", "Vary"),
    )
    digits: Json = {"type": "string", "pattern": "^[0-9]+$"}
    size = "`maxpagesize=N`: at most so many on a page."
    yield Operation(
        function_name=many.function_name,
        method="GET",
        route=many.route,
        tag=TAG,
        summary=f"Query {entity_set.name}",
        parameters=[
            *(option(scope, name) for name in COLLECTION_OPTIONS),
            option(scope, "format"),
            header(scope, "Prefer", {"type": "string"}, size, component="odata-page-size"),
            version(scope),
        ],
        responses={"200": page, **errors(scope, *ERRORS, 405, 410, 501)},
        extensions={"x-ms-pageable": {"nextLinkName": "@odata.nextLink", "itemName": "value"}},
    )
    yield Operation(
        function_name=count.function_name,
        method="GET",
        route=count.route,
        tag=TAG,
        summary=f"Count {entity_set.name}",
        parameters=[option(scope, "filter"), version(scope)],
        responses={
            "200": answer(scope, "How many there are.", digits, content_type="text/plain"),
            **errors(scope, 400, 405, 501),
        },
    )
    yield Operation(
        function_name=one.function_name,
        method="GET",
        route=quoted(one.route),
        tag=TAG,
        summary=f"Read one of {entity_set.name}",
        parameters=[*at, option(scope, "select"), _condition(scope, "If-None-Match")],
        responses={
            "200": answer(scope, "The entity.", shown, headers=("Entity.ETag",)),
            "304": answer(scope, "It still has that ETag.", headers=("Entity.ETag",)),
            **errors(scope, *ERRORS, 404, 405, 501),
        },
    )
    if entity_set.is_writable:
        yield from _writes(scope, entity_set, many=many, one=one, shown=shown, at=at)


def _writes(
    scope: Scope, entity_set: EntitySet, *, many: Endpoint, one: Endpoint, shown: Json, at: list[Json]
) -> Iterator[Operation]:
    prefer = header(
        scope,
        "Prefer",
        {"type": "string"},
        "`return=minimal`: answer without the entity; `return=representation`: with it.",
        component="odata-return",
    )
    written = ("Entity.ETag", "Preferences.Preference-Applied", "Vary")
    nothing = answer(scope, "Done; the entity is not shown.", headers=(*written, "OData-EntityId"))
    made = answer(scope, "Done; the entity is not shown.", headers=(*written, "OData-EntityId", "Entity.Location"))
    key_name = entity_set.type.key.name if entity_set.type.key else ""
    found = {"key": f"$response.body#/{key_name}"}
    names = (one.function_name, f"{one.function_name}-update", f"{one.function_name}-delete")
    new = answer(scope, "The new entity.", shown, headers=(*written, "Entity.Location"))
    yield Operation(
        function_name=f"{many.function_name}-create",
        method="POST",
        route=many.route,
        tag=TAG,
        summary=f"Add to {entity_set.name}",
        parameters=[prefer, option(scope, "format"), version(scope)],
        body=body_of(odata_schemas.created(scope.schemas, entity_set), required=True),
        responses={
            "201": {**new, "links": {name: {"operationId": name, "parameters": found} for name in names}},
            "204": made,
            **errors(scope, *ERRORS, 409, *BODY_ERRORS),
            **other_error(scope),
        },
    )
    yield Operation(
        function_name=f"{one.function_name}-update",
        method="PATCH",
        route=quoted(one.route),
        tag=TAG,
        summary=f"Change one of {entity_set.name}",
        parameters=[*at, prefer, _condition(scope, "If-Match")],
        body=body_of(odata_schemas.changed(scope.schemas, entity_set), required=False),
        responses={
            "200": answer(scope, "The entity as it is now.", shown, headers=written),
            "204": nothing,
            **errors(scope, *ERRORS, 404, 405, 409, 412, *BODY_ERRORS),
            **other_error(scope),
        },
    )
    yield Operation(
        function_name=f"{one.function_name}-delete",
        method="DELETE",
        route=quoted(one.route),
        tag=TAG,
        summary=f"Remove one of {entity_set.name}",
        parameters=[*at, _condition(scope, "If-Match")],
        responses={
            "204": answer(scope, "Removed."),
            **errors(scope, *ERRORS, 404, 405, 409, 412),
            **other_error(scope),
        },
    )


def _condition(scope: Scope, name: str) -> Json:
    return header(scope, name, {"type": "string"}, _CONDITION, component=f"odata-{name}")
