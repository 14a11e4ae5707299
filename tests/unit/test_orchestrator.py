"""The pass-through orchestrator, step by step, as the SDK's replay drives a generator."""

from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from blueprints.orchestrator import ROUNDS, pass_through
from shared.engine.port import ACTIVITY

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Context:
    """The members of a DurableOrchestrationContext that the orchestrator may use; each task is a plain tuple."""

    current_utc_datetime = NOW

    def __init__(self) -> None:
        self.renewed: list[Any] = []

    def get_input(self) -> str:
        return "work"

    def call_activity(self, name: str, input: Any) -> tuple[str, Any]:
        assert name == ACTIVITY
        return ("activity", input)

    def create_timer(self, due: datetime) -> tuple[str, datetime]:
        return ("timer", due)

    def continue_as_new(self, input: Any) -> None:
        self.renewed.append(input)


@pytest.fixture
def context() -> Context:
    return Context()


@pytest.fixture
def steps(context: Context) -> Generator[Any, Any, None]:
    steps = pass_through(context)
    assert next(steps) == ("activity", "work")
    return steps


def end(steps: Generator[Any, Any, None], value: Any) -> None:
    with pytest.raises(StopIteration):
        steps.send(value)


def test_nothing_left_ends_it(context: Context, steps: Generator[Any, Any, None]) -> None:
    """The input goes through to the activity as it is, and an activity without a next time ends the orchestration."""
    end(steps, None)
    assert context.renewed == []


def test_a_named_time_is_slept_until(steps: Generator[Any, Any, None]) -> None:
    """The activity's next time becomes a durable timer, after which it is called again with the same input.

    The timer is due a second later: it may fire a second early, and the activity would have nothing to do yet.
    """
    assert steps.send("2026-01-01T00:05:00.000000Z") == ("timer", NOW + timedelta(minutes=5, seconds=1))
    assert steps.send(None) == ("activity", "work")
    end(steps, None)


def test_a_time_that_has_passed_is_now(steps: Generator[Any, Any, None]) -> None:
    """The next slice follows at once: a timer would cost it time, and the SDK takes none that is past."""
    assert steps.send("2025-12-31T00:00:00.000000Z") == ("activity", "work")
    assert steps.send("2026-01-01T00:00:00.000000Z") == ("activity", "work")
    end(steps, None)


def test_a_failed_activity_is_called_again(steps: Generator[Any, Any, None]) -> None:
    """An infrastructure failure is caught and tried again a little later; it never fails the orchestration."""
    assert steps.throw(Exception("host went away")) == ("timer", NOW + timedelta(seconds=15))
    assert steps.send(None) == ("activity", "work")


def test_the_history_starts_anew(context: Context, steps: Generator[Any, Any, None]) -> None:
    """After a number of rounds it continues as new with the same input, so that no history grows without end."""
    for _ in range(ROUNDS - 1):
        assert steps.send("2026-01-01T00:00:01.000000Z")[0] == "timer"
        assert steps.send(None)[0] == "activity"
    assert steps.send("2026-01-01T00:00:01.000000Z")[0] == "timer"
    end(steps, None)
    assert context.renewed == ["work"]
