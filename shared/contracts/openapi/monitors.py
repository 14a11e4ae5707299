"""Status monitors of the data plane: one shape, at `status/{operation_id}` and where else a declaration has one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from shared.actions.registry import Registry
from shared.actions.routes import Endpoint
from shared.contracts import functions, versions
from shared.contracts.dataplane import filters, listing
from shared.contracts.dataplane import updates as external
from shared.contracts.openapi import parts
from shared.contracts.openapi.dialect import Json
from shared.contracts.openapi.inputs import OPERATION
from shared.contracts.openapi.schemas import TypeOf
from shared.contracts.openapi.shapes import OperationList, OperationMonitor, PauseList

PROFILE = parts.Profile(
    tag="Operations",
    description=(
        "The status monitors of all data-plane operations: read, list, cancel, forget, and what came of them."
    ),
)

_SHAPE, _LIST, _UPDATE, _PAUSES = "operation", "operations", "update", "pauses"
UPDATE_SCHEME = "operationSecret"

_FILTER = parts.Parameter(
    "filter",
    "`status`, `kind` and `errorCode` with `eq`, `ne`, `in`; `id` with `eq`; `createdDateTime` and "
    "`lastActionDateTime` with `eq`, `ge`, `gt`, `le`, `lt`; `startswith(kind,'a:')`; `labels/any(l:l eq 'x')`; "
    "joined by `and`, `or` and parentheses.",
    {"type": "string", "maxLength": filters.MAX_FILTER},
)
_ORDER = parts.Parameter(
    "orderby",
    "The oldest first, where the filter admits only operations that are not over.",
    {"type": "string", "enum": ["createdDateTime desc", listing.OLDEST_FIRST]},
)
_OWNER = parts.Parameter(
    "owner",
    "For operators: whose operation it is, as 16 hex digits from a row of a list; in a list, `*` for everybody's.",
    {"type": "string", "pattern": "^([0-9a-f]{16}|\\*)$"},
)
_COUNT = parts.Parameter("count", "Whether to say how many there are.", {"type": "boolean"})
_WAIT = ("Retry-After",)
_METHODS = {
    "GET": ("The monitor, whatever the state.", (400, 404, 405)),
    "POST": ("The monitor; an operation that has ended stays as it is.", (400, 404)),
    "DELETE": ("Forgotten.", (400, 404, 405, 409)),
}
"""What is answered, and the errors."""
_RESULT = {
    200: parts.Answer("The result; of a file its bytes.", {}, content={"*/*": {}}),
    204: parts.Answer("There is none."),
}


def types(registry: Registry) -> Iterator[TypeOf]:
    yield _SHAPE, "serialization", OperationMonitor
    yield _LIST, "serialization", OperationList
    yield _UPDATE, "validation", external.UpdateBody
    yield _PAUSES, "serialization", PauseList


def version(scope: parts.Scope) -> parts.Parameter:
    """`api-version` of the app's own routes."""
    required = scope.settings.api_version_required
    schema: Json = {"type": "string", "enum": list(versions.SUPPORTED)}
    if not required:
        schema["default"] = versions.DEFAULT
    return parts.Parameter("api-version", "The version of the app's own routes.", schema, required=required)


def schema(
    scope: parts.Scope, name: str, members: Mapping[str, Json], *, required: Iterable[str] = (), without: str
) -> Json:
    """A monitor with these members, and without one that others have, under a name of its own; the reference to it."""
    return scope.schemas.extended(_SHAPE, name, members, required=required, without=without)


def links(operation_id: str) -> Json:
    """From an answer that names an operation to what can be done with it."""
    parameters = {"operation_id": operation_id}
    return {
        name: {"operationId": name, "parameters": parameters}
        for name in ("status", "status_cancel", "status_result", "status_delete")
    }


