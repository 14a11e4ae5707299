"""A clock that stands still unless the test moves it."""

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from shared.actions.policies import Duration, duration
from shared.model.timing import Timeout
from shared.system_clock import SystemClock

_REAL = SystemClock()


class FakeClock:
    """Time as the test says. `sleep` and `timeout` wait until the test has moved the clock."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC), *, auto_advance: bool = False) -> None:
        """With `auto_advance` a sleep moves the clock itself and returns: for a handler that waits in a loop."""
        self._start = now
        self._passed = 0.0
        self._auto_advance = auto_advance
        self._alarms: list[_Alarm] = []
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    def thread_time(self) -> float:
        return _REAL.thread_time()

    def advance(self, length: Duration) -> None:
        """Move the time on by `"90s"`, `"5m"`, ... or a timedelta. From any thread."""
        with self._lock:
            self._passed += duration(length, what="length").total_seconds()
            due = [alarm for alarm in self._alarms if alarm.at <= self._passed]
            self._alarms = [alarm for alarm in self._alarms if alarm.at > self._passed]
        for alarm in due:
            alarm.ring()

    async def sleep(self, seconds: float) -> None:
        if seconds > 0 and not self._auto_advance:
            reached = asyncio.Event()
            with self.alarm(seconds, reached.set):
                await reached.wait()
            return
        if seconds > 0:
            self.advance(timedelta(seconds=seconds))
            await _REAL.sleep(0)  # A time-out that is due takes two turns of the loop to reach who sleeps here.
        await _REAL.sleep(0)

    def timeout(self, seconds: float | None) -> Timeout:
        return _REAL.timeout(seconds) if seconds is None or seconds <= 0 else _Timeout(self, seconds)

    @contextmanager
    def alarm(self, seconds: float, action: Callable[[], object]) -> Generator[None]:
        """Call `action` on this loop once that much time has passed, if the block is still open then."""
        alarm = _Alarm(self._passed + seconds, action, asyncio.get_running_loop())
        with self._lock:
            self._alarms.append(alarm)
        try:
            yield
        finally:
            alarm.is_set = False
            with self._lock:
                self._alarms = [each for each in self._alarms if each is not alarm]


@dataclass(eq=False)
class _Alarm:
    at: float
    action: Callable[[], object]
    loop: asyncio.AbstractEventLoop
    is_set: bool = True

    def ring(self) -> None:
        self.loop.call_soon_threadsafe(lambda: self.action() if self.is_set else None)


class _Timeout:
    """`asyncio.timeout` by a clock that stands still until it is moved."""

    def __init__(self, clock: FakeClock, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds
        self._limit = _REAL.timeout(None)
        self._open = ExitStack()

    def expired(self) -> bool:
        return self._limit.expired()

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        loop = asyncio.get_running_loop()
        self._open.enter_context(self._clock.alarm(self._seconds, lambda: self._limit.reschedule(loop.time())))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._open.close()
        return await self._limit.__aexit__(kind, error, trace)
