"""What is to be reached, and whether a figure reaches it. No I/O."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Samples = Mapping[str, Sequence[float]]
"""What was measured, by the key of its mark, in the order in which it was."""


@dataclass(frozen=True, slots=True)
class Mark:
    number: int
    measure: str
    goal: float
    is_least: bool = False
    """Whether the goal is the least that is good; else it is the most."""
    unit: str = "x"

    @property
    def goal_text(self) -> str:
        return f"{'>=' if self.is_least else '<='} {self.goal:g} {self.unit}"

    def is_reached(self, value: float) -> bool:
        return value >= self.goal if self.is_least else value <= self.goal


MARKS: Mapping[str, Mark] = {
    "celery": Mark(1, "operations/s, 16 callers, over FastAPI + Celery + Redis", 1.0, is_least=True),
    "dbos": Mark(1, "operations/s, 16 callers, over FastAPI + DBOS on SQLite, its default", 2.0, is_least=True),
    "callers": Mark(2, "operations/s of 64 callers over those of 16", 0.9, is_least=True),
    "cpu": Mark(3, "CPU an operation over Durable Functions' own pattern on the same host", 1.6),
    "poll_running": Mark(4, "polls/s of a running operation over an empty function", 0.6, is_least=True),
    "poll_ended": Mark(4, "polls/s of an ended operation over an empty function", 0.6, is_least=True),
    "azurite": Mark(5, "operations/s on Azurite over azure-data-tables alone", 1.3, is_least=True),
    "engine": Mark(
        6,
        "operations/s on the Durable extension over what it allows: its own pattern, and the storage",
        0.95,
        is_least=True,
    ),
    "engine_cpu": Mark(7, "CPU of the functions' process there, over Durable Functions' own pattern", 2.0),
    "requests": Mark(8, "storage requests an operation, start and attempt on one instance", 3.0, unit="requests"),
    "pollers": Mark(9, "work of 30 ms, seen to its end by the slowest of five stock pollers", 0.3, unit="s"),
    "pace_polls": Mark(10, "polls an operation, simulated: median of 300 from 50 ms to 10 min", 3, unit="polls"),
    "pace_added": Mark(10, "wait that they add to an operation, median", 10, unit="%"),
    "import": Mark(11, "import of function_app over the SDKs and pydantic", 1.2),
    "openapi": Mark(12, "first openapi.json of a fresh host", 20, unit="ms"),
    "metadata": Mark(12, "first $metadata of a fresh host", 20, unit="ms"),
    "query": Mark(12, "first OData query of a fresh host", 20, unit="ms"),
    "large": Mark(13, "memory for a monitor or a result of 50 MB", 60, unit="MB"),
    "growth": Mark(14, "list, pass, start and poll with a million records over those with 1,000 (FULL=1)", 1.2),
    "sweep": Mark(14, "time a record of a sweep of 100,000 over one of 10,000 (FULL=1)", 1.2),
    "restart": Mark(14, "time a record of a restart with 100,000 active over one with 10,000 (FULL=1)", 1.2),
    "sweep_polls": Mark(14, "a poll while 100,000 expired are swept, p99 (FULL=1)", 100, unit="ms"),
    "restart_polls": Mark(14, "a poll while 100,000 active are restarted, p99 (FULL=1)", 100, unit="ms"),
    "file": Mark(15, "file of the embedded store, a finished operation", 2.5, unit="KB"),
    "overload": Mark(16, "unclear refusals, broken connections and lost operations with 800 callers", 0, unit=""),
    "epub": Mark(17, "reading an EPUB of 150 KB over ebooklib and lxml", 1.8),
}


def summary(values: Sequence[float]) -> str:
    """The median, and the least and the most of them."""
    middle, least, most = statistics.median(values), min(values), max(values)
    digits = 2 if middle < 100 else 0
    return f"{middle:.{digits}f} ({least:.{digits}f} to {most:.{digits}f})"


def verdict(mark: Mark, values: Sequence[float]) -> str:
    return "reached" if mark.is_reached(statistics.median(values)) else "missed"
