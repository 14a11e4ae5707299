"""Every error this app raises on purpose. Translation at a boundary (SDK, store, engine, HTTP) ends in one of these.

LroError
├── SettingsError                a setting is missing or cannot be read
│   └── NamespaceTaken           another app's housekeeping works on the same tables
├── DeclarationError             an action, read or route is declared wrongly; the app refuses to start
├── ActionFailed                 a handler ends its operation as Failed, with a code of its own
├── ActionCanceled               raised inside a sync handler whose operation was asked to stop
├── RequestError                 a request is answered with 4xx; nothing was created
├── TransitionError              the lifecycle does not allow this event in this state
├── FenceLost                    a later claim owns the operation; this attempt must not write any more
├── EngineError                  the engine did not do what it was called for
└── StorageError
    ├── StorageConflict          a row exists already, has changed, or is gone
    ├── StorageAnswerLost        the store may or may not have done it
    ├── StorageRefused           the store cannot hold this (key, size or transaction rule)
    └── StorageUnavailable       the store could not be reached within its bounded retries
        └── StorageUnusable      the store is there, and somebody has to put it right first
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from itertools import islice

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.frozen import frozen, replace


class LroError(Exception):
    """Root of the tree."""


class SettingsError(LroError):
    """A setting is missing or cannot be read; the message names it and says what it takes."""


class NamespaceTaken(SettingsError):
    """Another site has the namespace of this app's tables; the message names both and the settings."""


class DeclarationError(LroError):
    """A declaration cannot work; the message names every party and what to change, on one line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


@frozen
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
    """The operation was asked to stop; raised by `ActionContext.raise_if_canceled`."""


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


class StorageUnusable(StorageUnavailable):
    """The store does not serve this app until somebody has put right what the message says: an app does not start."""


@frozen
class ErrorBody:
    """The inside of `{"error": ...}`: what clients are shown and what a Failed outcome stores."""

    code: str
    message: str
    target: str | None = None
    details: tuple[ErrorDetail, ...] = field(default=())


def wording(problem: ErrorDetails) -> str:
    """The text of a validator of ours, in its own words: pydantic would begin them with `Value error, `."""
    raised = problem.get("ctx", {}).get("error")
    return str(raised) if isinstance(raised, ValueError | AssertionError) else problem["msg"]


def problems(error: ValidationError) -> str:
    """The first values that do not fit, by their places, and never a value: `a.0: Field required; b: ...`."""
    found = error.errors(include_url=False, include_input=False)[:_MAX_NAMED]
    places = [(".".join(map(str, each["loc"]))[:_MAX_NAME], wording(each)) for each in found]
    return "; ".join(f"{place}: {text}" if place else text for place, text in places)


_PYDANTIC_CODES = {"missing": "MissingField", "extra_forbidden": "UnknownField"}
_MAX_DETAILS = 50
_MAX_NAMED = 10
"""Fields in the message; `details` has more. A request may be wrong in a hundred thousand places."""
_MAX_NAME = 200


def validation_error(error: ValidationError) -> RequestError:
    """400 InvalidInput, as `does_not_fit`; it never repeats a value."""
    return does_not_fit(
        ErrorDetail(_PYDANTIC_CODES.get(e["type"], "InvalidValue"), wording(e), ".".join(map(str, e["loc"])) or None)
        for e in error.errors(include_url=False, include_input=False)
    )


def does_not_fit(problems: Iterable[ErrorDetail]) -> RequestError:
    """400 InvalidInput with a detail for each of the first 50 problems; the message names the first fields."""
    details = [replace(each, target=each.target and each.target[:_MAX_NAME]) for each in islice(problems, _MAX_DETAILS)]
    fields = [each.target for each in details if each.target]
    more = " and more" if len(fields) > _MAX_NAMED else ""
    what = f"{', '.join(fields[:_MAX_NAMED])}{more}" if fields else details[0].message
    return RequestError(400, "InvalidInput", f"The request does not fit: {what}.", details=details)


def other_schema(found: int, own: int) -> SettingsError:
    """A store that another version has written, and that this one would misread."""
    return SettingsError(
        f"the store was written in schema {found}, and this version reads schema {own}: "
        "run the version that wrote it, or point DATA_DIR (or the storage settings) at an empty store"
    )
