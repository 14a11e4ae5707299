"""The cover image: which manifest item it is, and what its bytes are."""

import hashlib

from library.epub.archive import Archive
from library.epub.book import Cover, WarningCode, WarningLog
from library.epub.errors import EpubError, shown
from library.epub.limits import EpubLimits
from library.epub.package import Item, Package
from library.epub.spine import entry_of

_SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def find_cover(
    archive: Archive, base: str, package: Package, encrypted: frozenset[str], log: WarningLog
) -> tuple[str, str] | None:
    """Entry and declared media type of the cover; None, with a warning if one is named but not there."""
    item = _cover_item(package, log)
    if item is None:
        return None
    name = entry_of(archive, base, item, log)
    if name is not None and name in encrypted:
        log.add(WarningCode.ENCRYPTED_RESOURCE, f"The cover {shown(name)} is encrypted and was left out.")
        return None
    return None if name is None else (name, item.media_type)


def describe_cover(archive: Archive, found: tuple[str, str], limits: EpubLimits, log: WarningLog) -> Cover | None:
    """The cover as described in a book; None, with a warning, if it is too large or no raster image.

    The media type is told from the first bytes, so that what is later served as an image is one. SVG is left out,
    since it can carry scripts.
    """
    name, declared = found
    digest, size, media_type = hashlib.sha256(), 0, None
    try:
        for piece in archive.chunks(name, limits.max_cover_bytes):
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
    if media_type != declared:
        log.add(WarningCode.COVER, f"The cover {shown(name)} is {media_type}, listed as {shown(declared)}.")
    return Cover(name, media_type, size, digest.hexdigest())


def image_type(head: bytes) -> str | None:
    """Media type of an image that begins with `head` (12 bytes suffice), by the WHATWG MIME Sniffing standard 6.1."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for signature, media_type in _SIGNATURES if head.startswith(signature)), None)


def _cover_item(package: Package, log: WarningLog) -> Item | None:
    # EPUB 3.3 section 5.6.2.1 and appendix D.3 (cover-image); EPUB 2 by convention: meta name="cover", an item's id.
    for item in package.items.values():
        if "cover-image" in item.properties:
            return item
    if package.cover_id is None:
        return None
    item = package.items.get(package.cover_id)
    if item is None:
        log.add(WarningCode.COVER, f"The cover {shown(package.cover_id)} is not in the manifest.")
    return item
