"""The table port on one SQLite file, `DATA_DIR/tables.db`: the embedded default, with nothing to install.

Small calls are made on the event loop's thread (`loop_calls.py`): a read at once, and writes in groups, one for each
turn of the loop. What is large, what meets another program's lock, and the log's way into the file is left to threads;
and everything, once calls have been slow.

A group is applied transaction by transaction, each under a savepoint of its own, committed together and only then
answered: one commit serves many callers, and one caller's conflict leaves its neighbours alone.

Durability: synchronous=NORMAL. What was answered survives the death of the process, `kill -9` included; a power cut
or a crash of the operating system may lose the last moments, never the file's consistency (sqlite.org, "PRAGMA
synchronous").
"""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from shared.errors import StorageUnavailable
from shared.model.timing import Clock
from shared.storage.directory_lock import DirectoryLock
from shared.storage.disk_errors import explained
from shared.storage.known_rows import Place
from shared.storage.limits import MAX_PAGE, check_key, check_store_name, check_transaction
from shared.storage.loop_calls import LoopCalls
from shared.storage.pages import decode_token, encode_token
from shared.storage.ports import Change, Page, Row, Table
from shared.storage.sqlite_rows import (
    STORE_ERRORS,
    RowWriter,
    TooMuch,
    connect,
    read_after,
    read_names,
    read_range,
    read_row,
)
from shared.storage.sqlite_writer import Answers, LeftToThreads, SqliteWriter
from shared.system_clock import SystemClock

T = TypeVar("T")

_READERS = 2
_SMALL = 64 * 1024
"""Bytes of rows that are read on the loop's thread."""


Query = Callable[[sqlite3.Connection, int | None], T]
"""A question to the file. It raises TooMuch where its answer is more than so many bytes."""


class SqliteTables:
    """All tables of one DATA_DIR, opened and checked on creation.

    Raises StorageUnusable: another process uses the directory, nobody can write there, or its file is damaged or
    somebody else's; and SettingsError for a file of another schema.

    With `empty_pages` the first page of every range is empty and continues, as Azure's may: a switch for tests, as
    `calls` is, which makes the calls on the loop's thread.
    """

    def __init__(
        self, data_dir: Path, *, clock: Clock | None = None, empty_pages: bool = False, calls: LoopCalls | None = None
    ) -> None:
        clock = clock or SystemClock()
        self._calls = calls or LoopCalls(clock)
        self._lock = DirectoryLock(data_dir)
        self.exclusive_since: datetime | None = clock.now()
        """The lock is held from here on: its former owner has died, or has let it go."""
        self._path = data_dir / "tables.db"
        try:
            self._writer = SqliteWriter(self._path, self._calls)
        except BaseException:
            self._lock.release()
            raise
        self.empty_pages = empty_pages
        self._closed = False
        self._connections: list[sqlite3.Connection] = []
        self._local = threading.local()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="sqlite-read")

    def table(self, name: str) -> Table:
        check_store_name(name)
        return _SqliteTable(self, name)

    async def names(self) -> list[str]:
        """The tables that have rows."""
        return await self.read(lambda connection, most: read_names(connection))

    async def rows(self, name: str) -> AsyncIterator[Row]:
        """Every row of a table."""
        last = ("", "")
        while found := await self.read(
            lambda connection, most, last=last: read_after(connection, name, *last, limit=MAX_PAGE)
        ):
            for row in found:
                yield row
            last = (found[-1].partition, found[-1].key)

    async def aclose(self) -> None:
        """Waits for what is queued, then closes the file and lets the directory go. May be called again."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._finish)

    def close(self) -> None:
        """As `aclose`, where no event loop runs; blocks."""
        if not self._closed:
            self._closed = True
            self._finish()

    def _finish(self) -> None:
        self._writer.close()
        self._readers.shutdown()
        for connection in self._connections:
            connection.close()
        self._lock.release()

    async def write(self, table: str, partition: str, changes: Sequence[Change]) -> Answers:
        """Have a transaction committed. Cancelling the wait does not recall it."""
        self._require_open()
        return await self._writer.write(table, partition, changes)

    def known_row(self, place: Place, columns: Sequence[str] | None) -> Row | None:
        """The row, where it is known without reading it."""
        self._require_open()
        try:
            return self._writer.known(place, columns)
        except STORE_ERRORS as error:
            raise explained(StorageUnavailable, self._path, error) from error

    async def read_row(self, place: Place, columns: Sequence[str] | None) -> Row | None:
        """The row, from the file."""
        self._require_open()
        return await self._ask(
            lambda rows: rows.read(place, columns), lambda connection, most: read_row(connection, place, columns)
        )

    async def read(self, query: Query[T]) -> T:
        """What `query` returns: on the loop's thread, or where it says that this is too much for it, in another."""
        self._require_open()
        return await self._ask(lambda rows: query(rows.connection, _SMALL), query)

    async def _ask(self, on_loop: Callable[[RowWriter], T], in_thread: Query[T]) -> T:
        try:
            if self._calls.are_made:
                await self._calls.take_turn()
                with suppress(LeftToThreads, TooMuch):
                    return self._writer.read(on_loop)
            return await asyncio.get_running_loop().run_in_executor(self._readers, self._query, in_thread)
        except STORE_ERRORS as error:
            raise explained(StorageUnavailable, self._path, error) from error

    def _require_open(self) -> None:
        if self._closed:
            raise StorageUnavailable(f"{self._path} is closed")

    def _query(self, query: Query[T]) -> T:
        self._writer.file.check()
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connect(self._path)
            connection.execute("PRAGMA query_only = ON")
            self._connections.append(connection)
        return query(connection, None)


class _SqliteTable:
    def __init__(self, store: SqliteTables, name: str) -> None:
        self._store = store
        self._name = name

    async def read(self, partition: str, key: str, *, columns: Sequence[str] | None = None) -> Row | None:
        place = self._name, partition, key
        known = self._store.known_row(place, columns)
        if known is not None:
            return known  # Its keys were checked when it was written.
        check_key(partition, "partition")
        check_key(key)
        return await self._store.read_row(place, columns)

    async def write(self, partition: str, changes: Sequence[Change]) -> Answers:
        check_transaction(partition, changes)
        return await self._store.write(self._name, partition, changes)

    async def page(
        self,
        partition: str,
        *,
        lower: str,
        upper: str,
        columns: Sequence[str] | None = None,
        limit: int = MAX_PAGE,
        continuation: str | None = None,
    ) -> Page:
        check_key(partition, "partition")
        if continuation is None and self._store.empty_pages:
            return Page((), encode_token(lower))
        start = lower if continuation is None else max(lower, str(decode_token(continuation)))
        rows, following = await self._store.read(
            lambda connection, most: read_range(
                connection,
                self._name,
                partition,
                lower=start,
                upper=upper,
                columns=columns,
                limit=max(1, min(limit, MAX_PAGE)),
                most=most,
            )
        )
        return Page(tuple(rows), None if following is None else encode_token(following))
