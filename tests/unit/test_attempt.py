"""What handlers may report, and what watches over attempts."""

import asyncio
import logging
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from shared.errors import ActionCanceled
from shared.model.operation import Progress
from shared.model.timing import Timing
from shared.operations.loop_watch import watch_loop
from tests.support.clock import ManualClock
from tests.support.parts import SilentAttempt, context


def reported(**values: Any) -> Progress:
    attempt = SilentAttempt()
    context(attempt_state=attempt).report_progress(**values)
    return attempt.reports[0]


def test_percent() -> None:
    """Percent follows from done and total, with two digits; an explicit one wins."""
    assert reported(done=1, total=3) == Progress(33.33, 1, 3)
    assert reported(done=1, total=3, percent=50) == Progress(50, 1, 3)
    assert reported(done=0, total=0) == Progress(None, 0, 0)


class Odd:
    """Of a package that nobody here knows."""

    def __float__(self) -> float:
        raise RuntimeError("not on this device")

    __index__ = __float__

    def __str__(self) -> str:
        raise RuntimeError("no text")


def nested(depth: int) -> list[Any]:
    outer: list[Any] = []
    for _ in range(depth):
        outer = [outer]
    return outer


class Meters:
    def __float__(self) -> float:
        return 12.5


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    ("values", "shown", "mistake"),
    [
        ({"percent": -1}, Progress(0), "percent does not lie between 0 and 100"),
        ({"percent": 150}, Progress(100), "percent does not lie between 0 and 100"),
        ({"percent": float("inf"), "done": 1}, Progress(100, 1), "percent does not lie"),
        ({"percent": 10**400}, Progress(100), "percent does not lie"),
        ({"percent": float("nan"), "message": "on"}, Progress(None, message="on"), "percent is NaN"),
        ({"percent": float("nan"), "done": 1, "total": 2}, Progress(50, 1, 2), "percent is NaN"),
        ({"percent": "50"}, Progress(), "percent is no number, but str"),
        ({"percent": True}, Progress(), "percent is no number, but bool"),
        ({"percent": [1]}, Progress(), "percent is no number, but list"),
        ({"percent": Odd()}, Progress(), "percent is no number, but Odd"),
        ({"done": 4, "total": 3}, Progress(100, 3, 3), "done is more than total"),
        ({"done": -4, "total": 3}, Progress(0, 0, 3), "done does not lie between 0"),
        ({"done": 1, "total": -3}, Progress(None, 1, 0), "total does not lie between 0"),
        ({"done": 10**400, "total": 10**401}, Progress(100, 2**53, 2**53), "done does not lie between 0"),
        ({"done": 1.5, "total": 3}, Progress(33.33, 1, 3), "done is no whole number"),
        ({"done": 1, "total": float("nan")}, Progress(None, 1), "total is NaN"),
        ({"done": "one", "total": 3}, Progress(None, None, 3), "done is no number, but str"),
        ({"message": 404}, Progress(message="404"), "message is no text, but int"),
        ({"message": Odd(), "percent": 1}, Progress(1), "message is no text, but Odd"),
        ({"data": {1, 2}, "percent": 1}, Progress(1), "data is not JSON"),
        ({"data": {("a", "b"): 1}}, Progress(), "data is not JSON"),
        ({"data": float("nan")}, Progress(), "JSON"),
        ({"data": nested(100_000)}, Progress(), "data is not JSON"),
        ({"data": CIRCLE}, Progress(), "Circular reference"),
        ({"data": "x" * 5000, "message": "on"}, Progress(message="on"), "data has 5002 bytes as JSON"),
        ({"data": Odd()}, Progress(), "data is not JSON"),
    ],
    ids=lambda value: repr(value)[:60] if isinstance(value, str) else None,
)
def test_what_does_not_fit(
    values: dict[str, Any], shown: Progress, mistake: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A mistake in telling how far the work is ends no work: what fits is shown, and the log says what did not."""
    assert reported(**values) == shown
    assert mistake in caplog.text
    assert "x" * 100 not in caplog.text


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"done": 3.0, "total": 6.0}, Progress(50, 3, 6)),
        ({"percent": Decimal("12.5")}, Progress(12.5)),
        ({"percent": Fraction(1, 2)}, Progress(0.5)),
        ({"percent": Meters()}, Progress(12.5)),
        ({"done": 5, "total": 0}, Progress(None, 5, 0)),
        ({"message": ""}, Progress(message="")),
        ({"data": (1, 2)}, Progress(data=[1, 2])),
    ],
)
def test_what_fits(values: dict[str, Any], shown: Progress, caplog: pytest.LogCaptureFixture) -> None:
    """Numbers of any class that stands for one are no mistake."""
    assert reported(**values) == shown
    assert not caplog.records


def test_a_mistake_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A handler makes it at every step: one line for each of the parameters is enough for an attempt."""
    attempt = SilentAttempt()
    handed = context(attempt_state=attempt)
    for _ in range(100):
        handed.report_progress(percent=150, message=1)  # type: ignore[arg-type]
    assert len(attempt.reports) == 100
    assert len(caplog.records) == 2
    context().report_progress(percent=150)
    assert len(caplog.records) == 3


def test_data_is_a_snapshot() -> None:
    """What a handler changes afterwards does not change what it reported; an endless message is cut."""
    data = {"a": [1]}
    attempt = SilentAttempt()
    context(attempt_state=attempt).report_progress(data=data, message="x" * 10_000)
    data["a"].append(2)
    assert attempt.reports[0].data == {"a": [1]}
    assert len(attempt.reports[0].message or "") == 500


def test_raise_if_canceled() -> None:
    """It raises once the operation was asked to stop, and not before."""
    attempt = SilentAttempt()
    context(attempt_state=attempt).raise_if_canceled()
    attempt.cancel_requested = True
    with pytest.raises(ActionCanceled):
        context(attempt_state=attempt).raise_if_canceled()


async def test_loop_watch(caplog: pytest.LogCaptureFixture) -> None:
    """A loop that is held up is logged with the actions that were running, and with the CPU that was used."""
    clock, timing = ManualClock(), Timing()
    watch = watch_loop(lambda: ["book:work", "book:work"], say=lambda line: line(), clock=clock, timing=timing)
    task = asyncio.create_task(watch)
    with caplog.at_level(logging.WARNING):
        await clock.run_for(seconds=60)
        clock.pass_by(seconds=timing.loop_watch_interval + timing.loop_lag)
        await clock.run_for()
        assert not caplog.records
        clock.use_cpu(1.5)
        await clock.run_for()
    task.cancel()
    (record,) = caplog.records
    assert record.message.startswith("The event loop was held up for 1.2 s (1.5 s of CPU) while these ran: book:work.")
    assert (record.__dict__["lag"], record.__dict__["cpu"]) == (1.25, 1.5)
