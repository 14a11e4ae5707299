"""Everything the Azure SDKs raise ends as an error of ours."""

import inspect
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from azure.core import exceptions as azure

from shared.errors import (
    StorageAnswerLost,
    StorageConflict,
    StorageError,
    StorageRefused,
    StorageUnavailable,
    StorageUnusable,
)
from shared.storage.azure_calls import CallTimes, call
from shared.storage.azure_errors import Missing, classify, service_code


def answered(status: int, code: str = "", kind: type[azure.HttpResponseError] = azure.HttpResponseError) -> Exception:
    """An error answer of the table service."""
    body = json.dumps({"odata.error": {"code": code, "message": {"value": "as the service says"}}}) if code else ""
    response: Any = SimpleNamespace(status_code=status, reason="", headers={}, text=lambda *_: body)
    return kind(message="m", response=response)


def caused(cause: Exception) -> Exception:
    """As azure.core's transport reports an aiohttp error."""
    error = azure.ServiceRequestError(cause, error=cause)
    error.__cause__ = cause
    return error


def not_connected() -> Exception:
    key: Any = SimpleNamespace(host="h", port=1, ssl=None)
    return caused(aiohttp.ClientConnectorError(key, OSError(111, "refused")))


TABLE: list[tuple[Any, type[StorageError], type[StorageError], bool]] = [
    # error, what a repeatable call ends as, what a write ends as, whether the write is sent again
    (lambda: answered(400, "InvalidInput"), StorageRefused, StorageRefused, False),
    (lambda: answered(401), StorageUnusable, StorageUnusable, False),
    (lambda: answered(403, "AuthorizationFailure"), StorageUnusable, StorageUnusable, False),
    (lambda: answered(404, "ResourceNotFound"), Missing, Missing, False),
    (lambda: answered(405), StorageRefused, StorageRefused, False),
    (lambda: answered(408), StorageUnavailable, StorageAnswerLost, False),
    (lambda: answered(409, "EntityAlreadyExists"), StorageConflict, StorageConflict, False),
    (lambda: answered(409, "TableBeingDeleted"), StorageUnavailable, StorageUnavailable, True),
    (lambda: answered(412, "UpdateConditionNotSatisfied"), StorageConflict, StorageConflict, False),
    (lambda: answered(413), StorageRefused, StorageRefused, False),
    (lambda: answered(429), StorageUnavailable, StorageUnavailable, True),
    (lambda: answered(500, "InternalError"), StorageUnavailable, StorageAnswerLost, False),
    (lambda: answered(502), StorageUnavailable, StorageAnswerLost, False),
    (lambda: answered(503, "ServerBusy"), StorageUnavailable, StorageUnavailable, True),
    (lambda: answered(504), StorageUnavailable, StorageAnswerLost, False),
    (lambda: answered(302), StorageUnavailable, StorageAnswerLost, False),
    (not_connected, StorageUnavailable, StorageUnavailable, True),
    (lambda: azure.ServiceRequestTimeoutError("connecting"), StorageUnavailable, StorageUnavailable, True),
    (lambda: azure.ServiceRequestError("never sent"), StorageUnavailable, StorageUnavailable, True),
    (lambda: caused(aiohttp.ServerDisconnectedError()), StorageUnavailable, StorageAnswerLost, False),
    (lambda: caused(aiohttp.ClientOSError(104, "reset")), StorageUnavailable, StorageAnswerLost, False),
    (lambda: caused(aiohttp.ClientPayloadError("short")), StorageUnavailable, StorageAnswerLost, False),
    (lambda: azure.ServiceResponseError("broke"), StorageUnavailable, StorageAnswerLost, False),
    (lambda: azure.ServiceResponseTimeoutError("late"), StorageUnavailable, StorageAnswerLost, False),
    (lambda: azure.ClientAuthenticationError("no identity"), StorageUnavailable, StorageUnavailable, False),
    (lambda: azure.SerializationError("cannot"), StorageRefused, StorageRefused, False),
    (lambda: ValueError("cannot"), StorageRefused, StorageRefused, False),
    (lambda: azure.DeserializationError("garbage"), StorageUnavailable, StorageAnswerLost, False),
    (lambda: azure.AzureError("whatever"), StorageUnavailable, StorageAnswerLost, False),
    (TimeoutError, StorageUnavailable, StorageAnswerLost, False),
    (lambda: aiohttp.ClientPayloadError("short"), StorageUnavailable, StorageAnswerLost, False),
    (ConnectionResetError, StorageUnavailable, StorageAnswerLost, False),
    (lambda: KeyError("etag"), StorageUnavailable, StorageAnswerLost, False),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: repr(row[0]())[:60])
def test_translation(row: tuple[Any, type[StorageError], type[StorageError], bool]) -> None:
    """Each failure has its meaning, for what may be repeated and for what must be done once."""
    make, repeatable, once, again = row
    assert type(classify(make(), kind="repeatable", what="table t: read").error) is repeatable
    failure = classify(make(), kind="once", what="table t: write")
    assert (type(failure.error), failure.again) == (once, again)
    assert str(failure.error).startswith("table t: write")


