"""The one connection that writes the embedded store's file: on the event loop's thread, or in a thread of its own.

Reads on the loop's thread use it as well: a second connection would lose what it keeps in memory with every write.
"""

import asyncio
import queue
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from shared.errors import StorageError, StorageUnavailable
from shared.frozen import frozen
from shared.storage.disk_errors import explained, is_locked
from shared.storage.known_rows import Place
from shared.storage.loop_calls import LoopCalls
from shared.storage.ports import Change, Delete, Row
from shared.storage.sqlite_file import open_file
from shared.storage.sqlite_rows import STORE_ERRORS, RowWriter, connect, wait_for_locks

T = TypeVar("T")

_CHANGE_BYTES = 2048
"""Of text that take about as long to write as a change costs besides."""
_SMALL = 128 * 1024
"""Bytes of a transaction, counted so, that the loop's thread may write."""
_TURN = 512 * 1024
"""And of those that it writes in one turn: some 10 ms."""
_MAX_GROUP = 256
"""Transactions that a thread commits together: nobody waits long for the others."""
_LOG_PAGES = 1000
"""Pages in the log from which on it goes into the file: 4 MB, as SQLite has it by itself."""

Answers = tuple[str | None, ...]


class LeftToThreads(Exception):
    """This call is not for the loop's thread."""


@frozen
class _Job:
    table: str
    partition: str
    changes: Sequence[Change]
    loop: asyncio.AbstractEventLoop
    answer: "asyncio.Future[Answers]"
    size: int


