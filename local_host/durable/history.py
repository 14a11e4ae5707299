"""History of an orchestration, from durabletask's events to the JSON of the Durable Functions extension. No I/O.

Source: the names and numbers are `azure/durable_functions/models/history/HistoryEventType.py`; which fields the SDK
reads is `models/TaskOrchestrationExecutor.py`.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

import durabletask.internal.orchestrator_service_pb2 as pb


class EventType(IntEnum):
    """Events of the extension that can occur here."""

    ExecutionStarted = 0
    ExecutionCompleted = 1
    ExecutionTerminated = 3
    TaskScheduled = 4
    TaskCompleted = 5
    TaskFailed = 6
    SubOrchestrationInstanceCreated = 7
    SubOrchestrationInstanceCompleted = 8
    SubOrchestrationInstanceFailed = 9
    TimerCreated = 10
    TimerFired = 11
    OrchestratorStarted = 12
    OrchestratorCompleted = 13
    EventRaised = 15
    ExecutionSuspended = 19
    ExecutionResumed = 20


def replay_events(past: Iterable[pb.HistoryEvent], new: Iterable[pb.HistoryEvent]) -> list[dict[str, Any]]:
    """The history an orchestrator function is replayed with.

    What the SDK does not read (that something was scheduled, created or completed) is left out: every replay reads
    all of it again.
    """
    events: list[dict[str, Any]] = []
    clock = "1970-01-01T00:00:00Z"
    for played, batch in ((True, past), (False, new)):
        for event in batch:
            kind = _KINDS.get(str(event.WhichOneof("eventType")))
            if kind is None or kind[0] in _UNREAD:
                continue
            if kind[0] is EventType.OrchestratorStarted:
                clock = iso(event.timestamp.ToDatetime(UTC))
            fields = kind[1](event)
            events.append({"EventType": int(kind[0]), "EventId": -1, "IsPlayed": played, "Timestamp": clock, **fields})
    return events


def shown_events(events: Iterable[pb.HistoryEvent], *, outputs: bool) -> list[dict[str, Any]]:
    """`historyEvents` of a status answer: names for types, no bookkeeping, results only where asked for.

    The backend stamps few events; the others get the time of the replay they belong to.
    """
    shown: list[dict[str, Any]] = []
    names: dict[int, str] = {}
    clock = ""
    for event in events:
        kind = _KINDS.get(str(event.WhichOneof("eventType")))
        if kind is None:
            continue
        if kind[0] is EventType.OrchestratorStarted:
            clock = iso(event.timestamp.ToDatetime(UTC))
        if kind[0] in {EventType.OrchestratorStarted, EventType.OrchestratorCompleted}:
            continue
        fields = kind[1](event)
        if "Name" in fields:
            names[event.eventId] = fields["Name"]
        scheduled = fields.pop("TaskScheduledId", None)
        if scheduled is not None:
            fields["FunctionName"] = names.get(scheduled)
        if not outputs:
            fields.pop("Result", None)
        shown.append({"EventType": kind[0].name, "Timestamp": clock, **fields})
    return shown


def pending_ids(events: Iterable[pb.HistoryEvent]) -> set[int]:
    """Ids of the tasks and timers that were scheduled."""
    return {event.eventId for event in events if event.WhichOneof("eventType") in _SCHEDULING}


def iso(moment: datetime) -> str:
    """UTC with microseconds, as the extension writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _started(event: pb.HistoryEvent) -> dict[str, Any]:
    body = event.executionStarted
    return {"Name": body.name, "Version": body.version.value, "ParentInstance": None, "Tags": None}


def _nothing(_: pb.HistoryEvent) -> dict[str, Any]:
    return {}


_Fields = Callable[[pb.HistoryEvent], dict[str, Any]]

_KINDS: dict[str, tuple[EventType, _Fields]] = {
    "executionStarted": (EventType.ExecutionStarted, _started),
    "executionCompleted": (
        EventType.ExecutionCompleted,
        lambda event: {"Result": event.executionCompleted.result.value or None},
    ),
    "executionTerminated": (
        EventType.ExecutionTerminated,
        lambda event: {"Input": event.executionTerminated.input.value},
    ),
    "taskScheduled": (EventType.TaskScheduled, lambda event: {"Name": event.taskScheduled.name}),
    "taskCompleted": (
        EventType.TaskCompleted,
        lambda event: {
            "TaskScheduledId": event.taskCompleted.taskScheduledId,
            "Result": event.taskCompleted.result.value or "null",
        },
    ),
    "taskFailed": (
        EventType.TaskFailed,
        lambda event: {
            "TaskScheduledId": event.taskFailed.taskScheduledId,
            "Reason": event.taskFailed.failureDetails.errorMessage,
            "Details": event.taskFailed.failureDetails.stackTrace.value,
        },
    ),
    "subOrchestrationInstanceCreated": (
        EventType.SubOrchestrationInstanceCreated,
        lambda event: {
            "Name": event.subOrchestrationInstanceCreated.name,
            "InstanceId": event.subOrchestrationInstanceCreated.instanceId,
        },
    ),
    "subOrchestrationInstanceCompleted": (
        EventType.SubOrchestrationInstanceCompleted,
        lambda event: {
            "TaskScheduledId": event.subOrchestrationInstanceCompleted.taskScheduledId,
            "Result": event.subOrchestrationInstanceCompleted.result.value or "null",
        },
    ),
    "subOrchestrationInstanceFailed": (
        EventType.SubOrchestrationInstanceFailed,
        lambda event: {
            "TaskScheduledId": event.subOrchestrationInstanceFailed.taskScheduledId,
            "Reason": event.subOrchestrationInstanceFailed.failureDetails.errorMessage,
            "Details": "",
        },
    ),
    "timerCreated": (
        EventType.TimerCreated,
        lambda event: {"FireAt": iso(event.timerCreated.fireAt.ToDatetime(UTC))},
    ),
    "timerFired": (
        EventType.TimerFired,
        lambda event: {
            "TimerId": event.timerFired.timerId,
            "FireAt": iso(event.timerFired.fireAt.ToDatetime(UTC)),
        },
    ),
    "orchestratorStarted": (EventType.OrchestratorStarted, _nothing),
    "orchestratorCompleted": (EventType.OrchestratorCompleted, _nothing),
    "eventRaised": (
        EventType.EventRaised,
        lambda event: {"Name": event.eventRaised.name, "Input": event.eventRaised.input.value or "null"},
    ),
    "executionSuspended": (EventType.ExecutionSuspended, _nothing),
    "executionResumed": (EventType.ExecutionResumed, _nothing),
}

_UNREAD = frozenset(
    {
        EventType.TaskScheduled,
        EventType.SubOrchestrationInstanceCreated,
        EventType.TimerCreated,
        EventType.OrchestratorCompleted,
        EventType.ExecutionSuspended,
        EventType.ExecutionResumed,
    }
)
_SCHEDULING = frozenset({"taskScheduled", "timerCreated", "subOrchestrationInstanceCreated"})
