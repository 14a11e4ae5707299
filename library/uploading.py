"""Uploading a book in two steps, over storage. Each may run twice from any point and ends the same."""

import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from library import leftovers
from library.books import BookStore
from library.models import Book, FileUploadStart, UploadFinish, UploadStart, UploadStarted
from library.reading import Download, read_book, save
from library.uploads import LIFETIME, Upload, UploadStore, check_size, missing_file
from shared.actions import ActionContext, ActionFailed
from shared.storage import Storage, StorageConflict


async def start_upload(context: ActionContext, request: UploadStart, storage: Storage, now: datetime) -> UploadStarted:
    """Open a transaction named after the run, so that a second attempt finds the first one's."""
    return await _start(context, request.id, request, UploadStore(storage, now), now)


async def start_file_upload(
    context: ActionContext, request: FileUploadStart, storage: Storage, now: datetime
) -> UploadStarted:
    """The same for a file that is no book: its transaction's id is what `fileId` names elsewhere."""
    return await _start(context, "", request, UploadStore(storage, now), now)


async def _start(
    context: ActionContext, book_id: str, request: UploadStart | FileUploadStart, uploads: UploadStore, now: datetime
) -> UploadStarted:
    upload = await uploads.begin(
        Upload(
            id=context.run_id,
            book_id=book_id,
            owner=context.owner,
            file_name=request.file_name,
            size=request.size,
            expires=now.replace(microsecond=0) + LIFETIME,
        )
    )
    return UploadStarted(transaction_id=upload.id, upload_url=await uploads.url(upload), expires_at=upload.expires)


async def finish_upload(
    context: ActionContext,
    request: UploadFinish,
    storage: Storage,
    now: datetime,
    *,
    max_bytes: int,
    change: Callable[[Book], Book] | None = None,
) -> Book:
    """Check the uploaded EPUB, store it as the book, and close the transaction.

    `change` is applied to what was read before it is stored; without it a book that is replaced keeps its shelf.
    Writes in this order: a note for the sweep, file, row, transaction, removal of the upload. Each but the note is
    conditional or named by its content, so an attempt that follows a lost one repeats what was done without effect.
    """
    uploads, books = UploadStore(storage, now), BookStore(storage)
    upload = await uploads.find(request.transaction_id, book_id=request.id, owner=context.owner, run_id=context.run_id)
    if upload.book is not None:
        await uploads.files.delete(upload.id)
        return upload.book
    with tempfile.TemporaryDirectory(prefix="upload-", ignore_cleanup_errors=True) as folder:
        file = await _download(context, uploads, upload, Path(folder) / "book.epub", max_bytes)
        if request.sha256 is not None and request.sha256.lower() != file.sha256:
            raise ActionFailed(
                "ChecksumMismatch", f"The uploaded file's SHA-256 is {file.sha256}; upload it again.", target="sha256"
            )
        book = await read_book(context, request.id, file)
        book = change(book) if change else book
        upload = await uploads.pin(upload, file.etag, run_id=context.run_id)
        if upload.book is not None:
            return upload.book
        context.report_progress(percent=95, message="Storing the book")
        await leftovers.note(books, book.id, now, sha256=file.sha256)
        await books.put_file(book.id, file.sha256, file.path)
    book = await books.put(book, source=upload.id, keep_shelf=change is None)
    await uploads.close(upload, book, run_id=context.run_id)
    await uploads.files.delete(upload.id)
    return book


async def _download(
    context: ActionContext, uploads: UploadStore, upload: Upload, path: Path, max_bytes: int
) -> Download:
    context.report_progress(percent=0, message="Reading the upload")
    try:
        # The reader stays with the first ETag: what is hashed here is what is stored later.
        async with uploads.files.open(upload.id) as reader:
            if reader is None:
                raise missing_file()
            check_size(reader, limit=max_bytes, announced=upload.size)
            return await save(reader, path)
    except StorageConflict:
        message = "The upload changed while it was read; finish again once it is complete."
        raise ActionFailed("UploadChanged", message, retryable=True) from None
