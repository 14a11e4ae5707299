"""The sample's two actions as plain functions over storage. Each may run twice from any point with the same result."""

import asyncio
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from library.books import BookStore
from library.models import Book, BookCover, BookWarning, UploadFinish, UploadStart, UploadStarted
from library.uploads import LIFETIME, Upload, UploadStore, check_size, missing_file
from shared.actions.context import ActionContext
from shared.errors import ActionFailed, StorageConflict
from shared.storage.ports import BlobReader, Storage

if TYPE_CHECKING:
    from library.epub import EpubBook

_MAX_WARNINGS = 40


@dataclass(frozen=True, slots=True)
class _Download:
    path: Path
    size: int
    sha256: str
    etag: str


async def start_upload(context: ActionContext, request: UploadStart, storage: Storage) -> UploadStarted:
    """Open a transaction named after the run, so that a second attempt finds the first one's."""
    uploads = UploadStore(storage)
    upload = await uploads.begin(
        Upload(
            id=context.run_id,
            book_id=request.id,
            owner=context.owner,
            file_name=request.file_name,
            size=request.size,
            expires=datetime.now(UTC).replace(microsecond=0) + LIFETIME,
        )
    )
    return UploadStarted(transaction_id=upload.id, upload_url=await uploads.url(upload), expires_at=upload.expires)


async def finish_upload(context: ActionContext, request: UploadFinish, storage: Storage, *, max_bytes: int) -> Book:
    """Check the uploaded EPUB, store it as the book, and close the transaction.

    Writes in this order: file, row, transaction, removal of the upload. Each is conditional or named by its content,
    so an attempt that follows a lost one repeats what was done without effect.
    """
    uploads, books = UploadStore(storage), BookStore(storage)
    upload = await uploads.find(request.transaction_id, book_id=request.id, owner=context.owner, run=context.run_id)
    if upload.book is not None:
        await uploads.files.delete(upload.id)
        return upload.book
    with tempfile.TemporaryDirectory(prefix="upload-", ignore_cleanup_errors=True) as folder:
        file = await _download(context, uploads, upload, Path(folder) / "book.epub", max_bytes)
        if request.sha256 is not None and request.sha256.lower() != file.sha256:
            raise ActionFailed(
                "ChecksumMismatch", f"The uploaded file's SHA-256 is {file.sha256}; upload it again.", target="sha256"
            )
        epub = await _read(context, file.path)
        book = _book(request.id, epub, file)
        upload = await uploads.pin(upload, file.etag, run=context.run_id)
        if upload.book is not None:
            return upload.book
        context.report_progress(percent=95, message="Storing the book")
        await books.put_file(book.id, book.sha256, file.path)
    await books.put(book, source=upload.id)
    await uploads.close(upload, book, run=context.run_id)
    await uploads.files.delete(upload.id)
    return book


async def _download(
    context: ActionContext, uploads: UploadStore, upload: Upload, path: Path, max_bytes: int
) -> _Download:
    context.report_progress(percent=0, message="Reading the upload")
    try:
        # The reader stays with the first ETag: what is hashed here is what is stored later.
        async with uploads.files.open(upload.id) as reader:
            if reader is None:
                raise missing_file()
            check_size(reader, limit=max_bytes, announced=upload.size)
            return await _save(reader, path)
    except StorageConflict:
        message = "The upload changed while it was read; finish again once it is complete."
        raise ActionFailed("UploadChanged", message, retryable=True) from None


async def _save(reader: BlobReader, path: Path) -> _Download:
    digest, size = sha256(), 0

    def take(chunk: bytes) -> None:
        digest.update(chunk)
        file.write(chunk)

    file = await asyncio.to_thread(path.open, "wb")
    try:
        async for chunk in reader.chunks():
            # Hashing and writing take long enough for large chunks to hold up every poll on the loop.
            await asyncio.to_thread(take, chunk)
            size += len(chunk)
    finally:
        await asyncio.to_thread(file.close)
    return _Download(path, size, digest.hexdigest(), reader.info.etag)


async def _read(context: ActionContext, path: Path) -> "EpubBook":
    # Only here, because a cold start that reads no book should not pay for the XML library.
    from library.epub import EpubError, EpubLimits, read_epub  # noqa: PLC0415

    # A row holds strings of 32 Ki units: creators and identifiers have to fit.
    limits = EpubLimits(max_values=25, max_value_chars=500)

    def on_chapter(done: int, total: int, title: str) -> None:
        context.raise_if_cancelled()
        context.report_progress(percent=5 + 90 * done / total, done=done, total=total, message=f"Read {title}"[:200])

    try:
        return await asyncio.to_thread(read_epub, path, limits, on_chapter)
    except EpubError as error:
        raise ActionFailed("InvalidEpub", error.message, target=error.code) from None


def _book(book_id: str, epub: "EpubBook", file: _Download) -> Book:
    cover = epub.cover
    return Book(
        id=book_id,
        title=epub.title,
        creators=list(epub.creators),
        language=epub.language,
        identifiers=list(epub.identifiers),
        published=epub.published,
        publisher=epub.publisher,
        chapters=epub.chapters,
        words=epub.words,
        cover=BookCover(media_type=cover.media_type, size=cover.size, sha256=cover.sha256) if cover else None,
        size_bytes=file.size,
        sha256=file.sha256,
        warnings=[BookWarning(code=w.code, message=w.message[:300]) for w in epub.warnings[:_MAX_WARNINGS]],
    )
