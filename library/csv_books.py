"""A CSV of books, read as a stream: RFC 4180, UTF-8, or UTF-16 with its byte order mark; a line of names first.

    id          required; what a book's id may be
    title       required
    creators    several with `;` between
    language
    identifiers several with `;` between
    published   YYYY, YYYY-MM or YYYY-MM-DD
    publisher
    words       a number, 0 where it is left out

The separator is a comma, or what else stands between the names of columns: a semicolon or a tab, as Excel writes them
in many countries; a line `sep=;` in front may say so. Columns come in any order, their names in any case. What exports
say of a book's EPUB (chapters, sizeBytes, sha256) is passed over; any other column is refused, so that a misspelled
name does not lose its values. An empty cell is no value. Where an id comes twice the later line wins. A line ends with
CRLF, LF or CR. Lines, and columns at the end, without anything in their cells are passed over: Excel leaves them where
cells were cleared. So is the line of names, and a byte order mark, where files were joined.
"""

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from library.csv_text import Decoder, cells_of, ends_in_quotes, folded, invalid, named_separator, separator_between
from library.models import Book
from shared.actions import wording

COLUMNS = ("id", "title", "creators", "language", "identifiers", "published", "publisher", "words")
_REQUIRED = ("id", "title")
_LISTS = ("creators", "identifiers")
_DERIVED = ("chapters", "sizeBytes", "sha256")
MAX_RECORD_CHARS = 64 * 1024
MAX_RECORDS = 1_000_000
_NUMBER = re.compile(r"([0-9]{1,12})(?:[.,](?:0{1,2}|0{4,6}))?")
"""1.000 is a thousand in half of the world, and one in the other."""
_TIME = r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?: ?(?:Z|[+-][0-9]{2}:?[0-9]{0,2}))?"
_TIMED = re.compile(rf"([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})[T ]{_TIME}|([0-9]{{4}})\.0{{1,2}}")
"""A date as databases write it, and a year as data frames do: they know no dates and no whole numbers alone."""
_BLANK = ",; \t\r\n\0\x1a\ufeff"
"""What says nothing: marks of UTF-8 from files that were joined, and what DOS ends a file with, among them."""
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NEUTRALIZED = re.compile(r"'+[=+\-@\t\r]")


@dataclass(frozen=True, slots=True)
class Batch:
    """Books in the order of the file; `bytes_read` of the file were read so far, `records` books."""

    books: list[Book]
    records: int
    bytes_read: int


async def read_books(
    chunks: AsyncIterator[bytes], *, size: int, max_records: int = MAX_RECORDS, neutralized: bool = True
) -> AsyncIterator[Batch]:
    """The books of a CSV file, up to `size` a batch. Raises ActionFailed InvalidCsv with the line.

    Holds one chunk, one record and one batch at a time. `neutralized`: cells are as `written` writes them. What is
    read is a caller's, in any number of lines, so it is read in a thread, a batch at a time.
    """
    reader = _Reader(size, max_records, neutralized)
    async for chunk in chunks:
        batches = reader.read(chunk)
        while batch := await asyncio.to_thread(next, batches, None):
            yield batch
    for batch in reader.end():
        yield batch


def written(rows: Iterable[Sequence[object]], *, neutralize: bool = True) -> bytes:
    """A line for each row, as other tables of books are written; None is an empty cell.

    With `neutralize` a text that a spreadsheet would take for a formula gets an apostrophe in front (owasp.org, "CSV
    Injection"), as does one that looks like such a text already, so that reading takes one away from both.
    """
    text = io.StringIO()
    neutral = (
        [f"'{cell}" if neutralize and isinstance(cell, str) and _FORMULA.match(cell) else cell for cell in row]
        for row in rows
    )
    csv.writer(text).writerows(neutral)
    return text.getvalue().encode()


