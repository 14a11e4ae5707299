"""Running an operation again: a failed or canceled one, with the input that it was started with."""

from collections.abc import Mapping

from pydantic import ValidationError

from shared.actions.context import RequestContext
from shared.actions.declaration import Action
from shared.actions.patterns import Pattern
from shared.contracts import bodies
from shared.contracts.dataplane import answers as dataplane
from shared.errors import RequestError, problems
from shared.model.operation import Operation, Status
from shared.operations.service import StartRequest


def action_of(operation: Operation, actions: Mapping[str, Action]) -> Action:
    """What it would do again. Raises RequestError 409 where that cannot be done, or where it did not fail."""
    action = actions.get(operation.action)
    is_post = operation.profile == "data-plane" and dataplane.pattern_of(operation) is Pattern.ACTION
    if action is None or action.pattern is not Pattern.ACTION or not is_post or operation.external:
        message = "Only operations that a POST of an action has started can be run again; send the request again."
        raise RequestError(409, "RetryNotSupported", message)
    if operation.status not in (Status.FAILED, Status.CANCELED):
        message = f"The operation is {operation.status}; one that has failed or was canceled can be run again."
        raise RequestError(409, "OperationNotFailed", message)
    return action


def start_request(
    operation: Operation, action: Action, content: bytes, *, context: RequestContext, operation_id: str | None
) -> StartRequest:
    """The start of its owner's new operation; `content` is what the old one was started with.

    Raises RequestError 409 RetryNotSupported where that does not fit the action any more.
    """
    try:
        input = action.read_input(content, operation.input_version)
    except ValueError as error:
        misfit = problems(error) if isinstance(error, ValidationError) else str(error)
        message = f"The stored input no longer fits the action: {misfit}"
        raise RequestError(409, "RetryNotSupported", message) from None
    input_json = bodies.canonical_json(input)
    return StartRequest(
        action=action,
        context=context,
        input=input,
        input_json=input_json,
        owner=operation.owner,
        method=operation.method,
        path=operation.path,
        api_version=context.api_version,
        # Beside an Operation-Id it says which operation is run again.
        fingerprint=bodies.fingerprint(action.name, f"retry {operation.run_id}", input_json),
        operation_id=operation_id,
        resource=operation.resource,
        exclusive=action.exclusive is not None,
        profile_state=dataplane.profile_state_of(action.pattern),
        labels=operation.labels,
        retry_of=operation.id,
    )
