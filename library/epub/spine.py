"""From the spine to the entries to read: which documents make up the text, in order."""

from library.epub.archive import Archive
from library.epub.book import WarningCode, WarningLog
from library.epub.container import locate
from library.epub.errors import EpubError, EpubErrorCode, shown
from library.epub.package import Item, Package
from library.epub.paths import UnusableHref, resolve

_DOCUMENTS = frozenset(
    {
        "application/xhtml+xml",
        "image/svg+xml",
        "text/html",
        "application/x-dtbook+xml",  # OPF 2.0.1 section 1.3.7
        "text/x-oeb1-document",
        "application/xml",
        "text/xml",
    }
)
_DOCUMENT_NAMES = (".xhtml", ".html", ".htm", ".xml")


def entry_of(archive: Archive, base: str, item: Item, log: WarningLog) -> str | None:
    """The entry a manifest item of the package document at `base` names; None, with a warning, if there is none."""
    try:
        located = locate(archive, resolve(base, item.href))
    except UnusableHref as error:
        log.add(WarningCode.MANIFEST_HREF, f"The manifest lists {shown(item.href)}, which was left out: {error}.")
        return None
    if located is None:
        log.add(WarningCode.MISSING_ENTRY, f"The manifest lists {shown(item.href)}, which is not in the archive.")
        return None
    name, exact = located
    if not exact:
        log.add(WarningCode.HREF_SPELLING, f"The manifest lists {shown(item.href)}, stored as {shown(name)}.")
    return name


def plan_chapters(
    archive: Archive, base: str, package: Package, encrypted: frozenset[str], log: WarningLog
) -> tuple[str, ...]:
    """The entries to read, in reading order, each once (EPUB 3.3 section 5.7: an item is listed at most once).

    Items with linear="no" are left out (section 5.7.2.1), unless there are no others.
    `EpubError(encrypted)` if one of them is encrypted, `EpubError(nothing-readable)` if there are none.
    """
    listed = [idref for idref, linear in package.spine if linear]
    if not listed and package.spine:
        log.add(WarningCode.SPINE_ITEM, "The spine has no linear item; all of its items are read.")
        listed = [idref for idref, _ in package.spine]
    chapters: dict[str, None] = {}
    for idref in listed:
        name = _document(archive, base, package, idref, log)
        if name is None:
            continue
        if name in encrypted:
            raise EpubError(
                EpubErrorCode.ENCRYPTED,
                f"The text of the book is encrypted ({shown(name)}), as by DRM. Upload a copy without protection.",
            )
        if name in chapters:
            log.add(WarningCode.SPINE_ITEM, f"The spine lists {shown(name)} more than once; it is read once.")
        chapters[name] = None
    if not chapters:
        raise nothing_readable()
    return tuple(chapters)


def nothing_readable() -> EpubError:
    return EpubError(
        EpubErrorCode.NOTHING_READABLE,
        "The book has no text that can be read: none of the documents in its spine is there. "
        "Export the book again with an EPUB tool.",
    )


def _document(archive: Archive, base: str, package: Package, idref: str, log: WarningLog) -> str | None:
    item = package.items.get(idref)
    if item is None:
        log.add(WarningCode.SPINE_ITEM, f"The spine lists {shown(idref)}, which the manifest does not.")
        return None
    document = _readable(package, item)
    if document is None:
        log.add(WarningCode.SPINE_ITEM, f"The spine item {shown(item.href)} is no text document and was left out.")
        return None
    return entry_of(archive, base, document, log)


def _readable(package: Package, item: Item) -> Item | None:
    """`item`, or the first of its fallbacks that is a text document (EPUB 3.3 section 3.5.1, manifest fallbacks)."""
    seen: set[str] = set()
    current: Item | None = item
    while current is not None:
        if current.media_type in _DOCUMENTS:
            return current
        if current.fallback is None or current.fallback in seen:
            break
        seen.add(current.fallback)
        current = package.items.get(current.fallback)
    # A wrong media type is common; the name is then the better witness.
    return item if item.href.partition("#")[0].lower().endswith(_DOCUMENT_NAMES) else None
