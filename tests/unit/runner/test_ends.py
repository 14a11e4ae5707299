"""How an attempt ends, what is stored of it, what it tells meanwhile, and what it costs."""

import asyncio
import logging
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.actions import ActionContext, ActionFailed, ErrorDetail, Retry, action
from shared.actions.declaration import Action
from shared.engine.port import Work
from shared.operations.model import Status
from tests.unit.parts import Input, World
from tests.unit.runner.handlers import Output, claim_elsewhere, echo, error_code


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


def test_actions_are_what_is_declared() -> None:
    """The decorator gives an Action that can still be called as the function it was."""
    declared = action("test:work", post="thing/{id}:work")(echo)
    assert isinstance(declared, Action)
    assert declared.handler is echo
