"""How an attempt ends, what is stored of it, what it tells meanwhile, and what it costs."""

import asyncio
import logging
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import Field, field_serializer, field_validator

from shared.actions import (
    ActionContext,
    ActionFailed,
    Context,
    ErrorDetail,
    Model,
    RequestError,
    Retry,
    SyncActionContext,
    action,
)
from shared.actions.declaration import Action
from shared.engine.port import Work
from shared.model.operation import Operation, Status
from tests.support.parts import Input, World
from tests.unit.runner.handlers import Output, claim_elsewhere, echo, error_code


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
async def test_succeed(make: Callable[..., World], sync: bool) -> None:
    """A result is stored as JSON with its wire names; nothing is left to do, and a further delivery does nothing."""

    def blocking(context: SyncActionContext, request: Input) -> Output:
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
    """A start is one write and no read; a poll one read; claim and end one write each, here where it was started."""
    world = make(echo)
    started = await world.start()
    assert (world.faults.writes, world.faults.reads) == (1, 0)
    await world.service.get("", started.id)
    assert (world.faults.writes, world.faults.reads) == (1, 1)
    await world.runner.run(Work.of(started))
    assert (world.faults.writes, world.faults.reads) == (3, 1)  # claim and end


async def test_no_task_is_left(make: Callable[..., World]) -> None:
    """Neither heartbeat nor loop watch outlives the attempt."""
    world = make(echo)
    await world.run(await world.start())
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


class Strict(Model):
    """A model whose own code fails."""

    size: int = 0

    @field_serializer("size")
    def written(self, size: int) -> int:
        raise KeyError("secret")


@pytest.mark.parametrize(
    ("output", "value", "reason"),
    [
        (Output, {"fileName": ["secret"]}, "fileName: Input should be a valid string"),
        (Output, {}, "fileName: Field required"),
        (Output, "secret", "Input should be a valid dictionary or instance of Output"),
        (list[Output], [Output(file_name="a"), {"fileName": 1}], "1.fileName: Input should be a valid string"),
        (int, "secret", "Input should be a valid integer"),
        (None, "secret", "it declares that it returns nothing"),
        (Any, object(), "Unable to serialize unknown type: "),
        (str, "\ud800", "valid string|UnicodeEncodeError"),
        (Strict, {"size": 1}, "Error calling function `written`: KeyError$"),
    ],
    ids=range(9),
)
async def test_invalid_result(
    make: Callable[..., World], caplog: pytest.LogCaptureFixture, output: Any, value: Any, reason: str
) -> None:
    """A handler that returns something else than it declares fails for good: caller and log read where and why."""

    async def handler(context: ActionContext, request: Input) -> Any:
        return value

    handler.__annotations__["return"] = output
    world = make(handler, retry=Retry(max_attempts=3))
    started = await world.start()
    assert await world.run(started) is None
    ended = await world.read(started)
    assert (ended.status, error_code(ended)) == (Status.FAILED, "InvalidResult")
    assert ended.outcome is not None
    assert ended.outcome.error is not None
    assert re.search(f"^The action returned what it does not declare: .*({reason})", ended.outcome.error.message)
    assert ended.outcome.error.message in caplog.text
    assert "secret" not in str(ended.outcome)


class Holder(Model):
    held: Any = None


def holds_itself(made: Any) -> Any:
    match made:
        case list():
            made.append(made)
        case dict():
            made["key"] = made
        case _:
            made.held = made
    return made