def monitor(
    scope: parts.Scope,
    endpoint: Endpoint,
    summary: str,
    parameters: Sequence[Json | parts.Parameter],
    schema: Json | None = None,
) -> parts.DescribedOperation:
    """GET reads it; POST, of `:cancel`, cancels; DELETE forgets the record and is no cancel.

    `schema` is that of a monitor with members of its own.
    """
    method = endpoint.methods[0]
    text, errors = _METHODS[method]
    shape = schema or scope.schemas.of(_SHAPE)
    answers = {
        "GET": parts.of_a_monitor(text, shape),
        "POST": {200: parts.Answer(text, shape, _WAIT)},
        "DELETE": {204: parts.Answer(text)},
    }[method]
    more = [parts.KNOWN_ETAG] if method == "GET" else []
    parameters = [*parameters, *more]
    return parts.DescribedOperation(endpoint, summary, parameters=parameters, answers=answers, errors=errors)


def operations(scope: parts.Scope) -> Iterator[parts.DescribedOperation]:
    """The monitors that every app has."""
    owner = [_OWNER] if scope.settings.trust_platform_auth else []
    parameters = [version(scope), OPERATION, *owner]
    yield parts.DescribedOperation(
        functions.STATUS_LIST,
        "List operations, the newest first",
        parameters=[version(scope), _FILTER, _ORDER, _COUNT, *owner, *parts.paging()],
        answers={200: parts.Answer("A page.", scope.schemas.of(_LIST))},
        errors=(400, 405),
        extensions=parts.PAGEABLE,
    )
    yield monitor(scope, functions.STATUS, "Read an operation", parameters)
    yield monitor(scope, functions.STATUS_CANCEL, "Cancel one", parameters)
    yield monitor(scope, functions.STATUS_DELETE, "Forget one", parameters)
    yield parts.DescribedOperation(
        functions.STATUS_RETRY,
        "Run one again",
        "A new operation does what a failed or canceled one was started to do, with the same input; its monitor names "
        "that one in `retryOf`.",
        parameters=[*parameters, parts.OPERATION_ID],
        answers={
            202: parts.Answer(
                "Started: the monitor of the new operation.", scope.schemas.of(_SHAPE), parts.START_HEADERS
            )
        },
        errors=(400, 404, 409),
        other_error=True,
    )
    yield parts.DescribedOperation(
        functions.STATUS_RESULT,
        "Read an operation's result",
        parameters=parameters,
        answers=_RESULT,
        errors=(400, 404, 410),
        waiting_errors=(409,),
    )
    yield parts.DescribedOperation(
        functions.STATUS_UPDATE,
        "Move an operation on",
        "For operations that another system works on: it says how they go, with the secret it was given.",
        parameters=[version(scope), OPERATION],
        body=parts.body_of(scope.schemas.of(_UPDATE), required=True),
        answers={200: parts.Answer("The monitor, without a result.", scope.schemas.of(_SHAPE), _WAIT)},
        errors=(400, 404, 409, *parts.BODY_ERRORS),
        security=[{UPDATE_SCHEME: []}],
    )
    yield from _switch(scope)


def _switch(scope: parts.Scope) -> Iterator[parts.DescribedOperation]:
    """What operators pause."""
    answers = {200: parts.Answer("All that is paused.", scope.schemas.of(_PAUSES))}
    yield parts.DescribedOperation(
        functions.PAUSES, "Read what is paused", parameters=[version(scope)], answers=answers, errors=(400, 403, 405)
    )
    action: Json = {"type": "string", "description": "The action's name; `*` for all."}
    body: Json = {"type": "object", "properties": {"action": action}, "required": ["action"]}
    for endpoint, summary in ((functions.PAUSE, "Pause an action"), (functions.RESUME, "Resume an action")):
        yield parts.DescribedOperation(
            endpoint,
            summary,
            parameters=[version(scope)],
            body=parts.body_of(body, required=True),
            answers=answers,
            errors=(400, 403, *parts.BODY_ERRORS),
        )
