"""Books as rows, in two kinds of partitions of the table `books`.

    books           books stored one by one; and tombstones, which stand for books that were removed
    set-{name}      the books of one bulk load, which count while the pointer names the set (library/sets.py)

A book stored by itself wins over one of the published set. A tombstone hides the set's row that was there when the
book was removed: it names that row's `origin`, the load that brought it, so that the row stays hidden when another
load copies it, and a row that a later load brings is seen. Column names are stored: never renamed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from library.models import Book
from shared.operations.rows import write_time
from shared.storage.ports import Row, Scalar
from shared.storage.write_once import WRITE_ID

OWN = "books"
"""The partition of books stored one by one."""

FIRST, LAST = "0", "~"
"""Every id lies between these: ids begin with a letter or a digit."""

_JSON_COLUMNS = ("creators", "identifiers", "warnings", "cover")
_NULLABLE = ("language", "published", "publisher", "sha256", "shelf")


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
    for name in _NULLABLE:
        known[name] = known[name] or None
    for name in _JSON_COLUMNS:
        known[name] = json.loads(str(known[name])) if known[name] else None
    return Book.model_validate(known, by_name=True)


def tombstone(*, hides: str, removed: datetime, by: str = "", row: Row | None = None) -> dict[str, Scalar]:
    """What stands for a removed book. It keeps the names of the files of `row`: whoever meets it removes them."""
    files = {name: row.values.get(name, "") for name in ("sha256", "superseded")} if row is not None else {}
    return {"tombstone": True, "hides": hides, "removed": write_time(removed), "written_by": by, **files}


def is_tombstone(row: Row | None) -> bool:
    return row is not None and bool(row.values.get("tombstone"))


def set_columns(book: Book, origin: str) -> dict[str, Scalar]:
    """A bulk-loaded book; `origin` is the set whose load brought it."""
    return {**book_columns(book), "origin": origin}


def copied(row: Row) -> dict[str, Scalar]:
    """The columns of a set's row for another set: it keeps its origin."""
    return {name: value for name, value in row.values.items() if name != WRITE_ID}


def named_files(row: Row) -> set[str]:
    """The SHA-256s of the files that a row leads to."""
    return {str(row.values.get(name, "")) for name in ("sha256", "superseded")} - {""}


def row_etag(row: Row) -> str:
    """The etag clients see: short, and of what they see. A set's row keeps it when it is copied to another set."""
    return short_etag(str(row.values["origin"]) + "/" + row.key if "origin" in row.values else row.etag)


def short_etag(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class FoundBook:
    """A book as it is seen, with the row it came from."""

    row: Row

    @property
    def book(self) -> Book:
        """Made anew each time: whoever goes through many pages does not hold all books of one."""
        return book_from_columns(self.row.values)

    @property
    def etag(self) -> str:
        return row_etag(self.row)


def seen(own: Row | None, bulk: Row | None) -> FoundBook | None:
    """What is seen of a book, given its row in `books` and its row in the published set."""
    if own is not None and not is_tombstone(own):
        return FoundBook(own)
    if bulk is None or (own is not None and own.values.get("hides") == bulk.values.get("origin")):
        return None
    return FoundBook(bulk)
