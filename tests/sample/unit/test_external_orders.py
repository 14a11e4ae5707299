"""Work orders: handed out once, oldest first, and no secret stays behind."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from library.presses import WorkOrder, WorkOrders
from shared.errors import StorageError, StorageUnavailable
from shared.storage.ports import Storage
from tests.support.clock import ManualClock
from tests.support.parts import T0, Fault, Faults, FaultyStorage, Killed, sqlite


def order(number: int) -> WorkOrder:
    return WorkOrder(
        press=f"p{number}", model="m", operation_id=f"op-{number}", update_url="http://h/u", secret=f"lroext_{number}"
    )


async def is_open(order: WorkOrder) -> bool:
    return True


async def stored(storage: Storage) -> list[dict[str, object]]:
    page = await storage.table("workorders").page("orders", lower=" ", upper="~")
    return [dict(row.values) for row in page.rows]


async def test_oldest_first_and_each_once(tmp_path: Path) -> None:
    """Orders come in the order they were put; then there is none; nothing of them stays in storage."""
    async with sqlite(tmp_path) as storage:
        orders, clock = WorkOrders(storage), ManualClock()
        assert await orders.take(is_open=is_open) is None
        for number in range(3):
            await orders.put(order(number), run_id=f"{9 - number}", created=clock.pass_by(seconds=1))
        assert [await orders.take(is_open=is_open) for _ in range(4)] == [order(0), order(1), order(2), None]
        assert await stored(storage) == []


async def test_put_again(tmp_path: Path) -> None:
    """An order that is stored twice for one run is one order, with the secret that was made last."""
    async with sqlite(tmp_path) as storage:
        orders = WorkOrders(storage)
        last = order(1).model_copy(update={"secret": "lroext_last"})
        for each in (order(1), order(1), last):
            await orders.put(each, run_id="r", created=T0)
        assert [await orders.take(is_open=is_open) for _ in range(2)] == [last, None]


async def test_handed_out_once_under_concurrency(tmp_path: Path) -> None:
    """Of many that ask at one time nobody gets what another one has, and together they get everything."""
    async with sqlite(tmp_path) as storage:
        orders = WorkOrders(storage)
        for number in range(30):
            await orders.put(order(number), run_id=str(number), created=T0)

        async def worker() -> list[str]:
            found: list[str] = []
            while (each := await orders.take(is_open=is_open)) is not None:
                found.append(each.secret)
            return found

        taken = [secret for part in await asyncio.gather(*(worker() for _ in range(6))) for secret in part]
        assert Counter(taken) == Counter(order(number).secret for number in range(30))


async def test_an_unwanted_order_is_passed_over(tmp_path: Path) -> None:
    """An order whose operation has ended is not handed out, and goes."""

    async def not_the_first(order: WorkOrder) -> bool:
        return order.press != "p0"

    async with sqlite(tmp_path) as storage:
        orders = WorkOrders(storage)
        for number in range(2):
            await orders.put(order(number), run_id=str(number), created=T0)
        assert await orders.take(is_open=not_the_first) == order(1)
        assert await stored(storage) == []


async def test_storage_that_fails_during_the_check(tmp_path: Path) -> None:
    """An order whose operation cannot be read just now still waits."""

    async def unreadable(order: WorkOrder) -> bool:
        raise StorageUnavailable("not now")

    async with sqlite(tmp_path) as storage:
        orders = WorkOrders(storage)
        await orders.put(order(1), run_id="r", created=T0)
        with pytest.raises(StorageUnavailable):
            await orders.take(is_open=unreadable)
        assert await orders.take(is_open=is_open) == order(1)


@pytest.mark.parametrize(
    ("fault", "at", "handed_out"),
    [
        ("kill-before", 1, 1),  # nothing was written: the order waits
        ("kill", 1, 0),  # taken, and the taker is gone with it
        ("kill-before", 2, 0),
        ("kill", 2, 0),
        ("lost", 1, 1),  # the answer was lost, but it is known whose write that was
        ("lost", 2, 1),
        ("lost-before", 2, 1),
        ("down", 2, 1),
    ],
)
async def test_interrupted(tmp_path: Path, fault: Fault, at: int, handed_out: int) -> None:
    """Wherever a hand-out stops, the order is given to one at most, and its secret is stored only while it waits."""
    async with sqlite(tmp_path) as inner:
        storage = FaultyStorage(inner, Faults())
        orders = WorkOrders(storage)
        await orders.put(order(1), run_id="r", created=T0)
        storage.faults.at, storage.faults.fault = storage.faults.writes + at, fault
        found: list[WorkOrder | None] = []
        try:
            found.append(await orders.take(is_open=is_open))
        except (Killed, StorageError):
            waiting = fault == "kill-before" and at == 1
            assert any(row.get("secret") for row in await stored(inner)) == waiting
        found += [await orders.take(is_open=is_open) for _ in range(2)]
        assert [each for each in found if each] == [order(1)] * handed_out
        assert await stored(inner) == []
