"""Books in storage: one row each, in one partition, and one EPUB each, named by its content."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from library.models import Book
from shared.errors import StorageConflict
from shared.operations.ids import is_valid_id
from shared.storage.ports import BlobInfo, Insert, Replace, Scalar, Storage
from shared.storage.write_once import write_once

_PARTITION = "books"
_CHUNK = 1024 * 1024
_TRIES = 8
_JSON_COLUMNS = ("creators", "identifiers", "warnings", "cover")


class BookStore:
    """Reads and writes books; a book is replaced as a whole."""

    def __init__(self, storage: Storage) -> None:
        self._rows = storage.table("books")
        self._files = storage.container("books")

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
        return await self._files.put(_file_name(book_id, sha256), _chunks(path), content_type="application/epub+zip")

    async def put(self, book: Book, *, source: str) -> None:
        """Insert or replace the row on behalf of `source`, an upload's id, and drop the file it no longer names.

        Conditional on what was read; doing it again for one source changes nothing.
        """
        for _ in range(_TRIES):
            row = await self._rows.read(_PARTITION, book.id)
            if row is not None and row.values.get("source") == source and row.values["sha256"] == book.sha256:
                superseded = str(row.values.get("superseded", ""))
                break
            superseded = str(row.values["sha256"]) if row else ""
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
            await self._files.delete(_file_name(book.id, superseded))


def book_columns(book: Book) -> dict[str, Scalar]:
    """A book as columns; an empty string stands for null."""
    values = book.model_dump(mode="json")
    for name in _JSON_COLUMNS:
        values[name] = json.dumps(values[name], ensure_ascii=False)
    return {name: "" if value is None else value for name, value in values.items()}


def book_from_columns(values: Mapping[str, Scalar]) -> Book:
    known: dict[str, Any] = {name: values.get(name) for name in Book.model_fields}
    for name in ("language", "published", "publisher"):
        known[name] = known[name] or None
    for name in _JSON_COLUMNS:
        known[name] = json.loads(str(known[name])) if known[name] else None
    return Book.model_validate(known, by_name=True)


def _file_name(book_id: str, sha256: str) -> str:
    return f"{book_id}/{sha256}.epub"


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk
    finally:
        with suppress(OSError):
            file.close()
