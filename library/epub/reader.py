"""Reading a book: the order of the steps, and nothing else.

Synchronous and bounded: meant for a worker thread. One entry is in memory at a time, and no call holds the
interpreter for long, so an event loop in another thread goes on.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from library.epub.archive import open_archive
from library.epub.book import EpubBook, WarningCode, WarningLog
from library.epub.chapter import read_chapter
from library.epub.container import check_mimetype, encrypted_entries, find_package
from library.epub.cover import describe_cover
from library.epub.errors import EpubError, EpubErrorCode, shown
from library.epub.limits import EpubLimits
from library.epub.metadata import describe
from library.epub.package import OpenBook, read_package
from library.epub.spine import nothing_readable, plan_chapters

ChapterCallback = Callable[[int, int, str], None]
_DEFAULT_LIMITS = EpubLimits()


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
        archive = book.archive
        metadata = describe(book.package, archive.log)
        names = plan_chapters(book)
        chapters = words = 0
        problem: EpubError | None = None
        for done, name in enumerate(names, start=1):
            chapter = None
            try:
                chapter = read_chapter(archive, name)
            except EpubError as error:
                if archive.exhausted:
                    raise
                problem = problem or error
                archive.log.add(WarningCode.CHAPTER_LEFT_OUT, f"{shown(name)} was left out: {error.message}")
            if chapter is not None:
                chapters += 1
                words += chapter.words
            if on_chapter is not None:
                on_chapter(done, len(names), (chapter and chapter.heading) or name)
        if not chapters:
            raise problem or nothing_readable()
        cover = describe_cover(book)
        warnings = archive.log.result()
        return EpubBook(**asdict(metadata), chapters=chapters, words=words, cover=cover, warnings=warnings)


def read_text(source: str | Path | BinaryIO, limits: EpubLimits = _DEFAULT_LIMITS) -> Generator[tuple[str, ...]]:
    """The running text, a chapter at a time, each in pieces of some 16 KiB that end with a word.

    Chapters are those of `read_epub`, and so are the errors, but that a book without a chapter has no text.
    """
    with _open_book(source, limits) as book:
        for name in plan_chapters(book):
            try:
                chapter = read_chapter(book.archive, name, keep_text=True)
            except EpubError:
                if book.archive.exhausted:
                    raise
                continue
            if chapter is not None:
                yield chapter.text


def read_cover(source: str | Path | BinaryIO, limits: EpubLimits = _DEFAULT_LIMITS) -> tuple[str, bytes] | None:
    """Media type and bytes (at most `max_cover_bytes`) of the cover that `read_epub` describes; None if none.

    Errors as `read_epub`; the chapters are not read.
    """
    with _open_book(source, limits) as book:
        cover = describe_cover(book)
        return None if cover is None else (cover.media_type, book.archive.read(cover.href, limits.max_cover_bytes))


@contextmanager
def _open_book(source: str | Path | BinaryIO, limits: EpubLimits) -> Generator[OpenBook]:
    with open_archive(source, limits, WarningLog(limits.max_warnings_per_code)) as archive:
        check_mimetype(archive)
        encrypted = encrypted_entries(archive)
        base = find_package(archive)
        if base in encrypted:
            raise EpubError(
                EpubErrorCode.ENCRYPTED,
                f"The package document {shown(base)} is encrypted. Upload a copy without protection.",
            )
        yield OpenBook(archive, base, read_package(archive, base), encrypted)
