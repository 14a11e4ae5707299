"""Operations in a store: one table of rows, one container for large payloads."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from hashlib import sha256
from io import BytesIO
from uuid import uuid4

from shared.errors import FenceLost, StorageConflict, StorageUnavailable
from shared.frozen import replace
from shared.model.files import attachment
from shared.model.ids import Locator
from shared.model.leases import Leases, by_nobody
from shared.model.lifecycle import Transition
from shared.model.operation import Operation, Payload
from shared.model.timing import Clock, Timing
from shared.operations import measures, rows
from shared.operations.due_rows import DueRows
from shared.operations.off_loop import off_loop
from shared.operations.recent import Recent
from shared.operations.remains import Remains, postponement, result_name
from shared.operations.rows import Look
from shared.operations.verdict_clock import VerdictClock
from shared.storage.contention import backoff
from shared.storage.pages import row_pages
from shared.storage.ports import BlobReader, Change, Container, Delete, Insert, Row, Storage, Table
from shared.storage.writes import write_once

INLINE_LIMIT = 30 * 1024
"""Bytes kept in the row; Azure Tables holds 32 Ki UTF-16 units a string, and a byte is at most one unit."""

_REMOVED = 90
"""Rows that one transaction removes: below its limit of 100."""

_RECENT = 256
"""Records, each with up to 30 KiB of result, that are kept as they were read for a monitor."""

_TRIES = 12
"""Conflicts in a row before a change gives up; each means that somebody else made progress."""


class OperationRecords:
    """Reads and changes records; every change is one storage request unless somebody else was faster."""

    def __init__(
        self,
        storage: Storage,
        *,
        clock: Clock,
        timing: Timing,
        held_here: Callable[[Operation], bool] = by_nobody,
        lists_all: bool = False,
    ) -> None:
        """`held_here` says whether an attempt of this process holds it; `lists_all`: new operations are in the lists
        over all owners, too."""
        self.is_held_here = held_here
        self._lists_all = lists_all
        self._clock = clock
        self._timing = timing
        self._exclusive_since = storage.exclusive_since
        self.verdict_clock = VerdictClock(clock, timing=timing, patience=timing.lease)
        """Tells what is overdue."""
        self._leases = (timedelta(0), self._leases_after(timedelta(0)))
        """By how far the clock was set back."""
        self._table: Table = storage.table("operations")
        self._payloads: Container = storage.container("operations")
        self._read: Recent[Locator, Operation] = Recent(_RECENT)

    @property
    def leases(self) -> Leases:
        """When an attempt holds an operation of this store."""
        # A clock that was set back would make all leases older than the process that grants them.
        set_back = self.verdict_clock.set_back
        if set_back != self._leases[0]:
            self._leases = (set_back, self._leases_after(set_back))
        return self._leases[1]

    def _leases_after(self, set_back: timedelta) -> Leases:
        since = self._exclusive_since and self._exclusive_since + set_back
        return Leases(length=self._timing.lease, exclusive_since=since, held_here=self.is_held_here)

    async def read(self, locator: Locator, *, for_monitor: bool = False) -> Operation | None:
        """The record, by one point read; `for_monitor` leaves its input behind.

        Who polls gets the same value again while the store says that nothing has changed.
        """
        columns = rows.MONITOR_COLUMNS if for_monitor else None
        row = await self._table.read(locator.partition, locator.record_key, columns=columns)
        if row is None or not for_monitor:
            return rows.from_row(row) if row else None
        known = self._read.get(locator)
        if known is None or known.etag != row.etag:
            known = rows.from_row(row)
            self._read.put(locator, known)
        return known

    async def insert(self, operation: Operation) -> Operation:
        """Store a new operation; raises StorageConflict where the id is taken.

        What told of its input that is a blob goes in the same transaction: from here on the record does. Where the
        answer got lost, it comes back as it is by now: housekeeping, or a poll, may have moved it on.
        """
        operation = replace(operation, listed_for_all=self._lists_all)
        insertions = rows.insertions(operation)
        if operation.input.blob is not None:
            insertions.append(Delete(self._unrecorded(operation).key))
        try:
            etags = await write_once(self._table, operation.locator.partition, insertions, sleep=self._clock.sleep)
        except StorageConflict:
            stored = await self.read(operation.locator)
            if stored is None or stored.run_id != operation.run_id:
                raise
            measures.count_start(operation)
            return stored
        measures.count_start(operation)
        return replace(operation, etag=etags[0] or "")

    async def change(
        self,
        operation: Operation,
        transition: Transition,
        *,
        announced: Remains | None = None,
        also: Sequence[Change] = (),
    ) -> Operation:
        """Apply `transition` to the record as stored, starting from the copy at hand.

        After a conflict the record is read again and the transition decides anew: it raises FenceLost or
        TransitionError when it no longer fits. A transition that returns its argument writes nothing. What told of a
        result (`announced`) goes in the same transaction: from here on the record does. `also` comes with it.
        """
        for tried in range(_TRIES):
            await backoff(tried, sleep=self._clock.sleep)
            changed = transition(operation)
            if changed is operation:
                return operation
            try:
                updates = rows.updates(operation, changed)
                if announced is not None:
                    updates.append(Delete(announced.key))
                updates += also
                etags = await write_once(self._table, operation.locator.partition, updates, sleep=self._clock.sleep)
            except StorageConflict:
                current = await self.read(operation.locator)
                if current is None or current.run_id != operation.run_id:
                    raise FenceLost(f"operation {operation.id} is gone") from None
                operation = current
            else:
                measures.count_change(operation, changed)
                return replace(changed, etag=etags[0] or "")
        raise StorageConflict(f"operation {operation.id} kept changing")

    async def remove(self, operation: Operation, *, has_hooks: bool = False) -> Remains | None:
        """Take a terminal operation out of sight; None if it was gone already.

        `operation` was read with its input. What it leaves is found among what has expired, until it is discarded;
        `has_hooks` has it keep what removal hooks are told.
        """
        remains = Remains.of(operation, self._clock.now(), has_hooks=has_hooks)
        for tried in range(_TRIES):
            await backoff(tried, sleep=self._clock.sleep)
            try:
                changes = rows.removal(operation, remains)
                await write_once(self._table, operation.locator.partition, changes, sleep=self._clock.sleep)
            except StorageConflict:
                current = await self.read(operation.locator)
                if current is None or current.run_id != operation.run_id:
                    return None
                operation = current
            else:
                return remains
        raise StorageConflict(f"operation {operation.id} kept changing")

    async def discard(self, remains: Remains) -> None:
        """Remove steps and payloads, then the row that tells of them; a reported result that the record names stays."""
        named = await self._named_result(remains.locator) if remains.result else None
        if remains.steps:
            await self._remove_rows(remains.locator.partition, f"j!{remains.locator}!{remains.run_id}!")
        for blob in remains.blobs:
            if blob != named:
                await self._payloads.delete(blob)
        while remains.all_blobs and (found := await self._payloads.list(f"{remains.run_id}/")):
            for blob in found:
                await self._payloads.delete(blob)
        with suppress(StorageConflict):  # somebody else was faster
            await self._table.write(remains.locator.partition, [Delete(remains.key)])

    async def _remove_rows(self, partition: str, prefix: str) -> None:
        """Remove all rows whose keys begin so, in bounded transactions."""
        lower, upper = prefix, f'{prefix[:-1]}"'
        async for found in row_pages(self._table, partition, lower=lower, upper=upper, columns=["w"], limit=_REMOVED):
            try:
                await self._table.write(partition, [Delete(row.key) for row in found])
            except StorageConflict:  # somebody else removes them as well
                for row in found:
                    with suppress(StorageConflict):
                        await self._table.write(partition, [Delete(row.key)])

    async def _named_result(self, locator: Locator) -> str | None:
        operation = await self.read(locator, for_monitor=True)
        body = operation.outcome.body if operation and operation.outcome else None
        return body.blob if body else None

    async def postpone(self, remains: Remains, due: datetime) -> None:
        """Have what is left be found again at that time, and not before."""
        with suppress(StorageConflict):  # somebody else was faster
            changes = postponement(remains, due)
            await write_once(self._table, remains.locator.partition, changes, sleep=self._clock.sleep)

    async def active(self, *, start: float = 0.0) -> AsyncIterator[tuple[Locator, datetime]]:
        """Every operation that is not terminal, with its creation time; see `DueRows` for `start`."""
        async for found in DueRows(self._table, "a!", 'a"', rows.read_active_row, start):
            yield found

    def due(self, now: datetime, *, start: float = 0.0) -> "DueRows[Look | Locator | Remains]":
        """Whoever is parked and has to be woken; every terminal operation whose time to stay is over; and what removed
        ones have left. Each time it is gone through it goes on from the first pages that it has read."""
        return DueRows(self._table, "t!", f"t!{rows.write_time(now)}", rows.read_due_row, start)

    async def with_input(self, operation: Operation, content: bytes) -> Operation:
        """A new operation with the JSON that it was started with; not yet recorded.

        Where that becomes a blob, a row tells of it first. So a start that is cut in two leaves nothing for ever: the
        row is found among what has expired once `Timing.unrecorded_payload` is over.
        """
        return replace(operation, input=await self.store_announced(self._unrecorded(operation), content))

    def announcement(self, operation: Operation) -> Remains:
        """What tells of a result that is reported for `operation`, under a name of its own.

        Two ends may race, and the one that loses must not overwrite what the other one names.
        """
        due = self._clock.now() + self._timing.unrecorded_payload
        return Remains.of_reported(operation, f"result-{uuid4().hex}", due)

    async def store_announced(self, announced: Remains, content: bytes) -> Payload:
        """Keep JSON inline, or as the one blob of `announced`, whose row is then written first."""
        content_type = "application/json"
        if (inline := _inline(content_type, content)) is not None:
            return inline
        insert = Insert(announced.key, announced.columns)
        await write_once(self._table, announced.locator.partition, [insert], sleep=self._clock.sleep)
        return await self._store_blob(announced.blobs[0], content_type, content)

    async def drop_input(self, operation: Operation) -> None:
        """Remove the input of an operation that is never recorded."""
        if operation.input.blob is not None:
            await self.discard(self._unrecorded(operation))

    def _unrecorded(self, operation: Operation) -> Remains:
        return Remains.of_unrecorded(operation, patience=self._timing.unrecorded_payload)

    async def store_payload(self, run_id: str, name: str, content_type: str, content: bytes) -> Payload:
        """Keep `content` inline, or as the blob `{run}/{name}` above 30 KiB."""
        return await self._store(f"{run_id}/{name}", content_type, content)

    async def _store(self, blob: str, content_type: str, content: bytes) -> Payload:
        return _inline(content_type, content) or await self._store_blob(blob, content_type, content)

    async def _store_blob(self, blob: str, content_type: str, content: bytes) -> Payload:
        digest = await off_loop(len(content), _digest, content)
        await self._payloads.put(blob, content, content_type=content_type)
        return Payload(content_type, len(content), digest, blob=blob)

    async def read_row(self, locator: Locator, key: str) -> Row | None:
        """A row of the operation's partition, by one point read."""
        return await self._table.read(locator.partition, key)

    def inline(self, content: bytes, digest: str) -> Payload | None:
        """JSON as a row holds it; None where it becomes a blob."""
        return _inline("application/json", content, digest)

    async def store_checkpoint(self, blob: str, content: bytes, digest: str) -> Payload:
        """Keep JSON as the blob of this name, which is below the operation's `run_id`."""
        await self._payloads.put(blob, content, content_type="application/json")
        return Payload("application/json", len(content), digest, blob=blob)

    async def store_file(self, blob: str, content: bytes | AsyncIterator[bytes], *, content_type: str) -> None:
        """Keep a file as the blob of this name, which is below the operation's `run_id`."""
        await self._payloads.put(blob, content, content_type=content_type)

    async def download_url(self, file: Payload, *, lifetime: timedelta) -> str:
        """Where a file is read until `lifetime` is over; its bearer needs nothing else."""
        assert file.blob is not None, "a file is a blob"
        seconds = int(lifetime.total_seconds())
        return await self._payloads.download_url(
            file.blob, lifetime_seconds=seconds, disposition=attachment(file.file_name)
        )

    async def blobs(self, prefix: str) -> Sequence[str]:
        """The names of its blobs that begin so, the first thousand."""
        return await self._payloads.list(prefix)

    async def drop_blob(self, name: str) -> None:
        await self._payloads.delete(name)

    async def store_result(self, operation: Operation, content_type: str, content: bytes) -> Payload:
        """Keep an attempt's result; every claim has a name of its own for it."""
        return await self._store(result_name(operation.run_id, operation.fence), content_type, content)

    async def drop_result(self, operation: Operation, *, fence: int) -> None:
        """Remove the result that the claim with this fence may have stored without getting to say so."""
        await self._payloads.delete(result_name(operation.run_id, fence))

    async def load_payload(self, payload: Payload, before: bytes = b"", after: bytes = b"") -> bytes | None:
        """The content, between what is given; None where its blob is gone.

        It is in memory once: what it stands between in the end is there before it is read.
        """
        if payload.blob is None:
            return b"".join((before, (payload.text or "").encode(), after))
        async with self._in_time(), self._payloads.open(payload.blob) as reader:
            if reader is None:
                return None
            return await joined(reader, before, after)

    async def drop_payload(self, payload: Payload) -> None:
        """Remove the blob of a record that was never written."""
        if payload.blob:
            await self._payloads.delete(payload.blob)

    @asynccontextmanager
    async def _in_time(self) -> AsyncGenerator[None]:
        """A caller waits for what is inside: it has less time than the transfer of a large file."""
        seconds = self._timing.payload_within
        try:
            async with self._clock.timeout(seconds):
                yield
        except TimeoutError:
            raise StorageUnavailable(f"a payload was not reached within {seconds:g} s") from None


async def joined(reader: BlobReader, before: bytes = b"", after: bytes = b"") -> bytes:
    """The bytes of a blob, between what is given."""
    whole = BytesIO()
    if size := len(before) + reader.info.size + len(after):
        # Room for all of it: what grows is copied as it does.
        whole.seek(size - 1)
        whole.write(b"\0")
        whole.seek(0)
    whole.write(before)
    async for chunk in reader.chunks():
        whole.write(chunk)
        del chunk  # Else two are held while the next one is read.
    whole.write(after)
    return whole.getvalue()


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def _inline(content_type: str, content: bytes, digest: str = "") -> Payload | None:
    """The content as a row holds it; None where it becomes a blob."""
    if len(content) > INLINE_LIMIT:
        return None
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return Payload(content_type, len(content), digest or _digest(content), text=text)
