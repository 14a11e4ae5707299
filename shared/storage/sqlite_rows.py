"""Rows in one SQLite file: SQL on a connection, no threads.

Columns are kept as one JSON object, which gives str, int, float and bool back as they were.
"""

import json
import sqlite3
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from pydantic_core import from_json, to_json

from shared.errors import StorageConflict
from shared.storage.disk_errors import DISK_ERRORS
from shared.storage.known_rows import KnownRow, KnownRows, Place
from shared.storage.limits import MAX_COLUMNS, check_row
from shared.storage.ports import Change, Delete, Insert, Merge, Replace, Row, Scalar, Upsert

_COLUMN_BYTES, _SURELY_STORED = 16, 1024 * 1024 - 8 * 1024
"""A row whose columns and text make no more than that, each character counted as four bytes, has room in Azure Tables
with the longest keys: it need not be counted (`limits.check_row`)."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rows (
    tab TEXT NOT NULL, part TEXT NOT NULL, key TEXT NOT NULL, etag TEXT NOT NULL, cols TEXT NOT NULL,
    PRIMARY KEY (tab, part, key)
);
CREATE TABLE IF NOT EXISTS opened (times INTEGER NOT NULL);
INSERT INTO opened SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM opened);
"""

STORE_ERRORS = (sqlite3.Error, *DISK_ERRORS)
"""What reading and writing the file raises."""

COLUMNS = ("tab", "part", "key", "etag", "cols")
"""Those of the table `rows`."""

_PATIENCE = 5
"""Seconds for which another program's lock is waited for."""

_PAGE_BYTES = 4096
_ROW_BYTES = 500
"""Of text that takes as long to read as a row does besides."""

_AT = "WHERE tab = ? AND part = ? AND key = ?"


def connect(path: Path) -> sqlite3.Connection:
    """WAL with synchronous=NORMAL (see `SqliteTables` for what that survives); transactions are begun by hand."""
    connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def wait_for_locks(connection: sqlite3.Connection) -> Generator[None]:
    """Meanwhile the connection waits for another program's lock; otherwise it does not."""
    connection.execute(f"PRAGMA busy_timeout = {_PATIENCE * 1000}")
    try:
        yield
    finally:
        connection.execute("PRAGMA busy_timeout = 0")


class TooMuch(Exception):
    """The rows are more than was allowed."""


class RowWriter:
    """Applies transactions on one connection. The caller begins, and ends with `commit` or `roll_back`.

    One transaction's failure is undone, the others of the group stand.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.known = KnownRows()
        connection.executescript(_SCHEMA)
        (opened,) = connection.execute("UPDATE opened SET times = times + 1 RETURNING times").fetchone()
        self._prefix = f"{opened:x}"
        self._numbers = count(1)
        self.log_pages = 0
        """About as many pages have been written to the log since somebody set this to 0."""

    def touch(self) -> None:
        """Write something that tells nothing."""
        self.connection.execute("UPDATE opened SET times = times + 1")

    def read(self, place: Place, columns: Sequence[str] | None) -> Row | None:
        """As `read_row`, and kept in mind. Not while a group is applied."""
        found = self._stored(place)
        self.known.note(found, place)
        self.known.commit()
        return found and found.view(columns)

    def commit(self) -> None:
        self.connection.execute("COMMIT")
        self.known.commit()

    def roll_back(self) -> None:
        self.known.roll_back()
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def apply(self, table: str, partition: str, changes: Sequence[Change]) -> tuple[str | None, ...]:
        """All of `changes` or none; raises StorageConflict with the index of the change that failed, StorageRefused."""
        try:
            if len(changes) == 1:
                return (self._change(table, partition, changes[0], 0),)  # one statement, undone by itself
            return self._apply_all(table, partition, changes)
        except BaseException:
            for change in changes:
                self.known.note(None, (table, partition, change.key))
            raise

    def _apply_all(self, table: str, partition: str, changes: Sequence[Change]) -> tuple[str | None, ...]:
        self.connection.execute("SAVEPOINT one")
        try:
            etags = tuple(self._change(table, partition, change, at) for at, change in enumerate(changes))
        except BaseException:
            self.connection.execute("ROLLBACK TO one")
            self.connection.execute("RELEASE one")
            raise
        self.connection.execute("RELEASE one")
        return etags

    def _change(self, table: str, partition: str, change: Change, index: int) -> str | None:
        place = (table, partition, change.key)
        self.log_pages += 2
        match change:
            case Insert() | Upsert():
                return self._insert(place, change, index)
            case Merge():
                return self._merge(place, change, index)
            case Replace(values=values):
                self._require(place, change.if_match, index)
                return self._update(place, None, values)
            case Delete():
                self._delete(place, change.if_match, index)
                return None

    def _insert(self, place: Place, change: Insert | Upsert, index: int) -> str:
        etag, verb = self._next_etag(), "INSERT" if isinstance(change, Insert) else "INSERT OR REPLACE"
        text = self._text(change.values)
        try:
            self.connection.execute(f"{verb} INTO rows VALUES (?, ?, ?, ?, ?)", (*place, etag, text))
        except sqlite3.IntegrityError:
            raise StorageConflict(f"table {place[0]}: the row {place[2]!r} exists", index=index) from None
        self.known.note(KnownRow(place, etag, change.values, text), place)
        return etag

    def _merge(self, place: Place, change: Merge, index: int) -> str:
        known = self.known.latest(place)
        if known is not None and change.if_match in (None, known.etag):
            etag = self._update(place, known.etag, {**known.values, **change.values})
            if etag is not None:
                return etag
            # Another program has changed the file.
        stored = self._require(place, change.if_match, index)
        etag = self._update(place, stored.etag, {**stored.values, **change.values})
        assert etag is not None, "nobody else writes during a transaction"
        return etag

    def _update(self, place: Place, before: str | None, values: Mapping[str, Scalar]) -> str | None:
        """The row's new etag; None where it has not the etag `before`."""
        text = self._text(values)
        if 4 * len(text) + _COLUMN_BYTES * len(values) > _SURELY_STORED or len(values) > MAX_COLUMNS:
            check_row(place[1], place[2], values)
        etag = self._next_etag()
        written = self.connection.execute(
            f"UPDATE rows SET etag = ?, cols = ? {_AT} AND etag = coalesce(?, etag)",  # noqa: S608  # constant text
            (etag, text, *place, before),
        )
        if not written.rowcount:
            return None
        self.known.note(KnownRow(place, etag, values, text), place)
        return etag

    def _delete(self, place: Place, if_match: str | None, index: int) -> None:
        gone = self.connection.execute(f"DELETE FROM rows {_AT} AND etag = coalesce(?, etag)", (*place, if_match))  # noqa: S608  # constant text
        if not gone.rowcount:
            self._require(place, if_match, index)
        self.known.note(None, place)

    def _stored(self, place: Place) -> KnownRow | None:
        found = self.connection.execute(f"SELECT etag, cols FROM rows {_AT}", place).fetchone()  # noqa: S608  # constant text
        return found and KnownRow(place, found[0], _decode(found[1]), found[1])

    def _require(self, place: Place, if_match: str | None, index: int) -> KnownRow:
        """The row as stored, given that it is there and unchanged."""
        found = self._stored(place)
        if found is None:
            raise StorageConflict(f"table {place[0]}: the row {place[2]!r} is gone", index=index)
        if if_match is not None and found.etag != if_match:
            raise StorageConflict(f"table {place[0]}: the row {place[2]!r} has changed", index=index)
        return found

    def _text(self, values: Mapping[str, Scalar]) -> str:
        text = to_json(values).decode()
        self.log_pages += len(text) // _PAGE_BYTES
        return text

    def _next_etag(self) -> str:
        """Never used twice in this file: the first part counts the times the file was opened."""
        return f"{self._prefix}.{next(self._numbers):x}"


