"""The files with fixed names: `mimetype`, META-INF/container.xml, META-INF/encryption.xml."""

from collections.abc import Mapping

from library.epub.archive import Archive
from library.epub.book import WarningCode
from library.epub.errors import EpubError, EpubErrorCode, shown
from library.epub.limits import EpubLimits
from library.epub.markup import MarkupReader, malformed, read_document
from library.epub.paths import Paths, UnusableHref, resolve

_MIMETYPE = b"application/epub+zip"
_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PACKAGE_TYPES = {"application/oebps-package+xml", "application/xml", "text/xml", ""}


def check_mimetype(archive: Archive) -> None:
    """Warns where the `mimetype` entry is not as EPUB 3.3 section 4.3.3 wants it; nothing depends on it."""
    name = archive.entries.find("mimetype")
    if name is None:
        archive.log.add(WarningCode.MIMETYPE, "The archive has no mimetype entry.")
        return
    if not archive.entries.is_first(name):
        archive.log.add(WarningCode.MIMETYPE, "The mimetype entry is not the first of the archive.")
    if not archive.is_stored(name):
        archive.log.add(WarningCode.MIMETYPE, "The mimetype entry is compressed.")
    try:
        exact = archive.read(name, 64 * 1024) == _MIMETYPE
    except EpubError:
        exact = False
    if not exact:
        archive.log.add(WarningCode.MIMETYPE, "The mimetype entry does not hold exactly application/epub+zip.")


def locate(archive: Archive, paths: Paths) -> tuple[str, bool] | None:
    """The entry that one of `paths` names, and whether it is spelled as it should be."""
    for position, candidate in enumerate(paths.likeliest_first):
        found = archive.entries.find(candidate)
        if found is not None:
            return found, paths.valid and position == 0 and found == candidate
    return None


def find_package(archive: Archive) -> str:
    """The entry of the package document: the first that container.xml names (EPUB 3.3 section 4.2.6.3.1) and is there.

    Where it names none that is there, or cannot be read itself, the file that is called one, for which converters look,
    too. `EpubError`: `unsafe-path`; where there is no such file either, `no-container`, `no-package`, `malformed-xml`,
    and those of `read_document`.
    """
    try:
        return _named_package(archive)
    except EpubError as error:
        found = archive.entries.ending_with(".opf")
        if not found or archive.exhausted or error.code is EpubErrorCode.UNSAFE_PATH:
            raise
        message = f"The package document was found by its name {shown(found[0])}: {error.message}"
        archive.log.add(WarningCode.ROOTFILE, message)
        return found[0]


def _named_package(archive: Archive) -> str:
    container = archive.entries.find(_CONTAINER)
    if container is None:
        raise EpubError(
            EpubErrorCode.NO_CONTAINER,
            f"The file is a ZIP archive but not an EPUB: {_CONTAINER} is missing. Upload an .epub file.",
        )
    reader = _read(archive, container)
    if reader is None or (reader.as_html and not reader.packages):
        raise malformed(container)
    if len(reader.packages) > 1:
        message = f"The book has {len(reader.packages)} package documents; the first that is there is read."
        archive.log.add(WarningCode.ROOTFILE, message)
    problem: EpubError | None = None
    for path in reader.packages:
        try:
            located = locate(archive, resolve("", path))
        except UnusableHref as error:
            message = f"{_CONTAINER} points to {shown(path)} as the package document: {error}. Export the book again."
            problem = problem or EpubError(EpubErrorCode.UNSAFE_PATH, message)
            continue
        if located is not None:
            name, exact = located
            if not exact:
                message = f"The package document is listed as {shown(path)} and stored as {shown(name)}."
                archive.log.add(WarningCode.ROOTFILE, message)
            return name
        message = f"The package document {shown(path)} is not in the archive. Export the book again with an EPUB tool."
        problem = problem or EpubError(EpubErrorCode.NO_PACKAGE, message)
    message = f"{_CONTAINER} names no package document. Export the book again with an EPUB tool."
    raise problem or EpubError(EpubErrorCode.NO_PACKAGE, message)


def encrypted_entries(archive: Archive) -> frozenset[str]:
    """The entries that META-INF/encryption.xml covers, by whatever algorithm (EPUB 3.3 section 4.2.6.3.2).

    The algorithm is not looked at: font obfuscation (section 4.4) covers fonts, which are never read here, and
    a chapter obfuscated that way is no more readable than an encrypted one.
    """
    encryption = archive.entries.find(_ENCRYPTION)
    if encryption is None:
        return frozenset()
    try:
        reader = _read(archive, encryption)
    except EpubError as error:
        if archive.exhausted:
            raise
        archive.log.add(WarningCode.ENCRYPTED_RESOURCE, f"What is encrypted is not known: {error.message}")
        return frozenset()
    covered: set[str] = set()
    for uri in reader.uris if reader else ():
        try:
            located = locate(archive, resolve("", uri))
        except UnusableHref:
            continue  # it covers nothing of this archive
        if located is not None:
            covered.add(located[0])
    return frozenset(covered)


def _read(archive: Archive, name: str) -> "_Reader | None":
    limits = archive.limits
    reader = read_document(archive, name, limits.max_package_bytes, lambda: _Reader(limits, name))
    if reader is None:
        archive.log.add(WarningCode.NOT_WELL_FORMED, f"{shown(name)} holds no markup.")
    return reader


class _Reader(MarkupReader):
    """`packages` that container.xml names, `uris` that encryption.xml covers."""

    def __init__(self, limits: EpubLimits, name: str) -> None:
        super().__init__(limits, name)
        self.packages: list[str] = []
        self.uris: list[str] = []

    def opened(self, name: str, namespace: str, attributes: Mapping[str, str]) -> None:
        if name == "rootfile":
            path = attributes.get("full-path", "").strip()
            kind = attributes.get("media-type", "").strip().lower()
            if path and (kind in _PACKAGE_TYPES or path.lower().endswith(".opf")):
                self.packages.append(path)
        elif name == "cipherreference" and (uri := attributes.get("URI") or attributes.get("uri")):
            self.uris.append(uri)
