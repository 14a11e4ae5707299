"""Running one attempt: claim the operation, have its handler run, write the outcome once."""

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from shared.actions.declaration import Action
from shared.actions.execution import HandlerThreads
from shared.engine.port import Work
from shared.errors import ErrorBody, FenceLost, StorageError, StorageUnavailable, TransitionError
from shared.operations import lifecycle
from shared.operations.attempt import LiveAttempt, LiveAttempts
from shared.operations.follow_up import follow_up, log_fields
from shared.operations.handler_runs import GRACE, Clock, HandlerRuns
from shared.operations.model import Operation, Status
from shared.operations.records import OperationRecords

UNKNOWN_ACTION_PATIENCE = timedelta(minutes=10)
"""During a rolling deployment an old instance meets a new action; the new instances get it within this time."""

_UNKNOWN_ACTION_WAIT = timedelta(seconds=15)

_HOST_RESERVE = 15.0
"""Seconds before the host's functionTimeout by which an activity has returned even where storage hangs."""

_log = logging.getLogger(__name__)


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
        self._live = live
        self._clock = clock
        self._function_timeout = function_timeout
        self._handlers = HandlerRuns(records, threads, clock=clock, function_timeout=function_timeout)

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
            _log.info("Left an operation to its new holder: %s", error, extra=log_fields("attempt_left", operation))
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
            _log.warning("This instance has no action of that name", extra=log_fields("unknown_action", operation))
            return now + _UNKNOWN_ACTION_WAIT
        error = ErrorBody("UnknownAction", f"No action is called {operation.action!r} in this app.")
        seen = operation
        await self._records.change(operation, lambda o: lifecycle.fail_unheld(o, now, error, seen=seen))
        return None

    async def _attempt(self, action: Action, operation: Operation, began: float) -> datetime | None:
        attempt = LiveAttempt(self._records, operation, self._clock)
        _log.info("Attempt began", extra=log_fields("attempt_began", operation))
        with self._live.registered(attempt):
            keeper = asyncio.create_task(attempt.keep())
            try:
                verdict = await self._handlers.run(action, attempt, began)
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
        _log.info("Attempt ended", extra=log_fields("attempt_ended", attempt.operation))
        if again is None:
            self._live.endings.announce(attempt.operation)
            await follow_up(action.after_end, attempt.operation)
        return again

    def _time_to_settle(self, began: float) -> float | None:
        """Seconds until the host would cut the activity off, with something to spare: that restarts the host."""
        if self._function_timeout is None:
            return None
        left = self._function_timeout.total_seconds() - _HOST_RESERVE - (time.monotonic() - began)
        return max(GRACE, left)

    async def _drop_result(self, operation: Operation, fence: int) -> None:
        """No record will ever name the result that this claim may have stored."""
        with suppress(StorageError):
            await self._records.drop_result(operation, fence=fence)

    async def _release(self, attempt: LiveAttempt) -> None:
        with suppress(StorageError, FenceLost, TransitionError):
            await attempt.settle(lambda o, now, fence: lifecycle.continue_later(o, now, fence=fence, not_before=now))


async def _unless_stopped_between(write: Coroutine[Any, Any, datetime | None]) -> datetime | None:
    """Let a write that has begun end before a cancellation goes on: half-way, nobody would know who holds it."""
    task = asyncio.ensure_future(write)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=GRACE)
        raise


def _claim(operation: Operation, now: datetime, *, generation: int, holder: str, action: Action) -> Operation:
    if operation.generation != generation:
        raise FenceLost(f"operation {operation.id} was started again")
    return lifecycle.claim(operation, now, holder=holder, timeout=action.timeout)
