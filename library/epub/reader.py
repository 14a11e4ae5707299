"""Reading a book: the order of the steps, and nothing else.

Synchronous and bounded: meant for a worker thread. One entry is in memory at a time, and no call holds the
interpreter for long, so an event loop in another thread goes on.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from library.epub.archive import Archive, open_archive
from library.epub.book import EpubBook, WarningLog
from library.epub.chapter import read_chapter
from library.epub.container import check_mimetype, encrypted_entries, find_package
from library.epub.cover import describe_cover, find_cover
from library.epub.errors import EpubError, EpubErrorCode, shown
from library.epub.limits import EpubLimits
from library.epub.metadata import describe
from library.epub.package import Package, read_package
from library.epub.spine import nothing_readable, plan_chapters

ChapterCallback = Callable[[int, int, str], None]
_DEFAULT_LIMITS = EpubLimits()


@dataclass(frozen=True, slots=True)
class _OpenBook:
    archive: Archive
    base: str
    package: Package
    encrypted: frozenset[str]
    log: WarningLog


def read_epub(
    source: str | Path | BinaryIO,
    limits: EpubLimits = _DEFAULT_LIMITS,
    on_chapter: ChapterCallback | None = None,
) -> EpubBook:
    """The book in `source`: a path, or a seekable binary stream, which is left open.

    `on_chapter(done, total, title)` is called after each chapter, with its first heading or else its path; what it
    raises ends the reading and passes through as it is.
    `EpubError` if it is no book this service reads, `OSError` if the file cannot be read.
    The same bytes and limits give an equal book.
    """
    with _open_book(source, limits) as book:
        metadata = describe(book.package, book.log)
        names = plan_chapters(book.archive, book.base, book.package, book.encrypted, book.log)
        chapters = words = 0
        for done, name in enumerate(names, start=1):
            chapter = read_chapter(book.archive.read(name, limits.max_document_bytes), name, limits, book.log)
            if chapter is not None:
                chapters += 1
                words += chapter.words
            if on_chapter is not None:
                on_chapter(done, len(names), (chapter and chapter.heading) or name)
        if not chapters:
            raise nothing_readable()
        found = find_cover(book.archive, book.base, book.package, book.encrypted, book.log)
        cover = None if found is None else describe_cover(book.archive, found, limits, book.log)
        return EpubBook(
            title=metadata.title,
            creators=metadata.creators,
            language=metadata.language,
            identifiers=metadata.identifiers,
            published=metadata.published,
            publisher=metadata.publisher,
            chapters=chapters,
            words=words,
            cover=cover,
            warnings=book.log.result(),
        )


def read_cover(source: str | Path | BinaryIO, limits: EpubLimits = _DEFAULT_LIMITS) -> tuple[str, bytes] | None:
    """Media type and bytes (at most `max_cover_bytes`) of the cover that `read_epub` describes; None if none.

    Errors as `read_epub`; the chapters are not read.
    """
    with _open_book(source, limits) as book:
        found = find_cover(book.archive, book.base, book.package, book.encrypted, book.log)
        cover = None if found is None else describe_cover(book.archive, found, limits, book.log)
        return None if cover is None else (cover.media_type, book.archive.read(cover.href, limits.max_cover_bytes))


@contextmanager
def _open_book(source: str | Path | BinaryIO, limits: EpubLimits) -> Generator[_OpenBook]:
    log = WarningLog(limits.max_warnings_per_code)
    with open_archive(source, limits, log) as archive:
        check_mimetype(archive, log)
        encrypted = encrypted_entries(archive, limits)
        base = find_package(archive, limits, log)
        if base in encrypted:
            raise EpubError(
                EpubErrorCode.ENCRYPTED,
                f"The package document {shown(base)} is encrypted. Upload a copy without protection.",
            )
        package = read_package(archive.read(base, limits.max_package_bytes), base, limits)
        yield _OpenBook(archive, base, package, encrypted, log)
