"""What a crash may leave of books, and the sweep that clears it a day later.

    books   key !{time}!{random}   these books are to be looked at then, with the SHA-256s of files that may be left

A row that cannot be worked on is looked at again a day later, so that it stands behind all others.

Such a row is written before, or together with, what may be cut in two: a file before the row that names it, a removal
whose tombstone and files go after it, an export of a book that is being removed. It sorts below every book.
"""

import json
import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime
from typing import cast
from uuid import uuid4

from library.book_rows import KEPT, PARTITION, is_tombstone, named_files
from library.books import BookStore, file_name, in_turns
from shared.storage import (
    Delete,
    Insert,
    Row,
    Storage,
    StorageConflict,
    StorageError,
    StorageRefused,
    row_pages,
    write_once,
    write_time,
)

_AT_ONCE = 50
"""Rows of that kind in one pass."""

_log = logging.getLogger(__name__)


def look_later(books: Mapping[str, Collection[str]], now: datetime) -> Insert:
    """The row that has the sweep look at these books, by their ids, and at files of theirs."""
    found = json.dumps({book_id: sorted(files) for book_id, files in books.items()})
    return Insert(_later(now), {"books": found})


def _later(now: datetime) -> str:
    return f"!{write_time(now + KEPT)}!{uuid4().hex}"


async def note(books: BookStore, book_id: str, now: datetime, *, sha256: str = "") -> None:
    """Have the sweep look at a book, and at a file that is about to be stored for it."""
    await write_once(books.rows, PARTITION, [look_later({book_id: {sha256} - {""}}, now)])


async def clear_leftovers(storage: Storage, now: datetime) -> None:
    """Clear what was left a day ago; a bounded number of books at a time, and one query where there is nothing."""
    books = BookStore(storage)
    async for rows in row_pages(books.rows, PARTITION, lower="!", upper=f"!{write_time(now)}", limit=_AT_ONCE):
        await in_turns(rows, lambda row: _look(books, row, now))
        return


async def _look(books: BookStore, noted: Row, now: datetime) -> None:
    try:
        await _clear(books, noted, now)
    except Exception as error:
        if isinstance(error, StorageError) and not isinstance(error, StorageRefused):
            raise
        line = "A row of what a crash may leave, or of its book, cannot be read and is passed over: %r (%s)"
        _log.error(line, noted.key, error, extra={"event": "row_unreadable"})
        with suppress(StorageConflict):
            await write_once(books.rows, PARTITION, [Delete(noted.key), Insert(_later(now), noted.values)])


async def _clear(books: BookStore, noted: Row, now: datetime) -> None:
    found = cast(dict[str, list[str]], json.loads(str(noted.values["books"])))
    for book_id, files in found.items():
        row = await books.rows.read(PARTITION, book_id)
        if row is not None and is_tombstone(row) and _is_over(row, now):
            await books.clear(row)
        elif row is None:
            await books.exports.remove_of(book_id)
        for sha256 in set(files) - (named_files(row) if row is not None else set()):
            await books.files.delete(file_name(book_id, sha256))
    with suppress(StorageConflict):
        await books.rows.write(PARTITION, [Delete(noted.key)])


def _is_over(tombstone: Row, now: datetime) -> bool:
    return datetime.fromisoformat(str(tombstone.values["removed"])) + KEPT <= now
