"""One content document: how many words it has and what it is called."""

from collections.abc import Mapping
from dataclasses import dataclass

from library.epub.archive import Archive
from library.epub.book import WarningCode
from library.epub.errors import shown
from library.epub.limits import EpubLimits
from library.epub.markup import MarkupReader, read_document
from library.words import WordCounter

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
    """`heading`: the first h1, h2 or h3, at most 200 characters; None if there is none.

    `text`: the running text, where it was to be kept, in pieces that end with a word.
    """

    words: int
    heading: str | None
    text: tuple[str, ...] = ()


def read_chapter(archive: Archive, name: str, *, keep_text: bool = False) -> Chapter | None:
    """The chapter in the entry `name`; None if it holds no markup. Errors as `read_document`."""
    limits = archive.limits
    reader = read_document(archive, name, limits.max_document_bytes, lambda: _ChapterReader(limits, name, keep_text))
    if reader is None:
        archive.log.add(WarningCode.EMPTY_CHAPTER, f"{shown(name)} holds no markup and was left out.")
        return None
    return Chapter(reader.words(), reader.heading(), tuple(reader.kept))


class _ChapterReader(MarkupReader):
    def __init__(self, limits: EpubLimits, name: str, keep_text: bool) -> None:
        super().__init__(limits, name)
        self.kept: list[str] = []
        self._counter = WordCounter(self.kept if keep_text else None)
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
