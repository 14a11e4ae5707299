"""What a handler in a process, or a call that it makes to the app, ends with: as JSON, and as an exception again.

Each kind that means something to the other side keeps its type. Of any other exception the other side gets the name of
its type, and the text for the log.
"""

import traceback
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from shared.actions.slices import ContinueLater
from shared.errors import (
    ActionCanceled,
    ActionFailed,
    ErrorBody,
    ErrorDetail,
    RequestError,
    StorageAnswerLost,
    StorageConflict,
    StorageError,
    StorageRefused,
    StorageUnavailable,
)
from shared.operations.bounded_errors import bounded
from shared.operations.process_frames import MAX_TEXT
from shared.operations.results import ResultRefused

_STORAGE = {each.__name__: each for each in (StorageConflict, StorageAnswerLost, StorageRefused, StorageUnavailable)}


class HandlerRaised(Exception):
    """The other side, mostly the handler in a process, has raised what only the log has more of."""

    def __init__(self, type_name: str, text: str) -> None:
        super().__init__(f"{type_name} on the other side")
        self.type_name = self.code = type_name
        self.text = text
        """Its traceback."""


class InputMisfit(ValueError):
    """The stored input does not fit the action; the text says why, without a value."""


def describe(error: BaseException) -> dict[str, Any]:
    """The error as JSON, cut to fit into a frame."""
    match error:
        case ActionFailed():
            more = {"status": int(error.status_code), "retryable": bool(error.retryable)}
            described = {"kind": "failed", **_body(error.code, error.message, error.target, error.details), **more}
        case RequestError():
            more = {"status": int(error.status), "retries": "Retry-After" in error.headers}
            described = {"kind": "request", **_body(error.code, error.message, error.target, error.details), **more}
        case ActionCanceled():
            described = {"kind": "canceled", "text": str(error)[:MAX_TEXT]}
        case ContinueLater():
            described = {"kind": "later", "after": error.after.total_seconds()}
        case ResultRefused():
            described = {"kind": "refused", **_body(error.error.code, error.error.message, None, ())}
        case InputMisfit():
            described = {"kind": "misfit", "text": str(error)[:MAX_TEXT]}
        case StorageError():
            name = next((each.__name__ for each in _STORAGE.values() if isinstance(error, each)), "StorageError")
            described = {"kind": "storage", "type": name, "text": str(error)[:MAX_TEXT]}
        case HandlerRaised():
            described = {
                "kind": "raised",
                "type": error.type_name,
                "text": f"{_trace(error)}\n{error.text}"[-MAX_TEXT:],
            }
        case _:
            described = describe_raised(error)
    return described


def describe_raised(error: BaseException) -> dict[str, Any]:
    """The error as one that is no word to the other side."""
    return {"kind": "raised", "type": type(error).__name__[:100], "text": _trace(error)}


def error_of(described: Mapping[str, Any]) -> Exception:
    """The exception that was described."""
    match described["kind"]:
        case "failed":
            return ActionFailed(
                **_body_of(described), status_code=described["status"], retryable=described["retryable"]
            )
        case "request":
            headers = {"Retry-After": ""} if described["retries"] else {}
            return RequestError(described["status"], **_body_of(described), headers=headers)
        case "canceled":
            return ActionCanceled(described["text"])
        case "later":
            return ContinueLater(after=timedelta(seconds=described["after"]))
        case "refused":
            return ResultRefused(ErrorBody(described["code"], described["message"]))
        case "misfit":
            return InputMisfit(described["text"])
        case "storage":
            return _STORAGE.get(described["type"], StorageError)(described["text"])
        case _:
            return HandlerRaised(str(described.get("type")), str(described.get("text")))


def _body(code: str, message: str, target: str | None, details: Any) -> dict[str, Any]:
    return asdict(bounded(ErrorBody(code, message, target, tuple(details))))


def _body_of(described: Mapping[str, Any]) -> dict[str, Any]:
    details = [ErrorDetail(**each) for each in described["details"]]
    return {**{name: described[name] for name in ("code", "message", "target")}, "details": details}


def _trace(error: BaseException) -> str:
    try:
        text = "".join(traceback.format_exception(error))
    except Exception as other:  # an exception's own text is anybody's code
        text = f"{type(error).__name__}, whose text raised {type(other).__name__}"
    return text[-MAX_TEXT:]
