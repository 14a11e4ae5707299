"""One attempt: what a handler does, what becomes of the record, and what it costs."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.actions import ActionContext, ActionFailed, ErrorDetail, Model, Retry, action
from shared.actions.declaration import Action
from shared.engine.port import Work
from shared.errors import StorageError
from shared.operations import attempt as attempt_module
from shared.operations import lifecycle, runner
from shared.operations.model import Operation, Status
from tests.unit.parts import Faults, FaultyStorage, Input, World, sqlite

Handler = Callable[..., Any]


class Output(Model):
    """What a handler here returns."""

    file_name: str


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[FaultyStorage]:
    async with sqlite(tmp_path) as inner:
        yield FaultyStorage(inner, Faults())


@pytest.fixture
def make(storage: FaultyStorage) -> Callable[..., World]:
    """A world with one action, `test:work`, whose handler and policies the test gives."""

    def make(handler: Handler, *, function_timeout: timedelta | None = None, **policies: Any) -> World:
        declared = action("test:work", post="thing/{id}:work", **policies)(handler)
        return World(storage, declared, function_timeout=function_timeout)

    return make


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Handlers get half a second to stop."""
    monkeypatch.setattr(runner, "_GRACE", 0.3)


async def echo(context: ActionContext, request: Input) -> Output:
    return Output(file_name=request.file_name)


async def forever(context: ActionContext, request: Input) -> None:
    await asyncio.sleep(30)


def error_code(operation: Operation) -> str | None:
    return operation.outcome.error.code if operation.outcome and operation.outcome.error else None


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(3):
        while not condition():  # noqa: ASYNC110 - what is waited for is in a thread or in the store
            await asyncio.sleep(0.005)


# How it ends


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
async def test_succeed(make: Callable[..., World], sync: bool) -> None:
    """A result is stored as JSON with its wire names; nothing is left to do, and a further delivery does nothing."""

    def blocking(context: ActionContext, request: Input) -> Output:
        assert threading.current_thread() is not threading.main_thread()
        return Output(file_name=request.file_name)

    world = make(blocking if sync else echo)
    started = await world.start()
    assert await world.run(started) is None
    ended = await world.read(started)
    assert ended.status is Status.SUCCEEDED
    assert ended.outcome is not None
    assert ended.outcome.body is not None
    assert (ended.outcome.status_code, ended.outcome.body.text) == (200, '{"fileName":"a.txt"}')
    assert await world.run(started) is None
    assert await world.read(started) == ended


async def test_nothing_to_return(make: Callable[..., World]) -> None:
    """A handler declared to return nothing ends as 204."""

    async def handler(context: ActionContext) -> None: ...

    world = World(make(echo).storage, action("test:work", post="thing:work")(handler))
    started = await world.start()
    await world.run(started)
    ended = await world.read(started)
    assert ended.outcome is not None
    assert (ended.status, ended.outcome.status_code, ended.outcome.body) == (Status.SUCCEEDED, 204, None)


async def test_requests(make: Callable[..., World]) -> None:
    """A start is one write and no read; a poll one read; the end of an attempt one write."""
    world = make(echo)
    started = await world.start()
    assert (world.faults.writes, world.faults.reads) == (1, 0)
    await world.service.get("", started.id)
    assert (world.faults.writes, world.faults.reads) == (1, 1)
    await world.runner.run(Work.of(started))
    assert (world.faults.writes, world.faults.reads) == (3, 2)  # claim and end


async def test_no_task_is_left(make: Callable[..., World]) -> None:
    """Neither heartbeat nor loop watch outlives the attempt."""
    world = make(echo)
    await world.run(await world.start())
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_invalid_result(make: Callable[..., World]) -> None:
    """A handler that returns something else than it declares fails for good, without its value being shown."""

    async def handler(context: ActionContext, request: Input) -> Output:
        return {"secret": 1}  # type: ignore[return-value]

    world = make(handler, retry=Retry(max_attempts=3))
    started = await world.start()
    assert await world.run(started) is None
    ended = await world.read(started)
    assert (ended.status, error_code(ended)) == (Status.FAILED, "InvalidResult")
    assert "secret" not in str(ended.outcome)


