"""The Durable Functions engine of the local host: replays orchestrators and runs activities, on one event loop."""

import asyncio
import logging
import traceback
from collections.abc import Coroutine, Iterable, Mapping
from datetime import timedelta

from azure.functions import meta
from azure.functions.durable_functions import ActivityTriggerConverter

from local_host.clock import Clock
from local_host.durable import events
from local_host.durable.actions import Activity, ContinuedAsNew, Decision, DurableTimer, Ended, decide, failure
from local_host.durable.hub import Event, Execution, Instance, Status, TaskHub
from local_host.durable.replay import replay
from local_host.functions import AppFunction
from local_host.invocation import Calls

_log = logging.getLogger(__name__)
_WHOLE_SECOND = timedelta(seconds=1)
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
        clock: Clock,
        max_activities: int,
        timeout: timedelta | None = None,
        hub: TaskHub | None = None,
    ) -> None:
        """Must be made on the running event loop."""
        self.orchestrators: Mapping[str, AppFunction] = {each.durable_name.lower(): each for each in orchestrators}
        self._activities = {each.durable_name.lower(): each for each in activities}
        self._call = call
        self._clock = clock
        self._timeout = timeout
        self._slots = asyncio.Semaphore(max_activities)
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: dict[Execution, dict[int, asyncio.Task[None]]] = {}
        self._ready: dict[Instance, None] = {}  # in the order of their turns
        self._is_due = False
        self._is_closing = False
        self.hub = hub or TaskHub()

    def start(self, name: str, instance_id: str, payload: object) -> None:
        """Start an instance of a known orchestrator. Raises InstanceExistsError."""
        now = self._clock.now()
        instance = self.hub.create(name, instance_id, payload, now)
        self._deliver(instance, instance.execution, events.execution_started(now, name))

    def terminate(self, instance: Instance, reason: str) -> None:
        """End a live instance at once; activities under way run on, their results are dropped."""
        self._end(instance, Ended(Status.TERMINATED, reason))

    async def close(self, patience: float = 1.5) -> None:
        """Cancel timers and running activities and wait for them, at most `patience` seconds."""
        self._is_closing = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)

    # Orchestrations

    def _deliver(self, instance: Instance, execution: Execution, event: Event) -> None:
        if execution.is_over:
            return
        execution.inbox.append(event)
        self._ready[instance] = None
        self._run_soon()

    def _run_soon(self) -> None:
        if not self._is_due and not self._is_closing:
            self._is_due = True
            self._loop.call_soon(self._run_steps)

    def _run_steps(self) -> None:
        self._is_due = False
        until = self._clock.monotonic() + _SLICE
        while self._ready and not self._is_closing:
            instance = next(iter(self._ready))
            del self._ready[instance]
            self._run_step(instance)
            if self._clock.monotonic() > until:
                self._run_soon()
                return

    def _run_step(self, instance: Instance) -> None:
        execution = instance.execution
        if execution.is_over:
            return  # terminated while it waited for its turn
        now = self._clock.now()
        execution.inbox.insert(0, events.orchestrator_started(now))
        try:
            answer = replay(self.orchestrators[instance.name.lower()], instance.id, execution)
            if answer.get("error"):
                _log.error("Orchestrator '%s' (%s) failed: %s", instance.name, instance.id, answer["error"])
            decision = decide(instance.name, answer, execution.scheduled)
        except Exception as error:
            # An answer that cannot be read ends its own instance; the others have their turn.
            _log.exception("The answer of orchestrator '%s' (%s) cannot be read", instance.name, instance.id)
            decision = Decision(end=failure(instance.name, f"its answer cannot be read: {error}"))
        execution.take_inbox()
        self._follow(instance, execution, decision)

    def _follow(self, instance: Instance, execution: Execution, decision: Decision) -> None:
        instance.status, instance.updated = Status.RUNNING, self._clock.now()
        instance.custom_status = decision.custom_status
        timers = self._timers.setdefault(execution, {})
        for timer_id in decision.canceled_timers:
            if timer_id in timers:
                timers.pop(timer_id).cancel()
        for activity in decision.activities:
            execution.scheduled.add(activity.task_id)
            self._spawn(self._run_activity(instance, execution, activity), f"activity {activity.name}")
        if decision.end is not None:
            self._end(instance, decision.end)
            return
        for timer in decision.timers:
            execution.scheduled.add(timer.task_id)
            timers[timer.task_id] = self._spawn(self._run_timer(instance, execution, timer), "durable timer")

    def _end(self, instance: Instance, end: Ended | ContinuedAsNew) -> None:
        now = self._clock.now()
        for task in self._timers.pop(instance.execution, {}).values():
            task.cancel()
        if isinstance(end, Ended):
            self.hub.finish(instance, end.status, end.output, now)
            return
        self.hub.continue_as_new(instance, end.input, now)
        self._deliver(instance, instance.execution, events.execution_started(now, instance.name))

    # Tasks

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        task = self._loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run_timer(self, instance: Instance, execution: Execution, timer: DurableTimer) -> None:
        # By whole seconds, cut off, as the Azure Storage backend delays it: it fires up to a second early.
        now = self._clock.now()
        await self._clock.sleep_until(now + (timer.fire_at - now) // _WHOLE_SECOND * _WHOLE_SECOND)
        self._timers[execution].pop(timer.task_id)
        self._deliver(instance, execution, events.timer_fired(self._clock.now(), timer.task_id, timer.fire_at))

    async def _run_activity(self, instance: Instance, execution: Execution, activity: Activity) -> None:
        async with self._slots:
            event = await self._outcome(instance, activity)
        self._deliver(instance, execution, event)

    async def _outcome(self, instance: Instance, activity: Activity) -> Event:
        """Run an activity; what it returned or raised, as an event."""
        function = self._activities.get(activity.name.lower())
        if function is None:
            reason = f"The activity function '{activity.name}' does not exist"
            return events.task_failed(self._clock.now(), activity.task_id, reason, "")
        limit = asyncio.timeout(self._timeout.total_seconds() if self._timeout else None)
        try:
            async with limit:
                datum = meta.Datum(activity.input or "null", "json")
                argument = ActivityTriggerConverter.decode(datum, trigger_metadata=None)
                result = await self._call(function, argument)
            text: str = ActivityTriggerConverter.encode(result, expected_type=None).value
        except asyncio.CancelledError as error:
            if self._is_closing:
                raise
            return self._failed(instance, activity, error)
        except Exception as error:
            reason = f"it ran longer than functionTimeout, {self._timeout}" if limit.expired() else None
            return self._failed(instance, activity, error, reason)
        return events.task_completed(self._clock.now(), activity.task_id, text)

    def _failed(self, instance: Instance, activity: Activity, error: BaseException, reason: str | None = None) -> Event:
        """An activity's failure in the host's words (two spaces included)."""
        what = reason or f"{type(error).__name__}: {error}"
        _log.error("Activity '%s' (%s) failed: %s", activity.name, instance.id, what, exc_info=error)
        reason = f"Activity function '{activity.name}' failed:  {what}"
        details = "".join(traceback.format_exception(error))
        return events.task_failed(self._clock.now(), activity.task_id, reason, details)
