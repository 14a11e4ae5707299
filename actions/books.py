"""Books: upload an EPUB in two long-running steps, and read what is stored.

A sample to start from: replace it, together with `library/`, by your own.
"""

from library.books import BookStore
from library.models import Book, BookList, BookRef, ListBooks, UploadFinish, UploadStart, UploadStarted
from library.uploading import finish_upload, start_upload
from shared.actions import ActionContext, ReadContext, RequestError, Retry, action, read
from shared.composition import settings, storage


@action("book:upload-start", post="book/{id}:upload-start", timeout="1m", retry=Retry(max_attempts=3))
async def upload_start(context: ActionContext, request: UploadStart) -> UploadStarted:
    return await start_upload(context, request, storage())


@upload_start.precondition
async def file_is_not_too_large(request: UploadStart) -> None:
    limit = settings().max_upload_bytes
    if request.size is not None and request.size > limit:
        raise RequestError(413, "UploadTooLarge", f"The limit is {limit} bytes.", target="size")


@action("book:upload-finish", post="book/{id}:upload-finish", timeout="5m", retry=Retry(max_attempts=3), keep="7d")
async def upload_finish(context: ActionContext, request: UploadFinish) -> Book:
    return await finish_upload(context, request, storage(), max_bytes=settings().max_upload_bytes)


@read("book:get", get="book/{id}")
async def get_book(context: ReadContext, request: BookRef) -> Book:
    book = await BookStore(storage()).get(request.id)
    if book is None:
        raise RequestError(404, "BookNotFound", "There is no such book.", target=request.id)
    return book


@read("book:list", get="book")
async def list_books(context: ReadContext, request: ListBooks) -> BookList:
    books, position = await BookStore(storage()).page(top=request.top, after=request.skip_token)
    link = context.link("book", top=str(request.top), skipToken=position) if position else None
    return BookList(value=books, next_link=link)
