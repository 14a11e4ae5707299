"""The SDK's answer to a replay, as a decision. No I/O.

Source: `azure/durable_functions/models/actions` and the extension's OutOfProcOrchestrationShim. The SDK's list is
cumulative: it holds every action since the execution began. A task's id is its place in that list, in the order in
which tasks were first yielded.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from local_host.durable.hub import Status


class ActionType(IntEnum):
    """Actions of the SDK, served here, by their number on the wire."""

    CALL_ACTIVITY = 0
    CONTINUE_AS_NEW = 4
    CREATE_TIMER = 5
    WHEN_ANY = 11
    WHEN_ALL = 12


_NOT_SERVED: Mapping[int, str] = {
    1: "call_activity_with_retry",
    2: "call_sub_orchestrator",
    3: "call_sub_orchestrator_with_retry",
    6: "wait_for_external_event",
    7: "call_entity",
    8: "call_http",
    9: "signal_entity",
}


@dataclass(frozen=True)
class Activity:
    """`input`: JSON text, or None."""

    task_id: int
    name: str
    input: str | None


@dataclass(frozen=True)
class DurableTimer:
    task_id: int
    fire_at: datetime


@dataclass(frozen=True)
class Ended:
    status: Status
    output: Any


@dataclass(frozen=True)
class ContinuedAsNew:
    input: Any


@dataclass(frozen=True)
class Decision:
    """What follows from a replay: what to start, which timers to stop, and whether the execution is over."""

    activities: Sequence[Activity] = ()
    timers: Sequence[DurableTimer] = ()
    canceled_timers: Sequence[int] = ()
    end: Ended | ContinuedAsNew | None = None
    custom_status: Any = None


def decide(name: str, answer: Mapping[str, Any], scheduled: AbstractSet[int]) -> Decision:
    """Read the SDK's answer for the orchestrator `name`, leaving out tasks that are in `scheduled` already."""
    activities: list[Activity] = []
    timers: list[DurableTimer] = []
    canceled: list[int] = []
    custom_status = answer.get("customStatus")
    end: Ended | ContinuedAsNew | None = None
    for task_id, action in enumerate(_flatten(action for row in answer.get("actions", ()) for action in row)):
        kind = action["actionType"]
        if kind == ActionType.CONTINUE_AS_NEW:
            end = ContinuedAsNew(action["input"])
        elif kind == ActionType.CREATE_TIMER and action.get("isCanceled"):
            canceled.append(task_id)
        elif kind == ActionType.CREATE_TIMER and task_id not in scheduled:
            timers.append(DurableTimer(task_id, _utc(action["fireAt"])))
        elif kind == ActionType.CALL_ACTIVITY and task_id not in scheduled:
            activities.append(Activity(task_id, action["functionName"], action["input"]))
        elif kind not in {*ActionType}:
            what = _NOT_SERVED.get(kind, f"the action {kind}")
            error = f"{what} is not supported by the local host; use `func start` for orchestrators that need it"
            return Decision(end=failure(name, error), custom_status=custom_status)
    if answer.get("error"):
        end = failure(name, str(answer["error"]))
    elif end is None and answer.get("isDone"):
        end = Ended(Status.COMPLETED, answer.get("output"))
    return Decision(activities, timers, canceled, end, custom_status)


def failure(name: str, error: str) -> Ended:
    """The orchestrator failed, in the host's words."""
    return Ended(Status.FAILED, f"Orchestrator function '{name}' failed: {error}")


def _flatten(actions: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for action in actions:
        if action["actionType"] in {ActionType.WHEN_ANY, ActionType.WHEN_ALL}:
            yield from _flatten(action["compoundActions"])
        else:
            yield action


def _utc(text: str) -> datetime:
    """The SDK writes the orchestrator's own clock, which is UTC with or without saying so."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
