"""What gets an operation run. Only a Work's text crosses the engine: no caller's payload, no secret, no result."""

from typing import Protocol

from shared.frozen import frozen
from shared.model.ids import Locator
from shared.model.operation import Operation

ORCHESTRATOR = "longRunningActionOrchestrator"
ACTIVITY = "longRunningActions"
"""Names stored in every task hub: renaming one breaks what is under way."""


@frozen
class Work:
    """Which operation an orchestration is for, and which start of it."""

    locator: Locator
    generation: int

    @classmethod
    def of(cls, operation: Operation) -> "Work":
        return cls(operation.locator, operation.generation)

    @classmethod
    def parse(cls, text: str) -> "Work":
        """Inverse of `str()`; surrounding quotes are JSON's. Raises ValueError."""
        locator, _, generation = text.strip('"').rpartition("@")
        return cls(Locator.parse(locator), int(generation))

    def __str__(self) -> str:
        return f"{self.locator}@{self.generation}"


class Starter(Protocol):
    """Starts orchestrations, and forgets those that have ended.

    Every call raises EngineError and returns within ten seconds.
    """

    async def start(self, instance_id: str, work: Work) -> None:
        """Start one; an instance of that id that exists already counts as started."""
        ...

    async def is_live(self, instance_id: str) -> bool:
        """Whether the instance exists and has not finished."""
        ...

    async def purge(self, instance_id: str) -> bool:
        """Have it keep nothing of the instance, nor of one that it does not know; False where that has not ended."""
        ...


class Engine(Starter, Protocol):
    """The whole of it."""

    async def terminate(self, instance_id: str) -> None:
        """Have an instance end without doing more; what has ended, or is not known, stays as it is."""
        ...
