"""Running one attempt: claim the operation, have its handler run, write the outcome once."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from secrets import token_hex
from typing import Any

from shared import telemetry
from shared.actions.context import Services
from shared.actions.declaration import Action
from shared.engine.port import Work
from shared.errors import (
    EngineError,
    ErrorBody,
    FenceLost,
    StorageError,
    StorageUnavailable,
    TransitionError,
)
from shared.model import lifecycle
from shared.model.attempts import AttemptOutcome
from shared.model.operation import Operation, Status
from shared.model.timing import Clock, Timing
from shared.operations import measures
from shared.operations.after_end import AfterEnd, run_after_end
from shared.operations.attempt import LiveAttempt, LiveAttempts
from shared.operations.conclusions import Conclusion, give_back
from shared.operations.handler_processes import HandlerProcesses
from shared.operations.handler_runs import HandlerRuns, Interrupted, Place
from shared.operations.handler_threads import HandlerThreads
from shared.operations.log_lines import about
from shared.operations.pauses import Pauses
from shared.operations.records import OperationRecords
from shared.operations.tasks import ends_within
from shared.telemetry import Kind

_DISPATCH_FAILED = ErrorBody("DispatchFailed", "The app could not run the action; the app's log has more.")

_log = logging.getLogger(__name__)


class _Outdated(Exception):
    """The record of the start was changed since: it has to be read to see what is to do."""


@dataclass(slots=True)
class _Delivery:
    """One call of `Runner.run`."""

    operation: Operation
    """As last read or written here."""
    began: float
    holder: str = field(default_factory=partial(token_hex, 16))
    """What it claims under."""
    is_kept: bool = False
    """Whether it comes from the start in this process instead of the store."""


class Runner:
    """Runs attempts in this process."""

    def __init__(
        self,
        records: OperationRecords,
        actions: Mapping[str, Action],
        threads: HandlerThreads,
        processes: HandlerProcesses,
        live: LiveAttempts,
        *,
        services: Services,
        after_end: AfterEnd,
        clock: Clock,
        timing: Timing,
        function_timeout: timedelta | None,
        instance: str,
        randomness: Callable[[], float],
        pauses: Pauses | None = None,
    ) -> None:
        """`instance` is a short hash of this one, shown with its attempts; `randomness` gives 0 up to 1."""
        self._instance = instance
        self._pauses = pauses
        self._loss_wait = partial(timing.loss_wait, randomness=randomness)
        self._records = records
        self._actions = actions
        self._live = live
        self._clock = clock
        self._timing = timing
        self._function_timeout = function_timeout
        self._after_end = after_end
        self._max_step_bytes = services.settings.max_result_bytes
        self._max_file_bytes = services.settings.max_file_bytes
        self._handlers = HandlerRuns(
            records,
            threads,
            processes,
            services=services,
            clock=clock,
            timing=timing,
            function_timeout=function_timeout,
        )

    async def run(self, work: Work) -> datetime | None:
        """Do what there is to do for `work`; the time to come back, or None when nothing is left.

        Raises StorageError when the store cannot be reached: the orchestrator calls again.
        """
        began = self._clock.monotonic()
        started_here = self._live.starts.take(work)
        if started_here is not None:
            with suppress(_Outdated):
                return await self._deliver(_Delivery(started_here, began, is_kept=True))
        operation = await self._records.read(work.locator)
        if operation is None or operation.status.is_terminal or operation.generation != work.generation:
            return None
        if operation.external:
            return None  # Somebody else works on it; nothing here ever starts it, but a mistake must not claim it.
        if operation.is_parked:
            return None  # The start that wakes it is another generation.
        return await self._deliver(_Delivery(operation, began))

    async def _deliver(self, delivery: _Delivery) -> datetime | None:
        try:
            return await self._step(delivery)
        except (FenceLost, TransitionError) as error:
            about(_log, delivery.operation, "attempt_left").info("Left an operation to its new holder: %s", error)
            return None
        except (StorageError, EngineError, _Outdated):
            raise
        except Exception:
            about(_log, delivery.operation, "dispatch_failed").exception("An attempt could not be run")
            return await self._note_dispatch_failure(delivery)

    async def _step(self, delivery: _Delivery) -> datetime | None:
        operation, now, leases = delivery.operation, self._clock.now(), self._records.leases
        verdict_time = self._records.verdict_clock.now()
        if (held := self._held_for(operation, verdict_time)) is not None:
            return now + held
        if verdict_time >= operation.deadline and operation.status is not Status.CANCELING:
            await self._give_up(operation, now, lifecycle.DEADLINE_ERROR)
            return None
        if operation.status is Status.CANCELING:
            await self._records.change(operation, lambda o: lifecycle.confirm_cancel_unheld(o, now, leases=leases))
            return None
        action = self._actions.get(operation.action)
        if action is not None and lifecycle.losses(operation, now, leases=leases) >= action.max_lost:
            await self._give_up(operation, now, lifecycle.LOST_ERROR)
            return None
        if operation.not_before is not None and now < operation.not_before:
            return operation.not_before
        if action is None:
            return await self._meet_unknown_action(operation, now)
        return await self._unless_held_back(action, delivery)

    async def _unless_held_back(self, action: Action, delivery: _Delivery) -> datetime | None:
        """The next attempt, where one may begin and there is a place for it."""
        operation = delivery.operation
        if wait := await self._held_back(operation):
            return self._again(operation, wait)
        async with self._handlers.place(action, operation) as place:
            if place is None:
                measures.NO_PLACE.add(1, {measures.ACTION: operation.action})
                return self._again(operation, self._timing.place_again)
            if self._live.is_stopping:
                return self._again(operation, timedelta(seconds=self._timing.stop_within))
            return await self._in_place(action, delivery, place)

    def _again(self, operation: Operation, wait: timedelta) -> datetime:
        """When to come back to what was not claimed. Its deadline goes on, and is met in time."""
        now = self._clock.now()
        return min(now + wait, max(now, operation.deadline))

    async def _in_place(self, action: Action, delivery: _Delivery, place: Place) -> datetime | None:
        operation = delivery.operation
        attributes = {measures.ACTION: operation.action, measures.OPERATION_ID: operation.id}
        span = telemetry.span(
            f"attempt {operation.action}", attributes, kind=Kind.CONSUMER, continues=operation.traceparent
        )
        with self._live.claiming(delivery.holder), span:
            return await self._next_attempt(action, delivery, place)

    def _held_for(self, operation: Operation, now: datetime) -> timedelta | None:
        """How long an attempt holds it still; None where none does."""
        leases = self._records.leases
        if not leases.are_live(operation, now):
            return None
        if operation.lease_until is None or operation.lease_until <= now:
            return leases.length
        # Where the clock was set its end may be past, or far away: a look after the length of a lease is enough.
        return min(operation.lease_until - now, leases.length)

    async def _held_back(self, operation: Operation) -> timedelta | None:
        """When to come back, where nothing is claimed now."""
        if self._live.is_stopping:
            return timedelta(seconds=self._timing.stop_within)
        return await self._pauses.holds(operation.action) if self._pauses is not None else None

    async def _next_attempt(self, action: Action, delivery: _Delivery, place: Place) -> datetime | None:
        claimed = delivery.operation = await self._claim(delivery, action)
        if claimed.holder != delivery.holder:
            about(_log, claimed, "attempt_lost").warning("An attempt was lost; the next one waits")
            return claimed.not_before
        if claimed.attempts[-2:-1] and claimed.attempts[-2].outcome is AttemptOutcome.LOST:
            await self._drop_result(claimed, claimed.fence - 1)
        return await self._attempt(action, claimed, place, delivery.began)

    async def _meet_unknown_action(self, operation: Operation, now: datetime) -> datetime | None:
        if operation.unknown_since is None:
            operation = await self._records.change(operation, lambda o: lifecycle.note_unknown_action(o, now))
        if now - (operation.unknown_since or now) < self._timing.unknown_action_patience:
            about(_log, operation, "unknown_action").warning("This instance has no action of that name")
            return now + self._timing.unknown_action_wait
        error = ErrorBody("UnknownAction", f"No action is called {operation.action!r} in this app.")
        await self._give_up(operation, now, error)
        return None

    async def _note_dispatch_failure(self, delivery: _Delivery) -> datetime | None:
        """Count it in the record, and come back; or end the operation, where it was tried often enough."""
        seen, holder = delivery.operation, delivery.holder
        waits, leases = self._timing.dispatch_waits, self._records.leases

        def note(operation: Operation) -> Operation:
            now = self._clock.now()
            if operation.generation != seen.generation or operation.status.is_terminal:
                raise FenceLost(f"operation {operation.id} has moved on")
            if leases.are_live(operation, now) and operation.holder != holder:
                raise FenceLost(f"operation {operation.id} was claimed by somebody else")
            may_have_run = operation.holder == holder
            if not may_have_run:
                operation = lifecycle.count_loss(operation, now, leases=leases)
            is_last = operation.dispatch_failures >= len(waits) or (may_have_run and self._is_once_only(operation))
            if is_last and operation.status is not Status.CANCELING:
                return lifecycle.give_up(operation, now, _DISPATCH_FAILED)
            wait = waits[min(operation.dispatch_failures, len(waits) - 1)]
            return lifecycle.note_dispatch_failure(
                operation,
                now,
                fence=operation.fence,
                not_before=now + timedelta(seconds=wait),
                error=_DISPATCH_FAILED,
            )

        try:
            noted = await self._records.change(seen, note)
        except (FenceLost, TransitionError):
            return None
        return noted.not_before

    def _is_once_only(self, operation: Operation) -> bool:
        action = self._actions.get(operation.action)
        return action is not None and action.at_most_once

    async def _give_up(self, seen: Operation, now: datetime, error: ErrorBody) -> None:
        leases = self._records.leases
        await self._records.change(seen, lambda o: lifecycle.fail_unheld(o, now, error, seen=seen, leases=leases))

    async def _claim(self, delivery: _Delivery, action: Action) -> Operation:
        """The record with the claim; or without one, where a lease has run out and the next claim has to wait."""
        leases, found, holder = self._records.leases, delivery.operation, delivery.holder

        def claim(operation: Operation) -> Operation:
            if delivery.is_kept and operation is not found:
                raise _Outdated
            if operation.generation != found.generation:
                raise FenceLost(f"operation {operation.id} was started again")
            now = self._clock.now()
            if leases.ran_out(operation, now) and self._loss_wait(operation.losses + 1):
                return lifecycle.note_loss(operation, now, leases=leases, wait=self._loss_wait)
            return lifecycle.claim(
                operation, now, holder=holder, timeout=action.timeout, leases=leases, instance=self._instance
            )

        return await self._records.change(found, claim)

    async def _attempt(self, action: Action, operation: Operation, place: Place, began: float) -> datetime | None:
        attempt = LiveAttempt(
            self._records,
            operation,
            clock=self._clock,
            timing=self._timing,
            max_step_bytes=self._max_step_bytes,
            max_file_bytes=self._max_file_bytes if action.returns_file else None,
        )
        about(_log, operation, "attempt_began").info("Attempt began")
        telemetry.note({measures.ATTEMPT: operation.attempt})
        with self._live.registered(attempt):
            keeper = asyncio.create_task(attempt.keep())
            try:
                conclusion = await self._handlers.run(action, attempt, place, began)
            except Interrupted as stop:
                await attempt.close(keeper)
                if stop.conclusion is not None:
                    await self._settle_if_possible(attempt, stop.conclusion, began)
                raise asyncio.CancelledError from None
            except (asyncio.CancelledError, StorageError):
                # The host is stopping, or the input cannot be read: the handler was not called. Give the operation
                # back so that the next attempt need not wait for the lease.
                await attempt.close(keeper)
                await self._settle_if_possible(attempt, give_back, began)
                raise
            except BaseException:
                await attempt.close(keeper)
                raise
            await attempt.close(keeper)
            return await self._settle(attempt, conclusion, began)

    async def _settle(self, attempt: LiveAttempt, conclusion: Conclusion, began: float) -> datetime | None:
        claimed = attempt.operation
        try:
            async with self._clock.timeout(self._time_to_settle(began)):
                again = await self._unless_stopped_between(attempt.settle(conclusion))
        except TimeoutError:
            raise StorageUnavailable(f"the end of operation {claimed.id} could not be stored in time") from None
        except (FenceLost, TransitionError):
            await self._drop_result(claimed, attempt.fence)
            await attempt.files.tidy(None)
            raise
        ended, last = attempt.operation, attempt.operation.attempts[-1]
        how = f"{last.outcome} {last.code}".rstrip()
        failure = last.code if last.outcome is AttemptOutcome.FAILED else ""
        telemetry.note({measures.OUTCOME: str(last.outcome), measures.STATUS: ended.status.value}, error_type=failure)
        about(_log, ended, "attempt_ended").info("Attempt ended: %s; the operation is %s", how, ended.status)
        if ended.status.is_terminal:
            self._live.completions.notify(ended)
            if ended.status is Status.SUCCEEDED:
                self._live.durations.note(ended.action, (ended.changed - ended.may_begin).total_seconds())
            await run_after_end(self._after_end, ended)
        return again

    def _time_to_settle(self, began: float) -> float | None:
        """Seconds until the host would cut the activity off, with something to spare: that restarts the host."""
        if self._function_timeout is None:
            return None
        used = self._clock.monotonic() - began
        left = self._function_timeout.total_seconds() - self._timing.host_reserve - used
        return max(self._timing.cancel_grace, left)

    async def _drop_result(self, operation: Operation, fence: int) -> None:
        """No record will ever name the result that this claim may have stored."""
        with suppress(StorageError):
            await self._records.drop_result(operation, fence=fence)

    async def _settle_if_possible(self, attempt: LiveAttempt, conclusion: Conclusion, began: float) -> None:
        """Where it is not, the lease runs out."""
        with suppress(StorageError, FenceLost, TransitionError):
            await self._settle(attempt, conclusion, began)

    async def _unless_stopped_between(self, write: Coroutine[Any, Any, datetime | None]) -> datetime | None:
        """Let a write that has begun end before a cancellation goes on: half-way, nobody would know who holds it."""
        task = asyncio.create_task(write)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await ends_within(task, self._timing.cancel_grace, self._clock)
            raise
