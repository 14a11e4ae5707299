"""What becomes of attempts whose instance is told to stop."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.actions import ActionContext, ActionFailed, Retry, SyncActionContext
from shared.engine.port import Work
from shared.model.operation import Operation, Status
from shared.model.timing import Timing
from shared.operations.stopping import Stopping
from tests.support.parts import Input, World
from tests.unit.runner.handlers import Output, echo, error_code, until


class Watched:
    """Handlers that say that they have begun, and end when they are let go of."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.release = threading.Event()
        self.stopped: list[str] = []

    async def waits(self, context: ActionContext, request: Input) -> None:
        self.begun.set()
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            self.stopped.append("canceled" if context.cancel_requested else "interrupted")
            raise

    def blocks(self, context: SyncActionContext, request: Input) -> Output:
        self.begun.set()
        self.release.wait(20)
        if context.cancel_requested:
            self.stopped.append("flag")
        context.raise_if_canceled()
        return Output(file_name="done")

    def blocks_and_fails(self) -> None:
        self.begun.set()
        self.release.wait(20)
        raise ValueError("broken")


async def test_async_attempt_is_given_back(make: Callable[..., World]) -> None:
    """An async handler is interrupted; the next claim is due at once and counts as the same attempt."""
    watched = Watched()
    world = make(watched.waits)
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await until(watched.begun.is_set)
    await Stopping(world.live).stopping()
    assert await running == world.clock.now()
    waiting = await world.read(started)
    assert (waiting.status, waiting.lease_until, waiting.holder) == (Status.RUNNING, None, "")
    assert (waiting.failures, waiting.losses, waiting.not_before) == (0, 0, world.clock.now())
    assert [each.outcome for each in waiting.attempts] == ["GivenBack"]
    assert watched.stopped == ["interrupted"]
    # This instance claims it no more; another one does at once.
    assert await world.run(started) == world.clock.now() + timedelta(seconds=world.timing.stop_within)
    other = World(world.storage, *world.actions.values(), clock=world.clock)
    running = asyncio.create_task(other.run(started))
    await until(lambda: started.locator in other.live._attempts)
    claimed = await world.read(started)
    assert (claimed.attempt, claimed.fence) == (1, 2)
    await Stopping(other.live).stopping()
    await running


async def test_new_work_waits_for_another_instance(make: Callable[..., World]) -> None:
    """What is delivered while the instance stops is not claimed."""
    world = make(echo)
    started = await world.start()
    await Stopping(world.live).stopping()
    assert await world.run(started) == world.clock.now() + timedelta(seconds=5)
    assert (await world.read(started)).status is Status.NOT_STARTED


async def test_a_claim_that_comes_with_the_stop(make: Callable[..., World]) -> None:
    """Where the claim was being written when the stop came, the handler is not called."""
    calls: list[int] = []

    async def handler(context: ActionContext, request: Input) -> None:
        calls.append(1)

    world = make(handler, at_most_once=True)
    started = await world.start()
    change, stops = world.records.change, list[asyncio.Task[None]]()

    async def stopped_meanwhile(*arguments: Any) -> Operation:
        stops.append(asyncio.create_task(Stopping(world.live).stopping()))
        await until(lambda: world.live.is_stopping)
        world.records.change = change
        return await change(*arguments)

    world.records.change = stopped_meanwhile
    assert await world.run(started) is not None
    await asyncio.gather(*stops)
    waiting = await world.read(started)
    assert (waiting.status, waiting.lease_until, calls) == (Status.RUNNING, None, [])


