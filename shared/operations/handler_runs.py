"""What a handler does with its input, and what its end makes of the record.

What a handler does never fails the orchestration: it becomes a stored outcome, or a time to try again.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from shared import telemetry
from shared.actions.attempt_context import ActionContext, Attempt, AttemptContext, SyncActionContext
from shared.actions.context import Services
from shared.actions.declaration import Action
from shared.actions.files import File
from shared.actions.registry import HOST_MARGIN
from shared.actions.slices import ContinueLater
from shared.errors import (
    ActionCanceled,
    ActionFailed,
    ErrorBody,
    ErrorDetail,
    RequestError,
    StorageError,
    StorageRefused,
    problems,
)
from shared.model import lifecycle
from shared.model.operation import Operation, Outcome, Payload, Status
from shared.model.timing import Clock, Timing
from shared.operations import measures
from shared.operations.attempt import LiveAttempt
from shared.operations.containment import Escaped, contained
from shared.operations.handler_threads import HandlerAbandoned, HandlerThreads, wait_for_end
from shared.operations.log_lines import about
from shared.operations.off_loop import off_loop
from shared.operations.records import OperationRecords
from shared.operations.results import ResultRefused, declared_json
from shared.operations.tasks import ends_within

_MAX_DETAILS = 4

_SENT_AGAIN = frozenset({408, 429})
"""Statuses below 500 after which clients send a request again (azure-core, `RetryPolicy`)."""

_log = logging.getLogger(__name__)
_handler_log = logging.getLogger("shared.actions.handler")
"""Of `context.logger`."""

Conclusion = Callable[[Operation, datetime, int], Operation]
"""How the record changes at the end of an attempt: (stored record, now, fence) -> record."""


class _InputGone(ValueError):
    """There is nothing to fit."""


class Interrupted(Exception):
    """The host has cancelled the attempt. `conclusion` is how it ended; None where its handler still runs."""

    def __init__(self, conclusion: Conclusion | None) -> None:
        super().__init__("the host has cancelled the attempt")
        self.conclusion = conclusion


def handler_context(
    services: Services, operation: Operation, *, is_async: bool, deadline: datetime, attempt_state: Attempt
) -> ActionContext | SyncActionContext:
    """What a handler is given for one slice of an attempt at `operation`, in the app and in a test of it."""
    kind = ActionContext if is_async else SyncActionContext
    return kind(
        services=services,
        base_url=services.settings.own_url,
        api_version=operation.api_version,
        operation_id=operation.id,
        run_id=operation.run_id,
        action=operation.action,
        attempt=operation.attempt,
        deadline=deadline,
        owner=operation.owner,
        logger=about(_handler_log, operation, "handler"),
        attempt_state=attempt_state,
    )


class HandlerRuns:
    """Runs handlers in this process."""

    def __init__(
        self,
        records: OperationRecords,
        threads: HandlerThreads,
        *,
        services: Services,
        clock: Clock,
        timing: Timing,
        function_timeout: timedelta | None,
    ) -> None:
        self._records = records
        self._threads = threads
        self._services = services
        self._clock = clock
        self._timing = timing
        self._function_timeout = function_timeout

    async def run(self, action: Action, attempt: LiveAttempt, began: float) -> Conclusion:
        """The handler's end as a transition of the record. Raises Interrupted where the host does not wait for it."""
        operation = attempt.operation
        try:
            input = await self._load_input(action, operation)
        except ValueError as error:
            return self._misfit(operation, error)
        if operation.saved is not None:
            content = await self._records.load_payload(operation.saved)
            if content is None:
                # To begin anew would be to do again what is done.
                return self._final(ErrorBody("CheckpointGone", "The blob of the last checkpoint is not there."))
            attempt.checkpoints.value = await off_loop(len(content), from_json, content)
        context = handler_context(
            self._services,
            operation,
            is_async=action.is_async,
            deadline=operation.attempt_deadline or self._clock.now() + action.timeout,
            attempt_state=attempt,
        )
        task = asyncio.create_task(self._call(action, attempt, context, input), name=f"handler {operation.id}")
        attempt.stop_with(
            task.cancel if action.is_async else lambda: None, let_go=lambda: _let_go(action, attempt, task)
        )
        remaining = action.timeout.total_seconds() - (self._clock.monotonic() - began)
        try:
            done = await ends_within(task, remaining, self._clock)
        except asyncio.CancelledError:
            attempt.give_back()
            try:
                await wait_for_end(task, grace=self._timing.stop_grace, clock=self._clock)
            except HandlerAbandoned:
                raise Interrupted(None) from None
            raise Interrupted(await self._judge(action, attempt, task)) from None
        if not done:
            return await self._time_out(action, attempt, task, began)
        return await self._judge(action, attempt, task)

    async def _call(
        self, action: Action, attempt: LiveAttempt, context: AttemptContext, input: BaseModel | None
    ) -> Any:
        arguments = (context,) if action.input_model is None else (context, input)

        def begins() -> None:
            attempt.has_begun = True

        if action.is_async:
            begins()
            with contained(), self._span(action):
                return await _kept(action, attempt, context, await action.handler(*arguments))

        def unless_stopped() -> Any:
            # The wait for a thread may have been long; asyncio's cancellation does not reach what waits to start.
            context.raise_if_canceled()
            with self._span(action):
                return action.handler(*arguments)

        value = await self._threads.run(unless_stopped, operation=attempt.operation, begins=begins)
        with contained():
            return await _kept(action, attempt, context, value)

    @staticmethod
    def _span(action: Action) -> AbstractContextManager[object]:
        return telemetry.span(f"handler {action.name}", {measures.ACTION: action.name})

    async def _load_input(self, action: Action, operation: Operation) -> BaseModel | None:
        if action.input_model is None:
            return None
        content = await self._records.load_payload(operation.input)
        if content is None:
            raise _InputGone("its blob is gone")
        return await off_loop(len(content), action.read_input, content, operation.input_version)

    def _misfit(self, operation: Operation, problem: ValueError) -> Conclusion:
        """During a rolling deployment an instance of another version may know the stored input: so it is left to that
        for as long as an action that is unknown here."""
        message = f"The stored input does not fit the action: {_problem(problem)}"
        error, now = bounded(ErrorBody("InvalidStoredInput", message)), self._clock.now()
        since = operation.misfit_since or now
        if isinstance(problem, _InputGone) or now - since >= self._timing.unknown_action_patience:
            return self._final(error)
        about(_log, operation, "input_misfit").warning("%s", message)
        again = now + self._timing.unknown_action_wait
        return lambda o, now, fence: lifecycle.note_misfit(o, now, fence=fence, not_before=again, error=error)

    async def _time_out(
        self, action: Action, attempt: LiveAttempt, task: asyncio.Task[Any], began: float
    ) -> Conclusion:
        canceling = attempt.is_canceled
        attempt.cancel()
        grace = self._timing.cancel_grace
        if self._function_timeout is not None:
            hard = (self._function_timeout - HOST_MARGIN).total_seconds() - (self._clock.monotonic() - began)
            grace = max(0.0, min(grace, hard))
        try:
            await wait_for_end(task, grace=grace, clock=self._clock)
        except HandlerAbandoned:
            about(_log, attempt.operation, "abandoned").error("A handler did not stop at its deadline")
        if canceling:
            return _confirm
        seconds = action.timeout.total_seconds()
        error = ErrorBody("AttemptTimedOut", f"The attempt did not end within {seconds:g} seconds.")
        return self._retry_or_fail(action, error)

    async def _judge(self, action: Action, attempt: LiveAttempt, task: asyncio.Task[Any]) -> Conclusion:
        operation = attempt.operation
        if _was_interrupted(action, attempt, task):
            return _lose if action.at_most_once and attempt.has_begun else give_back
        try:
            value = task.result()
        except (ActionCanceled, asyncio.CancelledError):
            if attempt.is_canceled:
                return _confirm
            return self._retry_or_fail(action, ErrorBody("AttemptInterrupted", "The attempt stopped itself."))
        except ContinueLater as later:
            return _confirm if attempt.is_canceled else self._continue(later.after)
        except ActionFailed as failure:
            return self._fail_as(action, failure, failure.status_code, retryable=failure.retryable)
        except RequestError as failure:
            # The words of a request, from code that both have: what a request would be told to send again is retried.
            retryable = failure.status in _SENT_AGAIN or failure.status >= 500 or "Retry-After" in failure.headers
            return self._fail_as(action, failure, failure.status, retryable=retryable)
        except Exception as error:
            about(_log, operation, "handler_raised").exception("The handler raised")
            raised = error.raised if isinstance(error, Escaped) else error
            message = f"The action failed unexpectedly ({type(raised).__name__}); the app's log has more."
            return self._retry_or_fail(action, ErrorBody("ActionError", message))
        return await self._store_result(action, operation, value)

    async def _store_result(self, action: Action, operation: Operation, value: Any) -> Conclusion:
        if action.output is None and value is None:
            return _succeed(Outcome(204))
        if isinstance(value, Payload):
            return _succeed(Outcome(200, body=value))
        if action.returns_file:
            kind = type(value).__name__
            return self._final(ErrorBody("InvalidResult", f"The action declares a file and returned a {kind}."))
        try:
            content = await declared_json(action.output, value, limit=self._services.settings.max_result_bytes)
        except ResultRefused as refused:
            about(_log, operation, "result_refused").error("The handler's result does not fit: %s", refused)
            return self._final(refused.error)
        for wait in (*self._timing.result_waits, None):
            try:
                body = await self._records.store_result(operation, "application/json", content)
                return _succeed(Outcome(200, body=body))
            except StorageRefused:
                return self._final(ErrorBody("InvalidResult", "The store cannot hold what the action returned."))
            except StorageError as error:
                about(_log, operation, "result_failed").warning("The result could not be stored: %s", error)
                if wait is not None:
                    await self._clock.sleep(wait)
        error = ErrorBody("ResultNotStored", "The action ended, but storage did not take its result.")
        return self._retry_or_fail(action, error)

    def _fail_as(
        self,
        action: Action,
        failure: ActionFailed | RequestError,
        status_code: int,
        *,
        retryable: bool,
    ) -> Conclusion:
        error = ErrorBody(failure.code, failure.message, failure.target, failure.details)
        if retryable:
            return self._retry_or_fail(action, error, status_code)
        return self._final(error, status_code)

    def _final(self, error: ErrorBody, status_code: int = 500) -> Conclusion:
        outcome = Outcome(status_code, error=bounded(error))
        return lambda o, now, fence: lifecycle.fail(o, now, fence=fence, outcome=outcome)

    def _retry_or_fail(self, action: Action, error: ErrorBody, status_code: int = 500) -> Conclusion:
        kept, final, park_after = bounded(error), self._final(error, status_code), self._timing.park_after

        def conclude(operation: Operation, now: datetime, fence: int) -> Operation:
            # A checkpoint that goes in the same write has the failures before it count no more.
            failures = operation.failures + 1
            again = now + action.retry.wait_after(failures)
            if failures >= action.retry.max_attempts or again >= operation.deadline:
                return final(operation, now, fence)
            return lifecycle.retry_later(
                operation, now, fence=fence, not_before=again, error=kept, park_after=park_after
            )

        return conclude

    def _continue(self, after: timedelta) -> Conclusion:
        timing = self._timing
        return lambda o, now, fence: lifecycle.continue_later(
            o,
            now,
            fence=fence,
            after=after,
            brief=timing.brief_slice,
            idle_wait=timing.slice_wait,
            park_after=timing.park_after,
        )


