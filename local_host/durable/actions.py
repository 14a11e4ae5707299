"""What an orchestrator function asked for, as actions of durabletask. No I/O.

Source: `azure/durable_functions/models/actions` and the extension's OutOfProcOrchestrationShim. The SDK's list is
cumulative: it holds everything asked for since the execution began. A task's id is its place among the tasks of that
list, in the order they were first yielded; waiting for an event takes none.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

import durabletask.internal.orchestrator_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue


class ActionType(IntEnum):
    """Actions of the SDK by their number on the wire."""

    CALL_ACTIVITY = 0
    CALL_ACTIVITY_WITH_RETRY = 1
    CALL_SUB_ORCHESTRATOR = 2
    CALL_SUB_ORCHESTRATOR_WITH_RETRY = 3
    CONTINUE_AS_NEW = 4
    CREATE_TIMER = 5
    WAIT_FOR_EXTERNAL_EVENT = 6
    CALL_ENTITY = 7
    CALL_HTTP = 8
    SIGNAL_ENTITY = 9
    WHEN_ANY = 11
    WHEN_ALL = 12


_UNSUPPORTED: Mapping[int, str] = {
    ActionType.CALL_ACTIVITY_WITH_RETRY: "call_activity_with_retry",
    ActionType.CALL_SUB_ORCHESTRATOR_WITH_RETRY: "call_sub_orchestrator_with_retry",
    ActionType.CALL_ENTITY: "call_entity",
    ActionType.CALL_HTTP: "call_http",
    ActionType.SIGNAL_ENTITY: "signal_entity",
}


class UnsupportedActionError(Exception):
    """The orchestrator asked for something only the real host can do."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not supported by the local host; use `func start` for orchestrators that need it")


@dataclass(frozen=True)
class Decision:
    """What to tell the backend after a replay."""

    actions: Sequence[pb.OrchestratorAction]
    canceled_timers: frozenset[int] = frozenset()
    custom_status: str | None = None


def decide(
    name: str,
    output: Mapping[str, Any],
    history: Iterable[pb.HistoryEvent],
    scheduled: set[int],
    new_id: Callable[[], str],
) -> Decision:
    """Translate the SDK's answer to a replay of `history`, leaving out what is in `scheduled` already.

    `new_id` names a sub-orchestration without an instance id of its own.
    """
    asked = list(_flatten(action for row in output.get("actions", ()) for action in row))
    custom = output.get("customStatus")
    custom_status = None if custom is None else json.dumps(custom)
    actions: list[pb.OrchestratorAction] = []
    canceled: set[int] = set()
    successor: Mapping[str, Any] | None = None
    for task_id, action in enumerate(one for one in asked if one["actionType"] != ActionType.WAIT_FOR_EXTERNAL_EVENT):
        kind = action["actionType"]
        if kind in _UNSUPPORTED:
            return Decision(
                [failure(name, str(UnsupportedActionError(_UNSUPPORTED[kind])))], custom_status=custom_status
            )
        if kind == ActionType.CONTINUE_AS_NEW:
            successor = action
        elif kind == ActionType.CREATE_TIMER and action.get("isCanceled"):
            canceled.add(task_id)
        elif task_id not in scheduled:
            actions.append(_schedule(task_id, action, new_id))
    if output.get("error"):
        actions.append(failure(name, str(output["error"])))
    elif successor is not None:
        actions.append(_continue_as_new(successor, asked, history))
    elif output.get("isDone"):
        actions.append(_complete(pb.ORCHESTRATION_STATUS_COMPLETED, output.get("output")))
    return Decision(actions, frozenset(canceled), custom_status)


def failure(name: str, error: str) -> pb.OrchestratorAction:
    """The orchestrator failed, in the host's words."""
    message = f"Orchestrator function '{name}' failed: {error}"
    details = pb.TaskFailureDetails(errorType="OrchestrationFailure", errorMessage=message)
    done = pb.CompleteOrchestrationAction(
        orchestrationStatus=pb.ORCHESTRATION_STATUS_FAILED, result=_text(json.dumps(message)), failureDetails=details
    )
    return pb.OrchestratorAction(id=-1, completeOrchestration=done)


def termination(reason: str) -> pb.OrchestratorAction:
    """The instance was terminated; the reason becomes its output."""
    return _complete(pb.ORCHESTRATION_STATUS_TERMINATED, reason)


def _flatten(actions: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for action in actions:
        if action["actionType"] in {ActionType.WHEN_ANY, ActionType.WHEN_ALL}:
            yield from _flatten(action["compoundActions"])
        else:
            yield action


def _schedule(task_id: int, action: Mapping[str, Any], new_id: Callable[[], str]) -> pb.OrchestratorAction:
    if action["actionType"] == ActionType.CALL_ACTIVITY:
        task = pb.ScheduleTaskAction(name=action["functionName"], input=_text(action["input"]))
        return pb.OrchestratorAction(id=task_id, scheduleTask=task)
    if action["actionType"] == ActionType.CREATE_TIMER:
        fire_at = Timestamp()
        fire_at.FromDatetime(datetime.fromisoformat(action["fireAt"]))
        return pb.OrchestratorAction(id=task_id, createTimer=pb.CreateTimerAction(fireAt=fire_at))
    child = pb.CreateSubOrchestrationAction(
        name=action["functionName"],
        instanceId=action.get("instanceId") or new_id(),
        input=_text(json.dumps(action["input"])),
    )
    return pb.OrchestratorAction(id=task_id, createSubOrchestration=child)


def _continue_as_new(
    action: Mapping[str, Any], asked: Iterable[Mapping[str, Any]], history: Iterable[pb.HistoryEvent]
) -> pb.OrchestratorAction:
    """The next execution gets the events this one was sent and did not wait for."""
    waited = Counter(one["externalEventName"] for one in asked if "externalEventName" in one)
    unread: list[pb.HistoryEvent] = []
    for event in history:
        if event.HasField("eventRaised"):
            if waited[event.eventRaised.name] > 0:
                waited[event.eventRaised.name] -= 1
            else:
                unread.append(event)
    done = pb.CompleteOrchestrationAction(
        orchestrationStatus=pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW,
        # Like every input that passes the extension, it arrives as a JSON string that holds JSON.
        result=_text(json.dumps(action["input"])),
        carryoverEvents=unread,
    )
    return pb.OrchestratorAction(id=-1, completeOrchestration=done)


def _complete(status: "pb.OrchestrationStatus", output: object) -> pb.OrchestratorAction:
    result = None if output is None else _text(json.dumps(output))
    done = pb.CompleteOrchestrationAction(orchestrationStatus=status, result=result)
    return pb.OrchestratorAction(id=-1, completeOrchestration=done)


def _text(value: str) -> StringValue:
    return StringValue(value=value)
