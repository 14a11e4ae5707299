"""Blocking calls on the event loop's thread, for as long as they are short there.

To hand a call of the embedded store to a thread and to come back costs more than most calls do. But a disk that makes
them wait, or computing in other threads that keeps the interpreter from them, would hold up every request: then they go
to threads, for the life of the process (docs/decisions/0027-sqlite-on-the-loop.md).
"""

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from shared.model.timing import Clock

P = ParamSpec("P")
T = TypeVar("T")

_LONG = 0.005
"""Seconds of a call that holds others up."""
_WINDOW, _MOST = 1000, 0.050
"""Seconds that such calls may take in so many: a hundredth of all may be long, or a single one take all of it."""
_TURN_SECONDS, _TURN_CALLS = 0.005, 32
"""After which others get their turn, however many calls one caller makes."""

_log = logging.getLogger(__name__)


class LoopCalls:
    """Makes calls on the loop's thread and tells from what they took whether that goes on."""

    def __init__(self, clock: Clock, *, starved: Callable[[], float] | None = None) -> None:
        """`starved`: seconds for which the calling thread was ready to run, and the machine busy with others."""
        self._clock = clock
        self._starved = starved or run_delay
        self.are_made = True
        """False from when calls were too long: then nothing more may run on the loop's thread."""
        self._calls, self._held_up = 0, 0.0
        self._turn: tuple[asyncio.AbstractEventLoop, float] | None = None
        self._calls_in_turn = 0

    async def take_turn(self) -> None:
        """Let others run first, where this turn of the loop has had its share of calls."""
        loop = asyncio.get_running_loop()
        if self._turn is None or self._turn[0] is not loop:
            self._turn, self._calls_in_turn = (loop, self._clock.monotonic()), 0
            loop.call_soon(self._end_turn)
        self._calls_in_turn += 1
        if self._calls_in_turn > _TURN_CALLS or self._clock.monotonic() - self._turn[1] > _TURN_SECONDS:
            await self._clock.sleep(0)

    def _end_turn(self) -> None:
        self._turn = None

    def make(self, call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """What `call` returns or raises."""
        began = self._clock.monotonic() - self._starved()
        try:
            return call(*arguments, **named)
        finally:
            self._note(self._clock.monotonic() - self._starved() - began)

    def _note(self, seconds: float) -> None:
        self._calls += 1
        if seconds > _LONG:
            self._held_up += seconds
            if self.are_made and self._held_up > _MOST:
                self.are_made = False
                line = "The store held up the event loop, the last time for %.0f ms; from now on threads make its calls"
                _log.warning(line, seconds * 1000, extra={"event": "store_in_threads", "seconds": seconds})
        if self._calls == _WINDOW:
            self._calls, self._held_up = 0, 0.0


_of_thread = threading.local()


def run_delay() -> float:
    """Seconds for which the calling thread was ready to run without a processor; 0 where the system does not tell.

    Source: Linux, "Scheduler Statistics", /proc/<pid>/task/<tid>/schedstat.
    """
    try:
        return int(os.pread(_of_thread.schedstat, 100, 0).split()[1]) / 1e9
    except AttributeError:
        path = f"/proc/self/task/{threading.get_native_id()}/schedstat"
        try:
            _of_thread.schedstat = os.open(path, os.O_RDONLY)
        except OSError:
            _of_thread.schedstat = -1
        return run_delay()
    except (OSError, ValueError, IndexError):
        return 0.0
