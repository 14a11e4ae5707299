"""The package document: metadata, manifest and spine as they stand in the file, nothing decided yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from library.epub.errors import EpubError, EpubErrorCode
from library.epub.limits import EpubLimits
from library.epub.markup import MarkupReader, parse_package_xml

_OPF = "http://www.idpf.org/2007/opf"
_DUBLIN_CORE = frozenset({"http://purl.org/dc/elements/1.1/", "http://purl.org/dc/elements/1.0/"})
_VALUES = frozenset({"title", "creator", "language", "identifier", "date", "publisher"})


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
    """`values`: by element name, in document order. `spine`: (idref, linear) pairs. `cover_id`: EPUB 2 meta.

    `odd_namespace`: an element that matters is not in the namespace it should be in.
    """

    unique_id: str | None = None
    values: dict[str, list[Value]] = field(default_factory=dict[str, list[Value]])
    items: dict[str, Item] = field(default_factory=dict[str, Item])
    spine: list[tuple[str, bool]] = field(default_factory=list[tuple[str, bool]])
    cover_id: str | None = None
    odd_namespace: bool = False


def read_package(raw: bytes, name: str, limits: EpubLimits) -> Package:
    """The package document in `raw`, the entry `name`. EPUB 3.3 section 5, OPF 2.0.1, and OEB 1.x where it shows.

    Elements are known by their local names, since published books mix up the namespaces.
    `EpubError`: `malformed-xml`, `unsafe-xml`, `limit-exceeded`.
    """
    reader = _PackageReader(limits, name)
    parse_package_xml(raw, name, reader)
    return reader.package


class _PackageReader(MarkupReader):
    def __init__(self, limits: EpubLimits, name: str) -> None:
        super().__init__(limits, name)
        self.package = Package()
        self._section: str | None = None
        self._value: str | None = None
        self._text: list[str] = []
        self._id: str | None = None
        self._event: str | None = None

    def opened(self, name: str, namespace: str, attributes: Mapping[str, str]) -> None:
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

    def closed(self, name: str) -> None:
        if name == self._value:
            self._keep(name)
        elif name == self._section:
            self._section = None

    def text(self, text: str) -> None:
        # Pieces, not characters, are counted: each is at most what libxml2 hands over at once, and is cut.
        if self._value is not None and len(self._text) < self._limits.max_value_chars:
            self._text.append(text[: self._limits.max_value_chars])

    def _metadata(self, name: str, namespace: str, attributes: Mapping[str, str]) -> None:
        if name in _VALUES and self._value is None:
            self._check(namespace, _DUBLIN_CORE)
            self._value, self._text = name, []
            self._id = attributes.get("id")
            self._event = attributes.get(f"{{{_OPF}}}event") or attributes.get("event")
        elif name == "meta" and attributes.get("name", "").strip().lower() == "cover" and not self.package.cover_id:
            self.package.cover_id = attributes.get("content", "").strip() or None

    def _keep(self, name: str) -> None:
        text = " ".join("".join(self._text).split())[: self._limits.max_value_chars]
        self._value = None
        values = self.package.values.setdefault(name, [])
        if text and len(values) < self._limits.max_values:
            values.append(Value(text, self._id, self._event))

    def _item(self, attributes: Mapping[str, str]) -> None:
        identifier = attributes.get("id", "").strip()
        item = Item(
            href=attributes.get("href", ""),
            media_type=attributes.get("media-type", "").partition(";")[0].strip().lower(),
            properties=frozenset(attributes.get("properties", "").split()),
            fallback=attributes.get("fallback"),
        )
        self.package.items.setdefault(identifier, item)
        if len(self.package.items) > self._limits.max_manifest_items:
            raise _too_many("files")

    def _check(self, namespace: str, expected: set[str] | frozenset[str]) -> None:
        self.package.odd_namespace = self.package.odd_namespace or namespace not in expected


def _too_many(what: str) -> EpubError:
    return EpubError(EpubErrorCode.LIMIT_EXCEEDED, f"The book lists more {what} than this service reads. Split it.")