async def test_action_failed(make: Callable[..., World]) -> None:
    """A deliberate failure is final whatever the policy, and stored as the handler wrote it."""

    async def handler(context: ActionContext, request: Input) -> None:
        raise ActionFailed("Bad", "No.", target="id", details=[ErrorDetail("D", "m")], status_code=422)

    world = make(handler, retry=Retry(max_attempts=3))
    started = await world.start()
    assert await world.run(started) is None
    ended = await world.read(started)
    assert ended.outcome is not None
    assert ended.outcome.error is not None
    assert (ended.status, ended.outcome.status_code, ended.attempt) == (Status.FAILED, 422, 1)
    assert (ended.outcome.error.code, ended.outcome.error.target) == ("Bad", "id")
    assert ended.outcome.error.details == (ErrorDetail("D", "m"),)


async def test_endless_message_is_cut(make: Callable[..., World]) -> None:
    """However much a handler says, the record takes it: otherwise the operation could never end."""

    async def handler(context: ActionContext, request: Input) -> None:
        details = [ErrorDetail("\0" * 10_000, "\0" * 10_000, "\0" * 10_000)] * 50
        raise ActionFailed("C" * 10_000, "\U0001f600" * 100_000, target="t" * 10_000, details=details)

    world = make(handler)
    started = await world.start()
    await world.run(started)
    assert (await world.read(started)).status is Status.FAILED


@pytest.mark.parametrize("error", [ValueError("secret"), StopIteration(), SystemExit(3)], ids=repr)
@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
async def test_unexpected_exception(
    make: Callable[..., World], caplog: pytest.LogCaptureFixture, error: BaseException, sync: bool
) -> None:
    """Whatever a handler raises is a failed attempt; the record names its type, the log has the rest."""

    async def handler(context: ActionContext, request: Input) -> None:
        raise error

    def blocking(context: ActionContext, request: Input) -> None:
        raise error

    world = make(blocking if sync else handler)
    started = await world.start()
    assert await world.run(started) is None
    ended = await world.read(started)
    assert error_code(ended) == "ActionError"
    assert "secret" not in str(ended.outcome)
    assert "The handler raised" in caplog.text


async def test_retries_with_waits(make: Callable[..., World]) -> None:
    """Attempts follow each other at the policy's waits, not earlier, and the last one's error is the operation's."""
    attempts: list[int] = []

    async def handler(context: ActionContext, request: Input) -> None:
        attempts.append(context.attempt)
        raise ValueError(f"try {context.attempt}")

    world = make(handler, retry=Retry(max_attempts=3, delay="10s", backoff=3))
    started = await world.start()
    assert await world.run(started) == world.clock() + timedelta(seconds=10)
    waiting = await world.read(started)
    assert waiting.status is Status.NOT_STARTED
    assert waiting.last_error is not None
    assert await world.run(started) == waiting.not_before
    assert attempts == [1]
    world.clock.pass_by(seconds=10)
    assert await world.run(started) == world.clock() + timedelta(seconds=30)
    world.clock.pass_by(seconds=30)
    assert await world.run(started) is None
    assert attempts == [1, 2, 3]
    assert error_code(await world.read(started)) == "ActionError"


async def test_retryable_failure(make: Callable[..., World]) -> None:
    """ActionFailed(retryable=True) is retried while attempts are left, then stored with its own code."""

    async def handler(context: ActionContext, request: Input) -> None:
        raise ActionFailed("Busy", "Later.", retryable=True, status_code=503)

    world = make(handler, retry=Retry(max_attempts=2))
    started = await world.start()
    assert await world.run(started) is not None
    world.clock.pass_by(minutes=1)
    assert await world.run(started) is None
    ended = await world.read(started)
    assert ended.outcome is not None
    assert (error_code(ended), ended.outcome.status_code) == ("Busy", 503)


async def test_lost_attempt_is_repeated_and_counted(make: Callable[..., World]) -> None:
    """A claim whose holder died is followed by the next attempt once its lease is over, until none is left."""
    world = make(echo, retry=Retry(max_attempts=2))
    started = await world.start()
    await claim_elsewhere(world, started)
    lease = (await world.read(started)).lease_until
    assert await world.run(started) == lease
    assert (await world.read(started)).fence == 1
    world.clock.pass_by(seconds=30)
    assert await world.run(started) is None
    ended = await world.read(started)
    assert (ended.status, ended.fence, ended.attempt) == (Status.SUCCEEDED, 2, 2)


