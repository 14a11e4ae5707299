"""Declaring actions and reads: what is understood, and what refuses to start and why."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Annotated, Any, Literal, cast

import pytest
from pydantic import AliasChoices, AliasPath, BeforeValidator, ConfigDict, Field, create_model

from shared.actions import (
    ActionContext,
    ArmResource,
    ArmTrackedResource,
    Content,
    File,
    Model,
    ODataService,
    RequestContext,
    ResultFile,
    Retry,
    SyncActionContext,
    action,
    call,
    read,
)
from shared.actions.declaration import function_name
from shared.errors import DeclarationError
from tests.support.parts import Input


async def handler(context: ActionContext, request: Input) -> Input:
    return request


async def reader(context: RequestContext, request: Input) -> Input:
    return request


async def no_context(request: Input) -> None: ...
async def no_return(context: ActionContext, request: Input): ...
async def no_model(context: ActionContext, request: dict[str, str]) -> None: ...
async def too_many(context: ActionContext, request: Input, more: Input) -> None: ...
async def unknown_type(context: ActionContext, request: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821
async def yields(context: ActionContext, request: Input) -> AsyncIterator[int]:
    yield 1


def sync_read(context: RequestContext, request: Input) -> Input: ...  # type: ignore[empty-body]
async def read_of_nothing(context: RequestContext, request: Input) -> None: ...


def test_declared() -> None:
    """Everything follows from the declaration; the defaults are those the documentation states."""
    declared = action("book:upload-finish", post="book/{id}:finish")(handler)
    assert (declared.name, declared.function_name) == ("book:upload-finish", "book_upload_finish")
    assert (declared.method, declared.route, declared.input_model) == ("POST", "book/{id}:finish", Input)
    assert (declared.timeout, declared.keep) == (timedelta(minutes=5), timedelta(hours=24))
    assert (declared.retry.max_attempts, declared.retry_after, declared.is_async) == (1, 1, True)
    assert (declared.max_lost, declared.at_most_once) == (5, False)
    assert declared.where == "tests.unit.test_declaration.handler"


def test_policies() -> None:
    """timeout, retry, keep and retry_after are taken as declared."""
    retry = Retry(max_attempts=3)
    declared = action("a", post="a", timeout="90s", retry=retry, keep="7d", retry_after=5)(handler)
    assert (declared.timeout, declared.retry, declared.keep, declared.retry_after) == (
        timedelta(seconds=90), retry, timedelta(days=7), 5,
    )  # fmt: skip


def test_a_number_of_attempts() -> None:
    """`retry=3` is a policy of three attempts, in every profile."""
    assert action("a", post="a", retry=3)(handler).retry == Retry(max_attempts=3)

    @ODataService("Numbers").action("Add", retry=2)
    async def add(context: ActionContext) -> None: ...

    assert add.retry == Retry(max_attempts=2)

    @ArmResource("Contoso.A", "things", api_versions=["2026-01-01"], properties=Text).delete(retry=4)
    async def delete(context: ActionContext, thing: ArmTrackedResource[Text]) -> None: ...

    assert delete.action.retry == Retry(max_attempts=4)


def test_lost_attempts() -> None:
    """`max_lost` stands beside `retry`; `at_most_once` is one loss, and says so to whoever gives an attempt back."""
    assert action("a", post="a", retry=3, max_lost=7)(handler).max_lost == 7
    once = action("a", post="a", at_most_once=True, retry=1)(handler)
    assert (once.max_lost, once.at_most_once) == (1, True)
    again = action("a", post="a", at_most_once=False, retry=3)(handler)
    assert (again.max_lost, again.at_most_once) == (5, False)


@pytest.mark.parametrize("policies", [{"retry": 2}, {"retry": Retry()}, {"max_lost": 1}], ids=str)
def test_at_most_once_contradicts_retries(policies: dict[str, Any]) -> None:
    """What must never run twice is not declared to be tried again, in any profile."""
    (name,) = policies
    expected = rf"handler: at_most_once=True and {name} contradict each other; leave one of them out"
    with pytest.raises(DeclarationError, match=expected):
        action("a", post="a", at_most_once=True, **policies)(handler)
    with pytest.raises(DeclarationError, match="contradict each other"):
        ODataService("Numbers").action("Add", at_most_once=True, **policies)(handler)


@pytest.mark.parametrize("policies", [{"at_most_once": True}, {"max_lost": 7}, {}], ids=str)
def test_an_action_in_two_profiles_is_lost_alike(policies: dict[str, Any]) -> None:
    """What an action is declared with holds for the OData action that is put on top of it."""
    below = action("a", post="a", **policies)(handler)
    service = ODataService("Numbers")
    service.action("Add")(below)
    (above,) = service.actions
    assert (above.max_lost, above.at_most_once) == (below.max_lost, below.at_most_once)


@pytest.mark.parametrize("returns", [bytes, Content, bytes | None, Content | None, Annotated[bytes, "epub"]])
def test_results_are_json(returns: Any) -> None:
    """Bytes are no result of an action, which returns a `File`; a read answers them."""

    async def file(context: Any, request: Input) -> Any: ...

    file.__annotations__ |= {"context": ActionContext, "return": returns}
    with pytest.raises(DeclarationError, match=r"file: an action's result is JSON .* for a file write `-> File`"):
        action("a", post="a")(file)
    file.__annotations__ |= {"context": RequestContext}
    assert read("a", get="a")(file).output is not None


@pytest.mark.parametrize("returns", [File | None, list[File], dict[str, File], ResultFile])
def test_a_file_is_the_whole_result(returns: Any) -> None:
    """A file is returned alone, by an action; reads answer `Content`, and a PUT of a resource the resource."""

    async def file(context: Any, request: Input) -> Any: ...

    file.__annotations__ |= {"context": ActionContext, "return": returns}
    with pytest.raises(DeclarationError, match="file: a file is the whole result of an action; write `-> File`"):
        action("a", post="a")(file)
    file.__annotations__ |= {"return": File}
    assert action("a", post="a")(file).returns_file
    with pytest.raises(DeclarationError, match="returns the resource, and no file"):
        action("a", put="a/{id}")(file)
    file.__annotations__ |= {"context": RequestContext}
    with pytest.raises(DeclarationError, match="a read answers `Content`"):
        read("a", get="a")(file)


async def returns_nothing(context: ActionContext, request: Input) -> None: ...
async def returns_file(context: ActionContext, request: Input) -> File: ...  # type: ignore[empty-body]


@pytest.mark.parametrize(
    ("function", "route", "said"),
    [
        (returns_nothing, {"post": "a"}, "the handler returns nothing"),
        (returns_file, {"post": "a"}, "is not for a file"),
        (handler, {"put": "a/{id}"}, "for a POST or a PUT of an operation"),
        (returns_nothing, {"delete": "a/{id}"}, "for a POST or a PUT of an operation"),
    ],
)
def test_no_link_to_a_result(function: Any, route: dict[str, str], said: str) -> None:
    """`result="link"` is refused where no monitor carries a result, or where there is nothing to link to."""
    with pytest.raises(DeclarationError, match=rf"result='link'.* {said}"):
        action("a", result="link", **route)(function)  # type: ignore[arg-type]


def test_messages_are_one_line() -> None:
    """Whatever another library says about a declaration, the local host can print it as a line."""

    class Odd: ...

    async def odd(context: ActionContext) -> Odd: ...  # type: ignore[empty-body]

    odd.__annotations__["return"] = Odd
    with pytest.raises(DeclarationError, match="cannot be written as JSON: Unable to generate") as caught:
        action("a", post="a")(odd)
    assert "\n" not in str(caught.value)


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
        (handler, "context: RequestContext"),
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
        with pytest.raises(DeclarationError, match=r"reader: name=.* is not a name of letters and digits"):
            declare(reader)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"timeout": "5 minutes"}, "tests.unit.test_declaration.handler: timeout='5 minutes'"),
        ({"keep": "0s"}, "tests.unit.test_declaration.handler: keep='0s'"),
        ({"retry_after": 0}, "retry_after=0"),
        ({"post": "book/{isbn}"}, "'isbn'"),
        ({"post": "/book"}, "without a slash"),
    ],
    ids=str,
)
def test_bad_parameters(changes: dict[str, Any], said: str) -> None:
    """A duration, a route or a parameter that does not fit is refused, naming it."""
    with pytest.raises(DeclarationError, match=said):
        action("a", **{"post": "a", **changes})(handler)


def reading(annotation: Any, default: Any = ...) -> Callable[..., Any]:
    """A handler, of a read or an action, whose input has a member `n` like this."""
    model: Any = create_model("Numbers", __base__=Model, n=(annotation, default))

    async def handler(context: Any, request: Any) -> Any: ...

    handler.__annotations__ |= {"request": model, "return": Text}
    return handler


class Text(Model):
    text: str = ""


class Tree(Model):
    below: "Tree | None" = None


def commas(value: Any) -> Any:
    return value.split(",")


def for_read(handler: Callable[..., Any]) -> Callable[..., Any]:
    handler.__annotations__["context"] = RequestContext
    return handler


def for_action(handler: Callable[..., Any]) -> Callable[..., Any]:
    handler.__annotations__["context"] = ActionContext
    return handler


STRUCTURES = [
    list[int],
    list[str] | None,
    set[str],
    tuple[int, int],
    dict[str, str],
    Text,
    Tree | None,
    list[int] | Text,
]


@pytest.mark.parametrize("annotation", STRUCTURES, ids=str)
def test_what_no_url_can_say(annotation: Any) -> None:
    """A structure cannot be a read's member, nor in any route; in a body it can."""
    for declare in (
        lambda: read("a", get="a")(for_read(reading(annotation))),
        lambda: call("a", post="a/{n}")(for_read(reading(annotation))),
        lambda: action("a", post="a/{n}")(for_action(reading(annotation))),
    ):
        with pytest.raises(DeclarationError, match="'n' cannot be read from text"):
            declare()
    assert call("a", post="a")(for_read(reading(annotation))).declared.input_model is not None
    assert action("a", post="a")(for_action(reading(annotation))).input_model is not None


