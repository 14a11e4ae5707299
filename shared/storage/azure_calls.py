"""One way to call an Azure SDK: bounded in time, repeated where that is harmless, failing in our own words only.

The SDKs' own retries are off (`CLIENT_OPTIONS`): they repeat a write after a 5xx or a broken connection without
knowing whether the first one was done, and their defaults may wait for minutes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, TypeVar

from shared.errors import StorageAnswerLost, StorageConflict, StorageUnavailable
from shared.frozen import frozen
from shared.storage.azure_errors import Failure, Kind, classify, service_code

T = TypeVar("T")

CLIENT_OPTIONS: dict[str, Any] = {"retry_total": 0, "connection_timeout": 2, "read_timeout": 4}
"""Seconds; for every client of azure.data.tables and azure.storage.blob."""


@frozen(kw_only=True)
class CallTimes:
    """Seconds."""

    control: float = 7.5
    """The longest a control call takes, whatever happens."""
    transfer: float = 30.0
    """The longest the transfer of one chunk (4 MiB) takes."""
    pauses: tuple[float, ...] = (0.1, 0.4, 1.2)
    """Before the second request and those that follow it."""


CALL_TIMES = CallTimes()

_CREATED_BY_WRITES = frozenset({"TableNotFound", "ContainerNotFound"})


async def call(
    request: Callable[[], Awaitable[T]],
    *,
    kind: Kind,
    what: str,
    create: Callable[[], Awaitable[object]] | None = None,
    times: CallTimes = CALL_TIMES,
    transfer: bool = False,
) -> T:
    """Run `request`, at most four times, within the time of a control call, or of a transfer; raises only
    StorageErrors and CancelledError.

    `create` makes the table or container the request found missing; the request is then run again. Without it, and for
    anything else that is missing, a 404 is `azure_errors.Missing`, a StorageConflict.
    """
    seconds = times.transfer if transfer else times.control
    try:
        async with asyncio.timeout(seconds):
            last_start = monotonic() + seconds / 2
            return await _repeat(request, kind, what, create, pauses=list(times.pauses), last_start=last_start)
    except TimeoutError as error:
        message = f"{what}: no answer within {seconds:g} s"
        raise (StorageAnswerLost(message) if kind == "once" else StorageUnavailable(message)) from error


def condition(etag: str | None) -> dict[str, Any]:
    """Of an SDK's call; without an etag a write of a row asks for `If-Match: *`: it must exist."""
    from azure.core import MatchConditions  # noqa: PLC0415  # loaded with the client by now

    return {"etag": etag, "match_condition": MatchConditions.IfNotModified} if etag is not None else {}


async def _repeat(
    request: Callable[[], Awaitable[T]],
    kind: Kind,
    what: str,
    create: Callable[[], Awaitable[object]] | None,
    *,
    pauses: list[float],
    last_start: float,
) -> T:
    while True:
        try:
            return await request()
        except Exception as error:
            if create is not None and service_code(error) in _CREATED_BY_WRITES:
                failure = await _create(create, what)
                if failure is None:
                    create = None
                    continue
            else:
                failure = classify(error, kind=kind, what=what)
                failure.error.__cause__ = error
        if not failure.again or not pauses or monotonic() > last_start:
            raise failure.error
        await asyncio.sleep(pauses.pop(0))


async def _create(create: Callable[[], Awaitable[object]], what: str) -> Failure | None:
    """Make what is missing; somebody else making it at the same moment is as good."""
    try:
        await create()
    except Exception as error:
        failure = classify(error, kind="repeatable", what=f"{what}: create")
        failure.error.__cause__ = error
        return None if isinstance(failure.error, StorageConflict) else failure
    return None
