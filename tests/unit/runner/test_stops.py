"""Attempts that run out of time or are canceled."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.actions import ActionContext, Retry, SyncActionContext
from shared.model.operation import Status
from tests.support.parts import Input, World
from tests.unit.runner.handlers import Output, begun, claim_elsewhere, error_code, forever, until


@pytest.mark.parametrize("stubborn", [False, True], ids=["stops", "goes on"])
async def test_async_timeout(make: Callable[..., World], stubborn: bool) -> None:
    """An async handler is cancelled at its deadline, and left behind where it goes on: a failed attempt."""
    entered, released = asyncio.Event(), asyncio.Event()
    stopped: list[float] = []

    async def handler(context: ActionContext, request: Input) -> None:
        entered.set()
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                stopped.append(world.clock.monotonic())
                if not stubborn:
                    raise

    world = make(handler, timeout="100ms")
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await entered.wait()
    await world.clock.run_for(seconds=0.1)
    if stubborn:
        await world.clock.run_for(seconds=world.timing.cancel_grace)
    assert await running is None
    assert stopped[0] == 0.1
    assert error_code(await world.read(started)) == "AttemptTimedOut"
    released.set()


async def test_sync_timeout_abandons_the_thread(make: Callable[..., World], caplog: pytest.LogCaptureFixture) -> None:
    """A thread that does not stop is abandoned, counted and logged; its place is free, its result never written."""
    release = threading.Event()
    entered: list[str] = []
    left: list[str] = []

    def handler(context: SyncActionContext, request: Input) -> None:
        if request.file_name == "slow":
            entered.append(context.operation_id)
            release.wait(20)
            left.append(context.operation_id)

    world = make(handler, timeout="100ms", retry=Retry(max_attempts=2, delay="1s"))
    slow = [await world.start(input_json=b'{"fileName":"slow"}') for _ in range(2)]
    running = [asyncio.create_task(world.run(operation)) for operation in slow]
    await until(lambda: len(entered) == 2)
    await world.clock.run_for(seconds=0.1 + world.timing.cancel_grace)
    assert await asyncio.gather(*running) == [world.clock.now() + timedelta(seconds=1)] * 2
    assert world.threads.abandoned == 2
    assert "Abandoned a handler's thread" in caplog.text
    quick = await world.start()
    await world.run(quick)
    assert (await world.read(quick)).status is Status.SUCCEEDED
    release.set()
    await until(lambda: len(left) == 2)
    waiting = await world.read(slow[0])
    assert (waiting.status, waiting.lease_until) == (Status.RUNNING, None)


async def test_sync_handler_sees_its_deadline(make: Callable[..., World]) -> None:
    """raise_if_canceled also stops a sync handler that is over its deadline: no thread is abandoned then."""
    entered = threading.Event()

    def handler(context: SyncActionContext, request: Input) -> None:
        entered.set()
        for _ in range(2000):
            context.raise_if_canceled()
            time.sleep(0.01)

    world = make(handler, timeout="100ms")
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await until(entered.is_set)
    await world.clock.run_for(seconds=0.1)
    await running
    assert error_code(await world.read(started)) == "AttemptTimedOut"
    assert world.threads.abandoned == 0


async def test_returns_before_the_host_gives_up(make: Callable[..., World]) -> None:
    """The activity returns 60 s before functionTimeout even where the handler uses all of its grace."""
    entered, release = threading.Event(), threading.Event()

    def handler(context: SyncActionContext, request: Input) -> None:
        entered.set()
        release.wait(20)

    world = make(handler, timeout="200ms", function_timeout=timedelta(seconds=60.25))
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await until(entered.is_set)
    await world.clock.run_for(seconds=0.25)
    await running
    assert error_code(await world.read(started)) == "AttemptTimedOut"
    release.set()


async def test_deadline_of_the_operation(make: Callable[..., World]) -> None:
    """After its deadline an operation fails without running; a retry that would come after it is not waited for."""

    async def handler(context: ActionContext, request: Input) -> None:
        raise ValueError

    world = make(handler, retry=Retry(max_attempts=9, delay="1h", max_delay="1h"))
    first, second = await world.start(), await world.start()
    world.clock.pass_by(hours=23, minutes=30)
    assert await world.run(first) is None
    assert error_code(await world.read(first)) == "ActionError"
    world.clock.pass_by(minutes=30)
    assert await world.run(second) is None
    assert error_code(await world.read(second)) == "DeadlineExceeded"


async def test_cancel_here(make: Callable[..., World]) -> None:
    """A cancel on the same instance reaches an async handler at once, and its cleanup runs to the end."""
    steps: list[str] = []

    async def handler(context: ActionContext, request: Input) -> None:
        steps.append("in")
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.02)
            steps.append("clean")

    world = make(handler)
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await until(lambda: steps)
    assert (await world.service.cancel("", started.id)).status is Status.CANCELING
    assert await running is None
    ended = await world.read(started)
    assert (ended.status, error_code(ended)) == (Status.CANCELED, "OperationCanceled")
    assert steps == ["in", "clean"]


async def test_cancel_here_sync(make: Callable[..., World]) -> None:
    """A sync handler sees a cancel through raise_if_canceled."""
    running_now = threading.Event()

    def handler(context: SyncActionContext, request: Input) -> None:
        running_now.set()
        for _ in range(300):
            context.raise_if_canceled()
            time.sleep(0.01)

    world = make(handler)
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await until(running_now.is_set)
    await world.service.cancel("", started.id)
    await running
    assert (await world.read(started)).status is Status.CANCELED


async def test_cancel_elsewhere(make: Callable[..., World]) -> None:
    """A cancel written by another instance is found by the heartbeat."""
    world = make(forever)
    elsewhere = World(world.storage, *world.actions.values())
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await begun(world)
    await elsewhere.service.cancel("", started.id)
    assert not running.done()
    await world.clock.run_for(seconds=world.timing.heartbeat)
    await running
    assert (await world.read(started)).status is Status.CANCELED


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
async def test_cancel_ignored_until_the_deadline(make: Callable[..., World], sync: bool) -> None:
    """A handler that ignores its cancel is given up at its deadline, and the operation is Canceled, not Failed."""
    running_now, release = threading.Event(), threading.Event()
    released = asyncio.Event()

    async def handler(context: ActionContext, request: Input) -> None:
        running_now.set()
        while not released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await released.wait()

    def blocking(context: SyncActionContext, request: Input) -> None:
        running_now.set()
        release.wait(20)

    world = make(blocking if sync else handler, timeout="200ms")
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await until(running_now.is_set)
    await world.service.cancel("", started.id)
    await world.clock.run_for(seconds=0.1)
    assert not running.done()
    await world.clock.run_for(seconds=0.1 + world.timing.cancel_grace)
    await running
    assert (await world.read(started)).status is Status.CANCELED
    release.set()
    released.set()


async def test_cancel_too_late(make: Callable[..., World]) -> None:
    """A handler that returns after the cancel has succeeded: what is done is done."""
    inside = asyncio.Event()

    async def handler(context: ActionContext, request: Input) -> Output:
        inside.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(30)
        return Output(file_name="done")

    world = make(handler)
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await inside.wait()
    await world.service.cancel("", started.id)
    await running
    assert (await world.read(started)).status is Status.SUCCEEDED


async def test_failure_after_cancel_is_not_retried(make: Callable[..., World]) -> None:
    """What fails after a cancel request ends Canceled instead of being tried again."""
    inside = asyncio.Event()

    async def handler(context: ActionContext, request: Input) -> None:
        inside.set()
        try:
            await asyncio.sleep(30)
        finally:
            raise ValueError("cleanup failed")

    world = make(handler, retry=Retry(max_attempts=3))
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await inside.wait()
    await world.service.cancel("", started.id)
    assert await running is None
    assert (await world.read(started)).status is Status.CANCELED


async def test_canceling_left_behind(make: Callable[..., World]) -> None:
    """A delivery that finds Canceling without a live lease confirms it; no handler runs."""
    world = make(forever)
    started = await world.start()
    await claim_elsewhere(world, started)
    await world.service.cancel("", started.id)
    world.clock.pass_by(seconds=30)
    assert await world.run(started) is None
    assert (await world.read(started)).status is Status.CANCELED


async def test_handler_that_cancels_itself(make: Callable[..., World]) -> None:
    """A CancelledError nobody asked for is a failed attempt, not a cancel."""

    async def handler(context: ActionContext, request: Input) -> None:
        raise asyncio.CancelledError

    world = make(handler)
    started = await world.start()
    await world.run(started)
    assert error_code(await world.read(started)) == "AttemptInterrupted"