TEXTS = [int, str | None, Literal["a", "b"], datetime, list[int] | int, IntEnum("Level", {"LOW": 1}), bytes]


@pytest.mark.parametrize("annotation", [*TEXTS, Annotated[list[str], BeforeValidator(commas)]])
def test_what_a_url_can_say(annotation: Any) -> None:
    """All else can be, a structure that is read from text included."""
    assert read("a", get="a/{n}")(for_read(reading(annotation))).input_model is not None


class Nested(Model):
    x: str = Field(validation_alias=AliasPath("deep", "x"))


DEEP = Field(validation_alias=AliasPath("deep", "x"))
CHOSEN = Field(validation_alias=AliasChoices("n", AliasPath("deep", 0)))


@pytest.mark.parametrize(("annotation", "default"), [(str, DEEP), (str, CHOSEN), (Nested, ...), (list[Nested], ...)])
def test_members_from_below_others(annotation: Any, default: Any) -> None:
    """A member that is read from another one's inside is refused, wherever it is."""
    with pytest.raises(DeclarationError, match="'deep'"):
        action("a", post="a")(for_action(reading(annotation, default)))


def test_one_step_is_a_name() -> None:
    """A path of one step, and names to choose from, are names."""
    for alias in (AliasPath("other"), AliasChoices("one", "two")):
        assert action("a", post="a")(for_action(reading(str, Field(validation_alias=alias)))).input_model is not None


