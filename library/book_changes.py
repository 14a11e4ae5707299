"""Creating, changing and removing several books at once: what each becomes is decided on what was read.

A removal writes a tombstone, so that every change of a transaction leaves a row by which a lost answer can be told
from somebody else's write. One that nobody needs goes right after it, and a file goes after the row that named it; what
a crash leaves of them is cleared by the next write of the book or by the next load.
"""

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from library.book_rows import OWN, FoundBook, book_columns, is_tombstone, seen, tombstone
from library.models import Book
from library.ranges import in_turns
from library.sets import BookSets
from library.tombstones import clear, remove_files
from shared.actions.arm_models import read_only_names
from shared.actions.entities import ChangeRefused, Create, EntityChange, Remove, Update
from shared.contracts.errors import validation_error
from shared.errors import RequestError, StorageConflict, StorageError, StorageRefused
from shared.operations.ids import is_valid_id
from shared.storage.limits import MAX_CHANGES
from shared.storage.ports import Insert, Merge, Replace, Row, Scalar, Storage
from shared.storage.write_once import write_once

_TRIES = 8
_PAUSE = 0.01
"""Seconds; doubled with every try."""

_READ_ONLY = frozenset(
    name for name, field in Book.model_fields.items() if (field.alias or name) in read_only_names(Book)
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Held:
    """What is stored under one id."""

    own: Row | None
    bulk: Row | None

    @property
    def book(self) -> FoundBook | None:
        return seen(self.own, self.bulk)


class BookChanges:
    """Writes to the partition of the books that are stored one by one."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._rows = storage.table("books")
        self._sets = BookSets(storage)

    async def write(self, changes: Sequence[EntityChange], *, by: str) -> list[FoundBook | None]:
        """See `library.entities.BookEntities.write`."""
        keys = [_key(change) for change in changes]
        if len(changes) > MAX_CHANGES or len(set(keys)) != len(keys):
            message = f"At most {MAX_CHANGES} books are written at once, and each of them once."
            raise RequestError(400, "TooManyChanges", message)
        for tried in range(_TRIES if changes else 0):
            if tried:
                await asyncio.sleep(random.uniform(0, _PAUSE * 2**tried))  # noqa: S311 - nothing secret
            held = await self._look(changes)
            if by and any(one.own is not None and one.own.values.get("written_by") == by for one in held.values()):
                # All or none of the changes were done, so this tells of all of them.
                return [None if isinstance(change, Remove) else held[_key(change)].book for change in changes]
            planned = _plan(changes, held, by)
            try:
                etags = await write_once(self._rows, OWN, planned)
            except StorageConflict:
                continue
            except StorageRefused as error:
                raise RequestError(400, "ChangeTooLarge", f"The change cannot be stored: {error}.") from None
            return await self._answered(changes, planned, etags, held)
        if changes:
            message = "Others kept changing the same books at this moment, so that nothing was done; send it again."
            raise RequestError(409, "BooksAreBusy", message)
        return []

    async def _look(self, changes: Sequence[EntityChange]) -> dict[str, _Held]:
        """What is stored under the id of each change; in the published set only where it matters."""
        keys = [key for change in changes if is_valid_id(key := _key(change))]
        own = {key: row for key, row in zip(keys, await in_turns(keys, self._read), strict=True)}
        removed = {change.key for change in changes if isinstance(change, Remove)}
        asked = [key for key in keys if key in removed or own[key] is None or is_tombstone(own[key])]
        bulk = await self._sets.find_many(asked)
        return {key: _Held(own.get(key), bulk.get(key)) for key in map(_key, changes)}

    async def _read(self, key: str) -> Row | None:
        return await self._rows.read(OWN, key)

    async def _answered(
        self,
        changes: Sequence[EntityChange],
        planned: Sequence[Insert | Merge | Replace],
        etags: Sequence[str | None],
        held: Mapping[str, _Held],
    ) -> list[FoundBook | None]:
        """The books as they were written; what the writes have left over is removed."""
        written: list[Row] = []
        for change, etag in zip(planned, etags, strict=True):
            before = held[change.key].own
            kept = before.values if isinstance(change, Merge) and before is not None else {}
            written.append(Row(OWN, change.key, {**kept, **change.values}, etag or await self._etag(change.key)))
        await in_turns([(row, held[row.key].own) for row in written], self._tidy)
        return [
            None if isinstance(change, Remove) else FoundBook(row) for change, row in zip(changes, written, strict=True)
        ]

    async def _etag(self, key: str) -> str:
        """The etag of a row whose write was not answered."""
        row = await self._read(key)
        return row.etag if row else ""

    async def _tidy(self, rows: tuple[Row, Row | None]) -> None:
        now, before = rows
        try:
            if is_tombstone(now) and not now.values["hides"] and not now.values["written_by"]:
                await clear(self._storage, now)
            elif is_tombstone(now):
                await remove_files(self._storage, now)
            elif before is not None and is_tombstone(before):
                await remove_files(self._storage, before)
        except StorageError as error:
            _log.warning("A removed book has left something behind: %s", error, extra={"action": "book_left_over"})


def _key(change: EntityChange) -> str:
    return str(change.entity.id) if isinstance(change, Create) else change.key  # type: ignore[attr-defined]


def _plan(changes: Sequence[EntityChange], held: Mapping[str, _Held], by: str) -> list[Insert | Merge | Replace]:
    planned: list[Insert | Merge | Replace] = []
    for change in changes:
        try:
            planned.append(_planned(change, held[_key(change)], by))
        except RequestError as error:
            raise ChangeRefused(error, len(planned)) from None
    return planned


def _planned(change: EntityChange, held: _Held, by: str) -> Insert | Merge | Replace:
    """The row that makes the change. Raises RequestError where it cannot be."""
    found = held.book
    match change:
        case Create(entity=entity):
            if found is not None:
                raise RequestError(409, "BookExists", "There is a book of this id.", target=_key(change))
            book = _checked(entity.model_dump(), {})
            return _whole(held.own, book.id, {**book_columns(book), "written_by": by})
        case Update(key=key, values=values, if_match=if_match):
            old = _required(found, key, if_match)
            book = _changed(old.book, values)
            columns = {**book_columns(book), "written_by": by}
            if held.own is None or is_tombstone(held.own):
                return _whole(held.own, key, columns)
            # The rest of the row is not the book's: whose upload it was, who moved it.
            changes = {name: columns[name] for name in (*(values.keys() - _READ_ONLY), "written_by")}
            return Merge(key, changes, if_match=held.own.etag)
        case Remove(key=key, if_match=if_match):
            _required(found, key, if_match)
            hides = str(held.bulk.values["origin"]) if held.bulk else ""
            return _whole(held.own, key, tombstone(hides=hides, removed=datetime.now(UTC), by=by, row=held.own))


def _whole(own: Row | None, key: str, values: Mapping[str, Scalar]) -> Insert | Replace:
    return Insert(key, values) if own is None else Replace(key, values, if_match=own.etag)


def _required(found: FoundBook | None, key: str, if_match: tuple[str, ...] | None) -> FoundBook:
    if found is None:
        raise RequestError(404, "BookNotFound", "There is no such book.", target=key)
    if if_match is not None and found.etag not in if_match:
        raise RequestError(412, "PreconditionFailed", "The book has changed; read it again.", target=key)
    return found


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
        said = {name: value for name, value in values.items() if name not in _READ_ONLY}
        book = Book.model_validate(said, strict=True, by_name=True)
    except ValidationError as error:
        raise validation_error(error) from None
    if not book.title.strip():
        raise RequestError(400, "InvalidInput", "A book has a title.", target="title")
    return book.model_copy(update=kept)
