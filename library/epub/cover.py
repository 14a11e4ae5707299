"""The cover image: which manifest item it is, and what its bytes are."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress

from library.epub.book import Cover, WarningCode
from library.epub.container import locate
from library.epub.errors import EpubError, shown
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


def describe_cover(book: OpenBook) -> Cover | None:
    """The cover: the first of those that the book names which can be shown; None, with warnings, if there is none.

    The media type is told from the first bytes, so that what is later served as an image is one. SVG is left out,
    since it can carry scripts.
    """
    return next(filter(None, (_described(book, *named) for named in _named_covers(book))), None)


def image_type(head: bytes) -> str | None:
    """Media type of an image that begins with `head` (12 bytes suffice), by the WHATWG MIME Sniffing standard 6.1."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for signature, media_type in _SIGNATURES if head.startswith(signature)), None)


def _named_covers(book: OpenBook) -> Iterator[tuple[str, str]]:
    """The entry, and the media type that it is listed with, of each cover that the book names.

    EPUB 3.3 section 5.6.2.1 and appendix D.3 (cover-image); EPUB 2 by convention: meta name="cover" has an item's id,
    or, against the convention, its path. Of an item and its fallbacks the first that can be shown counts.
    """
    package, log = book.package, book.archive.log
    items = [item for item in package.items.values() if "cover-image" in item.properties]
    if package.cover in package.items:
        items.append(package.items[package.cover])
    for item in dict.fromkeys(items):
        shown_as = next((each for each in package.with_fallbacks(item) if each.media_type in _TYPES), item)
        if name := entry_of(book, shown_as):
            yield name, shown_as.media_type
    if package.cover is not None and package.cover not in package.items:
        with suppress(UnusableHref):
            if located := locate(book.archive, resolve(book.base, package.cover)):
                log.add(WarningCode.COVER, f"The cover is named by its path {shown(package.cover)} and not by its id.")
                yield located[0], ""
                return
        log.add(WarningCode.COVER, f"The cover {shown(package.cover)} is not in the manifest.")


def _described(book: OpenBook, name: str, listed_as: str) -> Cover | None:
    log = book.archive.log
    if name in book.encrypted:
        log.add(WarningCode.ENCRYPTED_RESOURCE, f"The cover {shown(name)} is encrypted and was left out.")
        return None
    digest, size, media_type = hashlib.sha256(), 0, None
    try:
        for piece in book.archive.chunks(name, book.archive.limits.max_cover_bytes):
            if size == 0:
                media_type = image_type(piece)
            digest.update(piece)
            size += len(piece)
    except EpubError as error:
        # The text is what counts: a book is not refused over a picture. What was unpacked so far was bounded.
        log.add(WarningCode.COVER, f"The cover was left out: {error.message}")
        return None
    if media_type is None:
        log.add(WarningCode.COVER, f"The cover {shown(name)} is not a JPEG, PNG, GIF or WebP image.")
        return None
    if listed_as not in {media_type, ""}:
        log.add(WarningCode.COVER, f"The cover {shown(name)} is {media_type}, listed as {shown(listed_as)}.")
    return Cover(name, media_type, size, digest.hexdigest())
