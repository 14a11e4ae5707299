"""The function app of the chaos runs: actions of every kind, short leases, and a clock that may be ahead.

`CHAOS_WITNESS` names the file that handlers write to, `CHAOS_AHEAD` the seconds that the clock is ahead.
"""

import os
from datetime import datetime, timedelta
from pathlib import Path

import azure.functions as func

import actions
import blueprints
from blueprints.durable import DFApp
from shared.actions.registry import discover
from shared.composition import Application
from shared.model.timing import Timing
from shared.settings import function_timeout
from shared.system_clock import SystemClock

TIMING = Timing(
    lease=timedelta(seconds=6),
    heartbeat=1.5,
    housekeeping_patience=timedelta(seconds=2),
    removal_patience=timedelta(seconds=2),
    # Longer than a start takes to store what it has (`store_within`).
    unrecorded_lock=timedelta(seconds=8),
    external_cancel_grace=timedelta(seconds=5),
    # Operations are lost again and again: they come back as if each time were the first.
    loss_waits=(0.0, 0.5),
)


class AheadClock(SystemClock):
    """The machine's clock, some seconds ahead."""

    def __init__(self, seconds: float) -> None:
        self._ahead = timedelta(seconds=seconds)

    def now(self) -> datetime:
        return super().now() + self._ahead


host_json = Path(__file__).with_name("host.json")
application = Application(
    discover(actions),
    host_json=host_json,
    function_timeout=function_timeout(host_json, os.environ),
    clock=AheadClock(float(os.environ.get("CHAOS_AHEAD", "0"))),
    timing=TIMING,
)
app = DFApp(http_auth_level=func.AuthLevel.FUNCTION)
for blueprint in blueprints.build(application):
    app.register_functions(blueprint)
