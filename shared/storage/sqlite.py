"""The table port on one SQLite file, `DATA_DIR/tables.db`: the embedded default, with nothing to install.

One thread writes. It takes whatever transactions are waiting, applies each under a savepoint of its own, commits them
together and only then answers: one commit serves many callers, and one caller's conflict leaves its neighbours alone.
Reads run side by side in other threads, on what is committed (write-ahead log).

Durability: synchronous=NORMAL. What was answered survives the death of the process, `kill -9` included; a power cut
or a crash of the operating system may lose the last moments, never the file's consistency (sqlite.org, "PRAGMA
synchronous").
"""

import asyncio
import queue
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from shared.errors import StorageError, StorageUnavailable
from shared.model.timing import Clock
from shared.storage.directory_lock import DirectoryLock
from shared.storage.disk_errors import explained
from shared.storage.limits import MAX_PAGE, check_key, check_store_name, check_transaction
from shared.storage.pages import decode_token, encode_token
from shared.storage.ports import Change, Page, Row, Table
from shared.storage.sqlite_file import open_file
from shared.storage.sqlite_rows import STORE_ERRORS, RowWriter, connect, read_range, read_row
from shared.system_clock import SystemClock

T = TypeVar("T")

_MAX_GROUP = 256
"""Transactions in one commit: enough to make its cost vanish, few enough that nobody waits long for the others."""

_READERS = 2

Answers = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class _Job:
    table: str
    partition: str
    changes: Sequence[Change]
    loop: asyncio.AbstractEventLoop
    answer: "asyncio.Future[Answers]"


class SqliteTables:
    """All tables of one DATA_DIR, opened and checked on creation.

    Raises StorageUnusable: another process uses the directory, nobody can write there, or its file is damaged or
    somebody else's; and SettingsError for a file of another schema.

    With `empty_pages` the first page of every range is empty and continues, as Azure's may: a switch for tests.
    """

    def __init__(self, data_dir: Path, *, clock: Clock | None = None, empty_pages: bool = False) -> None:
        self._lock = DirectoryLock(data_dir)
        self.exclusive_since: datetime | None = (clock or SystemClock()).now()
        """The lock is held from here on: its former owner has died, or has let it go."""
        self._path = data_dir / "tables.db"
        try:
            self._rows, self._file = open_file(self._path)
        except BaseException:
            self._lock.release()
            raise
        self.empty_pages = empty_pages
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._connections: list[sqlite3.Connection] = [self._rows.connection]
        self._local = threading.local()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="sqlite-read")
        self._writer = threading.Thread(target=self._write_until_closed, name="sqlite-write", daemon=True)
        self._writer.start()

    def table(self, name: str) -> Table:
        check_store_name(name)
        return _SqliteTable(self, name)

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
        self._jobs.put(None)
        self._writer.join()
        self._readers.shutdown()
        for connection in self._connections:
            connection.close()
        self._lock.release()

    async def write(self, table: str, partition: str, changes: Sequence[Change]) -> Answers:
        """Queue a transaction and wait for the commit that holds it. Cancelling the wait does not recall it."""
        self._require_open()
        loop = asyncio.get_running_loop()
        job = _Job(table, partition, changes, loop, loop.create_future())
        self._jobs.put(job)
        return await job.answer

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run `query` in a reader thread."""
        self._require_open()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, self._query, query)
        except STORE_ERRORS as error:
            raise explained(StorageUnavailable, self._path, error) from error

    def _require_open(self) -> None:
        if self._closed:
            raise StorageUnavailable(f"{self._path} is closed")

    def _query(self, query: Callable[[sqlite3.Connection], T]) -> T:
        self._file.check()
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connect(self._path)
            connection.execute("PRAGMA query_only = ON")
            self._connections.append(connection)
        return query(connection)

    def _write_until_closed(self) -> None:
        """The writer thread. It outlives every failure: each is an answer to the callers it concerns."""
        connection = self._rows.connection
        while (group := self._next_group()) is not None:
            try:
                self._file.check()
                outcomes = [
                    self._failure(each) if isinstance(each, STORE_ERRORS) else each
                    for each in _commit(self._rows, group)
                ]
            except Exception as error:
                if connection.in_transaction:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                outcomes = [self._failure(error) for _ in group]
            _answer(group, outcomes)

    def _failure(self, error: Exception) -> StorageError:
        if isinstance(error, StorageError):
            return StorageUnavailable(str(error))
        return explained(StorageUnavailable, self._path, error)

    def _next_group(self) -> list[_Job] | None:
        """Wait for a transaction, then take all that wait behind it; None once closed and drained."""
        first = self._jobs.get()
        if first is None:
            return None
        group = [first]
        while len(group) < _MAX_GROUP:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)  # finish this group first
                break
            group.append(job)
        return group


class _SqliteTable:
    def __init__(self, store: SqliteTables, name: str) -> None:
        self._store = store
        self._name = name

    async def read(self, partition: str, key: str, *, columns: Sequence[str] | None = None) -> Row | None:
        check_key(partition, "partition")
        check_key(key)
        return await self._store.read(lambda connection: read_row(connection, self._name, partition, key, columns))

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
            lambda connection: read_range(
                connection,
                self._name,
                partition,
                lower=start,
                upper=upper,
                columns=columns,
                limit=max(1, min(limit, MAX_PAGE)),
            )
        )
        return Page(tuple(rows), None if following is None else encode_token(following))


def _commit(writer: RowWriter, group: Sequence[_Job]) -> list[Answers | Exception]:
    """Apply every job, commit once. A job's conflict is its own; a database error is everybody's."""
    outcomes: list[Answers | Exception] = []
    writer.connection.execute("BEGIN IMMEDIATE")
    for job in group:
        try:
            outcomes.append(writer.apply(job.table, job.partition, job.changes))
        except sqlite3.Error:
            raise
        except Exception as error:
            outcomes.append(error)
    writer.connection.execute("COMMIT")
    return outcomes


def _answer(group: Sequence[_Job], outcomes: Sequence[Answers | Exception]) -> None:
    """Wake each event loop once for all its callers."""
    by_loop: defaultdict[asyncio.AbstractEventLoop, list[tuple[_Job, Answers | Exception]]] = defaultdict(list)
    for job, outcome in zip(group, outcomes, strict=True):
        by_loop[job.loop].append((job, outcome))
    for loop, answered in by_loop.items():
        with suppress(RuntimeError):  # that loop is closed: nobody is waiting
            loop.call_soon_threadsafe(_settle, answered)


def _settle(answered: Sequence[tuple[_Job, Answers | Exception]]) -> None:
    for job, outcome in answered:
        if job.answer.done():
            continue  # its caller was cancelled
        if isinstance(outcome, Exception):
            job.answer.set_exception(outcome)
        else:
            job.answer.set_result(outcome)
