"""Running the handler of an attempt: on the event loop, in a thread, or in a process; until it ends or has to stop."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from math import inf
from typing import Any

from pydantic import BaseModel
from pydantic_core import from_json

from shared import telemetry
from shared.actions.attempt_context import ActionContext, Attempt, AttemptContext, SyncActionContext
from shared.actions.context import Services
from shared.actions.declaration import Action
from shared.actions.files import File
from shared.actions.registry import HOST_MARGIN
from shared.errors import ErrorBody
from shared.frozen import frozen
from shared.model.operation import Operation, Payload
from shared.model.timing import Clock, Timing
from shared.operations import conclusions, measures
from shared.operations.attempt import LiveAttempt
from shared.operations.conclusions import Conclusion
from shared.operations.containment import contained
from shared.operations.handler_ends import HandlerEnds, InputGone
from shared.operations.handler_processes import HandlerProcesses, ProcessJob, ProcessPlace, ResultJson
from shared.operations.handler_threads import HandlerAbandoned, HandlerThreads, wait_for_end
from shared.operations.log_lines import about
from shared.operations.off_loop import off_loop
from shared.operations.process_context import GIVEN
from shared.operations.records import OperationRecords
from shared.operations.tasks import ends_within

_log = logging.getLogger(__name__)
_handler_log = logging.getLogger("shared.actions.handler")
"""Of `context.logger`."""


@frozen
class Place:
    """Where an attempt runs its handler: on the loop, in a thread, or in `process`."""

    process: ProcessPlace | None = None


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
        processes: HandlerProcesses,
        *,
        services: Services,
        clock: Clock,
        timing: Timing,
        function_timeout: timedelta | None,
    ) -> None:
        self._records = records
        self._threads = threads
        self._processes = processes
        self._services = services
        self._clock = clock
        self._timing = timing
        limit = services.settings.max_result_bytes
        self._ends = HandlerEnds(records, max_result_bytes=limit, clock=clock, timing=timing)
        self._function_timeout = function_timeout

    @asynccontextmanager
    async def place(self, action: Action, operation: Operation) -> AsyncGenerator[Place | None]:
        """Where an attempt at the operation may run its handler; None where nothing is free for now."""
        if action.is_async:
            yield Place()
        elif action.in_process:
            async with self._processes.place(operation) as process:
                yield process and Place(process)
        else:
            async with self._threads.place() as is_taken:
                yield Place() if is_taken else None

    async def run(self, action: Action, attempt: LiveAttempt, place: Place, began: float) -> Conclusion:
        """The handler's end as a transition of the record. Raises Interrupted where the host does not wait for it.

        `began` is when the host has called the activity.
        """
        operation = attempt.operation
        saved: bytes | None = None
        try:
            content = await self._load_input(action, operation)
            if operation.saved is not None and (saved := await self._records.load_payload(operation.saved)) is None:
                # To begin anew would be to do again what is done.
                return self._ends.final(ErrorBody("CheckpointGone", "The blob of the last checkpoint is not there."))
            context = self._context(action, attempt)
            if place.process is not None:
                job = _job(action, attempt, context, content, saved)
                call = self._call_in_process(place.process, job)
            else:
                input = await off_loop(len(content), action.read_input, content, operation.input_version)
                if saved is not None:
                    attempt.checkpoints.value = await off_loop(len(saved), from_json, saved)
                call = self._call(action, attempt, context, input)
        except ValueError as error:
            return self._ends.misfit(operation, error)
        task = asyncio.create_task(call, name=f"handler {operation.id}")
        attempt.stop_with(
            partial(_interrupt, action, place, task), let_go=lambda: self._let_go(action, attempt, place, task)
        )
        try:
            done = await ends_within(task, self._time_left(attempt, began), self._clock)
        except asyncio.CancelledError:
            attempt.give_back()
            try:
                await wait_for_end(task, grace=self._timing.stop_grace, clock=self._clock)
            except HandlerAbandoned:
                if place.process is None or action.at_most_once:
                    raise Interrupted(None) from None
                await asyncio.wait({task})  # Its process was ended with it.
            raise Interrupted(await self._ends.judge(action, attempt, task)) from None
        if not done:
            return await self._time_out(action, attempt, place, task, began)
        return await self._ends.judge(action, attempt, task)

    def _time_left(self, attempt: LiveAttempt, began: float) -> float:
        """Seconds for the handler: those of its attempt, and not more than the host has for the activity."""
        return min(attempt.time_left.total_seconds(), self._left_of_activity(began))

    def _left_of_activity(self, began: float) -> float:
        """Seconds until the activity has to return."""
        if self._function_timeout is None:
            return inf
        return (self._function_timeout - HOST_MARGIN).total_seconds() - (self._clock.monotonic() - began)

    def _context(self, action: Action, attempt: LiveAttempt) -> AttemptContext:
        operation = attempt.operation
        return handler_context(
            self._services,
            operation,
            is_async=action.is_async,
            deadline=operation.attempt_deadline or self._clock.now() + action.timeout,
            attempt_state=attempt,
        )

    async def _call(
        self, action: Action, attempt: LiveAttempt, context: AttemptContext, input: BaseModel | None
    ) -> Any:
        arguments = (context,) if action.input_model is None else (context, input)
        attempt.has_begun = True
        if action.is_async:
            with contained(), self._span(action):
                return await self._kept(action, attempt, context, await action.handler(*arguments))

        def unless_stopped() -> Any:
            # asyncio's cancellation does not reach what waits to start.
            context.raise_if_canceled()
            with self._span(action):
                return action.handler(*arguments)

        value = await self._threads.run(unless_stopped, operation=attempt.operation)
        with contained():
            return await self._kept(action, attempt, context, value)

    async def _kept(self, action: Action, attempt: LiveAttempt, context: AttemptContext, value: Any) -> Any:
        """The value; a file that the action declares as it is stored, within the time and the lease of its attempt."""
        if not action.returns_file or not isinstance(value, File):
            return value
        read = partial(self._threads.read, operation=attempt.operation)
        return await attempt.files.store(value, check=context.raise_if_canceled, read=read)

    async def _call_in_process(self, process: ProcessPlace, job: ProcessJob) -> ResultJson | Payload:
        job.attempt.has_begun = True
        with self._span(job.action):
            return await process.run(job)

    def _let_go(self, action: Action, attempt: LiveAttempt, place: Place, task: asyncio.Task[Any]) -> bool:
        """Reach a handler whose instance is stopping; whether it was reached.

        A thread keeps its lease until it returns: given back while it runs, it would run twice. A process is ended
        where it does not stop. What must not run twice is left alone, for it may still end in time.
        """
        if action.is_async or not attempt.has_begun:
            return task.cancel()
        if action.at_most_once or task.done():
            return False
        attempt.raise_flag()
        if place.process is not None:
            place.process.stop(min(action.grace.total_seconds(), self._timing.stop_grace))
        return True

    @staticmethod
    def _span(action: Action) -> AbstractContextManager[object]:
        return telemetry.span(f"handler {action.name}", {measures.ACTION: action.name})

    async def _load_input(self, action: Action, operation: Operation) -> bytes:
        if action.input_model is None:
            return b""
        content = await self._records.load_payload(operation.input)
        if content is None:
            raise InputGone("its blob is gone")
        return content

    async def _time_out(
        self, action: Action, attempt: LiveAttempt, place: Place, task: asyncio.Task[Any], began: float
    ) -> Conclusion:
        canceling = attempt.is_canceled
        attempt.cancel()
        grace = self._timing.cancel_grace if place.process is None else action.grace.total_seconds()
        try:
            await wait_for_end(task, grace=max(0.0, min(grace, self._left_of_activity(began))), clock=self._clock)
        except HandlerAbandoned:
            if place.process is None:
                about(_log, attempt.operation, "abandoned").error("A handler did not stop at its deadline")
        if canceling:
            return conclusions.confirm
        seconds = action.timeout.total_seconds()
        error = ErrorBody("AttemptTimedOut", f"The attempt did not end within {seconds:g} seconds.")
        return self._ends.retry_or_fail(action, error)


def _interrupt(action: Action, place: Place, task: asyncio.Task[Any]) -> None:
    """Have a handler stop for good. A thread sees that by itself."""
    if place.process is not None:
        place.process.stop(action.grace.total_seconds())
    elif action.is_async:
        task.cancel()


def _job(
    action: Action, attempt: LiveAttempt, context: AttemptContext, input: bytes, saved: bytes | None
) -> ProcessJob:
    given = {name: getattr(context, name) for name in GIVEN}
    given["deadline"] = context.deadline.isoformat()
    return ProcessJob(action=action, attempt=attempt, context=given, input=input, saved=saved)
