"""Who waits long is parked: no orchestration, found by a due row alone, and woken once."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.actions import ActionContext, ContinueLater, Retry, action
from shared.contracts.dataplane.answers import monitor_json
from shared.errors import RequestError, StorageError
from shared.model import lifecycle
from shared.model.operation import Operation, Status
from shared.model.timing import Timing
from shared.operations import rows
from shared.operations.lists import OperationLists, Selection
from shared.storage.ports import Change
from tests.support.parts import T0, Faults, FaultyStorage, Input, Killed, World, make_operation, sqlite

HOUR = timedelta(hours=1)


@action(
    "test:work",
    post="thing/{id}:work",
    keep="7d",
    deadline="30d",
    retry=Retry(max_attempts=3, delay="1h", max_delay="1h"),
)
async def work(context: ActionContext, request: Input) -> int:
    if context.saved is None:
        await context.save("slept")
        raise ContinueLater(after="1h")
    return 1


@action("test:fails", post="thing/{id}:fails", retry=Retry(max_attempts=2, delay="1h", max_delay="1h"))
async def fails(context: ActionContext, request: Input) -> None:
    raise ValueError


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with sqlite(tmp_path) as inner:
        yield World(FaultyStorage(inner, Faults()), work, fails)


async def kinds(world: World) -> list[str]:
    """The kinds of an operation's rows; of due rows what they are for."""
    return [key[:2] if key[0] != "t" else key.rpartition("!")[2] for key in await world.keys()]


async def asleep(world: World, **changes: Any) -> Operation:
    started = await world.start(**changes)
    if not started.is_parked:
        assert await world.run(started) is None, "its orchestration ends"
    parked = await world.read(started)
    assert parked.is_parked
    return parked


async def test_a_long_sleep_is_parked(world: World) -> None:
    """It has neither a lease nor an orchestration, and its monitor says what it waits for."""
    parked = await asleep(world)
    assert await kinds(world) == ["l!", "o!", "p!", "look"]
    assert (parked.status, parked.holder, parked.look_at) == (Status.RUNNING, "", world.clock.now() + HOUR)
    shown = monitor_json(parked)
    assert (shown["status"], shown["waitingFor"]) == ("Running", "time")
    assert shown["waitingSince"] == rows.write_time(world.clock.now())
    world.clock.pass_by(minutes=59)
    assert (await world.tidy()).looked_at == 0
    assert await world.run(parked) is None, "a delivery leaves it alone"
    assert await world.read(parked) == parked


async def test_it_is_woken_once(world: World) -> None:
    """By the pass that finds its row; the instance before is purged, and the next generation is started."""
    parked = await asleep(world)
    world.clock.pass_by(hours=1, seconds=1)
    report = await world.tidy()
    assert (report.woken, report.looked_at) == (1, 1)
    woken = await world.read(parked)
    assert (woken.generation, woken.purged, woken.look_at, woken.waiting_for) == (2, 1, None, "")
    assert await kinds(world) == ["a!", "l!", "o!"]
    assert world.engine.kept == {woken.instance_id}
    assert (await world.tidy()).woken == 0
    assert await world.run(woken) is None
    assert await kinds(world) == ["l!", "o!", "expire"]


async def test_a_retry_that_waits_long(world: World) -> None:
    """It is parked as a failure that waits, with its error."""
    parked = await asleep(world, action=fails)
    assert (parked.waiting_for, parked.failures) == ("retry", 1)
    shown = monitor_json(parked)
    assert (shown["waitingFor"], shown["lastError"]["code"]) == ("retry", "ActionError")


async def test_a_poll_wakes_its_own(world: World) -> None:
    """Who watches need not wait for the timer."""
    parked = await asleep(world)
    world.clock.pass_by(hours=1, seconds=1)
    found = await world.service.get("", parked.id, world.engine)
    assert (found.generation, found.is_parked) == (2, False)


async def test_a_cancel_ends_it_at_once(world: World) -> None:
    """Nobody has to let go; both of its rows go in the same transaction."""
    parked = await asleep(world)
    canceled = await world.service.cancel("", parked.id)
    assert canceled.status is Status.CANCELED
    assert await kinds(world) == ["l!", "o!", "expire"]


async def test_its_deadline(world: World) -> None:
    """Who would sleep beyond the deadline is looked at then, and given up."""
    operation = make_operation(deadline=T0 + 2 * HOUR)
    asleep = lifecycle.scheduled(operation, T0 + 3 * HOUR, park_after=Timing().park_after)
    await world.records.insert(asleep)
    world.clock.pass_by(hours=2, seconds=1)
    assert (await world.tidy()).failed == 1
    ended = await world.read(asleep)
    assert ended.outcome is not None
    assert ended.outcome.error == lifecycle.DEADLINE_ERROR