def nested(depth: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


@pytest.mark.parametrize("declared", [False, True], ids=["any", "declared"])
@pytest.mark.parametrize(
    "value",
    [
        lambda: holds_itself([]), lambda: holds_itself({}), lambda: holds_itself(Holder()),
        lambda: holds_itself([{"a": (1, 2)}] * 10), lambda: {"a": [Holder(held=holds_itself([]))]},
        lambda: nested(500), lambda: nested(5_000),
    ],
    ids=["a list", "a dict", "a model", "a wide one", "far inside", "deep", "very deep"],
)  # fmt: skip
async def test_a_result_that_has_no_end(make: Callable[..., World], value: Callable[[], Any], declared: bool) -> None:
    """What holds itself, or is nested too deeply for JSON, is an invalid result; no size is counted to the limit."""

    async def handler(context: ActionContext, request: Input) -> Any:
        return value()

    handler.__annotations__["return"] = type(value()) if declared else Any
    world = make(handler, settings={"MAX_RESULT_BYTES": "1000000"})
    started = await world.start()
    await world.run(started)
    ended = await world.read(started)
    assert (ended.status, error_code(ended)) == (Status.FAILED, "InvalidResult")


@pytest.mark.parametrize("size", [100, 5000])
@pytest.mark.parametrize(
    "result",
    [
        lambda size: "x" * size,
        lambda size: ["x"] * (size // 4),
        lambda size: {"a": {"b": [Output(file_name="x" * size)]}},
        lambda size: [{"number": number} for number in range(size // 16)],
    ],
)
async def test_a_result_that_is_too_large(make: Callable[..., World], result: Callable[[int], Any], size: int) -> None:
    """Above MAX_RESULT_BYTES it ends the operation, and nothing of it is stored; below it is a result as any other."""

    async def handler(context: ActionContext, request: Input) -> Any:
        return result(size)

    world = make(handler, retry=Retry(max_attempts=3), settings={"MAX_RESULT_BYTES": "4000"})
    started = await world.start()
    assert await world.run(started) is None
    ended = await world.read(started)
    if size == 100:
        assert ended.status is Status.SUCCEEDED
    else:
        assert (ended.status, error_code(ended)) == (Status.FAILED, "ResultTooLarge")
        assert ended.outcome is not None
        assert ended.outcome.body is None


async def test_what_is_left_out_of_a_result_does_not_count(make: Callable[..., World]) -> None:
    """A field that is excluded is no part of the JSON, however large; its model is not judged by it."""

    class Kept(Model):
        id: str
        draft: str = Field(exclude=True)

    async def handler(context: ActionContext, request: Input) -> Kept:
        return Kept(id="1", draft="x" * 50_000)

    world = make(handler, settings={"MAX_RESULT_BYTES": "4000"})
    started = await world.start()
    await world.run(started)
    assert (await world.read(started)).status is Status.SUCCEEDED


async def test_a_large_result_leaves_the_loop_alone(make: Callable[..., World]) -> None:
    """Its JSON and its digest are made in a thread; a small one needs none."""
    threads: list[bool] = []

    class Heavy(Model):
        text: str

        @field_validator("text")
        @classmethod
        def noted(cls, text: str) -> str:
            threads.append(threading.current_thread() is not threading.main_thread())
            return text

    async def handler(context: ActionContext, request: Input) -> Heavy:
        return {"text": "x" * (40_000 if request.id == "1" else 10)}  # type: ignore[return-value]

    world = make(handler)
    for input_json in (b'{"id":"1"}', b'{"id":"2"}'):
        started = await world.start(input_json=input_json)
        await world.run(started)
        assert (await world.read(started)).status is Status.SUCCEEDED
    assert threads == [True, False]


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


class Panic(BaseException):
    """As native extensions raise (pyo3's PanicException)."""


@pytest.mark.parametrize(
    "error",
    [
        ValueError("secret"),
        StopIteration("secret"),
        SystemExit(3),
        KeyboardInterrupt("secret"),
        GeneratorExit("secret"),
        Panic("secret"),
        BaseExceptionGroup("secret", [Panic()]),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
async def test_unexpected_exception(
    make: Callable[..., World], caplog: pytest.LogCaptureFixture, error: BaseException, sync: bool
) -> None:
    """Whatever a handler raises is a failed attempt, at once; the record names its type, the log has the rest."""

    async def handler(context: ActionContext, request: Input) -> None:
        raise error

    def blocking(context: SyncActionContext, request: Input) -> None:
        raise error

    world = make(blocking if sync else handler)
    started = await world.start()
    assert await world.run(started) is None
    ended = await world.read(started)
    assert error_code(ended) == "ActionError"
    # A coroutine cannot raise StopIteration: Python itself makes it a RuntimeError (PEP 479).
    name = "RuntimeError" if isinstance(error, StopIteration) and not sync else type(error).__name__
    assert ended.outcome is not None
    assert ended.outcome.error is not None
    assert f"({name})" in ended.outcome.error.message
    assert "secret" not in str(ended.outcome)
    assert "The handler raised" in caplog.text
    assert type(error).__name__ in caplog.text


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
@pytest.mark.parametrize(
    ("error", "is_retried"),
    [
        (RequestError(404, "BookNotFound", "No.", target="id", details=[ErrorDetail("D", "m")]), False),
        (RequestError(409, "BookExists", "Yes."), False),
        (RequestError(409, "OperationInProgress", "Wait.", headers={"Retry-After": "5"}), True),
        (RequestError(408, "TooSlow", "Again."), True),
        (RequestError(429, "TooManyRequests", "Later."), True),
        (RequestError(503, "Unavailable", "Later."), True),
    ],
    ids=str,
)
async def test_the_error_of_a_request(
    make: Callable[..., World], error: RequestError, is_retried: bool, sync: bool
) -> None:
    """One that code for requests raises is the operation's, with its status; what a client would repeat is retried."""

    async def handler(context: ActionContext, request: Input) -> None:
        raise error

    def blocking(context: SyncActionContext, request: Input) -> None:
        raise error

    world = make(blocking if sync else handler, retry=Retry(max_attempts=2))
    started = await world.start()
    assert (await world.run(started) is not None) == is_retried
    if is_retried:
        world.clock.pass_by(minutes=1)
        assert await world.run(started) is None
    ended = await world.read(started)
    assert ended.outcome is not None
    assert ended.outcome.error is not None
    stored = ended.outcome.error
    assert (ended.status, ended.outcome.status_code) == (Status.FAILED, error.status)
    assert (stored.code, stored.message, stored.target) == (error.code, error.message, error.target)
    assert stored.details == error.details


async def test_what_follows_an_end_and_panics(make: Callable[..., World], caplog: pytest.LogCaptureFixture) -> None:
    """The operation has ended all the same, and the app goes on."""
    world = make(echo)

    async def panics(context: Context, operation: Operation) -> None:
        raise SystemExit(3)

    world.actions["test:work"] = replace(world.actions["test:work"], after_end=panics)
    started = await world.start()
    await world.run(started)
    assert (await world.read(started)).status is Status.SUCCEEDED
    assert "What follows an operation is left to its readers" in caplog.text


async def test_an_error_that_is_made_wrongly(make: Callable[..., World]) -> None:
    """People pass an exception as a message and a number as a code: the operation fails with their texts."""

    async def handler(context: ActionContext, request: Input) -> None:
        raise ActionFailed(42, ValueError("No."), target=7)  # type: ignore[arg-type]

    world = make(handler)
    started = await world.start()
    await world.run(started)
    ended = await world.read(started)
    assert ended.outcome is not None
    assert ended.outcome.error is not None
    assert (ended.outcome.error.code, ended.outcome.error.message, ended.outcome.error.target) == ("42", "No.", "7")


async def test_retries_with_waits(make: Callable[..., World]) -> None:
    """Attempts follow each other at the policy's waits, not earlier, and the last one's error is the operation's."""
    attempts: list[int] = []

    async def handler(context: ActionContext, request: Input) -> None:
        attempts.append(context.attempt)
        raise ValueError(f"try {context.attempt}")

    world = make(handler, retry=Retry(max_attempts=3, delay="10s", backoff=3))
    started = await world.start()
    assert await world.run(started) == world.clock.now() + timedelta(seconds=10)
    waiting = await world.read(started)
    assert (waiting.status, waiting.lease_until, waiting.holder) == (Status.RUNNING, None, "")
    assert waiting.last_error is not None
    assert await world.run(started) == waiting.not_before
    assert attempts == [1]
    world.clock.pass_by(seconds=10)
    assert await world.run(started) == world.clock.now() + timedelta(seconds=30)
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
    """A claim whose holder died is followed by the next attempt once its lease is over, without any policy."""
    world = make(echo)
    started = await world.start()
    await claim_elsewhere(world, started)
    lease = (await world.read(started)).lease_until
    assert await world.run(started) == lease
    assert (await world.read(started)).fence == 1
    world.clock.pass_by(seconds=30)
    assert await world.run(started) is None
    ended = await world.read(started)
    assert (ended.status, ended.fence, ended.attempt) == (Status.SUCCEEDED, 2, 2)
    assert (ended.failures, ended.losses) == (0, 1)
    assert [each.outcome for each in ended.attempts] == ["Lost", "Succeeded"]
    assert [each.instance for each in ended.attempts] == ["", "0badcafe"]


@pytest.mark.parametrize("chance", [0.0, 0.5])
async def test_losses_wait_ever_longer(make: Callable[..., World], chance: float) -> None:
    """The n-th loss waits 0, 5, 30, 120 s before the next claim, up to half as long again; the fifth is the last."""
    world = make(echo)
    world.chance = chance
    started = await world.start()
    await claim_elsewhere(world, started)
    world.clock.pass_by(seconds=30)
    await claim_elsewhere(world, started)  # the first loss waits for nothing
    for losses, seconds in ((2, 5), (3, 30), (4, 120)):
        world.clock.pass_by(seconds=30)
        due = await world.run(started)
        waiting = await world.read(started)
        length = seconds * (1 + chance / 2)
        assert due == waiting.not_before == world.clock.now() + timedelta(seconds=length)
        assert (waiting.status, waiting.losses, waiting.lease_until) == (Status.RUNNING, losses, None)
        assert await world.run(started) == due
        world.clock.pass_by(seconds=length)
        await claim_elsewhere(world, started)
    world.clock.pass_by(seconds=30)
    assert await world.run(started) is None
    ended = await world.read(started)
    assert (error_code(ended), ended.losses, ended.failures) == ("AttemptLost", 5, 0)
    assert [each.outcome for each in ended.attempts] == ["Lost"] * 5


@pytest.mark.parametrize("policies", [{"max_lost": 1}, {"at_most_once": True}], ids=str)
@pytest.mark.parametrize("restarted", [False, True], ids=["delivered", "restarted"])
async def test_last_attempt_lost(make: Callable[..., World], policies: dict[str, Any], restarted: bool) -> None:
    """Where the last attempt was lost, the operation fails with a code of its own and no handler runs.

    It does not matter who counts the loss: the delivery that meets it, or the pass that starts it anew.
    """
    calls: list[int] = []

    async def handler(context: ActionContext, request: Input) -> None:
        calls.append(1)

    world = make(handler, **policies)
    started = await world.start()
    await claim_elsewhere(world, started)
    world.clock.pass_by(seconds=30)
    if restarted:
        report = await world.tidy()
        assert (report.restarted, report.failed) == (0, 1)
    assert await world.run(started) is None
    ended = await world.read(started)
    assert (error_code(ended), ended.losses, calls) == ("AttemptLost", 1, [])


async def test_losses_and_failures_are_counted_apart(make: Callable[..., World]) -> None:
    """Neither count uses up the other: an attempt fails between losses, and another one after them."""

    async def handler(context: ActionContext, request: Input) -> None:
        raise ValueError

    world = make(handler, retry=Retry(max_attempts=2, delay="1s"), max_lost=3)
    started = await world.start()
    await claim_elsewhere(world, started)
    world.clock.pass_by(seconds=30)
    await world.run(started)
    waiting = await world.read(started)
    assert (waiting.failures, waiting.losses, waiting.attempt) == (1, 1, 2)
    world.clock.pass_by(seconds=1)
    await claim_elsewhere(world, started)
    world.clock.pass_by(seconds=30)
    assert await world.run(started) is not None
    world.clock.pass_by(seconds=5)
    await world.run(started)
    ended = await world.read(started)
    assert (error_code(ended), ended.failures, ended.losses, ended.attempt) == ("ActionError", 1, 2, 4)


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
            await world.clock.run_for(milliseconds=1)

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
    """The context carries id, run, attempt, deadline and owner; its logger puts the operation into each line."""
    caplog.set_level(logging.INFO)
    seen: list[ActionContext] = []

    async def handler(context: ActionContext, request: Input) -> None:
        seen.append(context)
        context.logger.info("hello", extra={"mine": 1})

    world = make(handler, timeout="5m")
    started = await world.start(owner="aad:me")
    await world.run(started)
    (context,) = seen
    assert (context.operation_id, context.run_id, context.attempt) == (started.id, started.run_id, 1)
    assert (context.owner, context.action, context.deadline) == (
        "aad:me",
        "test:work",
        world.clock.now() + timedelta(minutes=5),
    )
    text = f"operation_id={started.id} action=test:work attempt=1: hello"
    (record,) = [record for record in caplog.records if record.message == text]
    assert (record.__dict__["operation_id"], record.__dict__["mine"]) == (started.id, 1)


def test_actions_are_what_is_declared() -> None:
    """The decorator gives an Action that can still be called as the function it was."""
    declared = action("test:work", post="thing/{id}:work")(echo)
    assert isinstance(declared, Action)
    assert declared.handler is echo
