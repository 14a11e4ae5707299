"""A handler of an ARM verb: reading its signature, and making it a handler like any other.

The runner hands an action one input model; an ARM verb's wraps the resource, its state, and the action's request.
"""

import inspect
import json
import typing
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

from pydantic import BaseModel, PydanticSchemaGenerationError, TypeAdapter, ValidationError, create_model

from shared.actions.arm_headers import RESOURCE, FinalResult, LroHeaders
from shared.actions.arm_models import PROVISIONING_STATE
from shared.actions.context import ActionContext
from shared.actions.input_models import check_model
from shared.actions.models import Model
from shared.errors import ActionFailed, DeclarationError

MAX_BODY = 30 * 1024
"""UTF-16 units of a stored resource's JSON: a column of Azure Tables holds 32 Ki."""


@dataclass(frozen=True, kw_only=True)
class Handler:
    """A checked handler. `output` is None, the resource model, or what else it is annotated to return."""

    function: Callable[..., Any]
    where: str
    resource: Any
    request: type[BaseModel] | None
    output: Any

    @property
    def returns_resource(self) -> bool:
        return self.output is self.resource

    @property
    def adapter(self) -> TypeAdapter[Any] | None:
        """How the runner writes the result; a resource is made JSON by the adapted handler."""
        if self.output is None:
            return None
        try:
            return TypeAdapter(dict[str, Any] if self.returns_resource else self.output)
        except PydanticSchemaGenerationError as error:
            raise DeclarationError(f"{self.where}: what it returns cannot be written as JSON: {error}") from None

    def arguments(self, input: Any) -> tuple[Any, ...]:
        """What follows the context."""
        return (input.resource,) if self.request is None else (input.resource, input.request)


def read_handler(function: Callable[..., Any], resource: Any, *, takes_request: bool) -> Handler:
    """Check a handler's annotations. Raises DeclarationError."""
    where = f"{function.__module__}.{function.__qualname__}"
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise DeclarationError(f"{where}: a handler returns its result; it cannot yield")
    try:
        hints = typing.get_type_hints(function)
    except NameError as error:
        raise DeclarationError(f"{where}: its annotations cannot be read: {error}") from None
    names = list(inspect.signature(function).parameters)
    if len(names) < 2 or hints.get(names[0]) is not ActionContext or hints.get(names[1]) is not resource:
        raise DeclarationError(f"{where}: start with `context: ActionContext, resource: {resource.__name__}`")
    if len(names) > (3 if takes_request else 2):
        raise DeclarationError(f"{where}: takes {', '.join(names)}, which is more than it will be given")
    if "return" not in hints:
        raise DeclarationError(f"{where}: annotate what it returns (`-> None` for nothing)")
    request: Any = hints.get(names[2]) if len(names) == 3 else None
    if len(names) == 3 and not (isinstance(request, type) and issubclass(request, BaseModel)):
        raise DeclarationError(f"{where}: the request {names[2]!r} must be annotated with a pydantic model")
    if request is not None:
        check_model(request, where)
    output = None if hints["return"] is type(None) else hints["return"]
    return Handler(
        function=function,
        where=where,
        resource=resource,
        request=cast(type[BaseModel] | None, request),
        output=output,
    )


def check_final_result(headers: LroHeaders, handler: Handler) -> LroHeaders:
    """The headers with `final_result` resolved; refuses one that is not what the handler returns.

    Azure/typespec-azure, "Customizing Long-Running Operations": "It is important that this value matches what the
    operation actually returns".
    """
    returned = RESOURCE if handler.returns_resource else handler.output
    wanted = RESOURCE if headers.final_result is handler.resource else headers.final_result
    if wanted is not FinalResult.AS_DECLARED and wanted != returned:
        raise DeclarationError(
            f"{handler.where}: {type(headers).__name__} says final_result={_named(wanted)}, but the handler returns "
            f"{_named(returned)}; make them the same"
        )
    return replace(headers, final_result=returned)


def input_model_of(handler: Handler) -> type[BaseModel]:
    """What the operation stores: the resource as the operation wants it, its state before, and the request."""
    fields: dict[str, Any] = {"resource": (handler.resource, ...), "state": (str, "")}
    if handler.request is not None:
        fields["request"] = (handler.request, ...)
    return create_model(f"{handler.function.__name__}_input", __base__=Model, **fields)


def adapt(handler: Handler) -> Callable[..., Any]:
    """The handler as the runner calls it: `(context, input) -> result`, sync or async as it was."""
    function = handler.function

    def finish(input: Any, value: Any) -> Any:
        return _resource_json(handler, input, value) if handler.returns_resource else value

    if inspect.iscoroutinefunction(function):

        async def run_async(context: ActionContext, input: Any) -> Any:
            return finish(input, await function(context, *handler.arguments(input)))

        return run_async

    def run(context: ActionContext, input: Any) -> Any:
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
