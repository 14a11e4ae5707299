"""Creating, changing and removing several books at once: what each becomes is decided on what was read.

A removal writes a tombstone, so that every change of a transaction leaves a row: where an answer was lost, the row
shows whose write was done. One that nobody needs goes right after it, and a file goes after the row that named it; what
a crash leaves of them is cleared by the next write of the book, or by the sweep (`library.leftovers`).
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from library.book_rows import (
    PARTITION,
    book_columns,
    book_from_columns,
    is_tombstone,
    named_files,
    short_etag,
    tombstone,
)
from library.books import BookStore, in_turns
from library.leftovers import look_later
from library.models import Book
from shared.actions import (
    ChangeRefused,
    Create,
    EntityChange,
    Remove,
    RequestError,
    Update,
    read_only_names,
    validation_error,
)
from shared.storage import (
    MAX_CHANGES,
    Insert,
    Merge,
    Replace,
    Row,
    Scalar,
    StorageConflict,
    StorageError,
    StorageRefused,
    backoff,
    write_once,
)

_TRIES = 12
_READ_ONLY = frozenset(
    name for name, field in Book.model_fields.items() if (field.alias or name) in read_only_names(Book)
)

_log = logging.getLogger(__name__)


async def write_books(books: BookStore, changes: Sequence[EntityChange], *, by: str, now: datetime) -> list[Row | None]:
    """See `library.entities.BookEntities.write`; the rows that are there then, which may be tombstones."""
    keys = [_key(change) for change in changes]
    if len(changes) > MAX_CHANGES or len(set(keys)) != len(keys):
        message = f"At most {MAX_CHANGES} books are written at once, and each of them once."
        raise RequestError(400, "TooManyChanges", message)
    for attempt in range(_TRIES if changes else 0):
        await backoff(attempt)
        stored = await books.read_rows(keys)
        if by and any(row.values.get("written_by") == by for row in stored.values()):
            # All or none of the changes were done, so one row of them is enough to know.
            return [None if isinstance(change, Remove) else stored.get(_key(change)) for change in changes]
        planned = await asyncio.to_thread(_plan, changes, stored, by=by, now=now)
        notes = _notes(planned, stored, now)
        if len(planned) + len(notes) > MAX_CHANGES:
            await write_once(books.rows, PARTITION, notes)
            notes = []
        try:
            etags = (await write_once(books.rows, PARTITION, [*planned, *notes]))[: len(planned)]
        except StorageConflict:
            continue
        except StorageRefused as error:
            raise RequestError(400, "ChangeTooLarge", f"The change cannot be stored: {error}.") from None
        return await _finish(books, planned, etags, stored)
    if changes:
        message = "Others kept changing the same books at this moment, so that nothing was done; send it again."
        raise RequestError(409, "BooksAreBusy", message, headers={"Retry-After": "1"})
    return []


def _notes(
    planned: Sequence[Insert | Merge | Replace], stored: Mapping[str, Row], now: datetime
) -> list[Insert | Merge | Replace]:
    """What has the sweep look after a write that leaves, or replaces, a tombstone; nothing after any other."""
    files = {
        change.key: named_files(row)
        for change in planned
        if (row := stored.get(change.key)) is not None and (change.values.get("tombstone") or is_tombstone(row))
    }
    return [look_later(files, now)] if files else []


async def _finish(
    books: BookStore,
    planned: Sequence[Insert | Merge | Replace],
    etags: Sequence[str | None],
    before: Mapping[str, Row],
) -> list[Row | None]:
    """The rows as they were written; what the writes have left over is removed."""
    written: list[Row | None] = []
    for change, etag in zip(planned, etags, strict=True):
        kept = before[change.key].values if isinstance(change, Merge) else {}
        # Where the write was not answered, its etag is looked up.
        stored = None if etag else await books.rows.read(PARTITION, change.key)
        etag_now = etag or (stored.etag if stored else "")
        written.append(Row(PARTITION, change.key, {**kept, **change.values}, etag_now))
    await in_turns([*written, *before.values()], lambda row: _tidy(books, row))
    return written


async def _tidy(books: BookStore, row: Row | None) -> None:
    """Remove the files that a tombstone names, and the tombstone itself where it answers nobody."""
    try:
        if row is not None and is_tombstone(row):
            await (books.remove_rest(row) if row.values["written_by"] else books.clear(row))
    except StorageError as error:
        _log.warning("A removed book has left something behind: %s", error, extra={"event": "book_left_over"})


def _key(change: EntityChange) -> str:
    return str(change.entity.id) if isinstance(change, Create) else change.key  # type: ignore[attr-defined]


def _plan(
    changes: Sequence[EntityChange], stored: Mapping[str, Row], *, by: str, now: datetime
) -> list[Insert | Merge | Replace]:
    planned: list[Insert | Merge | Replace] = []
    for change in changes:
        try:
            planned.append(_planned(change, stored.get(_key(change)), by, now))
        except RequestError as error:
            raise ChangeRefused(error, len(planned)) from None
    return planned


def _planned(change: EntityChange, row: Row | None, by: str, now: datetime) -> Insert | Merge | Replace:
    """The row that makes the change. Raises RequestError where it cannot be."""
    match change:
        case Create(entity=entity):
            if row is not None and not is_tombstone(row):
                raise RequestError(409, "BookExists", "There is a book of this id.", target=_key(change))
            book = _checked(entity.model_dump(), {})
            columns: dict[str, Scalar] = {**book_columns(book), "written_by": by}
            return Insert(book.id, columns) if row is None else Replace(book.id, columns, if_match=row.etag)
        case Update(key=key, values=values, if_match=if_match):
            old = _required(row, key, if_match)
            book = _changed(book_from_columns(old.values), values)
            columns = {**book_columns(book), "written_by": by, "loaded": False}
            # The rest of the row is not the book's: whose upload it was, who moved it.
            names = (*(values.keys() - _READ_ONLY), "written_by", "loaded")
            return Merge(key, {name: columns[name] for name in names}, if_match=old.etag)
        case Remove(key=key, if_match=if_match):
            old = _required(row, key, if_match)
            return Replace(key, tombstone(old, removed=now, by=by), if_match=old.etag)


def _required(row: Row | None, key: str, if_match: tuple[str, ...] | None) -> Row:
    if row is None or is_tombstone(row):
        raise RequestError(404, "BookNotFound", "There is no such book.", target=key)
    if if_match is not None and short_etag(row) not in if_match:
        raise RequestError(412, "PreconditionFailed", "The book has changed; read it again.", target=key)
    return row


def _changed(book: Book, values: Mapping[str, Any]) -> Book:
    if values.get("id", book.id) != book.id:
        raise RequestError(400, "KeyIsFixed", "A book keeps its id.", target="id")
    kept = {name: getattr(book, name) for name in _READ_ONLY}
    changed = _checked({**book.model_dump(), **values}, kept)
    if book.sha256 is not None and changed.words != book.words:
        raise RequestError(400, "WordsAreCounted", "The words of a book with an EPUB are counted.", target="words")
    return changed


def _checked(values: Mapping[str, Any], kept: Mapping[str, Any]) -> Book:
    """The book that a caller's values make; what the service sets is as in `kept`."""
    try:
        writable = {name: value for name, value in values.items() if name not in _READ_ONLY}
        book = Book.model_validate(writable, strict=True, by_name=True)
    except ValidationError as error:
        raise validation_error(error) from None
    if not book.title.strip():
        raise RequestError(400, "InvalidInput", "A book has a title.", target="title")
    return book.model_copy(update=kept)
