"""Two rows, no transaction: a process that dies between any two writes leaves nothing that readers cannot tell."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.actions import Retry
from shared.engine.port import Work
from shared.errors import StorageConflict, StorageUnavailable
from shared.model.ids import Locator
from shared.operations.lists import OperationLists
from shared.operations.runner import Runner
from shared.resources.model import Body, ResourceKey, ResourceRow
from shared.resources.store import ResourceStore
from tests.support.arm_parts import ArmApi, arm_api, body_of, code, path_of
from tests.support.arm_things import both_things
from tests.support.parts import Killed
from tests.unit.test_resources import pairs

PATH, OTHER = path_of("bothThings", "one"), path_of("bothThings", "two")
VERBS: dict[str, tuple[str, str, Any]] = {
    "create": ("PUT", "", {"location": "westeurope", "properties": {"note": "new"}}),
    "update": ("PUT", "", {"properties": {"note": "new"}}),
    "patch": ("PATCH", "", {"properties": {"note": "new"}}),
    "delete": ("DELETE", "", None),
    "action": ("POST", "/add", {"a": 1}),
}
WORKING = {"create": "Creating", "update": "Updating", "patch": "Updating", "delete": "Deleting", "action": "Succeeded"}


async def begun(api: ArmApi, verb: str) -> None:
    if verb != "create":
        await api.put(PATH, {"properties": {"note": "old"}})
    api.faults.writes = 0


@pytest.mark.parametrize("fault", ["kill", "kill-before"])
@pytest.mark.parametrize("verb", VERBS)
async def test_start_dies_before_the_operation(tmp_path: Path, verb: str, fault: Any) -> None:
    """Dead before or after taking the row: held for 60 s at most, then as if nothing had been asked for."""
    async with arm_api(tmp_path, both_things, faulty=True) as api:
        await begun(api, verb)
        api.faults.at, api.faults.fault = 1, fault
        method, suffix, body = VERBS[verb]
        with pytest.raises(Killed):
            await api(method, PATH + suffix, body)
        taken = fault == "kill"
        shown = await api("GET", PATH)
        if verb == "create" and not taken:
            assert shown.status == 404
        else:
            state = "Succeeded" if verb == "action" or not taken else "Accepted"
            assert body_of(shown)["properties"]["provisioningState"] == state
        if taken:
            assert code(await api("PUT", PATH, VERBS["create"][2])) == (409, "OperationInProgress")
        api.clock.pass_by(seconds=61)
        after = await api("GET", PATH)
        if verb == "create":
            assert after.status == 404
            assert body_of(await api("GET", path_of("bothThings")))["value"] == []
        else:
            assert body_of(after)["properties"]["note"] == "old"
            assert body_of(after)["properties"]["provisioningState"] == "Succeeded"
        assert (await api.put(PATH, {"properties": {"note": "again"}})).status == (201 if verb == "create" else 200)
        assert (await api.shown(PATH))["properties"]["note"] == "again"


@pytest.mark.parametrize("verb", VERBS)
async def test_start_dies_before_the_engine(tmp_path: Path, verb: str) -> None:
    """Dead after the operation's insert: it is there, holds its resource, and housekeeping starts it."""
    async with arm_api(tmp_path, both_things, faulty=True) as api:
        await begun(api, verb)
        api.faults.at = 2
        method, suffix, body = VERBS[verb]
        with pytest.raises(Killed):
            await api(method, PATH + suffix, body)
        assert api.engine.started == []
        api.clock.pass_by(seconds=100)
        state = (await api.shown(PATH))["properties"]["provisioningState"]
        assert state == ("Succeeded" if verb == "action" else "Accepted")
        assert code(await api("DELETE", PATH, if_match="*")) == (409, "OperationInProgress")
        await api.application.housekeeping.run(api.engine)
        await api.drain()
        await ends(api, verb)


