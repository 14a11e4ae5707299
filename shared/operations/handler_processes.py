"""Where computing handlers run: processes of the app's own, at most so many, each used again and again.

A process is the one thing that can be stopped whatever its code does, and that holds up no other handler and no poll.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from math import inf
from typing import Any, NamedTuple

from shared import telemetry
from shared.actions.context import Services
from shared.actions.declaration import Action
from shared.errors import ActionCanceled
from shared.frozen import frozen
from shared.model.operation import Operation, Payload
from shared.model.timing import Clock, Timing
from shared.operations.attempt import LiveAttempt
from shared.operations.handler_places import Places, WaitingRoom
from shared.operations.handler_process import HandlerProcess, ProcessDied
from shared.operations.log_lines import about
from shared.operations.process_calls import ProcessCalls
from shared.operations.process_errors import HandlerRaised
from shared.operations.snapshots import MAX_CHECKPOINT_BYTES
from shared.operations.tasks import is_set_within

_log = logging.getLogger(__name__)
_output_log = logging.getLogger("shared.actions.output")
"""Of a handler's standard streams."""


class HandlerKilled(Exception):
    """The handler did not stop within its grace period, and its process was ended."""


class ResultJson(NamedTuple):
    """What a handler has returned, as it declares it; None where that is nothing."""

    content: bytes | None


@frozen(kw_only=True)
class ProcessJob:
    """One run of a handler."""

    action: Action
    attempt: LiveAttempt
    context: Mapping[str, Any]
    """What the handler's context has of the operation, as JSON."""
    input: bytes
    saved: bytes | None

    @property
    def run(self) -> str:
        """A name that no other run has."""
        operation = self.attempt.operation
        return f"{operation.run_id}-{operation.fence}"


class HandlerProcesses:
    """Those of one app: none before the first is needed."""

    def __init__(
        self, limit: int, room: WaitingRoom, *, package: str, services: Services, clock: Clock, timing: Timing
    ) -> None:
        """`package` has the modules of the app's actions."""
        self._places = Places(limit, room)
        self._package = package
        self._services = services
        self._clock = clock
        self._timing = timing
        self._idle: list[HandlerProcess] = []
        self._all = set[HandlerProcess]()
        self._leaving = set[asyncio.Task[None]]()

    @asynccontextmanager
    async def place(self, operation: Operation) -> "AsyncGenerator[ProcessPlace | None]":
        """A process for an attempt at the operation; None where there is none for now."""
        async with self._places.taken() as is_taken:
            if not is_taken:
                yield None
                return
            place = ProcessPlace(await self._process(operation), self._services, clock=self._clock)
            try:
                yield place
            finally:
                if place.process is not None:
                    self._put_back(place.process)

    async def aclose(self) -> None:
        """End them all."""
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(*(process.aclose(kill=True) for process in self._all))
        self._all.clear()
        self._idle.clear()

    async def _process(self, operation: Operation) -> HandlerProcess | None:
        """One that may run a handler; None where it cannot be made."""
        while self._idle:
            process = self._idle.pop()
            if process.is_fit:
                return process
            self._let_go(process)
        try:
            process = await self._started(operation)
        except (ProcessDied, HandlerRaised, OSError) as error:
            text = error.text if isinstance(error, HandlerRaised) else error
            about(_log, operation, "handler_process_failed").error("A process for handlers did not start: %s", text)
            return None
        self._all.add(process)
        return process

    async def _started(self, operation: Operation) -> HandlerProcess:
        settings = self._services.settings
        hello = {
            "package": self._package,
            "settings": settings.model_dump(mode="json", exclude={"storage"}),
            "log_level": logging.getLogger().getEffectiveLevel(),
        }
        return await HandlerProcess.started(
            hello,
            limit=max(settings.max_result_bytes, MAX_CHECKPOINT_BYTES),
            within=self._timing.process_start,
            say=lambda line: _say(operation, line),
            clock=self._clock,
        )

    def _put_back(self, process: HandlerProcess) -> None:
        if process.is_fit:
            self._idle.append(process)
        else:
            self._let_go(process)

    def _let_go(self, process: HandlerProcess) -> None:
        async def leave() -> None:
            await process.aclose()
            self._all.discard(process)

        task = asyncio.create_task(leave(), name="end of a process")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


class ProcessPlace:
    """A process that is kept for one attempt."""

    def __init__(self, process: HandlerProcess | None, services: Services, *, clock: Clock) -> None:
        self.process = process
        """None where it could not be made."""
        self._services = services
        self._clock = clock
        self._news = asyncio.Event()
        self._until = inf
        """When the process is ended, by the monotonic clock."""

    def stop(self, grace: float) -> None:
        """Tell the handler to stop, and end the process after so many seconds."""
        self._until = min(self._until, self._clock.monotonic() + grace)
        self._news.set()

    async def run(self, job: ProcessJob) -> ResultJson | Payload:
        """What the handler returns. Raises what it raises, ProcessDied, HandlerKilled.

        A cancelled caller has the process ended.
        """
        process, operation = self.process, job.attempt.operation
        if process is None:
            raise ProcessDied("it did not start")
        if self._until < inf:
            raise ActionCanceled("the attempt was over before its handler has begun")
        calls = ProcessCalls(job.attempt, job.run, self._services, process.send)
        work = asyncio.create_task(
            process.perform(_frames(job), calls, lambda line: _say(operation, line), ends="end"), name="process"
        )
        work.add_done_callback(lambda _: self._news.set())
        try:
            if not await self._ends_in_time(work, process):
                process.kill()
                await asyncio.wait({work})
                work.exception()
                about(_log, operation, "handler_killed").warning("Ended a process whose handler did not stop")
                raise HandlerKilled
            content = work.result()
            if calls.returned is not None:
                return calls.returned
            return ResultJson(None if job.action.output is None and not content else content)
        finally:
            if not work.done():
                process.kill()
                work.cancel()
            await calls.close()

    async def _ends_in_time(self, work: asyncio.Task[bytes], process: HandlerProcess) -> bool:
        """Wait for the end of the work; where it is to stop, as long as it has for that."""
        is_told = False
        while not work.done():
            if self._until < inf and not is_told:
                is_told = True
                process.tell_to_stop()
            left = None if self._until == inf else self._until - self._clock.monotonic()
            if left is not None and left <= 0:
                return False
            self._news.clear()
            await is_set_within(self._news, left, self._clock)
        return True


def _frames(job: ProcessJob) -> list[tuple[dict[str, Any], bytes]]:
    attempt = job.attempt
    head = {
        "kind": "run",
        "run": job.run,
        **job.context,
        "input_version": attempt.operation.input_version,
        "time_left": attempt.time_left.total_seconds(),
        "traceparent": telemetry.traceparent(),
    }
    saved = [] if job.saved is None else [({"kind": "saved"}, job.saved)]
    return [*saved, (head, job.input)]


def _say(operation: Operation, line: str) -> None:
    about(_output_log, operation, "handler_output").info("%s", line)