@pytest.mark.parametrize("name", [name for name, kind in inspect.getmembers(azure, inspect.isclass)])
def test_total(name: str) -> None:
    """Every exception of azure.core is translated, those of later versions included."""
    kind = getattr(azure, name)
    if not issubclass(kind, azure.AzureError):
        return
    error = kind.__new__(kind)
    Exception.__init__(error, "made without its arguments")
    error._error_format = None  # what ODataV4Error's text looks at
    for status in (None, *range(200, 600)):
        error.status_code = status
        failure = classify(error, kind="once", what="table t: write")
        assert isinstance(failure.error, StorageError)
        # What may have been done is never sent again, and never said not to have been done.
        if failure.again:
            assert isinstance(failure.error, StorageUnavailable)
        if status is not None and status >= 500 and status != 503:
            assert isinstance(failure.error, StorageAnswerLost)


@pytest.mark.parametrize(("what", "role"), [("table t: read", "Table"), ("blob container c: put", "Blob")])
def test_forbidden_names_the_role(what: str, role: str) -> None:
    """A refused caller reads which role or key to check."""
    message = str(classify(answered(403, "AuthorizationPermissionMismatch"), kind="once", what=what).error)
    assert f"Storage {role} Data Contributor" in message
    assert "AuthorizationPermissionMismatch" in message
    assert "connection string" in message


def test_service_code() -> None:
    """The service's code is found in the SDK's error, the header or the body, and is empty for any other answer."""
    assert service_code(answered(404, "TableNotFound")) == "TableNotFound"
    assert service_code(answered(404)) == ""
    assert service_code(OSError()) == ""
    error: Any = answered(409)
    error.response.headers = {"x-ms-error-code": "BlobAlreadyExists"}
    assert service_code(error) == "BlobAlreadyExists"
    error.error_code = SimpleNamespace(value="ConditionNotMet")
    assert service_code(error) == "ConditionNotMet"


async def test_calls_are_bounded() -> None:
    """A request is sent at most four times, and only where that is harmless."""
    times = CallTimes(pauses=(0.0, 0.0, 0.0))
    sent: list[Exception] = []

    async def failing(error: Exception) -> None:
        sent.append(error)
        raise error

    for make, _, _, again in TABLE:
        sent.clear()
        with pytest.raises(StorageError):
            await call(lambda make=make: failing(make()), kind="once", what="table t: write", times=times)
        assert len(sent) == (4 if again else 1)


async def test_creates_what_is_missing() -> None:
    """A missing table is made once, also where somebody else makes it at the same moment; then the request is run."""
    calls: list[str] = []

    async def request() -> str:
        calls.append("request")
        if "create" not in calls:
            raise answered(404, "TableNotFound")
        return "done"

    async def create() -> None:
        calls.append("create")
        raise answered(409, "TableAlreadyExists")

    assert await call(request, kind="once", what="table t: write", create=create) == "done"
    assert calls == ["request", "create", "request"]


@pytest.mark.parametrize(
    "fault",
    [
        lambda: answered(429),
        lambda: answered(500, "InternalError"),
        lambda: answered(503, "ServerBusy"),
        lambda: answered(409, "TableBeingDeleted"),
        not_connected,
        lambda: caused(aiohttp.ServerDisconnectedError()),
    ],
)
async def test_making_what_is_missing_is_tried_again(fault: Callable[[], Exception]) -> None:
    """A table that cannot be made at first is made by the next try, of four; what made it impossible is told then."""
    times = CallTimes(pauses=(0.0, 0.0, 0.0))
    faults = [fault()]
    made: list[str] = []

    async def request() -> str:
        if not made:
            raise answered(404, "TableNotFound")
        return "done"

    async def create() -> None:
        if faults:
            raise faults.pop()
        made.append("table")

    assert await call(request, kind="once", what="table t: write", create=create, times=times) == "done"
    made.clear()
    faults += [fault() for _ in range(4)]
    with pytest.raises(StorageUnavailable, match="table t: write: create"):
        await call(request, kind="once", what="table t: write", create=create, times=times)
    assert not faults


async def test_time_is_bounded() -> None:
    """What takes too long is given up: a write may have been done."""
    import asyncio

    for kind, expected in (("repeatable", StorageUnavailable), ("once", StorageAnswerLost)):
        with pytest.raises(expected):
            await call(lambda: asyncio.sleep(5), kind=kind, what="table t: x", times=CallTimes(control=0.05))  # type: ignore[arg-type]


async def test_cancellation_passes() -> None:
    """A cancelled caller is cancelled, not told of an error of the store."""
    import asyncio

    task = asyncio.create_task(call(lambda: asyncio.sleep(5), kind="once", what="table t: x"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
