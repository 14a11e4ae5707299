"""A handler of an ARM verb: reading its signature, and making it a handler like any other.

The runner hands an action one input model; an ARM verb's wraps the resource, its state, and the action's request.
"""

import inspect
import json
from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError, create_model

from shared.actions.arm.lro_headers import RESOURCE, FinalResult, LroHeaders
from shared.actions.arm.models import PROVISIONING_STATE
from shared.actions.attempt_context import ActionContext, SyncActionContext
from shared.actions.files import File, FileResult
from shared.actions.models import Model
from shared.actions.signatures import Signature, adapter_of, read_signature
from shared.errors import ActionFailed, DeclarationError
from shared.frozen import frozen, replace

MAX_BODY = 30 * 1024
"""UTF-16 units of a stored resource's JSON: a column of Azure Tables holds 32 Ki."""


@frozen(kw_only=True)
class Handler(Signature):
    """A checked handler of a verb of `resource`; its `input_model` is that of the action's request."""

    resource: Any

    @property
    def returns_resource(self) -> bool:
        return self.returns is self.resource

    def arguments(self, input: Any) -> tuple[Any, ...]:
        """What follows the context."""
        return (input.resource,) if self.input_model is None else (input.resource, input.request)


def read_handler(function: Callable[..., Any], resource: Any, *, takes_request: bool) -> Handler:
    """Check a handler's annotations. Raises DeclarationError."""
    found = read_signature(function, ActionContext, resource=resource, takes_input=takes_request)
    return Handler(resource=resource, **{each.name: getattr(found, each.name) for each in fields(found)})


def runnable(handler: Handler) -> Signature:
    """The handler as the runner knows any other: one input model, one output."""
    written: Any = dict[str, Any]
    return replace(
        handler,
        function=adapt(handler),
        input_model=input_model_of(handler),
        # A resource is made JSON by the adapted handler.
        output=adapter_of(written, handler.where) if handler.returns_resource else handler.output,
    )


def check_final_result(headers: LroHeaders, handler: Handler) -> LroHeaders:
    """The headers with `final_result` resolved; refuses one that is not what the handler returns.

    Azure/typespec-azure, "Customizing Long-Running Operations": "It is important that this value matches what the
    operation actually returns".
    """
    returned = RESOURCE if handler.returns_resource else handler.returns
    declared = RESOURCE if headers.final_result is handler.resource else headers.final_result
    declared = FileResult if declared is File else declared
    if declared is not FinalResult.AS_DECLARED and declared != returned:
        raise DeclarationError(
            f"{handler.where}: {type(headers).__name__} says final_result={_named(declared)}, but the handler returns "
            f"{_named(returned)}; make them the same"
        )
    return replace(headers, final_result=returned)


def input_model_of(handler: Handler) -> type[BaseModel]:
    """What the operation stores: the resource as the operation wants it, its state before, and the request."""
    return _stored(handler.resource, handler.input_model)


@lru_cache(maxsize=1024)
def _stored(resource: Any, request: type[BaseModel] | None) -> type[BaseModel]:
    """One model for all verbs that store the same: making each takes a cold start half a millisecond."""
    members: dict[str, Any] = {"resource": (resource, ...), "state": (str, "")}
    if request is not None:
        members["request"] = (request, ...)
    return create_model(f"{resource.__name__}_input", __base__=Model, **members)


def adapt(handler: Handler) -> Callable[..., Any]:
    """The handler as the runner calls it: `(context, input) -> result`, sync or async as it was."""
    function = handler.function

    def finish(input: Any, value: Any) -> Any:
        return _resource_json(handler, input, value) if handler.returns_resource else value

    if inspect.iscoroutinefunction(function):

        async def run_async(context: ActionContext, input: Any) -> Any:
            return finish(input, await function(context, *handler.arguments(input)))

        return run_async

    def run(context: SyncActionContext, input: Any) -> Any:
        return finish(input, function(context, *handler.arguments(input)))

    return run


def _resource_json(handler: Handler, input: Any, value: Any) -> dict[str, Any]:
    """The resource as a synchronous call would have answered it; only tags and properties are the handler's to say."""
    try:
        returned = handler.resource.model_validate(value)
        # Again as JSON: a handler may have assigned what the model does not take.
        returned = handler.resource.model_validate_json(returned.model_dump_json(by_alias=True, warnings=False))
    except ValidationError as error:
        message = "The handler returned something that is not the resource it declares."
        raise ActionFailed("InvalidResult", message, status_code=500) from error
    given = input.resource
    body = {
        **given.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"tags", "properties"}),
        "tags": returned.tags,
        "properties": returned.properties.model_dump(mode="json", by_alias=True, exclude_none=True),
    }
    if not fits(body):
        raise ActionFailed("ResourceTooLarge", f"The resource has more than {MAX_BODY} characters.", status_code=500)
    # An action leaves the state alone; any other verb that got here has succeeded.
    body["properties"][PROVISIONING_STATE] = input.state or "Succeeded"
    return body


def fits(body: dict[str, Any]) -> bool:
    """Whether a resource's JSON can be stored."""
    return len(json.dumps(body, ensure_ascii=False).encode("utf-16-le", "surrogatepass")) // 2 <= MAX_BODY


def _named(result: Any) -> str:
    if isinstance(result, FinalResult):
        return result.name
    return getattr(result, "__name__", str(result))
