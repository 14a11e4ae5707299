"""Threads for sync handlers, and the end of handlers that were told to stop."""

import asyncio
import contextvars
import threading
import time

import pytest

from shared.operations.handler_threads import HandlerAbandoned, HandlerThreads, wait_for_end
from tests.support.clock import ManualClock
from tests.support.parts import make_operation


async def test_result_and_error() -> None:
    """A thread's result or exception is the call's."""
    threads = HandlerThreads(1)
    assert await threads.run(lambda: 5, operation=make_operation()) == 5
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 / 0, operation=make_operation())


@pytest.mark.parametrize("error", [StopIteration(), SystemExit(), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_errors_a_future_cannot_hold(error: BaseException) -> None:
    """What would hang the call or end the process arrives as a RuntimeError that names it."""

    def function() -> None:
        raise error

    with pytest.raises(RuntimeError, match=type(error).__name__):
        await asyncio.wait_for(HandlerThreads(1).run(function, operation=make_operation()), 1)


async def test_bounded() -> None:
    """At most `limit` run at a time."""
    running, most, lock = 0, 0, threading.Lock()

    def function() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1

    threads = HandlerThreads(2)
    await asyncio.gather(*(threads.run(function, operation=make_operation()) for _ in range(6)))
    assert most == 2


async def test_abandoned_thread_gives_its_place() -> None:
    """A cancelled call abandons its thread: counted once, its place taken by the next. A waiting one is not counted."""
    threads, release = HandlerThreads(1), threading.Event()
    stuck = asyncio.create_task(threads.run(lambda: release.wait(5), operation=make_operation()))
    waiting = asyncio.create_task(threads.run(lambda: None, operation=make_operation()))
    await asyncio.sleep(0.02)
    waiting.cancel()
    stuck.cancel()
    await asyncio.gather(stuck, waiting, return_exceptions=True)
    assert threads.abandoned == 1
    assert await asyncio.wait_for(threads.run(lambda: 1, operation=make_operation()), 1) == 1
    release.set()
    await asyncio.sleep(0.02)


async def test_context_variables() -> None:
    """A handler's thread sees the caller's context variables."""
    variable = contextvars.ContextVar("variable", default=0)
    variable.set(7)
    assert await HandlerThreads(1).run(variable.get, operation=make_operation()) == 7


async def test_wait_for_end() -> None:
    """A task that ends in time is fine whatever it raises; one that does not is abandoned."""

    async def fail() -> None:
        raise ValueError

    await wait_for_end(asyncio.create_task(fail()), grace=1, clock=ManualClock(free_waits=True))
    endless = asyncio.create_task(asyncio.sleep(30))
    with pytest.raises(HandlerAbandoned):
        await wait_for_end(endless, grace=0.01, clock=ManualClock(free_waits=True))
    assert endless.cancelled()
