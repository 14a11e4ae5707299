"""From the bytes of a document to text, in pieces: encoding, XML declaration, named entities, entity declarations.

The parsers below are then fed text whose encoding is known, so that no declared encoding reaches them.
"""

import codecs
import encodings
import pkgutil
import re
from collections.abc import Iterator
from encodings.aliases import aliases
from functools import cache
from html.entities import html5

_CHUNK = 64 * 1024
_HEAD = 1024
_DECLARED = re.compile(r"^\s*<\?xml\s[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._:\-]{1,40})[\"']")
_META_CHARSET = re.compile(r"<meta\s[^>]{0,200}?charset\s*=\s*[\"']?([A-Za-z0-9._:\-]{1,40})", re.IGNORECASE)
_XML_DECLARATION = re.compile(r"\s*<\?xml\s[^>]{0,1000}\?>")
_EXTERNAL_DTD = re.compile(r"<!DOCTYPE\s[^>\[]{0,1000}?\b(?:PUBLIC|SYSTEM)\b", re.IGNORECASE)
_NAMED = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,31};)")
_LONGEST_TOKEN = 40  # longer than any entity reference and than "<!ENTITY"
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before that of UTF-16, which it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNICODE = {"utf-8", "utf-16-le", "utf-16-be"}
_PREDEFINED = {"lt;", "gt;", "amp;", "quot;", "apos;"}  # XML 1.0 section 4.6
_MARKUP = frozenset("<>&\"'")

# What is read in place of a codec, of which it is a superset in practice (encoding.spec.whatwg.org, section 4.2).
_SUPERSETS = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "koi8-r": "koi8-u",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    "utf-8-sig": "utf-8",
}
# Codecs that turn text into other text, at a cost of their own: no character encodings of books.
_REWRITING = {"utf-7", "idna", "unicode-escape", "raw-unicode-escape"}
_PROBE = "<?xml encoding='0-9'?>"


class EntityDeclared(ValueError):
    """The document declares an entity (`<!ENTITY`): expansion bombs and file inclusion begin there."""


class DocumentText:
    """The text of a document, iterable more than once in pieces of at most some 64 KiB.

    `encoding`: Python codec in use. After one full iteration: `undecodable` (bytes that do not fit the encoding
    became U+FFFD) and `named_entities` (such as &nbsp;, replaced by their characters, where no DTD defines them).
    `label_unknown`: the label the document declares, if it cannot be in that encoding; UTF-8 is used instead.
    """

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.label_unknown: str | None = None
        self.undecodable = False
        self.named_entities = False
        self.encoding, self._start = self._sniff()

    @property
    def is_unicode(self) -> bool:
        """In an encoding that EPUB allows: UTF-8 or UTF-16 (EPUB 3.3 section 3.9, XML conformance)."""
        return self.encoding in _UNICODE

    def pieces(self, *, allow_entity_declarations: bool = False) -> Iterator[str]:
        """The text without XML declaration and leading space, named entities replaced. `EntityDeclared`.

        Entities are replaced in CDATA sections too, where they are plain text: that a reader cannot tell the two
        apart there does not matter to a count of words.
        """
        held, external_dtd, first = "", False, True
        for decoded in self._decoded():
            text = held + decoded
            if first:
                first = False
                text = text.removeprefix("\ufeff")
                declaration = _XML_DECLARATION.match(text)
                text = (text[declaration.end() :] if declaration else text).lstrip()
                external_dtd = bool(_EXTERNAL_DTD.search(text))
            # A reference or declaration may go on in the next piece: what follows the last opener waits for it.
            cut = max(text.rfind("&", -_LONGEST_TOKEN), text.rfind("<", -_LONGEST_TOKEN))
            text, held = (text, "") if cut < 0 else (text[:cut], text[cut:])
            yield self._without_names(text, external_dtd, allow_entity_declarations)
        yield self._without_names(held, external_dtd, allow_entity_declarations)

    def _without_names(self, text: str, external_dtd: bool, allow_entity_declarations: bool) -> str:
        if not allow_entity_declarations and "<!ENTITY" in text:
            raise EntityDeclared("the document declares entities")
        if "&" not in text:
            return text
        replaced = _NAMED.sub(_character, text)
        if not external_dtd and not self.named_entities and replaced != text:
            self.named_entities = True
        return replaced

    def _decoded(self) -> Iterator[str]:
        # In pieces, because a decoder holds the interpreter for as long as one call lasts.
        decoder = codecs.getincrementaldecoder(self.encoding)("replace")
        view = memoryview(self._raw)
        for start in range(self._start, len(view), _CHUNK):
            text = decoder.decode(view[start : start + _CHUNK], start + _CHUNK >= len(view))
            self.undecodable = self.undecodable or "\ufffd" in text
            yield text

    def _sniff(self) -> tuple[str, int]:
        """Codec and offset of the first character: BOM, then UTF-16 by its look, XML declaration, meta charset.

        Order after XML 1.0 appendix F and, for the last, HTML: chapters converted from HTML say it there only. XML
        parsers do not look there, so that a wrong one is often not noticed: what is UTF-8 is read as that.
        """
        for bom, codec in _BOMS:
            if self._raw.startswith(bom):
                return codec, len(bom)
        if self._raw.startswith(b"<\0"):
            return "utf-16-le", 0
        if self._raw.startswith(b"\0<"):
            return "utf-16-be", 0
        head = self._raw[:_HEAD].decode("latin-1")
        declared = _DECLARED.search(head)
        label = declared or _META_CHARSET.search(head)
        if label is None or (declared is None and self._is_utf8()):
            return "utf-8", 0
        codec = _codec(label[1])
        # Without a BOM and with ASCII in single bytes the document cannot be the UTF-16 that it declares.
        if codec is None and not label[1].lower().startswith("utf-16"):
            self.label_unknown = label[1]
        return codec or "utf-8", 0

    def _is_utf8(self) -> bool:
        decoder = codecs.getincrementaldecoder("utf-8")()
        view = memoryview(self._raw)
        try:
            for start in range(0, len(view), _CHUNK):
                decoder.decode(view[start : start + _CHUNK], start + _CHUNK >= len(view))
        except UnicodeDecodeError:
            return False
        return True


def _character(match: re.Match[str]) -> str:
    name = match[1]
    character = html5.get(name)
    if character is None or name in _PREDEFINED:
        return match[0]
    if _MARKUP.isdisjoint(character):
        return character
    return "".join(f"&#{ord(each)};" for each in character)


def _codec(label: str) -> str | None:
    """The codec for a document that is declared in ASCII characters to be in the encoding `label`, if Python has it.

    A document that could be read so far is in no encoding that would have it read otherwise (UTF-16, EBCDIC).
    """
    name = encodings.normalize_encoding(label).lower().removeprefix("x_")
    # Looked for in a list first: Python remembers each name that it did not find, for ever.
    name = next((each for each in (name, name.replace("windows_", "cp")) if each in _codec_names()), "")
    try:
        if not name or _PROBE.encode("ascii").decode(name) != _PROBE:
            return None
    except (LookupError, UnicodeError):  # no text encoding
        return None
    codec = codecs.lookup(name).name
    return None if codec in _REWRITING else _SUPERSETS.get(codec, codec)


@cache
def _codec_names() -> frozenset[str]:
    return frozenset(aliases) | {module.name for module in pkgutil.iter_modules(encodings.__path__)}
