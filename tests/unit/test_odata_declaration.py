"""Declaring an OData service: what follows from a declaration, and what is refused when the app starts."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from shared.actions import ActionContext, Context, Model, ODataService, RequestContext, RequestError, Retry, action
from shared.actions.odata.edm import TypeRef
from shared.actions.odata.entities import Stored
from shared.actions.odata.routes import Binding
from shared.actions.registry import Registry
from shared.actions.routes import check_distinct
from shared.contracts.odata.targets import Kind, monitor_url, resolve
from shared.errors import DeclarationError
from shared.model.operation import Status
from tests.support.parts import make_operation


class Song(Model):
    id: str
    title: str = ""


class Play(Model):
    id: str
    times_each: int = 1
    loud: bool | None = None


class Search(Model):
    word: str


class Nothing:
    async def scan(self, *, after: str | None = None) -> AsyncIterator[Sequence[Stored]]:
        yield []

    async def get(self, key: str) -> Stored | None:
        return None


def service() -> ODataService:
    made = ODataService("Music")
    songs = made.entity_set("Songs", Song, key="id", source=Nothing)

    @songs.action("Play", timeout="5s", undoable=True)
    async def play(context: ActionContext, request: Play) -> int: ...

    @songs.collection_action("Shuffle")
    async def shuffle(context: ActionContext) -> None: ...

    @songs.function("Length")
    async def length(context: RequestContext, request: Song) -> int: ...

    @songs.collection_function("Find")
    async def find(context: RequestContext, request: Search) -> list[Song]: ...

    @made.action("Tune", retry=Retry(max_attempts=2), keep="2d", retry_after=5)
    async def tune(context: ActionContext) -> Song: ...

    @made.function("Random")
    async def random(context: RequestContext) -> Song: ...

    return made


def test_what_follows() -> None:
    """Binding, parameters on the wire without the key, result, and the policies of the operation."""
    by_name = {operation.name: operation for operation in service().operations}
    play, tune = by_name["Play"], by_name["Tune"]
    assert (play.binding, play.is_action, play.undoable) == (Binding.ENTITY, True, True)
    assert list(play.parameters) == ["timesEach", "loud"]
    assert play.parameters["loud"].type == TypeRef("Edm.Boolean", nullable=True)
    assert play.returns == TypeRef("Edm.Int64")
    assert str(by_name["Find"].returns) == "Collection(Music.Song)"
    assert by_name["Shuffle"].returns is None
    declared = tune.declared
    assert (declared.name, declared.route) == ("Music.Tune", "odata/Music.Tune")
    assert (declared.keep, declared.retry_after, declared.retry.max_attempts) == (timedelta(days=2), 5, 2)  # type: ignore[union-attr]


def test_one_handler_in_two_profiles() -> None:
    """On top of an `@action` it is the same handler with the same policies and preconditions, started in two ways."""
    made = ODataService("Music")

    @made.action("Rewind")
    @action("tape:rewind", post="tape/rewind", timeout="2m", retry=Retry(max_attempts=4))
    async def rewind(context: ActionContext) -> None: ...

    @rewind.precondition
    def refuse() -> None:
        raise RequestError(409, "Broken", "The tape is torn.")

    [bound] = made.actions
    assert rewind.name == "tape:rewind"
    assert (bound.name, bound.handler) == ("Music.Rewind", rewind.handler)
    assert (bound.timeout, bound.retry) == (rewind.timeout, rewind.retry)
    assert bound.preconditions is rewind.preconditions
    registry = Registry([rewind], services=[made])
    assert {"tape:rewind", "Music.Rewind"} <= set(registry.runnable)


def test_functions_of_the_host() -> None:
    """A function per set, operation and resource of the protocol, with routes of which none can take another's URL."""
    endpoints = service().endpoints()
    check_distinct(endpoints, fallback="zz")
    routes = {endpoint.route: endpoint.methods for endpoint in endpoints}
    assert routes["odata/Songs({key})/Music.Play"] == ("POST",)
    assert routes["odata/Songs/Music.Find({arguments})"] == ("GET", "HEAD")
    assert {"odata/Tune", "odata/Music.Tune", "odata/Random()", "odata/Random", "odata/Music.Random()"} <= set(routes)
    assert routes["odata/Songs({key})"] == ("GET", "HEAD")
    assert routes["odata/$async/{operation_id}"] == ("GET", "HEAD", "DELETE")


def unbound(name: str) -> Callable[[ODataService], Any]:
    async def handler(context: ActionContext) -> None: ...

    return lambda made: made.action(name)(handler)


def bound(model: type[Model], annotation: Any = None) -> Callable[[ODataService], Any]:
    async def handler(context: ActionContext, request: Any) -> Any: ...

    handler.__annotations__ |= {"request": model, "return": annotation}
    return lambda made: made.entity_sets["Songs"].action("Another")(handler)


class Loop(Model):
    id: str
    inner: "list[Loop]"


