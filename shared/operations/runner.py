"""Running one attempt: claim the operation, run its handler under the deadline, write the outcome once.

What a handler does never fails the orchestration: it becomes a stored outcome, or a time to try again.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import uuid4

from pydantic import BaseModel, TypeAdapter, ValidationError

from shared.actions.context import ActionContext, OperationLogger
from shared.actions.declaration import Action
from shared.actions.execution import HandlerAbandoned, HandlerThreads, wait_for_end
from shared.engine.port import Work
from shared.errors import (
    ActionCanceled,
    ActionFailed,
    ErrorBody,
    ErrorDetail,
    FenceLost,
    StorageError,
    StorageRefused,
    StorageUnavailable,
    TransitionError,
)
from shared.operations import lifecycle
from shared.operations.attempt import LiveAttempt, LiveAttempts
from shared.operations.model import Operation, Outcome, Status
from shared.operations.records import OperationRecords

UNKNOWN_ACTION_PATIENCE = timedelta(minutes=10)
"""During a rolling deployment an old instance meets a new action; the new instances get it within this time."""

_UNKNOWN_ACTION_WAIT = timedelta(seconds=15)
_MAX_DETAILS = 4
RESULT_WAITS = (0.5, 1.0, 2.0)
"""Seconds between tries to store a large result."""

_HOST_RESERVE = 15.0
"""Seconds before the host's functionTimeout by which an activity has returned even where storage hangs."""

_GRACE = 5.0
"""Seconds a handler has to stop once it was told to."""

_log = logging.getLogger(__name__)
_handler_log = logging.getLogger("shared.actions.handler")


class Clock(Protocol):
    def __call__(self) -> datetime: ...


