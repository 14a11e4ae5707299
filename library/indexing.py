"""Building the full-text index of all books in slices: however many there are, and wherever an attempt is lost."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from library.book_rows import PARTITION, book_of
from library.books import BookStore, file_name
from library.models import Book, RebuildIndex, RebuiltIndex
from library.reading import save
from library.search_words import parts_of
from library.shielding import finish_then_cancel
from shared.actions import ActionContext, ActionFailed, ContinueLater, Model
from shared.storage import Storage, StorageConflict

_RESERVE = timedelta(seconds=45)
"""A slice that has less time left ends: the longest book takes some seconds."""
_TRANSACTIONS = 20
"""Removed at once of the index before."""


class _State(Model):
    """A checkpoint: `after` is the last book that is in the index."""

    after: str | None = None
    books: int = 0


async def rebuild_index(context: ActionContext, request: RebuildIndex, storage: Storage) -> RebuiltIndex:
    """Build a new index beside the one that is searched, put it in its place, and remove the one before.

    A slice takes `request.slice_books` books. Raises ActionFailed IndexGivenUp where another run has begun since.
    """
    books = BookStore(storage)
    state = _State() if context.saved is None else _State.model_validate(context.saved)
    # An attempt may have died behind that write.
    if await books.search.current() != context.run_id:
        state = await _build(context, books, state, request.slice_books)
        await books.search.finish(context.run_id)
    while not await books.search.clear(transactions=_TRANSACTIONS):
        if context.time_left < _RESERVE:
            raise ContinueLater
    return RebuiltIndex(books=state.books)


async def _build(context: ActionContext, books: BookStore, state: _State, slice_books: int) -> _State:
    """Go on behind the last checkpoint. What a lost attempt has stored there goes first: its books may be gone now."""
    if not await books.search.begin(context.run_id):
        raise _given_up()
    await books.search.forget_beyond(context.run_id, state.after)
    total = await context.once("count", books.count)
    in_slice = 0
    async for book in _books_beyond(books, state.after, window=min(slice_books + 1, 100)):
        if in_slice == slice_books or context.time_left < _RESERVE:
            raise ContinueLater
        await _index(context, books, book)
        in_slice += 1
        state = _State(after=book.id, books=state.books + 1)
        await context.save(state)
        context.report_progress(done=state.books, total=max(total, state.books), message=f"Indexed {book.id}")
    return state


async def _books_beyond(books: BookStore, after: str | None, *, window: int) -> AsyncIterator[Book]:
    async for rows in books.scan(after=after, window=window):
        for row in rows:
            if (book := book_of(row)) is not None:
                yield book


async def _index(context: ActionContext, books: BookStore, book: Book) -> None:
    """Put a book into the index: its title, its creators, and the text of its EPUB, a part at a time."""
    with tempfile.TemporaryDirectory(prefix="index-", ignore_cleanup_errors=True) as folder:
        path = await _file_of(context, books, book, Path(folder))
        with closing(parts_of(_texts(book, path))) as parts:
            number = 0
            # A thread that goes on after a cancel would meet closed files.
            while rows := await finish_then_cancel(asyncio.to_thread(next, parts, None)):
                try:
                    await books.search.put(context.run_id, book.id, number, rows)
                except StorageConflict:
                    raise _given_up() from None
                number += 1
    if book_of(await books.rows.read(PARTITION, book.id)) is None:
        # Removed meanwhile, maybe before there was anything of it here.
        await books.search.forget(book.id)


def _given_up() -> ActionFailed:
    return ActionFailed("IndexGivenUp", "The index was given up, or finished, by another attempt or run; start again.")


async def _file_of(context: ActionContext, books: BookStore, book: Book, folder: Path) -> Path | None:
    if book.sha256 is None:
        return None
    async with books.files.open(file_name(book.id, book.sha256)) as reader:
        if reader is None:
            context.logger.warning("The EPUB of %s is gone: the index has its title and creators alone", book.id)
            return None
        return (await save(reader, folder / "book.epub")).path


def _texts(book: Book, path: Path | None) -> Iterator[Iterable[str]]:
    # Only here, because a cold start that reads no book should not pay for the XML library.
    from library.epub import read_text  # noqa: PLC0415

    yield (book.title,)
    yield from ((creator,) for creator in book.creators)
    if path is not None:
        yield from read_text(path)
