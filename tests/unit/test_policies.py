"""Durations as people write them, and how long a retry waits."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.actions.policies import NO_RETRY, Retry, duration, write_duration
from shared.errors import DeclarationError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("1h30m", 5400), ("7d", 604_800), ("500ms", 0.5), ("1.5h", 5400), ("1m30s", 90)],
)
def test_readable_durations(text: str, seconds: float) -> None:
    """The forms the documentation shows mean what they say."""
    assert duration(text, what="x") == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5m", "5M", "five", "1h 30m", "5mm", "0s", "0ms"])
def test_bad_durations(text: str) -> None:
    """Anything else is refused, naming what it was for and what was written."""
    with pytest.raises(DeclarationError, match="keep of x") as caught:
        duration(text, what="keep of x")
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("length", [timedelta(0), timedelta(seconds=-1)])
def test_zero_and_less(length: timedelta) -> None:
    """A timedelta is a duration as well, and has to be longer than zero."""
    assert duration(timedelta(seconds=3), what="x") == timedelta(seconds=3)
    with pytest.raises(DeclarationError, match="longer than zero"):
        duration(length, what="x")


@pytest.mark.parametrize("value", ["36526d", "9" * 400 + "d", timedelta(days=40_000)])
def test_far_too_long(value: str | timedelta) -> None:
    """What could not be added to a date is refused."""
    with pytest.raises(DeclarationError, match="a hundred years"):
        duration(value, what="x")


@given(st.integers(1, 10**8))
def test_written_durations_are_read(seconds: int) -> None:
    """What messages show can be pasted into a declaration."""
    assert duration(write_duration(timedelta(seconds=seconds)), what="x") == timedelta(seconds=seconds)


def test_written_zero() -> None:
    """Less than a second is shown as 0s."""
    assert write_duration(timedelta(milliseconds=5)) == "0s"


def test_waits_grow_to_a_limit() -> None:
    """The n-th wait is delay * backoff ** (n - 1), at most max_delay, for any n."""
    retry = Retry(max_attempts=100, delay="5s", backoff=2, max_delay="1m")
    assert [retry.wait_after(n).total_seconds() for n in (1, 2, 3, 4, 5, 100_000)] == [5, 10, 20, 40, 60, 60]


@pytest.mark.parametrize(
    "values", [{"max_attempts": 0}, {"backoff": 0.5}, {"delay": "soon"}, {"max_delay": "0s"}], ids=str
)
def test_bad_retry(values: dict[str, object]) -> None:
    """A policy that cannot work is refused where it is written, naming the parameter."""
    with pytest.raises(DeclarationError, match=next(iter(values))):
        Retry(**values)  # type: ignore[arg-type]


def test_no_retry() -> None:
    """The default is one attempt."""
    assert NO_RETRY.max_attempts == 1
