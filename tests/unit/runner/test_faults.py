"""What goes wrong around an attempt: claims lost, storage failing, hosts stopping."""

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from shared.actions import ActionContext, Retry, SyncActionContext
from shared.engine.port import Work
from shared.errors import StorageError, StorageUnavailable
from shared.model import lifecycle
from shared.model.operation import Progress, Status
from shared.model.timing import Timing
from tests.support.parts import Input, World
from tests.unit.runner.handlers import Output, begun, claim_elsewhere, echo, error_code, forever, until


async def test_fence_lost(make: Callable[..., World]) -> None:
    """An attempt that finds another claim stops its handler and writes nothing; its large result does not stay."""
    stopped: list[int] = []

    async def handler(context: ActionContext, request: Input) -> Output:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            stopped.append(1)
        return Output(file_name="x" * 50_000)

    world = make(handler, retry=Retry(max_attempts=3))
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await begun(world)
    after = await claim_elsewhere(world, started, after=60)
    await world.clock.run_for(seconds=world.timing.heartbeat)
    assert await running is None
    assert stopped == [1]
    stored = await world.read(started)
    assert (stored.fence, stored.holder, stored.status) == (2, after.holder, Status.RUNNING)
    assert await world.storage.container("operations").info(f"{started.run_id}/result-1") is None


async def test_lost_attempts_result_goes(make: Callable[..., World]) -> None:
    """The result an instance stored before it died is removed by the next claim."""
    world = make(echo, retry=Retry(max_attempts=2))
    started = await world.start()
    claimed = await claim_elsewhere(world, started)
    await world.records.store_result(claimed, "application/json", b"x" * 50_000)
    world.clock.pass_by(seconds=30)
    await world.run(started)
    assert await world.storage.container("operations").info(f"{started.run_id}/result-1") is None


async def test_host_stopping(make: Callable[..., World]) -> None:
    """Where the host stops, the operation is given back at once and the attempt does not count."""
    world = make(forever)
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await begun(world)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    stored = await world.read(started)
    assert (stored.status, stored.failures, stored.losses, stored.lease_until) == (Status.RUNNING, 0, 0, None)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_unknown_action(make: Callable[..., World]) -> None:
    """An instance without the action leaves it to others for ten minutes, then fails it with a code of its own."""
    world = make(echo)
    started = await world.start()
    world.actions.clear()
    began = world.clock.now()
    assert await world.run(started) == began + timedelta(seconds=15)
    world.clock.pass_by(minutes=9, seconds=59)
    assert await world.run(started) == world.clock.now() + timedelta(seconds=15)
    world.clock.pass_by(seconds=1)
    assert await world.run(started) is None
    assert error_code(await world.read(started)) == "UnknownAction"


async def test_stored_input_no_longer_fits(make: Callable[..., World]) -> None:
    """Stored input this version does not accept is a failure after ten minutes; fields it does not know are passed
    over."""
    world = make(echo)
    bad = await world.start(input_json=b'{"fileName":["no"]}')
    more = await world.start(input_json=b'{"fileName":"b","later":1}')
    assert await world.run(bad) == world.clock.now() + timedelta(seconds=15)
    world.clock.pass_by(minutes=10)
    for operation in (bad, more):
        assert await world.run(operation) is None
    failed = await world.read(bad)
    assert error_code(failed) == "InvalidStoredInput"
    assert failed.outcome is not None
    assert failed.outcome.error is not None
    said = "The stored input does not fit the action: fileName: Input should be a valid string"
    assert failed.outcome.error.message == said
    assert (await world.read(more)).status is Status.SUCCEEDED


async def test_other_generation(make: Callable[..., World]) -> None:
    """An orchestration of an older start does nothing, and nothing happens for an operation that is gone."""
    world = make(echo)
    started = await world.start()
    now, leases = world.clock.now(), world.records.leases
    await world.records.change(started, lambda o: lifecycle.restart(o, now, leases=leases, wait=timedelta))
    assert await world.runner.run(Work.of(started)) is None
    assert (await world.read(started)).status is Status.NOT_STARTED
    assert await world.runner.run(Work.parse("0123456789abcdef!gone@1")) is None


async def test_heartbeat_fails(make: Callable[..., World]) -> None:
    """While the store is away the work goes on; progress that could not be written is written later."""

    async def next_heartbeat() -> None:
        before = world.faults.writes
        await world.clock.run_for(seconds=world.timing.heartbeat)
        await until(lambda: world.faults.writes > before)

    async def handler(context: ActionContext, request: Input) -> None:
        world.faults.down = True
        context.report_progress(done=1, total=4)
        await next_heartbeat()
        await next_heartbeat()
        world.faults.down = False
        await next_heartbeat()
        while (stored := await world.read(started)).progress is None:
            pass
        assert stored.progress == Progress(25, 1, 4)

    world = make(handler)
    started = await world.start()
    await world.run(started)
    ended = await world.read(started)
    assert ended.progress is not None
    assert (ended.status, ended.progress.done) == (Status.SUCCEEDED, 1)


