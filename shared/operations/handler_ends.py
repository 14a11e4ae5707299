"""What the end of a handler makes of the record.

What a handler does never fails the orchestration: it becomes a stored outcome, or a time to try again.
"""

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from shared.actions.declaration import Action
from shared.actions.slices import ContinueLater
from shared.errors import (
    ActionCanceled,
    ActionFailed,
    ErrorBody,
    RequestError,
    StorageError,
    StorageRefused,
    problems,
)
from shared.model import lifecycle
from shared.model.operation import Operation, Outcome, Payload
from shared.model.timing import Clock, Timing
from shared.operations import conclusions
from shared.operations.attempt import LiveAttempt
from shared.operations.bounded_errors import bounded
from shared.operations.conclusions import Conclusion
from shared.operations.containment import Escaped
from shared.operations.handler_process import ProcessDied
from shared.operations.handler_processes import HandlerKilled, ResultJson
from shared.operations.log_lines import about
from shared.operations.process_errors import HandlerRaised, InputMisfit
from shared.operations.records import OperationRecords
from shared.operations.results import ResultRefused, declared_json, no_file

_SENT_AGAIN = frozenset({408, 429})
"""Statuses below 500 after which clients send a request again (azure-core, `RetryPolicy`)."""

_log = logging.getLogger(__name__)


class InputGone(ValueError):
    """There is nothing to fit."""


class HandlerEnds:
    """Those of handlers that run in this process, or for it."""

    def __init__(self, records: OperationRecords, *, max_result_bytes: int, clock: Clock, timing: Timing) -> None:
        self._records = records
        self._max_result_bytes = max_result_bytes
        self._clock = clock
        self._timing = timing

    async def judge(self, action: Action, attempt: LiveAttempt, task: asyncio.Task[Any]) -> Conclusion:
        """The end of the handler's task, which is done."""
        if _was_interrupted(action, attempt, task):
            return conclusions.lose if action.at_most_once and attempt.has_begun else conclusions.give_back
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            return await self._store_result(action, attempt.operation, task.result())
        return self._stopped(action, attempt, error) or self._failed(action, attempt.operation, error)

    def _stopped(self, action: Action, attempt: LiveAttempt, error: BaseException) -> Conclusion | None:
        """The conclusion on a handler that has let go; None where it has failed."""
        match error:
            case ActionCanceled() | HandlerKilled() | asyncio.CancelledError():
                if attempt.is_canceled:
                    return conclusions.confirm
                return self.retry_or_fail(action, ErrorBody("AttemptInterrupted", "The attempt stopped itself."))
            case ContinueLater():
                return conclusions.confirm if attempt.is_canceled else self._continue(error.after)
            case InputMisfit():
                return self.misfit(attempt.operation, error)
            case _:
                return None

    def _failed(self, action: Action, operation: Operation, error: BaseException) -> Conclusion:
        match error:
            case ActionFailed():
                return self._fail_as(action, error, error.status_code, retryable=error.retryable)
            case RequestError():
                # The words of a request, from code that both have: what a request would be told to send again is
                # retried.
                retryable = error.status in _SENT_AGAIN or error.status >= 500 or "Retry-After" in error.headers
                return self._fail_as(action, error, error.status, retryable=retryable)
            case ResultRefused():
                return self._refuse(operation, error)
            case ProcessDied():
                about(_log, operation, "handler_process_died").error("The handler's process is gone: %s", error)
                death = ErrorBody("HandlerProcessDied", f"The process that ran the handler is gone: {error}.")
                return self.retry_or_fail(action, death)
            case HandlerRaised():
                about(_log, operation, "handler_raised").error("The handler raised\n%s", error.text)
                name = error.type_name
            case _:
                about(_log, operation, "handler_raised").error("The handler raised", exc_info=error)
                name = type(error.raised if isinstance(error, Escaped) else error).__name__
        message = f"The action failed unexpectedly ({name}); the app's log has more."
        return self.retry_or_fail(action, ErrorBody("ActionError", message))

    async def _store_result(self, action: Action, operation: Operation, value: Any) -> Conclusion:
        if isinstance(value, Payload):
            return conclusions.succeed(Outcome(200, body=value))
        if action.returns_file:
            return self.final(no_file(value).error)
        try:
            content = await self._result_json(action, value)
        except ResultRefused as refused:
            return self._refuse(operation, refused)
        if content is None:
            return conclusions.succeed(Outcome(204))
        for wait in (*self._timing.result_waits, None):
            try:
                body = await self._records.store_result(operation, "application/json", content)
                return conclusions.succeed(Outcome(200, body=body))
            except StorageRefused:
                return self.final(ErrorBody("InvalidResult", "The store cannot hold what the action returned."))
            except StorageError as error:
                about(_log, operation, "result_failed").warning("The result could not be stored: %s", error)
                if wait is not None:
                    await self._clock.sleep(wait)
        error = ErrorBody("ResultNotStored", "The action ended, but storage did not take its result.")
        return self.retry_or_fail(action, error)

    async def _result_json(self, action: Action, value: Any) -> bytes | None:
        if isinstance(value, ResultJson):
            return value.content
        if action.output is None and value is None:
            return None
        return await declared_json(action.output, value, limit=self._max_result_bytes)

    def _refuse(self, operation: Operation, refused: ResultRefused) -> Conclusion:
        about(_log, operation, "result_refused").error("The handler's result does not fit: %s", refused)
        return self.final(refused.error)

    def misfit(self, operation: Operation, problem: ValueError) -> Conclusion:
        """During a rolling deployment an instance of another version may know the stored input: so it is left to that
        for as long as an action that is unknown here."""
        message = f"The stored input does not fit the action: {_problem(problem)}"
        error, now = bounded(ErrorBody("InvalidStoredInput", message)), self._clock.now()
        since = operation.misfit_since or now
        if isinstance(problem, InputGone) or now - since >= self._timing.unknown_action_patience:
            return self.final(error)
        about(_log, operation, "input_misfit").warning("%s", message)
        again = now + self._timing.unknown_action_wait
        return lambda o, now, fence: lifecycle.note_misfit(o, now, fence=fence, not_before=again, error=error)

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
            return self.retry_or_fail(action, error, status_code)
        return self.final(error, status_code)

    def final(self, error: ErrorBody, status_code: int = 500) -> Conclusion:
        outcome = Outcome(status_code, error=bounded(error))
        return lambda o, now, fence: lifecycle.fail(o, now, fence=fence, outcome=outcome)

    def retry_or_fail(self, action: Action, error: ErrorBody, status_code: int = 500) -> Conclusion:
        kept, final, park_after = bounded(error), self.final(error, status_code), self._timing.park_after

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


def _was_interrupted(action: Action, attempt: LiveAttempt, task: asyncio.Task[Any]) -> bool:
    """Whether the stop of its instance has ended the handler, and not its own doing.

    An async one that was cancelled may raise anything while it cleans up. A `def` handler sees its flag where it looks,
    and says so by ActionCanceled: any other error is its own. What either has returned is kept, as any result. A
    process that dies while its instance stops dies of that.
    """
    error = None if task.cancelled() else task.exception()
    if attempt.is_canceled:
        return False
    if isinstance(error, ProcessDied):
        return attempt.is_given_back
    if not attempt.was_reached:
        return False
    return (
        task.cancelled() or isinstance(error, ActionCanceled | HandlerKilled) or (action.is_async and error is not None)
    )


def _problem(error: ValueError) -> str:
    """What is wrong with a value, without the value."""
    return problems(error) if isinstance(error, ValidationError) else str(error)
