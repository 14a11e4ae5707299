"""What reading a book yields: plain values, no handles."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class WarningCode(StrEnum):
    """A way in which published books deviate and are read all the same. Stored: never renamed."""

    MIMETYPE = "mimetype"  # the `mimetype` entry is missing, not first, compressed, or says something else
    ZIP_DIRECTORY = "zip-directory"  # the ZIP's table of contents is missing or damaged; nothing else of it is
    ENTRY_NAME = "entry-name"  # a ZIP entry is named twice, in a folder more, or not as the rules of paths say
    ROOTFILE = "rootfile"  # several package documents, one spelled differently, or one found by its name alone
    PACKAGE_NAMESPACE = "package-namespace"  # the package document or its metadata has no or another namespace
    METADATA = "metadata"  # title, language, identifier or a usable date is missing
    MANIFEST_HREF = "manifest-href"  # a manifest href is remote or is no path
    SPINE_ITEM = "spine-item"  # a spine entry has no manifest item, is listed twice or is no document
    MISSING_ENTRY = "missing-entry"  # the manifest names a file the archive does not have
    HREF_SPELLING = "href-spelling"  # href and entry differ in case, encoding or escaping; an href is absolute
    ENCODING = "encoding"  # a document is not in UTF-8 or UTF-16, or not in what it declares
    NAMED_ENTITY = "named-entity"  # HTML entities such as &nbsp; where no DTD defines them
    ENTITY_DECLARATION = "entity-declaration"  # a document declares entities: they are not expanded
    NOT_WELL_FORMED = "not-well-formed"  # a document is not XML and was read as HTML
    EMPTY_CHAPTER = "empty-chapter"  # a spine document holds no markup at all
    CHAPTER_LEFT_OUT = "chapter-left-out"  # a spine document is damaged, or larger or deeper than is read
    ENCRYPTED_RESOURCE = "encrypted-resource"  # the cover, or less than half of the text, is encrypted, or may be
    COVER = "cover"  # the cover is missing, named by its path, told by its id, too large, or no image to show


@dataclass(frozen=True, slots=True)
class EpubWarning:
    """One deviation: `code` for machines, `message` for people."""

    code: WarningCode
    message: str


@dataclass(frozen=True, slots=True)
class Cover:
    """The cover image, described. `media_type` is what the bytes are, which is not always what the book says.

    `href`: path in the container. `size`: bytes. `sha256`: hexadecimal. The bytes come from `read_cover`.
    """

    href: str
    media_type: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What a book says of itself.

    `identifiers`: the unique identifier first. `published`: `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
    """

    title: str
    creators: tuple[str, ...]
    language: str | None
    identifiers: tuple[str, ...]
    published: str | None
    publisher: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpubBook(Metadata):
    """A book as read. `chapters`: linear spine documents that were read. `words`: see `words.py` for the rule."""

    chapters: int
    words: int
    cover: Cover | None
    warnings: tuple[EpubWarning, ...]


@dataclass(slots=True)
class WarningLog:
    """Collects warnings in the order they arise; a book with ten thousand bad links yields a short list."""

    per_code: int
    _listed: list[EpubWarning] = field(default_factory=list[EpubWarning])
    _counts: Counter[WarningCode] = field(default_factory=Counter[WarningCode])

    def add(self, code: WarningCode, message: str) -> None:
        warning = EpubWarning(code, message)
        if warning in self._listed:
            return
        self._counts[code] += 1
        if self._counts[code] <= self.per_code:
            self._listed.append(warning)

    def result(self) -> tuple[EpubWarning, ...]:
        more = [
            EpubWarning(code, f"{count - self.per_code} more of this kind")
            for code, count in sorted(self._counts.items())
            if count > self.per_code
        ]
        return (*self._listed, *more)
