"""The cover image: which of the book's files it is, and what its bytes are."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import chain, islice
from operator import itemgetter
from typing import NamedTuple

from library.epub.book import Cover, WarningCode
from library.epub.container import locate
from library.epub.errors import EpubError, shown
from library.epub.limits import EpubLimits
from library.epub.markup import MarkupReader, read_document
from library.epub.package import Item, OpenBook, Package
from library.epub.paths import UnusableHref, resolve
from library.epub.spine import entry_of, is_document

_SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_TYPES = {"image/webp", *(media_type for _, media_type in _SIGNATURES)}
_PAGES = (".xhtml", ".xht", ".html", ".htm", ".xml", ".svg")
_WORDS = {"cover", "coverimage", "coverimagestandard", "coverimg", "coverpage", "frontcover", "bookcover"}
_PROPERTIES = {"cover-image", "coverimage"}
"""The second is what kindlegen asked for."""
_MAX_PAGE_BYTES = 64 * 1024
"""A page that is nothing but the cover."""
_UNSHOWN = {"head", "title", "desc", "style", "script"}
_TRIED = 8
"""Each may be as large as a cover, or a page, can be."""
_PICTURES = {
    "img": ("src",),
    "image": ("href", "xlink:href", "{http://www.w3.org/1999/xlink}href"),
    "object": ("data",),
}


class _Named(NamedTuple):
    """An entry that a book names as its cover, and the media type that it is listed with, "" where it is not."""

    entry: str
    media_type: str


def describe_cover(book: OpenBook) -> Cover | None:
    """The cover: the first of those that the book names which can be shown; None, with warnings, if there is none.
    It is not looked for among more than a few.

    The media type is told from the first bytes, so that what is later served as an image is one. SVG is left out,
    since it can carry scripts.
    """
    for named in islice(_named_covers(book), _TRIED):
        picture = _picture_of(book, named) if _is_page(named) else named
        if picture is not None and (cover := _described(book, picture)):
            return cover
    picture = _picture_of_the_first_page(book)
    return picture and _described(book, picture)


def image_type(head: bytes) -> str | None:
    """Media type of an image that begins with `head` (12 bytes suffice), by the WHATWG MIME Sniffing standard 6.1."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for signature, media_type in _SIGNATURES if head.startswith(signature)), None)


def _named_covers(book: OpenBook) -> Iterator[_Named]:
    """Each entry that the book names as its cover, an image or a page with one; the plainest word first.

    EPUB 3.3 section 5.6.2.1 and appendix D.3 (cover-image); EPUB 2 by convention: meta name="cover" has an item's id,
    or, against the convention, its path; OPF 2.0.1 section 2.6 (guide); last, images that are called a cover. Of an
    item and its fallbacks the first that can be shown counts.
    """
    package, log = book.package, book.archive.log
    items = [item for item in package.items.values() if not _PROPERTIES.isdisjoint(item.properties)]
    for key in package.covers:
        items += sorted(package.by_id(key)[:_TRIED], key=lambda item: not item.media_type.startswith("image/"))
    tried = dict.fromkeys(items)
    for item in tried:
        shown_as = next((each for each in package.with_fallbacks(item) if each.media_type in _TYPES), item)
        if name := entry_of(book, shown_as):
            yield _Named(name, shown_as.media_type)
    for path in (key for key in package.covers if key not in package.items):
        if name := _located(book, book.base, path):
            log.add(WarningCode.COVER, f"The cover is named by its path {shown(path)} and not by its id.")
            yield _Named(name, "")
        else:
            log.add(WarningCode.COVER, f"The cover {shown(path)} is not in the manifest.")
    for page in package.cover_pages:
        if name := _located(book, book.base, page):
            yield _Named(name, "")
    for item in _called_cover(package):
        if item not in tried and (name := entry_of(book, item)):
            log.add(WarningCode.COVER, f"The cover {shown(item.href)} is told by its name alone.")
            yield _Named(name, item.media_type)


