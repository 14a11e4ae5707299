"""The cover image: which of the book's files it is, and what its bytes are."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from library.epub.book import Cover, WarningCode
from library.epub.container import locate
from library.epub.errors import EpubError, shown
from library.epub.limits import EpubLimits
from library.epub.markup import MarkupReader, read_document
from library.epub.package import OpenBook
from library.epub.paths import UnusableHref, resolve
from library.epub.spine import entry_of

_SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_TYPES = {"image/webp", *(media_type for _, media_type in _SIGNATURES)}
_PAGES = (".xhtml", ".xht", ".html", ".htm", ".xml", ".svg")
_IDS = {"cover", "cover-image", "coverimage"}
_TRIED = 8
"""Each may be as large as a cover, or a page, can be."""
_PICTURES = {"img": ("src",), "image": ("href", "xlink:href", "{http://www.w3.org/1999/xlink}href")}


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
        picture = _picture_of(book, named) if named.entry.lower().endswith(_PAGES) else named
        if picture is not None and (cover := _described(book, picture)):
            return cover
    return None


def image_type(head: bytes) -> str | None:
    """Media type of an image that begins with `head` (12 bytes suffice), by the WHATWG MIME Sniffing standard 6.1."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for signature, media_type in _SIGNATURES if head.startswith(signature)), None)


def _named_covers(book: OpenBook) -> Iterator[_Named]:
    """Each entry that the book names as its cover, an image or a page with one; the plainest word first.

    EPUB 3.3 section 5.6.2.1 and appendix D.3 (cover-image); EPUB 2 by convention: meta name="cover" has an item's id,
    or, against the convention, its path; OPF 2.0.1 section 2.6 (guide); last, an item whose id is "cover". Of an item
    and its fallbacks the first that can be shown counts.
    """
    package, log = book.package, book.archive.log
    items = [item for item in package.items.values() if "cover-image" in item.properties]
    if package.cover in package.items:
        items.append(package.items[package.cover])
    for item in dict.fromkeys(items):
        shown_as = next((each for each in package.with_fallbacks(item) if each.media_type in _TYPES), item)
        if name := entry_of(book, shown_as):
            yield _Named(name, shown_as.media_type)
    if package.cover is not None and package.cover not in package.items:
        if name := _located(book, book.base, package.cover):
            log.add(WarningCode.COVER, f"The cover is named by its path {shown(package.cover)} and not by its id.")
            yield _Named(name, "")
        else:
            log.add(WarningCode.COVER, f"The cover {shown(package.cover)} is not in the manifest.")
    if package.cover_page is not None and (name := _located(book, book.base, package.cover_page)):
        yield _Named(name, "")
    tried = set(items)
    for key, item in package.items.items():
        if item.media_type not in _TYPES or key.lower() not in _IDS or item in tried:
            continue
        if name := entry_of(book, item):
            log.add(WarningCode.COVER, f"The cover {shown(item.href)} is told by its id {shown(key)} alone.")
            yield _Named(name, item.media_type)


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
    """`picture`: the address of the first image, as it is written."""

    def __init__(self, limits: EpubLimits, name: str) -> None:
        super().__init__(limits, name)
        self.picture: str | None = None

    def opened(self, name: str, namespace: str, attributes: Mapping[str, str]) -> None:
        if self.picture is None:
            self.picture = next(filter(None, map(attributes.get, _PICTURES.get(name, ()))), None)


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
