"""Events of an orchestration's history, as the Durable Functions extension writes them. No I/O.

Source: the numbers are `azure/durable_functions/models/history/HistoryEventType.py`; which events and fields the SDK
reads is `models/TaskOrchestrationExecutor.py`. What it does not read (that something was scheduled or created) is left
out: every replay reads all of it again.
"""

from datetime import UTC, datetime
from enum import IntEnum

from local_host.durable.hub import Event


class EventType(IntEnum):
    """Events that the SDK reads and that can occur here."""

    EXECUTION_STARTED = 0
    TASK_COMPLETED = 5
    TASK_FAILED = 6
    TIMER_FIRED = 11
    ORCHESTRATOR_STARTED = 12


def orchestrator_started(now: datetime) -> Event:
    """A replay begins: the orchestrator's clock stands at `now`."""
    return _event(EventType.ORCHESTRATOR_STARTED, now)


def execution_started(now: datetime, name: str) -> Event:
    return _event(EventType.EXECUTION_STARTED, now, Name=name, Version="", ParentInstance=None, Tags=None)


def task_completed(now: datetime, task_id: int, result: str) -> Event:
    """`result`: JSON text."""
    return _event(EventType.TASK_COMPLETED, now, TaskScheduledId=task_id, Result=result)


def task_failed(now: datetime, task_id: int, reason: str, details: str) -> Event:
    return _event(EventType.TASK_FAILED, now, TaskScheduledId=task_id, Reason=reason, Details=details)


def timer_fired(now: datetime, timer_id: int, fire_at: datetime) -> Event:
    return _event(EventType.TIMER_FIRED, now, TimerId=timer_id, FireAt=_iso(fire_at))


def _event(kind: EventType, now: datetime, **fields: object) -> Event:
    return {"EventType": int(kind), "EventId": -1, "IsPlayed": False, "Timestamp": _iso(now), **fields}


def _iso(moment: datetime) -> str:
    """UTC with microseconds, as the extension writes it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
