"""What an operation shows of itself without asking the service: the base of the blocking and the asynchronous one."""

from collections.abc import Callable
from typing import Any, Generic, TypedDict, TypeVar

from lro_client.cancellation import CancellationToken
from lro_client.errors import LroError, NotFinished, OperationCanceled, OperationFailed
from lro_client.messages import Answer, ErrorDetail
from lro_client.model import NOTHING, Profile, Snapshot, Status
from lro_client.tokens import dump, dump_dotnet
from lro_client.tracker import Tracker
from lro_client.urls import last_segment
from lro_client.values import value_of

T = TypeVar("T")


class WaitOptions(TypedDict, total=False):
    """How to wait. Seconds everywhere.

    `timeout`: how long at most. `interval`: between two looks at the least; the server's `Retry-After` may be longer.
    `on_progress`: called with every look. `cancellation`: stops the wait at once. `cancel_operation`: whoever stops the
    wait, by the token or by canceling the task, asks for the end of the operation as well; asking may take what is left
    of the time-out, but two seconds at least and ten at most.
    """

    timeout: float | None
    interval: float | None
    on_progress: Callable[[Snapshot], None] | None
    cancellation: CancellationToken | None
    cancel_operation: bool


class OperationState(Generic[T]):
    """An operation as it was seen last."""

    def __init__(self, tracker: Tracker, kind: Any = None, interval: float | None = None) -> None:
        self._tracker = tracker
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
        """The result.

        Raises:
            NotFinished: it has not ended.
            OperationFailed, OperationCanceled: it has ended, and not well.
            ResultMismatch, UnexpectedAnswer: the result is not what was asked for.
        """
        if not self._value:
            if (error := self.failure()) is not None:
                raise error
            try:
                self._value.append(value_of(self._tracker.reading.outcome or NOTHING, self._kind))
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
        answer = (reading.outcome or NOTHING).answer or self.response
        if reading.status is Status.CANCELED:
            said = f": {reading.error}" if reading.error else ""
            return OperationCanceled(
                f"The operation was canceled{said}", monitor_url=self.monitor_url, answer=answer, error=reading.error
            )
        said = str(reading.error) if reading.error else "no reason was given"
        return OperationFailed(
            f"The operation failed: {said}", monitor_url=self.monitor_url, answer=answer, error=reading.error
        )

    @property
    def _is_ending(self) -> bool:
        """After a cancel: whether the operation is being canceled or has been, and is not over in another way."""
        return not self.has_completed or self.status is Status.CANCELED

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
