"""A CSV of books, read as a stream: RFC 4180, UTF-8 with or without a byte order mark, a line of names first.

    id          required; what a book's id may be
    title       required
    creators    several with `;` between
    language
    identifiers several with `;` between
    published   YYYY, YYYY-MM or YYYY-MM-DD
    publisher
    words       a number, 0 where it is left out

Columns come in any order; any other column is refused, so that a misspelled name does not lose its values. An empty
cell is no value. Where an id comes twice the later line wins.
"""

import codecs
import csv
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from pydantic import ValidationError

from library.models import Book
from shared.errors import ActionFailed, wording

COLUMNS = ("id", "title", "creators", "language", "identifiers", "published", "publisher", "words")
_REQUIRED = ("id", "title")
_LISTS = ("creators", "identifiers")
MAX_RECORD_CHARS = 64 * 1024
MAX_RECORDS = 1_000_000
_NUMBER = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a CSV file as text; `line` is its first line, from 1."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Books in the order of the file; `bytes_read` of the file were read so far, `records` books."""

    books: list[Book]
    records: int
    bytes_read: int


async def read_books(chunks: AsyncIterator[bytes], *, size: int) -> AsyncIterator[Batch]:
    """The books of a CSV file, up to `size` a batch. Raises ActionFailed InvalidCsv with the line.

    Holds one chunk, one record and one batch at a time.
    """
    columns: tuple[str, ...] | None = None
    books: list[Book] = []
    total = bytes_read = 0
    async for record, bytes_read in _records(chunks):
        cells = _cells(record)
        if not cells:
            continue
        if columns is None:
            columns = _header(cells, record.line)
            continue
        total += 1
        if total > MAX_RECORDS:
            raise invalid(record.line, f"a file holds at most {MAX_RECORDS} books")
        books.append(_book(columns, cells, record.line))
        if len(books) == size:
            yield Batch(books, total, bytes_read)
            books = []
    if columns is None:
        raise invalid(1, "the file is empty; its first line names the columns")
    if books:
        yield Batch(books, total, bytes_read)


def invalid(line: int, what: str) -> ActionFailed:
    return ActionFailed("InvalidCsv", f"Line {line}: {what}.", target="fileId")


async def _records(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[Record, int]]:
    """Records as text, each with the number of bytes read when it was complete.

    A record ends at the first line end that is outside quotes: where the quotes before it are even in number.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    open_lines: list[str] = []
    open_chars = line = bytes_read = 0
    in_quotes = False
    rest = ""
    async for chunk in chunks:
        bytes_read += len(chunk)
        lines = (rest + _decoded(decoder, chunk, line)).split("\n")
        rest = lines.pop()
        for text in lines:
            line += 1
            open_lines.append(text)
            open_chars += len(text) + 1
            _check_length(open_chars, line - len(open_lines) + 1)
            in_quotes ^= text.count('"') % 2 == 1
            if not in_quotes:
                yield Record(line - len(open_lines) + 1, "\n".join(open_lines)), bytes_read
                open_lines, open_chars = [], 0
        _check_length(open_chars + len(rest), line - len(open_lines) + 1)
    rest += _decoded(decoder, b"", line, final=True)
    first = line - len(open_lines) + 1
    if in_quotes ^ (rest.count('"') % 2 == 1):
        raise invalid(first, "a quote is opened and never closed")
    if open_lines or rest:
        yield Record(first, "\n".join([*open_lines, rest])), bytes_read


def _decoded(decoder: codecs.IncrementalDecoder, chunk: bytes, line: int, *, final: bool = False) -> str:
    try:
        return decoder.decode(chunk, final)
    except UnicodeDecodeError as error:
        at = line + 1 + error.object[: error.start].count(b"\n")
        raise invalid(at, "this is not UTF-8") from None


def _check_length(chars: int, line: int) -> None:
    if chars > MAX_RECORD_CHARS:
        raise invalid(line, f"a record has more than {MAX_RECORD_CHARS} characters")


def _cells(record: Record) -> list[str]:
    """The cells; none of an empty line."""
    try:
        return next(csv.reader([record.text.removesuffix("\r")], strict=True), [])
    except csv.Error as error:
        raise invalid(record.line, str(error)) from None


def _header(cells: list[str], line: int) -> tuple[str, ...]:
    known = ", ".join(COLUMNS)
    for name in cells:
        if name not in COLUMNS:
            raise invalid(line, f"there is no column {name[:80]!r}; these are known: {known}")
        if cells.count(name) > 1:
            raise invalid(line, f"the column {name!r} is there twice")
    for name in _REQUIRED:
        if name not in cells:
            raise invalid(line, f"the column {name!r} is missing")
    return tuple(cells)


def _book(columns: tuple[str, ...], cells: list[str], line: int) -> Book:
    if len(cells) != len(columns):
        raise invalid(line, f"there are {len(cells)} cells, but {len(columns)} columns")
    values: dict[str, object] = {}
    for name, cell in zip(columns, cells, strict=True):
        text = cell.strip()
        if name in _LISTS:
            values[name] = [part.strip() for part in text.split(";") if part.strip()]
        elif text:
            values[name] = text
    for name in _REQUIRED:
        if name not in values:
            raise invalid(line, f"{name!r} is empty")
    if "words" in values and not _NUMBER.fullmatch(str(values["words"])):
        raise invalid(line, "'words' is no number of at most 12 digits")
    try:
        return Book.model_validate(values, by_name=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise invalid(line, f"{'.'.join(map(str, first['loc']))!r} does not fit: {wording(first)}") from None
