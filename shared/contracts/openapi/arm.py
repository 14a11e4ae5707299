"""ARM resources: their verbs, their reads and lists, and the monitors of each namespace."""

from collections.abc import Iterator, Sequence

from shared.actions.arm import ArmResource, ArmVerb, Verb, monitor_endpoints
from shared.actions.arm_headers import RESOURCE
from shared.actions.arm_models import SystemData
from shared.actions.registry import Registry
from shared.actions.routes import Endpoint, parameters
from shared.contracts.arm_names import GROUP, GUID
from shared.contracts.openapi.arm_schemas import SYSTEM_DATA, resource_schemas
from shared.contracts.openapi.dialect import Json
from shared.contracts.openapi.inputs import ID_SCHEMA
from shared.contracts.openapi.parts import BODY_ERRORS, Operation, Scope, body_of, lro, path_parameter, words_of
from shared.contracts.openapi.schemas import TypeOf
from shared.contracts.openapi.shapes import ArmOperationStatus

TAG = "ARM"
DESCRIPTION = (
    "Resources as in the Azure Resource Manager RPC: a write answers with `Azure-AsyncOperation`, `Location` or both, "
    "which are polled until the operation has ended."
)

_STATUS = "arm:status"
_CORRELATION = ("x-ms-correlation-request-id",)
_CONDITIONS = {
    "If-Match": "Only if the resource has one of these ETags.",
    "If-None-Match": "Only if the resource has none of these ETags; `*`: only if there is none.",
}


def types(registry: Registry) -> Iterator[TypeOf]:
    """The properties of each resource, read and written, and what its actions take and answer."""
    if not registry.resources:
        return
    yield _STATUS, "serialization", ArmOperationStatus
    yield SYSTEM_DATA, "serialization", SystemData
    for resource in registry.resources:
        yield f"in:{resource.full_type}", "validation", resource.properties
        yield f"out:{resource.full_type}", "serialization", resource.properties
        for verb in resource.verbs:
            if verb.handler.request is not None:
                yield f"in:{verb.action.name}", "validation", verb.handler.request
            if verb.handler.output is not None and not verb.handler.returns_resource:
                yield f"out:{verb.action.name}", "serialization", verb.handler.output


def operations(scope: Scope) -> Iterator[Operation]:
    """Resource by resource, then the monitors of each namespace."""
    for resource in scope.registry.resources:
        shown, put, patch = resource_schemas(scope.schemas, resource)
        for verb in resource.verbs:
            yield _start(scope, resource, verb, shown, {Verb.WRITE: put, Verb.UPDATE: patch}.get(verb.verb))
        yield from _reads(scope, resource, shown)
    for resources in scope.registry.namespaces().values():
        yield from _monitors(scope, resources)


def final_state_via(verb: ArmVerb) -> str:
    """Azure/typespec-azure, "Customizing Long-Running Operations": both headers end at `Location`."""
    return "location" if verb.headers.location else "azure-async-operation"


def _start(scope: Scope, resource: ArmResource, verb: ArmVerb, shown: Json, written: Json | None) -> Operation:
    action, handler = verb.action, verb.handler
    summary, description = words_of(handler.function, f"{action.method} {resource.full_type}")
    if verb.verb is Verb.ACTION:
        body = None
        if handler.request is not None:
            key = f"in:{action.name}"
            body = body_of(scope.schemas.of(key), required=bool(scope.schemas.required(key)))
    else:
        body = body_of(written, required=verb.verb is Verb.WRITE) if written is not None else None
    final = _final_schema(scope, verb, shown)
    errors = [400, 404, 409, 412, *BODY_ERRORS]
    return Operation(
        function_name=action.function_name,
        method=action.method,
        route=action.route,
        tag=TAG,
        summary=summary,
        description=description,
        parameters=[
            _version(scope, [resource]),
            *_path(action.route, resource),
            *(_condition(scope, name) for name in _CONDITIONS),
        ],
        body=body,
        responses={
            **_first_answers(scope, verb, shown),
            **scope.errors(errors, headers=_CORRELATION, name="Arm"),
            **(scope.other_error(headers=_CORRELATION, name="Arm") if action.preconditions or verb.also_hold else {}),
        },
        extensions=lro(final_state_via(verb), final),
    )


def _first_answers(scope: Scope, verb: ArmVerb, shown: Json) -> dict[str, Json]:
    """The answers to a start, by status (`shared.contracts.arm.start_status`)."""
    polled = (
        *(("Azure-AsyncOperation",) if verb.headers.async_operation else ()),
        *(("Location",) if verb.headers.location else ()),
        "Wait.Retry-After",
        *_CORRELATION,
    )
    if verb.verb is Verb.WRITE:
        headers = (*polled, "ETag")
        return {
            "200": scope.response("The resource was there; what it is going to be.", shown, headers=headers),
            "201": scope.response("The resource is new; what it is going to be.", shown, headers=headers),
        }
    answers = {"202": scope.response("Started.", headers=polled)}
    if verb.verb is Verb.DELETE:
        answers["204"] = scope.response("There was none.", headers=_CORRELATION)
    return answers


