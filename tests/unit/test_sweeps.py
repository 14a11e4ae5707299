"""Sweeps: what every pass of housekeeping does in bounded steps, the app's own and that of locks."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from shared.actions import ActionContext, Context, DeclarationError, action, sweep
from shared.actions.registry import Registry
from shared.composition import Application
from shared.errors import StorageUnavailable
from shared.model.ids import PARTITIONS, Locator
from shared.model.operation import Operation
from shared.operations.lock_sweep import LockSweep
from shared.storage.ports import Merge
from tests.support.clock import ManualClock, finished
from tests.support.parts import Faults, FaultyStorage, Input, RecordingEngine, World, settings, sqlite


@action("test:write", post="thing/{id}:write", exclusive="thing/{id}")
async def write(context: ActionContext, request: Input) -> None: ...


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with sqlite(tmp_path) as inner:
        yield World(FaultyStorage(inner, Faults()), write)


async def locked(world: World) -> list[str]:
    """The resources of all rows of locks."""
    pages = [await world.storage.table("locks").page(part, lower=" ", upper="~") for part in PARTITIONS]
    return sorted(str(row.values["resource"]) for page in pages for row in page.rows)


async def held(world: World, resource: str) -> Operation:
    return await world.start(resource=resource, exclusive=True)


async def go_round(world: World) -> None:
    for _ in PARTITIONS:
        await world.tidy()


async def test_locks_of_what_has_ended(world: World) -> None:
    """Once round all partitions the rows of ended, removed and never recorded holders are gone; others stay."""
    ended, removed, running = [await held(world, f"thing/{name}") for name in ("ended", "removed", "running")]
    for each in (ended, removed):
        await world.run(each)
    await world.delete(removed)
    await world.locks.take("thing/unrecorded", Locator.of("", "lost"), "9" * 32)
    world.clock.pass_by(minutes=9)
    await world.locks.take("thing/young", Locator.of("", "fresh"), "8" * 32)
    world.clock.pass_by(minutes=1)
    await go_round(world)
    assert await locked(world) == ["thing/running", "thing/young"]
    await world.run(running)
    world.clock.pass_by(minutes=10)
    await go_round(world)
    assert await locked(world) == []


async def test_locks_that_a_handler_takes(world: World) -> None:
    """What one operation has locked besides goes the same way, however many there are."""
    started = await world.start()
    for number in range(300):
        await world.locks.take(f"thing/{number}", started.locator, started.run_id)
    world.clock.pass_by(minutes=10)
    await go_round(world)
    assert len(await locked(world)) == 300
    await world.run(started)
    await go_round(world)
    assert await locked(world) == []


async def test_a_lock_that_is_taken_meanwhile(world: World) -> None:
    """Whoever takes a void lock while it is swept has it."""
    await world.run(await held(world, "thing/1"))
    world.clock.pass_by(minutes=10)
    taken: list[Operation] = []

    async def meanwhile(table: str, changes: Any) -> None:
        if table == "locks" and not taken:
            world.faults.before = None
            taken.append(await held(world, "thing/1"))

    world.faults.before = meanwhile
    await go_round(world)
    assert (len(taken), await locked(world)) == (1, ["thing/1"])
    assert await world.locks.check("thing/1", taken[0].locator) is None


async def test_more_than_a_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass goes on while half of what it reads is void, and stops at a page of locks that hold."""
    monkeypatch.setattr("shared.operations.lock_sweep._PAGE", 4)
    started = await world.start()
    for number in range(200):
        await world.locks.take(f"thing/{number}", started.locator, started.run_id)
    world.clock.pass_by(minutes=10)
    swept = LockSweep(world.locks, clock=world.clock)
    world.faults.pages = 0
    await swept()
    assert world.faults.pages == 1
    await world.run(started)
    for _ in range(2 * len(PARTITIONS)):
        await swept()
    assert await locked(world) == []


BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("record", {"status": "Unheard"}),
    ("record", {"v": 0}),
    ("record", {"outcome": "[1"}),
    ("lock", {"holder": "nobody"}),
    ("lock", {"since": "yesterday"}),
]


@pytest.mark.parametrize(("where", "values"), BROKEN, ids=str)
async def test_a_lock_that_cannot_be_read(
    world: World, caplog: pytest.LogCaptureFixture, where: str, values: dict[str, Any]
) -> None:
    """One row, or one holder, that cannot be read is passed over and keeps the sweep from no other lock."""
    broken = await held(world, "thing/broken")
    for number in range(40):
        await world.run(await held(world, f"thing/{number}"))
    if where == "record":
        changed = Merge(broken.locator.record_key, values)
        await world.storage.table("operations").write(broken.locator.partition, [changed])
    else:
        key = sha256(b"thing/broken").hexdigest()
        await world.storage.table("locks").write(key[0], [Merge(key, values)])
    world.clock.pass_by(minutes=10)
    await go_round(world)
    assert await locked(world) == ["thing/broken"]
    assert "row_unreadable" in {getattr(record, "event", "") for record in caplog.records}


async def test_a_page_that_storage_does_not_work_on(world: World) -> None:
    """The sweep goes on behind it the next time."""
    started = await world.start()
    for number in range(200):
        await world.locks.take(f"thing/{number}", started.locator, started.run_id)
    await world.run(started)
    world.clock.pass_by(minutes=10)
    swept = LockSweep(world.locks, clock=world.clock)
    first = PARTITIONS[int(world.clock.now().timestamp()) // 60 % len(PARTITIONS)]
    world.faults.failing_reads = 1
    with pytest.raises(StorageUnavailable):
        await swept()
    for _ in PARTITIONS[1:]:
        await swept()
    assert {sha256(each.encode()).hexdigest()[0] for each in await locked(world)} == {first}
    await swept()
    assert await locked(world) == []


async def test_sweeps_of_the_app(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each runs in every pass, with a context of the app. One that fails, or hangs, is logged and stops no other."""
    calls: list[str] = []

    async def fails(context: Context) -> None:
        calls.append("fails")
        raise StorageUnavailable("down") if len(calls) == 1 else RuntimeError("broken")

    async def hangs() -> None:
        calls.append("hangs")
        await asyncio.Event().wait()

    def works(context: Context) -> None:
        calls.append(f"works for {context.owner!r} at {context.clock.now():%H:%M}")

    declared = [sweep(f"test:{each.__name__}")(each) for each in (fails, hangs, works)]
    clock = ManualClock()
    app = Application(Registry(sweeps=declared), settings=settings(tmp_path), clock=clock)
    for _ in range(2):
        await finished(asyncio.ensure_future(app.housekeeping.run(RecordingEngine())), clock, within=11)
    await app.aclose()
    assert calls[:3] == ["fails", "hangs", "works for '' at 03:04"]
    assert [each.partition(" ")[0] for each in calls[3:]] == ["fails", "hangs", "works"]
    assert "The sweep test:fails goes on with the next pass: StorageUnavailable('down')" in caplog.text
    assert "RuntimeError: broken" in caplog.text
    assert "The sweep test:hangs" in caplog.text


def test_what_is_no_sweep() -> None:
    """It takes a context or nothing; two of one name are refused."""

    async def of_an_input(context: Context, request: Input) -> None: ...
    async def tidy() -> None: ...

    with pytest.raises(DeclarationError, match="then 0 values"):
        sweep("test:sweep")(of_an_input)
    with pytest.raises(DeclarationError, match="both called 'test:sweep'"):
        Registry(sweeps=[sweep("test:sweep")(tidy), sweep("test:sweep")(tidy)])