@pytest.mark.parametrize("verb", VERBS)
async def test_end_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """Dead at any write of the run, from the claim to the roll-forward: a reader's answer is the holder's."""
    for declared in both_things.verbs:
        monkeypatch.setattr(declared.action, "retry", Retry(max_attempts=3))
    for at in range(1, 9):
        async with arm_api(tmp_path / str(at), both_things, faulty=True) as api:
            await begun(api, verb)
            method, suffix, body = VERBS[verb]
            await api(method, PATH + suffix, body)
            api.faults.writes, api.faults.at = 0, at
            with suppress(Killed):
                await api.drain()
                assert at > 3  # claim, outcome and roll-forward at least
                return
            operation = await the_operation(api)
            shown = await api("GET", PATH)
            if operation.status.is_terminal:
                await ends(api, verb)
                continue
            assert body_of(shown)["properties"]["provisioningState"] == WORKING[verb]
            assert code(await api("PATCH", PATH, {})) == (409, "OperationInProgress")
            # The lease runs out and the next attempt finishes the work.
            api.clock.pass_by(seconds=60)
            await persistent(api).run(Work.of(operation))
            await ends(api, verb)
    pytest.fail("an end has more writes than were tried")


def persistent(api: ArmApi) -> Runner:
    """The application's runner, if its actions were declared with three attempts."""
    app = api.application
    actions = {
        name: replace(action, retry=replace(action.retry, max_attempts=3))
        for name, action in app.registry.runnable.items()
    }
    return Runner(
        app.records,
        actions,
        app.threads,
        app.processes,
        app.live,
        services=app.services,
        after_end=app.after_end,
        clock=app.clock,
        timing=app.timing,
        function_timeout=None,
        instance="0badcafe",
        randomness=lambda: 0.0,
    )


async def ends(api: ArmApi, verb: str) -> None:
    """What every reader reads in the end, twice, and what the row says afterwards."""
    for _ in range(2):
        shown = await api("GET", PATH)
        if verb == "delete":
            assert shown.status == 404
        else:
            properties = body_of(shown)["properties"]
            assert properties["provisioningState"] == "Succeeded"
            assert properties["note"] == ("old" if verb == "action" else "new")
    row = await ResourceStore(api.storage, clock=api.clock).read(KEY)
    assert row is None if verb == "delete" else row is not None and row.lock is None


KEY = ResourceKey(
    subscription="11111111-2222-3333-4444-555555555555",
    resource_group="rg",
    namespace="Contoso.Things",
    type="bothThings",
    name="one",
)


async def test_start_dies_between_two_locks(tmp_path: Path) -> None:
    """An action that holds two resources and dies after the first, or after both: both are free after 60 s."""
    paths = [path_of("pairs", name, namespace="Contoso.Pairs") for name in ("one", "two")]
    for at in (1, 2):
        async with arm_api(tmp_path / str(at), pairs, faulty=True) as api:
            for path in paths:
                await api.put(path)
            api.faults.writes, api.faults.at = 0, at
            with pytest.raises(Killed):
                await api("POST", f"{paths[1]}/join", {"other": "one"})
            taken = [code(await api("PUT", path, {}))[0] for path in paths[:at]]
            assert taken == [409] * at
            api.clock.pass_by(seconds=61)
            assert (await api("POST", f"{paths[0]}/join", {"other": "two"})).status == 202


async def the_operation(api: ArmApi) -> Any:
    row = await ResourceStore(api.storage, clock=api.clock).read(KEY)
    if row is None or row.lock is None:
        # It was rolled forward: the last one of the list.
        page = await OperationLists(api.storage).page(Locator.of(KEY.owner, "x").owner_hash, position=None, limit=1)
        locator = Locator.of(KEY.owner, page.rows[0].id)
    else:
        locator = Locator.parse(row.lock.holder)
    operation = await api.application.records.read(locator)
    assert operation is not None
    return operation


async def test_roll_forward_is_conditional(tmp_path: Path) -> None:
    """A late roll-forward of an older operation leaves a row alone that another one holds, or nobody."""
    async with arm_api(tmp_path, both_things) as api:
        await api.put(PATH, {"properties": {"note": "one"}})
        first = await the_operation(api)
        await api("PATCH", PATH, {"properties": {"note": "two"}})
        before = await ResourceStore(api.storage, clock=api.clock).read(KEY)
        await api.application.resources.roll_forward([KEY], first)
        assert await ResourceStore(api.storage, clock=api.clock).read(KEY) == before
        await api.drain()
        await api.application.resources.roll_forward([KEY], first)
        assert (await api.shown(PATH))["properties"]["note"] == "two"