def _final_schema(scope: Scope, verb: ArmVerb, shown: Json) -> Json | None:
    if verb.headers.final_result is RESOURCE:
        return shown
    if verb.handler.output is None:
        return None
    schema = scope.schemas.of(f"out:{verb.action.name}")
    if "$ref" in schema:
        return schema
    return scope.schemas.add(f"{verb.action.name.split('/')[-2]}Result", schema)


def _reads(scope: Scope, resource: ArmResource, shown: Json) -> Iterator[Operation]:
    get, *lists = resource.endpoints()[-3:]
    answer = scope.response("The resource.", shown, headers=("ETag", *_CORRELATION))
    unchanged = scope.response("It still has that ETag.", headers=("ETag", *_CORRELATION))
    yield Operation(
        function_name=get.function_name,
        method="GET",
        route=get.route,
        tag=TAG,
        summary=f"Read one of {resource.full_type}",
        parameters=[
            _version(scope, [resource]),
            *_path(get.route, resource),
            _condition(scope, "If-None-Match"),
        ],
        responses={
            "200": answer,
            "304": unchanged,
            **scope.errors([400, 404, 405], headers=_CORRELATION, name="Arm"),
        },
    )
    page = scope.schemas.add(
        f"{shown['$ref'].rpartition('/')[2]}List",
        {
            "type": "object",
            "properties": {"value": {"type": "array", "items": shown}, "nextLink": {"type": "string", "format": "uri"}},
            "required": ["value"],
        },
    )
    top = scope.parameter(
        "$top", {"type": "integer", "minimum": 1, "maximum": 1000}, "Page size.", component="arm-top", required=False
    )
    token = scope.parameter(
        "$skipToken",
        {"type": "string"},
        "From `nextLink`; follow that as it is.",
        component="arm-skipToken",
        required=False,
    )
    for endpoint, place in zip(lists, ("a resource group", "a subscription"), strict=True):
        yield Operation(
            function_name=endpoint.function_name,
            method="GET",
            route=endpoint.route,
            tag=TAG,
            summary=f"List {resource.full_type} of {place}",
            parameters=[_version(scope, [resource]), *_path(endpoint.route, resource), top, token],
            responses={
                "200": scope.response("A page.", page, headers=_CORRELATION),
                **scope.errors([400, 404, 405], headers=_CORRELATION, name="Arm"),
            },
            extensions={"x-ms-pageable": {"nextLinkName": "nextLink"}},
        )


def _monitors(scope: Scope, resources: Sequence[ArmResource]) -> Iterator[Operation]:
    status, cancel, results = monitor_endpoints(resources[0].namespace, resources[0].where)
    shape = scope.schemas.of(_STATUS)
    shown = scope.response("The operation, whatever its state.", shape, headers=("Retry-After", *_CORRELATION))
    errors = scope.errors([400, 404, 405], headers=_CORRELATION, name="Arm")
    yield _monitor(scope, resources, status, "Read an operation", {"200": shown, **errors})
    canceled = scope.response("The operation, now canceled or being so.", shape, headers=("Retry-After", *_CORRELATION))
    yield _monitor(scope, resources, cancel, "Cancel an operation", {"200": canceled, **errors})
    yield _monitor(
        scope,
        resources,
        results,
        "Read what an operation came to",
        {
            "200": scope.response("What a synchronous call would have answered.", {}, headers=_CORRELATION),
            "202": scope.response("Not ended yet.", headers=("Location", "Wait.Retry-After", *_CORRELATION)),
            "204": scope.response("It has succeeded and answers nothing.", headers=_CORRELATION),
            **scope.errors([400, 404, 405, 409, 410], headers=_CORRELATION, name="Arm"),
            **scope.other_error(headers=_CORRELATION, name="Arm"),
        },
    )


def _monitor(
    scope: Scope, resources: Sequence[ArmResource], at: Endpoint, summary: str, responses: dict[str, Json]
) -> Operation:
    return Operation(
        function_name=at.function_name,
        method=at.methods[0],
        route=at.route,
        tag=TAG,
        summary=f"{summary} of {resources[0].namespace}",
        parameters=[_version(scope, resources), *_path(at.route, resources[0])],
        responses=responses,
    )


def _version(scope: Scope, resources: Sequence[ArmResource]) -> Json:
    supported = sorted({version for resource in resources for version in resource.api_versions})
    first = resources[0]
    component = f"api-version-{first.full_type if len(resources) == 1 else first.namespace}".replace("/", ".")
    schema: Json = {"type": "string", "enum": supported}
    return scope.parameter("api-version", schema, "The provider's version.", component=component, required=True)


def _path(route: str, resource: ArmResource) -> list[Json]:
    known: dict[str, Json] = {
        "subscriptionId": {"type": "string", "format": "uuid", "pattern": f"^{GUID.pattern}$"},
        "resourceGroupName": {"type": "string", "pattern": f"^{GROUP.pattern}$"},
        "name": {"type": "string", "pattern": f"^(?:{resource.name_pattern.pattern})$"},
        "location": {"type": "string"},
        "operationId": dict(ID_SCHEMA),
    }
    return [path_parameter(name, known[name]) for name in parameters(route, route)]


def _condition(scope: Scope, name: str) -> Json:
    return scope.parameter(name, {"type": "string"}, _CONDITIONS[name], place="header", required=False)
