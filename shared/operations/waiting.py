"""Waiting a little for an operation to end, for a caller who asked for it (RFC 7240, "The \"wait\" Preference").

The record is the truth, so it is what is looked at, ever less often; on the instance where the operation ends a waiter
is woken as well. Nothing is asked of the engine.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress

from shared.errors import StorageError
from shared.operations.ids import Locator
from shared.operations.model import Operation

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0


class Waiter:
    """Who waits for one operation: woken, and told how it ended, where that happens in this process."""

    def __init__(self) -> None:
        self.woken = asyncio.Event()
        self.ended: Operation | None = None


class Endings:
    """Who waits, in this process, for which operation to end. Used on the event loop."""

    def __init__(self) -> None:
        self._waiting: dict[Locator, set[Waiter]] = {}

    def announce(self, operation: Operation) -> None:
        """Wake whoever waits for this operation, which has ended."""
        for waiter in self._waiting.get(operation.locator, ()):
            waiter.ended = operation
            waiter.woken.set()

    @contextmanager
    def listening(self, locator: Locator) -> Generator[Waiter]:
        """A waiter that is woken when the operation ends here."""
        waiter = Waiter()
        self._waiting.setdefault(locator, set()).add(waiter)
        try:
            yield waiter
        finally:
            waiters = self._waiting[locator]
            waiters.discard(waiter)
            if not waiters:
                del self._waiting[locator]


async def wait_for_end(
    operation: Operation,
    seconds: float,
    endings: Endings,
    read: Callable[[Locator], Awaitable[Operation | None]],
) -> Operation:
    """The operation once it has ended, or what was last seen of it after `seconds`.

    A read that fails, or finds nothing, ends the wait: the caller is told what is known, for the start was accepted.
    """
    deadline = time.monotonic() + seconds
    pause = _FIRST_PAUSE
    with endings.listening(operation.locator) as waiter:
        while not operation.status.is_terminal and (left := deadline - time.monotonic()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(pause, left)):
                    await waiter.woken.wait()
            waiter.woken.clear()
            if waiter.ended is not None and waiter.ended.run == operation.run:
                return waiter.ended
            pause = min(2 * pause, _LONGEST_PAUSE)
            try:
                found = await read(operation.locator)
            except StorageError:
                break
            if found is None or found.run != operation.run:
                break
            operation = found
    return operation
