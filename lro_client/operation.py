"""An operation, blocking and asynchronous. Both have the steps of one base, and a driver that runs them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from os import PathLike
from pathlib import Path
from typing import Any, Generic, Unpack
from uuid import uuid4

from lro_client.cancellation import CancellationToken
from lro_client.downloads import Download, RemoteFile, download_of, file_in
from lro_client.errors import (
    CancelRefused,
    InvalidRequest,
    LroError,
    MonitorGone,
    NotFinished,
    OperationCanceled,
    OperationFailed,
    StartRefused,
)
from lro_client.messages import Answer
from lro_client.model import NOTHING, Profile, Snapshot, Status
from lro_client.reasons import ErrorDetail, error_of
from lro_client.saving import SavedFile
from lro_client.starting import Starter
from lro_client.steps import Steps, awaited, blocking, drive, drive_async
from lro_client.tokens import dump, dump_dotnet
from lro_client.tracker import Tracker, WatchOptions
from lro_client.urls import append_to_path, last_segment, with_api_version
from lro_client.values import T, value_of


class WaitOptions(WatchOptions, total=False):
    """How to wait. Seconds everywhere.

    `timeout`: how long at most. `interval`: between two looks at the least; the server's `Retry-After` may be longer.
    `cancellation`: stops the wait at once.
    """

    timeout: float | None
    interval: float | None
    cancellation: CancellationToken | None


class OperationState(Generic[T]):
    """An operation as it was seen last, and the steps that find out more. `sender` is for who runs them."""

    def __init__(self, tracker: Tracker, sender: Any, kind: Any = None, interval: float | None = None) -> None:
        self._tracker = tracker
        self._sender = sender
        self._kind = kind
        self._interval = interval
        self._value: list[T] = []

    @property
    def id(self) -> str | None:
        """The operation's id: what the monitor or the header `Operation-Id` says, else the end of the monitor's URL."""
        track = self._tracker.track
        return track.operation_id or (last_segment(track.monitor_url) if track.monitor_url else None)

    @property
    def profile(self) -> Profile:
        """The contract it is followed by; `AUTO` where its headers tell."""
        return self._tracker.track.profile

    @property
    def monitor_url(self) -> str | None:
        """Where the operation can be watched; None where the service answered at once."""
        return self._tracker.track.monitor_url

    @property
    def snapshot(self) -> Snapshot:
        """The last look."""
        return self._tracker.snapshot

    @property
    def status(self) -> Status:
        return self._tracker.reading.status

    @property
    def has_completed(self) -> bool:
        """Whether it has ended, well or not."""
        return self._tracker.has_ended

    @property
    def response(self) -> Answer:
        """The last raw answer. Its status code is 0 where the operation was resumed and not looked at yet."""
        return self._tracker.snapshot.answer

    @property
    def error(self) -> ErrorDetail | None:
        """Why it failed or was canceled, as far as the service says."""
        return self._tracker.reading.error

    @property
    def value(self) -> T:
        """The result. That of a DELETE is None, whatever the last answer holds, unless a type is asked for.

        Raises:
            NotFinished: it has not ended.
            OperationFailed, OperationCanceled: it has ended, and not well.
            ResultMismatch, UnexpectedAnswer: the result is not what was asked for.
        """
        if not self._value:
            if (error := self.failure()) is not None:
                raise error
            try:
                is_read = self._kind is not None or self._tracker.track.method != "DELETE"
                outcome = self._tracker.reading.outcome if is_read else NOTHING
                self._value.append(value_of(outcome or NOTHING, self._kind))
            except LroError as error:
                error.monitor_url = self.monitor_url
                raise
        return self._value[0]

    def failure(self) -> LroError | None:
        """What `value` raises: None where the operation has succeeded."""
        reading = self._tracker.reading
        if reading.status is Status.SUCCEEDED:
            return None
        if not reading.has_ended:
            return NotFinished("The operation has not ended yet.", monitor_url=self.monitor_url)
        reason = f": {reading.error}" if reading.error else ""
        if reading.status is Status.CANCELED:
            kind, message = OperationCanceled, f"The operation was canceled{reason}"
        else:
            kind, message = OperationFailed, f"The operation failed{reason or ': no reason was given'}"
        answer = (reading.outcome or NOTHING).answer or self.response
        return kind(message, monitor_url=self.monitor_url, answer=answer, error=reading.error)

    def token(self) -> str:
        """JSON from which another process resumes the operation with `client.resume`. It holds no secret.

        Raises:
            TokenError: there is nothing to resume, or the service's URLs hold what looks like a key.
        """
        return dump(self._tracker.track)

    def dotnet_token(self) -> str:
        """The same as .NET's `Operation.GetRehydrationToken()` serializes it (Azure.Core).

        Raises:
            TokenError: as `token`, or .NET has no words for this state.
        """
        return dump_dotnet(self._tracker.track)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.status.value}>"

    def finish(self, deadline: float | None, interval: float | None, options: WatchOptions) -> Steps[T]:
        """`wait`, until a moment that is known already."""
        yield from self._tracker.watch(deadline, interval, options)
        return self.value

    def _update_status(
        self, *, timeout: float | None = None, cancellation: CancellationToken | None = None
    ) -> Steps[Snapshot]:
        """Look once, now. What has ended is not asked again.

        Raises:
            ServiceUnreachable, UnexpectedAnswer, MonitorGone: it could not be seen; it may go on all the same.
            StoppedWaiting: the time-out passed first.
        """
        tracker = self._tracker
        return (yield from tracker.guarded(tracker.update(tracker.deadline(timeout))))

    def _wait(self, **options: Unpack[WaitOptions]) -> Steps[T]:
        """Wait for the end and return the result; see `WaitOptions`.

        Raises:
            OperationFailed, OperationCanceled: how it ended.
            StoppedWaiting: the time-out passed; the operation goes on.
            WaitCanceled: the token was used.
            ServiceUnreachable, UnexpectedAnswer, MonitorGone: it could not be seen; it may go on all the same.
        """
        deadline = self._tracker.deadline(options.get("timeout"))
        return self.finish(deadline, options.get("interval", self._interval), options)

    def _cancel(
        self,
        *,
        url: str | None = None,
        timeout: float | None = 60.0,
        cancellation: CancellationToken | None = None,
    ) -> Steps[Snapshot]:
        """Ask the service to end the operation. It may take its time: wait for the end to know what became of it.

        `url` names where, if the service has a way of its own (a POST); the contract's is the default.

        Raises:
            CancelRefused: the service does not cancel it.
            ServiceUnreachable, UnexpectedAnswer: the service could not be asked.
            StoppedWaiting, WaitCanceled: it may have been asked.
        """
        tracker = self._tracker
        return tracker.guarded(tracker.cancel(tracker.deadline(timeout), url))

    def _try_cancel(
        self, *, timeout: float | None = 60.0, cancellation: CancellationToken | None = None
    ) -> Steps[bool]:
        """`cancel`, as a question: False where the service does not do it, or where the operation is over."""
        if self.has_completed:
            return False
        try:
            yield from self._cancel(timeout=timeout)
        except (CancelRefused, MonitorGone):
            return False
        return not self.has_completed or self.status is Status.CANCELED

    def _delete(self, *, timeout: float | None = 60.0, cancellation: CancellationToken | None = None) -> Steps[None]:
        """Have the service forget an operation that has ended (data plane).

        Raises:
            StartRefused: the service does not, for example because it still runs.
            StoppedWaiting, WaitCanceled: it may have been asked.
        """
        tracker = self._tracker
        answer = yield from tracker.guarded(tracker.forget(tracker.deadline(timeout)))
        # 404 too: either way the service does not know it any more.
        if answer.status_code not in (200, 202, 204, 404):
            error = error_of(answer)
            reason = f"{answer.status_code} {error}".rstrip(".") if error else str(answer.status_code)
            message = f"The service does not delete this operation: {reason}."
            raise StartRefused(message, monitor_url=self.monitor_url, answer=answer)

    def _run_again(self, operation_id: str | None, timeout: float | None) -> Steps[Tracker]:
        """The start of a new operation in the place of this one: POST to the monitor's `:retry`."""
        if self.monitor_url is None:
            raise InvalidRequest("the service answered at once, and no monitor can be asked to run it again")
        tracker = self._tracker
        url = with_api_version(append_to_path(self.monitor_url, ":retry"), tracker.track.start_url)
        starter = Starter(tracker.home, self.profile, tracker.settings)
        # With an id, a start whose answer is lost can be sent again.
        id = operation_id or str(uuid4())
        started, _ = yield from starter.start("POST", url, {"operation_id": id}, tracker.deadline(timeout))
        return started

    @property
    def file(self) -> RemoteFile | None:
        """The file that the result is; None where it is none, or where the operation has not succeeded."""
        if self.failure() is not None:
            return None
        return file_in(value_of(self._tracker.reading.outcome or NOTHING))

    def _download(self, timeout: float | None) -> Download:
        if (error := self.failure()) is not None:
            raise error
        value = value_of(self._tracker.reading.outcome or NOTHING)
        return download_of(self._tracker, value, self._tracker.deadline(timeout))

    def _looks(self, timeout: float | None, interval: float | None) -> Iterator[Steps[Snapshot]]:
        """The steps of one look after the other, until the operation has ended; of one where it has."""
        tracker = self._tracker
        deadline = tracker.deadline(timeout)
        pace = self._interval if interval is None else interval
        if self.has_completed:
            yield tracker.update(deadline)
        while not self.has_completed:
            yield tracker.guarded(tracker.advance(deadline, pace))


