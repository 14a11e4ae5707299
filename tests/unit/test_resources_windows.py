"""The windows between two rows: what is slow, fails or is removed in between must not undo what has succeeded."""

from pathlib import Path
from typing import Any

import pytest

from shared.actions import ActionContext
from shared.actions.arm.delegation import delegate_put
from shared.actions.arm.resource import ArmResource
from shared.errors import StorageUnavailable
from shared.model.updates import Succeeded
from shared.resources.model import ResourceRow
from shared.resources.store import ResourceStore
from tests.support.arm_parts import arm_api, body_of, path_of
from tests.support.arm_things import Thing, ThingProperties, both_things


async def test_a_record_stays_until_its_resource_is_rolled_forward(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the roll-forward cannot be written, the operation is not removed: it alone knows how it ended."""
    path = path_of("bothThings", "one")
    write = ResourceStore.write

    async def fails_to_let_go(self: ResourceStore, row: ResourceRow) -> ResourceRow:
        if row.lock is None:
            raise StorageUnavailable("throttled")
        return await write(self, row)

    async with arm_api(tmp_path, both_things) as api:
        monkeypatch.setattr(ResourceStore, "write", fails_to_let_go)
        await api("PUT", path, {"location": "westeurope", "properties": {"note": "n"}})
        await api.drain()
        api.clock.pass_by(hours=25)
        assert (await api.application.housekeeping.run(api.engine)).removed == 0
        monkeypatch.setattr(ResourceStore, "write", write)
        assert (await api.application.housekeeping.run(api.engine)).removed == 1
        properties = body_of(await api("GET", path))["properties"]
        assert (properties["note"], properties["provisioningState"]) == ("n", "Succeeded")


async def test_a_slow_precondition_holds_nothing(tmp_path: Path) -> None:
    """While a precondition takes long another PUT may come and go; then the slow one finds the resource busy."""
    guarded = ArmResource("Contoso.Guarded", "guards", api_versions=["2026-01-01"], properties=ThingProperties)
    path = path_of("guards", "one", namespace="Contoso.Guarded")
    during: list[int] = []
    ran: list[Any] = []

    @guarded.create_or_replace()
    async def put(context: ActionContext, thing: Thing) -> Thing:
        ran.append(thing.properties.note)
        return thing

    @put.precondition
    async def slow(thing: Thing) -> None:
        if thing.properties.note == "slow":
            api.clock.pass_by(seconds=61)
            during.append((await api("PUT", path, {"location": "x", "properties": {"note": "fast"}})).status)

    async with arm_api(tmp_path, guarded) as api:
        answer = await api("PUT", path, {"location": "x", "properties": {"note": "slow"}})
        await api.drain()
        assert (during, answer.status, ran) == ([201], 409, ["fast"])
        assert body_of(await api("GET", path))["properties"]["note"] == "fast"


async def test_a_hand_over_that_was_done_after_all(tmp_path: Path) -> None:
    """Where the hand-over raises although the outside party has ended the operation, the start still answers 201."""
    things = ArmResource("Contoso.Else", "elses", api_versions=["2026-01-01"], properties=ThingProperties)

    @delegate_put(things)
    async def order(work: Any, thing: Any) -> None:
        await api.application.external.update(work.owner, work.operation_id, Succeeded())
        raise RuntimeError("the answer was lost")

    path = path_of("elses", "one", namespace="Contoso.Else")
    async with arm_api(tmp_path, things) as api:
        assert (await api("PUT", path, {"location": "x"})).status == 201
        assert body_of(await api("GET", path))["properties"]["provisioningState"] == "Succeeded"
