"""Books and reports as entity sets."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from library.book_changes import BookChanges
from library.book_rows import FoundBook
from library.books import BookStore
from library.report_store import ReportStore
from shared.actions.entities import EntityChange, Stored
from shared.storage.limits import MAX_CHANGES
from shared.storage.ports import Storage

_AT_ONCE = 25
"""Books made of rows before whoever scans can let others have the event loop: each takes 15 to 50 microseconds."""


class BookEntities:
    """All books. Writes are one entity-group transaction: the books that are written one by one share a partition.

    The etag of a book changes with every write of it, also with a move to another shelf. A write of a book that was
    bulk-loaded makes it one that is stored by itself.
    """

    max_changes = MAX_CHANGES

    def __init__(self, storage: Storage) -> None:
        self._books = BookStore(storage)
        self._changes = BookChanges(storage)

    async def scan(self, *, after: str | None = None) -> AsyncIterator[Sequence[Stored]]:
        async with aclosing(self._books.scan(after=after)) as pages:
            async for found in pages:
                for start in range(0, len(found), _AT_ONCE):
                    yield [_stored(one) for one in found[start : start + _AT_ONCE]]

    async def get(self, key: str) -> Stored | None:
        found = await self._books.find(key)
        return _stored(found) if found else None

    async def write(self, changes: Sequence[EntityChange], *, by: str = "") -> Sequence[Stored | None]:
        """All of `changes`, each of another book, or none, whatever a crash or a lost answer leaves.

        Raises RequestError: 404 BookNotFound, 409 BookExists, 412 PreconditionFailed, 400 with the reason. `by` names
        one write, not only its writer: whoever writes a book twice in one run gives each write its own. Doing it again
        is noticed while one of the books was not written by somebody else, and for a day where all were removed.
        """
        return [_stored(found) if found else None for found in await self._changes.write(changes, by=by)]


class ReportEntities:
    """All reports, to read."""

    def __init__(self, storage: Storage) -> None:
        self._reports = ReportStore(storage)

    async def scan(self, *, after: str | None = None) -> AsyncIterator[Sequence[Stored]]:
        async with aclosing(self._reports.pages(after=after)) as pages:
            async for found in pages:
                yield [Stored(report, etag) for report, etag in found]

    async def get(self, key: str) -> Stored | None:
        found = await self._reports.find(key)
        return Stored(*found) if found else None


def _stored(found: FoundBook) -> Stored:
    return Stored(found.book, found.etag)
