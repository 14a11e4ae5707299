"""An OData service: what it has in all, its batches, its documents, and the monitors of asynchronous requests.

Paths and names follow the OASIS note "OData to OpenAPI Mapping Version 1.0". Sets are in `odata_sets`, what is called
is in `odata_calls`.
"""

from collections.abc import Iterator

from shared.actions.odata.routes import ROOT, service_endpoints
from shared.actions.registry import Registry
from shared.actions.routes import Endpoint
from shared.contracts.openapi import odata_calls, odata_schemas, odata_sets, parts
from shared.contracts.openapi.dialect import Json
from shared.contracts.openapi.inputs import OPERATION
from shared.contracts.openapi.odata_parts import ACCEPTED, ERRORS, FORMAT, PREFER_BATCH, VERSION
from shared.contracts.openapi.schemas import TypeOf

PROFILE = parts.Profile(
    tag="OData",
    description=(
        "An OData 4.01 service. Without `Prefer: respond-async` it answers at once; with it an action or a batch is "
        "answered 202 with `Location`, which is polled until the final answer is there. Schemas show the JSON of "
        "`odata.metadata=minimal`; answers may have more control information (`@odata...`)."
    ),
    first_headers=("OData-Version",),
    error_prefix="OData",
)

_MULTIPART = "multipart/mixed"
_BINARY: Json = {"type": "string", "format": "binary"}
_CSDL_FORMAT = parts.Parameter(
    "$format",
    "The form, in place of `Accept`.",
    {"type": "string", "enum": ["xml", "json", "application/xml", "application/json"]},
    component="odata-csdl",
)
_POLL = ("Monitor.Location", "Wait.Retry-After", *parts.WAIT[1:])
_FINAL = (
    "The final answer: as this one's own headers and body, its status in `AsyncResult`; or enclosed as a message, by "
    "`Accept: application/http` or for callers that read 4.0 alone."
)


def types(registry: Registry) -> Iterator[TypeOf]:
    if registry.odata is not None:
        yield from odata_schemas.types(registry.odata)


def operations(scope: parts.Scope) -> Iterator[parts.DescribedOperation]:
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
    yield from _monitors(monitor, cancellation)
    yield from _documents(scope, document, metadata)


def _batch(scope: parts.Scope, endpoint: Endpoint) -> parts.DescribedOperation:
    body = parts.body_of(scope.schemas.of(odata_schemas.BATCH_IN), required=True)
    body["content"][_MULTIPART] = {"schema": _BINARY}
    responses = scope.schemas.of(odata_schemas.BATCH_OUT)
    return parts.DescribedOperation(
        endpoint,
        "Send many requests at once",
        "In JSON (OData JSON Format 4.01, section 19) or multipart/mixed (Protocol 4.01, section 11.7.7).",
        parameters=[PREFER_BATCH, VERSION],
        body=body,
        answers={
            200: parts.Answer("The answers, each with its own status.", responses, ("Vary",), {_MULTIPART: _BINARY}),
            202: ACCEPTED,
        },
        errors=(*ERRORS, *parts.BODY_ERRORS),
        extensions=parts.lro("location"),
    )


def _monitors(monitor: Endpoint, cancellation: Endpoint) -> Iterator[parts.DescribedOperation]:
    parameters = (OPERATION, VERSION)
    running = parts.Answer("Not ended yet.", headers=_POLL)
    message = {"application/http": parts.TEXT}
    yield parts.DescribedOperation(
        monitor,
        "Read an asynchronous request's answer",
        parameters=parameters,
        answers={200: parts.Answer(_FINAL, {}, ("AsyncResult",), {**message, _MULTIPART: parts.TEXT}), 202: running},
        errors=(400, 404, 410),
    )
    yield parts.DescribedOperation(
        parts.at(f"{monitor.function_name}-delete", "DELETE", monitor.route),
        "Cancel an asynchronous request, or forget its answer",
        "Only what leaves nothing behind when it is canceled takes this while it runs; else it is 405.",
        parameters=parameters,
        answers={
            202: parts.Answer("It is being canceled.", headers=_POLL),
            204: parts.Answer("Canceled, or forgotten."),
        },
        errors=(400, 404, 405, 409),
    )
    yield parts.DescribedOperation(
        cancellation,
        "Read how a cancellation goes",
        parameters=parameters,
        answers={200: parts.Answer(_FINAL, {}, ("AsyncResult",), message), 202: running},
        errors=(400, 404),
    )


def _documents(scope: parts.Scope, document: Endpoint, metadata: Endpoint) -> Iterator[parts.DescribedOperation]:
    yield parts.DescribedOperation(
        parts.at(document.function_name, "GET", ROOT),
        "Read the service document",
        parameters=(FORMAT, VERSION),
        answers={200: parts.Answer("What there is to start from.", scope.schemas.of(odata_schemas.SERVICE))},
        errors=(*ERRORS, 405),
    )
    forms: dict[str, Json] = {"application/xml": parts.TEXT, parts.JSON: {"type": "object"}}
    yield parts.DescribedOperation(
        metadata,
        "Read the service's metadata",
        parameters=(_CSDL_FORMAT, VERSION),
        answers={200: parts.Answer("The service in CSDL 4.01: XML, or JSON.", content=forms)},
        errors=(*ERRORS, 405),
    )
