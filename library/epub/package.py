"""The package document: metadata, manifest and spine as they stand in the file, nothing decided yet."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from library.epub.archive import Archive
from library.epub.errors import EpubError, EpubErrorCode
from library.epub.limits import EpubLimits
from library.epub.markup import MarkupReader, malformed, read_document

_OPF = "http://www.idpf.org/2007/opf"
_DUBLIN_CORE = frozenset({"http://purl.org/dc/elements/1.1/", "http://purl.org/dc/elements/1.0/"})
_VALUES = frozenset({"title", "creator", "language", "identifier", "date", "publisher"})
_TITLE_TYPE = "title-type"
_MOST_IN_CHAIN = 8
"""Items of a chain of fallbacks."""
_MOST_COVERS = 8
"""Metas, and references of the guide, that name a cover."""
_CONTROLS = dict.fromkeys(range(32), " ")


@dataclass(frozen=True, slots=True)
class Value:
    """One Dublin Core element: `text` with white space collapsed; `id` and (EPUB 2) opf:event if given."""

    text: str
    id: str | None
    event: str | None


@dataclass(frozen=True, slots=True)
class Item:
    """One manifest item (EPUB 3.3 section 5.6.2), attributes as written. `fallback`: id of another item."""

    href: str
    media_type: str
    properties: frozenset[str]
    fallback: str | None


@dataclass(slots=True)
class Package:
    """`values`: by element name, in document order. `spine`: (idref, linear) pairs. `covers`: EPUB 2 metas, items' ids.

    `again`: what has the id of an earlier one of `items`. `main_titles`: ids of titles that are called the main one.
    `cover_pages`: hrefs of the guide's references to the cover (OPF 2.0.1 section 2.6), documents or images.
    `odd_namespace`: an element that matters is not in the namespace it should be in.
    """

    unique_id: str | None = None
    values: dict[str, list[Value]] = field(default_factory=dict[str, list[Value]])
    items: dict[str, Item] = field(default_factory=dict[str, Item])
    again: dict[str, list[Item]] = field(default_factory=dict[str, list[Item]])
    main_titles: set[str] = field(default_factory=set[str])
    spine: list[tuple[str, bool]] = field(default_factory=list[tuple[str, bool]])
    covers: list[str] = field(default_factory=list[str])
    cover_pages: list[str] = field(default_factory=list[str])
    odd_namespace: bool = False

    def by_id(self, identifier: str) -> list[Item]:
        """The items of this id: one, but in books where a page and its picture, say, have the same."""
        first = self.items.get(identifier)
        return [] if first is None else [first, *self.again.get(identifier, [])]

    def with_fallbacks(self, item: Item) -> Iterator[Item]:
        """`item`, its fallback, and so on, each once (EPUB 3.3 section 3.5.1, manifest fallbacks); a few of them.

        Each item of the spine may be the first of a chain that has all items of the manifest in it.
        """
        seen: set[str | None] = {None}
        current: Item | None = item
        while current is not None and len(seen) <= _MOST_IN_CHAIN:
            yield current
            fallback = current.fallback
            current = None if fallback in seen else self.items.get(fallback or "")
            seen.add(fallback)


@dataclass(frozen=True, slots=True)
class OpenBook:
    """A book of which the package document was read. `base`: its entry. `encrypted`: the entries that are."""

    archive: Archive
    base: str
    package: Package
    encrypted: frozenset[str]


def read_package(archive: Archive, name: str) -> Package:
    """The package document in the entry `name`. EPUB 3.3 section 5, OPF 2.0.1, and OEB 1.x where it shows.

    Elements are known by their local names, since published books mix up the namespaces.
    Errors as `read_document`, and `EpubError(malformed-xml)` where it is cut off before the spine, or is no XML at all.
    """
    limits = archive.limits
    reader = read_document(archive, name, limits.max_package_bytes, lambda: _PackageReader(limits, name))
    if reader is None or (reader.as_html and not reader.package.spine):
        raise malformed(name)
    return reader.package


class _PackageReader(MarkupReader):
    def __init__(self, limits: EpubLimits, name: str) -> None:
        super().__init__(limits, name)
        self.package = Package()
        self._section: str | None = None
        self._collections = 0
        self._value: str | None = None
        self._element = ""
        self._doubles = 0
        self._text: list[str] = []
        self._id: str | None = None
        self._event: str | None = None

    def opened(self, name: str, namespace: str, attributes: Mapping[str, str]) -> None:
        if name == "collection":
            self._collections += 1
        if self._collections:
            return  # it has metadata and a manifest of its own (EPUB 3.3 section 5.9)
        if name in {"metadata", "manifest", "spine", "guide"}:
            self._section = name
            self._check(namespace, {_OPF})
        elif name == "package":
            self.package.unique_id = attributes.get("unique-identifier")
            self._check(namespace, {_OPF})
        elif self._section == "metadata":
            self._metadata(name, namespace, attributes)
        elif self._section == "manifest" and name == "item":
            self._item(attributes)
        elif self._section == "spine" and name == "itemref":
            linear = attributes.get("linear", "yes").strip().lower() != "no"
            self.package.spine.append((attributes.get("idref", "").strip(), linear))
            if len(self.package.spine) > self._limits.max_chapters:
                raise _too_many("chapters")
        elif self._section == "guide" and name == "reference":
            self._reference(attributes)

    def closed(self, name: str) -> None:
        if name == "collection" and self._collections:
            self._collections -= 1
        elif name == self._element and self._value is not None:
            self._keep(self._value)
        elif name == self._section:
            self._section = None

    def text(self, text: str) -> None:
        # Pieces, not characters, are counted: each is at most what libxml2 hands over at once, and is cut.
        if self._value is not None and len(self._text) < self._limits.max_value_chars:
            self._text.append(text[: self._limits.max_value_chars])

    def _metadata(self, name: str, namespace: str, attributes: Mapping[str, str]) -> None:
        if name in _VALUES:
            self._check(namespace, _DUBLIN_CORE)
            self._begin(name, name, attributes.get("id"))
            events = (attributes.get(key) for key in (f"{{{_OPF}}}event", "opf:event", "event"))
            self._event = next(filter(None, events), None)
        elif name == "meta" and attributes.get("property", "").strip() == _TITLE_TYPE and "refines" in attributes:
            self._begin(_TITLE_TYPE, name, attributes["refines"].strip().removeprefix("#"))
        elif name == "meta" and "cover" in {attributes.get(key, "").strip().lower() for key in ("name", "property")}:
            _remember(self.package.covers, attributes.get("content"))

    def _begin(self, value: str, element: str, id: str | None) -> None:
        if self._value is not None:  # it was never closed
            self._keep(self._value)
        self._value, self._element, self._id, self._text = value, element, id, []

    def _keep(self, name: str) -> None:
        text = " ".join("".join(self._text).translate(_CONTROLS).split())[: self._limits.max_value_chars]
        self._value = None
        if name == _TITLE_TYPE:
            if text.lower() == "main" and self._id and len(self.package.main_titles) < self._limits.max_values:
                self.package.main_titles.add(self._id)
            return
        values = self.package.values.setdefault(name, [])
        if text and len(values) < self._limits.max_values:
            values.append(Value(text, self._id, self._event))

    def _item(self, attributes: Mapping[str, str]) -> None:
        identifier = attributes.get("id", "").strip()
        item = Item(
            href=attributes.get("href", ""),
            media_type=attributes.get("media-type", "").partition(";")[0].strip().lower(),
            properties=frozenset(attributes.get("properties", "").lower().split()),
            fallback=attributes.get("fallback"),
        )
        if self.package.items.setdefault(identifier, item) != item:
            self._doubles += 1
            self.package.again.setdefault(identifier, []).append(item)
        if len(self.package.items) + self._doubles > self._limits.max_manifest_items:
            raise _too_many("files")

    def _reference(self, attributes: Mapping[str, str]) -> None:
        kind = attributes.get("type", "").strip().lower()
        if "cover" in kind and "back" not in kind:
            _remember(self.package.cover_pages, attributes.get("href"))

    def _check(self, namespace: str, expected: set[str] | frozenset[str]) -> None:
        if not self.as_html:
            self.package.odd_namespace = self.package.odd_namespace or namespace not in expected


def _remember(covers: list[str], named: str | None) -> None:
    if (text := (named or "").strip()) and len(covers) < _MOST_COVERS:
        covers.append(text)


def _too_many(what: str) -> EpubError:
    return EpubError(EpubErrorCode.LIMIT_EXCEEDED, f"The book lists more {what} than this service reads. Split it.")
