"""The data plane: starts, the monitors of their own, reads and calls, as they are declared."""

import re
from collections.abc import Iterator
from typing import Any

from shared.actions import patterns
from shared.actions.calls import Call
from shared.actions.declaration import Action, Read
from shared.actions.models import Content
from shared.actions.patterns import Pattern
from shared.actions.registry import Registry
from shared.contracts.openapi import monitors
from shared.contracts.openapi.dialect import Json
from shared.contracts.openapi.inputs import ID_SCHEMA, Input
from shared.contracts.openapi.parts import BODY_ERRORS, Operation, Scope, lro, without_null, words_of
from shared.contracts.openapi.schemas import TypeOf

TAG = "Data plane"
DESCRIPTION = (
    "Long-running operations as in the Azure REST API Guidelines: a start answers with `Operation-Location`, which is "
    "polled until the operation has ended."
)

FINAL_STATE_VIA = {
    Pattern.ACTION: "operation-location",
    Pattern.PUT_RESOURCE: "original-uri",
    Pattern.DELETE_RESOURCE: "operation-location",
    Pattern.PUT_OPERATION: "operation-location",
}
"""Where clients find the final result (Azure/autorest, extensions: `final-state-via`)."""

_START_HEADERS = ("Operation-Location", "Operation-Id", "Retry-After", "Preference-Applied")


def types(registry: Registry) -> Iterator[TypeOf]:
    """The models of actions, reads and calls."""
    for action in registry.actions.values():
        yield from _models(action.name, action.input_model, action.output)
    for read in registry.reads.values():
        yield from _models(read.name, read.input_model, None if _is_content(read) else read.output)
    for call in registry.calls.values():
        yield from _models(call.name, call.declared.input_model, call.declared.output)


def operations(scope: Scope) -> Iterator[Operation]:
    """Every declared action with the monitors that follow from it, every read, every call."""
    for action in scope.registry.actions.values():
        yield _start(scope, action)
        if action.pattern is Pattern.PUT_OPERATION:
            yield from _own_monitor(scope, action)
    for template, where in scope.registry.exclusive_resources().items():
        alias = patterns.alias_endpoint(template, where)
        at = [monitors.version(scope), *Input(scope.schemas, "", None, alias.route).path()]
        yield monitors.read(scope, alias, tag=TAG, summary=f"Read an operation on {template}", parameters=at)
    for read in scope.registry.reads.values():
        yield _read(scope, read)
    for call in scope.registry.calls.values():
        yield _call(scope, call)


def _models(name: str, given: Any, returned: Any) -> Iterator[TypeOf]:
    if given is not None:
        yield f"in:{name}", "validation", given
    if returned is not None:
        yield f"out:{name}", "serialization", returned


def _input_of(scope: Scope, declared: Action | Read) -> Input:
    return Input(scope.schemas, f"in:{declared.name}", declared.input_model, declared.route)


def _start(scope: Scope, action: Action) -> Operation:
    input = _input_of(scope, action)
    is_delete = action.pattern is Pattern.DELETE_RESOURCE
    errors = [400, 404, 409, *(() if is_delete else BODY_ERRORS)]
    # A path whose last segment is a parameter also takes `{id}:verb`, which wants another method.
    if action.route.endswith("}"):
        errors.append(405)
    by_the_app = action.preconditions or action.accept_hook is not None
    summary, description = words_of(action.handler, f"Start {action.name}")
    names_itself = action.pattern is Pattern.PUT_OPERATION
    return Operation(
        function_name=action.function_name,
        method=action.method,
        route=action.route,
        tag=TAG,
        summary=summary,
        description=description,
        parameters=[
            monitors.version(scope),
            *input.path(),
            *([] if names_itself else [_operation_id(scope)]),
            _prefer(scope),
        ],
        body=None if is_delete else input.body(),
        responses={
            **_first_answers(scope, action, input),
            **scope.errors(errors),
            **(scope.other_error() if by_the_app else {}),
        },
        extensions=lro(FINAL_STATE_VIA[action.pattern], _result(scope, action) if action.pattern.has_result else None),
    )


