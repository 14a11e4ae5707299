"""Schedules of timer triggers: NCRONTAB expressions and time spans. No clock: the next time follows a given one.

Source: "Timer trigger for Azure Functions", section "NCRONTAB expressions". `croniter` finds the times; its switches
take seconds first, and let a day fit both the day of month and the day of week. Three things of the NCrontab library
are put into its words first: names may be shortened or in full, a reversed range is swapped, a week ends with day 6.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from croniter import CroniterBadDateError, croniter

from local_host.errors import ScheduleError
from local_host.host_settings import parse_timespan

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_FIELDS = (("second", 59), ("minute", 59), ("hour", 23), ("day", 31), ("month", 12), ("day of week", 6))
_NAMES = {"month": dict(enumerate(_MONTHS, 1)), "day of week": dict(enumerate(_DAYS))}
_ITEM = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(/\d+)?", re.ASCII)
_FORM = "{second} {minute} {hour} {day} {month} {day of week}, or a time span like 00:05:00"


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
    """`expression`: six fields in the words of `croniter`."""

    expression: str

    def next_after(self, moment: datetime) -> datetime | None:
        times = croniter(self.expression, moment, second_at_beginning=True, day_or=False)
        try:
            return times.get_next(datetime)
        except CroniterBadDateError:
            return None  # 31 February


def parse_schedule(text: str) -> Schedule:
    """Five or six NCRONTAB fields, or a time span `hh:mm:ss`; ScheduleError otherwise."""
    fields = text.split()
    try:
        if len(fields) == 1:
            return _interval(text)
        if len(fields) == 5:
            fields.insert(0, "0")
        if len(fields) != 6:
            raise ValueError(f"it has {len(fields)} fields")
        values = zip(fields, _FIELDS, strict=True)
        schedule = Ncrontab(" ".join(_field(value, name, high) for value, (name, high) in values))
        croniter.expand(schedule.expression, second_at_beginning=True)
    except ValueError as error:
        raise ScheduleError(f"the schedule '{text}' is not valid: {error}. Write 5 or 6 fields: {_FORM}") from error
    return schedule


def _interval(text: str) -> Interval:
    period = parse_timespan(text)
    if not period:
        raise ValueError("a time span must be longer than nothing")
    return Interval(period)


def _field(text: str, name: str, high: int) -> str:
    """One field as `croniter` reads it: numbers for names, ranges upwards, every number at most `high`."""

    def number(value: str) -> int:
        names = _NAMES.get(name, {})
        found = next((at for at, known in names.items() if known.startswith(value.lower())), None)
        if found is None and not value.isdigit():
            raise ValueError(f"'{value}' is not a {name}")
        found = int(value) if found is None else found
        if not found <= high:
            raise ValueError(f"{found} is not a {name} up to {high}")
        return found

    items: list[str] = []
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise ValueError(f"'{item}' is not a {name}")
        first, last, step = match.groups(default="")
        ends = sorted(number(value) for value in (first, last) if value)
        if len(ends) == 2 and ends[0] == ends[1]:
            ends, step = ends[:1], ""  # `croniter` takes 3-3 for once around
        items.append(("-".join(map(str, ends)) or "*") + step)
    return ",".join(items)
