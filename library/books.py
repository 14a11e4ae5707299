"""Books in storage: a row each, and an EPUB each, named by its content, where there is one."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from pathlib import Path

from library.book_rows import (
    OWN,
    FoundBook,
    book_columns,
    book_from_columns,
    is_tombstone,
    named_files,
    seen,
    tombstone,
)
from library.merging import WINDOW, merged
from library.models import Book
from library.sets import BookSets
from shared.errors import StorageAnswerLost, StorageConflict
from shared.operations.ids import is_valid_id
from shared.storage.ports import BlobInfo, Delete, Insert, Merge, Replace, Row, Scalar, Storage
from shared.storage.row_pages import row_pages
from shared.storage.write_once import write_once

_CHUNK = 1024 * 1024
_TRIES = 8


class BookStore:
    """Reads and writes books; a book is replaced as a whole.

    What is bulk-loaded is read like every other book; writing one makes it a book stored by itself.
    """

    def __init__(self, storage: Storage) -> None:
        self._rows = storage.table("books")
        self._sets = BookSets(storage)
        self.files = storage.container("books")

    async def get(self, book_id: str) -> Book | None:
        found = await self.find(book_id)
        return found.book if found else None

    async def find(self, book_id: str) -> FoundBook | None:
        """The book as it is seen: one read where it is stored by itself, and three where it is not."""
        if not is_valid_id(book_id):
            return None
        own = await self._rows.read(OWN, book_id)
        if own is not None and not is_tombstone(own):
            return FoundBook(own)
        return seen(own, await self._sets.find(book_id))

    async def page(self, *, top: int, after: str | None) -> tuple[list[Book], str | None]:
        """Up to `top` books in the order of their ids, and the id after which the next page starts."""
        books: list[Book] = []
        async with aclosing(self.scan(after=after, window=min(top + 1, WINDOW))) as pages:
            async for found in pages:
                books += [one.book for one in found[: top + 1 - len(books)]]
                if len(books) > top:
                    return books[:top], books[top - 1].id
        return books, None

    def scan(self, *, after: str | None = None, window: int = WINDOW) -> AsyncGenerator[list[FoundBook], None]:
        """All books in the order of their ids, beyond `after`: see `library.merging.merged`."""
        return merged(self._rows, self._sets, after=after, window=window)

    async def put_file(self, book_id: str, sha256: str, path: Path) -> BlobInfo:
        """Store an EPUB under its content's name: doing it again changes nothing."""
        return await self.files.put(file_name(book_id, sha256), _chunks(path), content_type="application/epub+zip")

    async def put(self, book: Book, *, source: str, keep_shelf: bool = False) -> Book:
        """Insert or replace the row on behalf of `source`, and drop the file it no longer names; the book as stored.

        `source` is the id of an upload or of a run. Conditional on what was read; doing it again for one source
        changes nothing. With `keep_shelf` a book that is replaced stays on its shelf.
        """
        for _ in range(_TRIES):
            row = await self._rows.read(OWN, book.id)
            stored = row if not is_tombstone(row) else None
            if row is not None and row.values.get("source") == source and row.values["sha256"] == (book.sha256 or ""):
                superseded = str(row.values.get("superseded", ""))
                book = book_from_columns(row.values)
                break
            superseded = str(row.values.get("sha256", "")) if row else ""
            if keep_shelf:
                book = book.model_copy(update={"shelf": book_from_columns(stored.values).shelf if stored else None})
            values: dict[str, Scalar] = {**book_columns(book), "source": source, "superseded": superseded}
            change = Replace(book.id, values, if_match=row.etag) if row else Insert(book.id, values)
            try:
                await write_once(self._rows, OWN, [change])
            except StorageConflict:
                continue
            break
        else:
            raise StorageConflict(f"book {book.id} kept changing")
        if superseded and superseded != book.sha256:
            await self.files.delete(file_name(book.id, superseded))
        return book

    async def remove(self, book_id: str) -> None:
        """Remove a book, its file first: the row is what leads to it, and what readers see until all is gone.

        Doing it again, from wherever it stopped, ends the same.
        """
        for _ in range(_TRIES):
            row = await self._rows.read(OWN, book_id)
            bulk = await self._sets.find(book_id)
            if row is None and bulk is None:
                return
            for sha256 in named_files(row) if row else ():
                await self.files.delete(file_name(book_id, sha256))
            if row is not None and seen(row, bulk) is None:
                return  # A tombstone, for good.
            try:
                if bulk is not None:
                    await self._bury(row, bulk)
                elif row is not None:
                    await self._rows.write(OWN, [Delete(book_id, if_match=row.etag)])
            except (StorageConflict, StorageAnswerLost):
                continue  # Gone, or changed in the meantime: the next read tells.
            return
        raise StorageConflict(f"book {book_id} kept changing")

    async def on_shelf(self, shelf_id: str) -> list[Book]:
        """The books that stand on a shelf, in the order of their ids. Looks at every book: there is no index."""
        return [book_from_columns(row.values) async for row in self._rows_on(shelf_id)]

    async def move(self, book_id: str, *, source: str, target: str, by: str) -> bool:
        """Move a book between shelves on behalf of the run `by`; False where it is not on `source` any more."""
        for _ in range(_TRIES):
            row = await self._rows.read(OWN, book_id)
            if row is None or row.values.get("shelf_key") != source.lower():
                return False
            values: dict[str, Scalar] = {"shelf": target, "shelf_key": target.lower(), "moved_by": by}
            try:
                await write_once(self._rows, OWN, [Merge(book_id, values, if_match=row.etag)])
            except StorageConflict:
                continue
            return True
        return False

    async def moved(self, shelf_id: str, *, by: str) -> int:
        """How many books on a shelf the run `by` has moved there."""
        return len([row async for row in self._rows_on(shelf_id) if row.values.get("moved_by") == by])

    async def _bury(self, row: Row | None, bulk: Row) -> None:
        """Hide the published set's row: it goes with its set only."""
        values = tombstone(hides=str(bulk.values["origin"]), removed=datetime.now(UTC))
        change = Replace(bulk.key, values, if_match=row.etag) if row else Insert(bulk.key, values)
        await write_once(self._rows, OWN, [change])

    async def _rows_on(self, shelf_id: str) -> AsyncIterator[Row]:
        # What is bulk-loaded stands on no shelf.
        async for rows in row_pages(self._rows, OWN):
            for row in rows:
                if row.values.get("shelf_key") == shelf_id.lower():
                    yield row


def file_name(book_id: str, sha256: str) -> str:
    return f"{book_id}/{sha256}.epub"


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    file = path.open("rb")
    try:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk
    finally:
        with suppress(OSError):
            file.close()
