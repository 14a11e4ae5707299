"""One content document: how many words it has and what it is called."""

from collections.abc import Mapping
from dataclasses import dataclass

from library.epub.book import WarningCode, WarningLog
from library.epub.errors import shown
from library.epub.limits import EpubLimits
from library.epub.markup import MarkupReader, NotWellFormed, parse_html, parse_xml
from library.epub.text import DocumentText, EntityDeclared
from library.epub.words import WordCounter

# Not running text: <head> and <title> (also of SVG), code, and the readings set beside Japanese characters,
# which would count the word again.
_SKIPPED = frozenset({"head", "title", "script", "style", "template", "rt", "rp"})
# Elements within a word, as in <b>W</b>ord; every other element separates words.
# fmt: off
_INLINE = frozenset(
    {
        "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em",
        "font", "i", "ins", "kbd", "mark", "q", "rb", "rt", "rp", "ruby", "s", "samp", "small",
        "span", "strike", "strong", "sub", "sup", "time", "tt", "tspan", "u", "var", "wbr",
    }
)
# fmt: on
_HEADINGS = frozenset({"h1", "h2", "h3"})
_MAX_HEADING = 200


@dataclass(frozen=True, slots=True)
class Chapter:
    """`heading`: the first h1, h2 or h3, at most 200 characters; None if there is none."""

    words: int
    heading: str | None


def read_chapter(raw: bytes, name: str, limits: EpubLimits, log: WarningLog) -> Chapter | None:
    """The chapter in `raw`, the bytes of the entry `name`; None if it holds no markup.

    It is read as XML, and from the start as HTML if that fails: XHTML must be well-formed (EPUB 3.3 section 6.1),
    and often is not. `EpubError(limit-exceeded)`.
    """
    document = DocumentText(raw)
    reader = _ChapterReader(limits, name)
    try:
        parse_xml(document.pieces(), reader)
    except (NotWellFormed, EntityDeclared) as error:
        reader = _ChapterReader(limits, name)
        try:
            parse_html(document.pieces(allow_entity_declarations=True), reader)
        except NotWellFormed:
            log.add(WarningCode.EMPTY_CHAPTER, f"{shown(name)} holds no markup and was left out.")
            return None
        if isinstance(error, EntityDeclared):
            log.add(WarningCode.ENTITY_DECLARATION, f"{shown(name)} declares entities; they were not expanded.")
        else:
            log.add(WarningCode.NOT_WELL_FORMED, f"{shown(name)} is not well-formed and was read as HTML ({error}).")
    _note_text(document, name, log)
    return Chapter(reader.words(), reader.heading())


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


class _ChapterReader(MarkupReader):
    def __init__(self, limits: EpubLimits, name: str) -> None:
        super().__init__(limits, name)
        self._counter = WordCounter()
        self._skipping = 0
        self._heading: list[str] = []
        self._heading_open: str | None = None
        self._heading_done = False

    def words(self) -> int:
        return self._counter.total()

    def heading(self) -> str | None:
        return " ".join("".join(self._heading).split())[:_MAX_HEADING] or None

    def opened(self, name: str, namespace: str, attributes: Mapping[str, str]) -> None:
        if name in _SKIPPED:
            self._skipping += 1
        if name not in _INLINE:
            self._separate()
        if name in _HEADINGS and not self._heading_done and self._heading_open is None:
            self._heading_open = name

    def closed(self, name: str) -> None:
        if name in _SKIPPED:
            self._skipping -= 1
        if name not in _INLINE:
            self._separate()
        if name == self._heading_open:
            self._heading_open = None
            self._heading_done = self.heading() is not None

    def text(self, text: str) -> None:
        if self._skipping:
            return
        self._counter.add(text)
        if self._heading_open and len(self._heading) < _MAX_HEADING:
            self._heading.append(text[:_MAX_HEADING])

    def _separate(self) -> None:
        self._counter.add(" ")
        if self._heading_open and len(self._heading) < _MAX_HEADING:
            self._heading.append(" ")