class SqliteWriter:
    """Commits transactions in groups. Opens and checks the file, and raises as `open_file` does."""

    def __init__(self, path: Path, calls: LoopCalls) -> None:
        self._path = path
        self._calls = calls
        self._rows, self.file = open_file(path)
        self._rows.connection.execute("PRAGMA wal_autocheckpoint = 0")
        self._rows.connection.execute("PRAGMA busy_timeout = 0")
        self._in_use = threading.Lock()
        """Held by the thread that works with the connection. The loop's thread does not wait for it."""
        self._turns: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
        """What each loop's thread writes when its turn is over."""
        self._jobs: queue.SimpleQueue[_Job | str | None] = queue.SimpleQueue()
        """For the thread: a word is the reason to look whether the log is long, None the end."""
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="sqlite-write", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what is waiting, then close the connection; blocks."""
        for loop in list(self._turns):
            self._leave_to_thread(self._turns.pop(loop, ()))
        self._jobs.put(None)
        self._thread.join()
        with self._in_use:
            self._rows.connection.close()
        self._is_closed = True
        self._leave_to_thread(())

    async def write(self, table: str, partition: str, changes: Sequence[Change]) -> Answers:
        """Have a transaction committed, and wait for it. Raises StorageConflict, StorageRefused, StorageUnavailable."""
        loop = asyncio.get_running_loop()
        size = sum(map(_size, changes))
        job = _Job(table, partition, changes, loop, loop.create_future(), size)
        if not self._calls.are_made or size > _SMALL:
            self._jobs.put(job)
        elif (turn := self._turns.get(loop)) is not None:
            turn.append(job)
        else:
            self._turns[loop] = [job]
            loop.call_soon(self._end_turn, loop)
        return await job.answer

    def known(self, place: Place, columns: Sequence[str] | None) -> Row | None:
        """The row, where it is known without reading it. For the loop's thread."""
        if not self._in_use.acquire(blocking=False):
            return None
        try:
            self.file.check()
            known = self._rows.known.committed(place)
            return known and known.view(columns)
        finally:
            self._in_use.release()

    def read(self, query: Callable[[RowWriter], T]) -> T:
        """What `query` returns, on the loop's thread; raises LeftToThreads where that would have to wait."""
        if not self._in_use.acquire(blocking=False):
            raise LeftToThreads
        try:
            return self._calls.make(self._read, query)
        except sqlite3.Error as error:
            if is_locked(error):
                raise LeftToThreads from None
            raise
        finally:
            self._in_use.release()

    def _read(self, query: Callable[[RowWriter], T]) -> T:
        self.file.check()
        if self._rows.connection.in_transaction:
            self._rows.roll_back()  # The disk has let nobody do that before. What is not committed, nobody sees.
        return query(self._rows)

    def _end_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Commit what was handed in during the turn of the loop that is over, or as much of it as is quickly done."""
        waiting = self._turns.pop(loop, [])
        group = _first(waiting)
        if rest := waiting[len(group) :]:
            self._turns[loop] = rest
            loop.call_soon(self._end_turn, loop)
        if not group:
            return
        outcomes = self._commit_on_loop(group)
        if outcomes is None:
            self._leave_to_thread(group)
            return
        _settle(zip(group, outcomes, strict=True))
        if self._rows.log_pages >= _LOG_PAGES:
            self._rows.log_pages = 0
            self._jobs.put("checkpoint")

    def _commit_on_loop(self, group: Sequence[_Job]) -> Sequence[Answers | Exception] | None:
        """None where that would have to wait; nothing was written then."""
        if not self._calls.are_made or not self._in_use.acquire(blocking=False):
            return None
        try:
            return self._calls.make(self._commit, group)
        except sqlite3.Error:
            return None  # another program has it locked
        finally:
            self._in_use.release()

    def _leave_to_thread(self, group: Sequence[_Job]) -> None:
        for job in group:
            self._jobs.put(job)
        while self._is_closed and not self._jobs.empty():
            if isinstance(late := self._jobs.get(), _Job):
                _answer([late], [StorageUnavailable(f"{self._path} is closed")])

    def _commit(self, group: Sequence[_Job]) -> Sequence[Answers | Exception]:
        """An answer or an error for each. Raises sqlite3.Error where another program has the file locked."""
        try:
            self.file.check()
            outcomes = _apply(self._rows, group)
        except Exception as error:
            with suppress(sqlite3.Error):
                self._rows.roll_back()
            if is_locked(error):
                raise
            return [self._failure(error) for _ in group]
        return [self._failure(each) if isinstance(each, STORE_ERRORS) else each for each in outcomes]

    def _failure(self, error: Exception) -> StorageError:
        if isinstance(error, StorageError):
            return StorageUnavailable(str(error))
        return explained(StorageUnavailable, self._path, error)

    # In the thread

    def _work(self) -> None:
        """It outlives every failure: each is an answer to the callers it concerns."""
        log: sqlite3.Connection | None = None
        is_last = False
        while not is_last:
            group, is_last = self._next_group()
            if group:
                _answer(group, self._commit_in_thread(group))
            elif not is_last:
                with suppress(sqlite3.Error):
                    log = log or connect(self._path)
                    self._shorten(log)
            if self._rows.log_pages >= _LOG_PAGES:
                self._rows.log_pages = 0
                self._jobs.put("checkpoint")
        if log is not None:
            log.close()

    def _commit_in_thread(self, group: Sequence[_Job]) -> Sequence[Answers | Exception]:
        with self._in_use:
            try:
                with wait_for_locks(self._rows.connection):
                    return self._commit(group)
            except sqlite3.Error as error:
                return [self._failure(error) for _ in group]

    def _shorten(self, log: sqlite3.Connection) -> None:
        """Have what the log holds written into the file, so that it begins anew. An error leaves it to the next time.

        Most of it beside writes; then what these have added, and the first write to the new log, which waits for the
        disk, while nobody else writes.
        """
        log.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        with self._in_use:
            log.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            self._rows.touch()

    def _next_group(self) -> tuple[list[_Job], bool]:
        """Wait for a transaction, and take all that wait behind it; none where something else is to do.

        True with the last one, once closed.
        """
        group: list[_Job] = []
        waiting = self._jobs.get()
        while True:
            if not isinstance(waiting, _Job):
                if group and waiting is not None:
                    self._jobs.put(waiting)
                return group, waiting is None
            group.append(waiting)
            if len(group) == _MAX_GROUP:
                return group, False
            try:
                waiting = self._jobs.get_nowait()
            except queue.Empty:
                return group, False


def _size(change: Change) -> int:
    if isinstance(change, Delete):
        return _CHANGE_BYTES
    return _CHANGE_BYTES + sum([len(value) for value in change.values.values() if isinstance(value, str)])


def _first(waiting: Sequence[_Job]) -> Sequence[_Job]:
    """As many as are written in one turn."""
    size = 0
    for at, job in enumerate(waiting):
        size += job.size
        if at and size > _TURN:
            return waiting[:at]
    return waiting


def _apply(writer: RowWriter, group: Sequence[_Job]) -> list[Answers | Exception]:
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
    writer.commit()
    return outcomes


def _answer(group: Sequence[_Job], outcomes: Sequence[Answers | Exception]) -> None:
    """Wake each event loop once for all its callers."""
    by_loop: defaultdict[asyncio.AbstractEventLoop, list[tuple[_Job, Answers | Exception]]] = defaultdict(list)
    for job, outcome in zip(group, outcomes, strict=True):
        by_loop[job.loop].append((job, outcome))
    for loop, answered in by_loop.items():
        with suppress(RuntimeError):  # that loop is closed: nobody is waiting
            loop.call_soon_threadsafe(_settle, answered)


def _settle(answered: Iterable[tuple[_Job, Answers | Exception]]) -> None:
    for job, outcome in answered:
        if job.answer.done():
            continue  # its caller was cancelled
        if isinstance(outcome, Exception):
            job.answer.set_exception(outcome)
        else:
            job.answer.set_result(outcome)