async def test_last_attempt_lost(make: Callable[..., World]) -> None:
    """Where the last attempt was lost, the operation fails with a code of its own and no handler runs."""
    world = make(echo, retry=Retry(max_attempts=1))
    started = await world.start()
    await claim_elsewhere(world, started)
    world.clock.pass_by(seconds=30)
    assert await world.run(started) is None
    assert error_code(await world.read(started)) == "AttemptLost"


async def test_two_deliveries_at_once_run_once(make: Callable[..., World]) -> None:
    """Of deliveries of one start at one time, one runs the handler; the others leave or come back later."""
    calls: list[int] = []

    async def handler(context: ActionContext, request: Input) -> None:
        calls.append(1)
        await asyncio.sleep(0.05)

    world = make(handler)
    started = await world.start()
    await asyncio.gather(*(world.run(started) for _ in range(5)))
    assert calls == [1]
    ended = await world.read(started)
    assert (ended.status, ended.fence) == (Status.SUCCEEDED, 1)


# Time


@pytest.mark.parametrize("stubborn", [False, True], ids=["stops", "goes on"])
async def test_async_timeout(make: Callable[..., World], stubborn: bool) -> None:
    """An async handler is cancelled at its deadline, and left behind where it goes on: a failed attempt."""
    stopped: list[int] = []

    async def handler(context: ActionContext, request: Input) -> None:
        end = time.monotonic() + 0.9
        while time.monotonic() < end:
            try:
                await asyncio.sleep(end - time.monotonic())
            except asyncio.CancelledError:
                stopped.append(1)
                if not stubborn:
                    raise

    world = make(handler, timeout="100ms")
    started = await world.start()
    began = time.monotonic()
    assert await world.run(started) is None
    assert time.monotonic() - began < 0.8
    assert stopped
    assert error_code(await world.read(started)) == "AttemptTimedOut"
    await asyncio.sleep(0.5 if stubborn else 0)


async def test_sync_timeout_abandons_the_thread(make: Callable[..., World], caplog: pytest.LogCaptureFixture) -> None:
    """A thread that does not stop is abandoned, counted and logged; its place is free, its result never written."""
    release = threading.Event()

    def handler(context: ActionContext, request: Input) -> None:
        if request.file_name == "slow":
            release.wait(5)

    world = make(handler, timeout="100ms", retry=Retry(max_attempts=2, delay="1s"))
    slow = [await world.start(input_json=b'{"fileName":"slow"}') for _ in range(2)]
    again = await asyncio.gather(*(world.run(operation) for operation in slow))
    assert again == [world.clock() + timedelta(seconds=1)] * 2
    assert world.threads.abandoned == 2
    assert "Abandoned a handler's thread" in caplog.text
    quick = await world.start()
    await world.run(quick)
    assert (await world.read(quick)).status is Status.SUCCEEDED
    release.set()
    await asyncio.sleep(0.05)
    assert (await world.read(slow[0])).status is Status.NOT_STARTED


async def test_sync_handler_sees_its_deadline(make: Callable[..., World]) -> None:
    """raise_if_cancelled also stops a sync handler that is over its deadline: no thread is abandoned then."""

    def handler(context: ActionContext, request: Input) -> None:
        for _ in range(200):
            context.raise_if_cancelled()
            time.sleep(0.01)

    world = make(handler, timeout="100ms")
    started = await world.start()
    await world.run(started)
    assert error_code(await world.read(started)) == "AttemptTimedOut"
    assert world.threads.abandoned == 0


async def test_returns_before_the_host_gives_up(make: Callable[..., World]) -> None:
    """The activity returns 60 s before functionTimeout even where the handler uses all of its grace."""

    def handler(context: ActionContext, request: Input) -> None:
        time.sleep(1)

    world = make(handler, timeout="200ms", function_timeout=timedelta(seconds=60.25))
    started = await world.start()
    began = time.monotonic()
    await world.run(started)
    assert time.monotonic() - began < 0.45
    assert error_code(await world.read(started)) == "AttemptTimedOut"


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


# Cancel


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
    """A sync handler sees a cancel through raise_if_cancelled."""
    running_now = threading.Event()

    def handler(context: ActionContext, request: Input) -> None:
        running_now.set()
        for _ in range(300):
            context.raise_if_cancelled()
            time.sleep(0.01)

    world = make(handler)
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await until(running_now.is_set)
    await world.service.cancel("", started.id)
    await running
    assert (await world.read(started)).status is Status.CANCELED


