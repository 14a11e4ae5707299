"""Exports in storage: a blob each, and a row in the partition of the book that it is of, which goes with the book."""

from contextlib import suppress

from library.report_store import read_content
from shared.actions import Content, is_valid_id
from shared.storage import Delete, Storage, StorageConflict, Upsert, row_pages, write_once


class ExportStore:
    """Reads and writes exports; the row comes before the blob and goes after it, for it is what leads to the blob."""

    def __init__(self, storage: Storage) -> None:
        self._rows = storage.table("exports")
        self._files = storage.container("exports")

    async def put(self, name: str, content: bytes, *, content_type: str, book_id: str) -> None:
        """Store an export of a book; doing it again changes nothing."""
        await write_once(self._rows, book_id, [Upsert(name, {})])
        await self._files.put(name, content, content_type=content_type)

    async def content(self, name: str) -> Content | None:
        return await read_content(self._files, name) if is_valid_id(name) else None

    async def remove_of(self, book_id: str) -> None:
        """Remove all exports of a book. May run twice from any point and ends the same."""
        async for rows in row_pages(self._rows, book_id):
            for row in rows:
                await self._files.delete(row.key)
                with suppress(StorageConflict):
                    await self._rows.write(book_id, [Delete(row.key)])