async def test_canceled_before_it_got_a_thread(make: Callable[..., World]) -> None:
    """An operation that waits for a thread when the cancel comes is canceled at once, and its handler never called."""
    ran: list[str] = []
    free = threading.Event()

    def handler(context: SyncActionContext, request: Input) -> None:
        ran.append(context.operation_id)
        free.wait(5)

    world = make(handler)
    first, second, waiting = [await world.start() for _ in range(3)]
    runs = [asyncio.create_task(world.run(one)) for one in (first, second)]
    await until(lambda: len(ran) == 2)
    runs.append(asyncio.create_task(world.run(waiting)))
    await until(lambda: world.timing.place_wait in world.clock.waits)
    await world.service.cancel("", waiting.id)
    assert (await world.read(waiting)).status is Status.CANCELED
    free.set()
    await asyncio.gather(*runs)
    assert (await world.read(waiting)).attempts == ()
    assert sorted(ran) == sorted([first.id, second.id])


async def test_store_fails_for_a_moment_at_the_end(make: Callable[..., World]) -> None:
    """Work that is done is not given up for a write that fails: it is tried again, without another attempt."""

    async def handler(context: ActionContext, request: Input) -> None:
        world.faults.down = True

    world = make(handler)
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await passes(world, world.timing.settle_waits[0])
    await until(lambda: world.timing.settle_waits[1] in world.clock.waits)
    world.faults.down = False
    await passes(world, world.timing.settle_waits[1])
    assert await running is None
    ended = await world.read(started)
    assert (ended.status, ended.attempt) == (Status.SUCCEEDED, 1)


async def test_store_fails_at_the_end(make: Callable[..., World]) -> None:
    """A result that cannot be written is an error to the orchestrator; a later delivery repeats the work."""

    async def handler(context: ActionContext, request: Input) -> None:
        world.faults.down = context.attempt == 1

    world = make(handler, retry=Retry(max_attempts=2))
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    for wait in world.timing.settle_waits:
        await passes(world, wait)
    with pytest.raises(StorageError):
        await running
    world.faults.down = False
    world.clock.pass_by(seconds=30)
    assert await world.run(started) is None
    assert (await world.read(started)).status is Status.SUCCEEDED


async def test_result_that_is_not_taken_at_once(make: Callable[..., World]) -> None:
    """A large result whose store fails once is stored on the next try, within the same attempt."""

    async def handler(context: ActionContext, request: Input) -> Output:
        world.faults.at, world.faults.fault = world.faults.writes + 1, "down"
        return Output(file_name="x" * 50_000)

    world = make(handler)
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await passes(world, world.timing.result_waits[0])
    assert await running is None
    ended = await world.read(started)
    assert (ended.status, ended.attempt) == (Status.SUCCEEDED, 1)


async def test_result_that_cannot_be_stored(make: Callable[..., World]) -> None:
    """A result that storage never takes counts as a failed attempt, so the work is not repeated without end."""

    async def handler(context: ActionContext, request: Input) -> Output:
        world.faults.at, world.faults.fault, world.faults.lasting = world.faults.writes + 1, "down", True
        return Output(file_name="x" * 50_000)

    world = make(handler)
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    for wait in world.timing.result_waits:
        await passes(world, wait)
    await until(lambda: world.timing.settle_waits[0] in world.clock.waits)
    world.faults.at = 0
    await passes(world, world.timing.settle_waits[0])
    assert await running is None
    ended = await world.read(started)
    assert ended.outcome is not None
    assert ended.outcome.error is not None
    assert (ended.status, ended.outcome.error.code) == (Status.FAILED, "ResultNotStored")
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_end_that_was_stored_unheard_keeps_its_result(make: Callable[..., World]) -> None:
    """The write of the end is done, its answer is lost, and looking for it fails too: the result must stay."""

    async def handler(context: ActionContext, request: Input) -> Output:
        world.faults.at, world.faults.fault, world.faults.failing_reads = world.faults.writes + 2, "lost", 1
        return Output(file_name="x" * 50_000)

    world = make(handler)
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await passes(world, world.timing.settle_waits[0])
    assert await running is None
    assert world.faults.failing_reads == 0
    ended = await world.read(started)
    assert ended.outcome is not None
    assert ended.outcome.body is not None
    assert (ended.status, ended.attempt) == (Status.SUCCEEDED, 1)
    assert await world.records.load_payload(ended.outcome.body) is not None


