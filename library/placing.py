"""Putting a book on a shelf as it is to be, and removing one. Each may run twice from any point and ends the same."""

import tempfile
from datetime import datetime
from pathlib import Path

from library.books import BookStore, file_name
from library.models import Book, PlaceBook, UploadFinish
from library.reading import Download, read_book, save
from library.shielding import ignore_cancel
from library.uploading import finish_upload
from shared.actions import ActionContext, ActionFailed
from shared.storage import Storage


def with_changes(book: Book, request: PlaceBook) -> Book:
    """The book with what the request says of it; on no shelf where it names none."""
    given = request.model_dump(include={"title", "creators"}, exclude_none=True)
    return book.model_copy(update={**given, "shelf": request.shelf})


def not_read_yet(request: PlaceBook) -> Book:
    """What is known of a new book before its EPUB was read."""
    book = Book(id=request.id, title="")
    return with_changes(book, request)


async def place_book(
    context: ActionContext, request: PlaceBook, storage: Storage, now: datetime, *, max_bytes: int
) -> Book:
    """Read the uploaded EPUB, or the stored one again, and store the book as the request has it.

    Without an upload there is one write, of the row, on behalf of the run; with one, those of `finish_upload`.
    """
    if request.transaction_id is not None:
        finish = UploadFinish(id=request.id, transaction_id=request.transaction_id, sha256=None)
        return await finish_upload(
            context, finish, storage, now, max_bytes=max_bytes, change=lambda book: with_changes(book, request)
        )
    books = BookStore(storage)
    stored = await books.get(request.id)
    if stored is None:
        raise ActionFailed("BookNotFound", "There is no such book any more; upload it.", target=request.id)
    with tempfile.TemporaryDirectory(prefix="book-", ignore_cleanup_errors=True) as folder:
        file = await _stored_file(books, stored, Path(folder) / "book.epub")
        book = await read_book(context, request.id, file)
    context.report_progress(percent=95, message="Storing the book")
    return await books.put(with_changes(book, request), source=context.run_id)


async def _stored_file(books: BookStore, book: Book, path: Path) -> Download:
    if book.sha256 is None:
        message = "The book has no EPUB to read; upload one and name its transactionId."
        raise ActionFailed("UploadRequired", message, target="transactionId")
    async with books.files.open(file_name(book.id, book.sha256)) as reader:
        if reader is None:
            raise ActionFailed("FileMissing", "The book's EPUB is gone; upload it again.", target=book.id)
        return await save(reader, path)


async def remove_book(context: ActionContext, book_id: str, storage: Storage) -> None:
    """Remove the book and its file. Once it has begun a cancel comes too late: half a book is none."""
    await ignore_cancel(BookStore(storage).remove(book_id))