async def _kept(action: Action, attempt: LiveAttempt, context: AttemptContext, value: Any) -> Any:
    """The value; a file that the action declares as it is stored, within the time and the lease of its attempt."""
    if not action.returns_file or not isinstance(value, File):
        return value
    return await attempt.files.store(value, check=context.raise_if_canceled)


def _was_interrupted(action: Action, attempt: LiveAttempt, task: asyncio.Task[Any]) -> bool:
    """Whether the stop of its instance has ended the handler, and not its own doing.

    An async one that was cancelled may raise anything while it cleans up. A thread sees its flag where it looks, and
    says so by ActionCanceled: any other error is its own. What either has returned is kept, as any result.
    """
    if not attempt.was_reached or attempt.is_canceled:
        return False
    if task.cancelled():
        return True
    error = task.exception()
    return error is not None and (action.is_async or isinstance(error, ActionCanceled))


def _let_go(action: Action, attempt: LiveAttempt, task: asyncio.Task[Any]) -> bool:
    """Reach a handler whose instance is stopping; whether it was reached.

    A thread keeps its lease until it returns: given back while it runs, it would run twice. One that must not run twice
    is left alone, for it may still end in time.
    """
    if action.is_async or not attempt.has_begun:
        return task.cancel()
    if action.at_most_once or task.done():
        return False
    attempt.raise_flag()
    return True