async def test_thread_keeps_its_lease_until_it_lets_go(make: Callable[..., World]) -> None:
    """A `def` handler sees its flag; it is given back when it returns, not before, and the stop waits 5 s at most."""
    watched = Watched()
    world = make(watched.blocks, retry=Retry(max_attempts=3))
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await until(watched.begun.is_set)
    stopping = asyncio.create_task(Stopping(world.live).stopping())
    await until(lambda: world.timing.stop_within in world.clock.waits)
    await world.clock.run_for(seconds=world.timing.stop_within - 0.1)
    assert not stopping.done()
    await world.clock.run_for(seconds=0.1)
    await stopping
    held = await world.read(started)
    assert (held.status, held.fence) == (Status.RUNNING, 1)
    assert held.lease_until is not None
    watched.release.set()
    assert await running is not None
    assert watched.stopped == ["flag"]
    waiting = await world.read(started)
    assert (waiting.lease_until, waiting.failures, [each.outcome for each in waiting.attempts]) == (
        None, 0, ["GivenBack"],
    )  # fmt: skip


async def test_who_waits_for_a_thread_claims_nothing(make: Callable[..., World]) -> None:
    """What gets its thread only when the instance stops goes to another one, unclaimed."""
    watched = Watched()
    world = make(watched.blocks, at_most_once=True)
    operations = [await world.start() for _ in range(3)]
    runs = [asyncio.create_task(world.run(each)) for each in operations[:2]]
    await until(lambda: sum(a.has_begun for a in world.live._attempts.values()) == 2)
    waiting = asyncio.create_task(world.run(operations[2]))
    await until(lambda: world.timing.place_wait in world.clock.waits)
    stopping = asyncio.create_task(Stopping(world.live).stopping())
    await until(lambda: world.live.is_stopping)
    watched.release.set()
    assert await waiting == world.clock.now() + timedelta(seconds=world.timing.stop_within)
    await asyncio.gather(stopping, *runs)
    assert [(await world.read(each)).status for each in operations] == [Status.SUCCEEDED] * 2 + [Status.NOT_STARTED]
    assert watched.stopped == []


async def test_async_that_must_not_run_twice_is_lost(make: Callable[..., World]) -> None:
    """It is interrupted, and the operation ends by its own hand as AttemptLost: nobody waits for a lease."""
    watched = Watched()
    world = make(watched.waits, at_most_once=True)
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await until(watched.begun.is_set)
    await Stopping(world.live).stopping()
    assert await running is None
    ended = await world.read(started)
    assert (ended.status, error_code(ended), ended.losses) == (Status.FAILED, "AttemptLost", 1)


@pytest.mark.parametrize("policies", [{}, {"at_most_once": True}], ids=str)
async def test_a_result_is_kept(make: Callable[..., World], policies: dict[str, bool]) -> None:
    """A handler that ends its work all the same has succeeded."""
    begun = asyncio.Event()

    async def handler(context: ActionContext, request: Input) -> Output:
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(1000)
        return Output(file_name="done")

    world = make(handler, **policies)
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await begun.wait()
    await Stopping(world.live).stopping()
    assert await running is None
    assert (await world.read(started)).status is Status.SUCCEEDED


async def test_a_cancel_goes_first(make: Callable[..., World]) -> None:
    """An operation that was canceled before the stop ends Canceled."""
    watched = Watched()
    world = make(watched.blocks)
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await until(watched.begun.is_set)
    await world.service.cancel("", started.id)
    stopping = asyncio.create_task(Stopping(world.live).stopping())
    watched.release.set()
    await asyncio.gather(stopping, running)
    assert (await world.read(started)).status is Status.CANCELED


async def test_a_failure_under_a_stop_is_an_interruption(make: Callable[..., World]) -> None:
    """What a handler raises because it was interrupted is no failed attempt."""
    begun = asyncio.Event()

    async def handler(context: ActionContext, request: Input) -> None:
        begun.set()
        try:
            await asyncio.sleep(1000)
        finally:
            raise ValueError("cleanup failed")

    world = make(handler)
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await begun.wait()
    await Stopping(world.live).stopping()
    await running
    waiting = await world.read(started)
    assert (waiting.status, waiting.failures, waiting.lease_until) == (Status.RUNNING, 0, None)


