"""Actions and functions of an OData service, at every URL that calls them."""

import re
from collections.abc import Iterator

from shared.actions.declaration import Action
from shared.actions.odata.edm import Property
from shared.actions.odata.routes import Binding
from shared.actions.odata.service import ODataOperation
from shared.actions.routes import Endpoint
from shared.contracts.openapi import odata_parts, odata_schemas, parts
from shared.contracts.openapi.dialect import Json

_QUOTES = {"Edm.String": "'{}'", "Edm.Duration": "duration'{}'"}
"""What stands around a literal in a URL (URL Conventions 4.01, section 5.1.1.14.1)."""


def operations(scope: parts.Scope, operation: ODataOperation) -> Iterator[parts.DescribedOperation]:
    """One for each URL: by its qualified name, and of what is bound to nothing by its import as well."""
    for endpoint in operation.endpoints():
        describe = _action if operation.is_action else _function
        yield describe(scope, operation, endpoint)


def _action(scope: parts.Scope, operation: ODataOperation, endpoint: Endpoint) -> parts.DescribedOperation:
    action = operation.declared
    assert isinstance(action, Action), "an action runs as one"
    body = odata_schemas.parameters(scope.schemas, operation)
    result = odata_schemas.result(scope.schemas, operation)
    never_at_once = action.timeout.total_seconds() > scope.settings.sync_timeout_seconds
    prefer = odata_parts.PREFER_ASYNC_ONLY if never_at_once else odata_parts.PREFER_ASYNC
    return parts.DescribedOperation(
        parts.at(endpoint.function_name, "POST", _route(operation, endpoint.route)),
        *parts.words_of(action.handler, f"Call the action {operation.qualified}"),
        parameters=[
            *_key(scope, operation),
            prefer,
            parts.LABELS,
            parts.NOT_BEFORE,
            odata_parts.FORMAT,
            odata_parts.VERSION,
        ],
        body=None if body is None else parts.body_of(body, required="required" in scope.schemas.resolved(body)),
        answers={**_results(operation, result, "Preferences.Preference-Applied", "Vary"), 202: odata_parts.ACCEPTED},
        errors=(*odata_parts.ERRORS, 404, 409, *parts.BODY_ERRORS, 501),
        other_error=True,
        extensions=parts.lro("location", result),
    )


def _function(scope: parts.Scope, operation: ODataOperation, endpoint: Endpoint) -> parts.DescribedOperation:
    taken = ["key"] if operation.binding is Binding.ENTITY else []
    arguments = [_argument(scope, operation, each, taken) for each in operation.parameters.values()]
    return parts.DescribedOperation(
        parts.at(endpoint.function_name, "GET", _route(operation, endpoint.route)),
        *parts.words_of(operation.declared.handler, f"Call the function {operation.qualified}"),
        parameters=[*_key(scope, operation), *arguments, odata_parts.FORMAT, odata_parts.VERSION],
        answers=_results(operation, odata_schemas.result(scope.schemas, operation)),
        errors=(*odata_parts.ERRORS, 404, 405),
        other_error=True,
    )


def _results(operation: ODataOperation, result: Json | None, *headers: str) -> dict[int, parts.Answer]:
    """200 for what returns something, 204 for what returns nothing or null."""
    found: dict[int, parts.Answer] = {}
    if result is not None:
        found[200] = parts.Answer("The result.", result, headers)
    if operation.returns is None or operation.returns.nullable:
        found[204] = parts.Answer("Done; there is no result.", headers=headers)
    return found


def _key(scope: parts.Scope, operation: ODataOperation) -> list[Json]:
    if operation.binding is not Binding.ENTITY or operation.entity_set is None:
        return []
    return [odata_parts.key(scope, operation.entity_set)]


def _route(operation: ODataOperation, route: str) -> str:
    """The route with each argument by its name, and with the quotes that text has around it."""
    taken = ["key"] if operation.binding is Binding.ENTITY else []
    arguments = ",".join(
        f"{each.name}={_quoting(each).format(f'{{{_parameter_name(each, taken)}}}')}"
        for each in operation.parameters.values()
    )
    return re.sub(r"\(\{arguments\}\)$", lambda _: f"({arguments})", odata_parts.quoted(route))


def _argument(scope: parts.Scope, operation: ODataOperation, each: Property, taken: list[str]) -> Json:
    """One argument, a literal. All are in the path; one with a default is sent with it."""
    schema = scope.schemas.properties(odata_schemas.input_key(operation))[each.name]
    text = "A literal of the URL, or null." if each.type.nullable else ""
    if each.type.nullable:
        # Quotes belong to the value where null, which has none, is another.
        schema = {"type": "string"}
    return parts.path_parameter(_parameter_name(each, taken), parts.without_null(schema), text)


def _quoting(each: Property) -> str:
    return "{}" if each.type.nullable else _QUOTES.get(each.type.name, "{}")


def _parameter_name(each: Property, taken: list[str]) -> str:
    return f"{each.name}_" if each.name in taken else each.name
