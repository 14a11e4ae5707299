"""ARM resources: their verbs, their reads and lists, and the monitors of each namespace."""

from collections.abc import Iterator, Sequence

from shared.actions.arm.lro_headers import RESOURCE
from shared.actions.arm.models import SystemData
from shared.actions.arm.resource import ArmResource, ArmVerb, Verb
from shared.actions.registry import Registry
from shared.actions.routes import parameters
from shared.contracts.arm.names import GROUP, GUID
from shared.contracts.openapi import parts
from shared.contracts.openapi.arm_schemas import SYSTEM_DATA, ArmOperationStatus, page, resource_schemas
from shared.contracts.openapi.dialect import Json
from shared.contracts.openapi.inputs import ID_SCHEMA
from shared.contracts.openapi.schemas import TypeOf

_CORRELATION = "x-ms-correlation-request-id"

PROFILE = parts.Profile(
    tag="ARM",
    description=(
        "Resources as in the Azure Resource Manager RPC: a write answers with `Azure-AsyncOperation`, `Location` or "
        "both, which are polled until the operation has ended."
    ),
    last_headers=(_CORRELATION,),
    error_prefix="Arm",
)

_STATUS = "arm:status"
_IF_MATCH = parts.header("If-Match", "Only if the resource has one of these ETags.")
_IF_NONE_MATCH = parts.header(
    "If-None-Match", "Only if the resource has none of these ETags; `*`: only if there is none."
)
_READ_ERRORS = (400, 404, 405)


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
            if verb.handler.input_model is not None:
                yield f"in:{verb.action.name}", "validation", verb.handler.input_model
            if verb.handler.returns is not None and not verb.handler.returns_resource:
                yield f"out:{verb.action.name}", "serialization", verb.handler.returns


def operations(scope: parts.Scope) -> Iterator[parts.DescribedOperation]:
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


def _start(
    scope: parts.Scope, resource: ArmResource, verb: ArmVerb, shown: Json, envelope: Json | None
) -> parts.DescribedOperation:
    action = verb.action
    return parts.DescribedOperation(
        parts.at(action.function_name, action.method, action.route),
        *parts.words_of(verb.handler.function, f"{action.method} {resource.full_type}"),
        parameters=[*_place([resource], action.route), _IF_MATCH, _IF_NONE_MATCH, parts.LABELS, parts.NOT_BEFORE],
        body=_body(scope, verb, envelope),
        answers=_first_answers(verb, shown),
        errors=(400, 404, 409, 412, *parts.BODY_ERRORS),
        other_error=bool(action.preconditions) or verb.also_lock is not None,
        extensions=parts.lro(final_state_via(verb), _final_schema(scope, verb, shown)),
    )


def _body(scope: parts.Scope, verb: ArmVerb, envelope: Json | None) -> Json | None:
    """The envelope, or what an action takes."""
    if envelope is not None:
        return parts.body_of(envelope, required=verb.verb is Verb.WRITE)
    if verb.verb is not Verb.ACTION or verb.handler.input_model is None:
        return None
    key = f"in:{verb.action.name}"
    return parts.body_of(scope.schemas.of(key), required=bool(scope.schemas.required(key)))


def _first_answers(verb: ArmVerb, shown: Json) -> dict[int, parts.Answer]:
    """The answers to a start, by status (`shared.contracts.arm.answers.start_status`)."""
    polled = (
        *(("Azure-AsyncOperation",) if verb.headers.async_operation else ()),
        *(("Location",) if verb.headers.location else ()),
        *("Wait.Retry-After", *parts.WAIT[1:]),
        _CORRELATION,
    )
    if verb.verb is Verb.WRITE:
        return parts.written(shown, (*polled, "ETag"))
    answers = {202: parts.Answer("Started.", headers=polled)}
    if verb.verb is Verb.DELETE:
        answers[204] = parts.Answer("There was none.")
    return answers


def _final_schema(scope: parts.Scope, verb: ArmVerb, shown: Json) -> Json | None:
    if verb.headers.final_result is RESOURCE:
        return shown
    if verb.handler.returns is None:
        return None
    return scope.schemas.named(f"out:{verb.action.name}", f"{verb.action.name.split('/')[-2]}Result")


def _reads(scope: parts.Scope, resource: ArmResource, shown: Json) -> Iterator[parts.DescribedOperation]:
    get, *lists = resource.read_endpoints
    yield parts.DescribedOperation(
        get,
        f"Read one of {resource.full_type}",
        parameters=[*_place([resource], get.route), _IF_NONE_MATCH],
        answers={
            200: parts.Answer("The resource.", shown, ("ETag",)),
            304: parts.Answer(parts.UNCHANGED, headers=("ETag",)),
        },
        errors=_READ_ERRORS,
    )
    for endpoint, place in zip(lists, ("a resource group", "a subscription"), strict=True):
        yield parts.DescribedOperation(
            endpoint,
            f"List {resource.full_type} of {place}",
            parameters=[*_place([resource], endpoint.route), *parts.paging("$", "arm-")],
            answers={200: parts.Answer("A page.", page(scope.schemas, shown))},
            errors=_READ_ERRORS,
            extensions=parts.PAGEABLE,
        )


def _monitors(scope: parts.Scope, resources: Sequence[ArmResource]) -> Iterator[parts.DescribedOperation]:
    namespace, shape, wait = resources[0].namespace, scope.schemas.of(_STATUS), ("Retry-After",)
    shown = parts.of_a_monitor("The operation, whatever its state.", shape)
    canceled = {200: parts.Answer("The operation, now canceled or being so.", shape, wait)}
    final = {
        200: parts.Answer("What a synchronous call would have answered.", {}),
        202: parts.Answer("Not ended yet.", headers=("Location", "Wait.Retry-After", *parts.WAIT[1:])),
        204: parts.Answer("It has succeeded and answers nothing."),
    }
    described = (
        ("Read an operation", shown, ()),
        ("Cancel an operation", canceled, ()),
        ("Read what an operation came to", final, (409, 410)),
    )
    for endpoint, (summary, answers, more) in zip(resources[0].monitor_endpoints, described, strict=True):
        yield parts.DescribedOperation(
            endpoint,
            f"{summary} of {namespace}",
            parameters=[*_place(resources, endpoint.route), *([parts.KNOWN_ETAG] if answers is shown else [])],
            answers=answers,
            errors=(*_READ_ERRORS, *more),
            other_error=answers is final,
        )


def _place(resources: Sequence[ArmResource], route: str) -> list[Json | parts.Parameter]:
    """The version, of the resources or of all in their namespace, and what the path names."""
    first = resources[0]
    component = f"api-version-{first.full_type if len(resources) == 1 else first.namespace}".replace("/", ".")
    supported: Json = {**parts.TEXT, "enum": sorted({version for each in resources for version in each.api_versions})}
    known: dict[str, Json] = {
        "subscriptionId": {"type": "string", "format": "uuid", "pattern": f"^{GUID.pattern}$"},
        "resourceGroupName": {"type": "string", "pattern": f"^{GROUP.pattern}$"},
        "name": {"type": "string", "pattern": f"^(?:{first.name_pattern.pattern})$"},
        "location": parts.TEXT,
        "operationId": ID_SCHEMA,
    }
    version = parts.Parameter("api-version", "The provider's version.", supported, required=True, component=component)
    return [version, *(parts.path_parameter(name, known[name]) for name in parameters(route, route))]
