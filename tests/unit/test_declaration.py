"""Declaring actions and reads: what is understood, and what refuses to start and why."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest

from shared.actions import ActionContext, Model, ReadContext, Retry, action, read
from shared.actions.declaration import function_name
from shared.errors import DeclarationError
from tests.unit.parts import Input


async def handler(context: ActionContext, request: Input) -> Input:
    return request


async def reader(context: ReadContext, request: Input) -> Input:
    return request


async def no_context(request: Input) -> None: ...
async def no_return(context: ActionContext, request: Input): ...
async def no_model(context: ActionContext, request: dict[str, str]) -> None: ...
async def too_many(context: ActionContext, request: Input, more: Input) -> None: ...
async def unknown_type(context: ActionContext, request: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821
async def yields(context: ActionContext, request: Input) -> AsyncIterator[int]:
    yield 1


def sync_read(context: ReadContext, request: Input) -> Input: ...  # type: ignore[empty-body]
async def read_of_nothing(context: ReadContext, request: Input) -> None: ...


def test_declared() -> None:
    """Everything follows from the declaration; the defaults are those the documentation states."""
    declared = action("book:upload-finish", post="book/{id}:finish")(handler)
    assert (declared.name, declared.function_name) == ("book:upload-finish", "book_upload_finish")
    assert (declared.method, declared.route, declared.input_model) == ("POST", "book/{id}:finish", Input)
    assert (declared.timeout, declared.keep) == (timedelta(minutes=5), timedelta(hours=24))
    assert (declared.retry.max_attempts, declared.retry_after, declared.is_async) == (1, 1, True)
    assert declared.where == "tests.unit.test_declaration.handler"


def test_policies() -> None:
    """timeout, retry, keep and retry_after are taken as declared."""
    retry = Retry(max_attempts=3)
    declared = action("a", post="a", timeout="90s", retry=retry, keep="7d", retry_after=5)(handler)
    assert (declared.timeout, declared.retry, declared.keep, declared.retry_after) == (
        timedelta(seconds=90), retry, timedelta(days=7), 5,
    )  # fmt: skip


def test_wire_names() -> None:
    """JSON names are camelCase on the wire and snake_case in Python, nested models included."""

    class Inner(Model):
        page_count: int

    class Outer(Model):
        first_inner: Inner

    value = Outer.model_validate({"firstInner": {"pageCount": 1}})
    assert value.first_inner.page_count == 1
    assert value.model_dump(by_alias=True) == {"firstInner": {"pageCount": 1}}


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (no_context, "context: ActionContext"),
        (no_return, "annotate what it returns"),
        (no_model, "'request' must be annotated with a pydantic model"),
        (too_many, "request, more"),
        (unknown_type, "Nowhere"),
        (yields, "cannot yield"),
        (reader, "context: ActionContext"),
    ],
)
def test_handlers_that_do_not_fit(function: Callable[..., Any], said: str) -> None:
    """A handler that could not be called is refused, naming it and what to change."""
    with pytest.raises(DeclarationError, match=said) as caught:
        action("a", post="a")(function)
    assert f"tests.unit.test_declaration.{function.__name__}" in str(caught.value)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (sync_read, "async function"),
        (read_of_nothing, "returns something"),
        (handler, "context: ReadContext"),
    ],
)
def test_reads_that_do_not_fit(function: Callable[..., Any], said: str) -> None:
    """A read runs on the loop and answers something."""
    with pytest.raises(DeclarationError, match=said):
        read("a", get="a")(function)


@pytest.mark.parametrize("name", ["", "1a", "a b", "a/b", ":a", "a:", "a::b", "é", "a" * 101])
def test_bad_names(name: str) -> None:
    """A name that gives no function name is refused, for actions and reads."""
    for declare in (action(name, post="a"), read(name, get="a")):
        with pytest.raises(DeclarationError, match="the name"):
            declare(reader)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"timeout": "5 minutes"}, "timeout of tests.unit.test_declaration.handler"),
        ({"keep": "0s"}, "keep of tests.unit.test_declaration.handler"),
        ({"retry_after": 0}, "retry_after is 0"),
        ({"post": "book/{isbn}"}, "'isbn'"),
        ({"post": "/book"}, "without a slash"),
    ],
    ids=str,
)
def test_bad_parameters(changes: dict[str, Any], said: str) -> None:
    """A duration, a route or a parameter that does not fit is refused, naming it."""
    with pytest.raises(DeclarationError, match=said):
        action("a", **{"post": "a", **changes})(handler)


def test_route_parameter_without_input() -> None:
    """A handler without input takes no route parameter."""

    async def alone(context: ActionContext) -> None: ...

    with pytest.raises(DeclarationError, match="no field 'id'"):
        action("a", post="a/{id}")(alone)
    assert action("a", post="a")(alone).input_model is None


async def test_preconditions() -> None:
    """Preconditions may be sync or async, with or without the input, and run in their order."""
    declared = action("a", post="a")(handler)
    seen: list[object] = []

    @declared.precondition
    def one(request: Input) -> None:
        seen.append(request)

    @declared.precondition
    async def two() -> None:
        seen.append(2)

    request = Input()
    await declared.check_preconditions(request)
    assert seen == [request, 2]


async def test_still_a_function() -> None:
    """A declared function can still be called as what it was."""
    request = Input()
    assert await action("a", post="a")(handler)(None, request) is request
    assert await read("a", get="a")(reader)(None, request) is request
    assert function_name("a:b-c.d_e") == "a_b_c_d_e"
