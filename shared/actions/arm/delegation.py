"""A PUT of an ARM resource whose work is done by another system.

    @delegate_put(presses, deadline="1h", lro_headers=ArmAsyncOperationHeader(retry_after=5))
    async def order(context: RequestContext, work: Delegation, press: Press) -> None: ...

The function hands the work over, in the request that starts it; no handler runs. What the system outside reports as
its result are properties of the resource.
"""

import inspect
from collections.abc import Callable
from typing import Any, Unpack, cast

from shared.actions.arm.lro_headers import LRO_HEADERS, LroHeaders
from shared.actions.arm.resource import ArmResource, ArmVerb
from shared.actions.attempt_context import ActionContext
from shared.actions.delegation import Delegate, DelegatedWork
from shared.actions.hooks import hook
from shared.actions.parameters import Rule, decorator, where_of
from shared.actions.policies import POLICY_RULES, Policies, duration
from shared.errors import ActionFailed, DeclarationError, RequestError
from shared.misfits import validated


@decorator(
    resource=Rule(
        "an ARM resource",
        ('ArmResource("Contoso.Library", "presses", ...)',),
        lambda value: isinstance(value, ArmResource),
    ),
    lro_headers=LRO_HEADERS,
    **POLICY_RULES,
)
def delegate_put(
    resource: ArmResource,
    *,
    lro_headers: LroHeaders | None = None,
    **policies: Unpack[Policies],
) -> Callable[[Delegate], ArmVerb]:
    """Declare `([context, ]work, resource) -> None` as what a PUT does; it resets what a request leaves out.

    `deadline` is how long the other system has (24 hours); the rest is as in `ArmResource.create_or_replace`. Raises
    DeclarationError.
    """

    def declare(function: Delegate) -> ArmVerb:
        where = where_of(function)
        if not inspect.iscoroutinefunction(function) or len(inspect.signature(function).parameters) not in (2, 3):
            form = "async def (context: RequestContext, work: Delegation, resource: ...) -> None"
            raise DeclarationError(f"{where}: write `{form}`, with or without the context")
        others = policies.copy()
        deadline = duration(others.pop("deadline", "24h"), what=f"deadline of {where}")
        delegated = DelegatedWork(delegate=hook(function, inputs=2), deadline=deadline)
        verb = resource.create_or_replace(lro_headers=lro_headers, **others)(_unchanged(resource, function))
        verb.delegated = delegated
        return verb

    return declare


def _unchanged(resource: ArmResource, function: Delegate) -> Callable[..., Any]:
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
        input.resource.properties = validated(type(input.resource.properties), body["properties"])
    except RequestError as error:
        names = ", ".join(sorted({each.target.partition(".")[0] for each in error.details if each.target}))
        raise _invalid(f"The result does not fit the resource's properties: {names}.") from None
    try:
        return await verb.action.handler(None, input)
    except ActionFailed as error:
        raise _invalid(error.message) from None


def _invalid(message: str) -> RequestError:
    return RequestError(400, "InvalidResult", message, target="result")
