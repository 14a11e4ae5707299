"""EPUB reader: what is in a book, from a file nobody vouches for.

    book = read_epub("book.epub")
    book.title, book.chapters, book.words
    for chapter in read_text("book.epub"): ...

EPUB 2 and 3. What published books get wrong is read around, with a warning; what could hurt is refused, with an
`EpubError`. Layers, each importing those before it only:

    errors, limits, book, paths    values and rules
    entries, archive               names of files, ZIP
    text, markup                   characters, events
    container, package, metadata   the files that describe the book
    spine, chapter, cover          what is read of it
    reader                         the order of the steps
"""

from library.epub.book import Cover, EpubBook, EpubWarning, WarningCode
from library.epub.errors import EpubError, EpubErrorCode
from library.epub.limits import EpubLimits
from library.epub.reader import ChapterCallback, read_cover, read_epub, read_text

__all__ = [
    "ChapterCallback",
    "Cover",
    "EpubBook",
    "EpubError",
    "EpubErrorCode",
    "EpubLimits",
    "EpubWarning",
    "WarningCode",
    "read_cover",
    "read_epub",
    "read_text",
]