class Operation(OperationState[T]):
    """A long-running operation, blocking. Not for two threads at once; a `CancellationToken` is."""

    update_status = blocking(OperationState[T]._update_status)
    wait = blocking(OperationState[T]._wait)
    cancel = blocking(OperationState[T]._cancel)
    try_cancel = blocking(OperationState[T]._try_cancel)
    delete = blocking(OperationState[T]._delete)

    def retry(
        self,
        *,
        operation_id: str | None = None,
        timeout: float | None = None,
        cancellation: CancellationToken | None = None,
    ) -> "Operation[T]":
        """Have the service run an operation again that has failed or was canceled, with the input it has stored (the
        `:retry` of this app's monitors, data plane). Returns the new operation; this one stays as it is.

        `operation_id` is the new one's, one of ours without it.

        Raises:
            StartRefused: nothing runs; 409 `OperationNotFailed` or `RetryNotSupported`, 404 where there is no such way.
            InvalidRequest: the service answered at once, so there is no monitor.
            WaitCanceled: the token was used; the service may have taken it all the same.
            ServiceUnreachable, UnexpectedAnswer, UnsafeUrl: as `LroClient.start`.
        """
        tracker = drive(self._run_again(operation_id, timeout), self._sender, cancellation)
        return Operation(tracker, self._sender, self._kind, self._interval)

    def download(
        self,
        path: str | PathLike[str],
        *,
        timeout: float | None = None,
        cancellation: CancellationToken | None = None,
    ) -> Path:
        """Save the file that the result is, and return where; a folder gets it under its own name.

        It comes in pieces, each sent again where that helps, and is there once it is whole and has the SHA-256 that the
        service has announced. Neither credentials nor headers of the client go to the store that has it.

        Raises:
            NotFinished, OperationFailed, OperationCanceled: there is no result.
            ResultMismatch: the result is no file.
            UnexpectedAnswer, MonitorGone, ServiceUnreachable: it could not be had.
            StoppedWaiting, WaitCanceled: the time-out passed, or the token was used.
            OSError: it could not be written; FileExistsError where the folder has one of that name.
        """
        download = self._download(timeout)
        with SavedFile(path, download.file.name) as file:
            for steps in download.pieces():
                file.write(drive(steps, self._sender, cancellation))
        return file.path

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
        for steps in self._looks(timeout, interval):
            yield drive(steps, self._sender, cancellation)

    def __iter__(self) -> Iterator[Snapshot]:
        return self.snapshots()


