"""Status monitors of the data plane: one shape, at `status/{operation_id}` and where else a declaration has one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from shared.actions.routes import Endpoint
from shared.contracts import external, versions
from shared.contracts.openapi.dialect import Json
from shared.contracts.openapi.inputs import ID_SCHEMA
from shared.contracts.openapi.parts import BODY_ERRORS, Operation, Scope, body_of, path_parameter
from shared.contracts.openapi.schemas import TypeOf
from shared.contracts.openapi.shapes import Operation as OperationShape
from shared.contracts.openapi.shapes import OperationList

TAG = "Operations"
DESCRIPTION = "The status monitors of all data-plane operations: read, list, cancel, forget, and what came of them."

_SHAPE, _LIST, _UPDATE = "operation", "operations", "update"
UPDATE_SCHEME = "operationSecret"


def types() -> Iterator[TypeOf]:
    yield _SHAPE, "serialization", OperationShape
    yield _LIST, "serialization", OperationList
    yield _UPDATE, "validation", external.UpdateBody


def version(scope: Scope) -> Json:
    """`api-version` of the app's own routes."""
    required = scope.settings.api_version_required
    schema: Json = {"type": "string", "enum": list(versions.SUPPORTED)}
    if not required:
        schema["default"] = versions.DEFAULT
    return scope.parameter("api-version", schema, "The version of the app's own routes.", required=required)


def schema(scope: Scope, name: str, members: Mapping[str, Json], *, required: Iterable[str] = ()) -> Json:
    """A monitor with these members, under a name of its own; the reference to it."""
    return scope.schemas.extended(_SHAPE, name, members, required=required)


def links(operation_id: str) -> Json:
    """From an answer that names an operation to what can be done with it."""
    parameters = {"operation_id": operation_id}
    return {
        name: {"operationId": name, "parameters": parameters}
        for name in ("status", "status_cancel", "status_result", "status_delete")
    }


def read(
    scope: Scope,
    at: Endpoint,
    *,
    tag: str,
    summary: str,
    parameters: Sequence[Json],
    schema: Json | None = None,
) -> Operation:
    """GET of a monitor: 200 whatever the state."""
    body = schema or scope.schemas.of(_SHAPE)
    answer = scope.response("The monitor, whatever the state.", body, headers=("Retry-After",))
    return Operation(
        function_name=at.function_name,
        method="GET",
        route=at.route,
        tag=tag,
        summary=summary,
        parameters=parameters,
        responses={"200": answer, **scope.errors([400, 404, 405])},
    )


def cancel(
    scope: Scope,
    at: Endpoint,
    *,
    tag: str,
    summary: str,
    parameters: Sequence[Json],
    schema: Json | None = None,
) -> Operation:
    """POST of `:cancel`: 200 and the monitor."""
    body = schema or scope.schemas.of(_SHAPE)
    answer = scope.response("The monitor; an operation that has ended stays as it is.", body, headers=("Retry-After",))
    return Operation(
        function_name=at.function_name,
        method="POST",
        route=at.route,
        tag=tag,
        summary=summary,
        parameters=parameters,
        responses={"200": answer, **scope.errors([400, 404])},
    )


def delete(scope: Scope, at: Endpoint, *, tag: str, summary: str, parameters: Sequence[Json]) -> Operation:
    """DELETE of a monitor: the record is forgotten; this is no cancel."""
    return Operation(
        function_name=at.function_name,
        method="DELETE",
        route=at.route,
        tag=tag,
        summary=summary,
        parameters=parameters,
        responses={"204": scope.response("Forgotten."), **scope.errors([400, 404, 405, 409])},
    )


def operations(scope: Scope) -> Iterator[Operation]:
    """The monitors that every app has."""
    at = [version(scope), path_parameter("operation_id", dict(ID_SCHEMA), "The operation's id.")]
    yield _list(scope)
    yield read(scope, _endpoint("status", "GET"), tag=TAG, summary="Read an operation", parameters=at)
    yield cancel(scope, _endpoint("status_cancel", "POST", ":cancel"), tag=TAG, summary="Cancel one", parameters=at)
    yield delete(scope, _endpoint("status_delete", "DELETE"), tag=TAG, summary="Forget one", parameters=at)
    yield Operation(
        function_name="status_result",
        method="GET",
        route="status/{operation_id}/result",
        tag=TAG,
        summary="Read an operation's result",
        parameters=at,
        responses={
            "200": scope.response("The result.", {}),
            "204": scope.response("There is none."),
            **scope.errors([400, 404, 410]),
            # Only while it is not finished there is something to wait for.
            "409": scope.error(409, headers=("Retry-After",), name="Result"),
        },
    )
    yield _update(scope, at)


def _endpoint(function_name: str, method: str, verb: str = "") -> Endpoint:
    return Endpoint(function_name, (method,), f"status/{{operation_id}}{verb}", __name__)


def _list(scope: Scope) -> Operation:
    filter = "`status` and `kind` with `eq`, `and`, `or` and parentheses: `status eq 'Running' and kind eq 'a:b'`"
    return Operation(
        function_name="status_list",
        method="GET",
        route="status",
        tag=TAG,
        summary="List operations, the newest first",
        parameters=[
            version(scope),
            scope.parameter("filter", {"type": "string", "maxLength": 2000}, filter, required=False),
            scope.parameter("top", {"type": "integer", "minimum": 1, "maximum": 1000}, "Page size.", required=False),
            scope.parameter("skipToken", {"type": "string"}, "From `nextLink`; follow that as it is.", required=False),
        ],
        responses={"200": scope.response("A page.", scope.schemas.of(_LIST)), **scope.errors([400, 405])},
        extensions={"x-ms-pageable": {"nextLinkName": "nextLink"}},
    )


def _update(scope: Scope, at: Sequence[Json]) -> Operation:
    description = "For operations that another system works on: it says how they go, with the secret it was given."
    answer = scope.response("The monitor, without a result.", scope.schemas.of(_SHAPE), headers=("Retry-After",))
    return Operation(
        function_name="status_update",
        method="POST",
        route="status/{operation_id}:update",
        tag=TAG,
        summary="Move an operation on",
        description=description,
        parameters=at,
        body=body_of(scope.schemas.of(_UPDATE), required=True),
        responses={"200": answer, **scope.errors([400, 404, 409, *BODY_ERRORS])},
        security=[{UPDATE_SCHEME: []}],
    )
