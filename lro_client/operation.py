"""An operation, blocking and asynchronous. The two differ in the driver that runs their steps."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeVar, Unpack

from lro_client.cancellation import CancellationToken
from lro_client.errors import CancelRefused, MonitorGone, StartRefused
from lro_client.messages import Answer
from lro_client.model import Snapshot
from lro_client.operation_state import OperationState, WaitOptions
from lro_client.steps import AsyncSender, Sender, drive, drive_async
from lro_client.tracker import Tracker

T = TypeVar("T")


class Operation(OperationState[T]):
    """A long-running operation, blocking. Not for two threads at once; a `CancellationToken` is."""

    def __init__(self, tracker: Tracker, sender: Sender, kind: Any = None, interval: float | None = None) -> None:
        super().__init__(tracker, kind, interval)
        self._sender = sender

    def update_status(self, *, timeout: float | None = None, cancellation: CancellationToken | None = None) -> Snapshot:
        """Look once, now. What has ended is not asked again.

        Raises:
            ServiceUnreachable, UnexpectedAnswer, MonitorGone: it could not be seen; it may go on all the same.
            StoppedWaiting: the time-out passed first.
        """
        tracker = self._tracker
        steps = tracker.guarded(tracker.update(tracker.deadline(timeout)))
        return drive(steps, self._sender, cancellation)

    def wait(self, **options: Unpack[WaitOptions]) -> T:
        """Wait for the end and return the result; see `WaitOptions`.

        Raises:
            OperationFailed, OperationCanceled: how it ended.
            StoppedWaiting: the time-out passed; the operation goes on.
            WaitCanceled: the token was used.
            ServiceUnreachable, UnexpectedAnswer, MonitorGone: it could not be seen; it may go on all the same.
        """
        tracker = self._tracker
        steps = tracker.watch(
            tracker.deadline(options.get("timeout")),
            options.get("interval", self._interval),
            options.get("on_progress"),
            options.get("cancel_operation", False),
        )
        drive(steps, self._sender, options.get("cancellation"))
        return self.value

    def snapshots(
        self,
        *,
        timeout: float | None = None,
        interval: float | None = None,
        cancellation: CancellationToken | None = None,
    ) -> Iterator[Snapshot]:
        """A look after the other, as the service wants them, until the operation has ended; a failure is the last look.

        Raises:
            As `wait`, but for how it ended.
        """
        tracker = self._tracker
        deadline = tracker.deadline(timeout)
        pace = self._interval if interval is None else interval
        if self.has_completed:
            yield self.snapshot
        while not self.has_completed:
            yield drive(tracker.guarded(tracker.advance(deadline, pace)), self._sender, cancellation)

    def __iter__(self) -> Iterator[Snapshot]:
        return self.snapshots()

    def cancel(
        self,
        *,
        url: str | None = None,
        timeout: float | None = 60.0,
        cancellation: CancellationToken | None = None,
    ) -> Snapshot:
        """Ask the service to end the operation. It may take its time: wait for the end to know what became of it.

        `url` names where, if the service has a way of its own (a POST); the contract's is the default.

        Raises:
            CancelRefused: the service does not cancel it.
            ServiceUnreachable, UnexpectedAnswer: the service could not be asked.
            StoppedWaiting, WaitCanceled: it may have been asked.
        """
        tracker = self._tracker
        steps = tracker.guarded(tracker.cancel(tracker.deadline(timeout), url))
        return drive(steps, self._sender, cancellation)

    def try_cancel(self, *, timeout: float | None = 60.0, cancellation: CancellationToken | None = None) -> bool:
        """`cancel`, as a question: False where the service does not do it, or where the operation is over."""
        if self.has_completed:
            return False
        try:
            self.cancel(timeout=timeout, cancellation=cancellation)
        except (CancelRefused, MonitorGone):
            return False
        return self._is_ending

    def delete(self, *, timeout: float | None = 60.0, cancellation: CancellationToken | None = None) -> None:
        """Have the service forget an operation that has ended (data plane).

        Raises:
            StartRefused: the service does not, for example because it still runs.
            StoppedWaiting, WaitCanceled: it may have been asked.
        """
        tracker = self._tracker
        steps = tracker.guarded(tracker.forget(tracker.deadline(timeout)))
        answer = drive(steps, self._sender, cancellation)
        check_deleted(answer, self.monitor_url)


class AsyncOperation(OperationState[T]):
    """A long-running operation, on an event loop. Canceling the task that waits stops at once."""

    def __init__(self, tracker: Tracker, sender: AsyncSender, kind: Any = None, interval: float | None = None) -> None:
        super().__init__(tracker, kind, interval)
        self._sender = sender

    async def update_status(
        self, *, timeout: float | None = None, cancellation: CancellationToken | None = None
    ) -> Snapshot:
        """As `Operation.update_status`."""
        tracker = self._tracker
        steps = tracker.guarded(tracker.update(tracker.deadline(timeout)))
        return await drive_async(steps, self._sender, cancellation)

    async def wait(self, **options: Unpack[WaitOptions]) -> T:
        """As `Operation.wait`. With `cancel_operation`, canceling the task asks for the end of the operation first."""
        tracker = self._tracker
        steps = tracker.watch(
            tracker.deadline(options.get("timeout")),
            options.get("interval", self._interval),
            options.get("on_progress"),
            options.get("cancel_operation", False),
        )
        await drive_async(steps, self._sender, options.get("cancellation"))
        return self.value

    async def snapshots(
        self,
        *,
        timeout: float | None = None,
        interval: float | None = None,
        cancellation: CancellationToken | None = None,
    ) -> AsyncIterator[Snapshot]:
        """As `Operation.snapshots`."""
        tracker = self._tracker
        deadline = tracker.deadline(timeout)
        pace = self._interval if interval is None else interval
        if self.has_completed:
            yield self.snapshot
        while not self.has_completed:
            yield await drive_async(tracker.guarded(tracker.advance(deadline, pace)), self._sender, cancellation)

    def __aiter__(self) -> AsyncIterator[Snapshot]:
        return self.snapshots()

    async def cancel(
        self,
        *,
        url: str | None = None,
        timeout: float | None = 60.0,
        cancellation: CancellationToken | None = None,
    ) -> Snapshot:
        """As `Operation.cancel`."""
        tracker = self._tracker
        steps = tracker.guarded(tracker.cancel(tracker.deadline(timeout), url))
        return await drive_async(steps, self._sender, cancellation)

    async def try_cancel(self, *, timeout: float | None = 60.0, cancellation: CancellationToken | None = None) -> bool:
        """As `Operation.try_cancel`."""
        if self.has_completed:
            return False
        try:
            await self.cancel(timeout=timeout, cancellation=cancellation)
        except (CancelRefused, MonitorGone):
            return False
        return self._is_ending

    async def delete(self, *, timeout: float | None = 60.0, cancellation: CancellationToken | None = None) -> None:
        """As `Operation.delete`."""
        tracker = self._tracker
        steps = tracker.guarded(tracker.forget(tracker.deadline(timeout)))
        answer = await drive_async(steps, self._sender, cancellation)
        check_deleted(answer, self.monitor_url)


def check_deleted(answer: Answer, monitor_url: str | None) -> None:
    """204, or 404: either way the service does not know it any more."""
    if answer.status_code not in (200, 202, 204, 404):
        raise StartRefused(
            f"The service does not delete this operation: {answer.status_code}.", monitor_url=monitor_url, answer=answer
        )
