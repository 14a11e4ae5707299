"""What a handler's annotations say: its input model, its output, and that it can be called as declared."""

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, PydanticSchemaGenerationError, TypeAdapter

from shared.actions.context import ActionContext, ReadContext
from shared.actions.input_models import check_model
from shared.errors import DeclarationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A function `(context[, input]) -> output`."""

    where: str
    """`module.function`, for messages."""
    input_model: type[BaseModel] | None
    output: TypeAdapter[Any] | None
    """None where it returns nothing."""
    returns: Any
    """The annotation."""


def where_of(handler: Callable[..., Any]) -> str:
    """`module.function`."""
    return f"{handler.__module__}.{handler.__qualname__}"


def read_signature(handler: Callable[..., Any], context: type[ActionContext | ReadContext]) -> Signature:
    """The signature of a handler, or of a read, which is an async function. Raises DeclarationError."""
    where = where_of(handler)
    if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
        raise DeclarationError(f"{where}: a handler returns its result; it cannot yield")
    if context is ReadContext and not inspect.iscoroutinefunction(handler):
        raise DeclarationError(f"{where}: a read is an async function, because it runs on the event loop")
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
    if names:
        check_model(annotation, where)
    returns: Any = hints["return"]
    return Signature(
        where=where,
        input_model=cast(type[BaseModel] | None, annotation),
        output=None if returns is type(None) else _adapter(returns, where),
        returns=returns,
    )


def _adapter(annotation: Any, where: str) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(annotation)
    except PydanticSchemaGenerationError as error:
        raise DeclarationError(f"{where}: what it returns cannot be written as JSON: {error}") from None