def _called_cover(package: Package) -> list[Item]:
    """The images whose id, or the name of whose file, has the word in it; those that are called so and no more first.

    Where nothing names a cover, thumbnailers and libraries of readers look for such a name (gnome-epub-thumbnailer,
    booklore).
    """
    found: list[tuple[int, Item]] = []
    for key, item in package.items.items():
        if item.media_type.startswith("image/") and "svg" not in item.media_type:
            stem = item.href.rpartition("/")[2].rpartition(".")[0]
            words = [re.split(r"[^a-z]+", name.lower()) for name in (key, stem)]
            if not _WORDS.isdisjoint(chain(*words)) and "back" not in chain(*words):
                found.append((min(map(len, filter(_WORDS.intersection, words))), item))
    return [item for _, item in sorted(found, key=itemgetter(0))]


def _is_page(named: _Named) -> bool:
    return named.entry.lower().endswith(_PAGES) or "html" in named.media_type


def _picture_of_the_first_page(book: OpenBook) -> _Named | None:
    """The picture of a first page that shows nothing else, which readers show as the cover (calibre, KOReader)."""
    item = next((book.package.items.get(idref) for idref, _ in book.package.spine), None)
    entry = item and is_document(item.media_type) and _located(book, book.base, item.href)
    if not entry or entry in book.encrypted:
        return None
    with suppress(EpubError):
        reader = read_document(book.archive, entry, _MAX_PAGE_BYTES, lambda: _PictureReader(book.archive.limits, entry))
        if reader is not None and reader.picture and not reader.has_text:
            name = _located(book, entry, reader.picture)
            if name is not None and not name.lower().endswith(_PAGES):
                book.archive.log.add(WarningCode.COVER, f"The cover {shown(name)} is told by the first page alone.")
                return _Named(name, "")
    return None


def _located(book: OpenBook, base: str, href: str) -> str | None:
    with suppress(UnusableHref):
        if located := locate(book.archive, resolve(base, href)):
            return located[0]
    return None


def _picture_of(book: OpenBook, page: _Named) -> _Named | None:
    """The first picture on the cover's page."""
    limits, log = book.archive.limits, book.archive.log
    if page.entry in book.encrypted:
        return None
    try:
        reader = read_document(
            book.archive, page.entry, limits.max_document_bytes, lambda: _PictureReader(limits, page.entry)
        )
    except EpubError as error:
        log.add(WarningCode.COVER, f"The page of the cover was left out: {error.message}")
        return None
    name = _located(book, page.entry, reader.picture) if reader and reader.picture else None
    if name is None or name.lower().endswith(_PAGES):
        log.add(WarningCode.COVER, f"The page of the cover, {shown(page.entry)}, shows no image of the book.")
        return None
    return _Named(name, "")


class _PictureReader(MarkupReader):
    """`picture`: the address of the first image of the book, as it is written. `has_text`: whether there are words."""

    def __init__(self, limits: EpubLimits, name: str) -> None:
        super().__init__(limits, name)
        self.picture: str | None = None
        self.has_text = False
        self._in_head = 0

    def opened(self, name: str, namespace: str, attributes: Mapping[str, str]) -> None:
        self._in_head += name in _UNSHOWN
        if self.picture is None:
            found = next(filter(None, map(attributes.get, _PICTURES.get(name, ()))), None)
            self.picture = None if found is None or found.lstrip().lower().startswith("data:") else found

    def closed(self, name: str) -> None:
        self._in_head -= name in _UNSHOWN

    def text(self, text: str) -> None:
        self.has_text = self.has_text or not (self._in_head or text.isspace())


def _described(book: OpenBook, named: _Named) -> Cover | None:
    log, name = book.archive.log, named.entry
    if name in book.encrypted:
        log.add(WarningCode.ENCRYPTED_RESOURCE, f"The cover {shown(name)} is encrypted and was left out.")
        return None
    digest, size, media_type = hashlib.sha256(), 0, None
    try:
        for piece in book.archive.chunks(name, book.archive.limits.max_cover_bytes):
            if size == 0 and (media_type := image_type(piece)) is None:
                break
            digest.update(piece)
            size += len(piece)
    except EpubError as error:
        # The text is what counts: a book is not refused over a picture. What was unpacked so far was bounded.
        log.add(WarningCode.COVER, f"The cover was left out: {error.message}")
        return None
    if media_type is None:
        log.add(WarningCode.COVER, f"The cover {shown(name)} is not a JPEG, PNG, GIF or WebP image.")
        return None
    if named.media_type not in {media_type, ""}:
        log.add(WarningCode.COVER, f"The cover {shown(name)} is {media_type}, listed as {shown(named.media_type)}.")
    return Cover(name, media_type, size, digest.hexdigest())
