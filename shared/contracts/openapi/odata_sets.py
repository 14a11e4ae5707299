"""The entity sets of an OData service: queries, reads, and writes under ETags."""

from collections.abc import Iterator

from shared.actions.odata.service import EntitySet
from shared.actions.routes import Endpoint
from shared.contracts.openapi import odata_parts, odata_schemas, parts
from shared.contracts.openapi.dialect import Json

_PAGE_SIZE = parts.header("Prefer", "`maxpagesize=N`: at most so many on a page.", "odata-page-size")
_RETURN = parts.header(
    "Prefer", "`return=minimal`: answer without the entity; `return=representation`: with it.", "odata-return"
)
_CONDITION = 'ETags such as `W/"1a2b"`, or `*`.'
_IF_MATCH = parts.header("If-Match", _CONDITION, "odata-If-Match")
_IF_NONE_MATCH = parts.header("If-None-Match", _CONDITION, "odata-If-None-Match")

_ETAG = ("Entity.ETag",)
_WRITTEN = (*_ETAG, "Preferences.Preference-Applied", "Vary")
_PAGEABLE: Json = {"x-ms-pageable": {"nextLinkName": "@odata.nextLink", "itemName": "value"}}


def operations(scope: parts.Scope, entity_set: EntitySet) -> Iterator[parts.DescribedOperation]:
    """The set, its count, its entities; and what changes them, where that is possible."""
    many, count, one = entity_set.endpoints
    shown = odata_schemas.structure(scope.schemas, entity_set.type)
    entity = [odata_parts.key(scope, entity_set), odata_parts.FORMAT, odata_parts.VERSION]
    page = odata_schemas.page(scope.schemas, entity_set)
    search = [odata_parts.SEARCH] if entity_set.is_searchable else []
    unsearched = (409,) if entity_set.is_searchable else ()
    digits: Json = {"type": "string", "pattern": "^[0-9]+$"}
    yield parts.DescribedOperation(
        many,
        f"Query {entity_set.name}",
        parameters=[*odata_parts.COLLECTION_OPTIONS, *search, odata_parts.FORMAT, _PAGE_SIZE, odata_parts.VERSION],
        answers={200: parts.Answer("A page.", page, ("Preferences.Preference-Applied", "Vary"))},
        errors=(*odata_parts.ERRORS, 405, *unsearched, 410, 501),
        extensions=_PAGEABLE,
        listed_first=(odata_parts.FORMAT, odata_parts.VERSION),
    )
    yield parts.DescribedOperation(
        count,
        f"Count {entity_set.name}",
        parameters=[odata_parts.FILTER, *search, odata_parts.VERSION],
        answers={200: parts.Answer("How many there are.", content={"text/plain": digits})},
        errors=(400, 405, *unsearched, 501),
    )
    yield parts.DescribedOperation(
        parts.at(one.function_name, "GET", odata_parts.quoted(one.route)),
        f"Read one of {entity_set.name}",
        parameters=[*entity, odata_parts.SELECT, _IF_NONE_MATCH],
        answers={
            200: parts.Answer("The entity.", shown, _ETAG),
            304: parts.Answer(parts.UNCHANGED, headers=_ETAG),
        },
        errors=(*odata_parts.ERRORS, 404, 405, 501),
    )
    if entity_set.is_writable:
        yield _create(scope, entity_set, many, one, shown)
        yield _update(scope, entity_set, one, shown, entity)
    if entity_set.is_deletable:
        yield _delete(entity_set, one, entity)


def _create(
    scope: parts.Scope, entity_set: EntitySet, many: Endpoint, one: Endpoint, shown: Json
) -> parts.DescribedOperation:
    headers = (*_WRITTEN, "Entity.Location")
    names = (one.function_name, f"{one.function_name}-update", f"{one.function_name}-delete")
    links = {
        name: {"operationId": name, "parameters": {"key": f"$response.body#/{entity_set.key.name}"}} for name in names
    }
    return parts.DescribedOperation(
        parts.at(f"{many.function_name}-create", "POST", many.route),
        f"Add to {entity_set.name}",
        parameters=[_RETURN, odata_parts.FORMAT, odata_parts.VERSION],
        body=parts.body_of(odata_schemas.created(scope.schemas, entity_set), required=True),
        answers={
            201: parts.Answer("The new entity.", shown, headers, links=links),
            204: parts.Answer(
                "Done; the entity is not shown.", headers=(*_WRITTEN, "OData-EntityId", "Entity.Location")
            ),
        },
        errors=(*odata_parts.ERRORS, 409, *parts.BODY_ERRORS),
        other_error=True,
        listed_first=("OData-EntityId",),
    )


_CHANGE_ERRORS = (*odata_parts.ERRORS, 404, 405, 409, 412)


def _update(
    scope: parts.Scope, entity_set: EntitySet, one: Endpoint, shown: Json, entity: list[Json | parts.Parameter]
) -> parts.DescribedOperation:
    return parts.DescribedOperation(
        parts.at(f"{one.function_name}-update", "PATCH", odata_parts.quoted(one.route)),
        f"Change one of {entity_set.name}",
        parameters=[*entity, _RETURN, _IF_MATCH],
        body=parts.body_of(odata_schemas.changed(scope.schemas, entity_set), required=False),
        answers={
            200: parts.Answer("The entity as it is now.", shown, _WRITTEN),
            204: parts.Answer("Done; the entity is not shown.", headers=(*_WRITTEN, "OData-EntityId")),
        },
        errors=(*_CHANGE_ERRORS, *parts.BODY_ERRORS),
        other_error=True,
    )


def _delete(entity_set: EntitySet, one: Endpoint, entity: list[Json | parts.Parameter]) -> parts.DescribedOperation:
    return parts.DescribedOperation(
        parts.at(f"{one.function_name}-delete", "DELETE", odata_parts.quoted(one.route)),
        f"Remove one of {entity_set.name}",
        parameters=[*entity, _IF_MATCH],
        answers={204: parts.Answer("Removed.")},
        errors=_CHANGE_ERRORS,
        other_error=True,
    )
