"""XML and HTML parsing that untrusted input cannot turn against the process.

Documents are parsed as a stream of events: no tree is built, so memory does not depend on the markup, and the
interpreter is let go of between events (lxml parses without it). The parsers get no DTD, no network, no files and no
entity expansion. The size of a document, its depth and the number of its elements and attributes are bounded here and
not by libxml2 (`huge_tree`), whose bounds are narrower for a picture in an attribute than for anything that hurts.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import lxml.etree as etree  # noqa: PLR0402 - without stubs pyright finds the module, not the name in the package

from library.epub.archive import Archive
from library.epub.book import WarningCode, WarningLog
from library.epub.errors import EpubError, EpubErrorCode, shown
from library.epub.limits import EpubLimits
from library.epub.text import DocumentText, EntityDeclared

# What tells where tags, their attributes and their quoted values begin and end (HTML, sections 13.2.5.6 to 13.2.5.40).
_SIGNS = re.compile(r"<(?![\s!?/])|>|=\s*[\"']|[\"']|[\s/]+")


R = TypeVar("R", bound="MarkupReader")

# PDF, ZIP, gzip, old Word, JPEG, PNG, GIF, WebP: what would otherwise be read as text of strange words.
_OTHER_FILES = (b"%PDF-", b"PK\3\4", b"\x1f\x8b", b"\xd0\xcf\x11\xe0", b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF")


class NotWellFormed(ValueError):
    """The document is not well-formed XML; the message says where."""


class MarkupReader:
    """What is read from a document: subclasses override the three hooks.

    Names are local names without prefix, in lower case: OEB 1 writes dc:Title, old chapters <BODY>. Of a document that
    is read as HTML (`as_html`) the names of attributes are in lower case too, and namespaces are not known.
    """

    as_html = False

    def __init__(self, limits: EpubLimits, name: str) -> None:
        self._limits = limits
        self._name = name
        self._depth = self._deepest = 0
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
        self._deepest = max(self._deepest, self._depth)
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

        While pieces go in and no event comes out, the parser may be inside one tag, which began in the piece before.
        Its attributes are counted, since a million of them become a dictionary in one step, before `start` could refuse
        it. A picture in a data URL, or the path of a drawing, is as long, but in one attribute.

        An end tag has the parser look at each open element, without an event if it closes none: these looks are
        estimated.
        """
        before, tag, looks = "", _OpenTag(), 0
        for piece in pieces:
            if not piece:
                continue
            events, self._deepest = self._events, self._depth
            parser.feed(piece.encode("utf-8", "replace"))
            looks += self._deepest * piece.count("</")
            if looks > self._limits.max_looks:
                raise self._too_complex("has too many end tags at too great a depth")
            if self._events != events:
                before, tag = piece, _OpenTag()
                continue
            tag.read(before + piece)
            before = ""
            if tag.attributes() > self._limits.max_attributes:
                raise self._too_complex("has a tag with too many attributes")
        parser.close()

    def _too_complex(self, what: str) -> EpubError:
        return EpubError(
            EpubErrorCode.LIMIT_EXCEEDED, f"The markup of {shown(self._name)} {what} to be read. Split the document."
        )


class _OpenTag:
    """How many attributes the tag has at most that the text so far ends in.

    Where a tag begins is not told: any `<` may be in a quoted value or in a comment. So every possibility is followed
    at a time: text that ends inside a tag and outside quotes (""), and inside either kind of quotes, each with the
    most attributes that a tag may have then. A `>` outside quotes ends the first.
    """

    def __init__(self) -> None:
        self._most: dict[str, int] = {}
        self._rest = ""

    def attributes(self) -> int:
        return max(self._most.values(), default=0)

    def read(self, text: str) -> None:
        most = self._most
        for match in _SIGNS.finditer(self._rest + text):
            sign = match[0]
            quote = sign[-1]
            if sign == "<":
                most.setdefault("", 0)
            elif sign == ">":
                most.pop("", None)
            elif quote in "\"'":
                # Not only a separator, but a closing quote as well may be followed by an attribute.
                closed = most.pop(quote, -1) + 1
                if sign[0] == "=" and "" in most:
                    most[quote] = most.pop("")
                if closed:
                    most[""] = max(most.get("", 0), closed)
            elif "" in most:
                most[""] += 1
        self._rest = "=" if text.rstrip().endswith("=") else ""


def read_document(archive: Archive, name: str, max_bytes: int, new_reader: Callable[[], R]) -> R | None:
    """What a `new_reader()` has seen of the document in the entry `name`; None if that holds no markup.

    It is read as XML, and from the start as HTML if that fails: the documents of a book must be well-formed (EPUB 3.3
    sections 3.9 and 6.1), and often are not. What was read around is in the log. Errors as `Archive.chunks`, and
    `EpubError(limit-exceeded)`.
    """
    log = archive.log
    raw = archive.read(name, max_bytes)
    if raw.startswith(_OTHER_FILES):
        return None
    document = DocumentText(raw)
    reader = new_reader()
    try:
        parse_xml(document.pieces(), reader)
    except (NotWellFormed, EntityDeclared, EpubError) as error:  # elements that HTML closes by itself make XML deep
        reader = new_reader()
        try:
            parse_html(document.pieces(allow_entity_declarations=True), reader)
        except NotWellFormed:
            return None
        if isinstance(error, EntityDeclared):
            log.add(WarningCode.ENTITY_DECLARATION, f"{shown(name)} has <!ENTITY in it; no entity was expanded.")
        else:
            log.add(WarningCode.NOT_WELL_FORMED, f"{shown(name)} is not well-formed and was read as HTML ({error}).")
    _note_text(document, name, log)
    return reader


def malformed(name: str) -> EpubError:
    """The document that the entry `name` holds, or what is left of it, does not say what the book needs."""
    return EpubError(
        EpubErrorCode.MALFORMED_XML,
        f"{shown(name)} is not well-formed XML, and what the book needs is not in it. "
        "Export the book again or repair it with an EPUB editor.",
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
            huge_tree=True,
        ),
        pieces,
        reader,
    )


def parse_html(pieces: Iterable[str], reader: MarkupReader) -> None:
    """Feeds `reader` the events of a document read as HTML: anything goes. `NotWellFormed` if it holds no markup."""
    reader.as_html = True
    _run(etree.HTMLParser(target=reader, encoding="utf-8", no_network=True, huge_tree=True), pieces, reader)


def _note_text(document: DocumentText, name: str, log: WarningLog) -> None:
    if document.label_unknown is not None:
        label = shown(document.label_unknown)
        log.add(WarningCode.ENCODING, f"{shown(name)} declares the unknown encoding {label}; read as UTF-8.")
    elif not document.is_unicode:
        log.add(WarningCode.ENCODING, f"{shown(name)} is not in UTF-8 or UTF-16; read as {document.encoding}.")
    if document.undecodable:
        log.add(WarningCode.ENCODING, f"{shown(name)} has characters that are not valid {document.encoding}.")
    if document.named_entities:
        log.add(WarningCode.NAMED_ENTITY, f"{shown(name)} uses HTML entities without a DTD that defines them.")


def _run(parser: Any, pieces: Iterable[str], reader: MarkupReader) -> None:
    try:
        reader.feed(parser, pieces)
    except etree.LxmlError as error:
        raise NotWellFormed(" ".join(str(error).split())[:200]) from error