def give_back(operation: Operation, now: datetime, fence: int) -> Operation:
    """The conclusion on an attempt that did not get to do its work: the next one may follow at once."""
    return lifecycle.give_back(operation, now, fence=fence, not_before=now)


def _lose(operation: Operation, now: datetime, fence: int) -> Operation:
    return lifecycle.lose(operation, now, fence=fence)


def _succeed(outcome: Outcome) -> Conclusion:
    return lambda o, now, fence: lifecycle.succeed(o, now, fence=fence, outcome=outcome)


def _confirm(operation: Operation, now: datetime, fence: int) -> Operation:
    if operation.status is Status.RUNNING:
        # The local notice of a cancel came before its write: the write it follows is the caller's.
        operation = lifecycle.request_cancel(operation, now)
    return lifecycle.confirm_cancel(operation, now, fence=fence)


def _problem(error: ValueError) -> str:
    """What is wrong with a value, without the value."""
    return problems(error) if isinstance(error, ValidationError) else str(error)


def bounded(error: ErrorBody) -> ErrorBody:
    """The error at a size the record holds, whatever the handler put into it: an exception as a message, say."""
    details = tuple(
        ErrorDetail(str(detail.code)[:100], str(detail.message)[:200], _target(detail.target))
        for detail in error.details[:_MAX_DETAILS]
    )
    return ErrorBody(str(error.code)[:100], str(error.message)[:1000], _target(error.target), details)


def _target(target: str | None) -> str | None:
    return str(target)[:100] if target else None
