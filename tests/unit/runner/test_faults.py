"""What goes wrong around an attempt: claims lost, storage failing, hosts stopping."""

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from shared.actions import ActionContext, Retry
from shared.engine.port import Work
from shared.errors import StorageError
from shared.operations import attempt as attempt_module
from shared.operations import handler_runs, lifecycle, runner
from shared.operations.model import Status
from tests.unit.parts import Input, World
from tests.unit.runner.handlers import Output, claim_elsewhere, echo, error_code, forever, until


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
    failed = await world.read(bad)
    assert error_code(failed) == "InvalidStoredInput"
    assert failed.outcome is not None
    assert failed.outcome.error is not None
    said = "The stored input no longer fits the action: fileName: Input should be a valid string"
    assert failed.outcome.error.message == said
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
    monkeypatch.setattr(handler_runs, "RESULT_WAITS", (0.01,))

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
    assert left(began - 9_999) == runner.GRACE


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
