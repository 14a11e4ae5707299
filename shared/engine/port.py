"""What gets an operation run. Only a Work's text crosses the engine: no caller's payload, no secret, no result."""

from dataclasses import dataclass
from typing import Protocol

from shared.operations.ids import Locator
from shared.operations.model import Operation


@dataclass(frozen=True, slots=True)
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


class Engine(Protocol):
    """Starts orchestrations. Both calls raise EngineError and return within ten seconds."""

    async def start(self, instance_id: str, work: Work) -> None:
        """Start one; an instance of that id that exists already counts as started."""
        ...

    async def is_live(self, instance_id: str) -> bool:
        """Whether the instance exists and has not finished."""
        ...
