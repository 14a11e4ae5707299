"""A PUT of an ARM resource whose work another system does: what is handed over, what comes back, what may break."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.actions import ActionContext, RequestError
from shared.actions.arm import ArmResource
from shared.actions.arm_external import put_elsewhere
from shared.actions.arm_headers import ArmAsyncOperationHeader, ArmCombinedLroHeaders
from shared.actions.arm_models import ArmTrackedResource, read_only
from shared.actions.hand_over import HandOver
from shared.actions.models import Model
from shared.actions.registry import Registry
from shared.contracts.http import Response
from shared.errors import DeclarationError
from shared.operations.external import Failed, Succeeded
from shared.operations.model import Operation, Status
from shared.resources.model import partition_of
from tests.arm_things import NAMESPACE
from tests.unit.arm_parts import SUB, ArmApi, path_of
from tests.unit.parts import Faults, FaultyStorage, sqlite

PRESS = path_of("presses", "p1")


class Properties(Model):
    model: str | None = None
    serial_number: str | None = read_only()
    notes: str | None = None


Press = ArmTrackedResource[Properties]


class Presses(ArmApi):
    """Presses, and the orders that were handed over."""

    def __init__(self, folder: Path, storage: FaultyStorage, **declared: Any) -> None:
        self.orders: list[tuple[HandOver, Any]] = []
        self.broken = False
        presses = ArmResource(NAMESPACE, "presses", api_versions=["2026-01-01"], properties=Properties)

        async def order(work: HandOver, press: Any) -> None:
            self.orders.append((work, press))
            if self.broken:
                raise RuntimeError(f"nobody takes orders: {work}")

        self.verb = put_elsewhere(presses, deadline="2h", **declared)(order)

        @self.verb.precondition
        async def not_a_toy(press: Any) -> None:
            if press.properties.model == "toy":
                raise RequestError(409, "NotAPress", "That is a toy.")

        super().__init__(Registry(resources=[presses]), storage, folder)

    async def put(self, **properties: Any) -> Response:
        return await self("PUT", PRESS, {"location": "westeurope", "properties": properties})

    async def end(self, update: Succeeded | Failed) -> Operation:
        work, _ = self.orders[-1]
        return await self.application.external.update(work.owner, work.operation_id, update)

    async def shown(self) -> dict[str, Any]:
        return json.loads((await self("GET", PRESS)).body)["properties"]


@pytest.fixture
async def presses(tmp_path: Path) -> AsyncIterator[Presses]:
    async with sqlite(tmp_path) as inner:
        headers = ArmCombinedLroHeaders(retry_after=5)
        yield Presses(tmp_path, FaultyStorage(inner, Faults()), lro_headers=headers, keep="3d")


async def test_what_is_handed_over(presses: Presses) -> None:
    """The work names its operation, its URL and its secret; the operation has the declared policies and no engine."""
    started = await presses.put(model="GTO")
    assert (started.status, started.headers["Retry-After"]) == (201, "5")
    ((work, press),) = presses.orders
    assert (press.name, press.properties.model) == ("p1", "GTO")
    assert work.update_url == f"http://h:1/status/{work.operation_id}:update?api-version=2026-01-01"
    assert work.secret not in repr(work)
    operation = await presses.application.external.authorize(work.operation_id, work.secret)
    assert (operation.run, operation.created, operation.owner) == (work.run, work.created, work.owner)
    assert (operation.deadline - operation.created, operation.keep) == (timedelta(hours=2), timedelta(days=3))
    assert (operation.profile, operation.external, operation.status) == ("arm", True, Status.NOT_STARTED)
    assert presses.engine.started == []


@pytest.mark.parametrize("header", ["Azure-AsyncOperation", "Location"])
async def test_the_final_result_is_the_resource(presses: Presses, header: str) -> None:
    """Both monitors end with the resource: what was asked for, and what was reported."""
    started = await presses.put(model="GTO")
    ended = await presses.end(Succeeded({"serialNumber": "SN-1"}))
    assert ended.status is Status.SUCCEEDED
    final = json.loads((await presses("GET", started.headers[header])).body)
    resource = final["properties"] if header == "Azure-AsyncOperation" else final
    assert resource["name"] == "p1"
    expected = {"model": "GTO", "serialNumber": "SN-1", "provisioningState": "Succeeded"}
    assert resource["properties"] == expected == await presses.shown()


async def test_no_result_is_the_resource_as_asked_for(presses: Presses) -> None:
    """A success that reports nothing leaves what the request wanted; a null takes a property away."""
    await presses.put(model="GTO", notes="blue")
    await presses.end(Succeeded())
    assert await presses.shown() == {"model": "GTO", "notes": "blue", "provisioningState": "Succeeded"}
    await presses.put(model="GTO", notes="red")
    await presses.end(Succeeded({"notes": None}))
    assert await presses.shown() == {"model": "GTO", "provisioningState": "Succeeded"}


@pytest.mark.parametrize(
    "result", [{"wings": 2}, {"model": 5}, {"serial_number": "x"}, [], "x", 0, {"notes": "n" * 40_000}], ids=str
)
async def test_results_that_do_not_fit(presses: Presses, result: Any) -> None:
    """What are no properties of the resource is 400 InvalidResult, and the operation goes on."""
    await presses.put(model="GTO")
    with pytest.raises(RequestError) as caught:
        await presses.end(Succeeded(result))
    assert (caught.value.status, caught.value.code) == (400, "InvalidResult")
    assert (await presses.shown())["provisioningState"] == "Accepted"


async def test_rolled_forward_at_once(presses: Presses) -> None:
    """The end frees the resource without a reader: its row has no holder any more."""
    await presses.put()
    await presses.end(Succeeded())
    page = await presses.storage.table("resources").page(partition_of(SUB, NAMESPACE, "presses"), lower=" ", upper="~")
    assert [row.values["holder"] for row in page.rows] == [""]


async def test_failed_is_seen(presses: Presses) -> None:
    """A hand-over that breaks is a Failed operation, not a lost one; no secret is in the log for it."""
    presses.broken = True
    started = await presses.put(model="GTO")
    assert started.status == 201
    monitor = json.loads((await presses("GET", started.headers["Azure-AsyncOperation"])).body)
    assert (monitor["status"], monitor["error"]["code"]) == ("Failed", "HandOverFailed")
    assert (await presses.shown())["provisioningState"] == "Failed"
    presses.broken = False
    assert (await presses.put(model="GTO")).status == 200


async def test_a_broken_hand_over_logs_no_secret(presses: Presses, caplog: pytest.LogCaptureFixture) -> None:
    """Even where the error shows what was handed over."""
    presses.broken = True
    await presses.put()
    assert "nobody takes orders" in caplog.text
    assert presses.orders[0][0].secret not in caplog.text


async def test_a_precondition_refuses(presses: Presses) -> None:
    """What a precondition refuses hands nothing over, records nothing, and holds nothing."""
    assert (await presses.put(model="toy")).status == 409
    assert presses.orders == []
    assert (await presses("GET", PRESS)).status == 404
    assert (await presses.put(model="GTO")).status == 201


async def test_busy_until_it_has_ended(presses: Presses) -> None:
    """One operation at a time: a second PUT is 409 and hands nothing over."""
    await presses.put()
    assert (await presses.put()).status == 409
    assert len(presses.orders) == 1


def test_declarations() -> None:
    """A function that could not be called is refused with what to write."""
    presses = ArmResource(NAMESPACE, "presses", api_versions=["2026-01-01"], properties=Properties)

    def sync(work: HandOver, press: Any) -> None: ...

    async def short(work: HandOver) -> None: ...

    async def fine(work: HandOver, press: Any) -> None: ...

    wrong: list[Any] = [sync, short]
    for function in wrong:
        with pytest.raises(DeclarationError, match="async def"):
            put_elsewhere(presses)(function)
    with pytest.raises(DeclarationError, match="deadline"):
        put_elsewhere(presses, deadline="soon")(fine)
    put_elsewhere(presses, lro_headers=ArmAsyncOperationHeader())(fine)
    with pytest.raises(DeclarationError, match="both PUT"):

        @presses.create_or_update()
        async def again(context: ActionContext, press: Press) -> Press:
            return press
