"""The table port on one SQLite file, `DATA_DIR/tables.db`: the embedded default, with nothing to install.

One thread writes. It takes whatever transactions are waiting, applies each under a savepoint of its own, commits them
together and only then answers: one commit serves many callers, and one caller's conflict leaves its neighbours alone.
Reads run side by side in other threads, on what is committed (write-ahead log).

Durability: synchronous=NORMAL. What was answered survives the death of the process, `kill -9` included; a power cut
or a crash of the operating system may lose the last moments, never the file's consistency (sqlite.org, "PRAGMA
synchronous").
"""

import asyncio
import json
import queue
import sqlite3
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from shared.errors import StorageRefused, StorageUnavailable
from shared.storage.directory_lock import DirectoryLock
from shared.storage.limits import MAX_PAGE, check_key, check_store_name, check_transaction
from shared.storage.ports import Change, Page, Row, Table
from shared.storage.sqlite_rows import RowWriter, connect, read_range, read_row

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
    """All tables of one DATA_DIR. Raises SettingsError on creation while another process uses the directory.

    With `empty_pages` the first page of every range is empty and continues, as Azure's may: a switch for tests.
    """

    def __init__(self, data_dir: Path, *, empty_pages: bool = False) -> None:
        self._lock = DirectoryLock(data_dir)
        self._path = data_dir / "tables.db"
        self._empty_pages = empty_pages
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._opened = threading.Event()
        self._closed = False
        self._connections: list[sqlite3.Connection] = []
        self._local = threading.local()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="sqlite-read")
        self._writer = threading.Thread(target=self._write_until_closed, name="sqlite-write", daemon=True)
        self._writer.start()

    def table(self, name: str) -> Table:
        check_store_name(name)
        return _SqliteTable(self, name)

    async def aclose(self) -> None:
        """Waits for what is queued, then closes the file and lets the directory go. May be called again."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._readers.shutdown)
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
        except (sqlite3.Error, OSError) as error:
            raise StorageUnavailable(f"{self._path}: {error}") from error

    def first_page_is_empty(self) -> bool:
        return self._empty_pages

    def _require_open(self) -> None:
        if self._closed:
            raise StorageUnavailable(f"{self._path} is closed")

    def _query(self, query: Callable[[sqlite3.Connection], T]) -> T:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            self._opened.wait()  # the writer makes the schema
            connection = self._local.connection = connect(self._path)
            connection.execute("PRAGMA query_only = ON")
            self._connections.append(connection)
        return query(connection)

    def _write_until_closed(self) -> None:
        """The writer thread. It outlives every failure: each is an answer to the callers it concerns."""
        writer: RowWriter | None = None
        with suppress(sqlite3.Error, OSError):  # the first write meets it again and tells its caller
            writer = self._open_writer()
        self._opened.set()
        while (group := self._next_group()) is not None:
            try:
                writer = writer or self._open_writer()
                outcomes = _commit(writer, group)
            except Exception as error:
                if writer is not None and writer.connection.in_transaction:
                    with suppress(sqlite3.Error):
                        writer.connection.execute("ROLLBACK")
                outcomes = [StorageUnavailable(f"{self._path}: {error}") for _ in group]
            _answer(group, outcomes)

    def _open_writer(self) -> RowWriter:
        connection = connect(self._path)
        self._connections.append(connection)
        return RowWriter(connection)

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
        if continuation is None and self._store.first_page_is_empty():
            return Page((), _encode_token(lower))
        start = lower if continuation is None else max(lower, _decode_token(continuation))
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
        return Page(tuple(rows), None if following is None else _encode_token(following))


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


def _encode_token(key: str) -> str:
    return urlsafe_b64encode(json.dumps(key).encode()).decode()


def _decode_token(text: str) -> str:
    try:
        return str(json.loads(urlsafe_b64decode(text.encode())))
    except ValueError:
        raise StorageRefused("the continuation is not one of this table's") from None