def _first_answers(scope: Scope, action: Action, input: Input) -> dict[str, Json]:
    """The answers to a start, by status (`shared.contracts.dataplane`)."""
    if action.pattern is Pattern.PUT_RESOURCE:
        resource = _result(scope, action)
        return {
            "200": scope.response("The resource was there; what it is going to be.", resource, headers=_START_HEADERS),
            "201": scope.response("The resource is new; what it is going to be.", resource, headers=_START_HEADERS),
        }
    monitor = _monitor(scope, action, input)
    if action.pattern is Pattern.PUT_OPERATION:
        return {
            "200": scope.response("The same request again: its operation.", monitor, headers=_START_HEADERS),
            "201": scope.response("Started.", monitor, headers=_START_HEADERS),
        }
    started = scope.response("Started: the monitor. It may have ended already.", monitor, headers=_START_HEADERS)
    return {"202": {**started, "links": monitors.links("$response.header.Operation-Id")}}


def _result(scope: Scope, action: Action) -> Json | None:
    """What a succeeded operation has made: a component, as the options of a start want it."""
    if action.output is None:
        return None
    schema = scope.schemas.of(f"out:{action.name}")
    return schema if "$ref" in schema else scope.schemas.add(f"{_pascal(action.name)}Result", schema)


def _monitor(scope: Scope, action: Action, input: Input) -> Json:
    """The action's monitor: its `kind`, its result, and where the caller names the operation the input as well."""
    members: dict[str, Json] = {"kind": {"type": "string", "const": action.name}}
    result = _result(scope, action)
    if result is not None and action.pattern.has_result:
        members["result"] = result
    echoes = action.pattern is Pattern.PUT_OPERATION
    echoed = {**input.rest, **members} if echoes else members
    required = input.rest if echoes else ()
    return monitors.schema(scope, f"{_pascal(action.name)}Operation", echoed, required=required)


def _own_monitor(scope: Scope, action: Action) -> Iterator[Operation]:
    input = _input_of(scope, action)
    get, cancel, delete = patterns.own_endpoints(action.function_name, action.route, action.where)
    schema = _monitor(scope, action, input)
    at = [monitors.version(scope), *input.path()]
    yield monitors.read(scope, get, tag=TAG, summary=f"Read {action.name}", parameters=at, schema=schema)
    yield monitors.cancel(scope, cancel, tag=TAG, summary=f"Cancel {action.name}", parameters=at, schema=schema)
    yield monitors.delete(scope, delete, tag=TAG, summary=f"Forget {action.name}", parameters=at)


def _read(scope: Scope, read: Read) -> Operation:
    input = _input_of(scope, read)
    pageable = False
    if _is_content(read):
        # Of any type, JSON among them, so no schema holds for all.
        answer = scope.response("The content.", {}, content_type="*/*")
    else:
        schema = scope.schemas.of(f"out:{read.name}")
        pageable = {"value", "nextLink"} <= scope.schemas.resolved(schema).get("properties", {}).keys()
        answer = scope.response("What is there.", schema)
    summary, description = words_of(read.handler, f"Read {read.name}")
    return Operation(
        function_name=read.function_name,
        method="GET",
        route=read.route,
        tag=TAG,
        summary=summary,
        description=description,
        parameters=[monitors.version(scope), *input.path(), *input.query()],
        responses={"200": answer, **scope.errors([400, 404, 405]), **scope.other_error()},
        extensions={"x-ms-pageable": {"nextLinkName": "nextLink"}} if pageable else {},
    )


def _call(scope: Scope, call: Call) -> Operation:
    declared = call.declared
    input = _input_of(scope, declared)
    answer = without_null(scope.schemas.of(f"out:{call.name}"))
    summary, description = words_of(declared.handler, f"Call {call.name}")
    return Operation(
        function_name=declared.function_name,
        method="POST",
        route=declared.route,
        tag=TAG,
        summary=summary,
        description=description,
        parameters=[monitors.version(scope), *input.path()],
        body=input.body(),
        responses={
            "200": scope.response("The answer.", answer, headers=("Cache-Control",)),
            "204": scope.response("There is none."),
            **scope.errors([400, 404, *BODY_ERRORS]),
            **scope.other_error(),
        },
    )


def _operation_id(scope: Scope) -> Json:
    description = "The operation's id, where the caller chooses it: the same request again finds the same operation."
    return scope.parameter("Operation-Id", dict(ID_SCHEMA), description, place="header", required=False)


def _prefer(scope: Scope) -> Json:
    longest = scope.settings.max_wait_seconds
    description = f"`wait=N` holds the answer back until the operation has ended, for N seconds, at most {longest}."
    return scope.parameter("Prefer", {"type": "string"}, description, place="header", required=False)


def _is_content(read: Read) -> bool:
    return read.output.core_schema.get("cls") is Content


def _pascal(name: str) -> str:
    """`book:upload-finish` as `BookUploadFinish`."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name))
