"""Functions around a handler: each may take a context first, and all of its inputs or none."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from shared.actions import ActionContext, Context, RequestContext
from shared.actions.hooks import factory, hook
from shared.errors import DeclarationError

GIVEN = cast(RequestContext, object())


def nothing() -> str:
    return "nothing"


def context_alone(context: RequestContext) -> object:
    return context


def input_alone(value: int) -> int:
    return value


def both(context: Context, value: int) -> tuple[object, int]:
    return context, value


async def later(context: RequestContext, value: int) -> tuple[object, int]:
    return context, value


@pytest.mark.parametrize(
    ("function", "expected"),
    [(nothing, "nothing"), (context_alone, GIVEN), (input_alone, 7), (both, (GIVEN, 7)), (later, (GIVEN, 7))],
)
async def test_what_it_takes(function: Callable[..., Any], expected: object) -> None:
    """The first parameter's annotation says whether it takes a context; `def` and `async def` are called alike."""
    assert await hook(function, inputs=1)(GIVEN, 7) == expected


async def test_several_inputs() -> None:
    """All of them, behind the context."""

    def pair(context: RequestContext, one: int, two: int) -> int:
        return one + two

    assert await hook(pair, inputs=2)(GIVEN, 1, 2) == 3


def test_refused() -> None:
    """Some of the inputs, and annotations that cannot be read: one line that says what to write."""

    def three(context: RequestContext, one: int, two: int) -> None: ...

    def unreadable(value: "Missing") -> None: ...  # type: ignore[name-defined] # noqa: F821 # pyright: ignore

    with pytest.raises(DeclarationError, match=r"three: takes context.*, one: int, two: int; write .* 1 values"):
        hook(three, inputs=1)
    with pytest.raises(DeclarationError, match=r"unreadable: its annotations cannot be read"):
        hook(unreadable, inputs=1)


def by_name(context: RequestContext, *, value: int) -> None: ...


def any_number(*values: int) -> None: ...


def of_an_attempt(context: ActionContext, value: int) -> None: ...


@pytest.mark.parametrize("function", [by_name, any_number, of_an_attempt, int, print])
def test_functions_that_could_not_be_called(function: Callable[..., Any]) -> None:
    """Values by name, any number of them, a context that a hook does not get: one line, at the declaration."""
    with pytest.raises(DeclarationError) as refused:
        hook(function, inputs=1)
    assert "\n" not in str(refused.value)


def test_a_hook_without_a_request() -> None:
    """What follows a cancel has no request: it takes a Context alone."""
    with pytest.raises(DeclarationError, match="there is no RequestContext here; write `context: Context`"):
        hook(context_alone, inputs=1, context=Context)


def test_factory() -> None:
    """What makes something for a request takes the context, or nothing that has no default."""
    assert factory(lambda context: context)(GIVEN) is GIVEN
    assert factory(lambda: 1)(GIVEN) == 1
    assert factory(list)(GIVEN) == []
    with pytest.raises(DeclarationError, match="a context is all there is"):
        factory(lambda one, two: None)
