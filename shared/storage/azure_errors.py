"""What the Azure SDKs raise, in the words of `shared.errors`. Total: nothing of theirs gets past this module.

The sources of the rules: learn.microsoft.com "Status and error codes", "Table service error codes" and "Blob service
error codes"; azure.core.exceptions; and azure.core's aiohttp transport, which reports every aiohttp ClientError as
ServiceRequestError ("no request was sent"), even where the connection broke while the answer was awaited.
"""

import json
from typing import Any, Literal

from shared.errors import (
    StorageAnswerLost,
    StorageConflict,
    StorageError,
    StorageRefused,
    StorageUnavailable,
    StorageUnusable,
)
from shared.frozen import frozen

Kind = Literal["repeatable", "once"]
"""Reads, and writes that end the same when done twice, are repeatable."""

_NOT_READY = frozenset({"TableBeingDeleted", "ContainerBeingDeleted", "AccountBeingCreated"})
"""409s that pass by themselves: no condition of ours failed."""

_ROLE = {"table": "Storage Table Data Contributor", "blob": "Storage Blob Data Contributor"}


class Missing(StorageConflict):
    """The row, the blob, or the table or container that would hold it is not there (404)."""


class UnreadableAnswer(Exception):
    """The service answered something else than it documents: what was asked for may have been done."""


class TransactionRefused(Exception):
    """One of the changes of a transaction was not possible, so none was made. Its attributes are those of the SDK's."""

    def __init__(self, status_code: int, error_code: str, message: str, index: int | None) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.error_code = error_code
        self.index = index


@frozen
class Failure:
    """`error` is what the caller gets in the end; `again` says that repeating the request is harmless and may help."""

    error: StorageError
    again: bool


def classify(error: BaseException, *, kind: Kind, what: str) -> Failure:
    """Translate. `what` names the request in the message, beginning with `table` or `blob`, e.g. `table lro: write`.

    An unknown failure of what must be done once is a lost answer: its caller looks before it writes again.
    """
    from azure.core import exceptions as azure  # noqa: PLC0415  # 80 ms, and only needed once something failed

    if isinstance(error, StorageError):
        return Failure(error, again=False)
    status = _status(error)
    if status is not None:
        return _from_status(error, status, kind, what)
    if isinstance(error, azure.ClientAuthenticationError):
        return Failure(StorageUnavailable(f"{what}: no token for the store: {_first_line(error)}"), again=False)
    if isinstance(error, azure.SerializationError | ValueError | TypeError) and not isinstance(
        error, azure.DeserializationError | json.JSONDecodeError | UnicodeDecodeError
    ):
        return Failure(StorageRefused(f"{what}: the SDK cannot send this: {_first_line(error)}"), again=False)
    if isinstance(error, azure.ServiceRequestError) and _never_sent(error):
        return Failure(StorageUnavailable(f"{what}: could not connect: {_first_line(error)}"), again=True)
    return _unknown(kind, f"{what}: no answer: {type(error).__name__} {_first_line(error)}")


def service_code(error: BaseException) -> str:
    """The service's own error code, e.g. `EntityAlreadyExists`; empty where the answer has none."""
    code = getattr(error, "error_code", None)
    if code:
        return str(getattr(code, "value", code))
    response: Any = getattr(error, "response", None)
    if response is None:
        return ""
    if header := response.headers.get("x-ms-error-code"):
        return str(header)
    try:
        return str(json.loads(response.text())["odata.error"]["code"])
    except Exception:  # any body that is not the service's JSON: there is no code then
        return ""


def _from_status(error: BaseException, status: int, kind: Kind, what: str) -> Failure:
    code = service_code(error)
    message = f"{what}: {status} {code}".rstrip()
    if status in {401, 403}:
        return Failure(StorageUnusable(f"{message}: {_permission_advice(what)}"), again=False)
    if status in {429, 503} or code in _NOT_READY:
        return Failure(StorageUnavailable(f"{message}: the store is busy"), again=True)
    if status == 404:
        return Failure(Missing(message, index=_failing_index(error)), again=False)
    if status in {409, 412}:
        return Failure(StorageConflict(message, index=_failing_index(error)), again=False)
    if status == 408 or status >= 500 or status < 400:
        return _unknown(kind, message)
    return Failure(StorageRefused(f"{message}: {_first_line(error)}"), again=False)


def _unknown(kind: Kind, message: str) -> Failure:
    """The request may have been done: repeat it where that is harmless, else tell the caller to look."""
    if kind == "once":
        return Failure(StorageAnswerLost(message), again=False)
    return Failure(StorageUnavailable(message), again=True)


def _status(error: BaseException) -> int | None:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


def _never_sent(error: BaseException) -> bool:
    """Whether the connection itself failed. Without a cause the SDK's own word stands."""
    import aiohttp  # noqa: PLC0415  # loaded by the SDK's transport already
    from azure.core.exceptions import ServiceRequestTimeoutError  # noqa: PLC0415

    cause = error.__cause__ or getattr(error, "inner_exception", None)
    if isinstance(error, ServiceRequestTimeoutError) or not isinstance(cause, aiohttp.ClientError):
        return True
    return isinstance(cause, aiohttp.ClientConnectorError | aiohttp.InvalidURL)


def _failing_index(error: BaseException) -> int | None:
    """Position in a transaction: the service's message begins with it, `1:The specified entity already exists.`"""
    from azure.data.tables import TableTransactionError  # noqa: PLC0415

    if isinstance(error, TransactionRefused):
        return error.index
    if not isinstance(error, TableTransactionError):
        return None
    head = str(error.message).partition(":")[0]
    return int(head) if head.isdecimal() else None


def _permission_advice(what: str) -> str:
    role = _ROLE["blob" if what.startswith("blob") else "table"]
    return f"check the key in the connection string, or give the app's identity the role {role!r}"


def _first_line(error: BaseException) -> str:
    """The SDK's message without the request's details that follow it."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
