"""A task hub in memory: durabletask's in-memory backend, made to serve one event loop.

The backend is written for gRPC and threads. Here its servicer methods are called in process, and what the public
surface does not offer is overridden in this one module:

- timers, activities and sub-orchestrations belong to one *execution*: what is left of an earlier one (before
  `continue_as_new`, or of a replaced instance) never reaches a later one;
- timers are timers of the event loop, not a thread each, and a parent waits for its child however long it takes;
- work is announced by a callback at once, not found by polling.

Everything runs on the event loop's thread: there is never a second orchestration step under way.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn, cast

import durabletask.internal.orchestrator_service_pb2 as pb
import grpc
from durabletask.internal import helpers
from durabletask.testing import InMemoryOrchestrationBackend
from durabletask.testing.in_memory_backend import OrchestrationInstance
from google.protobuf.wrappers_pb2 import StringValue

_MAX_HISTORY = 1_000_000
_KEPT_FINISHED = 10_000  # instances; storage holds more on Azure, memory should not

LIVE = frozenset(
    {
        pb.ORCHESTRATION_STATUS_PENDING,
        pb.ORCHESTRATION_STATUS_RUNNING,
        pb.ORCHESTRATION_STATUS_SUSPENDED,
        pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW,
    }
)


class InstanceExistsError(Exception):
    """A live instance has this id."""


@dataclass(frozen=True)
class ActivityCall:
    """An activity to run for one execution of an instance."""

    instance_id: str
    execution: int
    task_id: int
    name: str
    input: str | None


@dataclass(frozen=True)
class Step:
    """An orchestration step: events to replay, and the token that completes it."""

    name: str
    token: str
    request: pb.OrchestratorRequest


class _Refused(Exception):
    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code = code


class _InProcess:
    """As much of a gRPC context as the servicer methods use."""

    def __init__(self, active: Callable[[], bool] = lambda: False) -> None:
        self.is_active = active

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        raise _Refused(code, details)


def _context(active: Callable[[], bool] = lambda: False) -> grpc.ServicerContext:
    return cast("grpc.ServicerContext", _InProcess(active))


class TaskHub(InMemoryOrchestrationBackend):
    """Instances, their histories and what they wait for."""

    def __init__(self, *, on_step: Callable[[], None], on_activity: Callable[[ActivityCall], None]) -> None:
        """`on_step`: a step may be waiting; `on_activity`: run this. Both are called on the event loop."""
        super().__init__(max_history_size=_MAX_HISTORY)
        self._on_step = on_step
        self._on_activity = on_activity
        self._loop = asyncio.get_running_loop()
        self._executions: dict[str, int] = {}
        self._last_execution = 0
        self._timers: dict[str, dict[int, asyncio.TimerHandle]] = {}
        self._parents: dict[str, tuple[str, int, int]] = {}
        self._finished: deque[str] = deque()

    # What the HTTP API asks

    def create(self, name: str, instance_id: str, payload: str | None, version: str | None = None) -> None:
        """Start an instance; InstanceExistsError where a live one has the id (a finished one is replaced)."""
        request = pb.CreateInstanceRequest(
            instanceId=instance_id,
            name=name,
            input=None if payload is None else StringValue(value=payload),
            version=None if version is None else StringValue(value=version),
            orchestrationIdReusePolicy=pb.OrchestrationIdReusePolicy(
                replaceableStatus=[
                    pb.ORCHESTRATION_STATUS_COMPLETED,
                    pb.ORCHESTRATION_STATUS_FAILED,
                    pb.ORCHESTRATION_STATUS_TERMINATED,
                    pb.ORCHESTRATION_STATUS_CANCELED,
                ]
            ),
        )
        try:
            self.StartInstance(request, _context())
        except _Refused as refused:
            raise InstanceExistsError(str(refused)) from None
        self._begin_execution(instance_id)

    def state(self, instance_id: str) -> pb.OrchestrationState | None:
        """The instance, payloads included; None when there is none."""
        request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)
        answer = self.GetInstance(request, _context())
        return answer.orchestrationState if answer.exists else None

    def query(self, query: pb.InstanceQuery) -> tuple[Sequence[pb.OrchestrationState], str | None]:
        """Instances that fit, and the token of the next page."""
        answer = self.QueryInstances(pb.QueryInstancesRequest(query=query), _context())
        return list(answer.orchestrationState), answer.continuationToken.value or None

    def history(self, instance_id: str) -> list[pb.HistoryEvent]:
        """Events of a known instance's current execution."""
        request = pb.StreamInstanceHistoryRequest(instanceId=instance_id)
        return [event for chunk in self.StreamInstanceHistory(request, _context()) for event in chunk.events]

    def raise_event(self, instance_id: str, name: str, payload: str | None) -> None:
        """Send an event to a live instance."""
        value = None if payload is None else StringValue(value=payload)
        self.RaiseEvent(pb.RaiseEventRequest(instanceId=instance_id, name=name, input=value), _context())

    def terminate(self, instance_id: str, reason: str) -> None:
        """End a live instance; activities under way run on, their results are dropped."""
        self.TerminateInstance(
            pb.TerminateRequest(instanceId=instance_id, output=StringValue(value=reason)), _context()
        )

    def suspend(self, instance_id: str, reason: str) -> None:
        self.SuspendInstance(pb.SuspendRequest(instanceId=instance_id, reason=StringValue(value=reason)), _context())

    def resume(self, instance_id: str, reason: str) -> None:
        self.ResumeInstance(pb.ResumeRequest(instanceId=instance_id, reason=StringValue(value=reason)), _context())

    def purge(self, request: pb.PurgeInstancesRequest) -> int:
        """Forget finished instances; returns how many."""
        return self.PurgeInstances(request, _context()).deletedInstanceCount

    # What the worker asks

    def next_step(self) -> Step | None:
        """The next orchestration step, or None when nothing waits."""
        # The stream ends when its context is no longer active, so it never waits for work to come; and its pause
        # after a look that found nothing is skipped while this is set.
        self._work_available.set()
        stream = self.GetWorkItems(pb.GetWorkItemsRequest(), _context(lambda: bool(self._orchestration_queue)))
        for item in stream:
            request = item.orchestratorRequest
            return Step(self._instances[request.instanceId].name, item.completionToken, request)
        return None

    def complete_step(
        self, step: Step, actions: Iterable[pb.OrchestratorAction], custom_status: str | None = None
    ) -> None:
        """Record a step and what it decided."""
        self.CompleteOrchestratorTask(
            pb.OrchestratorResponse(
                instanceId=step.request.instanceId,
                actions=actions,
                completionToken=step.token,
                customStatus=None if custom_status is None else StringValue(value=custom_status),
            ),
            _context(),
        )

    def complete_activity(
        self, call: ActivityCall, result: str | None = None, failure: pb.TaskFailureDetails | None = None
    ) -> None:
        """Deliver an activity's end, unless the execution that called it is over."""
        if not self._is_live(call.instance_id, call.execution):
            return
        value = None if result is None else StringValue(value=result)
        self.CompleteActivityTask(
            pb.ActivityResponse(instanceId=call.instance_id, taskId=call.task_id, result=value, failureDetails=failure),
            _context(),
        )

    def cancel_timers(self, instance_id: str, timer_ids: Iterable[int]) -> None:
        """Stop timers the orchestrator has canceled."""
        handles = self._timers.get(instance_id, {})
        for timer_id in timer_ids:
            handle = handles.pop(timer_id, None)
            if handle is not None:
                handle.cancel()

    def parent_of(self, instance_id: str) -> str | None:
        """The instance that waits for this one."""
        parent = self._parents.get(instance_id)
        return parent[0] if parent else None

    def close(self) -> None:
        """Stop every timer."""
        for instance_id in list(self._timers):
            self._drop_timers(instance_id)

    # Overrides of durabletask's in-memory backend (1.12); its lock is only ever taken by the loop's thread

    def _enqueue_orchestration(self, instance_id: str) -> None:
        super()._enqueue_orchestration(instance_id)
        self._on_step()

    def _process_schedule_task_action(self, instance: OrchestrationInstance, action: pb.OrchestratorAction) -> None:
        super()._process_schedule_task_action(instance, action)
        item = self._activity_queue.pop()
        execution = self._executions[item.instance_id]
        self._on_activity(ActivityCall(item.instance_id, execution, item.task_id, item.name, item.input))

    def _process_create_timer_action(self, instance: OrchestrationInstance, action: pb.OrchestratorAction) -> None:
        fire_at = action.createTimer.fireAt.ToDatetime(tzinfo=UTC)
        instance.history.append(helpers.new_timer_created_event(action.id, fire_at))
        delay = max(0.0, (fire_at - datetime.now(UTC)).total_seconds())
        handle = self._loop.call_later(delay, self._fire_timer, instance, action.id, fire_at)
        self._timers.setdefault(instance.instance_id, {})[action.id] = handle

    def _fire_timer(self, instance: OrchestrationInstance, timer_id: int, fire_at: datetime) -> None:
        # Timers end with their execution, so one that fires is the current execution's.
        self._timers.get(instance.instance_id, {}).pop(timer_id, None)
        instance.pending_events.append(helpers.new_timer_fired_event(timer_id, fire_at))
        self._enqueue_orchestration(instance.instance_id)

    def _process_complete_orchestration_action(
        self, instance: OrchestrationInstance, complete_action: pb.CompleteOrchestrationAction
    ) -> None:
        self._drop_timers(instance.instance_id)
        if complete_action.orchestrationStatus == pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW:
            # Events from outside outlive an execution; answers to what it had scheduled do not.
            instance.pending_events = [
                event for event in instance.pending_events if event.WhichOneof("eventType") in _OUTLIVES
            ]
            self._begin_execution(instance.instance_id)
        super()._process_complete_orchestration_action(instance, complete_action)

    def _watch_sub_orchestration(self, parent_instance_id: str, sub_instance_id: str, task_id: int) -> None:
        self._begin_execution(sub_instance_id)
        self._parents[sub_instance_id] = (parent_instance_id, self._executions[parent_instance_id], task_id)

    def _notify_waiters(self, instance_id: str) -> None:
        super()._notify_waiters(instance_id)
        instance = self._instances.get(instance_id)
        if instance is None or not self._is_terminal_status(instance.status):
            return
        parent = self._parents.pop(instance_id, None)
        if parent is not None and self._is_live(parent[0], parent[1]):
            self._tell_parent(self._instances[parent[0]], instance, parent[2])
        self._finished.append(instance_id)
        if len(self._finished) > _KEPT_FINISHED:
            self._forget(self._finished.popleft())

    # Own helpers

    def _begin_execution(self, instance_id: str) -> None:
        self._drop_timers(instance_id)
        self._last_execution += 1
        self._executions[instance_id] = self._last_execution

    def _drop_timers(self, instance_id: str) -> None:
        for handle in self._timers.pop(instance_id, {}).values():
            handle.cancel()

    def _is_live(self, instance_id: str, execution: int) -> bool:
        instance = self._instances.get(instance_id)
        return (
            instance is not None
            and self._executions.get(instance_id) == execution
            and not self._is_terminal_status(instance.status)
        )

    def _tell_parent(self, parent: OrchestrationInstance, child: OrchestrationInstance, task_id: int) -> None:
        if child.status == pb.ORCHESTRATION_STATUS_COMPLETED:
            event = helpers.new_sub_orchestration_completed_event(task_id, child.output)
        else:
            reason = child.failure_details.errorMessage if child.failure_details else f"{child.name} was terminated"
            event = helpers.new_sub_orchestration_failed_event(task_id, Exception(reason))
        parent.pending_events.append(event)
        self._enqueue_orchestration(parent.instance_id)

    def _forget(self, instance_id: str) -> None:
        instance = self._instances.get(instance_id)
        if instance is not None and not self._is_terminal_status(instance.status):
            return  # a new instance has taken the id
        self.purge(pb.PurgeInstancesRequest(instanceId=instance_id))
        self._executions.pop(instance_id, None)


_OUTLIVES = frozenset({"eventRaised", "executionTerminated", "executionSuspended", "executionResumed"})
