"""Timer triggers: one task per timer, so that two runs of one timer never overlap and missed ticks do not pile up.

A timer with `run_on_startup` runs once when the host has started, and so does one that the app names for that
(`composition_hooks.timers_at_start`): its housekeeping looks at once at what a stopped host has left.

Source: "Timer trigger for Azure Functions"; the shape of the request is WebJobs' `TimerInfo`.
"""

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from azure.functions import timer

from local_host.clock import Clock
from local_host.errors import HostError, ScheduleError
from local_host.functions import AppFunction
from local_host.host_settings import expand
from local_host.invocation import Calls
from local_host.ncrontab import Schedule, parse_schedule

_log = logging.getLogger(__name__)
_LATE = 1.0  # seconds behind its time from which a run counts as past due


@dataclass(frozen=True)
class Timer:
    function: AppFunction
    schedule: Schedule
    at_start: bool = False
    """Whether it runs when the host has started, too."""


def build_timers(
    functions: Iterable[AppFunction], environment: Mapping[str, str], *, at_start: Collection[str] = ()
) -> list[Timer]:
    """Timers of the app, `%SETTING%` expanded; `at_start` names those that also run then.

    ScheduleError names the function whose schedule cannot be read.
    """
    return [
        Timer(each, _schedule(each, environment), bool(each.settings.get("runOnStartup")) or each.name in at_start)
        for each in functions
    ]


async def run_timer(each: Timer, call: Calls, clock: Clock) -> None:
    """Run one timer by its schedule, until cancelled (or until the schedule has no further occurrence)."""
    last = _local(clock)
    if each.at_start:
        await _tick(each, call, clock, None, due=None)
    while (due := each.schedule.next_after(_local(clock))) is not None:
        await clock.sleep_until(due.astimezone())
        previous, last = last, _local(clock)
        await _tick(each, call, clock, previous, due)
    _log.warning("Timer '%s' has no further occurrence", each.function.name)


async def _tick(each: Timer, call: Calls, clock: Clock, last: datetime | None, due: datetime | None) -> None:
    moment = _local(clock)
    following = each.schedule.next_after(moment)
    status = {
        "Last": (last or datetime.min).isoformat(),
        "Next": following.isoformat() if following else None,
        "LastUpdated": moment.isoformat(),
    }
    past_due = due is not None and (moment - due).total_seconds() > _LATE
    request = timer.TimerRequest(past_due=past_due, schedule_status=status, schedule={"AdjustForDST": True})
    try:
        await call(each.function, request)
    except Exception:
        _log.exception("Timer '%s' failed; it runs again at its next time", each.function.name)


def _schedule(function: AppFunction, environment: Mapping[str, str]) -> Schedule:
    try:
        return parse_schedule(expand(str(function.settings["schedule"]), environment))
    except HostError as error:
        raise ScheduleError(f"function '{function.name}': {error}") from error


def _local(clock: Clock) -> datetime:
    """Schedules are in the machine's own time zone, naive, as the host reads them."""
    return clock.now().astimezone().replace(tzinfo=None)
