"""Functions around a handler: preconditions, first answers, what follows a cancel. Each may take a context first."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from shared.actions.context import Context, RequestContext
from shared.actions.parameters import where_of
from shared.errors import DeclarationError

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

Hook = Callable[..., Awaitable[Any]]
"""`(context, *inputs)`, whatever the declared function takes of these."""


def hook(function: Callable[..., Any], *, inputs: int, context: type[Context] = RequestContext) -> Hook:
    """`function` as every hook is called: with a `context` and its `inputs`, by position.

    It takes a context where its first parameter is annotated as one, and then all inputs or none of them. It is
    `async def`, or a `def` that neither waits nor computes for long: it runs on the event loop. Raises
    DeclarationError for other parameters, and for a context that a hook of its kind does not get.
    """
    where = where_of(function)
    parameters = _parameters(function)
    first = parameters[0].annotation if parameters else None
    declared = first if isinstance(first, type) and issubclass(first, Context) else None
    if declared is not None and not issubclass(context, declared):
        raise DeclarationError(f"{where}: there is no {declared.__name__} here; write `context: {context.__name__}`")
    takes_context = declared is not None
    taken = len(parameters) - takes_context
    if taken not in (0, inputs) or any(each.kind not in _BY_POSITION for each in parameters):
        raise DeclarationError(
            f"{where}: takes {', '.join(map(str, parameters))}; write `context: {context.__name__}` first or not, and "
            f"then {inputs} values by position, or none"
        )

    async def call(given_context: Context, *given: Any) -> Any:
        result = function(*((given_context,) if takes_context else ()), *(given if taken else ()))
        return await result if inspect.isawaitable(result) else result

    return call


def factory(function: Callable[..., Any]) -> Callable[[Context], Any]:
    """`function` as it makes something of a context, which it takes or leaves out. Raises DeclarationError."""
    required = [each for each in _parameters(function) if each.default is inspect.Parameter.empty]
    if len(required) > 1:
        raise DeclarationError(f"{where_of(function)}: takes {len(required)} values; a context is all there is")
    return function if required else lambda context: function()


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    if not callable(function):
        raise DeclarationError(f"{where_of(function)}: a hook is a function; write `async def`, or `def`")
    try:
        return list(inspect.signature(function, eval_str=True).parameters.values())
    except (NameError, AttributeError, TypeError, ValueError, SyntaxError) as error:
        raise DeclarationError(f"{where_of(function)}: its annotations cannot be read: {error}") from None
