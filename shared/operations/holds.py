"""One write operation on a resource at a time, without a transaction over two partitions.

A hold is a row that names its holder, an operation. Nobody releases it: whoever meets it reads the holder's record,
and a holder that has ended, or was never recorded, holds nothing. So a start costs one more write, and an end none.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256

from shared.errors import RequestError, StorageAnswerLost, StorageConflict
from shared.operations.ids import Locator
from shared.operations.records import OperationRecords
from shared.operations.rows import read_time, write_time
from shared.storage.ports import Change, Delete, Insert, Replace, Row, Scalar, Storage
from shared.storage.write_once import write_once

UNRECORDED = timedelta(seconds=60)
"""How long a hold counts whose operation has no record: its start may be between the two writes."""

_TRIES = 4


class Holds:
    """Holds by resource path, compared without case."""

    def __init__(self, storage: Storage, records: OperationRecords, *, clock: Callable[[], datetime]) -> None:
        self._table = storage.table("holds")
        self._records = records
        self._clock = clock

    async def check(self, resource: str, holder: Locator) -> None:
        """Raise RequestError 409 OperationInProgress while another operation than `holder` holds `resource`."""
        row = await self._read(resource)
        if row is not None and await self._is_held(row, but_by=holder):
            raise in_progress(resource)

    async def take(self, resource: str, holder: Locator, run: str) -> None:
        """Hold `resource` for the operation that is, or is about to be, recorded as `holder` with this `run`.

        Raises RequestError 409 OperationInProgress while another operation that has not ended holds it. A fresh hold
        under the same id will do: of equal starts at one time any may be recorded, and the hold is that one's.
        """
        key = _key(resource)
        values: dict[str, Scalar] = {"resource": resource, "holder": str(holder), "run": run}
        for _ in range(_TRIES):
            row = await self._read(resource)
            if row is not None and self._is_ours(row, holder, run):
                return
            if row is not None and await self._is_held(row, but_by=holder):
                raise in_progress(resource)
            values["since"] = write_time(self._clock())
            change: Change = Insert(key, values) if row is None else Replace(key, values, if_match=row.etag)
            try:
                await write_once(self._table, key[:2], [change])
            except StorageConflict:
                continue
            return
        raise in_progress(resource)

    async def release(self, resource: str, run: str) -> None:
        """Give up a hold whose operation will never be recorded, so that nobody waits for it."""
        row = await self._read(resource)
        if row is not None and row.values["run"] == run:
            with suppress(StorageConflict, StorageAnswerLost):
                await self._table.write(row.partition, [Delete(row.key, if_match=row.etag)])

    async def _read(self, resource: str) -> Row | None:
        key = _key(resource)
        return await self._table.read(key[:2], key)

    def _is_ours(self, row: Row, holder: Locator, run: str) -> bool:
        if row.values["run"] == run:
            return True
        # Long enough that this start is recorded before the hold no longer counts without a record.
        fresh = self._clock() < read_time(str(row.values["since"])) + UNRECORDED / 2
        return fresh and row.values["holder"] == str(holder)

    async def _is_held(self, row: Row, *, but_by: Locator) -> bool:
        holder = Locator.parse(str(row.values["holder"]))
        return holder != but_by and await holds(
            self._records,
            holder,
            run=str(row.values["run"]),
            since=read_time(str(row.values["since"])),
            now=self._clock(),
            resource=str(row.values["resource"]),
        )


async def holds(
    records: OperationRecords, holder: Locator, *, run: str, since: datetime, now: datetime, resource: str = ""
) -> bool:
    """Whether the operation named in a hold still holds: it has not ended, or its record may yet appear.

    The id alone does not say so: an operation may have been deleted and its id used again. It is the same one if its
    run is, or if it works on this `resource`: then an equal start has lost the race and left the hold in its name.
    """
    operation = await records.read(holder, for_monitor=True)
    same = operation is not None and (operation.run == run or (resource and _key(operation.resource) == _key(resource)))
    if operation is None or not same:
        return now < since + UNRECORDED
    return not operation.status.is_terminal


def in_progress(resource: str) -> RequestError:
    message = "Another operation on this resource has not ended yet; wait for it, or cancel it."
    return RequestError(409, "OperationInProgress", message, target=resource)


def _key(resource: str) -> str:
    return sha256(resource.lower().encode()).hexdigest()
