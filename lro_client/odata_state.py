"""What asynchronous OData requests have of their own: words, preferences, and answers that may be there at once."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Generic, TypedDict, TypeVar

from lro_client.cancellation import CancellationToken
from lro_client.errors import LroError
from lro_client.messages import Headers
from lro_client.model import Snapshot, Status
from lro_client.operation import OperationState
from lro_client.starting import StartOptions
from lro_client.steps import Steps
from lro_client.tracker import WatchOptions
from lro_client.values import T

VERSION = "4.01"


class ODataStatus(StrEnum):
    """The state of an asynchronous request, in the words of OData clients."""

    PENDING = "Pending"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


ODATA_WORDS = {
    Status.NOT_STARTED: ODataStatus.PENDING,
    Status.RUNNING: ODataStatus.RUNNING,
    Status.CANCELING: ODataStatus.RUNNING,
    Status.SUCCEEDED: ODataStatus.COMPLETED,
    Status.FAILED: ODataStatus.FAILED,
    Status.CANCELED: ODataStatus.CANCELLED,
}


class ODataState(OperationState[T]):
    """What an asynchronous request shows, by the names that OData clients use."""

    @property
    def state(self) -> ODataStatus:
        return ODATA_WORDS[self.status]

    @property
    def is_completed(self) -> bool:
        """Whether it has ended, as Completed, Failed or Cancelled."""
        return self.has_completed

    @property
    def poll_interval(self) -> float | None:
        return self._interval

    @property
    def result(self) -> T:
        """As `value`."""
        return self.value

    @property
    def error_message(self) -> str | None:
        """Why it failed, where it has."""
        return str(self.error) if self.error else None

    def _poll(self, *, timeout: float | None = None, cancellation: CancellationToken | None = None) -> Steps[bool]:
        """Look once; True while it still runs."""
        yield from self._update_status(timeout=timeout)
        return not self.has_completed

    def _wait_for_completion(
        self,
        *,
        poll_interval: float | None = None,
        timeout: float | None = None,
        cancellation: CancellationToken | None = None,
        on_progress: Callable[[Snapshot], None] | None = None,
        cancel_operation: bool = False,
    ) -> Steps[T]:
        """As `wait`."""
        return self._wait(
            interval=self._interval if poll_interval is None else poll_interval,
            timeout=timeout,
            on_progress=on_progress,
            cancel_operation=cancel_operation,
        )


class CallOptions(TypedDict, total=False):
    """How to call. Seconds everywhere.

    `wait`: how long the service may take to answer at once (RFC 7240, section 4.3). `poll_interval`: between two looks
    at the operation. `timeout`: how long the call itself may take. `headers` go with the call only.
    """

    wait: int | None
    headers: Mapping[str, str] | None
    poll_interval: float | None
    timeout: float | None
    cancellation: CancellationToken | None


class WaitedCall(CallOptions, WatchOptions, total=False):
    """A call that is waited for; `timeout` is for all of it."""


R = TypeVar("R")
O = TypeVar("O")  # noqa: E741 - the operation, beside R for its result


class CallResult(Generic[R, O]):
    """What a call came to: an operation that goes on, or the result that was there at once."""

    def __init__(self, operation: O, value: Callable[[], R], *, is_async: bool) -> None:
        self._operation = operation
        self._value = value
        self.is_async = is_async

    @property
    def operation(self) -> O:
        """The operation.

        Raises:
            LroError: the service answered at once, so there is none.
        """
        if not self.is_async:
            raise LroError("The service answered at once: there is a synchronous_result and no operation.")
        return self._operation

    @property
    def either(self) -> O:
        """The operation, or one that has completed already where the service answered at once."""
        return self._operation

    @property
    def synchronous_result(self) -> R:
        """The result that was there at once.

        Raises:
            LroError: there is an operation instead.
            ResultMismatch, UnexpectedAnswer: it is not what was asked for.
        """
        if self.is_async:
            raise LroError("The service goes on asynchronously: there is an operation and no synchronous_result.")
        return self._value()


def preferring_async(sent: StartOptions, options: CallOptions) -> StartOptions:
    """What is sent, as what may be answered asynchronously (OData 4.01 Protocol, 8.2.8.8)."""
    wait = options.get("wait")
    prefer = "respond-async" if wait is None else f"respond-async, wait={wait}"
    given = Headers(options.get("headers") or {})
    if "prefer" in given:
        prefer = f"{prefer}, {given['prefer']}"
    return {**sent, "headers": dict(given.merged({"Prefer": prefer})) | dict(sent.get("headers") or {})}


def versioned(headers: Mapping[str, str] | None) -> dict[str, str]:
    """A client's headers, with the newest version that is understood."""
    return dict(Headers({"OData-MaxVersion": VERSION}).merged(headers or {}))
