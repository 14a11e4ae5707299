"""Rows in one SQLite file: SQL on a connection, no threads.

Columns are kept as one JSON object, which gives str, int, float and bool back as they were.
"""

import json
import sqlite3
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from shared.errors import StorageConflict
from shared.storage.disk_errors import DISK_ERRORS
from shared.storage.limits import MAX_COLUMNS, check_row
from shared.storage.ports import Change, Delete, Insert, Merge, Replace, Row, Scalar, Upsert

_COLUMN_BYTES, _SURELY_STORED = 16, 1024 * 1024 - 8 * 1024
"""A row whose columns and text make no more than that, each character counted as four bytes, has room in Azure Tables
with the longest keys: it need not be counted (`limits.check_row`)."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
"""One for all: `json.dumps` makes a new one for every call that has such parameters."""

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
    """Applies transactions on one connection. The caller begins and commits; one transaction's failure is undone."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        connection.executescript(_SCHEMA)
        (opened,) = connection.execute("UPDATE opened SET times = times + 1 RETURNING times").fetchone()
        self._prefix = f"{opened:x}"
        self._numbers = count(1)
        self.log_pages = 0
        """About as many pages have been written to the log since somebody set this to 0."""

    def touch(self) -> None:
        """Write something that tells nothing."""
        self.connection.execute("UPDATE opened SET times = times + 1")

    def apply(self, table: str, partition: str, changes: Sequence[Change]) -> tuple[str | None, ...]:
        """All of `changes` or none; raises StorageConflict with the index of the change that failed, StorageRefused."""
        if len(changes) == 1:
            return (self._change(table, partition, changes[0], 0),)  # one statement, undone by itself
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
        if isinstance(change, Insert | Upsert):
            return self._insert(place, change, index)
        found = self._require(place, change.if_match, index)
        match change:
            case Merge(values=values):
                merged = {**_decode(found), **values}
                text = self._text(merged)
                if 4 * len(text) + _COLUMN_BYTES * len(merged) > _SURELY_STORED or len(merged) > MAX_COLUMNS:
                    check_row(partition, change.key, merged)
                return self._update(place, text)
            case Replace(values=values):
                return self._update(place, self._text(values))
            case Delete():
                self.connection.execute(f"DELETE FROM rows {_AT}", place)  # noqa: S608  # constant text
                return None

    def _insert(self, place: tuple[str, str, str], change: Insert | Upsert, index: int) -> str:
        etag, verb = self._next_etag(), "INSERT" if isinstance(change, Insert) else "INSERT OR REPLACE"
        try:
            self.connection.execute(
                f"{verb} INTO rows VALUES (?, ?, ?, ?, ?)", (*place, etag, self._text(change.values))
            )
        except sqlite3.IntegrityError:
            raise StorageConflict(f"table {place[0]}: the row {place[2]!r} exists", index=index) from None
        return etag

    def _update(self, place: tuple[str, str, str], text: str) -> str:
        etag = self._next_etag()
        self.connection.execute(f"UPDATE rows SET etag = ?, cols = ? {_AT}", (etag, text, *place))  # noqa: S608  # constant text
        return etag

    def _require(self, place: tuple[str, str, str], if_match: str | None, index: int) -> str:
        """The row's columns, given that it is there and unchanged."""
        found = self.connection.execute(f"SELECT etag, cols FROM rows {_AT}", place).fetchone()  # noqa: S608  # constant text
        if found is None:
            raise StorageConflict(f"table {place[0]}: the row {place[2]!r} is gone", index=index)
        if if_match is not None and found[0] != if_match:
            raise StorageConflict(f"table {place[0]}: the row {place[2]!r} has changed", index=index)
        return found[1]

    def _text(self, values: Mapping[str, Scalar]) -> str:
        text = _encode(values)
        self.log_pages += len(text) // _PAGE_BYTES
        return text

    def _next_etag(self) -> str:
        """Never used twice in this file: the first part counts the times the file was opened."""
        return f"{self._prefix}.{next(self._numbers):x}"


def read_row(
    connection: sqlite3.Connection, table: str, partition: str, key: str, columns: Sequence[str] | None
) -> Row | None:
    found = connection.execute(f"SELECT etag, cols FROM rows {_AT}", (table, partition, key)).fetchone()  # noqa: S608  # constant text
    return None if found is None else Row(partition, key, _decode(found[1], columns), found[0])


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


def _encode(values: Mapping[str, Scalar]) -> str:
    return _ENCODER.encode(dict(values))


def _decode(text: str, columns: Sequence[str] | None = None) -> dict[str, Scalar]:
    values: dict[str, Scalar] = json.loads(text)
    return values if columns is None else {name: values[name] for name in columns if name in values}
