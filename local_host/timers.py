"""Timer triggers: one task per timer, so that two runs of one timer never overlap and missed ticks do not pile up.

Source: "Timer trigger for Azure Functions"; the shape of the request is WebJobs' `TimerInfo`.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from azure.functions import timer

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
    run_on_startup: bool


def build_timers(functions: Iterable[AppFunction], environment: Mapping[str, str]) -> list[Timer]:
    """Timers of the app, `%SETTING%` expanded; HostError where a schedule cannot be read."""
    return [
        Timer(
            function,
            parse_schedule(expand(str(function.settings["schedule"]), environment)),
            bool(function.settings.get("runOnStartup")),
        )
        for function in functions
    ]


async def run_timer(each: Timer, call: Calls, now: Callable[[], datetime] = datetime.now) -> None:
    """Run one timer until cancelled (or until its schedule has no further occurrence)."""
    last: datetime | None = None
    if each.run_on_startup:
        last = now()
        await _tick(each, call, last, due=None)
    while (due := each.schedule.next_after(now())) is not None:
        # A wall clock can be set while this sleeps, so the remaining time is asked again.
        while (wait := due.timestamp() - now().timestamp()) > 0:  # noqa: ASYNC110 (for a time, not an event)
            await asyncio.sleep(min(wait, 60.0))
        started, last = last, now()
        await _tick(each, call, started, due)
    _log.warning("Timer '%s' has no further occurrence", each.function.name)


async def _tick(each: Timer, call: Calls, last: datetime | None, due: datetime | None) -> None:
    moment = datetime.now()
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