class Dashed(Model):
    id: str
    a_b: dict[str, int]


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (unbound("Tune"), "both called"),
        (unbound("Songs"), "taken by an entity set"),
        (unbound("no-name"), "name='no-name' is not an identifier"),
        (unbound("Song"), "Song"),
        (bound(Search), "needs the key of Songs"),
        (bound(Play, dict[str, int]), "no counterpart"),
        (bound(Loop, Loop), "contains itself"),
        (bound(Dashed), "no counterpart"),
        (lambda made: made.entity_set("Songs", Play, key="id", source=Nothing), "taken"),
        (lambda made: made.entity_set("More", Song, key="id", source=Nothing), "is a type of this service already"),
        (lambda made: made.entity_set("More", Play, key="loud", source=Nothing), "that is a str"),
        (lambda made: ODataService("Edm"), "namespace"),
        (lambda made: Registry(services=[made, ODataService("Two")]), "one OData service"),
    ],
)
def test_refused(declare: Callable[[ODataService], Any], said: str) -> None:
    """What could not be served, or not be told apart, is refused with both parties named."""
    with pytest.raises(DeclarationError, match=said):
        declare(service())


async def test_what_is_left_behind_is_removed() -> None:
    """The hook runs for a canceled operation, with the run's id, and for no other end."""
    seen: list[str] = []

    @action("tape:wind", post="tape/wind")
    async def wind(context: ActionContext) -> None: ...

    @wind.when_canceled
    async def forget(run_id: str) -> None:
        seen.append(run_id)

    assert wind.after_end is not None
    operation = make_operation()
    for status in Status:
        await wind.after_end(cast(Context, None), replace(operation, status=status))
    assert seen == [operation.run_id]


@pytest.mark.parametrize(
    ("path", "kind", "more"),
    [
        ("/odata", Kind.SERVICE, {}),
        ("/ODATA/", Kind.SERVICE, {}),
        ("/odata/%24metadata", Kind.METADATA, {}),
        ("/odata/Songs", Kind.SET, {}),
        ("/odata/Songs/$count", Kind.COUNT, {}),
        ("/odata/Songs()", Kind.SET, {"key": None}),
        ("/odata/Songs( )/$count", Kind.COUNT, {}),
        ("/odata/Songs('x')/Music.Play()", Kind.CALL, {"key": "x"}),
        ("/odata/Songs('a%20b')", Kind.ENTITY, {"key": "a b"}),
        ("/odata/Songs(id='o''neil')", Kind.ENTITY, {"key": "o'neil"}),
        ("/odata/Songs('a%2Fb')", Kind.ENTITY, {"key": "a/b"}),
        ("/odata/Songs('x')/Music.Play", Kind.CALL, {"key": "x"}),
        ("/odata/Songs('x')/Music.Length()", Kind.CALL, {"key": "x", "arguments": ""}),
        ("/odata/Songs/Music.Find(word='a)b')", Kind.CALL, {"arguments": "word='a)b'"}),
        ("/odata/Music.Tune", Kind.CALL, {}),
        ("/odata/Tune", Kind.CALL, {}),
        ("/odata/$async/op-1", Kind.MONITOR, {"operation_id": "op-1"}),
        ("/odata/$async/op-1/cancellation", Kind.CANCELLATION, {"operation_id": "op-1"}),
    ],
)
def test_targets(path: str, kind: Kind, more: dict[str, str]) -> None:
    """What a path leads to, with its key and arguments decoded."""
    target = resolve(service(), path)
    assert target.kind is kind
    assert {name: getattr(target, name) for name in more} == more


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/odata/songs", 404),
        ("/odata/Songs('x')()", 400),
        ("/odata/Songs(7)", 400),
        ("/odata/Songs(title='x')", 400),
        ("/odata/Songs('x'')", 400),
        ("/odata/Songs('x')/title", 404),
        ("/odata/Songs('x')/Play", 404),
        ("/odata/Songs/Music.Play", 404),
        ("/odata/Songs('x')/Music.Shuffle", 404),
        ("/odata/Tune(a=1)", 404),
        ("/odata/Songs()/Music.Length()", 404),
        ("/odata/Songs('x')/Music.Play/more", 404),
        ("/odata//Songs", 404),
        ("/odata/$async", 404),
        ("/odata/$all", 501),
        ("/odata/$entity", 501),
        ("/odata/$crossjoin(Songs,Songs)", 501),
        ("/odata/Songs/$ref", 501),
        ("/odata/Songs('x')/$ref", 501),
        ("/odata/Songs/$filter(title%20eq%20'x')/$count", 501),
        ("/odata/Songs/$each", 501),
        ("/odata/Songs/$query", 501),
        ("/odata/Songs(@key)", 501),
        ("/odata/Songs(id=@key)", 501),
        ("/other/Songs", 404),
    ],
)
def test_no_target(path: str, status: int) -> None:
    """What is not there is 404, a key that is none 400, what OData has and this has not 501."""
    with pytest.raises(RequestError) as refused:
        resolve(service(), path)
    assert refused.value.status == status


def test_monitor_urls() -> None:
    """Absolute, with the id as their last segment, and different for the cancellation."""
    assert monitor_url("https://h", "op-1") == "https://h/odata/$async/op-1"
    assert monitor_url("https://h", "op-1", cancellation=True) == "https://h/odata/$async/op-1/cancellation"
