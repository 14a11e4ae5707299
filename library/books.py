"""Books in storage: a row each, and an EPUB each, named by its content, where there is one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from library.book_rows import (
    FIRST,
    LAST,
    PARTITION,
    book_columns,
    book_from_columns,
    book_of,
    ids_beyond,
    is_tombstone,
    named_files,
)
from library.export_store import ExportStore
from library.models import Book
from library.search_index import SearchIndex
from shared.actions import is_valid_id
from shared.storage import (
    BlobInfo,
    Delete,
    Insert,
    Merge,
    Replace,
    Row,
    Scalar,
    Storage,
    StorageAnswerLost,
    StorageConflict,
    row_pages,
    write_once,
)

_WINDOW = 500
_CHUNK = 1024 * 1024
_TRIES = 8
_PARALLEL = 16

A = TypeVar("A")
B = TypeVar("B")


class BookStore:
    """Reads and writes books; a book is replaced as a whole."""

    def __init__(self, storage: Storage) -> None:
        self.rows = storage.table("books")
        self.files = storage.container("books")
        self.exports = ExportStore(storage)
        self.search = SearchIndex(storage)

    async def get(self, book_id: str) -> Book | None:
        return book_of(await self.rows.read(PARTITION, book_id)) if is_valid_id(book_id) else None

    async def page(self, *, top: int, after: str | None) -> tuple[list[Book], str | None]:
        """Up to `top` books in the order of their ids, and the id after which the next page starts."""
        books: list[Book] = []
        async for page in self.scan(after=after, window=min(top + 1, _WINDOW)):
            books += await _made_of(page[: top + 1 - len(books)])
            if len(books) > top:
                return books[:top], books[top - 1].id
        return books, None

    async def scan(self, *, after: str | None = None, window: int = _WINDOW) -> AsyncIterator[list[Row]]:
        """The rows of the books beyond `after`, in the order of their ids; lists of at most `window`, some empty."""
        async for rows in row_pages(self.rows, PARTITION, lower=ids_beyond(after), upper=LAST, limit=window):
            yield [row for row in rows if not is_tombstone(row)]

    async def read_rows(self, book_ids: Sequence[str]) -> dict[str, Row]:
        """The rows of these ids, tombstones too; what is no id, or is not there, is left out."""
        rows = await in_turns([one for one in book_ids if is_valid_id(one)], lambda key: self.rows.read(PARTITION, key))
        return {row.key: row for row in rows if row is not None}

    async def put_file(self, book_id: str, sha256: str, path: Path) -> BlobInfo:
        """Store an EPUB under its content's name: doing it again changes nothing.

        It comes before the row that names it, so somebody has to look for it (`library.leftovers.note`).
        """
        return await self.files.put(file_name(book_id, sha256), _chunks(path), content_type="application/epub+zip")

    async def put(self, book: Book, *, source: str, keep_shelf: bool = False) -> Book:
        """Insert or replace the row on behalf of `source`, and drop the file it no longer names; the book as stored.

        `source` is the id of an upload or of a run. Conditional on what was read; doing it again for one source
        changes nothing. With `keep_shelf` a book that is replaced stays on its shelf.
        """
        for _ in range(_TRIES):
            row = await self.rows.read(PARTITION, book.id)
            if row is not None and row.values.get("source") == source and row.values["sha256"] == (book.sha256 or ""):
                superseded = str(row.values.get("superseded", ""))
                book = book_from_columns(row.values)
                break
            superseded = str(row.values.get("sha256", "")) if row else ""
            older = str(row.values.get("superseded", "")) if row else ""
            if older not in ("", superseded, book.sha256):
                # Nothing names it any more once this row is replaced.
                await self.files.delete(file_name(book.id, older))
            if keep_shelf:
                stored = book_of(row)
                book = book.model_copy(update={"shelf": stored.shelf if stored else None})
            values: dict[str, Scalar] = {**book_columns(book), "source": source, "superseded": superseded}
            change = Replace(book.id, values, if_match=row.etag) if row else Insert(book.id, values)
            try:
                await write_once(self.rows, PARTITION, [change])
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
            row = await self.rows.read(PARTITION, book_id)
            if row is None or is_tombstone(row):
                await (self.search.forget(book_id) if row is None else self.remove_rest(row))
                return
            await self.remove_files(row)
            # Gone, or changed in the meantime: the next read tells.
            with suppress(StorageConflict, StorageAnswerLost):
                await self.rows.write(PARTITION, [Delete(book_id, if_match=row.etag)])
        raise StorageConflict(f"book {book_id} kept changing")

    async def remove_files(self, row: Row) -> None:
        """Remove the files that a row names, and the exports of its book."""
        for sha256 in named_files(row):
            await self.files.delete(file_name(row.key, sha256))
        await self.exports.remove_of(row.key)

    async def remove_rest(self, row: Row) -> None:
        """Remove what else there is of a book that has a tombstone. Who builds an index sees that before."""
        await self.remove_files(row)
        await self.search.forget(row.key)

    async def clear(self, row: Row) -> None:
        """Remove a tombstone and the files it names, unless the book has been stored again meanwhile."""
        await self.remove_rest(row)
        with suppress(StorageConflict, StorageAnswerLost):
            await self.rows.write(PARTITION, [Delete(row.key, if_match=row.etag)])

    async def count(self) -> int:
        """How many books there are."""
        count = 0
        async for rows in row_pages(self.rows, PARTITION, lower=FIRST, upper=LAST, columns=["tombstone"]):
            count += sum(not is_tombstone(row) for row in rows)
        return count

    async def count_loaded(self) -> int:
        """How many books are as bulk loads have brought them."""
        count = 0
        async for rows in row_pages(self.rows, PARTITION, lower=FIRST, upper=LAST, columns=["loaded"]):
            count += sum(bool(row.values.get("loaded")) for row in rows)
        return count

    async def on_shelf(self, shelf_id: str) -> list[Book]:
        """The books that stand on a shelf, in the order of their ids. Looks at every book: there is no index."""
        rows = await self.read_rows([row.key async for row in self._rows_on(shelf_id)])
        return await _made_of([row for row in rows.values() if not is_tombstone(row)])

    async def move(self, book_id: str, *, source: str, target: str, by: str) -> bool:
        """Move a book between shelves on behalf of the run `by`; False where it is not on `source` any more."""
        for _ in range(_TRIES):
            row = await self.rows.read(PARTITION, book_id)
            if row is None or row.values.get("shelf_key") != source.lower():
                return False
            values: dict[str, Scalar] = {"shelf": target, "shelf_key": target.lower(), "moved_by": by}
            try:
                await write_once(self.rows, PARTITION, [Merge(book_id, values, if_match=row.etag)])
            except StorageConflict:
                continue
            return True
        return False

    async def moved(self, shelf_id: str, *, by: str) -> int:
        """How many books on a shelf the run `by` has moved there."""
        return len([row async for row in self._rows_on(shelf_id) if row.values.get("moved_by") == by])

    async def _rows_on(self, shelf_id: str) -> AsyncIterator[Row]:
        """Their columns `shelf_key` and `moved_by`: there may be many more books elsewhere."""
        async for rows in row_pages(self.rows, PARTITION, lower=FIRST, upper=LAST, columns=["shelf_key", "moved_by"]):
            for row in rows:
                if row.values.get("shelf_key") == shelf_id.lower():
                    yield row


def file_name(book_id: str, sha256: str) -> str:
    return f"{book_id}/{sha256}.epub"


async def in_turns(items: Sequence[A], each: Callable[[A], Awaitable[B]]) -> list[B]:
    """`each` of the items, sixteen side by side."""
    done: list[B] = []
    for at in range(0, len(items), _PARALLEL):
        done += await asyncio.gather(*(each(item) for item in items[at : at + _PARALLEL]))
    return done


async def _made_of(rows: Sequence[Row]) -> list[Book]:
    """Their books. Made in a thread: each takes up to a fifth of a millisecond."""
    return await asyncio.to_thread(lambda: [book_from_columns(row.values) for row in rows])


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    file = path.open("rb")
    try:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk
    finally:
        with suppress(OSError):
            file.close()
