"""An OData service: what it has in all, its batches, its documents, and the monitors of asynchronous requests.

Paths and names follow the OASIS note "OData to OpenAPI Mapping Version 1.0". Sets are in `odata_sets`, what is called
is in `odata_calls`.
"""

from collections.abc import Iterator, Mapping

from shared.actions.odata_routes import ROOT, service_endpoints
from shared.actions.registry import Registry
from shared.actions.routes import Endpoint
from shared.contracts.openapi import odata_calls, odata_schemas, odata_sets
from shared.contracts.openapi.dialect import Json
from shared.contracts.openapi.inputs import ID_SCHEMA
from shared.contracts.openapi.odata_parts import (
    ERRORS,
    TAG,
    answer,
    errors,
    option,
    version,
)
from shared.contracts.openapi.parts import BODY_ERRORS, JSON, Operation, Scope, body_of, lro, path_parameter
from shared.contracts.openapi.schemas import TypeOf

DESCRIPTION = (
    "An OData 4.01 service. Without `Prefer: respond-async` it answers at once; with it an action or a batch is "
    "answered 202 with `Location`, which is polled until the final answer is there. Schemas show the JSON of "
    "`odata.metadata=minimal`; answers may have more control information (`@odata...`)."
)


def types(registry: Registry) -> Iterator[TypeOf]:
    if registry.odata is not None:
        yield from odata_schemas.types(registry.odata)


def operations(scope: Scope) -> Iterator[Operation]:
    """Set by set with what is bound to it, what is bound to nothing, batches, monitors, documents."""
    service = scope.registry.odata
    if service is None:
        return
    for entity_set in service.entity_sets.values():
        yield from odata_sets.operations(scope, entity_set)
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
    running = answer(scope, "Not ended yet.", headers=("Monitor.Location", "Wait.Retry-After"))
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
            "202": answer(scope, "It is being canceled.", headers=("Monitor.Location", "Wait.Retry-After")),
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
