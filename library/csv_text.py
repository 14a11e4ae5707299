"""Text of CSV files before anything is known of what it says: characters, separators, quotes, cells.

RFC 4180, and what Excel writes beside it.
"""

import codecs
import csv
import io
import re
import string
from collections.abc import Iterable

from shared.actions import ActionFailed

_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
_NAMED = re.compile(r'\ufeff*"?sep=(.)"?[,;\t]*[\r\n]*', re.IGNORECASE)
_WORKBOOKS = (b"PK\3\4", b"\xd0\xcf\x11\xe0", b"\x1f\x8b\x08")
_HEAD = len(_WORKBOOKS[0])
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def invalid(line: int, what: str) -> ActionFailed:
    return ActionFailed("InvalidCsv", f"Line {line}: {what}.", target="fileId")


class Decoder:
    """UTF-8, or UTF-16 where the first bytes are its mark: Excel calls that "Unicode Text"."""

    def __init__(self) -> None:
        self._head = b""
        self._encoding = "utf-8"
        self._decoder: codecs.IncrementalDecoder | None = None

    def decode(self, chunk: bytes, rest: str, lines: int, *, final: bool = False) -> str:
        """The characters of the next bytes. Raises ActionFailed InvalidCsv that names the line.

        `lines` came before, and after them `rest`.
        """
        if self._decoder is None:
            self._head += chunk
            if len(self._head) < _HEAD and not final:
                return ""
            chunk = self._head
            if chunk.startswith(_WORKBOOKS):
                raise invalid(1, "this is a workbook of Excel, or another archive; save the sheet as CSV in UTF-8")
            mark = chunk[: len(codecs.BOM_UTF16_LE)]
            self._encoding = _UTF16.get(mark, "utf-8")
            self._decoder = codecs.getincrementaldecoder("utf-16" if mark in _UTF16 else "utf-8-sig")()
        try:
            return self._decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            before = rest + error.object[: error.start].decode(self._encoding, errors="ignore")
            at = lines + sum(1 for _ in io.StringIO(before + "?", newline=""))
            shown = self._encoding[:6].upper()
            raise invalid(at, f"this is not {shown}; save the file as CSV in UTF-8") from None


def folded(name: str) -> str:
    """The name of a column as it is compared: without quotes, byte order marks, space and case."""
    return name.strip(f'"\ufeff{string.whitespace}').casefold()


def named_separator(text: str, line: int) -> str | None:
    """The separator of a line such as `sep=;`, which Excel reads in front of a file; None for any other line."""
    match = _NAMED.fullmatch(text)
    if match is not None and match[1] not in _SEPARATORS:
        raise invalid(line, "the separator is a comma, a semicolon or a tab")
    return match and match[1]


def separator_between(names: Iterable[str], text: str) -> str:
    """What stands between columns with these names; a comma where none of them is told from the others."""
    known = set(map(folded, names))
    return max(_SEPARATORS, key=lambda each: len(known & set(map(folded, text.split(each)))))


def ends_in_quotes(line: str, separator: str, inside: bool) -> bool:
    """Whether a line that begins `inside` quotes or not ends within them.

    As `csv` has it, a cell is in quotes where it begins with one; any other quote is text.
    """
    if '"' not in line:
        return inside
    at = 0
    while True:
        if inside:
            at = line.find('"', at)
            if at < 0:
                return True
            inside = line[at + 1 : at + 2] == '"'
            at += 2 if inside else 1
        elif line[at : at + 1] == '"':
            inside, at = True, at + 1
        else:
            at = line.find(separator, at) + 1
            if not at:
                return False


def cells_of(record: str, separator: str, line: int) -> list[str]:
    """The cells of a record of which no quote is left open. Raises ActionFailed InvalidCsv."""
    try:
        return next(csv.reader([record], strict=True, delimiter=separator))
    except csv.Error:
        # Quotes that are not closed are looked for before: what is left is this.
        what = (
            f"only a {_SEPARATORS[separator]} may follow a closing quote; write a quote that belongs to the text twice"
        )
        raise invalid(line, what) from None
