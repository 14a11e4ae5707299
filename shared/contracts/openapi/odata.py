"""An OData service: its documents, its entity sets, its batches and the monitors of asynchronous requests.

Paths and names as in OData to OpenAPI Mapping 1.0, section 4.5 "Field paths". What is called is in `odata_calls`.
"""

from collections.abc import Iterator, Mapping

from shared.actions.edm import StructuredType
from shared.actions.odata import EntitySet
from shared.actions.odata_routes import ROOT, service_endpoints, set_endpoints
from shared.actions.registry import Registry
from shared.actions.routes import Endpoint
from shared.contracts.openapi import odata_calls, odata_schemas
from shared.contracts.openapi.dialect import Json
from shared.contracts.openapi.inputs import ID_SCHEMA
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
    version,
)
from shared.contracts.openapi.parts import BODY_ERRORS, JSON, Operation, Scope, body_of, lro, path_parameter
from shared.contracts.openapi.schemas import TypeOf

DESCRIPTION = (
    "An OData 4.01 service. Without `Prefer: respond-async` it answers at once; with it an action or a batch is "
    "answered 202 with `Location`, which is polled until the final answer is there. Schemas show the JSON of "
    "`odata.metadata=minimal`; answers may have more control information (`@odata...`)."
)

_CONDITION = 'ETags such as `W/"1a2b"`, or `*`.'


def types(registry: Registry) -> Iterator[TypeOf]:
    if registry.odata is not None:
        yield from odata_schemas.types(registry.odata)


def operations(scope: Scope) -> Iterator[Operation]:
    """Set by set with what is bound to it, what is bound to nothing, batches, monitors, documents."""
    service = scope.registry.odata
    if service is None:
        return
    for entity_set in service.entity_sets.values():
        yield from _entity_set(scope, entity_set)
        for operation in service.operations:
            if operation.entity_set is entity_set:
                yield from odata_calls.operations(scope, operation)
    for operation in service.operations:
        if operation.entity_set is None:
            yield from odata_calls.operations(scope, operation)
    document, metadata, batch, monitor, cancellation = service_endpoints(service.where)
    yield _batch(scope, batch)
    yield from _monitors(scope, monitor, cancellation)
    yield from _documents(scope, document, metadata)


def _entity_set(scope: Scope, entity_set: EntitySet) -> Iterator[Operation]:
    many, count, one = set_endpoints(entity_set.name, entity_set.where, writable=entity_set.is_writable)
    shown = odata_schemas.structure(scope.schemas, entity_set.type)
    at = [key(_key_schema(scope, entity_set.type)), option(scope, "format"), version(scope)]
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


def _batch(scope: Scope, at: Endpoint) -> Operation:
    asked, answered = scope.schemas.of(odata_schemas.BATCH_IN), scope.schemas.of(odata_schemas.BATCH_OUT)
    multipart: Mapping[str, Json] = {"multipart/mixed": {"schema": {"type": "string", "format": "binary"}}}
    body = body_of(asked, required=True)
    done = answer(scope, "The answers, each with its own status.", answered, headers=("Vary",))
    return Operation(
        function_name=at.function_name,
        method="POST",
        route=at.route,
        tag=TAG,
        summary="Send many requests at once",
        description="In JSON (OData JSON Format 4.01, section 19) or multipart/mixed (Protocol 4.01, section 11.7.7).",
        parameters=[odata_calls.prefer_async(scope, batch=True), version(scope)],
        body={**body, "content": {**body["content"], **multipart}},
        responses={
            "200": {**done, "content": {**done["content"], **multipart}},
            "202": odata_calls.accepted(scope),
            **errors(scope, *ERRORS, *BODY_ERRORS),
        },
        extensions=lro("location"),
    )


def _monitors(scope: Scope, monitor: Endpoint, cancellation: Endpoint) -> Iterator[Operation]:
    at = [path_parameter("operation_id", dict(ID_SCHEMA), "The operation's id."), version(scope)]
    running = answer(scope, "Not ended yet.", headers=("Monitor.Location", "Retry-After"))
    message: Json = {"schema": {"type": "string"}}
    final = answer(
        scope,
        "The final answer: as this one's own headers and body, its status in `AsyncResult`; or enclosed as a message, "
        "by `Accept: application/http` or for callers that read 4.0 alone.",
        {},
        headers=("AsyncResult",),
    )
    final["content"] |= {"application/http": message}
    batch: Json = {**final, "content": {**final["content"], "multipart/mixed": message}}
    yield Operation(
        function_name=monitor.function_name,
        method="GET",
        route=monitor.route,
        tag=TAG,
        summary="Read an asynchronous request's answer",
        parameters=at,
        responses={"200": batch, "202": running, **errors(scope, 400, 404, 410)},
    )
    yield Operation(
        function_name=f"{monitor.function_name}-delete",
        method="DELETE",
        route=monitor.route,
        tag=TAG,
        summary="Cancel an asynchronous request, or forget its answer",
        description="Only what leaves nothing behind when it is canceled takes this while it runs; else it is 405.",
        parameters=at,
        responses={
            "202": answer(scope, "It is being canceled.", headers=("Monitor.Location", "Retry-After")),
            "204": answer(scope, "Canceled, or forgotten."),
            **errors(scope, 400, 404, 405, 409),
        },
    )
    yield Operation(
        function_name=cancellation.function_name,
        method="GET",
        route=cancellation.route,
        tag=TAG,
        summary="Read how a cancellation goes",
        parameters=at,
        responses={"200": final, "202": running, **errors(scope, 400, 404)},
    )


def _documents(scope: Scope, document: Endpoint, metadata: Endpoint) -> Iterator[Operation]:
    forms = {
        "type": "string",
        "enum": ["xml", "json", "application/xml", "application/json"],
    }
    yield Operation(
        function_name=document.function_name,
        method="GET",
        route=ROOT,
        tag=TAG,
        summary="Read the service document",
        parameters=[option(scope, "format"), version(scope)],
        responses={
            "200": answer(scope, "What there is to start from.", scope.schemas.of(odata_schemas.SERVICE)),
            **errors(scope, *ERRORS, 405),
        },
    )
    described = answer(
        scope, "The service in CSDL 4.01: XML, or JSON.", {"type": "string"}, content_type="application/xml"
    )
    described["content"][JSON] = {"schema": {"type": "object"}}
    form = scope.parameter("$format", forms, "The form, in place of `Accept`.", component="odata-csdl", required=False)
    yield Operation(
        function_name=metadata.function_name,
        method="GET",
        route=metadata.route,
        tag=TAG,
        summary="Read the service's metadata",
        parameters=[form, version(scope)],
        responses={"200": described, **errors(scope, *ERRORS, 405)},
    )


def quoted(route: str) -> str:
    """The route with the quotes that a key of text has around it (URL Conventions 4.01, section 4.3.1)."""
    return route.replace("({key})", "('{key}')")


def _key_schema(scope: Scope, type: StructuredType) -> Json:
    assert type.key is not None, "an entity type has a key"
    return scope.schemas.resolved(odata_schemas.structure(scope.schemas, type))["properties"][type.key.name]


def _condition(scope: Scope, name: str) -> Json:
    return header(scope, name, {"type": "string"}, _CONDITION, component=f"odata-{name}")