class Runner:
    """Runs attempts in this process."""

    def __init__(
        self,
        records: OperationRecords,
        actions: Mapping[str, Action],
        threads: HandlerThreads,
        live: LiveAttempts,
        *,
        clock: Clock,
        function_timeout: timedelta | None,
    ) -> None:
        self._records = records
        self._actions = actions
        self._threads = threads
        self._live = live
        self._clock = clock
        self._function_timeout = function_timeout

    async def run(self, work: Work, *, at_hand: Operation | None = None) -> datetime | None:
        """Do what there is to do for `work`; the time to come back, or None when nothing is left.

        `at_hand` is the record as just stored, which saves a read. Raises StorageError when the store cannot be
        reached: the orchestrator calls again.
        """
        began = time.monotonic()
        operation = at_hand or await self._records.read(work.locator)
        if operation is None or operation.status.is_terminal or operation.generation != work.generation:
            return None
        if operation.external:
            return None  # Somebody else works on it; nothing here ever starts it, but a mistake must not claim it.
        try:
            return await self._step(operation, began)
        except (FenceLost, TransitionError) as error:
            _log.info("Left an operation to its new holder: %s", error, extra=_fields("attempt_left", operation))
            return None

    async def _step(self, operation: Operation, began: float) -> datetime | None:
        now = self._clock()
        if operation.lease_is_live(now):
            return operation.lease_until
        if now >= operation.deadline and operation.status is not Status.CANCELING:
            error = ErrorBody("DeadlineExceeded", "The operation did not end before its deadline.")
            await self._records.change(operation, lambda o: lifecycle.fail_unheld(o, now, error, seen=operation))
            return None
        if operation.status is Status.CANCELING:
            await self._records.change(operation, lambda o: lifecycle.confirm_cancel(o, now))
            return None
        if operation.not_before is not None and now < operation.not_before:
            return operation.not_before
        action = self._actions.get(operation.action)
        if action is None:
            return await self._meet_unknown_action(operation, now)
        lost = operation.status is Status.RUNNING
        if lost and operation.failures + 1 >= action.retry.max_attempts:
            error = ErrorBody("AttemptLost", "The instance that ran the last attempt was lost.")
            await self._records.change(operation, lambda o: lifecycle.fail_unheld(o, now, error, seen=operation))
            return None
        holder = uuid4().hex
        claimed = await self._records.change(
            operation, lambda o: _claim(o, self._clock(), generation=operation.generation, holder=holder, action=action)
        )
        if lost:
            await self._drop_result(claimed, operation.fence)
        return await self._attempt(action, claimed, began)

    async def _meet_unknown_action(self, operation: Operation, now: datetime) -> datetime | None:
        if operation.unknown_since is None:
            operation = await self._records.change(operation, lambda o: lifecycle.note_unknown_action(o, now))
        if now - (operation.unknown_since or now) < UNKNOWN_ACTION_PATIENCE:
            _log.warning("This instance has no action of that name", extra=_fields("unknown_action", operation))
            return now + _UNKNOWN_ACTION_WAIT
        error = ErrorBody("UnknownAction", f"No action is called {operation.action!r} in this app.")
        seen = operation
        await self._records.change(operation, lambda o: lifecycle.fail_unheld(o, now, error, seen=seen))
        return None

    async def _attempt(self, action: Action, operation: Operation, began: float) -> datetime | None:
        attempt = LiveAttempt(self._records, operation, self._clock)
        _log.info("Attempt began", extra=_fields("attempt_began", operation))
        with self._live.registered(attempt):
            keeper = asyncio.create_task(attempt.keep())
            try:
                verdict = await self._run_handler(action, attempt, began)
            except (asyncio.CancelledError, StorageError):
                # The host is stopping, or a payload cannot be read or stored: give the operation back so that the
                # next attempt need not wait for the lease.
                await attempt.close(keeper)
                await self._release(attempt)
                raise
            except BaseException:
                await attempt.close(keeper)
                raise
            await attempt.close(keeper)
        try:
            async with asyncio.timeout(self._time_to_settle(began)):
                again = await _unless_stopped_between(attempt.settle(verdict))
        except TimeoutError:
            raise StorageUnavailable(f"the end of operation {operation.id} could not be stored in time") from None
        except (FenceLost, TransitionError):
            await self._drop_result(operation, operation.fence)
            raise
        _log.info("Attempt ended", extra=_fields("attempt_ended", attempt.operation))
        if again is None:
            self._live.endings.announce(attempt.operation)
        if again is None and action.after_end is not None:
            await self._follow_up(action.after_end, attempt.operation)
        return again

    def _time_to_settle(self, began: float) -> float | None:
        """Seconds until the host would cut the activity off, with something to spare: that restarts the host."""
        if self._function_timeout is None:
            return None
        left = self._function_timeout.total_seconds() - _HOST_RESERVE - (time.monotonic() - began)
        return max(_GRACE, left)

    async def _drop_result(self, operation: Operation, fence: int) -> None:
        """No record will ever name the result that this claim may have stored."""
        with suppress(StorageError):
            await self._records.drop_result(operation, fence=fence)

    async def _follow_up(self, after_end: Callable[[Operation], Awaitable[None]], operation: Operation) -> None:
        try:
            await after_end(operation)
        except Exception:
            # The operation has ended all the same: whoever reads what should have changed does it then.
            _log.warning(
                "What follows an operation is left to its readers",
                exc_info=True,
                extra=_fields("follow_up_failed", operation),
            )

    async def _release(self, attempt: LiveAttempt) -> None:
        with suppress(StorageError, FenceLost, TransitionError):
            await attempt.settle(lambda o, now, fence: lifecycle.continue_later(o, now, fence=fence, not_before=now))

    async def _run_handler(self, action: Action, attempt: LiveAttempt, began: float) -> "Verdict":
        """The handler's end as a transition of the record."""
        operation = attempt.operation
        try:
            input = await self._load_input(action, operation)
        except (ValidationError, ValueError) as error:
            return self._final(ErrorBody("InvalidStoredInput", f"The stored input no longer fits the action: {error}"))
        context = ActionContext(
            operation_id=operation.id,
            run_id=operation.run,
            action=action.name,
            attempt=operation.attempt,
            deadline=operation.attempt_deadline or self._clock() + action.timeout,
            owner=operation.owner,
            logger=OperationLogger(_handler_log, _fields("handler", operation)),
            attempt_state=attempt,
        )
        task = asyncio.create_task(self._call(action, context, input), name=f"handler {operation.id}")
        attempt.stop_with(task.cancel if action.is_async else lambda: None)
        remaining = action.timeout.total_seconds() - (time.monotonic() - began)
        try:
            done, _ = await asyncio.wait({task}, timeout=max(remaining, 0))
        except asyncio.CancelledError:
            attempt.cancel()
            with suppress(HandlerAbandoned):
                await wait_for_end(task, grace=1.0)
            raise
        if not done:
            return await self._time_out(action, attempt, task, began)
        return await self._judge(action, attempt, task)

    async def _call(self, action: Action, context: ActionContext, input: BaseModel | None) -> Any:
        arguments = (context,) if action.input_model is None else (context, input)
        if action.is_async:
            try:
                return await action.handler(*arguments)
            except SystemExit as error:
                # asyncio lets it through to the loop's runner: one handler would end the whole process.
                raise RuntimeError("the handler asked the process to exit") from error

        def unless_stopped() -> Any:
            # The wait for a thread may have been long; asyncio's cancellation does not reach what waits to start.
            context.raise_if_cancelled()
            return action.handler(*arguments)

        return await self._threads.run(unless_stopped, name=action.name)

    async def _load_input(self, action: Action, operation: Operation) -> BaseModel | None:
        if action.input_model is None:
            return None
        content = await self._records.load_payload(operation.input)
        if content is None:
            raise ValueError("its blob is gone")
        # Stored by this app's own validation: names are the aliases, unknown fields come from another version.
        return action.input_model.model_validate_json(content)

    async def _time_out(self, action: Action, attempt: LiveAttempt, task: asyncio.Task[Any], began: float) -> "Verdict":
        canceling = attempt.cancel_requested
        attempt.cancel()
        grace = _GRACE
        if self._function_timeout is not None:
            hard = self._function_timeout.total_seconds() - 60 - (time.monotonic() - began)
            grace = max(0.0, min(_GRACE, hard))
        try:
            await wait_for_end(task, grace=grace)
        except HandlerAbandoned:
            _log.error("A handler did not stop at its deadline", extra=_fields("abandoned", attempt.operation))
        if canceling:
            return _confirm
        seconds = action.timeout.total_seconds()
        error = ErrorBody("AttemptTimedOut", f"The attempt did not end within {seconds:g} seconds.")
        return self._retry_or_fail(action, attempt.operation, error)

    async def _judge(self, action: Action, attempt: LiveAttempt, task: asyncio.Task[Any]) -> "Verdict":
        operation = attempt.operation
        try:
            value = task.result()
        except (ActionCanceled, asyncio.CancelledError):
            if attempt.cancel_requested:
                return _confirm
            return self._retry_or_fail(
                action, operation, ErrorBody("AttemptInterrupted", "The attempt stopped itself.")
            )
        except ActionFailed as failure:
            error = ErrorBody(failure.code, failure.message, failure.target, failure.details)
            if failure.retryable:
                return self._retry_or_fail(action, operation, error, failure.status_code)
            return self._final(error, failure.status_code)
        except Exception as error:
            _log.exception("The handler raised", extra=_fields("handler_raised", operation))
            message = f"The action failed unexpectedly ({type(error).__name__}); the app's log has more."
            return self._retry_or_fail(action, operation, ErrorBody("ActionError", message))
        return await self._store_result(action, operation, value)

    async def _store_result(self, action: Action, operation: Operation, value: Any) -> "Verdict":
        if action.output is None and value is None:
            return _succeed(Outcome(204))
        try:
            content = _serialize(action.output, value)
        except ValueError:
            _log.exception("The handler's result does not fit", extra=_fields("invalid_result", operation))
            return self._final(ErrorBody("InvalidResult", "The action returned something it does not declare."), 500)
        for wait in (*RESULT_WAITS, None):
            try:
                body = await self._records.store_result(operation, "application/json", content)
                return _succeed(Outcome(200, body=body))
            except StorageRefused:
                return self._final(ErrorBody("InvalidResult", "The store cannot hold what the action returned."))
            except StorageError as error:
                _log.warning("The result could not be stored: %s", error, extra=_fields("result_failed", operation))
                if wait is not None:
                    await asyncio.sleep(wait)
        error = ErrorBody("ResultNotStored", "The action ended, but storage did not take its result.")
        return self._retry_or_fail(action, operation, error)

    def _final(self, error: ErrorBody, status_code: int = 500) -> "Verdict":
        outcome = Outcome(status_code, error=bounded(error))
        return lambda o, now, fence: lifecycle.fail(o, now, fence=fence, outcome=outcome)

    def _retry_or_fail(
        self, action: Action, operation: Operation, error: ErrorBody, status_code: int = 500
    ) -> "Verdict":
        failures = operation.failures + 1
        again = self._clock() + action.retry.wait_after(failures)
        if failures >= action.retry.max_attempts or again >= operation.deadline:
            return self._final(error, status_code)
        kept = bounded(error)
        return lambda o, now, fence: lifecycle.retry_later(o, now, fence=fence, not_before=again, error=kept)


