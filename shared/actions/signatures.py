"""What a handler's annotations say: its input model, its output, and that it can be called as declared."""

import inspect
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any, cast

from pydantic import BaseModel, PydanticSchemaGenerationError, TypeAdapter

from shared.actions.attempt_context import ActionContext, SyncActionContext
from shared.actions.context import RequestContext
from shared.actions.files import File, FileResult
from shared.actions.input_models import check_model
from shared.actions.models import Content
from shared.actions.parameters import is_model, where_of
from shared.errors import DeclarationError
from shared.frozen import frozen


@frozen(kw_only=True)
class Signature:
    """A function `(context[, resource][, input]) -> output`."""

    function: Callable[..., Any]
    where: str
    """`module.function`, for messages."""
    input_model: type[BaseModel] | None
    output: TypeAdapter[Any] | None
    """None where it returns nothing."""
    returns: Any
    """The annotation, FileResult for a file; None where it returns nothing."""
    returns_file: bool = False


def read_signature(
    function: Callable[..., Any],
    context: type[ActionContext | SyncActionContext | RequestContext],
    *,
    resource: Any = None,
    takes_input: bool = True,
) -> Signature:
    """The signature of a handler, or of a read, which is an async function. Raises DeclarationError.

    `context` is what an async one takes first: a `def` handler of an ActionContext takes a SyncActionContext. A handler
    of an ARM `resource` takes that after its context.
    """
    where = where_of(function)
    _check_kind(function, context, where)
    try:
        hints = typing.get_type_hints(function)
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        raise DeclarationError(f"{where}: its annotations cannot be read: {error}") from None
    names = list(inspect.signature(function).parameters)
    if context is ActionContext and not inspect.iscoroutinefunction(function):
        context = SyncActionContext
        _check_sync_context(hints.get(names[0]) if names else None, where)
    given = [context] if resource is None else [context, resource]
    if [hints.get(name) for name in names[: len(given)]] != given:
        if resource is None:
            raise DeclarationError(f"{where}: the first parameter is the context; write `context: {context.__name__}`")
        raise DeclarationError(f"{where}: start with `context: {context.__name__}, resource: {resource.__name__}`")
    names = names[len(given) :]
    if len(names) > (1 if takes_input else 0):
        rule = "one input model holds them all" if takes_input else "this verb has no input"
        raise DeclarationError(f"{where}: takes {', '.join(names)}, which is more than it will be given; {rule}")
    if "return" not in hints:
        raise DeclarationError(f"{where}: annotate what it returns (`-> None` for nothing)")
    annotation: Any = hints.get(names[0]) if names else None
    if names:
        _check_input(names[0], annotation, where)
    returned = hints["return"]
    returns_file = returned is File and context is not RequestContext
    # That is what callers are told of a file, and so what descriptions say.
    returns: Any = FileResult if returns_file else None if returned is type(None) else returned
    _refuse_files(returns, where, is_read=context is RequestContext)
    return Signature(
        function=function,
        where=where,
        input_model=cast(type[BaseModel] | None, annotation),
        output=None if returns is None else adapter_of(returns, where),
        returns=returns,
        returns_file=returns_file,
    )


def _check_input(name: str, annotation: Any, where: str) -> None:
    if not is_model(annotation):
        raise DeclarationError(f"{where}: the input {name!r} must be annotated with a pydantic model")
    check_model(annotation, where)


def _check_sync_context(annotation: Any, where: str) -> None:
    if annotation is ActionContext:
        raise DeclarationError(
            f"{where}: the context of a `def` handler is `context: SyncActionContext`, whose `save` and `once` are "
            "called without `await`; write that, or `async def`"
        )


def adapter_of(annotation: Any, where: str) -> TypeAdapter[Any]:
    """How what a handler returns becomes JSON. Raises DeclarationError."""
    try:
        return TypeAdapter(annotation)
    except PydanticSchemaGenerationError as error:
        raise DeclarationError(f"{where}: what it returns cannot be written as JSON: {error}") from None


def _check_kind(
    function: Callable[..., Any], context: type[ActionContext | SyncActionContext | RequestContext], where: str
) -> None:
    if not inspect.isroutine(function):
        raise DeclarationError(f"{where}: a declaration is put on a function; write `async def`, or `def`")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise DeclarationError(f"{where}: a handler returns its result; it cannot yield")
    if context is RequestContext and not inspect.iscoroutinefunction(function):
        raise DeclarationError(f"{where}: a read is an async function, because it runs on the event loop")


def _refuse_files(returns: Any, where: str, *, is_read: bool) -> None:
    """A read answers `Content`. An operation's result is one file, or is stored and shown as JSON."""
    if any(isinstance(each, type) and issubclass(each, File) for each in _parts(returns)):
        if is_read:
            raise DeclarationError(f"{where}: `File` is the result of an action; a read answers `Content`")
        raise DeclarationError(f"{where}: a file is the whole result of an action; write `-> File`")
    is_choice = typing.get_origin(returns) in (typing.Union, types.UnionType, typing.Annotated)
    for each in typing.get_args(returns) if is_choice else (returns,):
        if isinstance(each, type) and issubclass(each, bytes | Content) and not is_read:
            raise DeclarationError(
                f"{where}: an action's result is JSON and cannot be `{each.__name__}`; for a file write `-> File`, and "
                "return `File(content, file_name=..., content_type=...)`"
            )


def _parts(annotation: Any) -> Iterator[Any]:
    """The annotation, and all that it is made of."""
    yield annotation
    for each in typing.get_args(annotation):
        yield from _parts(each)
