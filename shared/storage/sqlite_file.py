"""The file of the embedded store: made in one step, and checked before it is used. Blocking; no event loop.

A new file appears under its name with its schema's number in it. So a file that is empty, or cut off, was not left by
a crash of this app: somebody's disk or copy has lost it, and to begin anew in its place would hide that.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from shared.errors import StorageUnavailable, StorageUnusable, other_schema
from shared.model.operation import SCHEMA_VERSION
from shared.storage.disk_errors import DAMAGED, explained
from shared.storage.sqlite_rows import COLUMNS, STORE_ERRORS, RowWriter, connect

_CHECKED_BYTES = 128 * 1024 * 1024
"""Up to this size every page of a file is looked at: a tenth of a second. A larger one would hold up the start."""


class FileIdentity(NamedTuple):
    """Which file lies at a path. SQLite goes on with a file that was removed, and all that it writes then is lost."""

    path: str
    device: int
    number: int

    @classmethod
    def of(cls, path: Path) -> "FileIdentity":
        found = path.stat()
        return cls(str(path), found.st_dev, found.st_ino)

    def check(self) -> None:
        """Raises StorageUnavailable where another file, or none, is there by now."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            found = None
        if found is not None and found.st_ino == self.number and found.st_dev == self.device:
            return
        raise StorageUnavailable(
            f"{self.path!r} was removed or replaced while the app runs, so nothing is written to it any more: "
            "stop the app, put the file back, and start again"
        )


def open_file(path: Path) -> tuple[RowWriter, FileIdentity]:
    """The store's writer, once the file is known to be whole, of this app and writable; it is made where there is none.

    Raises StorageUnusable, and SettingsError for a file of another schema.
    """
    try:
        if not os.path.lexists(path):
            _make(path)
        elif path.is_file() and path.stat().st_size == 0:
            raise StorageUnusable(f"{str(path)!r} is empty: it has lost what was in it; {DAMAGED}")
        with closing(sqlite3.connect(path, timeout=5, isolation_level=None)) as connection:
            _check(connection, path)
        connection = connect(path)
        try:
            return RowWriter(connection), FileIdentity.of(path)
        except BaseException:
            connection.close()
            raise
    except STORE_ERRORS as error:
        raise explained(StorageUnusable, path, error) from error


def _make(path: Path) -> None:
    draft = path.with_name(f"{path.name}.new")
    for left in (draft, *(path.with_name(f"{path.name}-{suffix}") for suffix in ("wal", "shm"))):
        left.unlink(missing_ok=True)
    with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    os.replace(draft, path)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Raises StorageUnusable, sqlite3.Error, and SettingsError for another schema."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    columns = {name for (name,) in connection.execute("SELECT name FROM pragma_table_info('rows')")}
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if "tab" in columns and found != SCHEMA_VERSION:
        raise other_schema(found or 1, SCHEMA_VERSION)  # schema 1 had no number
    is_new = found == SCHEMA_VERSION and not tables
    if columns != set(COLUMNS) and not is_new:
        raise StorageUnusable(
            f"{str(path)!r} is a database of another program: set DATA_DIR to a folder of this app's own"
        )
    # What a crash has left in the log goes into the file, which then has its whole length.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    size, (page_size,) = path.stat().st_size, connection.execute("PRAGMA page_size").fetchone()
    if size % page_size:
        raise StorageUnusable(f"{str(path)!r} is cut off in the middle of a page; {DAMAGED}")
    if size <= _CHECKED_BYTES:
        (first, *_) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if first != "ok":
            raise StorageUnusable(f"{str(path)!r} is damaged ({' '.join(str(first).split())}); {DAMAGED}")
