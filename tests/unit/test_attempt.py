"""What handlers may report, and what watches over attempts."""

import asyncio
import logging
import time
from typing import Any

import pytest

from shared.errors import ActionCanceled
from shared.operations import loop_watch
from shared.operations.model import Progress
from tests.unit.parts import SilentAttempt, context


def reported(**values: Any) -> Progress:
    attempt = SilentAttempt()
    context(attempt_state=attempt).report_progress(**values)
    return attempt.reports[0]


def test_percent() -> None:
    """Percent follows from done and total, with two digits; an explicit one wins."""
    assert reported(done=1, total=3) == Progress(33.33, 1, 3)
    assert reported(done=1, total=3, percent=50) == Progress(50, 1, 3)
    assert reported(done=0, total=0) == Progress(None, 0, 0)


@pytest.mark.parametrize(
    "values",
    [
        {"percent": -1}, {"percent": 100.1}, {"percent": float("nan")}, {"done": 4, "total": 3}, {"data": {1, 2}},
        {"data": float("nan")}, {"data": "x" * 5000}, {"data": object()},
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit(values: dict[str, Any]) -> None:
    """What the record cannot hold is refused where it is reported, not in the heartbeat that would die of it."""
    with pytest.raises(ValueError, match=r"percent|data|JSON"):
        reported(**values)


def test_data_is_a_snapshot() -> None:
    """What a handler changes afterwards does not change what it reported; an endless message is cut."""
    data = {"a": [1]}
    attempt = SilentAttempt()
    context(attempt_state=attempt).report_progress(data=data, message="x" * 10_000)
    data["a"].append(2)
    assert attempt.reports[0].data == {"a": [1]}
    assert len(attempt.reports[0].message or "") == 500


def test_raise_if_cancelled() -> None:
    """It raises once the operation was asked to stop, and not before."""
    attempt = SilentAttempt()
    context(attempt_state=attempt).raise_if_cancelled()
    attempt.cancel_requested = True
    with pytest.raises(ActionCanceled):
        context(attempt_state=attempt).raise_if_cancelled()


async def test_loop_watch(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that is held up is logged with the actions that were running."""
    monkeypatch.setattr(loop_watch, "INTERVAL", 0.01)
    monkeypatch.setattr(loop_watch, "LIMIT", 0.1)
    task = asyncio.create_task(loop_watch.watch_loop(lambda: ["book:work", "book:work"]))
    await asyncio.sleep(0.02)
    with caplog.at_level(logging.WARNING):
        assert not caplog.records
        time.sleep(0.2)  # noqa: ASYNC251 - this is what is to be noticed
        await asyncio.sleep(0.02)
    task.cancel()
    assert "book:work" in caplog.text
