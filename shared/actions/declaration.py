"""Declaring actions and reads: decorators that check a function and turn it into a value.

Nothing is registered here: `shared.actions.registry.discover` collects the values from the modules under `actions/`.
"""

import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, TypeAdapter

from shared.actions import patterns, routes
from shared.actions.context import ActionContext, ReadContext
from shared.actions.input_models import check_texts
from shared.actions.patterns import Accepted, Pattern
from shared.actions.policies import NO_RETRY, Duration, Retry, duration
from shared.actions.signatures import read_signature, where_of
from shared.errors import DeclarationError
from shared.operations.model import Operation, Status

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
    after_end: Callable[[Operation], Awaitable[None]] | None = None
    """Runs after an operation's outcome was written, at least once or not at all: what it does must also be done by
    whoever reads what it would have changed."""
    preconditions: list[Callable[..., Any]] = field(default_factory=list[Callable[..., Any]])
    pattern: Pattern = Pattern.ACTION
    exclusive: str | None = None
    """Template of the resource that one operation at a time may write; its parameters are the route's."""
    accept_hook: Callable[..., Any] | None = None

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

    def accepted(self, hook: Callable[..., Any]) -> Callable[..., Any]:
        """Let `hook(input) -> Accepted` make the first answer to a PUT of a resource.

        It runs after the preconditions, and again when the start is repeated: it reads what is stored and refuses
        nothing. Raises DeclarationError for another kind of start, and for a second hook.
        """
        if self.pattern is not Pattern.PUT_RESOURCE or self.accept_hook is not None:
            raise DeclarationError(f"{self.where}: `accepted` is for a PUT of a resource, and there is one of it")
        self.accept_hook = hook
        return hook

    def when_canceled(self, hook: Callable[[str], Awaitable[None]]) -> Callable[[str], Awaitable[None]]:
        """Run `hook(run_id)` after an operation has ended as canceled: it removes what attempts may have left behind.

        An attempt may have died between its last write and its end, so the hook runs whether or not there is anything
        to remove; at least once, and before an OData client is told that its request was canceled.
        """

        async def after_end(operation: Operation) -> None:
            if operation.status is Status.CANCELED:
                await hook(operation.run)

        self.after_end = after_end
        return hook

    async def accept(self, input: BaseModel | None) -> Accepted:
        """What the hook says. Raises TypeError where that is not an Accepted."""
        assert self.accept_hook is not None, "the registry refuses a PUT of a resource without the hook"
        result = self.accept_hook(input) if inspect.signature(self.accept_hook).parameters else self.accept_hook()
        if inspect.isawaitable(result):
            result = await result
        if not isinstance(result, Accepted):
            raise TypeError(f"the accepted hook of {self.where} returned {type(result).__name__}, not Accepted")
        return result

    def check_complete(self) -> None:
        """Raise DeclarationError for what only shows once the module was read."""
        if self.pattern is Pattern.PUT_RESOURCE and self.accept_hook is None:
            raise DeclarationError(
                f"{self.where}: a PUT of a resource answers with the resource; say what it is with @....accepted"
            )

    def endpoints(self) -> list[routes.Endpoint]:
        """The HTTP functions that follow from this declaration alone."""
        starter = routes.Endpoint(self.function_name, (self.method,), self.route, self.where)
        if self.pattern is Pattern.PUT_OPERATION:
            return [starter, *patterns.own_endpoints(self.function_name, self.route, self.where)]
        return [starter]

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
    post: str | None = None,
    put: str | None = None,
    delete: str | None = None,
    exclusive: str | None = None,
    timeout: Duration = "5m",
    retry: Retry = NO_RETRY,
    keep: Duration = "24h",
    retry_after: int = 1,
) -> Callable[[Callable[..., Any]], Action]:
    """Declare a handler `(context, input) -> output` as the action `name`; `post`, `put` or `delete` is its route.

    `put` is the route of a resource, or of an operation where it ends in `/{operation_id}`. `exclusive` names the
    resource, such as `book/{id}`, on which one operation at a time may work; it has to be a part of the route.
    `timeout` is what one attempt may take, `keep` how long the record stays after the end, `retry_after` the seconds
    clients are told to wait between polls. The input model and the output are read from the annotations; every
    parameter of the route must be a field of the input model. Raises DeclarationError.
    """

    def declare(handler: Callable[..., Any]) -> Action:
        _check_name(name, where_of(handler))
        signature = read_signature(handler, ActionContext)
        where, input_model, output = signature.where, signature.input_model, signature.output
        pattern, method, route = patterns.chosen(
            post=post, put=put, delete=delete, names=_names(input_model), where=where
        )
        patterns.check_members(pattern, input=_names(input_model), output=output, where=where)
        check_texts(input_model, routes.parameters(route, where), where)
        if exclusive is not None:
            patterns.check_exclusive(exclusive, route, where)
        return Action(
            name=name,
            handler=handler,
            method=method,
            route=route,
            pattern=pattern,
            exclusive=exclusive,
            input_model=input_model,
            output=output,
            timeout=duration(timeout, what=f"timeout of {where}"),
            retry=retry,
            keep=duration(keep, what=f"keep of {where}"),
            retry_after=at_least_a_second(retry_after, where),
            where=where,
        )

    return declare


def at_least_a_second(retry_after: int, where: str) -> int:
    """`retry_after` as clients may be told it. Raises DeclarationError for less than a second."""
    if retry_after < 1:
        raise DeclarationError(f"{where}: retry_after is {retry_after}; clients are told at least 1 second")
    return retry_after


def read(name: str, *, get: str) -> Callable[[Callable[..., Awaitable[Any]]], Read]:
    """Declare an async function `(context, input) -> output` as the answer to `GET {get}`. Raises DeclarationError.

    Input fields come from the route and the query string, so that text has to be enough for them. It
    refuses by raising RequestError (404 for what is absent).
    """

    def declare(handler: Callable[..., Awaitable[Any]]) -> Read:
        declared = answered_at_once(name, get, handler)
        check_texts(declared.input_model, _names(declared.input_model), declared.where)
        return declared

    return declare


def answered_at_once(name: str, route: str, handler: Callable[..., Awaitable[Any]]) -> Read:
    """What a read and a call have in common. Raises DeclarationError."""
    _check_name(name, where_of(handler))
    signature = read_signature(handler, ReadContext)
    where, input_model, output = signature.where, signature.input_model, signature.output
    if output is None:
        raise DeclarationError(f"{where}: a read returns something; annotate what")
    _check_route(route, input_model, where)
    return Read(name=name, handler=handler, route=route, input_model=input_model, output=output, where=where)


def _check_name(name: str, where: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > 100:
        raise DeclarationError(
            f"{where}: the name {name!r} does not fit; use letters and digits with single ':', '-', '.' or '_' between"
        )


def _check_route(route: str, input_model: type[BaseModel] | None, where: str) -> None:
    names = routes.parameters(route, where)
    check_texts(input_model, names, where)
    for name in names:
        if name not in _names(input_model):
            raise DeclarationError(f"{where}: the route has {{{name}}}, but the input model has no field {name!r}")


def _names(model: type[BaseModel] | None) -> set[str]:
    """The fields of a model, by their names and by their names on the wire."""
    return {
        name for field, info in (model.model_fields if model else {}).items() for name in (field, info.alias or field)
    }
