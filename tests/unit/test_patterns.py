"""The four start patterns as declarations: what follows from each, and what refuses to start and why."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from shared.actions import Accepted, ActionContext, Model, RequestContext, action
from shared.actions.declaration import Action
from shared.actions.patterns import MONITOR_MEMBERS, Pattern
from shared.actions.registry import Registry
from shared.actions.routes import Endpoint
from shared.composition import Application
from shared.contracts.dataplane.answers import carries_result, monitor_response, pattern_of, profile_state_of
from shared.errors import DeclarationError, ErrorBody
from shared.model.attempts import AttemptRecord
from shared.model.operation import LINK, RESULT, Outcome, Progress, Status
from tests.support.parts import T0, Input, make_operation


class Thing(Model):
    id: str


class WithStatus(Model):
    id: str
    status: str


class Named(Model):
    kind: str


class Wish(Model):
    file_name: str = ""


class Aimed(Model):
    resource_location: str


async def thing(context: ActionContext, request: Input) -> Thing: ...  # type: ignore[empty-body]
async def nothing(context: ActionContext, request: Input) -> None: ...
async def stateful(context: ActionContext, request: Input) -> WithStatus: ...  # type: ignore[empty-body]
async def text(context: ActionContext, request: Input) -> str: ...  # type: ignore[empty-body]
async def make(context: ActionContext, request: Wish) -> Thing: ...  # type: ignore[empty-body]
async def kind(context: ActionContext, request: Named) -> None: ...
async def aimed(context: ActionContext, request: Aimed) -> None: ...


@pytest.mark.parametrize(
    ("routes", "handler", "pattern", "method"),
    [
        ({"post": "thing/{id}:do"}, thing, Pattern.ACTION, "POST"),
        ({"put": "thing/{id}"}, thing, Pattern.PUT_RESOURCE, "PUT"),
        ({"put": "thing/{id}"}, text, Pattern.PUT_RESOURCE, "PUT"),
        ({"delete": "thing/{id}"}, nothing, Pattern.DELETE_RESOURCE, "DELETE"),
        ({"put": "things/{operation_id}"}, make, Pattern.PUT_OPERATION, "PUT"),
        ({"put": "thing/{file_name}/jobs/{operation_id}"}, make, Pattern.PUT_OPERATION, "PUT"),
    ],
)
def test_patterns(routes: dict[str, str], handler: Callable[..., Any], pattern: Pattern, method: str) -> None:
    """The verb, and `{operation_id}` at the end, say which pattern it is; that id is no field of the input."""
    declared = action("a", **routes)(handler)
    assert (declared.pattern, declared.method, declared.route) == (pattern, method, next(iter(routes.values())))


@pytest.mark.parametrize(
    ("handler", "routes", "said"),
    [
        (thing, {}, "one of post=, put= and delete= .* this has none"),
        (thing, {"post": "a", "put": "b"}, "this has post and put"),
        (nothing, {"put": "a", "delete": "b", "post": "c"}, "post and put and delete"),
        (thing, {"post": "things/{operation_id}"}, "only put= takes it"),
        (nothing, {"delete": "things/{operation_id}"}, "only put= takes it"),
        (make, {"put": "things/{operation_id}/more"}, "as its last segment"),
        (make, {"put": "things/a-{operation_id}"}, "as its last segment"),
        (thing, {"put": "thing/{id}:place"}, "started with post="),
        (nothing, {"delete": "thing/{id}:now"}, "started with post="),
        (thing, {"put": "thing/{isbn}"}, "no field 'isbn'"),
        (thing, {"delete": "thing/{id}"}, "a DELETE has no result"),
        (nothing, {"put": "thing/{id}"}, "returns the resource"),
        (stateful, {"put": "thing/{id}"}, "a member 'status'"),
        (kind, {"put": "things/{operation_id}"}, "a 'kind' of its own"),
        (aimed, {"put": "things/{operation_id}"}, "'resourceLocation'"),
        (thing, {"post": "thing/{id}:do", "exclusive": "thing/{file_name}"}, "no parameter of the route"),
        (thing, {"post": "thing/{id}:do", "exclusive": "thing/{id}:do"}, "names a resource"),
        (thing, {"post": "thing/{id}:do", "exclusive": "/thing"}, "without a slash"),
        (make, {"put": "things/{operation_id}", "exclusive": "things/{operation_id}"}, "no parameter of the route"),
    ],
)
def test_refused(handler: Callable[..., Any], routes: dict[str, str], said: str) -> None:
    """A declaration that cannot work, or that a real client would misread, is refused and says what to change."""
    with pytest.raises(DeclarationError, match=said) as caught:
        action("a", **routes)(handler)
    assert f"tests.unit.test_patterns.{handler.__name__}" in str(caught.value)


def test_echo() -> None:
    """An input whose members the monitor has itself could not be echoed there: `id` above all."""
    with pytest.raises(DeclarationError, match="'id'"):
        action("a", put="things/{operation_id}")(thing)


def put_thing(**more: Any) -> Action:
    async def handler(context: ActionContext, request: Input) -> Thing: ...  # type: ignore[empty-body]

    return action("thing:put", put="thing/{id}", **more)(handler)


async def test_accepted() -> None:
    """A PUT of a resource needs the hook that makes its first answer; nothing else has one, and there is only one."""
    declared = put_thing()
    with pytest.raises(DeclarationError, match="accepted"):
        Registry([declared])

    @declared.accepted
    def hook(request: Input) -> Accepted:
        return Accepted(created=True, resource=Thing(id=request.id))

    Registry([declared])
    first = await declared.accept(cast(RequestContext, None), Input(id="5"))
    assert first == Accepted(created=True, resource=Thing(id="5"))
    with pytest.raises(DeclarationError, match="there is one of it"):
        declared.accepted(hook)
    with pytest.raises(DeclarationError, match="is for a PUT of a resource"):
        action("a", post="a")(thing).accepted(hook)


async def test_accepted_forms() -> None:
    """The hook may be async and need no input; what is no Accepted is an error of the app."""
    declared = put_thing()

    @declared.accepted
    async def hook() -> Any:
        return None

    with pytest.raises(TypeError, match="not Accepted"):
        await declared.accept(cast(RequestContext, None), Input())


def test_generated_endpoints() -> None:
    """A PUT of an operation can be read, canceled and deleted where it is; a held resource lists its operations."""
    job = action("job:run", put="jobs/{operation_id}")(make)
    write = action("thing:write", post="thing/{id}:write", exclusive="thing/{id}")(thing)
    again = action("thing:again", post="thing/{id}:again", exclusive="thing/{id}")(nothing)
    where = {e.function_name: (e.methods, e.route) for e in Registry([job, write, again]).endpoints()}
    assert where == {
        "job_run": (("PUT",), "jobs/{operation_id}"),
        "job_run_status": (("GET", "HEAD"), "jobs/{operation_id}"),
        "job_run_cancel": (("POST",), "jobs/{operation_id}:cancel"),
        "job_run_delete": (("DELETE",), "jobs/{operation_id}"),
        "thing_write": (("POST",), "thing/{id}:write"),
        "thing_again": (("POST",), "thing/{id}:again"),
        "thing_id_operation": (("GET", "HEAD"), "thing/{id}/operations/{operation_id}"),
    }
    Application(Registry([job, write, again]))


@pytest.mark.parametrize(
    ("name", "routes"),
    [
        ("job:run:status", {"post": "elsewhere"}),
        ("job:other", {"post": "jobs/{file_name}:cancel"}),
        ("job:other", {"put": "jobs/{operation_id}"}),
        ("thing:id:operation", {"post": "elsewhere"}),
    ],
)
def test_generated_endpoints_are_checked(name: str, routes: dict[str, str]) -> None:
    """Names and routes that are generated are unique as well; the message names both declarations."""
    job = action("job:run", put="jobs/{operation_id}")(make)
    write = action("thing:write", post="thing/{id}:write", exclusive="thing/{id}")(thing)
    other = action(name, **routes)(make)
    with pytest.raises(DeclarationError, match=r"tests\.unit\.test_patterns\.make"):
        Application(Registry([job, write, other]))


def test_two_names_of_one_resource() -> None:
    """Templates that mean the same resource have to be the same: two aliases could match one URL."""
    write = action("a", post="thing/{id}:a", exclusive="thing/{id}")(thing)
    other = action("b", post="thing/{file_name}:b", exclusive="thing/{file_name}")(thing)
    with pytest.raises(DeclarationError, match="can match"):
        Application(Registry([write, other]))


def test_monitor_members() -> None:
    """What is refused as a parameter's name is all that a monitor says itself."""
    outcome = Outcome(500, error=ErrorBody("a", "b"))
    progress = Progress(5, 1, 2, "m", {})
    failed = make_operation(status=Status.FAILED, outcome=outcome, progress=progress, expires=T0)
    done = make_operation(status=Status.SUCCEEDED)
    attempt = AttemptRecord(number=1, began=T0)
    waiting = make_operation(status=Status.RUNNING, attempts=(attempt,), last_error=ErrorBody("a", "b"))
    waiting = replace(waiting, labels=("a",), retry_of="op-0", scheduled=T0, waiting_for="time", waiting_since=T0)
    linked = replace(done, profile_state={RESULT: LINK})
    shown = [json.loads(monitor_response(each, result_url="u").body) for each in (failed, done, waiting, linked)]
    assert {"result", *(name for each in shown for name in each)} == MONITOR_MEMBERS
    assert (carries_result(done), carries_result(linked)) == (True, False)


@pytest.mark.parametrize("pattern", list(Pattern))
def test_remembered(pattern: Pattern) -> None:
    """The operation remembers its pattern without the registry; rows from before there were patterns are actions."""
    assert pattern_of(make_operation(profile_state=profile_state_of(pattern))) is pattern
    assert profile_state_of(Pattern.ACTION) == {}


def test_stored_words() -> None:
    """Patterns are stored: never renamed."""
    assert [str(pattern) for pattern in Pattern] == ["action", "put-resource", "delete-resource", "put-operation"]


def test_only_operation_endpoints() -> None:
    """An action started by POST is one function."""
    declared = action("a:b", post="a")(thing)
    assert declared.endpoints() == [Endpoint("a_b", ("POST",), "a", declared.where)]
