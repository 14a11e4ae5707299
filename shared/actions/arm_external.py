"""A PUT of an ARM resource whose work is done by another system.

    @put_elsewhere(presses, deadline="1h", lro_headers=ArmAsyncOperationHeader(retry_after=5))
    async def order(work: HandOver, press: Press) -> None: ...

The function hands the work over, in the request that starts it; no handler runs. What the system outside reports as
its result are properties of the resource.
"""

import inspect
from collections.abc import Callable
from typing import Any, cast

from pydantic import ValidationError

from shared.actions.arm import ArmResource, ArmVerb
from shared.actions.context import ActionContext
from shared.actions.hand_over import Elsewhere, HandsOver
from shared.actions.policies import Duration, duration
from shared.errors import ActionFailed, DeclarationError, RequestError


def put_elsewhere(
    resource: ArmResource, *, deadline: Duration = "24h", **declared: Any
) -> Callable[[HandsOver], ArmVerb]:
    """Declare `(work, resource) -> None` as what a PUT does; it resets what a request leaves out.

    `deadline` is how long the other system has. What is `declared` else is as in `ArmResource.create_or_replace`.
    Raises DeclarationError.
    """

    def declare(function: HandsOver) -> ArmVerb:
        where = f"{function.__module__}.{function.__qualname__}"
        if not inspect.iscoroutinefunction(function) or len(inspect.signature(function).parameters) != 2:
            raise DeclarationError(f"{where}: write `async def (work: HandOver, resource: ...) -> None`")
        elsewhere = Elsewhere(hand_over=function, deadline=duration(deadline, what=f"deadline of {where}"))
        verb = resource.create_or_replace(**declared)(_unchanged(resource, function))
        verb.elsewhere = elsewhere
        return verb

    return declare


def _unchanged(resource: ArmResource, function: HandsOver) -> Callable[..., Any]:
    """The handler in whose place another system works: it leaves the resource as it is."""

    async def unchanged(context: ActionContext, resource: Any) -> Any:
        return resource

    unchanged.__annotations__ = {"context": ActionContext, "resource": resource.model, "return": resource.model}
    unchanged.__name__, unchanged.__qualname__ = function.__name__, function.__qualname__
    unchanged.__module__ = function.__module__
    return unchanged


async def completed(verb: ArmVerb, input_json: bytes, result: Any) -> Any:
    """The resource, as a synchronous call would have answered it: what was asked for, and the reported properties.

    Raises RequestError 400 InvalidResult for what are no properties of it.
    """
    assert verb.action.input_model is not None, "an ARM verb's input holds the resource"
    if not isinstance(result, dict | None):
        raise _invalid("The result of this operation is an object: properties of the resource.")
    input: Any = verb.action.input_model.model_validate_json(input_json)
    # As JSON and back: a reported value is taken for what it would mean in a request.
    body = input.resource.model_dump(mode="json", by_alias=True)
    body["properties"] |= cast(dict[str, Any], result or {})
    try:
        properties = type(input.resource.properties).model_validate(
            body["properties"], extra="forbid", by_alias=True, by_name=False
        )
        input.resource.properties = properties
        return await verb.action.handler(None, input)
    except ValidationError as error:
        names = ", ".join(sorted({str(e["loc"][0]) for e in error.errors(include_input=False) if e["loc"]}))
        raise _invalid(f"The result does not fit the resource's properties: {names}.") from None
    except ActionFailed as error:
        raise _invalid(error.message) from None


def _invalid(message: str) -> RequestError:
    return RequestError(400, "InvalidResult", message, target="result")