class _Reader:
    """What is read of a file between two chunks. Blocking: used from one thread at a time."""

    def __init__(self, size: int, max_records: int, neutralized: bool) -> None:
        self._size = size
        self._max_records = max_records
        self._neutralized = neutralized
        self._decoder = Decoder()
        self._rest = ""  # of a line whose end has not been seen
        self._lines = 0
        self._open: list[str] = []  # lines of a record whose quotes are not closed
        self._open_chars = 0
        self._bytes = self._records = self._blank = 0
        self._columns: tuple[str, ...] | None = None
        self._names: list[str] = []  # as the line of names has them
        self._separator = ""  # until the line of names, or a line in front of it, tells
        self._books: list[Book] = []

    def read(self, chunk: bytes) -> Iterator[Batch]:
        """The batches that are full with this chunk."""
        self._bytes += len(chunk)
        text = self._rest + self._decoder.decode(chunk, self._rest, self._lines)
        self._rest, at = "", 0
        for line in io.StringIO(text, newline=""):
            at += len(line)
            # A CR at the end may be half of a line end.
            if at == len(text) and not line.endswith("\n"):
                self._rest = line
            elif self._add(line):
                yield self._batch()
        _check_length(self._open_chars + len(self._rest), self._first_line)

    def end(self) -> Iterator[Batch]:
        """The last batch."""
        if rest := self._rest + self._decoder.decode(b"", self._rest, self._lines, final=True):
            self._add(rest)
        if self._open:
            raise invalid(self._first_line, "a quote is opened and never closed")
        if self._columns is None:
            raise invalid(1, "the file is empty; its first line names the columns")
        if self._books:
            yield self._batch()

    @property
    def _first_line(self) -> int:
        """The number of the line, from 1, that the record under way begins with."""
        return self._lines - len(self._open) + 1

    def _add(self, text: str) -> bool:
        """Add a line; whether a batch is full then. A record ends at the first line end that is outside quotes."""
        if not (self._open or text.strip(_BLANK)):
            self._lines += 1
            return self._pass_over(self._lines)
        if self._columns is None and not self._open and self._is_preface(text):
            return False
        first = self._first_line
        self._lines += 1
        if not self._open:
            text = text.lstrip("\ufeff")
        self._open.append(text)
        self._open_chars += len(text)
        _check_length(self._open_chars, first)
        if ends_in_quotes(text, self._separator, len(self._open) > 1):
            return False
        record = "".join(self._open).rstrip("\r\n")
        self._open, self._open_chars = [], 0
        return self._add_record(cells_of(record, self._separator, first), first)

    def _is_preface(self, text: str) -> bool:
        """Whether this is no line of names yet, but one that names the separator."""
        if self._separator:
            return False
        named = named_separator(text, self._lines + 1)
        self._separator = named or separator_between((*COLUMNS, *_DERIVED), text)
        self._lines += named is not None
        return named is not None

    def _add_record(self, cells: list[str], line: int) -> bool:
        if not any(cell.strip() for cell in cells):
            return self._pass_over(line)
        if self._columns is None:
            self._columns, self._names = _header(cells, line), [folded(cell) for cell in cells]
            return False
        # One cell tells of nearly all lines.
        if folded(cells[0]) == self._names[0] and [folded(cell) for cell in cells] == self._names:
            return self._pass_over(line)
        self._records += 1
        if self._records > self._max_records:
            raise invalid(line, f"a file holds at most {self._max_records} books")
        self._books.append(_book(self._columns, cells, line, self._neutralized))
        return len(self._books) == self._size

    def _pass_over(self, line: int) -> bool:
        self._blank += 1
        if self._blank > self._max_records:
            raise invalid(line, f"more than {self._max_records} lines have nothing in them; remove them")
        return False

    def _batch(self) -> Batch:
        batch = Batch(self._books, self._records, self._bytes)
        self._books = []
        return batch


def _check_length(chars: int, line: int) -> None:
    if chars > MAX_RECORD_CHARS:
        raise invalid(line, f"a record has more than {MAX_RECORD_CHARS} characters")


def _header(cells: list[str], line: int) -> tuple[str, ...]:
    known = ", ".join(COLUMNS)
    spelled = {folded(name): name for name in (*COLUMNS, *_DERIVED)}
    names = [spelled.get(folded(cell), cell.strip()) for cell in cells]
    while not names[-1]:
        names.pop()
    for name in names:
        if name not in (*COLUMNS, *_DERIVED):
            raise invalid(line, f"there is no column {name[:80]!r}; these are known: {known}")
        if names.count(name) > 1:
            raise invalid(line, f"the column {name!r} is there twice")
    for name in _REQUIRED:
        if name not in names:
            raise invalid(line, f"the column {name!r} is missing")
    return tuple(names)


def _book(columns: tuple[str, ...], cells: list[str], line: int, neutralized: bool) -> Book:
    if len(cells) < len(columns) or any(cell.strip() for cell in cells[len(columns) :]):
        raise invalid(line, f"there are {len(cells)} cells, but {len(columns)} columns")
    values: dict[str, object] = {}
    for name, cell in zip(columns, cells, strict=False):
        text = cell[1:] if neutralized and _NEUTRALIZED.match(cell) else cell.strip()
        if name in _DERIVED:
            continue
        if name in _LISTS:
            values[name] = [part.strip() for part in text.split(";") if part.strip()]
        elif text:
            values[name] = text
    for name in _REQUIRED:
        if name not in values:
            raise invalid(line, f"{name!r} is empty")
    if "words" in values:
        number = _NUMBER.fullmatch(str(values["words"]))
        if number is None:
            raise invalid(line, "'words' is no number of at most 12 digits")
        values["words"] = number[1]
    if match := _TIMED.fullmatch(str(values.get("published"))):
        values["published"] = match[1] or match[2]
    try:
        return Book.model_validate(values, by_name=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise invalid(line, f"{'.'.join(map(str, first['loc']))!r} does not fit: {wording(first)}") from None
