"""Says when something holds up the event loop: all polls wait while it does."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

INTERVAL = 0.25
LIMIT = 1.0
"""Seconds of lag that are logged."""

_log = logging.getLogger(__name__)


async def watch_loop(suspects: Callable[[], Iterable[str]]) -> None:
    """Log each time the loop comes back more than a second late, naming the actions that were running. Never ends."""
    while True:
        before = time.monotonic()
        await asyncio.sleep(INTERVAL)
        lag = time.monotonic() - before - INTERVAL
        if lag > LIMIT:
            names = sorted(set(suspects()))
            _log.warning(
                "The event loop was held up for %.1f s while these ran: %s. Move blocking work into a `def` handler.",
                lag,
                ", ".join(names),
                extra={"action": "loop_lag", "lag": lag},
            )