@pytest.mark.parametrize(("used", "left"), [(0, 585), (540, 45), (9_999, 5)])
async def test_settling_ends_before_the_host_cuts_it_off(make: Callable[..., World], used: float, left: float) -> None:
    """Where storage hangs at the end, the activity returns before functionTimeout: a cut-off restarts the host."""

    async def handler(context: ActionContext, request: Input) -> None:
        world.clock.pass_by(seconds=used)
        world.faults.at, world.faults.fault = world.faults.writes + 1, "hang"

    no_heartbeat = Timing(heartbeat=24 * 3600)
    world = make(handler, timeout="3h", function_timeout=timedelta(minutes=10), timing=no_heartbeat)
    running = asyncio.create_task(world.run(await world.start()))
    await passes(world, left)
    # What has begun gets a moment more.
    await passes(world, world.timing.cancel_grace)
    with pytest.raises(StorageUnavailable):
        await running


async def passes(world: World, seconds: float) -> None:
    """Somebody comes to wait for so long, and has waited."""
    await until(lambda: seconds in world.clock.waits)
    await world.clock.run_for(seconds=seconds)


@pytest.mark.parametrize("fault", ["lost", "lost-before"])
@pytest.mark.parametrize("at", [2, 3], ids=["claim", "end"])
async def test_lost_answers(make: Callable[..., World], fault: Any, at: int) -> None:
    """A claim or an end whose answer is lost happens once."""
    world = make(echo)
    world.faults.at, world.faults.fault = at, fault
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    if fault == "lost-before":
        await passes(world, 0.05)
    assert await running is None
    ended = await world.read(started)
    assert (ended.status, ended.fence, ended.attempt) == (Status.SUCCEEDED, 1, 1)


class Unreadable:
    """A policy as a broken declaration might leave it: whatever is read of it fails."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"a broken declaration has no {name}")


async def fails(context: ActionContext, request: Input) -> None:
    raise RuntimeError("the handler fails, and the policy that says what follows is broken")


@pytest.mark.parametrize(
    ("handler", "broken", "status"),
    [(echo, "timeout", Status.NOT_STARTED), (fails, "retry", Status.RUNNING)],
    ids=["before the claim", "after it"],
)
async def test_broken_declaration(make: Callable[..., World], handler: Any, broken: str, status: Status) -> None:
    """Where the app fails around a handler, that is counted in the record, and the third time ends the operation."""
    world = make(handler)
    setattr(next(iter(world.actions.values())), broken, Unreadable())
    started = await world.start()
    for number, wait in enumerate(world.timing.dispatch_waits, start=1):
        due = await world.run(started)
        stored = await world.read(started)
        assert (stored.status, stored.dispatch_failures, stored.lease_until) == (status, number, None)
        assert due == stored.not_before == world.clock.now() + timedelta(seconds=wait)
        assert await world.run(started) == due  # not before its time
        world.clock.pass_by(seconds=wait)
    assert await world.run(started) is None
    stored = await world.read(started)
    assert (stored.status, error_code(stored), stored.failures) == (Status.FAILED, "DispatchFailed", 0)


async def test_broken_declaration_of_what_must_not_run_twice(make: Callable[..., World]) -> None:
    """Where its handler may have run when the app failed around it, it is not tried again."""
    world = make(fails, at_most_once=True)
    next(iter(world.actions.values())).retry = Unreadable()
    started = await world.start()
    assert await world.run(started) is None
    stored = await world.read(started)
    assert (stored.status, error_code(stored), stored.fence) == (Status.FAILED, "DispatchFailed", 1)


async def test_dispatch_failures_in_a_row(make: Callable[..., World]) -> None:
    """An attempt that was run, whatever its end, starts the count anew."""

    async def later(context: ActionContext, request: Input) -> None:
        raise RuntimeError("again")

    world = make(later, retry=Retry(max_attempts=9, delay="1s"))
    (declared,) = world.actions.values()
    started = await world.start()
    retry, declared.retry = declared.retry, Unreadable()  # type: ignore[assignment]
    await world.run(started)
    assert (await world.read(started)).dispatch_failures == 1
    declared.retry = retry
    world.clock.pass_by(seconds=60)
    await world.run(started)
    assert ((await world.read(started)).dispatch_failures, (await world.read(started)).failures) == (0, 1)


async def test_a_store_that_is_away_fails_nothing(make: Callable[..., World]) -> None:
    """An hour without storage is no failure of the operation: it is run once the store is back."""
    world = make(echo)
    started = await world.start()
    world.faults.down = True
    for _ in range(60):
        with pytest.raises(StorageError):
            await world.runner.run(Work.of(started))
        world.clock.pass_by(minutes=1)
    world.faults.down = False
    assert await world.run(started) is None
    stored = await world.read(started)
    assert (stored.status, stored.failures, stored.dispatch_failures) == (Status.SUCCEEDED, 0, 0)
