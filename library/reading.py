"""From a stored or uploaded EPUB to the book it is: onto the disk, hashed on the way, then read."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from library.models import Book
from shared.actions import ActionContext, ActionFailed
from shared.storage import BlobReader

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

    def on_chapter(done: int, total: int, title: str) -> None:
        context.raise_if_canceled()
        context.report_progress(percent=5 + 90 * done / total, done=done, total=total, message=f"Read {title}"[:200])

    return _book(book_id, await asyncio.to_thread(_read, file.path, on_chapter), file)


def _read(path: Path, on_chapter: Callable[[int, int, str], None]) -> "EpubBook":
    # Only here, because a cold start that reads no book should not pay for the XML library.
    from library.epub import EpubError, EpubLimits, read_epub  # noqa: PLC0415

    try:
        # A row holds strings of 32 Ki units: creators and identifiers have to fit.
        return read_epub(path, EpubLimits(max_values=25, max_value_chars=500), on_chapter)
    except EpubError as error:
        raise ActionFailed("InvalidEpub", error.message, target=error.code) from None


def _book(book_id: str, epub: "EpubBook", file: Download) -> Book:
    known = asdict(epub) | {"id": book_id, "size_bytes": file.size, "sha256": file.sha256}
    known["warnings"] = [{"code": w.code, "message": w.message[:300]} for w in epub.warnings[:_MAX_WARNINGS]]
    return Book.model_validate(known, by_name=True)
