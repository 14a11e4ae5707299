"""Books: upload an EPUB in two long-running steps, place it, remove it, and read what is stored.

A sample to start from: replace it, together with `library/`, by your own.
"""

import os
from datetime import datetime

from library import leftovers, shelves
from library.books import BookStore
from library.counting import count_words_of_book
from library.models import (
    Book,
    BookList,
    BookRef,
    CountWords,
    ListBooks,
    PlaceBook,
    UploadFinish,
    UploadStart,
    UploadStarted,
    WordCounts,
)
from library.placing import not_read_yet, place_book, remove_book, with_changes
from library.uploading import finish_upload, start_upload
from library.uploads import UploadStore
from shared.actions import (
    Accepted,
    ActionContext,
    Context,
    RemovalContext,
    RequestContext,
    RequestError,
    Retry,
    SyncActionContext,
    action,
    read,
    sweep,
)
from shared.storage import Storage


@action("book:upload-start", post="book/{id}:upload-start", timeout="1m", retry=Retry(max_attempts=3))
async def upload_start(context: ActionContext, request: UploadStart) -> UploadStarted:
    """Begin to upload an EPUB: the result says where to send the file."""
    return await start_upload(context, request, context.storage, context.clock.now())


@upload_start.removed
async def abandon_upload(context: RemovalContext) -> datetime | None:
    return await UploadStore(context.storage, context.clock.now()).abandon(context.run_id)


@sweep("book:leftovers")
async def clear_leftovers(context: Context) -> None:
    """Clear what a crash has left of books."""
    await leftovers.clear_leftovers(context.storage, context.clock.now())


@upload_start.precondition
async def file_is_not_too_large(context: RequestContext, request: UploadStart) -> None:
    limit = context.settings.max_upload_bytes
    if request.size is not None and request.size > limit:
        raise RequestError(413, "UploadTooLarge", f"The limit is {limit} bytes.", target="size")


@action(
    "book:upload-finish",
    post="book/{id}:upload-finish",
    exclusive="book/{id}",
    timeout="5m",
    retry=Retry(max_attempts=3),
    keep="7d",
)
async def upload_finish(context: ActionContext, request: UploadFinish) -> Book:
    """Read the EPUB that was uploaded, and store the book."""
    return await finish_upload(
        context, request, context.storage, context.clock.now(), max_bytes=context.settings.max_upload_bytes
    )


@action("book:put", put="book/{id}", exclusive="book/{id}", timeout="5m", retry=Retry(max_attempts=3), keep="7d")
async def put_book(context: ActionContext, request: PlaceBook) -> Book:
    """Say what a book is to be, as a whole: its title, its shelf, its EPUB."""
    return await place_book(
        context, request, context.storage, context.clock.now(), max_bytes=context.settings.max_upload_bytes
    )


@put_book.precondition
async def shelf_is_there(context: RequestContext, request: PlaceBook) -> None:
    if request.shelf is not None and not await shelves.exists(request.shelf, context.resources):
        raise RequestError(400, "ShelfNotFound", "There is no such shelf; give its ARM id.", target="shelf")


@put_book.precondition
async def there_is_something_to_read(context: RequestContext, request: PlaceBook) -> None:
    if request.transaction_id is not None:
        return
    stored = await BookStore(context.storage).get(request.id)
    if stored is None or stored.sha256 is None:
        message = "A book without an EPUB needs an upload: start one, send the EPUB, and name its transactionId."
        raise RequestError(400, "UploadRequired", message, target="transactionId")


@put_book.accepted
async def book_to_be(context: RequestContext, request: PlaceBook) -> Accepted:
    stored = await BookStore(context.storage).get(request.id)
    return Accepted(created=stored is None, resource=with_changes(stored, request) if stored else not_read_yet(request))


@action("book:delete", delete="book/{id}", exclusive="book/{id}", timeout="1m", retry=Retry(max_attempts=3))
async def delete_book(context: ActionContext, request: BookRef) -> None:
    """Remove a book and its file."""
    await remove_book(context, request.id, context.storage)


@delete_book.precondition
async def book_is_there(context: RequestContext, request: BookRef) -> None:
    await _found(request.id, context.storage)


@action(
    "book:count-words",
    post="book/{id}:count-words",
    # Windows, for development, has no such processes.
    isolation="thread" if os.name == "nt" else "process",
    timeout="5m",
    retry=Retry(max_attempts=3),
)
def count_words(context: SyncActionContext, request: CountWords) -> WordCounts:
    """Count the words of a book's text: the most frequent ones."""
    return count_words_of_book(context, request)


@count_words.precondition
async def file_is_the_books(context: RequestContext, request: CountWords) -> None:
    book = await _found(request.id, context.storage)
    if book.sha256 != request.sha256.lower():
        raise RequestError(409, "BookChanged", "The book has no such file; read it for its sha256.", target="sha256")


@read("book:get", get="book/{id}")
async def get_book(context: RequestContext, request: BookRef) -> Book:
    """Read one book."""
    return await _found(request.id, context.storage)


@read("book:list", get="book")
async def list_books(context: RequestContext, request: ListBooks) -> BookList:
    """Read a page of the books, in the order of their ids."""
    books, position = await BookStore(context.storage).page(top=request.top, after=request.skip_token)
    link = context.link("book", top=str(request.top), skipToken=position) if position else None
    return BookList(value=books, next_link=link)


async def _found(book_id: str, storage: Storage) -> Book:
    book = await BookStore(storage).get(book_id)
    if book is None:
        raise RequestError(404, "BookNotFound", "There is no such book.", target=book_id)
    return book
