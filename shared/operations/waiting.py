"""Waiting a little for an operation to end, for a caller who asked for it (RFC 7240, "The \"wait\" Preference").

The record is the truth, so it is what is looked at, ever less often; on the instance where the operation ends a waiter
is woken as well. Nothing is asked of the engine.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

from shared.errors import StorageError
from shared.model.ids import Locator
from shared.model.operation import Operation
from shared.model.timing import Clock, Timing
from shared.operations.recent import Recent
from shared.operations.tasks import is_set_within


class Waiter:
    """Who waits for one operation: woken, and told how it ended, where that happens in this process."""

    def __init__(self) -> None:
        self.woken = asyncio.Event()
        self.ended: Operation | None = None


_RECENT = 64
_SATURATED = 0.5
"""Part of a wait for which the loop has computed."""


class Completions:
    """Who waits, in this process, for which operation to end. Used on the event loop."""

    def __init__(self) -> None:
        self._waiting: dict[Locator, set[Waiter]] = {}
        self._recent: Recent[Locator, Operation] = Recent(_RECENT)
        """The last that have ended here: who has read one just before that has no need to wait for it."""
        self.waiters = 0
        """How many wait."""

    def notify(self, operation: Operation) -> None:
        """Wake whoever waits for this operation, which has ended."""
        self._recent.put(operation.locator, operation)
        for waiter in self._waiting.get(operation.locator, ()):
            waiter.ended = operation
            waiter.woken.set()

    def recent(self, operation: Operation) -> Operation | None:
        """The operation as it has ended, if it is among the last that have ended here."""
        ended = self._recent.get(operation.locator)
        return ended if ended is not None and ended.run_id == operation.run_id else None

    @contextmanager
    def subscribe(self, locator: Locator) -> Generator[Waiter]:
        """A waiter that is woken when the operation ends here."""
        waiter = Waiter()
        self._waiting.setdefault(locator, set()).add(waiter)
        self.waiters += 1
        try:
            yield waiter
        finally:
            self.waiters -= 1
            waiters = self._waiting[locator]
            waiters.discard(waiter)
            if not waiters:
                del self._waiting[locator]


async def wait_for_young(
    operation: Operation, seconds: float, completions: Completions, *, most: float, patient: int, clock: Clock
) -> Operation:
    """The operation once it has ended in this process, or as it is after `seconds`; nothing is read.

    Where the loop has computed for most of that time, the process is saturated: then an answer that tells nothing new
    only takes the time of the work, so it waits on, for `most` seconds in all. Not while more than `patient`
    requests wait: each has a place among those under way.
    """
    recent = completions.recent(operation)
    if recent is not None:
        return recent
    until = clock.monotonic() + most
    with completions.subscribe(operation.locator) as waiter:
        is_patient = completions.waiters <= patient
        while True:
            used = clock.thread_time()
            if await is_set_within(waiter.woken, seconds, clock):
                break
            is_saturated = clock.thread_time() - used > _SATURATED * seconds
            if not (is_patient and is_saturated and clock.monotonic() < until):
                break
    ended = waiter.ended
    return ended if ended is not None and ended.run_id == operation.run_id else operation


async def wait_for_end(
    operation: Operation,
    seconds: float,
    completions: Completions,
    read: Callable[[Locator], Awaitable[Operation | None]],
    *,
    clock: Clock,
    timing: Timing,
) -> Operation:
    """The operation once it has ended, or what was last seen of it after `seconds`.

    A read that fails, or finds nothing, ends the wait: the caller is told what is known, for the start was accepted.
    """
    deadline = clock.monotonic() + seconds
    pause, longest = timing.wait_pauses
    with completions.subscribe(operation.locator) as waiter:
        while not operation.status.is_terminal and (left := deadline - clock.monotonic()) > 0:
            await is_set_within(waiter.woken, min(pause, left), clock)
            waiter.woken.clear()
            if waiter.ended is not None and waiter.ended.run_id == operation.run_id:
                return waiter.ended
            pause = min(2 * pause, longest)
            try:
                found = await read(operation.locator)
            except StorageError:
                break
            if found is None or found.run_id != operation.run_id:
                break
            operation = found
    return operation
