"""What the catalog's actions and functions take and return, as it appears on the wire."""

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from shared.actions import ID_PATTERN, Model


class ProcessFile(Model):
    """A CSV of books to load: the `transactionId` of an upload that `files:upload-start` has begun."""

    file_id: str = Field(min_length=1, max_length=64)


class ProcessResult(Model):
    """`record_count` lines were books. `book_count` books are as a load has made them, those of earlier files too."""

    file_id: str
    record_count: int
    book_count: int


class ReportRequest(Model):
    """Which books to count: all, or those published from `start_date` to `end_date`, both included."""

    start_date: date | None = None
    end_date: date | None = None
    format: Literal["json", "csv"] = "json"


class Report(Model):
    """A stored report. What is at `report_url` has the figures in full; `size_bytes` and `sha256` are of it.

    `languages` and `creators` say how many different ones there are.
    """

    id: str
    created_date_time: datetime
    start_date: date | None
    end_date: date | None
    format: str
    books: int
    words: int
    languages: int
    creators: int
    report_url: str
    size_bytes: int
    sha256: str


class ReportRef(Model):
    """One report, by its id."""

    id: str = Field(pattern=rf"^{ID_PATTERN}$")


class ExportBook(Model):
    """The book to export, and as what: `json`, `csv`, or `text` to read."""

    id: str
    format: Literal["json", "csv", "text"] = "json"


class ExportResult(Model):
    """An exported book: `id` names the export, whose content never changes; `book_id` the book."""

    id: str
    book_id: str
    format: str
    export_url: str
    size_bytes: int
    sha256: str


class ExportRef(Model):
    """One export, by its id."""

    id: str = Field(pattern=rf"^{ID_PATTERN}$")


class BookSummary(Model):
    """A book in a few figures. `reading_minutes` at 250 words a minute, rounded up; `year` it was published in."""

    title: str
    creators: str
    year: int | None
    words: int
    words_per_chapter: int | None
    reading_minutes: int
    has_file: bool
