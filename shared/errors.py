"""Every error this app raises on purpose. Translation at a border (SDK, store, engine, HTTP) ends in one of these.

LroError
├── SettingsError                a setting is missing or cannot be read
├── DeclarationError             an action, read or route is declared wrongly; the app refuses to start
├── ActionFailed                 a handler ends its operation as Failed, with a code of its own
├── ActionCanceled               raised inside a sync handler whose operation was asked to stop
├── RequestError                 a request is answered with 4xx; nothing was created
├── TransitionError              the lifecycle does not allow this event in this state
├── FenceLost                    a later claim owns the operation; this attempt must not write any more
├── EngineError                  the engine did not take the start
└── StorageError
    ├── StorageConflict          a row exists already, has changed, or is gone
    ├── StorageAnswerLost        the store may or may not have done it
    ├── StorageRefused           the store cannot hold this (key, size or transaction rule)
    └── StorageUnavailable       the store could not be reached within its bounded retries
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError
from pydantic_core import ErrorDetails


class LroError(Exception):
    """Root of the tree."""


class SettingsError(LroError):
    """A setting is missing or cannot be read; the message names it and says what it takes."""


class DeclarationError(LroError):
    """A declaration cannot work; the message names every party and what to change."""


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """One entry of `error.details` (Azure REST API Guidelines, "Handling errors")."""

    code: str
    message: str
    target: str | None = None


class ActionFailed(LroError):
    """Raised by a handler to end its operation as Failed with `code` and `message`.

    Deliberate failures are final: they are retried only with `retryable=True` and attempts left.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        target: str | None = None,
        details: Sequence[ErrorDetail] = (),
        status_code: int = 400,
        retryable: bool = False,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.target = target
        self.details = tuple(details)
        self.status_code = status_code
        self.retryable = retryable


class ActionCanceled(LroError):
    """The operation was asked to stop; raised by `ActionContext.raise_if_cancelled`."""


class RequestError(LroError):
    """A request that is answered with an error body; `status` is 4xx, or 5xx where the service cannot answer."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        target: str | None = None,
        details: Sequence[ErrorDetail] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.target = target
        self.details = tuple(details)
        self.headers = dict(headers or {})


class TransitionError(LroError):
    """The lifecycle has no arrow for this event from this status."""

    def __init__(self, event: str, status: str) -> None:
        super().__init__(f"{event} is not possible while the operation is {status}")
        self.event = event
        self.status = status


class FenceLost(LroError):
    """Another claim owns the operation now, or it has ended."""


class EngineError(LroError):
    """The engine did not take the start; the record stays and housekeeping starts it again."""


class StorageError(LroError):
    """Root of what a store raises."""


class StorageConflict(StorageError):
    """A condition did not hold; nothing of the write was done."""

    def __init__(self, message: str, *, index: int | None = None) -> None:
        super().__init__(message)
        self.index = index
        """Position of the change that failed, where the store says so."""


class StorageAnswerLost(StorageError):
    """The connection broke after the request was sent: the write may have been done."""


class StorageRefused(StorageError):
    """The store does not hold such a key, value or transaction; trying again does not help."""


class StorageUnavailable(StorageError):
    """The store could not be reached within its bounded retries."""


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The inside of `{"error": ...}`: what clients are shown and what a Failed outcome stores."""

    code: str
    message: str
    target: str | None = None
    details: tuple[ErrorDetail, ...] = field(default=())


def wording(problem: ErrorDetails) -> str:
    """What a validator of ours said, in its own words: pydantic would begin them with `Value error, `."""
    said = problem.get("ctx", {}).get("error")
    return str(said) if isinstance(said, ValueError | AssertionError) else problem["msg"]


def problems(error: ValidationError) -> str:
    """Every value that does not fit, by its place, and never the value: `a.0: Field required; b: ...`."""
    places = [(".".join(map(str, each["loc"])), wording(each)) for each in error.errors(include_url=False)]
    return "; ".join(f"{place}: {said}" if place else said for place, said in places)
