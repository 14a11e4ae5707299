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
from shared.contracts.openapi import monitors, parts
from shared.contracts.openapi.dialect import Json
from shared.contracts.openapi.inputs import Input
from shared.contracts.openapi.schemas import TypeOf

PROFILE = parts.Profile(
    tag="Data plane",
    description=(
        "Long-running operations as in the Azure REST API Guidelines: a start answers with `Operation-Location`, which "
        "is polled until the operation has ended."
    ),
)


def types(registry: Registry) -> Iterator[TypeOf]:
    """The models of actions, reads and calls."""
    for action in registry.actions.values():
        yield from _models(action.name, action.input_model, action.output)
    for read in registry.reads.values():
        yield from _models(read.name, read.input_model, None if _is_content(read) else read.output)
    for call in registry.calls.values():
        yield from _models(call.name, call.declared.input_model, call.declared.output)


def operations(scope: parts.Scope) -> Iterator[parts.DescribedOperation]:
    """Every declared action with the monitors that follow from it, every read, every call."""
    for action in scope.registry.actions.values():
        yield _start(scope, action)
        if action.pattern is Pattern.PUT_OPERATION:
            yield from _operation_monitor(scope, action)
    for template, where in scope.registry.exclusive_resources().items():
        alias = patterns.alias_endpoint(template, where)
        parameters = [monitors.version(scope), *Input(scope.schemas, "", None, alias.route).path()]
        yield monitors.monitor(scope, alias, f"Read an operation on {template}", parameters)
    for read in scope.registry.reads.values():
        yield _read(scope, read)
    for call in scope.registry.calls.values():
        yield _call(scope, call)


def _models(name: str, given: Any, returned: Any) -> Iterator[TypeOf]:
    if given is not None:
        yield f"in:{name}", "validation", given
    if returned is not None:
        yield f"out:{name}", "serialization", returned


def _input_of(scope: parts.Scope, declared: Action | Read) -> Input:
    return Input(scope.schemas, f"in:{declared.name}", declared.input_model, declared.route)


def _start(scope: parts.Scope, action: Action) -> parts.DescribedOperation:
    input = _input_of(scope, action)
    names_itself = action.pattern is Pattern.PUT_OPERATION
    is_delete = action.pattern is Pattern.DELETE_RESOURCE
    errors = [400, 404, 409, *(() if is_delete else parts.BODY_ERRORS)]
    # A path whose last segment is a parameter also takes `{id}:verb`, which wants another method.
    if action.route.endswith("}"):
        errors.append(405)
    ids = [] if names_itself else [parts.OPERATION_ID]
    # Where clients find the final result (Azure/autorest, extensions: `final-state-via`).
    via = "original-uri" if action.pattern is Pattern.PUT_RESOURCE else "operation-location"
    via = None if action.links_result else via
    return parts.DescribedOperation(
        parts.at(action.function_name, action.method, action.route),
        *parts.words_of(action.handler, f"Start {action.name}"),
        parameters=[monitors.version(scope), *input.path(), *ids, parts.LABELS, parts.NOT_BEFORE, _prefer(scope)],
        body=None if is_delete else input.body(),
        answers=_first_answers(scope, action, input),
        errors=errors,
        other_error=bool(action.preconditions) or action.accept_hook is not None,
        extensions=parts.lro(via, _result(scope, action) if action.pattern.has_result else None),
    )


def _first_answers(scope: parts.Scope, action: Action, input: Input) -> dict[int, parts.Answer]:
    """The answers to a start, by status (`shared.contracts.dataplane.answers`)."""
    if action.pattern is Pattern.PUT_RESOURCE:
        return parts.written(_result(scope, action), parts.START_HEADERS)
    monitor = _monitor(scope, action, input)
    if action.pattern is Pattern.PUT_OPERATION:
        return {
            200: parts.Answer("The same request again: its operation.", monitor, parts.START_HEADERS),
            201: parts.Answer("Started.", monitor, parts.START_HEADERS),
        }
    links = monitors.links("$response.header.Operation-Id")
    return {
        202: parts.Answer("Started: the monitor. It may have ended already.", monitor, parts.START_HEADERS, links=links)
    }


def _result(scope: parts.Scope, action: Action) -> Json | None:
    """What a succeeded operation has made: a component, as the options of a start want it."""
    if action.output is None:
        return None
    return scope.schemas.named(f"out:{action.name}", f"{_pascal(action.name)}Result")


def _monitor(scope: parts.Scope, action: Action, input: Input) -> Json:
    """The action's monitor: its `kind`, its result, and where the caller names the operation the input as well."""
    members: dict[str, Json] = {"kind": {"type": "string", "const": action.name}}
    result = _result(scope, action)
    if result is not None and action.pattern.has_result and not action.links_result:
        members["result"] = result
    echoes = input.rest if action.pattern is Pattern.PUT_OPERATION else {}
    name = f"{_pascal(action.name)}Operation"
    other = "result" if action.links_result else "resourceLocation"
    return monitors.schema(scope, name, {**echoes, **members}, required=echoes, without=other)


def _operation_monitor(scope: parts.Scope, action: Action) -> Iterator[parts.DescribedOperation]:
    input = _input_of(scope, action)
    parameters, schema = [monitors.version(scope), *input.path()], _monitor(scope, action, input)
    endpoints = patterns.operation_endpoints(action.function_name, action.route, action.where)
    for verb, endpoint in zip(("Read", "Cancel", "Forget"), endpoints, strict=True):
        yield monitors.monitor(scope, endpoint, f"{verb} {action.name}", parameters, schema)


def _read(scope: parts.Scope, read: Read) -> parts.DescribedOperation:
    input = _input_of(scope, read)
    pageable = False
    if _is_content(read):
        # Of any type, JSON among them, so no schema holds for all.
        answer = parts.Answer("The content.", content={"*/*": {}})
    else:
        schema = scope.schemas.of(f"out:{read.name}")
        pageable = {"value", "nextLink"} <= scope.schemas.resolved(schema).get("properties", {}).keys()
        answer = parts.Answer("What is there.", schema)
    return parts.DescribedOperation(
        parts.at(read.function_name, "GET", read.route),
        *parts.words_of(read.handler, f"Read {read.name}"),
        parameters=[monitors.version(scope), *input.path(), *input.query()],
        answers={200: answer},
        errors=(400, 404, 405),
        other_error=True,
        extensions=parts.PAGEABLE if pageable else {},
    )


def _call(scope: parts.Scope, call: Call) -> parts.DescribedOperation:
    input = _input_of(scope, call.declared)
    answer = parts.without_null(scope.schemas.of(f"out:{call.name}"))
    return parts.DescribedOperation(
        call.endpoint,
        *parts.words_of(call.declared.handler, f"Call {call.name}"),
        parameters=[monitors.version(scope), *input.path()],
        body=input.body(),
        answers={200: parts.Answer("The answer.", answer), 204: parts.Answer("There is none.")},
        errors=(400, 404, *parts.BODY_ERRORS),
        other_error=True,
    )


def _prefer(scope: parts.Scope) -> parts.Parameter:
    longest = scope.settings.max_wait_seconds
    description = f"`wait=N` holds the answer back until the operation has ended, for N seconds, at most {longest}."
    return parts.header("Prefer", description)


def _is_content(read: Read) -> bool:
    return read.output.core_schema.get("cls") is Content


def _pascal(name: str) -> str:
    """`book:upload-finish` as `BookUploadFinish`."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name))
