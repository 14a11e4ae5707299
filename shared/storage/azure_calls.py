"""One way to call an Azure SDK: bounded in time, repeated where that is harmless, failing in our own words only.

The SDKs' own retries are off (`CLIENT_OPTIONS`): they repeat a write after a 5xx or a broken connection without
knowing whether the first one was done, and their defaults may wait for minutes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, TypeVar

from shared.errors import StorageAnswerLost, StorageConflict, StorageUnavailable
from shared.storage.azure_errors import Kind, classify, service_code

T = TypeVar("T")

CLIENT_OPTIONS: dict[str, Any] = {"retry_total": 0, "connection_timeout": 2, "read_timeout": 4}
"""Seconds; for every client of azure.data.tables and azure.storage.blob."""

CALL_SECONDS = 7.5
"""The longest a control call takes, whatever happens."""

TRANSFER_SECONDS = 30.0
"""The longest the transfer of one chunk (4 MiB) takes."""

_PAUSES = (0.1, 0.4, 1.2)
_MISSING = frozenset({"TableNotFound", "ContainerNotFound"})


async def call(
    request: Callable[[], Awaitable[T]],
    *,
    kind: Kind,
    what: str,
    create: Callable[[], Awaitable[object]] | None = None,
    seconds: float = CALL_SECONDS,
) -> T:
    """Run `request`, at most four times, within `seconds`; raises only StorageErrors and CancelledError.

    `create` makes the table or container the request found missing; the request is then run again. Without it, and for
    anything else that is missing, a 404 is `azure_errors.Missing`, a StorageConflict.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _repeat(request, kind, what, create, monotonic() + seconds / 2)
    except TimeoutError as error:
        message = f"{what}: no answer within {seconds:g} s"
        raise (StorageAnswerLost(message) if kind == "once" else StorageUnavailable(message)) from error


async def _repeat(
    request: Callable[[], Awaitable[T]],
    kind: Kind,
    what: str,
    create: Callable[[], Awaitable[object]] | None,
    last_start: float,
) -> T:
    pauses = list(_PAUSES)
    while True:
        try:
            return await request()
        except Exception as error:
            if create is not None and service_code(error) in _MISSING:
                await _create(create, what)
                create = None
                continue
            failure = classify(error, kind=kind, what=what)
            failure.error.__cause__ = error
        if not failure.again or not pauses or monotonic() > last_start:
            raise failure.error
        await asyncio.sleep(pauses.pop(0))


async def _create(create: Callable[[], Awaitable[object]], what: str) -> None:
    """Make what is missing; somebody else making it at the same moment is as good."""
    try:
        await create()
    except Exception as error:
        failure = classify(error, kind="repeatable", what=f"{what}: create")
        if not isinstance(failure.error, StorageConflict):
            raise failure.error from error