async def test_readers_answer_while_the_store_takes_no_writes(tmp_path: Path) -> None:
    """A roll-forward that fails does not keep a reader from the answer; it is made up for later."""
    async with arm_api(tmp_path, both_things, faulty=True) as api:
        await api("PUT", PATH, VERBS["create"][2])
        api.faults.writes, api.faults.at, api.faults.fault, api.faults.lasting = 0, 3, "down", True
        with suppress(StorageUnavailable):
            await api.drain()
        operation = await the_operation(api)
        assert operation.status.is_terminal
        assert (await api.shown(PATH))["properties"]["provisioningState"] == "Succeeded"
        row = await ResourceStore(api.storage, clock=api.clock).read(KEY)
        assert row is not None
        assert row.lock is not None
        api.faults.at = 0
        await ends(api, "create")


async def test_store_is_conditional(tmp_path: Path) -> None:
    """Writes and removals of a row that has changed are conflicts; a removal of one that is gone is none."""
    async with arm_api(tmp_path, both_things) as api:
        store = ResourceStore(api.storage, clock=api.clock)
        row = await store.write(ResourceRow(key=KEY, body=Body(location="x")))
        with pytest.raises(StorageConflict):
            await store.write(ResourceRow(key=KEY))
        newer = await store.write(replace(row, state="Failed"))
        with pytest.raises(StorageConflict):
            await store.write(row)
        with pytest.raises(StorageConflict):
            await store.remove(row)
        await store.remove(newer)
        await store.remove(newer)
        assert await store.read(KEY) is None


async def test_expiry_rolls_forward_first(tmp_path: Path) -> None:
    """An operation that ended unseen is not removed before its resource has what it made: it would be lost."""
    async with arm_api(tmp_path, both_things, faulty=True) as api:
        await api("PUT", PATH, VERBS["create"][2])
        api.faults.writes, api.faults.at, api.faults.fault = 0, 3, "down"
        await api.drain()
        operation = await the_operation(api)
        assert operation.status.is_terminal
        api.clock.pass_by(hours=25)
        assert (await api.application.housekeeping.run(api.engine)).removed == 1
        assert (await api.shown(PATH))["properties"]["note"] == "new"


@pytest.mark.parametrize("verb", VERBS)
async def test_many_readers_roll_forward_at_once(tmp_path: Path, verb: str) -> None:
    """Readers that meet a holder which has ended answer the same, whoever rolls forward; so do lists and writers."""
    async with arm_api(tmp_path, both_things, faulty=True) as api:
        await begun(api, verb)
        method, suffix, body = VERBS[verb]
        await api(method, PATH + suffix, body)
        api.faults.writes, api.faults.at, api.faults.fault = 0, 3, "down"
        await api.drain()
        calls = [api("GET", PATH) for _ in range(6)] + [api("GET", path_of("bothThings")) for _ in range(3)]
        answers = await asyncio.gather(*calls, api("PATCH", PATH, {"properties": {"mode": "x"}}))
        *_, write = answers
        assert write.status == (404 if verb == "delete" else 202)
        if verb == "delete":
            assert {a.status for a in answers[:6]} == {404}
            assert all(body_of(a)["value"] == [] for a in answers[6:9])
        else:
            notes = {body_of(a)["properties"]["note"] for a in answers[:6]}
            notes |= {body_of(a)["value"][0]["properties"]["note"] for a in answers[6:9]}
            assert notes == {"old" if verb == "action" else "new"}


async def test_only_the_holder_saves_properties(tmp_path: Path) -> None:
    """An action changes the resource that it holds, also beside readers, and nothing once it holds it no more."""
    async with arm_api(tmp_path, both_things) as api:
        resources, stranger = api.application.resources, Locator.of("arm:x", "x")
        assert not await resources.save_properties(KEY, stranger, {"note": "x"})
        await api.put(PATH, {"properties": {"note": "n"}})
        await api("POST", f"{PATH}/touch")
        _, work = api.engine.started[-1]
        assert not await resources.save_properties(KEY, stranger, {"note": "x"})
        both = (resources.save_properties(KEY, work.locator, {name: "y"}) for name in ("note", "mode"))
        assert await asyncio.gather(*both) == [True, True]
        await api.drain()
        properties = (await api.shown(PATH))["properties"]
        assert (properties["note"], properties["mode"], properties["provisioningState"]) == ("y", "y", "Succeeded")
        assert not await resources.save_properties(KEY, work.locator, {"note": "z"})
