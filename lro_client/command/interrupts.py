"""Ctrl-C: the first one stops the wait, a second one is seen by whoever asks, a third one ends the command at once."""

import signal
import threading
from types import FrameType
from typing import Any, Self

from lro_client.cancellation import CancellationToken
from lro_client.clock import Clock


class Interrupts:
    """Turns SIGINT and SIGTERM into a use of the token, as long as it is open. For the main thread."""

    def __init__(self, token: CancellationToken, clock: Clock) -> None:
        self._token = token
        self._clock = clock
        self._count = 0
        self._another = threading.Event()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *failure: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def another_comes_within(self, seconds: float) -> bool:
        """Whether there is a second one, or one comes while this waits."""
        return self._clock.wait(self._another, seconds)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 2:
            # What the token does not stop: a pipe that nobody reads, a service that does not answer a cancel.
            raise KeyboardInterrupt
        if self._count > 1:
            self._another.set()
        # In a thread: the handler may have interrupted whoever holds the token's lock.
        threading.Thread(target=self._token.cancel, daemon=True).start()
