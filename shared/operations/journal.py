"""What the attempts at one operation have finished, so that the next one goes on behind it.

An entry is written once: where two attempts overlap, what either of them has done and noted is the same.
"""

import asyncio
from contextlib import suppress

from shared.errors import StorageConflict
from shared.model.operation import Payload
from shared.model.timing import Clock
from shared.operations.records import INLINE_LIMIT, OperationRecords
from shared.storage.limits import MAX_CHANGES
from shared.storage.pages import row_pages
from shared.storage.ports import Delete, Insert, Row, Table
from shared.storage.writes import write_once


class Journal:
    """The entries of one run. A row each; what is above 30 KiB lies in a blob."""

    def __init__(self, records: OperationRecords, table: Table, run_id: str, *, clock: Clock) -> None:
        self._records = records
        self._table = table
        self._run_id = run_id
        self._clock = clock

    async def read(self) -> list[bytes]:
        """All entries, in the order of their numbers. Raises StorageError."""
        contents = [await self._records.load_payload(_payload(row)) for row in await self._rows()]
        return [content for content in contents if content is not None]

    async def add(self, number: int, content: bytes) -> None:
        """Write an entry, unless there is one of this number. Raises StorageError."""
        is_large, name = len(content) > INLINE_LIMIT, f"journal-{number}"
        values = {"blob": f"{self._run_id}/{name}"} if is_large else {"text": content.decode()}
        with suppress(StorageConflict):
            insert = Insert(f"{number:08d}", values)
            await write_once(self._table, self._run_id, [insert], sleep=self._clock.sleep)
        if is_large:
            # After the row: a blob that no row names would stay for ever. Without its blob an entry is passed over.
            await self._records.store_payload(self._run_id, name, "application/json", content)

    async def clear(self) -> None:
        """Remove all entries. Raises StorageError; what was removed by then stays so."""
        rows = await self._rows()
        await asyncio.gather(*(self._records.drop_payload(_payload(row)) for row in rows))
        for first in range(0, len(rows), MAX_CHANGES):
            with suppress(StorageConflict):
                await self._table.write(self._run_id, [Delete(row.key) for row in rows[first : first + MAX_CHANGES]])

    async def _rows(self) -> list[Row]:
        pages = row_pages(self._table, self._run_id)
        return [row async for rows in pages for row in rows]


def _payload(row: Row) -> Payload:
    text, blob = row.values.get("text"), row.values.get("blob")
    return Payload("application/json", 0, "", text=None if blob else str(text), blob=str(blob) if blob else None)
