"""Declaring actions and reads: decorators that check a function and turn it into a value.

Nothing is registered here: `shared.actions.registry.discover` collects the values from the modules under `actions/`.
"""

import inspect
import re
import typing
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

from pydantic import BaseModel, PydanticSchemaGenerationError, TypeAdapter

from shared.actions import routes
from shared.actions.context import ActionContext, ReadContext
from shared.actions.policies import NO_RETRY, Duration, Retry, duration
from shared.errors import DeclarationError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[:._-][A-Za-z0-9]+)*")


@dataclass(kw_only=True, eq=False)
class Action:
    """A named kind of work: handler, models, route and policies. Calling it calls the handler."""

    name: str
    handler: Callable[..., Any]
    method: str
    route: str
    input_model: type[BaseModel] | None
    output: TypeAdapter[Any] | None
    """None where the handler returns nothing."""
    timeout: timedelta
    retry: Retry
    keep: timedelta
    retry_after: int
    where: str
    """`module.function`, for messages."""
    preconditions: list[Callable[..., Any]] = field(default_factory=list[Callable[..., Any]])

    @property
    def function_name(self) -> str:
        return function_name(self.name)

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.handler)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.handler(*args, **kwargs)

    def precondition(self, check: Callable[..., Any]) -> Callable[..., Any]:
        """Run `check(input)` before the operation is created; it refuses by raising RequestError."""
        self.preconditions.append(check)
        return check

    async def check_preconditions(self, input: BaseModel | None) -> None:
        for check in self.preconditions:
            result = check(input) if inspect.signature(check).parameters else check()
            if inspect.isawaitable(result):
                await result


@dataclass(kw_only=True, eq=False)
class Read:
    """A synchronous GET of a resource. Calling it calls the handler."""

    name: str
    handler: Callable[..., Awaitable[Any]]
    route: str
    input_model: type[BaseModel] | None
    output: TypeAdapter[Any]
    where: str

    @property
    def function_name(self) -> str:
        return function_name(self.name)

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return await self.handler(*args, **kwargs)


def function_name(name: str) -> str:
    """The Azure Functions name that stands for an action's name: `book:upload-finish` is `book_upload_finish`."""
    return re.sub(r"[^A-Za-z0-9]+", "_", name)


def action(
    name: str,
    *,
    post: str,
    timeout: Duration = "5m",
    retry: Retry = NO_RETRY,
    keep: Duration = "24h",
    retry_after: int = 1,
) -> Callable[[Callable[..., Any]], Action]:
    """Declare a handler `(context, input) -> output` as the action `name`, started by `POST {post}`.

    `timeout` is what one attempt may take, `keep` how long the record stays after the end, `retry_after` the seconds
    clients are told to wait between polls. The input model and the output are read from the annotations; every
    parameter of the route must be a field of the input model. Raises DeclarationError.
    """

    def declare(handler: Callable[..., Any]) -> Action:
        where = f"{handler.__module__}.{handler.__qualname__}"
        _check_name(name, where)
        if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
            raise DeclarationError(f"{where}: a handler returns its result; it cannot yield")
        if retry_after < 1:
            raise DeclarationError(f"{where}: retry_after is {retry_after}; clients are told at least 1 second")
        input_model, output = _signature(handler, where, ActionContext)
        _check_route(post, input_model, where)
        return Action(
            name=name,
            handler=handler,
            method="POST",
            route=post,
            input_model=input_model,
            output=output,
            timeout=duration(timeout, what=f"timeout of {where}"),
            retry=retry,
            keep=duration(keep, what=f"keep of {where}"),
            retry_after=retry_after,
            where=where,
        )

    return declare


def read(name: str, *, get: str) -> Callable[[Callable[..., Awaitable[Any]]], Read]:
    """Declare an async function `(context, input) -> output` as the answer to `GET {get}`. Raises DeclarationError.

    Input fields come from the route and the query string. It refuses by raising RequestError (404 for what is absent).
    """

    def declare(handler: Callable[..., Awaitable[Any]]) -> Read:
        where = f"{handler.__module__}.{handler.__qualname__}"
        _check_name(name, where)
        if not inspect.iscoroutinefunction(handler):
            raise DeclarationError(f"{where}: a read is an async function, because it runs on the event loop")
        input_model, output = _signature(handler, where, ReadContext)
        if output is None:
            raise DeclarationError(f"{where}: a read returns something; annotate what")
        _check_route(get, input_model, where)
        return Read(name=name, handler=handler, route=get, input_model=input_model, output=output, where=where)

    return declare


def _check_name(name: str, where: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > 100:
        raise DeclarationError(
            f"{where}: the name {name!r} does not fit; use letters and digits with single ':', '-', '.' or '_' between"
        )


def _check_route(route: str, input_model: type[BaseModel] | None, where: str) -> None:
    names = routes.parameters(route, where)
    fields: set[str] = set()
    for name, info in (input_model.model_fields if input_model else {}).items():
        fields |= {name, info.alias or name}
    for name in names:
        if name not in fields:
            raise DeclarationError(f"{where}: the route has {{{name}}}, but the input model has no field {name!r}")


def _signature(
    handler: Callable[..., Any], where: str, context: type[ActionContext | ReadContext]
) -> tuple[type[BaseModel] | None, TypeAdapter[Any] | None]:
    """The input model and the output type in a handler's annotations."""
    try:
        hints = typing.get_type_hints(handler)
    except NameError as error:
        raise DeclarationError(f"{where}: its annotations cannot be read: {error}") from None
    names = list(inspect.signature(handler).parameters)
    if not names or hints.get(names[0]) is not context:
        raise DeclarationError(f"{where}: the first parameter is the context; write `context: {context.__name__}`")
    names = names[1:]
    if len(names) > 1:
        raise DeclarationError(f"{where}: takes {', '.join(names)}; one input model holds them all")
    if "return" not in hints:
        raise DeclarationError(f"{where}: annotate what it returns (`-> None` for nothing)")
    annotation: Any = hints.get(names[0]) if names else None
    if names and not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        raise DeclarationError(f"{where}: the input {names[0]!r} must be annotated with a pydantic model")
    input_model = cast(type[BaseModel] | None, annotation)
    if hints["return"] is type(None):
        return input_model, None
    try:
        return input_model, TypeAdapter(hints["return"])
    except PydanticSchemaGenerationError as error:
        raise DeclarationError(f"{where}: what it returns cannot be written as JSON: {error}") from None
