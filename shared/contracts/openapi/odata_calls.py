"""Actions and functions of an OData service, at every URL that calls them."""

import re
from collections.abc import Iterator

from shared.actions.declaration import Action
from shared.actions.edm import Property
from shared.actions.odata import ODataOperation
from shared.actions.odata_routes import Binding
from shared.actions.routes import Endpoint
from shared.contracts.openapi import odata_schemas
from shared.contracts.openapi.dialect import Json
from shared.contracts.openapi.odata_parts import (
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
from shared.contracts.openapi.parts import (
    BODY_ERRORS,
    Operation,
    Scope,
    body_of,
    lro,
    path_parameter,
    without_null,
    words_of,
)

_PREFER = (
    "`respond-async`: answer 202 with the monitor's address; with `wait=N` beside it only after N seconds in which the "
    "request did not end."
)
_QUOTES = {"Edm.String": "'{}'", "Edm.Duration": "duration'{}'"}
"""What stands around a literal in a URL (URL Conventions 4.01, section 5.1.1.14.1)."""


def operations(scope: Scope, operation: ODataOperation) -> Iterator[Operation]:
    """One for each URL: by its qualified name, and of what is bound to nothing by its import as well."""
    for endpoint in operation.endpoints():
        describe = _action if operation.is_action else _function
        yield describe(scope, operation, endpoint)


def prefer_async(scope: Scope, *, batch: bool = False, required: bool = False) -> Json:
    """`Prefer`; required where nothing but an asynchronous answer is possible."""
    text = _PREFER + (" `continue-on-error`: go on after a failure." if batch else "")
    schema: Json = {"type": "string", **({"pattern": "respond-async"} if required else {})}
    component = "odata-prefer" + ("-batch" if batch else "-required" if required else "")
    return header(scope, "Prefer", schema, text, component=component, required=required)


def accepted(scope: Scope) -> Json:
    """202, of which nobody gets one without asking."""
    headers = ("Monitor.Location", "Wait.Retry-After", "RespondAsync.Preference-Applied", "Vary")
    return answer(scope, "Begun, as `Prefer: respond-async` asked for.", headers=headers)


def _action(scope: Scope, operation: ODataOperation, at: Endpoint) -> Operation:
    action = operation.declared
    assert isinstance(action, Action), "an action runs as one"
    summary, description = words_of(action.handler, f"Call the action {operation.qualified}")
    body = odata_schemas.parameters(scope.schemas, operation)
    result = odata_schemas.result(scope.schemas, operation)
    never_at_once = action.timeout.total_seconds() > scope.settings.sync_timeout_seconds
    return Operation(
        function_name=at.function_name,
        method="POST",
        route=_route(operation, at.route),
        tag=TAG,
        summary=summary,
        description=description,
        parameters=[
            *_key(scope, operation),
            prefer_async(scope, required=never_at_once),
            option(scope, "format"),
            version(scope),
        ],
        body=None if body is None else body_of(body, required="required" in scope.schemas.resolved(body)),
        responses={
            **_results(scope, operation, result, headers=("Preferences.Preference-Applied", "Vary")),
            "202": accepted(scope),
            **errors(scope, *ERRORS, 404, 409, *BODY_ERRORS, 501),
            **other_error(scope),
        },
        extensions=lro("location", result),
    )


def _function(scope: Scope, operation: ODataOperation, at: Endpoint) -> Operation:
    summary, description = words_of(operation.declared.handler, f"Call the function {operation.qualified}")
    route = _route(operation, at.route)
    taken = [name for name in ("key",) if operation.binding is Binding.ENTITY]
    return Operation(
        function_name=at.function_name,
        method="GET",
        route=route,
        tag=TAG,
        summary=summary,
        description=description,
        parameters=[
            *_key(scope, operation),
            *(_argument(scope, operation, each, taken) for each in operation.parameters.values()),
            option(scope, "format"),
            version(scope),
        ],
        responses={
            **_results(scope, operation, odata_schemas.result(scope.schemas, operation)),
            **errors(scope, *ERRORS, 404, 405),
            **other_error(scope),
        },
    )


def _results(
    scope: Scope, operation: ODataOperation, result: Json | None, *, headers: tuple[str, ...] = ()
) -> dict[str, Json]:
    """200 for what returns something, 204 for what returns nothing or null."""
    found: dict[str, Json] = {}
    if result is not None:
        found["200"] = answer(scope, "The result.", result, headers=headers)
    if operation.returns is None or operation.returns.nullable:
        found["204"] = answer(scope, "Done; there is no result.", headers=headers)
    return found


def _key(scope: Scope, operation: ODataOperation) -> list[Json]:
    if operation.binding is not Binding.ENTITY or operation.entity_set is None:
        return []
    return [key(scope, operation.entity_set)]


def _route(operation: ODataOperation, route: str) -> str:
    """The route with each argument by its name, and with the quotes that text has around it."""
    taken = ["key"] if operation.binding is Binding.ENTITY else []
    arguments = ",".join(
        f"{each.name}={_quoting(each).format(f'{{{_parameter_name(each, taken)}}}')}"
        for each in operation.parameters.values()
    )
    return re.sub(r"\(\{arguments\}\)$", lambda _: f"({arguments})", quoted(route))


def _argument(scope: Scope, operation: ODataOperation, each: Property, taken: list[str]) -> Json:
    """One argument, a literal. All are in the path; one with a default is sent with it."""
    schema = scope.schemas.properties(odata_schemas.input_key(operation))[each.name]
    text = "A literal of the URL, or null." if each.type.nullable else ""
    if each.type.nullable:
        # Quotes belong to the value where null, which has none, is another.
        schema = {"type": "string"}
    return path_parameter(_parameter_name(each, taken), without_null(schema), text)


def _quoting(each: Property) -> str:
    return "{}" if each.type.nullable else _QUOTES.get(each.type.name, "{}")


def _parameter_name(each: Property, taken: list[str]) -> str:
    return f"{each.name}_" if each.name in taken else each.name
