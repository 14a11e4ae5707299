"""The files with fixed names: `mimetype`, META-INF/container.xml, META-INF/encryption.xml."""

from collections.abc import Mapping

from library.epub.archive import Archive
from library.epub.book import WarningCode, WarningLog
from library.epub.errors import EpubError, EpubErrorCode, shown
from library.epub.limits import EpubLimits
from library.epub.markup import MarkupReader, parse_package_xml
from library.epub.paths import UnusableHref, resolve

_MIMETYPE = b"application/epub+zip"
_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PACKAGE_TYPE = "application/oebps-package+xml"


def check_mimetype(archive: Archive, log: WarningLog) -> None:
    """Warns where the `mimetype` entry is not as EPUB 3.3 section 4.3.3 wants it; nothing depends on it."""
    name = archive.find("mimetype")
    if name is None:
        log.add(WarningCode.MIMETYPE, "The archive has no mimetype entry.")
        return
    if not archive.is_first(name):
        log.add(WarningCode.MIMETYPE, "The mimetype entry is not the first of the archive.")
    if not archive.is_stored(name):
        log.add(WarningCode.MIMETYPE, "The mimetype entry is compressed.")
    if next(archive.chunks(name, 64 * 1024), b"") != _MIMETYPE:
        log.add(WarningCode.MIMETYPE, "The mimetype entry does not hold exactly application/epub+zip.")


def locate(archive: Archive, candidates: tuple[str, ...]) -> tuple[str, bool] | None:
    """The entry that one of `candidates` (from `resolve`) names, and whether it is spelled as it should be."""
    for position, candidate in enumerate(candidates):
        found = archive.find(candidate)
        if found is not None:
            return found, position == 0 and found == candidate
    return None


def find_package(archive: Archive, limits: EpubLimits, log: WarningLog) -> str:
    """The entry of the package document: the first that container.xml names (EPUB 3.3 section 4.2.6.3.1).

    `EpubError`: `no-container`, `no-package`, `unsafe-path`, and those of `parse_package_xml`.
    """
    container = archive.find(_CONTAINER)
    if container is None:
        raise EpubError(
            EpubErrorCode.NO_CONTAINER,
            f"The file is a ZIP archive but not an EPUB: {_CONTAINER} is missing. Upload an .epub file.",
        )
    reader = _ContainerReader(limits, container)
    parse_package_xml(archive.read(container, limits.max_package_bytes), container, reader)
    if not reader.packages:
        raise EpubError(
            EpubErrorCode.NO_PACKAGE,
            f"{_CONTAINER} names no package document. Export the book again with an EPUB tool.",
        )
    if len(reader.packages) > 1:
        log.add(WarningCode.ROOTFILE, f"The book has {len(reader.packages)} package documents; the first is read.")
    path = reader.packages[0]
    try:
        located = locate(archive, resolve("", path))
    except UnusableHref as error:
        raise EpubError(
            EpubErrorCode.UNSAFE_PATH,
            f"{_CONTAINER} points to {shown(path)} as the package document: {error}. Export the book again.",
        ) from error
    if located is None:
        raise EpubError(
            EpubErrorCode.NO_PACKAGE,
            f"The package document {shown(path)} is not in the archive. Export the book again with an EPUB tool.",
        )
    name, exact = located
    if not exact:
        log.add(WarningCode.ROOTFILE, f"The package document is listed as {shown(path)} and stored as {shown(name)}.")
    return name


def encrypted_entries(archive: Archive, limits: EpubLimits) -> frozenset[str]:
    """The entries that META-INF/encryption.xml covers, by whatever algorithm (EPUB 3.3 section 4.2.6.3.2).

    The algorithm is not looked at: font obfuscation (section 4.4) covers fonts, which are never read here, and
    a chapter obfuscated that way is no more readable than an encrypted one.
    """
    encryption = archive.find(_ENCRYPTION)
    if encryption is None:
        return frozenset()
    reader = _EncryptionReader(limits, encryption)
    parse_package_xml(archive.read(encryption, limits.max_package_bytes), encryption, reader)
    covered: set[str] = set()
    for uri in reader.uris:
        try:
            located = locate(archive, resolve("", uri))
        except UnusableHref:
            continue  # it covers nothing of this archive
        if located is not None:
            covered.add(located[0])
    return frozenset(covered)


class _ContainerReader(MarkupReader):
    def __init__(self, limits: EpubLimits, name: str) -> None:
        super().__init__(limits, name)
        self.packages: list[str] = []

    def opened(self, name: str, namespace: str, attributes: Mapping[str, str]) -> None:
        if name == "rootfile":
            path = attributes.get("full-path", "").strip()
            kind = attributes.get("media-type", "").strip().lower()
            if path and (kind == _PACKAGE_TYPE or path.lower().endswith(".opf")):
                self.packages.append(path)


class _EncryptionReader(MarkupReader):
    def __init__(self, limits: EpubLimits, name: str) -> None:
        super().__init__(limits, name)
        self.uris: list[str] = []

    def opened(self, name: str, namespace: str, attributes: Mapping[str, str]) -> None:
        if name == "cipherreference" and (uri := attributes.get("URI")):
            self.uris.append(uri)
