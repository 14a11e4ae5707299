"""XML and HTML parsing that untrusted input cannot turn against the process.

Documents are parsed as a stream of events: no tree is built, so memory does not depend on the markup, and the
interpreter is let go of between events (lxml parses without it). The parsers get no DTD, no network, no files, no
entity expansion, and libxml2 keeps its own bounds (`huge_tree` off); depth and number of elements are counted here.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import lxml.etree as etree  # noqa: PLR0402 - without stubs pyright finds the module, not the name in the package

from library.epub.errors import EpubError, EpubErrorCode, shown
from library.epub.limits import EpubLimits
from library.epub.text import DocumentText, EntityDeclared

_SEPARATORS = " \t\n\r\f\"'/"  # one of them at least comes before each attribute; HTML, section 13.2.5.32


class NotWellFormed(ValueError):
    """The document is not well-formed XML; the message says where."""


class MarkupReader:
    """What is read from a document: subclasses override the three hooks.

    Names are local names without prefix, in lower case: OEB 1 writes dc:Title, old chapters <BODY>.
    """

    def __init__(self, limits: EpubLimits, name: str) -> None:
        self._limits = limits
        self._name = name
        self._depth = 0
        self._elements = 0
        self._events = 0

    def opened(self, name: str, namespace: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""

    def closed(self, name: str) -> None:
        """An element ends."""

    def text(self, text: str) -> None:
        """Character data, in pieces."""

    # The three methods below are lxml's parser target interface (lxml.de/parsing.html, "The target parser interface").

    def start(self, tag: str, attrib: Mapping[str, str]) -> None:
        self._events += 1
        self._depth += 1
        self._elements += 1
        if self._depth > self._limits.max_depth or self._elements > self._limits.max_elements:
            raise self._too_complex("is nested too deeply or has too many elements")
        namespace, _, local = tag.rpartition("}")
        self.opened(local.rpartition(":")[2].lower(), namespace[1:], attrib)

    def end(self, tag: str) -> None:
        self._events += 1
        self._depth -= 1
        self.closed(tag.rpartition("}")[2].rpartition(":")[2].lower())

    def data(self, data: str) -> None:
        self._events += 1
        self.text(data)

    def close(self) -> None:
        return None

    def feed(self, parser: Any, pieces: Iterable[str]) -> None:
        """Has `parser`, whose target this is, parse `pieces`.

        While pieces go in and no event comes out, the parser is inside one tag, comment or CDATA section. What
        separates attributes is counted there, since an element with a million of them becomes a dictionary in one
        step, before `start` could refuse it. A picture in a data URL is as long, but in one attribute.
        """
        separators = 0
        for piece in pieces:
            if not piece:
                continue
            events = self._events
            parser.feed(piece.encode("utf-8", "replace"))
            separators = sum(map(piece.count, _SEPARATORS)) + separators if self._events == events else 0
            if separators > self._limits.max_attributes:
                raise self._too_complex("has a tag, comment or CDATA section too large")
        parser.close()

    def _too_complex(self, what: str) -> EpubError:
        return EpubError(
            EpubErrorCode.LIMIT_EXCEEDED, f"The markup of {shown(self._name)} {what} to be read. Split the document."
        )


def parse_xml(pieces: Iterable[str], reader: MarkupReader) -> None:
    """Feeds `reader` the events of an XML document. `NotWellFormed`; the reader has then seen a part of it."""
    _run(
        etree.XMLParser(
            target=reader,
            encoding="utf-8",
            resolve_entities=False,
            load_dtd=False,
            dtd_validation=False,
            attribute_defaults=False,
            no_network=True,
            huge_tree=False,
        ),
        pieces,
        reader,
    )


def parse_html(pieces: Iterable[str], reader: MarkupReader) -> None:
    """Feeds `reader` the events of a document read as HTML: anything goes. `NotWellFormed` if it holds no markup."""
    _run(etree.HTMLParser(target=reader, encoding="utf-8", no_network=True, huge_tree=False), pieces, reader)


def parse_package_xml(raw: bytes, name: str, reader: MarkupReader) -> None:
    """Feeds `reader` a document the book depends on. `EpubError`: `malformed-xml`, `unsafe-xml`."""
    try:
        parse_xml(DocumentText(raw).pieces(), reader)
    except EntityDeclared as error:
        raise EpubError(
            EpubErrorCode.UNSAFE_XML,
            f"{shown(name)} declares XML entities, which an EPUB may not do. Export the book again with another tool.",
        ) from error
    except NotWellFormed as error:
        raise EpubError(
            EpubErrorCode.MALFORMED_XML,
            f"{shown(name)} is not well-formed XML ({error}). Export the book again or repair it with an EPUB editor.",
        ) from error


def _run(parser: Any, pieces: Iterable[str], reader: MarkupReader) -> None:
    try:
        reader.feed(parser, pieces)
    except etree.LxmlError as error:
        raise NotWellFormed(" ".join(str(error).split())[:200]) from error
