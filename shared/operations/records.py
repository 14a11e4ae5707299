"""Operations in a store: one table of rows, one container for large payloads."""

import asyncio
import heapq
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from shared.errors import FenceLost, StorageAnswerLost, StorageConflict, StorageUnavailable
from shared.operations import rows
from shared.operations.ids import PARTITIONS, Locator
from shared.operations.lifecycle import Transition
from shared.operations.model import Operation, Payload, Status
from shared.operations.rows import ListRow
from shared.storage.contention import give_way
from shared.storage.ports import Container, Row, Storage, Table
from shared.storage.write_once import write_once

INLINE_LIMIT = 30 * 1024
"""Bytes kept in the row; Azure Tables holds 32 Ki UTF-16 units a string, and a byte is at most one unit."""

_TRIES = 12
"""Conflicts in a row before a change gives up; each means that somebody else made progress."""

BLOB_WITHIN = 5.0
"""Seconds for reading or removing an operation's payloads: callers are promised an answer within ten."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ListPage:
    """`position` is where the next page starts; None when the list ends here."""

    rows: tuple[ListRow, ...]
    position: str | None


class OperationRecords:
    """Reads and changes records; every change is one storage request unless somebody else was faster."""

    def __init__(self, storage: Storage) -> None:
        self._table: Table = storage.table("operations")
        self._payloads: Container = storage.container("operations")

    async def read(self, locator: Locator, *, for_monitor: bool = False) -> Operation | None:
        """The record, by one point read; `for_monitor` leaves its input behind."""
        columns = rows.MONITOR_COLUMNS if for_monitor else None
        row = await self._table.read(locator.partition, locator.record_key, columns=columns)
        return rows.from_row(row) if row else None

    async def insert(self, operation: Operation) -> Operation:
        """Store a new operation; raises StorageConflict where the id is taken."""
        etags = await write_once(self._table, operation.locator.partition, rows.insertions(operation))
        return replace(operation, etag=etags[0] or "")

    async def change(self, operation: Operation, transition: Transition) -> Operation:
        """Apply `transition` to the record as stored, starting from the copy at hand.

        After a conflict the record is read again and the transition decides anew: it raises FenceLost or
        TransitionError when it no longer fits. A transition that returns its argument writes nothing.
        """
        for tried in range(_TRIES):
            await give_way(tried)
            changed = transition(operation)
            if changed is operation:
                return operation
            try:
                updates = rows.updates(operation, changed)
                etags = await write_once(self._table, operation.locator.partition, updates)
            except StorageConflict:
                current = await self.read(operation.locator)
                if current is None or current.run != operation.run:
                    raise FenceLost(f"operation {operation.id} is gone") from None
                operation = current
            else:
                return replace(changed, etag=etags[0] or "")
        raise StorageConflict(f"operation {operation.id} kept changing")

    async def purge(self, operation: Operation) -> bool:
        """Remove a terminal operation, payloads first so that none is left behind; False if it was gone already."""
        outcome_body = operation.outcome.body if operation.outcome else None
        async with _in_time():
            for payload in (operation.input, outcome_body):
                if payload and payload.blob:
                    await self._payloads.delete(payload.blob)
        if operation.status is not Status.SUCCEEDED and operation.fence:
            await self.drop_result(operation, fence=operation.fence)
        try:
            await self._table.write(operation.locator.partition, rows.deletions(operation))
        except StorageConflict:
            return False
        except StorageAnswerLost:
            stored = await self.read(operation.locator, for_monitor=True)
            if stored is not None and stored.run == operation.run:
                raise
        return True

    async def page(
        self, owner: str, *, position: str | None, limit: int, matches: Callable[[ListRow], bool], budget: int = 1000
    ) -> ListPage:
        """The owner's operations, newest first, merged from the partitions' ordered ranges.

        At most about `budget` rows are looked at, so a filter that matches little answers short pages.
        """
        owner_hash = Locator.of(owner, "x").owner_hash
        streams = [_Range(self._table, p, owner_hash, position, limit=max(limit // 4, 8)) for p in PARTITIONS]
        await asyncio.gather(*(stream.fill() for stream in streams))
        found: list[ListRow] = []
        last = position
        heads = [(stream.head.position, i) for i, stream in enumerate(streams) if stream.head]
        heapq.heapify(heads)
        seen = 0
        while heads:
            if len(found) == limit or seen == budget:
                return ListPage(tuple(found), last)
            _, i = heapq.heappop(heads)
            row = await streams[i].take()
            seen += 1
            last = row.position
            if matches(row):
                found.append(row)
            if head := streams[i].head:
                heapq.heappush(heads, (head.position, i))
        return ListPage(tuple(found), None)

    async def active(self) -> AsyncIterator[tuple[Locator, datetime]]:
        """Every operation that is not terminal, with its creation time."""
        async for row in self._sweep("a!", 'a"'):
            yield Locator.parse(row.key[2:]), rows.read_time(str(row.values["created"]))

    async def expired(self, now: datetime) -> AsyncIterator[Locator]:
        """Every terminal operation whose time to stay is over."""
        async for row in self._sweep("x!", f"x!{rows.write_time(now)}"):
            yield Locator.parse(row.key.split("!", 2)[2])

    async def _sweep(self, lower: str, upper: str) -> AsyncIterator[Row]:
        firsts = await asyncio.gather(*(self._table.page(p, lower=lower, upper=upper) for p in PARTITIONS))
        for partition, first in zip(PARTITIONS, firsts, strict=True):
            page = first
            while True:
                for row in page.rows:
                    yield row
                if page.continuation is None:
                    break
                page = await self._table.page(partition, lower=lower, upper=upper, continuation=page.continuation)

    async def store_payload(self, run: str, name: str, content_type: str, content: bytes) -> Payload:
        """Keep `content` inline, or as the blob `{run}/{name}` above 30 KiB."""
        digest = sha256(content).hexdigest()
        if len(content) <= INLINE_LIMIT:
            try:
                text = content.decode()
            except UnicodeDecodeError:
                pass
            else:
                return Payload(content_type, len(content), digest, text=text)
        blob = f"{run}/{name}"
        await self._payloads.put(blob, content, content_type=content_type)
        return Payload(content_type, len(content), digest, blob=blob)

    async def store_result(self, operation: Operation, content_type: str, content: bytes) -> Payload:
        """Keep an attempt's result; every claim has a name of its own for it."""
        return await self.store_payload(operation.run, _result_name(operation.fence), content_type, content)

    async def drop_result(self, operation: Operation, *, fence: int) -> None:
        """Remove the result that the claim with this fence may have stored without getting to say so."""
        await self._payloads.delete(f"{operation.run}/{_result_name(fence)}")

    async def load_payload(self, payload: Payload) -> bytes | None:
        """The content; None where its blob is gone."""
        if payload.blob is None:
            return (payload.text or "").encode()
        async with _in_time(), self._payloads.open(payload.blob) as reader:
            if reader is None:
                return None
            return b"".join([chunk async for chunk in reader.chunks()])

    async def drop_payload(self, payload: Payload) -> None:
        """Remove the blob of a record that was never written."""
        if payload.blob:
            await self._payloads.delete(payload.blob)