class AsyncOperation(OperationState[T]):
    """As `Operation`, on an event loop. Canceling the task that waits stops at once."""

    update_status = awaited(OperationState[T]._update_status)
    wait = awaited(OperationState[T]._wait)
    cancel = awaited(OperationState[T]._cancel)
    try_cancel = awaited(OperationState[T]._try_cancel)
    delete = awaited(OperationState[T]._delete)

    async def retry(
        self,
        *,
        operation_id: str | None = None,
        timeout: float | None = None,
        cancellation: CancellationToken | None = None,
    ) -> "AsyncOperation[T]":
        """As `Operation.retry`."""
        tracker = await drive_async(self._run_again(operation_id, timeout), self._sender, cancellation)
        return AsyncOperation(tracker, self._sender, self._kind, self._interval)

    async def download(
        self,
        path: str | PathLike[str],
        *,
        timeout: float | None = None,
        cancellation: CancellationToken | None = None,
    ) -> Path:
        """As `Operation.download`."""
        download = self._download(timeout)
        with SavedFile(path, download.file.name) as file:
            for steps in download.pieces():
                piece = await drive_async(steps, self._sender, cancellation)
                await asyncio.to_thread(file.write, piece)
        return file.path

    async def snapshots(
        self,
        *,
        timeout: float | None = None,
        interval: float | None = None,
        cancellation: CancellationToken | None = None,
    ) -> AsyncIterator[Snapshot]:
        """As `Operation.snapshots`."""
        for steps in self._looks(timeout, interval):
            yield await drive_async(steps, self._sender, cancellation)

    def __aiter__(self) -> AsyncIterator[Snapshot]:
        return self.snapshots()
