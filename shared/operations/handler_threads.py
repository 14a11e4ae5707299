"""Running a handler under a deadline: async handlers on the loop, sync ones each in a thread of a bounded number.

A thread cannot be stopped from outside. One that does not return at its deadline is abandoned: counted, logged, and
its place given to the next. Threads are daemons, so an abandoned one does not hold up the end of the process.
"""

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

from shared.model.operation import Operation
from shared.model.timing import Clock, Timing
from shared.operations import measures
from shared.operations.containment import Escaped
from shared.operations.handler_places import Places, WaitingRoom
from shared.operations.invocations import attributed
from shared.operations.log_lines import about
from shared.operations.tasks import ends_within

_log = logging.getLogger(__name__)


class HandlerAbandoned(Exception):
    """The handler did not stop within its grace period and goes on unwatched."""


class HandlerThreads:
    """Where sync handlers run: at most `limit` attempts at a time."""

    def __init__(self, limit: int, room: WaitingRoom, *, clock: Clock, timing: Timing) -> None:
        self._places = Places(limit, room)
        self._clock = clock
        self._timing = timing
        self._left = set[asyncio.Task[None]]()
        self.abandoned = 0
        """Threads given up since the process started."""

    def place(self) -> AbstractAsyncContextManager[bool]:
        """Whether an attempt may call `run`, until the end of the block."""
        return self._places.taken()

    async def run(self, function: Callable[[], Any], *, operation: Operation) -> Any:
        """Call `function`, the handler of `operation`, in a thread of its own. A cancelled caller abandons the thread:
        then its place is free."""
        done = in_own_thread(function, name=f"handler {operation.action}")
        try:
            return await done
        except asyncio.CancelledError:
            if not done.done() or done.cancelled():
                self._abandon(operation)
            raise

    async def read(self, function: Callable[[], Any], *, operation: Operation) -> Any:
        """Call `function`, which reads of a file that the handler of `operation` has returned, in a thread of its own.

        A cancelled caller does not wait for its end. It is abandoned where it has not ended after a grace period: most
        reads are short.
        """
        done = in_own_thread(function, name="content of a file")
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            if not done.done():
                left = asyncio.create_task(self._see_end(done, operation), name="end of a read")
                self._left.add(left)
                left.add_done_callback(self._left.discard)
            raise

    async def _see_end(self, done: asyncio.Future[Any], operation: Operation) -> None:
        if not await ends_within(done, self._timing.cancel_grace, self._clock):
            self._abandon(operation)

    def _abandon(self, operation: Operation) -> None:
        self.abandoned += 1
        measures.ABANDONED.add(1, {measures.ACTION: operation.action})
        line = about(_log, operation, "handler_abandoned")
        line.error("Abandoned a handler's thread that did not stop", extra={"abandoned": self.abandoned})


def in_own_thread(function: Callable[[], Any], *, name: str) -> asyncio.Future[Any]:
    """What code of a user returns or raises, called in a thread that nobody else waits for.

    Those of `asyncio.to_thread` are few, and the app's own: code that hangs would take them from all others.
    """
    function = attributed(function)
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def deliver(value: Any, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(value)
        else:
            done.set_exception(error)

    def work() -> None:
        value: Any = None
        failure: BaseException | None = None
        try:
            value = context.run(function)
        except BaseException as error:
            failure = error
        if isinstance(failure, StopIteration) or not isinstance(failure, Exception | None):
            cause, failure = failure, Escaped(failure)
            failure.__cause__ = cause
        with suppress(RuntimeError):  # the loop of an abandoned thread may be closed
            loop.call_soon_threadsafe(deliver, value, failure)

    threading.Thread(target=work, name=name, daemon=True).start()
    return done


async def wait_for_end(task: asyncio.Task[Any], *, grace: float, clock: Clock) -> None:
    """Give a handler's task, which was told to stop, `grace` seconds to end.

    Raises HandlerAbandoned when it is still there; never raises what the task raises.
    """
    if await ends_within(task, grace, clock):
        _forget(task)
    else:
        task.cancel()
        # An async handler that swallows its cancellation is left behind like a thread; its exception is nobody's.
        task.add_done_callback(_forget)
        await clock.sleep(0)
        raise HandlerAbandoned


def _forget(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
