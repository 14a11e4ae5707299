"""A PUT of an ARM resource whose work another system does: what is delegated, what comes back, what may break."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.actions import ActionContext, RequestError
from shared.actions.arm.delegation import delegate_put
from shared.actions.arm.lro_headers import ArmAsyncOperationHeader, ArmCombinedLroHeaders
from shared.actions.arm.models import ArmTrackedResource
from shared.actions.arm.resource import ArmResource
from shared.actions.delegation import Delegation
from shared.actions.models import Model, read_only
from shared.actions.registry import Registry
from shared.contracts.http import Response
from shared.errors import DeclarationError, StorageUnavailable
from shared.model.operation import DELEGATION, Operation, Status
from shared.model.updates import Failed, Succeeded
from shared.resources.model import partition_of
from tests.support.arm_parts import SUB, ArmApi, path_of
from tests.support.arm_things import NAMESPACE
from tests.support.parts import Faults, FaultyStorage, Killed, sqlite

PRESS = path_of("presses", "p1")


class Properties(Model):
    model: str | None = None
    serial_number: str | None = read_only()
    notes: str | None = None


Press = ArmTrackedResource[Properties]


class Presses(ArmApi):
    """Presses, and the orders that were delegated."""

    def __init__(self, folder: Path, storage: FaultyStorage, **declared: Any) -> None:
        self.orders: list[tuple[Delegation, Any]] = []
        self.broken = self.away = False
        self.stall: Callable[[], Awaitable[None]] | None = None
        presses = ArmResource(NAMESPACE, "presses", api_versions=["2026-01-01"], properties=Properties)

        async def order(work: Delegation, press: Any) -> None:
            self.orders.append((work, press))
            if self.stall is not None:
                await self.stall()
            if self.away:
                raise StorageUnavailable("the store is down")
            if self.broken:
                raise RuntimeError(f"nobody takes orders: {work}")

        self.verb = delegate_put(presses, deadline="2h", **declared)(order)

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
    assert (operation.run_id, operation.created, operation.owner) == (work.run_id, work.created, work.owner)
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
    assert (monitor["status"], monitor["error"]["code"]) == ("Failed", "DelegationFailed")
    assert (await presses.shown())["provisioningState"] == "Failed"
    presses.broken = False
    assert (await presses.put(model="GTO")).status == 200


async def test_a_broken_hand_over_logs_no_secret(presses: Presses, caplog: pytest.LogCaptureFixture) -> None:
    """Even where the error shows what was delegated."""
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
    """One operation at a time: another PUT is 409 and hands nothing over, and the same one is answered as before."""
    first = await presses.put()
    assert (await presses.put(model="GTO")).status == 409
    again = await presses.put()
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["Azure-AsyncOperation"] == first.headers["Azure-AsyncOperation"]
    assert len(presses.orders) == 1


@pytest.mark.parametrize("handed_over", [0, 1])
async def test_a_start_cut_in_two(presses: Presses, handed_over: int) -> None:
    """Dead after the record, or after the work was handed over but before the record says so: it is done again.

    The same PUT finds its operation, and the secrets of both tries are good.
    """
    presses.faults.at, presses.faults.fault = 3, "kill-before"
    if not handed_over:
        presses.faults.at, presses.faults.fault = 2, "kill"
    with pytest.raises(Killed):
        await presses.put(model="GTO")
    assert len(presses.orders) == handed_over
    again = await presses.put(model="GTO")
    assert (again.status, len(presses.orders)) == (201, handed_over)
    await presses.application.housekeeping.run(presses.engine)
    assert len(presses.orders) == handed_over, "the request has its time"
    presses.clock.pass_by(seconds=presses.application.timing.housekeeping_patience.total_seconds())
    for _ in range(2):
        await presses("GET", again.headers["Azure-AsyncOperation"])
        await presses.application.housekeeping.run(presses.engine)
        assert len(presses.orders) == handed_over + 1, "once it is delegated it stays so"
    first, last = presses.orders[0][0], presses.orders[-1][0]
    assert (first.run_id, first.update_url, first.created) == (last.run_id, last.update_url, last.created)
    assert presses.orders[-1][1].properties.model == "GTO"
    for work in (first, last):
        operation = await presses.application.external.authorize(work.operation_id, work.secret)
        assert DELEGATION not in operation.profile_state
    await presses.end(Succeeded())
    assert (await presses.shown())["provisioningState"] == "Succeeded"


async def test_only_one_delegates_again(presses: Presses) -> None:
    """Of two that find it at one time, one hands the work over."""
    presses.faults.at = 2
    with pytest.raises(Killed):
        await presses.put()
    presses.clock.pass_by(seconds=300)
    passes = (presses.application.housekeeping.run(presses.engine) for _ in range(2))
    await asyncio.gather(*passes)
    assert len(presses.orders) == 1


async def test_storage_that_fails_defers(presses: Presses, caplog: pytest.LogCaptureFixture) -> None:
    """A hand-over that meets a store which is away fails nothing: the PUT is answered, and it is done later."""
    presses.away = True
    started = await presses.put()
    assert (started.status, [getattr(r, "event", "") for r in caplog.records]) == (201, ["delegation_deferred"])
    presses.clock.pass_by(seconds=300)
    await presses.application.housekeeping.run(presses.engine)
    assert len(presses.orders) == 2
    presses.away = False
    monitor = json.loads((await presses("GET", started.headers["Azure-AsyncOperation"])).body)
    assert (monitor["status"], len(presses.orders)) == ("NotStarted", 2)
    presses.clock.pass_by(seconds=300)
    await presses.application.housekeeping.run(presses.engine)
    assert len(presses.orders) == 3
    await presses.end(Succeeded())


async def test_a_slow_try_that_fails_after_another_one(presses: Presses) -> None:
    """The work was handed over meanwhile: what the first try raises in the end changes nothing."""

    async def slow() -> None:
        presses.stall = None
        presses.clock.pass_by(seconds=300)
        await presses.application.housekeeping.run(presses.engine)
        raise RuntimeError("the first try took too long")

    presses.stall = slow
    started = await presses.put()
    monitor = json.loads((await presses("GET", started.headers["Azure-AsyncOperation"])).body)
    assert (monitor["status"], len(presses.orders)) == ("NotStarted", 2)
    assert (await presses.end(Succeeded())).status is Status.SUCCEEDED


async def test_the_last_secrets_stay_good(presses: Presses) -> None:
    """However often the work is handed over, the record keeps the hashes of the last five secrets."""
    presses.away = True
    await presses.put()
    for _ in range(6):
        presses.clock.pass_by(seconds=300)
        await presses.application.housekeeping.run(presses.engine)
    good: list[bool] = []
    for work, _ in presses.orders:
        try:
            await presses.application.external.authorize(work.operation_id, work.secret)
        except RequestError:
            good.append(False)
        else:
            good.append(True)
    assert good == [False] * 2 + [True] * 5


async def test_nothing_is_delegated_that_has_ended(presses: Presses) -> None:
    """Canceled, or past its deadline, before it was handed over: it has ended, and stays so."""
    presses.faults.at = 2
    with pytest.raises(Killed):
        await presses.put()
    again = await presses.put()
    presses.clock.pass_by(hours=3)
    await presses.application.housekeeping.run(presses.engine)
    monitor = json.loads((await presses("GET", again.headers["Azure-AsyncOperation"])).body)
    assert (monitor["error"]["code"], presses.orders) == ("DeadlineExceeded", [])


def test_declarations() -> None:
    """A function that could not be called is refused with what to write."""
    presses = ArmResource(NAMESPACE, "presses", api_versions=["2026-01-01"], properties=Properties)

    def sync(work: Delegation, press: Any) -> None: ...

    async def short(work: Delegation) -> None: ...

    async def fine(work: Delegation, press: Any) -> None: ...

    wrong: list[Any] = [sync, short]
    for function in wrong:
        with pytest.raises(DeclarationError, match="async def"):
            delegate_put(presses)(function)
    with pytest.raises(DeclarationError, match="deadline"):
        delegate_put(presses, deadline="soon")(fine)
    delegate_put(presses, lro_headers=ArmAsyncOperationHeader())(fine)
    with pytest.raises(DeclarationError, match="both PUT"):

        @presses.create_or_update()
        async def again(context: ActionContext, press: Press) -> Press:
            return press