def test_properties_from_below_others() -> None:
    """ARM's properties and the requests of its actions are read in the same way."""

    class Properties(Model):
        x: str | None = Field(None, validation_alias=AliasPath("deep", "x"))

    with pytest.raises(DeclarationError, match="'deep'"):
        ArmResource("Contoso.A", "things", api_versions=["2026-01-01"], properties=Properties)


def test_defaults_that_cannot_be_stored() -> None:
    """Bytes are stored as UTF-8 unless the model says otherwise, so that a default has to be that."""
    with pytest.raises(DeclarationError, match="the default of 'n' is not UTF-8"):
        action("a", post="a")(for_action(reading(bytes, b"\xff")))

    class Encoded(Model):
        model_config = ConfigDict(ser_json_bytes="base64")

        n: bytes = b"\xff"

    async def handler(context: ActionContext, request: Encoded) -> None: ...

    assert action("a", post="a")(handler).input_model is Encoded
    assert action("a", post="a")(for_action(reading(bytes, b"text"))).input_model is not None


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
    await declared.check_preconditions(cast(RequestContext, None), request)
    assert seen == [request, 2]


async def test_still_a_function() -> None:
    """A declared function can still be called as what it was."""
    request = Input()
    assert await action("a", post="a")(handler)(None, request) is request
    assert await read("a", get="a")(reader)(None, request) is request
    assert function_name("a:b-c.d_e") == "a_b_c_d_e"


def test_isolation() -> None:
    """A `def` handler runs in a thread, or in a process with five seconds to stop; at most once goes with either."""

    def computes(context: SyncActionContext, request: Input) -> None: ...

    assert (action("a", post="a")(computes).isolation, action("a", post="a")(computes).in_process) == ("thread", False)
    declared = action("a", post="a", isolation="process", at_most_once=True)(computes)
    assert (declared.in_process, declared.grace, declared.at_most_once) == (True, timedelta(seconds=5), True)
    assert action("a", post="a", isolation="process", grace="1m")(computes).grace == timedelta(minutes=1)
    assert not action("a", post="a", isolation="thread")(computes).in_process
    # A second way to be started is run in the same way.
    service = ODataService("Numbers")
    service.action("Compute")(action("a", post="a", isolation="process", grace="1m")(computes))
    assert (service.actions[0].isolation, service.actions[0].grace) == ("process", timedelta(minutes=1))


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_isolation_is_for_what_is_not_async(isolation: Any) -> None:
    """What an `async def` does is on the event loop."""

    async def handler(context: ActionContext, request: Input) -> None: ...

    said = "handler: isolation is for a `def` handler: an `async def` runs on the event loop; write `def`"
    with pytest.raises(DeclarationError, match=said):
        action("a", post="a", isolation=isolation)(handler)
    with pytest.raises(DeclarationError, match=said):
        ODataService("Numbers").action("Add", isolation=isolation)(handler)


@pytest.mark.parametrize("policies", [{"grace": "5s"}, {"grace": "5s", "isolation": "thread"}])
def test_grace_is_for_processes(policies: dict[str, Any]) -> None:
    """A thread cannot be ended, so it is given no time for it."""

    def handler(context: SyncActionContext, request: Input) -> None: ...

    with pytest.raises(DeclarationError, match='handler: grace is for isolation="process"'):
        action("a", post="a", **policies)(handler)