async def test_lists_of_what_is_active_show_it(world: World) -> None:
    """It is not over."""
    parked = await asleep(world)
    active = Selection(statuses=frozenset({Status.RUNNING}))
    page = await OperationLists(world.storage).page(
        parked.locator.owner_hash, position=None, limit=10, selection=active
    )
    assert [row.id for row in page.rows] == [parked.id]


@pytest.mark.parametrize("fault", ["kill", "kill-before", "lost", "lost-before", "down"])
@pytest.mark.parametrize("at", range(1, 8))
async def test_any_write_goes_wrong(world: World, fault: Any, at: int) -> None:
    """Start later, park, wake, end: whichever write is the last of a process, it ends as it should, and once."""
    world.faults.at, world.faults.fault, world.faults.kills_process = at, fault, True
    try:
        await world.carry_out(whole_life(world))
    except* (Killed, StorageError):
        pass
    assert world.faults.writes >= at, "nothing has gone wrong"
    world = world.restarted()
    stored = await world.records.read(make_operation(id="mine").locator)
    if stored is None:
        assert [kind for kind in await kinds(world) if kind != "clear"] == []
        return
    await world.carry_out(deliveries(world, stored))
    ended = await world.read(stored)
    assert (ended.status, ended.losses <= 1) == (Status.SUCCEEDED, True)
    assert await kinds(world) == ["l!", "o!", "expire"]


async def whole_life(world: World) -> None:
    started = await world.start(operation_id="mine", not_before=world.clock.now() + HOUR)
    await deliveries(world, started)


async def deliveries(world: World, started: Operation) -> None:
    for _ in range(8):
        world.clock.pass_by(minutes=30, seconds=1)
        await world.tidy()
        stored = await world.read(started)
        if stored.status.is_terminal:
            return
        if not stored.is_parked:
            await world.run(stored)


async def test_start_later(world: World) -> None:
    """Nothing is started; at its time it is, and what it was asked for is shown from the first answer on."""
    started = await world.start(not_before=T0 + HOUR)
    assert (started.status, started.scheduled, world.engine.started) == (Status.NOT_STARTED, T0 + HOUR, [])
    assert monitor_json(started)["notBefore"] == rows.write_time(T0 + HOUR)
    assert await kinds(world) == ["l!", "o!", "p!", "look"]
    world.clock.pass_by(hours=1, seconds=1)
    await world.tidy()
    (work,) = [work for _, work in world.engine.started]
    assert work.generation == 2
    await world.run(started)
    assert (await world.read(started)).attempt == 1


async def test_start_soon(world: World) -> None:
    """Up to ten minutes are a timer of the engine's: the activity names the time."""
    started = await world.start(not_before=T0 + timedelta(minutes=10))
    assert len(world.engine.started) == 1
    assert await world.run(started) == T0 + timedelta(minutes=10)
    assert (await world.read(started)).status is Status.NOT_STARTED
    world.clock.pass_by(minutes=9)
    await world.tidy()
    assert len(world.engine.started) == 1


async def test_start_in_the_past(world: World) -> None:
    """It starts at once, and says what was asked."""
    started = await world.start(not_before=T0 - HOUR)
    assert (started.not_before, started.waiting_for, started.scheduled) == (None, "", T0 - HOUR)


@pytest.mark.parametrize(("chosen", "longest"), [(work, timedelta(days=30)), (fails, timedelta(hours=24))])
async def test_start_after_the_deadline(world: World, chosen: Any, longest: timedelta) -> None:
    """Nothing is created: the action's own deadline, or 24 hours."""
    with pytest.raises(RequestError, match="InvalidNotBefore"):
        await world.start(chosen, not_before=T0 + longest)
    assert await world.keys() == []
    assert (await world.start(chosen, not_before=T0 + longest - HOUR)).deadline == T0 + longest


async def test_sleepers_cost_an_idle_pass_nothing(tmp_path: Path) -> None:
    """10,000 of them: as many requests as without, and none of their records is read."""
    async with sqlite(tmp_path) as inner:
        world = World(FaultyStorage(inner, Faults()), work)
        await world.tidy()
        before = await requests(world, world.tidy)
        park = Timing().park_after
        table, changes = world.storage.table("operations"), dict[str, list[Change]]()
        for number in range(10_000):
            sleeper = lifecycle.scheduled(make_operation(id=f"op-{number}"), T0 + 2 * HOUR, park_after=park)
            rows_of = changes.setdefault(sleeper.locator.partition, [])
            rows_of += [row for row in rows.insertions(sleeper) if row.key[:2] in ("p!", "t!")]
        for partition, all_of in changes.items():
            for first in range(0, len(all_of), 100):
                await table.write(partition, all_of[first : first + 100])
        assert await requests(world, world.tidy) == before
        assert before[0] <= 1
        assert before[1] <= 33


async def requests(world: World, work: Callable[[], Any]) -> tuple[int, int]:
    """Rows and pages that it reads."""
    reads, pages = world.faults.reads, world.faults.pages
    await work()
    return world.faults.reads - reads, world.faults.pages - pages
