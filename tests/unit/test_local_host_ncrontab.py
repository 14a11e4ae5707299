"""Schedules of timer triggers."""

from datetime import datetime, timedelta

import pytest

from local_host.errors import ScheduleError
from local_host.ncrontab import parse_schedule

FRIDAY = datetime(2026, 11, 20, 10, 7, 30)


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        # The examples of "Timer trigger for Azure Functions".
        ("0 */5 * * * *", FRIDAY, datetime(2026, 11, 20, 10, 10)),
        ("0 0 * * * *", FRIDAY, datetime(2026, 11, 20, 11)),
        ("0 0 */2 * * *", FRIDAY, datetime(2026, 11, 20, 12)),
        ("0 0 9-17 * * *", datetime(2026, 11, 20, 17, 30), datetime(2026, 11, 21, 9)),
        ("0 30 9 * * *", FRIDAY, datetime(2026, 11, 21, 9, 30)),
        ("0 30 9 * * 1-5", FRIDAY, datetime(2026, 11, 23, 9, 30)),
        ("0 30 9 * Jan Mon", FRIDAY, datetime(2027, 1, 4, 9, 30)),
        ("0 5 * * * *", FRIDAY, datetime(2026, 11, 20, 11, 5)),
        ("1,30 * * * * *", FRIDAY, datetime(2026, 11, 20, 10, 8, 1)),
        ("5-7 * * * * *", FRIDAY, datetime(2026, 11, 20, 10, 8, 5)),
        ("*/5 * * * * *", FRIDAY, datetime(2026, 11, 20, 10, 7, 35)),
        # Five fields: no seconds.
        ("*/5 * * * *", FRIDAY, datetime(2026, 11, 20, 10, 10)),
        # Names in full or short, any case; steps from a value; reversed ranges; lists of both.
        ("0 0 0 1 february *", FRIDAY, datetime(2027, 2, 1)),
        ("0 50/5 * * * *", FRIDAY, datetime(2026, 11, 20, 10, 50)),
        ("0 0 17-9 * * *", FRIDAY, datetime(2026, 11, 20, 11)),
        ("0 0 0 * * SUN,tue", FRIDAY, datetime(2026, 11, 22)),
        # Both the day of month and the day of week must fit.
        ("0 0 0 13 * 5", FRIDAY, datetime(2027, 8, 13)),
        ("0 0 0 29 2 *", FRIDAY, datetime(2028, 2, 29)),
        # A range of one value is that value, with a step as well.
        ("0 0 0 * * 3-3", FRIDAY, datetime(2026, 11, 25)),
        ("0 0 4-4/2 * * *", FRIDAY, datetime(2026, 11, 21, 4)),
        ("0 0 0 31 12 *", datetime(2026, 12, 31), datetime(2027, 12, 31)),
    ],
)
def test_next_occurrence(expression: str, after: datetime, expected: datetime) -> None:
    """The first time later than the given one that fits every field."""
    assert parse_schedule(expression).next_after(after) == expected


def test_every_occurrence_is_later_than_its_moment() -> None:
    """A moment that fits is not its own next occurrence, and fractions of a second do not repeat one."""
    schedule = parse_schedule("* * * * * *")
    assert schedule.next_after(FRIDAY) == FRIDAY + timedelta(seconds=1)
    assert schedule.next_after(FRIDAY + timedelta(microseconds=1)) == FRIDAY + timedelta(seconds=1)


def test_a_day_that_never_comes() -> None:
    """31 February has no occurrence, and asking ends."""
    assert parse_schedule("0 0 0 31 2 *").next_after(FRIDAY) is None


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("00:05:00", timedelta(minutes=5)),
        ("1.00:00:00", timedelta(days=1)),
        ("24:00:00", timedelta(days=24)),  # as TimeSpan.Parse reads it
        ("00:00:00.5", timedelta(seconds=0.5)),
    ],
)
def test_time_span(text: str, period: timedelta) -> None:
    """A time span runs every so often."""
    assert parse_schedule(text).next_after(FRIDAY) == FRIDAY + period


@pytest.mark.parametrize(
    "text",
    ["", "* * *", "60 * * * * *", "* * * * * 7", "* * * 0 * *", "x * * * * *", "* * * * Foo *", "*/x * * * * *",
     "1,,2 * * * * *", "00:00:00", "5m", "00:70:00", "* * * * * * *",
     "0 0 0 L * *", "0 0 0 * * 1#2", "@daily", "0 0 0 ? * *", "H * * * * *", "R * * * * *", "*/0 * * * * *"],
)  # fmt: skip
def test_refused(text: str) -> None:
    """What is neither is refused, quoting the schedule."""
    with pytest.raises(
        ScheduleError, match=r"^the schedule '.*' is not valid: .*Write 5 or 6 fields: .* or a time span"
    ):
        parse_schedule(text)
