"""The Durable Functions worker: replays orchestrators and runs activities, on one event loop."""

import asyncio
import logging
import time
import traceback
from collections.abc import Iterable, Mapping
from datetime import timedelta
from uuid import uuid4

import durabletask.internal.orchestrator_service_pb2 as pb
from azure.functions import meta
from azure.functions.durable_functions import ActivityTriggerConverter
from google.protobuf.wrappers_pb2 import StringValue

from local_host.durable.actions import decide, failure, termination
from local_host.durable.backend import ActivityCall, Step, TaskHub
from local_host.durable.history import pending_ids
from local_host.durable.replay import replay
from local_host.functions import AppFunction
from local_host.invocation import Calls

_log = logging.getLogger(__name__)
_SLICE = 0.005  # seconds of replay after which requests and activities get their turn


class DurableWorker:
    """Serves a task hub of its own.

    Orchestrators are replayed one at a time, so their number never exceeds `maxConcurrentOrchestratorFunctions`;
    activities run side by side up to `max_activities`, each no longer than `timeout`.
    """

    def __init__(
        self,
        orchestrators: Iterable[AppFunction],
        activities: Iterable[AppFunction],
        call: Calls,
        *,
        max_activities: int,
        timeout: timedelta | None = None,
    ) -> None:
        """Must be made on the running event loop."""
        self.orchestrators: Mapping[str, AppFunction] = {each.durable_name.lower(): each for each in orchestrators}
        self._activities = {each.durable_name.lower(): each for each in activities}
        self._call = call
        self._timeout = timeout
        self._slots = asyncio.Semaphore(max_activities)
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._due = False
        self._closing = False
        self.hub = TaskHub(on_step=self._on_step, on_activity=self._on_activity)

    async def close(self, patience: float = 1.5) -> None:
        """Cancel running activities and wait for them, at most `patience` seconds."""
        self._closing = True
        self.hub.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)

    # Orchestrations

    def _on_step(self) -> None:
        if not self._due and not self._closing:
            self._due = True
            self._loop.call_soon(self._run_steps)

    def _run_steps(self) -> None:
        self._due = False
        until = time.perf_counter() + _SLICE
        while not self._closing and (step := self.hub.next_step()) is not None:
            self._run_step(step)
            if time.perf_counter() > until:
                self._on_step()
                return

    def _run_step(self, step: Step) -> None:
        past, new = step.request.pastEvents, step.request.newEvents
        reason = next(
            (event.executionTerminated.input.value for event in new if _is(event, "executionTerminated")), None
        )
        if reason is not None:
            self.hub.complete_step(step, [termination(reason)])
            return
        if _is_suspended([*past, *new]):
            self.hub.complete_step(step, [])
            return
        instance_id = step.request.instanceId
        function = self.orchestrators.get(step.name.lower())
        if function is None:
            self.hub.complete_step(step, [failure(step.name, "the orchestrator function does not exist")])
            return
        output = replay(function, step.request, self.hub.parent_of(instance_id))
        if output.get("error"):
            _log.error("Orchestrator '%s' (%s) failed: %s", step.name, instance_id, output["error"])
        decision = decide(step.name, output, [*past, *new], pending_ids(past), lambda: uuid4().hex)
        self.hub.cancel_timers(instance_id, decision.canceled_timers)
        self.hub.complete_step(step, decision.actions, decision.custom_status)

    # Activities

    def _on_activity(self, call: ActivityCall) -> None:
        task = self._loop.create_task(self._run_activity(call), name=f"activity {call.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_activity(self, call: ActivityCall) -> None:
        async with self._slots:
            function = self._activities.get(call.name.lower())
            if function is None:
                reason = f"The activity function '{call.name}' does not exist"
                self.hub.complete_activity(call, failure=_failure(reason, ""))
                return
            limit = asyncio.timeout(self._timeout.total_seconds() if self._timeout else None)
            try:
                async with limit:
                    argument = ActivityTriggerConverter.decode(
                        meta.Datum(call.input or "null", "json"), trigger_metadata=None
                    )
                    result = await self._call(function, argument)
                text: str = ActivityTriggerConverter.encode(result, expected_type=None).value
            except asyncio.CancelledError as error:
                if self._closing:
                    raise
                self.hub.complete_activity(call, failure=self._failed(call, error))
            except Exception as error:
                reason = f"it ran longer than functionTimeout, {self._timeout}" if limit.expired() else None
                self.hub.complete_activity(call, failure=self._failed(call, error, reason))
            else:
                self.hub.complete_activity(call, text)

    def _failed(self, call: ActivityCall, error: BaseException, reason: str | None = None) -> pb.TaskFailureDetails:
        """An activity's failure in the host's words (two spaces included)."""
        what = reason or f"{type(error).__name__}: {error}"
        _log.error("Activity '%s' (%s) failed: %s", call.name, call.instance_id, what, exc_info=error)
        details = "".join(traceback.format_exception(error))
        return _failure(f"Activity function '{call.name}' failed:  {what}", details)


def _failure(reason: str, details: str) -> pb.TaskFailureDetails:
    return pb.TaskFailureDetails(
        errorType="ActivityFailure", errorMessage=reason, stackTrace=StringValue(value=details)
    )


def _is(event: pb.HistoryEvent, kind: str) -> bool:
    return event.WhichOneof("eventType") == kind


def _is_suspended(events: Iterable[pb.HistoryEvent]) -> bool:
    suspended = False
    for event in events:
        kind = event.WhichOneof("eventType")
        if kind in {"executionSuspended", "executionResumed"}:
            suspended = kind == "executionSuspended"
    return suspended
