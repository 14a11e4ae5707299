"""Says when something holds up the event loop: all polls wait while it does."""

import logging
from collections.abc import Callable, Iterable
from functools import partial

from shared.model.timing import Clock, Timing
from shared.operations import measures

_log = logging.getLogger(__name__)


async def watch_loop(
    suspects: Callable[[], Iterable[str]],
    *,
    say: Callable[[Callable[[], object]], object],
    clock: Clock,
    timing: Timing,
) -> None:
    """Log each time the loop comes back later than `loop_lag`, naming what was running. Never ends.

    It outlives the invocation that it was begun in; `say` writes a line for one that runs.

    The CPU that the loop's thread has used meanwhile tells computing from waiting: a call that blocks, or a machine
    that is busy with something else, uses next to none.
    """
    while True:
        before, used_before = clock.monotonic(), clock.thread_time()
        await clock.sleep(timing.loop_watch_interval)
        lag = clock.monotonic() - before - timing.loop_watch_interval
        measures.LOOP_LAG.record(max(0.0, lag), {})
        if lag > timing.loop_lag:
            cpu = clock.thread_time() - used_before
            names = sorted(set(suspects()))
            line = partial(
                _log.warning,
                "The event loop was held up for %.1f s (%.1f s of CPU) while these ran: %s. "
                "Move blocking work into a `def` handler.",
                lag,
                cpu,
                ", ".join(names),
                extra={"event": "loop_lag", "lag": lag, "cpu": cpu},
            )
            say(line)
