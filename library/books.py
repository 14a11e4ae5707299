"""Books in storage: one row each, in one partition, and one EPUB each, named by its content."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from library.models import Book
from shared.errors import StorageAnswerLost, StorageConflict
from shared.operations.ids import is_valid_id
from shared.storage.ports import BlobInfo, Delete, Insert, Merge, Replace, Row, Scalar, Storage
from shared.storage.write_once import write_once

_PARTITION = "books"
_CHUNK = 1024 * 1024
_TRIES = 8
_JSON_COLUMNS = ("creators", "identifiers", "warnings", "cover")


class BookStore:
    """Reads and writes books; a book is replaced as a whole."""

    def __init__(self, storage: Storage) -> None:
        self._rows = storage.table("books")
        self.files = storage.container("books")

    async def get(self, book_id: str) -> Book | None:
        if not is_valid_id(book_id):
            return None
        row = await self._rows.read(_PARTITION, book_id)
        return book_from_columns(row.values) if row else None

    async def page(self, *, top: int, after: str | None) -> tuple[list[Book], str | None]:
        """Up to `top` books in the order of their ids, and the id after which the next page starts."""
        # `!` sorts below every character of an id, so this is the first key behind `after`.
        lower = f"{after}!" if after else ""
        books: list[Book] = []
        continuation: str | None = None
        while True:
            page = await self._rows.page(
                _PARTITION, lower=lower, upper="~", limit=top + 1 - len(books), continuation=continuation
            )
            books += [book_from_columns(row.values) for row in page.rows]
            continuation = page.continuation
            if len(books) > top:
                return books[:top], books[top - 1].id
            if continuation is None:
                return books, None

    async def put_file(self, book_id: str, sha256: str, path: Path) -> BlobInfo:
        """Store an EPUB under its content's name: doing it again changes nothing."""
        return await self.files.put(file_name(book_id, sha256), _chunks(path), content_type="application/epub+zip")

    async def put(self, book: Book, *, source: str, keep_shelf: bool = False) -> Book:
        """Insert or replace the row on behalf of `source`, and drop the file it no longer names; the book as stored.

        `source` is the id of an upload or of a run. Conditional on what was read; doing it again for one source
        changes nothing. With `keep_shelf` a book that is replaced stays on its shelf.
        """
        for _ in range(_TRIES):
            row = await self._rows.read(_PARTITION, book.id)
            if row is not None and row.values.get("source") == source and row.values["sha256"] == book.sha256:
                superseded = str(row.values.get("superseded", ""))
                book = book_from_columns(row.values)
                break
            superseded = str(row.values["sha256"]) if row else ""
            if keep_shelf:
                book = book.model_copy(update={"shelf": book_from_columns(row.values).shelf if row else None})
            values: dict[str, Scalar] = {**book_columns(book), "source": source, "superseded": superseded}
            change = Replace(book.id, values, if_match=row.etag) if row else Insert(book.id, values)
            try:
                await write_once(self._rows, _PARTITION, [change])
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
            row = await self._rows.read(_PARTITION, book_id)
            if row is None:
                return
            for sha256 in {str(row.values["sha256"]), str(row.values.get("superseded", ""))} - {""}:
                await self.files.delete(file_name(book_id, sha256))
            try:
                await self._rows.write(_PARTITION, [Delete(book_id, if_match=row.etag)])
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
            row = await self._rows.read(_PARTITION, book_id)
            if row is None or row.values.get("shelf_key") != source.lower():
                return False
            values: dict[str, Scalar] = {"shelf": target, "shelf_key": target.lower(), "moved_by": by}
            try:
                await write_once(self._rows, _PARTITION, [Merge(book_id, values, if_match=row.etag)])
            except StorageConflict:
                continue
            return True
        return False

    async def moved(self, shelf_id: str, *, by: str) -> int:
        """How many books on a shelf the run `by` has moved there."""
        return len([row async for row in self._rows_on(shelf_id) if row.values.get("moved_by") == by])

    async def _rows_on(self, shelf_id: str) -> AsyncIterator[Row]:
        continuation: str | None = None
        while True:
            page = await self._rows.page(_PARTITION, lower=" ", upper="~", continuation=continuation)
            for row in page.rows:
                if row.values.get("shelf_key") == shelf_id.lower():
                    yield row
            if page.continuation is None:
                return
            continuation = page.continuation


def book_columns(book: Book) -> dict[str, Scalar]:
    """A book as columns; an empty string stands for null."""
    values = book.model_dump(mode="json")
    for name in _JSON_COLUMNS:
        values[name] = json.dumps(values[name], ensure_ascii=False)
    # Shelves are looked for without regard to case, as ARM compares ids.
    values["shelf_key"] = (book.shelf or "").lower()
    return {name: "" if value is None else value for name, value in values.items()}


def book_from_columns(values: Mapping[str, Scalar]) -> Book:
    known: dict[str, Any] = {name: values.get(name) for name in Book.model_fields}
    for name in ("language", "published", "publisher", "shelf"):
        known[name] = known[name] or None
    for name in _JSON_COLUMNS:
        known[name] = json.loads(str(known[name])) if known[name] else None
    return Book.model_validate(known, by_name=True)


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
