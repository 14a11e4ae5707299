"""What a handler does with its input, and what its end makes of the record.

What a handler does never fails the orchestration: it becomes a stored outcome, or a time to try again.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Protocol

from pydantic import BaseModel, TypeAdapter, ValidationError

from shared.actions.context import ActionContext, OperationLogger
from shared.actions.declaration import Action
from shared.actions.execution import HandlerAbandoned, HandlerThreads, wait_for_end
from shared.errors import ActionCanceled, ActionFailed, ErrorBody, ErrorDetail, StorageError, StorageRefused, problems
from shared.operations import lifecycle
from shared.operations.attempt import LiveAttempt
from shared.operations.follow_up import log_fields
from shared.operations.model import Operation, Outcome, Status
from shared.operations.records import OperationRecords

RESULT_WAITS = (0.5, 1.0, 2.0)
"""Seconds between tries to store a large result."""

GRACE = 5.0
"""Seconds a handler has to stop once it was told to."""

_MAX_DETAILS = 4

_log = logging.getLogger(__name__)
_handler_log = logging.getLogger("shared.actions.handler")

Verdict = Callable[[Operation, datetime, int], Operation]
"""How the record changes at the end of an attempt: (stored record, now, fence) -> record."""


class Clock(Protocol):
    def __call__(self) -> datetime: ...


class HandlerRuns:
    """Runs handlers in this process."""

    def __init__(
        self,
        records: OperationRecords,
        threads: HandlerThreads,
        *,
        clock: Clock,
        function_timeout: timedelta | None,
    ) -> None:
        self._records = records
        self._threads = threads
        self._clock = clock
        self._function_timeout = function_timeout

    async def run(self, action: Action, attempt: LiveAttempt, began: float) -> Verdict:
        """The handler's end as a transition of the record."""
        operation = attempt.operation
        try:
            input = await self._load_input(action, operation)
        except ValueError as error:
            said = problems(error) if isinstance(error, ValidationError) else str(error)
            return self._final(ErrorBody("InvalidStoredInput", f"The stored input no longer fits the action: {said}"))
        context = ActionContext(
            operation_id=operation.id,
            run_id=operation.run,
            action=action.name,
            attempt=operation.attempt,
            deadline=operation.attempt_deadline or self._clock() + action.timeout,
            owner=operation.owner,
            logger=OperationLogger(_handler_log, log_fields("handler", operation)),
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

    async def _time_out(self, action: Action, attempt: LiveAttempt, task: asyncio.Task[Any], began: float) -> Verdict:
        canceling = attempt.cancel_requested
        attempt.cancel()
        grace = GRACE
        if self._function_timeout is not None:
            hard = self._function_timeout.total_seconds() - 60 - (time.monotonic() - began)
            grace = max(0.0, min(GRACE, hard))
        try:
            await wait_for_end(task, grace=grace)
        except HandlerAbandoned:
            _log.error("A handler did not stop at its deadline", extra=log_fields("abandoned", attempt.operation))
        if canceling:
            return _confirm
        seconds = action.timeout.total_seconds()
        error = ErrorBody("AttemptTimedOut", f"The attempt did not end within {seconds:g} seconds.")
        return self._retry_or_fail(action, attempt.operation, error)

    async def _judge(self, action: Action, attempt: LiveAttempt, task: asyncio.Task[Any]) -> Verdict:
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
            _log.exception("The handler raised", extra=log_fields("handler_raised", operation))
            message = f"The action failed unexpectedly ({type(error).__name__}); the app's log has more."
            return self._retry_or_fail(action, operation, ErrorBody("ActionError", message))
        return await self._store_result(action, operation, value)

    async def _store_result(self, action: Action, operation: Operation, value: Any) -> Verdict:
        if action.output is None and value is None:
            return _succeed(Outcome(204))
        try:
            content = _serialize(action.output, value)
        except ValueError:
            _log.exception("The handler's result does not fit", extra=log_fields("invalid_result", operation))
            return self._final(ErrorBody("InvalidResult", "The action returned something it does not declare."), 500)
        for wait in (*RESULT_WAITS, None):
            try:
                body = await self._records.store_result(operation, "application/json", content)
                return _succeed(Outcome(200, body=body))
            except StorageRefused:
                return self._final(ErrorBody("InvalidResult", "The store cannot hold what the action returned."))
            except StorageError as error:
                _log.warning("The result could not be stored: %s", error, extra=log_fields("result_failed", operation))
                if wait is not None:
                    await asyncio.sleep(wait)
        error = ErrorBody("ResultNotStored", "The action ended, but storage did not take its result.")
        return self._retry_or_fail(action, operation, error)

    def _final(self, error: ErrorBody, status_code: int = 500) -> Verdict:
        outcome = Outcome(status_code, error=bounded(error))
        return lambda o, now, fence: lifecycle.fail(o, now, fence=fence, outcome=outcome)

    def _retry_or_fail(self, action: Action, operation: Operation, error: ErrorBody, status_code: int = 500) -> Verdict:
        failures = operation.failures + 1
        again = self._clock() + action.retry.wait_after(failures)
        if failures >= action.retry.max_attempts or again >= operation.deadline:
            return self._final(error, status_code)
        kept = bounded(error)
        return lambda o, now, fence: lifecycle.retry_later(o, now, fence=fence, not_before=again, error=kept)


def _succeed(outcome: Outcome) -> Verdict:
    return lambda o, now, fence: lifecycle.succeed(o, now, fence=fence, outcome=outcome)


def _confirm(operation: Operation, now: datetime, fence: int) -> Operation:
    if operation.status is Status.RUNNING:
        # The local notice of a cancel came before its write: the write it follows is the caller's.
        operation = lifecycle.request_cancel(operation, now)
    return lifecycle.confirm_cancel(operation, now, fence=fence)


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
