"""From the bytes of a document to text, in pieces: encoding, XML declaration, named entities, entity declarations.

The parsers below are then fed text whose encoding is known, so that no declared encoding reaches them: of the
codecs a document may name, only those that published books use are looked up.
"""

import codecs
import re
from collections.abc import Iterator
from html.entities import html5

_CHUNK = 64 * 1024
_HEAD = 1024
_DECLARED = re.compile(r"^\s*<\?xml\s[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._:\-]{1,40})[\"']")
_META_CHARSET = re.compile(r"<meta\s[^>]{0,200}?charset\s*=\s*[\"']?([A-Za-z0-9._:\-]{1,40})", re.IGNORECASE)
_XML_DECLARATION = re.compile(r"\s*<\?xml\s[^>]{0,1000}\?>")
_EXTERNAL_DTD = re.compile(r"<!DOCTYPE\s[^>\[]{0,1000}?\b(?:PUBLIC|SYSTEM)\b", re.IGNORECASE)
_NAMED = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,31};)")
_LONGEST_TOKEN = 40  # longer than any entity reference and than "<!ENTITY"
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_UNICODE = {"utf-8", "utf-16-le", "utf-16-be"}
_PREDEFINED = {"lt;", "gt;", "amp;", "quot;", "apos;"}  # XML 1.0 section 4.6
_MARKUP = frozenset("<>&\"'")

# Python codec by lower-case label. Latin-1 and ASCII are read as windows-1252, of which they are subsets in
# practice (encoding.spec.whatwg.org, section 4.2). Everything else Python offers (utf-7, idna, unicode_escape,
# zlib...) is no character encoding of books and has costs or meanings of its own.
_CODECS = {
    **dict.fromkeys(("utf-8", "utf8"), "utf-8"),
    **dict.fromkeys(("us-ascii", "ascii", "iso-8859-1", "iso8859-1", "latin1", "latin-1"), "cp1252"),
    **{f"windows-{page}": f"cp{page}" for page in range(1250, 1259)},
    **{f"cp{page}": f"cp{page}" for page in range(1250, 1259)},
    **{f"iso-8859-{part}": f"iso8859-{part}" for part in (2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)},
    **dict.fromkeys(("koi8-r", "koi8-u"), "koi8_u"),
    **dict.fromkeys(("gb2312", "gbk", "gb18030"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "windows-31j"), "cp932"),
    **dict.fromkeys(("euc-jp",), "euc_jp"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987"), "cp949"),
    **dict.fromkeys(("big5", "big5-hkscs"), "big5hkscs"),
    "macintosh": "mac_roman",
}


class EntityDeclared(ValueError):
    """The document declares an entity (`<!ENTITY`): expansion bombs and file inclusion begin there."""


class DocumentText:
    """The text of a document, iterable more than once in pieces of at most some 64 KiB.

    `encoding`: Python codec in use. After one full iteration: `undecodable` (bytes that do not fit the encoding
    became U+FFFD) and `named_entities` (such as &nbsp;, replaced by their characters, where no DTD defines them).
    `label_unknown`: the label the document declares, if it is not one that is looked up; UTF-8 is used instead.
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

        Order after XML 1.0 appendix F and, for the last, HTML: chapters converted from HTML say it there only.
        """
        for bom, codec in _BOMS:
            if self._raw.startswith(bom):
                return codec, len(bom)
        if self._raw.startswith(b"<\0"):
            return "utf-16-le", 0
        if self._raw.startswith(b"\0<"):
            return "utf-16-be", 0
        head = self._raw[:_HEAD].decode("latin-1")
        label = _DECLARED.search(head) or _META_CHARSET.search(head)
        if label is None:
            return "utf-8", 0
        codec = _CODECS.get(label[1].lower())
        # Without a BOM and with ASCII in single bytes the document cannot be the UTF-16 that it declares.
        if codec is None and not label[1].lower().startswith("utf-16"):
            self.label_unknown = label[1]
        return codec or "utf-8", 0


def _character(match: re.Match[str]) -> str:
    name = match[1]
    character = html5.get(name)
    if character is None or name in _PREDEFINED:
        return match[0]
    if _MARKUP.isdisjoint(character):
        return character
    return "".join(f"&#{ord(each)};" for each in character)
