"""Hooks that remove what an operation has stored: at least once, and nobody waits for one that fails."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.actions import ActionContext, Context, DeclarationError, Model, ODataService, RemovalContext, action
from shared.actions.arm.resource import ArmResource, ArmVerb
from shared.actions.declaration import Action
from shared.model.operation import Operation
from shared.storage.ports import Storage
from tests.support.clock import finished
from tests.support.parts import T0, Faults, FaultyStorage, Input, Killed, World, sqlite


class Hooks:
    """Counts the calls of the hook of an action, and does what a test says."""

    def __init__(self) -> None:
        self.calls: list[tuple[RemovalContext, Input]] = []
        self.failures = 0
        self.hangs = False
        self.later: datetime | None = None

    def declared(self) -> Action:
        async def work(context: ActionContext, request: Input) -> str:
            return request.file_name

        declared = action("test:work", post="thing/{id}:work", keep="1h")(work)

        @declared.removed
        async def forget(context: RemovalContext, request: Input) -> datetime | None:
            self.calls.append((context, request))
            if self.hangs:
                await asyncio.Event().wait()
            if self.failures:
                self.failures -= 1
                raise RuntimeError("the hook failed")
            return self.later

        return declared


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Storage]:
    async with sqlite(tmp_path) as inner:
        yield FaultyStorage(inner, Faults())


@pytest.fixture
def world(store: Storage, hooks: Hooks) -> World:
    return World(store, hooks.declared())


async def ended(world: World, **changes: Any) -> Operation:
    started = await world.start(**changes)
    await world.run(started)
    return started


@pytest.mark.parametrize("way", ["delete", "expiry"])
@pytest.mark.parametrize("size", [10, 60_000], ids=["inline", "blob"])
async def test_what_a_hook_is_told(world: World, hooks: Hooks, way: str, size: int) -> None:
    """Whose operation it was, its ids, its creation time and its input; nothing of the operation is left then."""
    name = "x" * size
    started = await ended(world, owner="me", input_json=Input(file_name=name).model_dump_json(by_alias=True).encode())
    if way == "expiry":
        world.clock.pass_by(hours=1, seconds=1)
        await world.tidy()
    else:
        await world.delete(started)
    ((context, request),) = hooks.calls
    assert (context.owner, context.operation_id, context.run_id) == ("me", started.id, started.run_id)
    assert (context.created, context.api_version, request.file_name) == (T0, started.api_version, name)
    assert (await world.keys(), world.engine.kept) == ([], set())


@pytest.mark.parametrize("way", ["failed", "canceled"])
async def test_however_it_has_ended(store: Storage, hooks: Hooks, way: str) -> None:
    """The hook runs for what has failed, and for what was canceled before it had run."""
    declared = hooks.declared()

    async def fails(context: ActionContext, request: Input) -> str:
        raise RuntimeError

    declared.handler = fails
    world = World(store, declared)
    started = await world.start()
    if way == "failed":
        await world.run(started)
    else:
        await world.service.cancel("", started.id)
        world.engine.live.clear()
    await world.delete(started)
    if way == "canceled":
        # Its start may still be on its way to the engine.
        world.clock.pass_by(seconds=world.timing.late_start.total_seconds())
        await world.tidy()
    assert len(hooks.calls) == 1
    assert await world.keys() == []


async def test_a_hook_that_fails(world: World, hooks: Hooks, caplog: pytest.LogCaptureFixture) -> None:
    """The operation is gone at once; the hook runs again after a minute, and until then no pass comes to it."""
    hooks.failures = 2
    started = await ended(world)
    await world.delete(started)
    assert "A removal hook of" in caplog.text
    assert await world.records.read(started.locator) is None
    await world.tidy()
    assert len(hooks.calls) == 1
    for calls in (2, 3):
        world.clock.pass_by(minutes=1, seconds=1)
        await world.tidy()
        assert len(hooks.calls) == calls
    assert await world.keys() == []


async def test_a_hook_that_never_succeeds(world: World, hooks: Hooks) -> None:
    """After a week it is given up: the row that tells goes, too."""
    hooks.failures = 10**6
    await world.delete(await ended(world))
    world.clock.pass_by(days=7, seconds=1)
    await world.tidy()
    assert await world.keys() == []


async def test_hooks_that_hang_hold_up_nothing_else(store: Storage, hooks: Hooks) -> None:
    """Twenty of them are stopped after their time each, and what expires beside them is removed in the same pass."""

    @action("test:plain", post="thing/{id}:plain", keep="1h")
    async def plain(context: ActionContext, request: Input) -> None: ...

    world = World(store, hooks.declared(), plain)
    hooks.hangs = True
    operations = [await ended(world) for _ in range(20)]
    other = await ended(world, action=plain)
    world.clock.pass_by(hours=1, seconds=1)
    await finished(asyncio.ensure_future(world.tidy()), world.clock, within=30)
    assert [await world.records.read(each.locator) for each in (*operations, other)] == [None] * 21
    hooks.hangs = False
    world.clock.pass_by(minutes=1, seconds=1)
    await world.tidy()
    assert await world.keys() == []


async def test_something_may_still_arrive(world: World, hooks: Hooks) -> None:
    """A hook that names a later time is run again then, and not before; a time that is over counts as done."""
    hooks.later = T0 + timedelta(hours=3)
    await world.delete(await ended(world))
    world.clock.pass_by(hours=2)
    await world.tidy()
    assert len(hooks.calls) == 1
    world.clock.pass_by(hours=1, seconds=1)
    await world.tidy()
    assert len(hooks.calls) == 2
    assert await world.keys() == []


async def test_after_the_orchestration(world: World, hooks: Hooks) -> None:
    """While the engine still runs something of the operation, which may write, the hook waits."""
    started = await ended(world)
    world.engine.live.add(started.instance_id)
    await world.delete(started)
    assert hooks.calls == []
    world.engine.live.clear()
    world.clock.pass_by(seconds=1)
    await world.tidy()
    assert len(hooks.calls) == 1


async def test_an_instance_that_does_not_know_the_action(store: Storage, hooks: Hooks) -> None:
    """It removes the operation and leaves the hook to one that does; after ten minutes nobody is waited for."""
    before = World(store, hooks.declared())
    first, second = await ended(before), await ended(before)
    other = World(store, clock=before.clock)
    other.engine = before.engine
    await other.delete(first)
    before.clock.pass_by(seconds=16)
    await before.tidy()
    assert [context.run_id for context, _ in hooks.calls] == [first.run_id]
    await other.delete(second)
    before.clock.pass_by(minutes=10, seconds=1)
    await other.tidy()
    assert len(hooks.calls) == 1
    assert await other.keys() == []


@pytest.mark.parametrize(("size", "at"), [*((10, at) for at in range(1, 4)), *((60_000, at) for at in range(1, 6))])
@pytest.mark.parametrize("fault", ["kill", "kill-before", "lost-before", "down"])
async def test_any_write_of_a_removal_with_a_hook(store: Storage, hooks: Hooks, size: int, at: int, fault: Any) -> None:
    """Whichever write the process dies at, the hook has run, with its input, once the row that tells is gone."""
    world = World(store, hooks.declared())
    hooks.later = T0 + timedelta(seconds=30)
    name = "x" * size
    started = await ended(world, input_json=Input(file_name=name).model_dump_json(by_alias=True).encode())
    world.faults.writes, world.faults.at, world.faults.fault = 0, at, fault
    try:
        await finished(asyncio.ensure_future(world.delete(started)), world.clock, within=2)
        world.clock.pass_by(seconds=30)
        await world.tidy()
    except* (Killed, Exception):
        pass
    assert world.faults.writes >= at
    world.faults.at = 0
    after = World(store, hooks.declared(), clock=world.clock)
    after.engine = world.engine
    after.clock.pass_by(hours=1, seconds=1)
    await after.tidy()
    assert {request.file_name for _, request in hooks.calls} == {name}
    assert (await after.keys(), after.engine.kept) == ([], set())


@pytest.mark.parametrize(
    "stored", [b'{"fileName":{"secret":"open sesame"}}', b'["open sesame"]', b'{"id":"1",open sesame']
)
async def test_an_input_that_fits_no_more(
    world: World, hooks: Hooks, caplog: pytest.LogCaptureFixture, stored: bytes
) -> None:
    """The line says which field it is, and neither it nor a trace repeats a value of the input."""
    started = await ended(world, input_json=stored)
    world.clock.pass_by(minutes=11)  # Another version may fit it, until then.
    await world.run(started)
    await world.delete(started)
    lines = [record for record in caplog.records if "A removal hook of" in record.getMessage()]
    assert [(record.exc_info, "open sesame" in record.getMessage()) for record in lines] == [(False, False)]
    assert hooks.calls == []


class Properties(Model):
    note: str | None = None


def test_what_is_no_hook() -> None:
    """Parameters that no removal gives are refused where the hook is declared; so is a context of another kind."""

    @action("test:work", post="thing/{id}:work")
    async def work(context: ActionContext, request: Input) -> None: ...

    def of_too_much(context: RemovalContext, request: Input, more: str) -> None: ...
    def by_name(*, request: Input) -> None: ...

    for wrong in (of_too_much, by_name):
        with pytest.raises(DeclarationError, match=r"then 1 values by position"):
            work.removed(wrong)

    def of_an_attempt(context: ActionContext) -> None: ...

    with pytest.raises(DeclarationError, match="write `context: RemovalContext`"):
        work.removed(of_an_attempt)

    def of_any(context: Context) -> None: ...

    assert work.removed(of_any) is of_any


def test_a_second_way_to_start_has_the_same_hooks() -> None:
    """An OData action on top of an action removes what that one does, also where the hook is declared later."""
    service = ODataService("Numbers")

    @service.action("Work")
    @action("test:work", post="work")
    async def work(context: ActionContext, request: Input) -> None: ...

    @work.removed
    async def forget(request: Input) -> None: ...

    assert [declared.removal_hooks for declared in service.actions] == [work.removal_hooks] != [[]]


async def test_hooks_of_an_arm_verb() -> None:
    """They take the resource, and for an action its request."""
    things = ArmResource("Contoso.A", "things", api_versions=["2026-01-01"], properties=Properties)
    found: list[Any] = []

    async def scrap(context: ActionContext, thing: things.model) -> None: ...  # type: ignore[name-defined]
    async def inspect(context: ActionContext, thing: things.model, request: Input) -> None: ...  # type: ignore[name-defined]

    def of_a_resource(thing: Any) -> None:
        found.append(thing)

    def of_a_request(thing: Any, request: Any) -> None:
        found.append(request)

    verbs = ((things.delete()(scrap), of_a_resource), (things.action("inspect")(inspect), of_a_request))
    for verb, forget in verbs:
        assert isinstance(verb, ArmVerb)
        verb.removed(forget)
        assert verb.action.input_model is not None
        input = verb.action.input_model.model_construct(resource="thing", request="request", state="")
        await verb.action.removal_hooks[0](None, input)
    assert found == ["thing", "request"]
