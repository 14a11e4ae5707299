"""Threads for sync handlers, and the end of handlers that were told to stop."""

import asyncio
import contextvars
import threading
from functools import partial

import pytest

from shared.model.timing import Timing
from shared.operations.handler_places import MAX_WAITING, Places, WaitingRoom
from shared.operations.handler_threads import HandlerAbandoned, HandlerThreads, wait_for_end
from tests.support.clock import ManualClock
from tests.support.parts import make_operation


def handler_threads() -> HandlerThreads:
    return threads_by(ManualClock(), 1)


def threads_by(clock: ManualClock, limit: int) -> HandlerThreads:
    return HandlerThreads(limit, WaitingRoom(clock=clock, timing=Timing()), clock=clock, timing=Timing())


async def test_result_and_error() -> None:
    """A thread's result or exception is the call's."""
    threads = handler_threads()
    assert await threads.run(lambda: 5, operation=make_operation()) == 5
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 / 0, operation=make_operation())


@pytest.mark.parametrize("error", [StopIteration(), SystemExit(), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_errors_a_future_cannot_hold(error: BaseException) -> None:
    """What would hang the call or end the process arrives as a RuntimeError that names it."""

    def function() -> None:
        raise error

    with pytest.raises(RuntimeError, match=type(error).__name__):
        await asyncio.wait_for(handler_threads().run(function, operation=make_operation()), 1)


async def test_bounded() -> None:
    """At most `limit` attempts have a place at a time; the others wait for it, a few of them and a while."""
    clock = ManualClock()
    threads = threads_by(clock, 2)
    leave, entered = asyncio.Event(), list[bool]()

    async def attempt(*, stays: bool = True) -> None:
        async with threads.place() as is_taken:
            entered.append(is_taken)
            if stays and is_taken:
                await leave.wait()

    tasks = [asyncio.create_task(attempt()) for _ in range(2 + MAX_WAITING + 1)]
    await clock.run_for(seconds=1)
    # Two have a place, eight wait, and the last one was turned away at once.
    assert entered == [True, True, False]
    await clock.run_for(seconds=Timing().place_wait)
    assert entered == [True, True] + [False] * (MAX_WAITING + 1)
    waiting = asyncio.create_task(attempt(stays=False))
    await clock.run_for(seconds=1)
    leave.set()
    await asyncio.gather(*tasks, waiting)
    assert entered[-1] is True


async def test_places_are_waited_for_together() -> None:
    """Who waits for a thread and who waits for a process are counted as one crowd; who gives up leaves it."""
    room = WaitingRoom(clock=ManualClock(), timing=Timing())
    threads, processes = Places(1, room), Places(1, room)

    async def attempt(places: Places) -> bool:
        async with places.taken() as is_taken:
            await asyncio.sleep(0)
            if is_taken:
                await asyncio.Event().wait()
            return is_taken

    tasks = [asyncio.create_task(attempt(places)) for places in [threads, processes] * (1 + MAX_WAITING // 2)]
    await asyncio.sleep(0.01)
    assert not any(task.done() for task in tasks)
    assert await attempt(threads) is False
    tasks.pop().cancel()
    await asyncio.sleep(0.01)
    late = asyncio.create_task(attempt(threads))
    await asyncio.sleep(0.01)
    assert not late.done()
    for task in (*tasks, late):
        task.cancel()
    await asyncio.gather(*tasks, late, return_exceptions=True)


async def test_abandoned_reads_are_counted() -> None:
    """A cancelled call leaves its thread: counted where that has not ended after the grace period, and not before."""
    clock = ManualClock()
    threads, release = threads_by(clock, 1), [threading.Event(), threading.Event()]
    reads = [asyncio.create_task(threads.read(partial(each.wait, 5), operation=make_operation())) for each in release]
    await asyncio.sleep(0.02)
    for read in reads:
        read.cancel()
    await asyncio.gather(*reads, return_exceptions=True)
    release[0].set()
    while len(threads._left) > 1:  # noqa: ASYNC110 - what is waited for is in a thread
        await asyncio.sleep(0.005)
    await clock.run_for(seconds=Timing().cancel_grace - 0.1)
    assert threads.abandoned == 0
    await clock.run_for(seconds=0.2)
    assert threads.abandoned == 1
    release[1].set()
    await asyncio.sleep(0.02)


async def test_abandoned_thread_is_counted() -> None:
    """A cancelled call abandons its thread: counted once."""
    threads, release = handler_threads(), threading.Event()
    stuck = asyncio.create_task(threads.run(lambda: release.wait(5), operation=make_operation()))
    await asyncio.sleep(0.02)
    stuck.cancel()
    await asyncio.gather(stuck, return_exceptions=True)
    assert threads.abandoned == 1
    assert await asyncio.wait_for(threads.run(lambda: 1, operation=make_operation()), 1) == 1
    release.set()
    await asyncio.sleep(0.02)


async def test_context_variables() -> None:
    """A handler's thread sees the caller's context variables."""
    variable = contextvars.ContextVar("variable", default=0)
    variable.set(7)
    assert await handler_threads().run(variable.get, operation=make_operation()) == 7


async def test_wait_for_end() -> None:
    """A task that ends in time is fine whatever it raises; one that does not is abandoned."""

    async def fail() -> None:
        raise ValueError

    await wait_for_end(asyncio.create_task(fail()), grace=1, clock=ManualClock(free_waits=True))
    endless = asyncio.create_task(asyncio.sleep(30))
    with pytest.raises(HandlerAbandoned):
        await wait_for_end(endless, grace=0.01, clock=ManualClock(free_waits=True))
    assert endless.cancelled()
