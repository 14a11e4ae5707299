"""A clock that tests move: the wall clock, lengths of time and whoever sleeps go on together, or stand still."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")

T0 = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

_ROUNDS = 30
"""Rounds of the event loop in which those who were woken do what does not wait for time or for another thread."""


class _Alarm:
    """Something to do at a time, unless it is called off before."""

    def __init__(self, at: datetime, ring: Callable[[], object]) -> None:
        self.at, self.ring = at, ring


class ManualClock:
    """Time stands still until a test moves it. Used on one event loop.

    With `free_waits` nobody needs to move it: once the tasks of the loop have nothing else to do, time jumps to where
    the first of those who wait goes on, so waiting costs nothing real. Not for tests in which other threads work: the
    clock knows nothing of them, and would jump while they do.
    """

    def __init__(self, now: datetime = T0, *, free_waits: bool = False) -> None:
        self._start = self._now = now
        self._set_by = timedelta(0)
        self._cpu = 0.0
        self._alarms: list[_Alarm] = []
        self._free_waits = free_waits
        self._driver: asyncio.Task[None] | None = None

    def now(self) -> datetime:
        return self._now + self._set_by

    def set_wall_clock(self, **length: float) -> None:
        """Set the wall clock by a `timedelta` of these arguments, forward or back; no time passes."""
        self._set_by += timedelta(**length)

    def monotonic(self) -> float:
        return (self._now - self._start).total_seconds()

    def thread_time(self) -> float:
        return self._cpu

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        alarm = self._set_alarm(seconds, lambda: woken.done() or woken.set_result(None))
        try:
            await woken
        finally:
            self._call_off(alarm)

    def timeout(self, seconds: float | None) -> "ManualTimeout":
        return ManualTimeout(self, seconds)

    def pass_by(self, **length: float) -> datetime:
        """Move on by a `timedelta` of these arguments, all at once: who was due on the way finds it later than that."""
        self._move_to(self._now + timedelta(**length))
        return self.now()

    async def run_for(self, **length: float) -> None:
        """Move on by a `timedelta` of these arguments, stopping wherever somebody is due, who then does what he can."""
        end = self._now + timedelta(**length)
        await _rounds()
        while due := [alarm.at for alarm in self._alarms if alarm.at <= end]:
            self._move_to(min(due))
            await _rounds()
        self._move_to(end)
        await _rounds()

    def use_cpu(self, seconds: float) -> None:
        """As if the thread had computed for so long."""
        self._cpu += seconds
        self.pass_by(seconds=seconds)

    @property
    def waits(self) -> list[float]:
        """The seconds that are left to each of those who wait, the first to go on first."""
        return sorted((alarm.at - self._now).total_seconds() for alarm in self._alarms)

    def _set_alarm(self, seconds: float, ring: Callable[[], object]) -> _Alarm:
        alarm = _Alarm(self._now + timedelta(seconds=seconds), ring)
        self._alarms.append(alarm)
        if self._free_waits and (self._driver is None or self._driver.done()):
            self._driver = asyncio.get_running_loop().create_task(self._drive(), name="manual clock")
        return alarm

    def _call_off(self, alarm: _Alarm) -> None:
        if alarm in self._alarms:
            self._alarms.remove(alarm)

    def _move_to(self, moment: datetime) -> None:
        self._now = max(self._now, moment)
        for alarm in sorted((alarm for alarm in self._alarms if alarm.at <= self._now), key=lambda alarm: alarm.at):
            self._call_off(alarm)
            alarm.ring()

    async def _drive(self) -> None:
        await _rounds()
        while self._alarms:
            self._move_to(min(alarm.at for alarm in self._alarms))
            await _rounds()


async def finished(task: "asyncio.Future[T]", clock: ManualClock, *, within: float) -> T:
    """What the task comes to, while the clock moves on by at most `within` seconds, a tenth at a time.

    For tasks that go through threads: between two steps those get a moment to answer.
    """
    end = clock.monotonic() + within
    while not task.done() and clock.monotonic() < end:
        await asyncio.wait({task}, timeout=0.01)
        await clock.run_for(seconds=0.1)
    async with asyncio.timeout(20):
        return await task


async def carried_out(work: Coroutine[Any, Any, T], clock: ManualClock, *, is_busy: Callable[[], bool]) -> T:
    """What `work` comes to; once nothing but time is waited for, it jumps to where the first of those goes on.

    `is_busy`: whether other threads work for it, which the clock knows nothing of. Fails where all wait for ever.
    """
    task, idle = asyncio.ensure_future(work), 0
    while not task.done():
        await _rounds()
        if is_busy():
            await asyncio.wait({task}, timeout=0.001)
        elif waits := clock.waits:
            clock.pass_by(seconds=waits[0])
            idle = 0
        else:
            idle += 1
            assert idle < _ROUNDS, "it waits, and nobody works for it"
    return await task


class ManualTimeout:
    """`asyncio.timeout` by a clock that stands still until it is moved."""

    def __init__(self, clock: ManualClock, seconds: float | None) -> None:
        self._clock = clock
        self._seconds = seconds
        self._timeout = asyncio.timeout(None)
        self._alarm: _Alarm | None = None

    def expired(self) -> bool:
        return self._timeout.expired()

    async def __aenter__(self) -> "ManualTimeout":
        await self._timeout.__aenter__()
        if self._seconds is not None:
            if self._seconds <= 0:
                self._expire()
            else:
                self._alarm = self._clock._set_alarm(self._seconds, self._expire)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        if self._alarm is not None:
            self._clock._call_off(self._alarm)
        return await self._timeout.__aexit__(kind, error, traceback)

    def _expire(self) -> None:
        self._timeout.reschedule(asyncio.get_running_loop().time())


async def _rounds() -> None:
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)
