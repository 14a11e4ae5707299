"""Time: the clock that everything reads, and the lengths that belong together. No I/O.

Both are chosen once, where the app is composed. Tests move a clock, or pass a `Timing` with shorter lengths; nothing
else knows a length of time that another part depends on.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Protocol

from shared.frozen import frozen


class Timeout(AbstractAsyncContextManager[object], Protocol):
    """A block with a limit of time."""

    def expired(self) -> bool:
        """Whether the limit has ended the block: a TimeoutError may come from what is inside, too."""
        ...


class Clock(Protocol):
    """Where time comes from. `shared.system_clock.SystemClock` is the real one."""

    def now(self) -> datetime:
        """The wall clock: aware, UTC. For what is stored and what other machines compare with."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back. For lengths inside one process."""
        ...

    def thread_time(self) -> float:
        """Seconds of CPU that the calling thread has used."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Come back after that long; zero lets others run first."""
        ...

    def timeout(self, seconds: float | None) -> Timeout:
        """End the block with TimeoutError after that long; None for never."""
        ...


@frozen(kw_only=True)
class Timing:
    """Lengths of time, in the app's own terms. A `timedelta` is compared with the wall clock; a number is seconds."""

    lease: timedelta = timedelta(seconds=30)
    """How long a claim lasts without a heartbeat. Nobody else claims the operation before."""
    heartbeat: float = 10.0
    """Seconds between two renewals of the lease."""
    progress_interval: float = 1.0
    """Seconds: progress reaches the store at most this often."""
    cancel_grace: float = 5.0
    """Seconds a handler that is told to stop may go on before its attempt is given up, and seconds a write that has
    begun is waited for."""
    stop_within: float = 5.0
    """Seconds after a stop signal within which attempts are given back; then the signal goes on."""
    stop_grace: float = 1.0
    """Seconds a handler has to stop where the host itself is stopping: the host waits for nobody."""
    settle_waits: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
    """Seconds between tries to write how an attempt ended, while the store does not answer."""
    result_waits: tuple[float, ...] = (0.5, 1.0, 2.0)
    """Seconds between tries to store a result, while the store does not answer."""
    host_reserve: float = 15.0
    """Seconds before the host's functionTimeout: by then an activity has returned even where storage hangs."""
    housekeeping_patience: timedelta = timedelta(seconds=10)
    """How long a start, or a due retry, is left to the engine before it is asked, for requests once in that time."""
    recover_within: float = 3.0
    """Seconds a request gives to what is overdue for its operation: callers are promised an answer within ten."""
    removal_within: float = 2.0
    """Seconds that a DELETE takes to clear what the operation has left; then housekeeping goes on with it."""
    tending_within: float = 90.0
    """Seconds that a pass of housekeeping takes for what is active, so that removals get their turn before the next
    pass. An engine that fails slowly takes seconds for each."""
    backlog_shown: float = 180.0
    """Seconds for which the counts of a pass are told as metrics: the next pass may be on another instance."""
    removals_within: float = 30.0
    """Seconds that a pass of housekeeping takes for removals: an engine that hangs must not hold up the next pass."""
    removal_patience: timedelta = timedelta(seconds=60)
    """How long an orchestration whose operation was removed may take to end by itself before it is terminated."""
    clock_jump: timedelta = timedelta(seconds=5)
    """From which difference on between two looks at both clocks the wall clock counts as having been set."""
    removal_hook_within: float = 5.0
    """Seconds that the hooks of one removed operation take: they must not hold up the removal of others."""
    removal_hook_wait: timedelta = timedelta(minutes=1)
    """After a removal hook has failed, until it runs again."""
    removal_hook_patience: timedelta = timedelta(days=7)
    """For how long a removal hook that keeps failing is run again."""
    sweep_within: float = 10.0
    """Seconds for each sweep of a pass of housekeeping."""
    void_lock_kept: timedelta = timedelta(minutes=10)
    """How old the row of a lock that holds nothing is before a sweep removes it."""
    unrecorded_payload: timedelta = timedelta(hours=1)
    """How long a payload that is stored apart from its record waits for it: a writer may be between the two writes."""
    late_start: timedelta = timedelta(seconds=60)
    """How long after the end of an operation the engine may still take a start of it that was under way then. A call of
    the engine takes ten seconds at most; what it has taken late by itself, after that."""
    stuck_after: timedelta = timedelta(seconds=60)
    """How long past its attempt's deadline a holder may still renew its lease before it is given up."""
    external_cancel_grace: timedelta = timedelta(minutes=5)
    """How long another system has to confirm a cancel: it hears of it at its next update only."""
    unknown_action_patience: timedelta = timedelta(minutes=10)
    """During a rolling deployment an old instance meets a new action; new instances get it within this time."""
    unknown_action_wait: timedelta = timedelta(seconds=15)
    """Between two looks at an operation whose action is unknown here."""
    pause_look: float = 5.0
    """Seconds between two looks of a process at what is paused."""
    pause_wait: timedelta = timedelta(seconds=30)
    """Until what is due of a paused action comes back, and what callers of a start are told to wait."""
    place_wait: float = 5.0
    """Seconds that an attempt waits for a thread or a process at most, before it is claimed."""
    place_again: timedelta = timedelta(seconds=5)
    """After that, until it asks again."""
    process_start: float = 60.0
    """Seconds that a process for handlers may take to import the app's actions."""
    dispatch_waits: tuple[float, ...] = (5.0, 30.0)
    """Between tries to run an attempt where the app fails around the handler; then the operation has failed."""
    park_after: timedelta = timedelta(minutes=10)
    """A wait that is longer is parked: it ends the orchestration, and a due row wakes the operation. Shorter ones are
    timers of the engine."""
    brief_slice: timedelta = timedelta(seconds=1)
    """A slice that ends within this time without a new checkpoint has got nowhere: the next one waits."""
    idle_slice_wait: tuple[float, float] = (1.0, 60.0)
    """Seconds after the first such slice in a row, doubled with each one more, and the longest wait."""
    checkpoint_interval: float = 1.0
    """Seconds: a checkpoint of up to `small_checkpoint` bytes reaches the store within this time."""
    large_checkpoint_interval: float = 10.0
    """Seconds: a larger one does so within this time."""
    small_checkpoint: int = 64 * 1024
    """Bytes."""
    loss_waits: tuple[float, ...] = (0.0, 5.0, 30.0, 120.0)
    """Seconds from the first, second, ... lost attempt to the next claim; the last one holds for all that follow."""
    loss_jitter: float = 0.5
    """Part of such a wait that is added at most, by chance: who was lost together does not run together again, so an
    attempt that kills its process ends up alone in it."""
    unrecorded_lock: timedelta = timedelta(seconds=60)
    """How long a lock counts whose operation has no record: its start may be between the two writes."""
    total_deadline: timedelta = timedelta(hours=24)
    """How long an operation may take over all its attempts, waits included."""
    store_within: float = 6.0
    """Seconds for a start's payload and record together: callers are promised an answer within ten."""
    payload_within: float = 5.0
    """Seconds for reading an operation's payload: callers are promised an answer within ten."""
    health_within: float = 3.0
    """Seconds for each check of the app's health."""
    health_kept: float = 5.0
    """Seconds for which what the checks found is answered, however many ask."""
    young: timedelta = timedelta(seconds=1)
    """How old an operation is at most for a poll to wait a moment for its end."""
    young_wait: float = 0.045
    """Seconds that such a poll waits: pollers ask at once after a start, and then not before `Retry-After`."""
    first_poll: float = 0.05
    """Seconds to the first poll that are proposed for an action whose duration is not known yet."""
    longest_poll_wait: float = 30.0
    """Seconds that clients are told to wait at most: polls show progress, and an early end."""
    wait_pauses: tuple[float, float] = (0.1, 2.0)
    """Seconds: the first and the longest pause between two looks at an operation that somebody waits for."""
    site_renewal: timedelta = timedelta(minutes=10)
    """Between two looks at which site has the namespace, and between two renewals by the one that has it."""
    site_expiry: timedelta = timedelta(hours=1)
    """How long a site has its namespace without renewing; then another one takes it over."""
    loop_watch_interval: float = 0.25
    """Seconds between two measurements of the event loop while attempts run."""
    loop_lag: float = 1.0
    """Seconds: a lag of the event loop above this is logged."""

    def slice_wait(self, idle: int) -> timedelta:
        """How long the next slice waits after so many in a row that got nowhere."""
        first, longest = self.idle_slice_wait
        return timedelta(seconds=min(longest, first * 2.0 ** min(idle - 1, 64)) if idle else 0)

    def loss_wait(self, losses: int, randomness: Callable[[], float]) -> timedelta:
        """How long the next claim waits after so many lost attempts, at least one; `randomness` is 0 up to 1."""
        seconds = self.loss_waits[min(losses, len(self.loss_waits)) - 1]
        return timedelta(seconds=seconds * (1 + self.loss_jitter * randomness()))