@pytest.mark.parametrize(
    ("failure", "policies", "code"),
    [
        (ActionFailed("PaymentRefused", "no cover"), {"at_most_once": True}, "PaymentRefused"),
        (ActionFailed("PaymentRefused", "no cover", retryable=True), {"at_most_once": True}, "PaymentRefused"),
        (ValueError("broken"), {"at_most_once": True}, "ActionError"),
        (ActionFailed("PaymentRefused", "no cover"), {}, "PaymentRefused"),
        (ActionFailed("PaymentRefused", "no cover"), {"retry": Retry(max_attempts=3)}, "PaymentRefused"),
        (ValueError("broken"), {}, "ActionError"),
    ],
    ids=str,
)
@pytest.mark.parametrize("by", ["signal", "host"])
async def test_a_thread_that_fails_by_itself(
    make: Callable[..., World], failure: Exception, policies: dict[str, Any], code: str, by: str
) -> None:
    """What a `def` handler raises of its own while the instance stops is how it ended: no loss, and not run again."""
    begun, release = threading.Event(), threading.Event()

    def handler(context: SyncActionContext, request: Input) -> None:
        begun.set()
        release.wait(20)
        raise failure

    world = make(handler, **policies)
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await until(begun.is_set)
    if by == "host":
        running.cancel()
        await until(lambda: world.timing.stop_grace in world.clock.waits)
    else:
        world.live.is_stopping = True
        world.live._attempts[started.locator].give_back()
    release.set()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    ended = await world.read(started)
    assert (ended.status, error_code(ended), ended.losses) == (Status.FAILED, code, 0)


async def test_a_thread_whose_failure_is_tried_again(make: Callable[..., World]) -> None:
    """A failure of its own under a stop counts as one, and waits as any failure does."""
    watched = Watched()

    def handler(context: SyncActionContext, request: Input) -> None:
        watched.blocks_and_fails()

    world = make(handler, retry=Retry(max_attempts=3))
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await until(watched.begun.is_set)
    stopping = asyncio.create_task(Stopping(world.live).stopping())
    await until(lambda: world.live.is_stopping)
    watched.release.set()
    await asyncio.gather(stopping, running)
    waiting = await world.read(started)
    assert (waiting.status, waiting.failures, [each.outcome for each in waiting.attempts]) == (
        Status.RUNNING, 1, ["Failed"],
    )  # fmt: skip


async def test_an_async_handler_that_failed_before_the_stop(make: Callable[..., World]) -> None:
    """A stop that comes when it has ended already has reached nobody: its own error stands."""

    async def handler(context: ActionContext, request: Input) -> None:
        asyncio.get_running_loop().call_soon(lambda: next(iter(world.live._attempts.values())).give_back())
        raise ActionFailed("PaymentRefused", "no cover")

    world = make(handler, at_most_once=True)
    started = await world.start()
    assert await world.run(started) is None
    ended = await world.read(started)
    assert (error_code(ended), ended.losses) == ("PaymentRefused", 0)


@pytest.mark.parametrize("once", [False, True], ids=["again", "once"])
async def test_host_that_cancels_a_thread(make: Callable[..., World], once: bool) -> None:
    """A host that cancels its activities instead has them given back; a thread that runs on keeps its lease."""
    watched = Watched()
    world = make(watched.blocks, at_most_once=once)
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await until(watched.begun.is_set)
    running.cancel()
    await until(lambda: world.timing.stop_grace in world.clock.waits)
    await world.clock.run_for(seconds=world.timing.stop_grace)
    with pytest.raises(asyncio.CancelledError):
        await running
    held = await world.read(started)
    assert (held.status, held.fence) == (Status.RUNNING, 1)
    assert held.lease_until is not None
    watched.release.set()


async def test_host_that_cancels_what_must_not_run_twice(make: Callable[..., World]) -> None:
    """An async handler that was canceled with its activity ends as AttemptLost."""
    watched = Watched()
    world = make(watched.waits, at_most_once=True)
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await until(watched.begun.is_set)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert error_code(await world.read(started)) == "AttemptLost"


