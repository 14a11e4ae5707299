"""One write operation on a resource at a time, without a transaction over two partitions.

A lock is a row that names its holder, an operation. Nobody releases it: whoever meets it reads the holder's record,
and a holder that has ended, or was never recorded, holds nothing. So a start costs one more write, and an end none.
Rows that hold nothing are swept (shared/operations/lock_sweep.py).
"""

import logging
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256

from shared.errors import ErrorDetail, RequestError, StorageAnswerLost, StorageConflict, StorageError, StorageRefused
from shared.model.ids import Locator
from shared.model.leases import Leases
from shared.model.operation import Operation
from shared.model.times import read_time, write_time
from shared.model.timing import Clock, Timing
from shared.operations.records import OperationRecords
from shared.storage.ports import Change, Delete, Insert, Page, Replace, Row, Scalar, Storage
from shared.storage.writes import write_once

_TRIES = 4

_log = logging.getLogger(__name__)


class ResourceLocked(RequestError):
    """409 for a write of a resource that an operation holds; it names none until a profile has said whose it is."""

    def __init__(self, resource: str, holder: Operation | None = None) -> None:
        """`holder` is the record of the operation; None where that is not written yet."""
        message = "Another operation on this resource has not ended yet; wait for it, and try again."
        # Whether there will be a record is known in a moment.
        seconds = holder.retry_after if holder else 1
        super().__init__(
            409, "OperationInProgress", message, target=resource, headers={"Retry-After": str(max(1, seconds))}
        )
        self.resource = resource
        self.holder = holder

    def naming(self, monitor: str) -> "ResourceLocked":
        """The same for who may see the holder, whose monitor's URL is `monitor`."""
        assert self.holder is not None, "what is not recorded has no monitor"
        named = ResourceLocked(self.resource, self.holder)
        named.message = (
            f"Operation {self.holder.id} on this resource has not ended yet; wait for it, or cancel it: {monitor}"
        )
        named.details = (ErrorDetail(self.code, monitor, self.holder.id),)
        return named


class Locks:
    """Locks by resource path, compared without case."""

    def __init__(self, storage: Storage, records: OperationRecords, *, clock: Clock, timing: Timing) -> None:
        self._table = storage.table("locks")
        self._records = records
        self._clock = clock
        self._unrecorded = timing.unrecorded_lock
        self._void_kept = timing.void_lock_kept

    async def check(self, resource: str, holder: Locator) -> None:
        """Raise RequestError 409 OperationInProgress while another operation than `holder` holds `resource`."""
        row = await self._read(resource)
        if row is not None:
            await self._check_row(row, resource, but_by=holder)

    async def take(self, resource: str, holder: Locator, run_id: str) -> None:
        """Lock `resource` for the operation that is, or is about to be, recorded as `holder` with this `run_id`.

        Raises RequestError 409 OperationInProgress while another operation that has not ended holds it. A fresh lock
        under the same id will do: of equal starts at one time any may be recorded, and the lock is that one's.
        """
        key = _key(resource)
        values: dict[str, Scalar] = {"resource": resource, "holder": str(holder), "run_id": run_id}
        for _ in range(_TRIES):
            row = await self._read(resource)
            if row is not None and self._is_ours(row, holder, run_id):
                return
            if row is not None:
                await self._check_row(row, resource, but_by=holder)
            values["since"] = write_time(self._clock.now())
            change: Change = Insert(key, values) if row is None else Replace(key, values, if_match=row.etag)
            try:
                await write_once(self._table, _partition(key), [change], sleep=self._clock.sleep)
            except StorageConflict:
                continue
            return
        raise ResourceLocked(resource)

    async def release(self, resource: str, run_id: str) -> None:
        """Give up a lock whose operation will never be recorded, so that nobody waits for it."""
        row = await self._read(resource)
        if row is not None and row.values["run_id"] == run_id:
            with suppress(StorageConflict, StorageAnswerLost):
                await self._table.write(row.partition, [Delete(row.key, if_match=row.etag)])

    async def page(self, partition: str, *, limit: int, continuation: str | None) -> Page:
        """Rows of one of `PARTITIONS`, in the order of their keys."""
        return await self._table.page(partition, lower="0", upper="g", limit=limit, continuation=continuation)

    async def remove_void(self, row: Row) -> bool:
        """Remove a row that has held nothing for long; False where it may hold, or somebody has just taken it.

        A row that cannot be read, or whose holder cannot, is passed over. Raises StorageError.
        """
        try:
            return await self._remove_void(row)
        except Exception as error:
            if isinstance(error, StorageError) and not isinstance(error, StorageRefused):
                raise
            line = "A row of the table of locks, or its holder, cannot be read and is passed over: %r (%s)"
            _log.error(line, row.key, error, extra={"event": "row_unreadable"})
            return False

    async def _remove_void(self, row: Row) -> bool:
        old = self._clock.now() >= read_time(str(row.values["since"])) + self._void_kept
        if not old or await self._refusal(row, str(row.values["resource"]), but_by=None) is not None:
            return False
        with suppress(StorageConflict, StorageAnswerLost):
            await self._table.write(row.partition, [Delete(row.key, if_match=row.etag)])
            return True
        return False

    async def _read(self, resource: str) -> Row | None:
        key = _key(resource)
        return await self._table.read(_partition(key), key)

    def _is_ours(self, row: Row, holder: Locator, run_id: str) -> bool:
        if row.values["run_id"] == run_id:
            return True
        # Long enough that this start is recorded before the lock no longer counts without a record.
        fresh = self._records.verdict_clock.now() < read_time(str(row.values["since"])) + self._unrecorded / 2
        return fresh and row.values["holder"] == str(holder)

    async def _check_row(self, row: Row, resource: str, *, but_by: Locator) -> None:
        if (refusal := await self._refusal(row, resource, but_by=but_by)) is not None:
            raise refusal

    async def _refusal(self, row: Row, resource: str, *, but_by: Locator | None) -> ResourceLocked | None:
        """What is raised while another operation than `but_by` holds the lock in this row.

        The id alone does not say so: an operation may have been deleted and its id used again. It is the same one if
        its `run_id` is, or if it works on this resource: then an equal start has lost the race and left the lock in
        its name.
        """
        values = row.values
        holder = Locator.parse(str(values["holder"]))
        if holder == but_by:
            return None
        operation = await self._records.read(holder, for_monitor=True)
        if operation is not None and operation.run_id != values["run_id"]:
            operation = operation if _key(operation.resource) == _key(str(values["resource"])) else None
        since = read_time(str(values["since"]))
        held = is_held(
            operation,
            since,
            self._records.verdict_clock.now(),
            unrecorded=self._unrecorded,
            leases=self._records.leases,
        )
        return ResourceLocked(resource, operation) if held else None


def is_held(holder: Operation | None, since: datetime, now: datetime, *, unrecorded: timedelta, leases: Leases) -> bool:
    """Whether a lock taken at `since` still holds: its holder has not ended, or its record may yet appear.

    `holder`: the record of the operation that the lock names; None where there is none. `unrecorded`: how long a lock
    counts without one (`Timing.unrecorded_lock`), if the process that took it may still be there.
    """
    if holder is None:
        return now < since + unrecorded and not leases.predates(since)
    return not holder.status.is_terminal


def _partition(key: str) -> str:
    """One of `PARTITIONS`: few enough that a sweep comes round to each of them."""
    return key[0]


def _key(resource: str) -> str:
    return sha256(resource.lower().encode()).hexdigest()