@asynccontextmanager
async def _in_time() -> AsyncGenerator[None]:
    """A caller waits for what is inside: it has less time than the transfer of a large file."""
    try:
        async with asyncio.timeout(BLOB_WITHIN):
            yield
    except TimeoutError:
        raise StorageUnavailable(f"a payload was not reached within {BLOB_WITHIN:g} s") from None


def _result_name(fence: int) -> str:
    return f"result-{fence}"


class _Range:
    """One partition's part of a list, read ahead page by page."""

    def __init__(self, table: Table, partition: str, owner_hash: str, position: str | None, *, limit: int) -> None:
        self._table = table
        self._partition = partition
        prefix = f"l!{owner_hash}!"
        # `!` sorts below every character of an id, so this is the first key after `position`.
        self._lower = f"{prefix}{position}!" if position else prefix
        self._upper = f'l!{owner_hash}"'
        self._limit = limit
        self._continuation: str | None = None
        self._rows: Sequence[ListRow] = ()
        self._next = 0

    @property
    def head(self) -> ListRow | None:
        return self._rows[self._next] if self._next < len(self._rows) else None

    async def fill(self) -> None:
        """Read pages until there is a row or the range ends: a page may be empty and yet not the last."""
        while True:
            page = await self._table.page(
                self._partition,
                lower=self._lower,
                upper=self._upper,
                limit=self._limit,
                continuation=self._continuation,
            )
            self._rows, self._next = [rows.read_list_row(row) for row in page.rows], 0
            self._continuation = page.continuation
            if self._rows or self._continuation is None:
                return

    async def take(self) -> ListRow:
        row = self._rows[self._next]
        self._next += 1
        if self._next == len(self._rows) and self._continuation is not None:
            await self.fill()
        return row
