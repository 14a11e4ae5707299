"""Exporting what is known of a book as a file of its own, and summing it up.

An export is named by its content: doing it again for an unchanged book names the same one, and what its URL gives
never changes. Nobody sees one before the operation's result names it. It goes with its book.
"""

from datetime import datetime
from hashlib import sha256
from math import ceil

from library import leftovers
from library.books import BookStore
from library.catalog_models import BookSummary, ExportBook, ExportResult
from library.csv_books import written
from library.models import Book
from shared.actions import ActionContext, ActionFailed
from shared.storage import Storage

_WORDS_A_MINUTE = 250
_COLUMNS = ("id", "title", "creators", "language", "identifiers", "published", "publisher", "chapters", "words")
_TYPES = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "text": "text/plain; charset=utf-8",
}


async def export_book(
    context: ActionContext,
    request: ExportBook,
    storage: Storage,
    now: datetime,
    *,
    base_url: str,
    neutralize: bool = True,
) -> ExportResult:
    """Store the book's data, without the text of its EPUB. Raises ActionFailed BookNotFound."""
    books = BookStore(storage)
    book = await books.get(request.id)
    if book is None:
        raise ActionFailed("BookNotFound", "There is no such book.", target=request.id, status_code=404)
    content = rendered(book, request.format, neutralize=neutralize)
    digest = sha256(content).hexdigest()
    # The format is part of the name: a blob has one media type.
    name = sha256(f"{book.id}/{request.format}/{digest}".encode()).hexdigest()[:32]
    context.report_progress(percent=50, message="Storing the export")
    # The book may be removed meanwhile, and its exports with it but this one.
    await leftovers.note(books, book.id, now)
    await books.exports.put(name, content, content_type=_TYPES[request.format], book_id=book.id)
    return ExportResult(
        id=name,
        book_id=book.id,
        format=request.format,
        export_url=f"{base_url}/export/{name}/content",
        size_bytes=len(content),
        sha256=digest,
    )


def rendered(book: Book, format: str, *, neutralize: bool = True) -> bytes:
    """The book as JSON, as CSV (RFC 4180; a line of names, lists joined by semicolons), or as text to read.

    A load reads the CSV again; `neutralize` as for `written`.
    """
    if format == "json":
        return book.model_dump_json(by_alias=True).encode()
    values = book.model_dump(mode="json", include=set(_COLUMNS))
    cells = ["; ".join(value) if isinstance(value, list) else value for value in map(values.get, _COLUMNS)]
    if format == "csv":
        return written((_COLUMNS, cells), neutralize=neutralize)
    lines = [f"{name}: {cell}" for name, cell in zip(_COLUMNS, cells, strict=True) if cell not in (None, "")]
    return "\n".join([*lines, ""]).encode()


def summarize(book: Book) -> BookSummary:
    """A book in a few figures."""
    return BookSummary(
        title=book.title,
        creators=", ".join(book.creators),
        year=int(book.published[:4]) if book.published else None,
        words=book.words,
        words_per_chapter=round(book.words / book.chapters) if book.chapters else None,
        reading_minutes=ceil(book.words / _WORDS_A_MINUTE),
        has_file=book.sha256 is not None,
    )