async def _unless_stopped_between(write: Coroutine[Any, Any, datetime | None]) -> datetime | None:
    """Let a write that has begun end before a cancellation goes on: half-way, nobody would know who holds it."""
    task = asyncio.ensure_future(write)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=_GRACE)
        raise


Verdict = Callable[[Operation, datetime, int], Operation]
"""How the record changes at the end of an attempt: (stored record, now, fence) -> record."""


def _succeed(outcome: Outcome) -> Verdict:
    return lambda o, now, fence: lifecycle.succeed(o, now, fence=fence, outcome=outcome)


def _confirm(operation: Operation, now: datetime, fence: int) -> Operation:
    if operation.status is Status.RUNNING:
        # The local notice of a cancel came before its write: the write it follows is the caller's.
        operation = lifecycle.request_cancel(operation, now)
    return lifecycle.confirm_cancel(operation, now, fence=fence)


def _claim(operation: Operation, now: datetime, *, generation: int, holder: str, action: Action) -> Operation:
    if operation.generation != generation:
        raise FenceLost(f"operation {operation.id} was started again")
    return lifecycle.claim(operation, now, holder=holder, timeout=action.timeout)


def _serialize(output: TypeAdapter[Any] | None, value: Any) -> bytes:
    if output is None:
        raise ValueError("the action declares that it returns nothing")
    return output.dump_json(output.validate_python(value), by_alias=True)


def bounded(error: ErrorBody) -> ErrorBody:
    """The error at a size the record holds, whatever the handler put into it."""
    details = tuple(
        ErrorDetail(detail.code[:100], detail.message[:200], detail.target and detail.target[:100])
        for detail in error.details[:_MAX_DETAILS]
    )
    return ErrorBody(error.code[:100], error.message[:1000], error.target and error.target[:100], details)


def _fields(event: str, operation: Operation) -> dict[str, Any]:
    return {
        "action": event,
        "operation_id": operation.id,
        "action_name": operation.action,
        "attempt": operation.attempt,
        "status": operation.status.value,
    }
