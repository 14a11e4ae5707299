"""Schedules of timer triggers: NCRONTAB expressions and time spans. No clock: the next time follows a given one.

Sources: "Timer trigger for Azure Functions", section "NCRONTAB expressions", and the NCrontab library's reading of a
field (names may be shortened, a reversed range is swapped, `a/n` runs to the end). Unlike cron, a day must fit both
the day of month and the day of week. An own reader because the cron packages of PyPI follow Unix cron there.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Protocol

from local_host.errors import ScheduleError
from local_host.host_settings import parse_timespan

_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
_FIELDS: tuple[tuple[str, int, int, list[str]], ...] = (
    ("second", 0, 59, []),
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day", 1, 31, []),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 6, _DAYS),
)
_LONGEST_GAP = timedelta(days=366 * 40)  # 29 February on one weekday comes round every 28 years, or 40 across 2100


class Schedule(Protocol):
    """When a timer runs."""

    def next_after(self, moment: datetime) -> datetime | None:
        """The first occurrence later than `moment` (naive local time, as the host's), or None for never."""
        ...


@dataclass(frozen=True)
class Interval:
    """Runs every so often, counted from the last start."""

    period: timedelta

    def next_after(self, moment: datetime) -> datetime | None:
        return moment + self.period


@dataclass(frozen=True)
class Ncrontab:
    """Values allowed per field, ascending."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    def next_after(self, moment: datetime) -> datetime | None:
        start = moment.replace(microsecond=0) + timedelta(seconds=1)
        day, floor = start.date(), start.time()
        last = day + _LONGEST_GAP
        while day <= last:
            if self._runs_on(day):
                at = self._first_time(floor)
                if at is not None:
                    return datetime.combine(day, at)
            day, floor = self._next_day(day), time.min
        return None

    def _runs_on(self, day: date) -> bool:
        return day.month in self.months and day.day in self.days and day.isoweekday() % 7 in self.weekdays

    def _next_day(self, day: date) -> date:
        if day.month in self.months:
            return day + timedelta(days=1)
        return (day.replace(day=1) + timedelta(days=32)).replace(day=1)

    def _first_time(self, floor: time) -> time | None:
        """The first allowed time of a day that is not before `floor`."""
        for hour in self.hours:
            if hour < floor.hour:
                continue
            for minute in self.minutes:
                if (hour, minute) < (floor.hour, floor.minute):
                    continue
                for second in self.seconds:
                    if (hour, minute, second) >= (floor.hour, floor.minute, floor.second):
                        return time(hour, minute, second)
        return None


def parse_schedule(text: str) -> Schedule:
    """Five or six NCRONTAB fields, or a time span `hh:mm:ss`; ScheduleError otherwise."""
    fields = text.split()
    if len(fields) == 1:
        return _parse_interval(text)
    if len(fields) == 5:
        fields.insert(0, "0")
    if len(fields) != 6:
        raise ScheduleError(f"the schedule '{text}' must have 5 or 6 fields, or be a time span like 00:05:00")
    try:
        values = [_field(value, *kind) for value, kind in zip(fields, _FIELDS, strict=True)]
    except ValueError as error:
        raise ScheduleError(f"the schedule '{text}' is not valid: {error}") from error
    second, minute, hour, day, month, weekday = values
    return Ncrontab(
        tuple(sorted(second)), tuple(sorted(minute)), tuple(sorted(hour)), frozenset(day), frozenset(month),
        frozenset(weekday),
    )  # fmt: skip


def _parse_interval(text: str) -> Interval:
    try:
        period = parse_timespan(text)
    except ValueError as error:
        raise ScheduleError(f"the schedule {error}, nor an NCRONTAB expression of 5 or 6 fields") from error
    if not period:
        raise ScheduleError(f"the schedule '{text}' must be longer than nothing")
    return Interval(period)


def _field(text: str, name: str, low: int, high: int, names: list[str]) -> set[int]:
    allowed: set[int] = set()
    for item in text.split(","):
        span, slash, step_text = item.partition("/")
        step = _number(step_text, name) if slash else 1
        first_text, dash, last_text = span.partition("-")
        if span == "*":
            first, last = low, high
        else:
            first = _value(first_text, name, low, high, names)
            last = _value(last_text, name, low, high, names) if dash else (high if slash else first)
        if first > last:
            first, last = last, first
        allowed.update(range(first, last + 1, max(step, 1)))
    return allowed


def _value(text: str, name: str, low: int, high: int, names: list[str]) -> int:
    if text and not text[0].isdigit():
        for index, known in enumerate(names):
            if known.startswith(text.lower()):
                return index + low
    number = _number(text, name)
    if not low <= number <= high:
        raise ValueError(f"{number} is not a {name} between {low} and {high}")
    return number


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"'{text}' is not a {name}")
    return int(text)
