"""A task hub in memory: instances of orchestrations, and what each of them has heard. No I/O and no clock.

An instance has one *execution* at a time: from its start to its end, or to `continue_as_new`. Answers are given to the
execution that waits for them, so what is late (an activity of an earlier execution, or of an instance that was
replaced or terminated) is never heard by a later one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

KEPT_FINISHED = 10_000
"""Instances. Storage holds more on Azure, memory should not."""

Event = dict[str, Any]
"""An event of a history, in the words of the Durable Functions extension (`events.py`)."""


class Status(StrEnum):
    """`runtimeStatus` of an instance, as far as it occurs here."""

    PENDING = "Pending"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    TERMINATED = "Terminated"


LIVE = frozenset({Status.PENDING, Status.RUNNING})


class InstanceExistsError(Exception):
    """A live instance has this id."""


@dataclass(eq=False)
class Execution:
    """`history`: what the orchestrator function has been replayed with; `inbox`: what it has not seen yet."""

    input: Any
    history: list[Event] = field(default_factory=list[Event])
    inbox: list[Event] = field(default_factory=list[Event])
    scheduled: set[int] = field(default_factory=set[int])
    is_over: bool = False

    def take_inbox(self) -> None:
        """After a replay: what was new is history."""
        for event in self.inbox:
            event["IsPlayed"] = True
        self.history += self.inbox
        self.inbox = []


@dataclass(eq=False)
class Instance:
    """An orchestration by its id. `input`, `output` and `custom_status` are JSON values."""

    id: str
    name: str
    created: datetime
    updated: datetime
    execution: Execution
    status: Status = Status.PENDING
    output: Any = None
    custom_status: Any = None

    @property
    def is_live(self) -> bool:
        return self.status in LIVE


class TaskHub:
    """Instances by id; the oldest finished ones go first once there are more than `kept_finished` of them."""

    def __init__(self, kept_finished: int = KEPT_FINISHED) -> None:
        self._kept_finished = kept_finished
        self._instances: dict[str, Instance] = {}
        self._finished: dict[Instance, None] = {}  # in the order of their ends

    @property
    def instances(self) -> Mapping[str, Instance]:
        return self._instances

    def create(self, name: str, instance_id: str, payload: object, now: datetime) -> Instance:
        """A new instance in the place of a finished one, if any; InstanceExistsError where a live one has the id."""
        existing = self._instances.get(instance_id)
        if existing is not None and existing.is_live:
            raise InstanceExistsError(f"An instance with id '{instance_id}' already exists and has not finished")
        self.purge(instance_id)
        instance = self._instances[instance_id] = Instance(instance_id, name, now, now, Execution(payload))
        return instance

    def continue_as_new(self, instance: Instance, payload: object, now: datetime) -> None:
        """Begin the next execution."""
        instance.execution.is_over = True
        instance.execution = Execution(payload)
        instance.updated = now

    def finish(self, instance: Instance, status: Status, output: object, now: datetime) -> None:
        """End a live instance."""
        instance.execution.is_over = True
        instance.status, instance.output, instance.updated = status, output, now
        self._finished[instance] = None
        if len(self._finished) > self._kept_finished:
            self.purge(next(iter(self._finished)).id)

    def purge(self, instance_id: str) -> bool:
        """Forget a finished instance; False where there is none."""
        instance = self._instances.get(instance_id)
        if instance is None or instance.is_live:
            return False
        del self._instances[instance_id]
        del self._finished[instance]
        return True
