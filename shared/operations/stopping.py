"""What the app does when its instance is told to stop.

Neither the platform nor its worker says so to an app: the process gets SIGTERM and is gone soon after. So the app takes
the signal itself, lets go of what it runs, and sends the signal on.

    stopping = Stopping(live)
    await stopping.stopping()        # whoever knows of a stop in another way
    stopping.install()               # otherwise: on the first invocation
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

from shared.operations.attempt import LiveAttempts

_log = logging.getLogger(__name__)

_Handler = Callable[[int, FrameType | None], Any] | int | None
"""What `signal.getsignal` gives."""


class Stopping:
    """Gives the attempts of this process back, once."""

    def __init__(self, live: LiveAttempts) -> None:
        self._live = live
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._found: _Handler = None
        self._handler: _Handler = None

    async def stopping(self) -> None:
        """Claim nothing more and let go of what runs; back after `Timing.stop_within` at most. Again: the same wait."""
        await asyncio.shield(self._begin())

    def _begin(self) -> "asyncio.Task[None]":
        if self._task is None:
            self._task = asyncio.create_task(self._give_back(), name="stopping")
        return self._task

    async def _give_back(self) -> None:
        line = partial(_log.info, "The instance is stopping; attempts are given back", extra={"event": "stopping"})
        self._live.say(line)
        if not await self._live.give_back():
            left = "Some attempts keep their lease: they have not let go"
            self._live.say(partial(_log.warning, left, extra={"event": "attempts_left"}))

    def install(self) -> None:
        """Have SIGTERM begin the stop. On the loop of the main thread; elsewhere, and again, nothing.

        A signal that is ignored, or handled by what Python does not know, is left alone.
        """
        if self._handler is not None or threading.current_thread() is not threading.main_thread():
            return
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        found = signal.getsignal(signal.SIGTERM)
        if callable(found) or found is signal.SIG_DFL:
            self._found, self._handler = found, self._on_signal
            signal.signal(signal.SIGTERM, self._handler)

    def remove(self) -> None:
        """Take back what `install` did, unless somebody else has put a handler over it."""
        if self._handler is not None and signal.getsignal(signal.SIGTERM) == self._handler:
            signal.signal(signal.SIGTERM, self._found)
        self._handler = None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """In the main thread, between any two of its steps: so the work is left to the loop."""
        loop = self._loop
        if loop is None or not loop.is_running() or self._live.is_stopping:
            self._go_on(number, frame)
        else:
            loop.call_soon_threadsafe(lambda: self._begin().add_done_callback(lambda _: self._go_on(number, frame)))

    def _go_on(self, number: int, frame: FrameType | None) -> None:
        """The signal as if nobody had taken it."""
        if callable(self._found):
            self._found(number, frame)
        else:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
