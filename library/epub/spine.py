"""From the spine to the entries to read: which documents make up the text, in order."""

from functools import cache, partial

from library.epub.book import WarningCode
from library.epub.container import locate
from library.epub.errors import EpubError, EpubErrorCode, shown
from library.epub.package import Item, OpenBook, Package
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
_MOST_OF_AN_ID = 8
"""Items of one id of which the first document is read."""
_DOCUMENT_NAMES = (".xhtml", ".xhtm", ".xht", ".html", ".htm", ".shtml", ".xml")


def entry_of(book: OpenBook, item: Item) -> str | None:
    """The entry that a manifest item names; None, with a warning, if there is none."""
    log = book.archive.log
    try:
        located = locate(book.archive, resolve(book.base, item.href))
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


def plan_chapters(book: OpenBook) -> tuple[str, ...]:
    """The entries to read, in reading order, each once (EPUB 3.3 section 5.7: an item is listed at most once).

    Items with linear="no" are left out (section 5.7.2.1), unless there are no others. Where the spine has nothing that
    the manifest knows, the documents of the manifest are read in its order.
    What is encrypted is left out. `EpubError(encrypted)` if that is more than is not: a book under DRM, of which a
    title page is often in the clear. `EpubError(nothing-readable)` if there are none.
    """
    spine, log = book.package.spine, book.archive.log
    listed = [idref for idref, linear in spine if linear]
    if not listed and spine:
        log.add(WarningCode.SPINE_ITEM, "The spine has no linear item; all of its items are read.")
        listed = [idref for idref, _ in spine]
    if book.package.items.keys().isdisjoint(listed) and (documents := _documents(book.package)):
        log.add(WarningCode.SPINE_ITEM, "The spine lists nothing of the manifest; all documents in that are read.")
        listed = documents
    chapters: dict[str, None] = {}
    encrypted: set[str] = set()
    # Each look takes as long as an href is, and the spine may list one thousands of times.
    document_of, name_of = cache(partial(_document, book)), cache(partial(entry_of, book))
    for idref in listed:
        document = document_of(idref)
        name = document and name_of(document)
        if name is None:
            continue
        if name in book.encrypted:
            encrypted.add(name)
            log.add(WarningCode.ENCRYPTED_RESOURCE, f"{shown(name)} is encrypted and was left out.")
            continue
        if name in chapters:
            log.add(WarningCode.SPINE_ITEM, f"The spine lists {shown(name)} more than once; it is read once.")
        chapters[name] = None
    if len(encrypted) > len(chapters):
        message = "The text of the book is encrypted, as by DRM. Upload a copy without protection."
        raise EpubError(EpubErrorCode.ENCRYPTED, message)
    if not chapters:
        raise nothing_readable()
    return tuple(chapters)


def _documents(package: Package) -> list[str]:
    """The ids of all documents but the one that navigates."""
    return [key for key, item in package.items.items() if is_document(item.media_type) and "nav" not in item.properties]


def is_document(media_type: str) -> bool:
    """Whether this type, which may be misspelled (`text/xhtml`, `application/html`), is one of text documents."""
    return media_type in _DOCUMENTS or "html" in media_type


def nothing_readable() -> EpubError:
    return EpubError(
        EpubErrorCode.NOTHING_READABLE,
        "The book has no text that can be read: none of the documents in its spine is there. "
        "Export the book again with an EPUB tool.",
    )


def _document(book: OpenBook, idref: str) -> Item | None:
    log = book.archive.log
    items = book.package.by_id(idref)
    if not items:
        log.add(WarningCode.SPINE_ITEM, f"The spine lists {shown(idref)}, which the manifest does not.")
        return None
    if len(items) > 1:
        log.add(WarningCode.SPINE_ITEM, f"The manifest lists several files as {shown(idref)}.")
    documents = [found for found in (_readable(book.package, item) for item in items[:_MOST_OF_AN_ID]) if found]
    if not documents:
        log.add(WarningCode.SPINE_ITEM, f"The spine item {shown(items[0].href)} is no text document and was left out.")
    return documents[0] if documents else None


def _readable(package: Package, item: Item) -> Item | None:
    """`item`, or the first of its fallbacks that is a text document."""
    for each in package.with_fallbacks(item):
        if is_document(each.media_type):
            return each
    # A wrong media type is common; the name is then the better witness. Without either it is what a spine lists.
    name = item.href.partition("#")[0].lower()
    return item if name.endswith(_DOCUMENT_NAMES) or not (item.media_type or "." in name) else None
