"""Books as rows: one each, in one partition of the table `books`, so that several are changed in one transaction.

The column `loaded` is true in a row that a bulk load has written and nobody has changed since. A tombstone stands for a
book that was removed together with others, for a while. Column names are stored: never renamed.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from library.models import Book
from shared.storage import Row, Scalar

PARTITION = "books"

FIRST = "0"
"""No id lies below it, and what is below it is no book (`library.leftovers`)."""

LAST = "~"
"""Every id lies below it."""

KEPT = timedelta(days=1)
"""How long a tombstone answers a writer that does the same again, and how long nobody looks for what a crash left."""

LOADED: dict[str, Scalar] = {"loaded": True}
"""What a bulk load adds to the columns of a book."""

_JSON_COLUMNS = ("creators", "identifiers", "warnings", "cover")
_NULLABLE = ("language", "published", "publisher", "sha256", "shelf")


def ids_beyond(book_id: str | None) -> str:
    """The lower bound of the ids that follow `book_id`, or of all: `!` sorts below every character of an id."""
    return FIRST if book_id is None else f"{book_id}!"


def book_columns(book: Book) -> dict[str, Scalar]:
    """A book as columns; an empty string stands for null."""
    values = book.model_dump(mode="json")
    for name in _JSON_COLUMNS:
        values[name] = json.dumps(values[name], ensure_ascii=False)
    # Shelves are looked for without regard to case, as ARM compares ids.
    values["shelf_key"] = (book.shelf or "").lower()
    return {name: "" if value is None else value for name, value in values.items()}


def book_of(row: Row | None) -> Book | None:
    """The book of a row; None for a tombstone, too."""
    return None if row is None or is_tombstone(row) else book_from_columns(row.values)


def book_from_columns(values: Mapping[str, Scalar]) -> Book:
    known: dict[str, Any] = {name: values.get(name) for name in Book.model_fields}
    for name in _NULLABLE:
        known[name] = known[name] or None
    for name in _JSON_COLUMNS:
        known[name] = json.loads(str(known[name])) if known[name] else None
    return Book.model_validate(known, by_name=True)


def tombstone(row: Row, *, removed: datetime, by: str) -> dict[str, Scalar]:
    """The columns that stand for the removed book of `row`; they keep the names of its files, which go after it."""
    files = {name: row.values.get(name, "") for name in ("sha256", "superseded")}
    return {"tombstone": True, "removed": removed.isoformat(), "written_by": by, **files}


def is_tombstone(row: Row) -> bool:
    return bool(row.values.get("tombstone"))


def named_files(row: Row) -> set[str]:
    """The SHA-256s of the files that a row leads to."""
    return {str(row.values.get(name, "")) for name in ("sha256", "superseded")} - {""}


def short_etag(row: Row) -> str:
    """The etag that clients see."""
    return sha256(row.etag.encode()).hexdigest()[:16]