async def stalled(
    make: Callable[..., World], watched: Watched
) -> "tuple[World, Operation, asyncio.Task[datetime | None]]":
    """A `def` handler runs, in a process that has had no time for its lease for half an hour."""
    world = make(watched.blocks, timing=Timing(heartbeat=10_000, young_wait=0), timeout="1h")
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await until(watched.begun.is_set)
    world.clock.pass_by(minutes=30)
    return world, started, running


async def test_a_process_that_stalled_loses_nothing(make: Callable[..., World]) -> None:
    """Its leases have run out meanwhile: neither a pass, nor a request, nor the engine's second delivery starts what
    still runs here, and its end counts."""
    watched = Watched()
    world, started, running = await stalled(make, watched)
    try:
        stored = await world.read(started)
        assert stored.lease_until is not None
        assert stored.lease_until <= world.clock.now()
        await world.housekeeping.run(world.engine)
        await world.service.poll(started.owner, started.id, world.engine)
        assert await world.run(started) == world.clock.now() + world.timing.lease
        assert await world.read(started) == stored
    finally:
        watched.release.set()
        again = await running
    assert again is None
    ended = await world.read(started)
    assert (ended.status, ended.attempt, ended.losses) == (Status.SUCCEEDED, 1, 0)


async def test_a_stall_between_a_delivery_and_its_claim(make: Callable[..., World]) -> None:
    """Two deliveries have read the record when one of them claims, and all stalls: the other one claims nothing."""
    watched, begun = Watched(), list[asyncio.Task[datetime | None]]()
    world = make(watched.blocks, timing=Timing(heartbeat=10_000, young_wait=0), timeout="1h")
    started = await world.start()
    world.live.starts.take(Work.of(started))

    async def another_claims(*_: object) -> None:
        world.faults.before = None
        begun.append(asyncio.create_task(world.run(started)))
        await until(watched.begun.is_set)
        world.clock.pass_by(minutes=30)

    world.faults.before = another_claims
    try:
        await world.run(started)
        stored = await world.read(started)
    finally:
        watched.release.set()
        again = await begun[0]
    assert (stored.fence, stored.losses, again) == (1, 0, None)
    assert (await world.read(started)).status is Status.SUCCEEDED


async def test_a_cancel_where_a_process_has_stalled(make: Callable[..., World]) -> None:
    """What still runs here is asked to stop, and is not over before it has."""
    watched = Watched()
    world, started, running = await stalled(make, watched)
    try:
        asked = await world.service.cancel(started.owner, started.id)
    finally:
        watched.release.set()
        await running
    assert asked.status is Status.CANCELING
    ended = await world.read(started)
    assert (ended.status, ended.losses, watched.stopped) == (Status.CANCELED, 0, ["flag"])


async def test_an_end_that_is_being_written_is_not_lost(make: Callable[..., World]) -> None:
    """While the store does not take it, nobody in this process takes the attempt for lost."""
    world = make(echo)
    started = await world.start()
    world.faults.at, world.faults.fault = world.faults.writes + 2, "down"
    running = asyncio.create_task(world.run(started))
    await until(lambda: world.timing.settle_waits[0] in world.clock.waits)
    assert world.live.runs(await world.read(started))
    await world.clock.run_for(seconds=5)
    await running
    ended = await world.read(started)
    assert ended.status is Status.SUCCEEDED
    assert not world.live.runs(ended)


async def test_an_attempt_that_hangs_holds_nothing_for_ever(make: Callable[..., World]) -> None:
    """However long its end takes: past its deadline and some patience others may take the operation over."""
    watched, timing = Watched(), Timing(heartbeat=10_000, cancel_grace=1000, young_wait=0)
    world = make(watched.blocks, timing=timing, timeout="10m")
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await until(watched.begun.is_set)
    world.clock.pass_by(minutes=10)
    try:
        before = world.live.runs(await world.read(started))
        world.clock.pass_by(seconds=timing.stuck_after.total_seconds())
        after = world.live.runs(await world.read(started))
        report = await world.tidy()
    finally:
        watched.release.set()
        await running
    assert (before, after, report.restarted) == (True, False, 1)