def read_row(connection: sqlite3.Connection, place: Place, columns: Sequence[str] | None) -> Row | None:
    found = connection.execute(f"SELECT etag, cols FROM rows {_AT}", place).fetchone()  # noqa: S608  # constant text
    return found and Row(place[1], place[2], _decode(found[1], columns), found[0])


def read_range(
    connection: sqlite3.Connection,
    table: str,
    partition: str,
    *,
    lower: str,
    upper: str,
    columns: Sequence[str] | None,
    limit: int,
    most: int | None = None,
) -> tuple[list[Row], str | None]:
    """Up to `limit` rows with `lower <= key < upper`, and the key the next page begins with.

    Raises TooMuch where they are more than `most` bytes.
    """
    cursor = connection.execute(
        "SELECT key, etag, cols FROM rows WHERE tab = ? AND part = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?",
        (table, partition, lower, upper, limit + 1),
    )
    found: list[tuple[str, str, str]] = []
    size = 0
    for each in cursor:
        found.append(each)
        size += _ROW_BYTES + len(each[2])
        if most is not None and size > most:
            cursor.close()
            raise TooMuch
    rows = [Row(partition, key, _decode(cols, columns), etag) for key, etag, cols in found[:limit]]
    return rows, found[limit][0] if len(found) > limit else None


def read_names(connection: sqlite3.Connection) -> list[str]:
    """The tables that have rows."""
    return [name for (name,) in connection.execute("SELECT DISTINCT tab FROM rows ORDER BY tab")]


def read_after(connection: sqlite3.Connection, table: str, partition: str, key: str, limit: int) -> list[Row]:
    """Rows of all partitions that come after this one, in order."""
    found = connection.execute(
        "SELECT part, key, etag, cols FROM rows WHERE tab = ? AND (part, key) > (?, ?) ORDER BY part, key LIMIT ?",
        (table, partition, key, limit),
    )
    return [Row(part, key, _decode(cols), etag) for part, key, etag, cols in found]


def _decode(text: str, columns: Sequence[str] | None = None) -> dict[str, Scalar]:
    """Raises JSONDecodeError for a damaged row."""
    try:
        values: dict[str, Scalar] = from_json(text)
    except ValueError as error:
        raise json.JSONDecodeError(str(error), text, 0) from None
    return values if columns is None else {name: values[name] for name in columns if name in values}
