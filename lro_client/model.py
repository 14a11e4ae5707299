"""The words of the library: status, profile, what is polled, and what one look at an operation shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

from lro_client.messages import Answer, Headers
from lro_client.reasons import ErrorDetail


class Status(StrEnum):
    """The state of an operation. A word that no contract knows is `Running`; `Snapshot.word` keeps it."""

    NOT_STARTED = "NotStarted"
    RUNNING = "Running"
    CANCELING = "Canceling"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing changes any more."""
        return self in _TERMINAL


_TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELED})
_WORDS = {word.value.lower(): word for word in Status} | {
    "cancelled": Status.CANCELED,
    "cancelling": Status.CANCELING,
}


def status_of(word: str) -> Status:
    """The status that a word on the wire means, in any case.

    Terminal are Succeeded, Failed and Canceled alone (Azure REST API Guidelines, "The Status Monitor Resource"; ARM,
    "Azure-AsyncOperation Resource format"); `Cancelled` is read as well, because nobody can mean anything else by it.
    """
    return _WORDS.get(word.strip().lower(), Status.RUNNING)


class Profile(StrEnum):
    """The contract a service follows. `AUTO` reads it off the headers, which is right for the two of Azure."""

    AUTO = "auto"
    DATA_PLANE = "data-plane"
    ARM = "arm"
    ODATA = "odata"


class Source(StrEnum):
    """What is asked for the state of an operation."""

    OPERATION_LOCATION = "operation-location"
    AZURE_ASYNC_OPERATION = "azure-asyncoperation"
    LOCATION = "location"
    RESOURCE = "resource"
    """The resource itself, by its `provisioningState`."""
    RESULT = "result"
    """The operation has succeeded, and its result is still to be fetched."""
    CANCELLATION = "cancellation"
    """A cancel that takes its time and has a monitor of its own (OData); `location_url` leads back."""
    UNKNOWN = "unknown"
    """A URL that somebody gave: its answer will tell."""
    NONE = "none"
    """Nothing: the first answer was the last."""


class FinalState(StrEnum):
    """Where the result lies: `x-ms-long-running-operation-options`, `final-state-via`."""

    AZURE_ASYNC_OPERATION = "azure-async-operation"
    LOCATION = "location"
    ORIGINAL_URI = "original-uri"
    OPERATION_LOCATION = "operation-location"


@dataclass(frozen=True, slots=True)
class Track:
    """All that must be known to poll on. A resume token holds this and nothing else.

    `start_url` is what was asked for, `poll_url` what is asked next, `location_url` the `Location` of the first answer.
    """

    profile: Profile
    method: str
    start_url: str
    source: Source
    poll_url: str
    location_url: str | None = None
    final_state: FinalState | None = None
    monitor_url: str | None = None
    operation_id: str | None = None
    request_id: str | None = None
    cancel_requested: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the result is read from: an answer, a member of its JSON body, or nothing (`answer` None)."""

    answer: Answer | None
    member: str | None = None


NOTHING = Outcome(None)


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer says. `outcome` is there once the operation has succeeded and its result is at hand."""

    track: Track
    status: Status
    word: str | None = None
    body: dict[str, Any] | None = None
    error: ErrorDetail | None = None
    outcome: Outcome | None = None

    @property
    def has_ended(self) -> bool:
        return self.status.is_terminal

    @property
    def is_result_due(self) -> bool:
        """The operation has succeeded; its result is to be fetched at once."""
        return self.track.source is Source.RESULT and not self.has_ended


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one look at the operation showed.

    `word` is the status as the service wrote it, `percent` 0 to 100, `data` whatever the service tells of its progress,
    `monitor` the monitor's whole JSON body, `answer` the raw answer.
    """

    status: Status
    answer: Answer
    word: str | None = None
    percent: float | None = None
    message: str | None = None
    data: Any = None
    error: ErrorDetail | None = None
    monitor: Mapping[str, Any] | None = None


def snapshot_of(reading: Reading, answer: Answer) -> Snapshot:
    """A look at the operation, from what was read. Progress is taken from where monitors have it, or left out."""
    body = reading.body or {}
    found: Any = body.get("progress")
    progress = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    message = next((text for text in (progress.get("message"), body.get("message")) if isinstance(text, str)), None)
    return Snapshot(
        status=reading.status,
        answer=answer,
        word=reading.word,
        percent=_percent(body.get("percentComplete", progress.get("percentComplete"))),
        message=message,
        data=progress.get("data"),
        error=reading.error,
        monitor=reading.body,
    )


def _percent(value: Any) -> float | None:
    """Older services send a string. What is not between 0 and 100 is not a percentage."""
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        return None
    return number if number is not None and 0 <= number <= 100 else None


@dataclass(frozen=True, slots=True)
class Limits:
    """What one answer may have at most. `url` is fixed (`lro_client.urls.MAX_URL`)."""

    body_bytes: int = 64 * 1024 * 1024
    header_bytes: int = 256 * 1024
    request_seconds: float = 60.0
    connect_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class Start:
    """A start as the caller wants it. `repeatable`: sending it twice does what sending it once does."""

    method: str
    url: str
    headers: Headers = field(default_factory=Headers)
    body: bytes | None = None
    repeatable: bool = False
