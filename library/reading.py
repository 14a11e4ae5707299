"""From a stored or uploaded EPUB to the book it is: onto the disk, hashed on the way, then read."""

import asyncio
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from library.models import Book, BookCover, BookWarning
from shared.actions.context import ActionContext
from shared.errors import ActionFailed
from shared.storage.ports import BlobReader

if TYPE_CHECKING:
    from library.epub import EpubBook

_MAX_WARNINGS = 40


@dataclass(frozen=True, slots=True)
class Download:
    """A file on the disk. `size` in bytes, `sha256` in hex, `etag` of the blob it came from."""

    path: Path
    size: int
    sha256: str
    etag: str


async def save(reader: BlobReader, path: Path) -> Download:
    """Write what `reader` gives to `path`."""
    digest, size = sha256(), 0

    def take(chunk: bytes) -> None:
        digest.update(chunk)
        file.write(chunk)

    # Not in a thread: opening a new local file takes no time, and a cancelled wait would leave it open.
    file = path.open("wb")
    try:
        async for chunk in reader.chunks():
            # Hashing and writing take long enough for large chunks to hold up every poll on the loop.
            await asyncio.to_thread(take, chunk)
            size += len(chunk)
    finally:
        # Not in a thread either, and all but a small buffer is written by now.
        file.close()
    return Download(path, size, digest.hexdigest(), reader.info.etag)


async def read_book(context: ActionContext, book_id: str, file: Download) -> Book:
    """The book in an EPUB, with progress per chapter. Raises ActionFailed InvalidEpub."""
    # Only here, because a cold start that reads no book should not pay for the XML library.
    from library.epub import EpubError, EpubLimits, read_epub  # noqa: PLC0415

    # A row holds strings of 32 Ki units: creators and identifiers have to fit.
    limits = EpubLimits(max_values=25, max_value_chars=500)

    def on_chapter(done: int, total: int, title: str) -> None:
        context.raise_if_cancelled()
        context.report_progress(percent=5 + 90 * done / total, done=done, total=total, message=f"Read {title}"[:200])

    try:
        epub = await asyncio.to_thread(read_epub, file.path, limits, on_chapter)
    except EpubError as error:
        raise ActionFailed("InvalidEpub", error.message, target=error.code) from None
    return _book(book_id, epub, file)


def _book(book_id: str, epub: "EpubBook", file: Download) -> Book:
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
