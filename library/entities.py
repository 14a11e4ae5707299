"""Books and reports as entity sets."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from library.book_changes import write_books
from library.book_rows import book_of, short_etag
from library.books import BookStore
from library.report_store import ReportStore
from library.searching import search_books
from shared.actions import EntityChange, Remove, RequestError, SearchExpression, Stored
from shared.storage import MAX_CHANGES, Row, Storage

_AT_ONCE = 25
"""Books made of rows before whoever scans can let others have the event loop: each takes 15 to 50 microseconds."""


class BookEntities:
    """All books. A write is one entity-group transaction: books share a partition.

    The etag of a book changes with every write of it, also with a move to another shelf. A book that was bulk-loaded
    and then changed here is left alone by later loads.
    """

    max_changes = MAX_CHANGES

    def __init__(self, storage: Storage, now: datetime) -> None:
        self._storage = storage
        self._books = BookStore(storage)
        self._now = now

    async def scan(self, *, after: str | None = None) -> AsyncIterator[Sequence[Stored]]:
        async for page in self._books.scan(after=after):
            for start in range(0, len(page), _AT_ONCE):
                yield [stored for row in page[start : start + _AT_ONCE] if (stored := _stored(row))]

    async def get(self, key: str) -> Stored | None:
        return _stored((await self._books.read_rows([key])).get(key))

    async def search(self, expression: SearchExpression) -> set[str]:
        """By the words of their titles, creators and texts when the index was built: see `library.searching`."""
        return await search_books(self._storage, expression)

    async def write(self, changes: Sequence[EntityChange], *, by: str = "") -> Sequence[Stored | None]:
        """All of `changes`, each of another book, or none, whatever a crash or a lost answer leaves.

        Raises RequestError: 404 BookNotFound, 409 BookExists, 412 PreconditionFailed, 400 with the reason. `by` names
        one write, not only its writer: whoever writes a book twice in one run gives each write its own. Doing it again
        is noticed while one of the books was not written by somebody else, and for a day where all were removed.
        """
        return [_stored(row) for row in await write_books(self._books, changes, by=by, now=self._now)]


class ReportEntities:
    """All reports, to read and to remove: they never change."""

    max_changes = 1

    def __init__(self, storage: Storage) -> None:
        self._reports = ReportStore(storage)

    async def scan(self, *, after: str | None = None) -> AsyncIterator[Sequence[Stored]]:
        async for page in self._reports.pages(after=after):
            yield [Stored(report, etag) for report, etag in page]

    async def get(self, key: str) -> Stored | None:
        found = await self._reports.find(key)
        return Stored(*found) if found else None

    async def write(self, changes: Sequence[EntityChange], *, by: str = "") -> Sequence[Stored | None]:
        """Remove one report. Raises RequestError: 404 ReportNotFound, 412 PreconditionFailed.

        For a writer with a name, which may do it again, one that is not there was removed.
        """
        [change] = changes
        assert isinstance(change, Remove), "nothing else is done with a report"
        found = await self._reports.find(change.key)
        if found is None and not by:
            raise RequestError(404, "ReportNotFound", "There is no such report.", target=change.key)
        if found is not None and change.if_match is not None and found[1] not in change.if_match:
            raise RequestError(412, "PreconditionFailed", "The report has another ETag.", target=change.key)
        await self._reports.remove(change.key)
        return [None]


def _stored(row: Row | None) -> Stored | None:
    book = book_of(row)
    return Stored(book, short_etag(row)) if row is not None and book is not None else None