async def test_cancel_elsewhere(make: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancel written by another instance is found by the heartbeat."""
    monkeypatch.setattr(lifecycle, "HEARTBEAT", timedelta(seconds=0.05))
    monkeypatch.setattr("shared.operations.attempt.PROGRESS_INTERVAL", 0.05)
    world = make(forever)
    elsewhere = World(world.storage, *world.actions.values())
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await until(lambda: world.faults.writes >= 2)
    await elsewhere.service.cancel("", started.id)
    await running
    assert (await world.read(started)).status is Status.CANCELED


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
async def test_cancel_ignored_until_the_deadline(make: Callable[..., World], sync: bool) -> None:
    """A handler that ignores its cancel is given up at its deadline, and the operation is Canceled, not Failed."""
    running_now = threading.Event()

    async def handler(context: ActionContext, request: Input) -> None:
        running_now.set()
        end = time.monotonic() + 1
        while time.monotonic() < end:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.1)

    def blocking(context: ActionContext, request: Input) -> None:
        running_now.set()
        time.sleep(1)

    world = make(blocking if sync else handler, timeout="200ms")
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await until(running_now.is_set)
    await world.service.cancel("", started.id)
    await running
    assert (await world.read(started)).status is Status.CANCELED
    await asyncio.sleep(0 if sync else 0.7)


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


# What goes wrong around it


async def test_fence_lost(make: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt that finds another claim stops its handler and writes nothing; its large result does not stay."""
    monkeypatch.setattr(lifecycle, "HEARTBEAT", timedelta(seconds=0.05))
    monkeypatch.setattr("shared.operations.attempt.PROGRESS_INTERVAL", 0.05)
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
    await until(lambda: world.faults.writes >= 2)
    world.clock.pass_by(minutes=1)
    after = await claim_elsewhere(world, started)
    assert await running is None
    assert stopped == [1]
    stored = await world.read(started)
    assert (stored.fence, stored.holder, stored.status) == (2, after.holder, Status.RUNNING)
    assert await world.storage.container("operations").info(f"{started.run}/result-1") is None


async def test_lost_attempts_result_goes(make: Callable[..., World]) -> None:
    """The result an instance stored before it died is removed by the next claim."""
    world = make(echo, retry=Retry(max_attempts=2))
    started = await world.start()
    claimed = await claim_elsewhere(world, started)
    await world.records.store_result(claimed, "application/json", b"x" * 50_000)
    world.clock.pass_by(seconds=30)
    await world.run(started)
    assert await world.storage.container("operations").info(f"{started.run}/result-1") is None


async def test_host_stopping(make: Callable[..., World]) -> None:
    """Where the host stops, the operation is given back at once and the attempt does not count."""
    world = make(forever)
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await until(lambda: world.faults.writes >= 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    stored = await world.read(started)
    assert (stored.status, stored.failures, stored.lease_until) == (Status.NOT_STARTED, 0, None)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_unknown_action(make: Callable[..., World]) -> None:
    """An instance without the action leaves it to others for ten minutes, then fails it with a code of its own."""
    world = make(echo)
    started = await world.start()
    world.actions.clear()
    began = world.clock()
    assert await world.run(started) == began + timedelta(seconds=15)
    world.clock.pass_by(minutes=9, seconds=59)
    assert await world.run(started) == world.clock() + timedelta(seconds=15)
    world.clock.pass_by(seconds=1)
    assert await world.run(started) is None
    assert error_code(await world.read(started)) == "UnknownAction"


async def test_stored_input_no_longer_fits(make: Callable[..., World]) -> None:
    """Stored input this version does not accept is a failure; fields it does not know are passed over."""
    world = make(echo)
    bad = await world.start(input_json=b'{"fileName":["no"]}')
    more = await world.start(input_json=b'{"fileName":"b","later":1}')
    for operation in (bad, more):
        assert await world.run(operation) is None
    assert error_code(await world.read(bad)) == "InvalidStoredInput"
    assert (await world.read(more)).status is Status.SUCCEEDED


async def test_other_generation(make: Callable[..., World]) -> None:
    """An orchestration of an older start does nothing, and nothing happens for an operation that is gone."""
    world = make(echo)
    started = await world.start()
    await world.records.change(started, lambda o: lifecycle.restart(o, world.clock()))
    assert await world.runner.run(Work.of(started)) is None
    assert (await world.read(started)).status is Status.NOT_STARTED
    assert await world.runner.run(Work.parse("0123456789abcdef!gone@1")) is None


async def test_heartbeat_fails(make: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store is away the work goes on; progress that could not be written is written later."""
    monkeypatch.setattr(lifecycle, "HEARTBEAT", timedelta(seconds=0.05))
    monkeypatch.setattr("shared.operations.attempt.PROGRESS_INTERVAL", 0.05)
    seen: list[int] = []

    async def handler(context: ActionContext, request: Input) -> None:
        world.faults.down = True
        context.report_progress(done=1, total=4)
        failing = world.faults.writes
        await until(lambda: world.faults.writes > failing + 1)
        world.faults.down = False
        await until(lambda: world.faults.writes > failing + 3)
        seen.append(1)

    world = make(handler)
    started = await world.start()
    await world.run(started)
    ended = await world.read(started)
    assert ended.progress is not None
    assert (ended.status, ended.progress.done, seen) == (Status.SUCCEEDED, 1, [1])


async def test_canceled_before_it_got_a_thread(make: Callable[..., World]) -> None:
    """A `def` handler that still waits for its thread when the cancel comes does not run any more."""
    ran: list[str] = []
    free = threading.Event()

    def handler(context: ActionContext, request: Input) -> None:
        ran.append(context.operation_id)
        free.wait(5)

    world = make(handler)
    first, second, waiting = [await world.start() for _ in range(3)]
    runs = [asyncio.create_task(world.run(one)) for one in (first, second)]
    await until(lambda: len(ran) == 2)
    runs.append(asyncio.create_task(world.run(waiting)))
    await until(lambda: waiting.locator in world.live._attempts)
    await world.service.cancel("", waiting.id)
    free.set()
    await asyncio.gather(*runs)
    assert (await world.read(waiting)).status is Status.CANCELED
    assert sorted(ran) == sorted([first.id, second.id])


async def test_store_fails_for_a_moment_at_the_end(make: Callable[..., World]) -> None:
    """Work that is done is not given up for a write that fails: it is tried again, without another attempt."""

    async def handler(context: ActionContext, request: Input) -> None:
        world.faults.down = True
        asyncio.get_running_loop().call_later(0.2, back)

    def back() -> None:
        world.faults.down = False

    world = make(handler)
    started = await world.start()
    assert await world.run(started) is None
    ended = await world.read(started)
    assert (ended.status, ended.attempt) == (Status.SUCCEEDED, 1)


async def test_store_fails_at_the_end(make: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    """A result that cannot be written is an error to the orchestrator; a later delivery repeats the work."""
    monkeypatch.setattr(attempt_module, "SETTLE_WAITS", (0.01, 0.01))

    async def handler(context: ActionContext, request: Input) -> None:
        world.faults.down = context.attempt == 1

    world = make(handler, retry=Retry(max_attempts=2))
    started = await world.start()
    with pytest.raises(StorageError):
        await world.run(started)
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
    assert await world.run(started) is None
    ended = await world.read(started)
    assert (ended.status, ended.attempt) == (Status.SUCCEEDED, 1)


async def test_result_that_cannot_be_stored(make: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    """A result that storage never takes counts as a failed attempt, so the work is not repeated without end."""
    monkeypatch.setattr(runner, "RESULT_WAITS", (0.01,))

    async def handler(context: ActionContext, request: Input) -> Output:
        world.faults.at, world.faults.fault, world.faults.lasting = world.faults.writes + 1, "down", True
        asyncio.get_running_loop().call_later(0.3, back)
        return Output(file_name="x" * 50_000)

    def back() -> None:
        world.faults.at = 0

    world = make(handler)
    started = await world.start()
    assert await world.run(started) is None
    ended = await world.read(started)
    assert ended.outcome is not None
    assert ended.outcome.error is not None
    assert (ended.status, ended.outcome.error.code) == (Status.FAILED, "ResultNotStored")
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_end_that_was_stored_unheard_keeps_its_result(
    make: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write of the end is done, its answer is lost, and looking for it fails too: the result must stay."""
    monkeypatch.setattr(attempt_module, "SETTLE_WAITS", (0.3,))

    async def handler(context: ActionContext, request: Input) -> Output:
        world.faults.at, world.faults.fault, world.faults.failing_reads = world.faults.writes + 2, "lost", 1
        return Output(file_name="x" * 50_000)

    world = make(handler)
    started = await world.start()
    assert await world.run(started) is None
    assert world.faults.failing_reads == 0
    ended = await world.read(started)
    assert ended.outcome is not None
    assert ended.outcome.body is not None
    assert (ended.status, ended.attempt) == (Status.SUCCEEDED, 1)
    assert await world.records.load_payload(ended.outcome.body) is not None


async def test_settling_ends_before_the_host_cuts_it_off(make: Callable[..., World]) -> None:
    """Where storage hangs at the end, the activity returns before functionTimeout: a cut-off restarts the host."""
    world = make(echo)
    world.runner._function_timeout = timedelta(minutes=10)
    left = world.runner._time_to_settle
    began = time.monotonic()
    assert left(began) == pytest.approx(585, abs=1)
    assert left(began - 540) == pytest.approx(45, abs=1)
    assert left(began - 9_999) == runner._GRACE


@pytest.mark.parametrize("fault", ["lost", "lost-before"])
@pytest.mark.parametrize("at", [2, 3], ids=["claim", "end"])
async def test_lost_answers(make: Callable[..., World], fault: Any, at: int) -> None:
    """A claim or an end whose answer is lost happens once."""
    world = make(echo)
    world.faults.at, world.faults.fault = at, fault
    started = await world.start()
    assert await world.run(started) is None
    ended = await world.read(started)
    assert (ended.status, ended.fence, ended.attempt) == (Status.SUCCEEDED, 1, 1)


# Progress


async def test_progress_is_coalesced(make: Callable[..., World]) -> None:
    """1000 reports within a second are at most two writes, and the last of them is kept."""

    async def handler(context: ActionContext, request: Input) -> None:
        for done in range(1000):
            context.report_progress(done=done, total=2000, message="Reading")
            await asyncio.sleep(0.001)

    world = make(handler)
    started = await world.start()
    await world.run(started)
    assert 3 <= world.faults.writes <= 3 + 2  # start, claim, end
    ended = await world.read(started)
    assert ended.progress is not None
    assert (ended.progress.done, ended.progress.total, ended.progress.message) == (999, 2000, "Reading")


async def test_final_progress_of_a_failure(make: Callable[..., World]) -> None:
    """The last report is kept with the failure that follows it at once, in the same write."""

    async def handler(context: ActionContext, request: Input) -> None:
        context.report_progress(percent=12.345678, data={"page": 3})
        raise ActionFailed("Bad", "No.")

    world = make(handler)
    started = await world.start()
    await world.run(started)
    ended = await world.read(started)
    assert ended.progress is not None
    assert (ended.progress.percent, ended.progress.data, world.faults.writes) == (12.35, {"page": 3}, 3)


async def test_handler_sees_its_context(make: Callable[..., World], caplog: pytest.LogCaptureFixture) -> None:
    """The context carries id, run, attempt, deadline and owner; what its logger writes carries them as fields."""
    caplog.set_level(logging.INFO)
    seen: list[ActionContext] = []

    async def handler(context: ActionContext, request: Input) -> None:
        seen.append(context)
        context.logger.info("hello", extra={"mine": 1})

    world = make(handler, timeout="5m")
    started = await world.start(owner="aad:me")
    await world.run(started)
    (context,) = seen
    assert (context.operation_id, context.run_id, context.attempt) == (started.id, started.run, 1)
    assert (context.owner, context.action, context.deadline) == (
        "aad:me",
        "test:work",
        world.clock() + timedelta(minutes=5),
    )
    (record,) = [record for record in caplog.records if record.message == "hello"]
    assert (record.__dict__["operation_id"], record.__dict__["mine"]) == (started.id, 1)


async def claim_elsewhere(world: World, operation: Operation) -> Operation:
    """Another instance claims the operation and dies."""
    stored = await world.read(operation)
    length = timedelta(minutes=5)
    return await world.records.change(
        stored, lambda o: lifecycle.claim(o, world.clock(), holder="elsewhere", timeout=length)
    )


def test_actions_are_what_is_declared() -> None:
    """The decorator gives an Action that can still be called as the function it was."""
    declared = action("test:work", post="thing/{id}:work")(echo)
    assert isinstance(declared, Action)
    assert declared.handler is echo
