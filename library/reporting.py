"""Reports: figures over all books, or those of a time, counted in one pass and stored under the run's id.

A date that names a year or a month only counts as its first day, so that each book is in one month's report.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256

from library.book_rows import book_from_columns
from library.books import BookStore
from library.catalog_models import Report, ReportRequest
from library.csv_books import written
from library.report_store import ReportStore
from library.shielding import finish_then_cancel, ignore_cancel
from library.tally import Counted, Tally
from shared.actions import ActionContext, Model, RequestError
from shared.storage import Row, Storage, StorageError

TOP = 100
"""Languages, and creators, that a report lists; it says how many there are."""

_YEARS = 10_000
_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8"}


class Ranking(Model):
    """`different` names there are; `most` are those with the most books."""

    different: int
    most: list[Counted]


class Figures(Model):
    """What a report says, as JSON. `years` are all of them, in order."""

    created_date_time: datetime
    start_date: date | None
    end_date: date | None
    books: int
    words: int
    languages: Ranking
    creators: Ranking
    years: list[Counted]


def check_report(request: ReportRequest) -> None:
    """Raise RequestError 400 for a time that ends before it starts."""
    if request.start_date and request.end_date and request.start_date > request.end_date:
        raise RequestError(400, "InvalidDateRange", "startDate is after endDate.", target="startDate")


async def generate_report(
    context: ActionContext,
    request: ReportRequest,
    storage: Storage,
    now: datetime,
    *,
    base_url: str,
    neutralize: bool = True,
) -> Report:
    """Count, store the figures, then the row by which the report is seen; one that is there already is answered again.

    Canceled before the row it leaves nothing to see; a cancel that comes while the row is written comes too late.
    """
    reports = ReportStore(storage)
    if stored := await reports.get(context.run_id):
        return stored
    figures = await _count(context, request, storage, now)
    content = rendered(figures, request.format, neutralize=neutralize)
    try:
        await finish_then_cancel(reports.put_content(context.run_id, content, _TYPES[request.format]))
    except asyncio.CancelledError:
        with suppress(StorageError):
            await reports.remove(context.run_id)
        raise
    report = Report(
        id=context.run_id,
        created_date_time=figures.created_date_time,
        start_date=request.start_date,
        end_date=request.end_date,
        format=request.format,
        books=figures.books,
        words=figures.words,
        languages=figures.languages.different,
        creators=figures.creators.different,
        report_url=f"{base_url}/report/{context.run_id}/content",
        size_bytes=len(content),
        sha256=sha256(content).hexdigest(),
    )
    return await ignore_cancel(reports.put(report))


@dataclass
class _Count:
    """One pass over the books. `add` and `figures` block: they run in a thread, one at a time."""

    request: ReportRequest
    tally: Tally = field(default_factory=Tally)
    books: int = 0
    words: int = 0

    def add(self, rows: Sequence[Row]) -> None:
        entries: list[tuple[str, str, int]] = []
        for book in (book_from_columns(row.values) for row in rows):
            if not is_in(book.published, self.request):
                continue
            self.books += 1
            self.words += book.words
            entries.append(("language", book.language or "", book.words))
            entries.append(("year", (book.published or "")[:4], book.words))
            entries += [("creator", name, book.words) for name in dict.fromkeys(book.creators)]
        self.tally.add(entries)

    def figures(self, created: datetime) -> Figures:
        def ranked(kind: str) -> Ranking:
            return Ranking(different=self.tally.different(kind), most=self.tally.most(kind, TOP))

        return Figures(
            created_date_time=created,
            start_date=self.request.start_date,
            end_date=self.request.end_date,
            books=self.books,
            words=self.words,
            languages=ranked("language"),
            creators=ranked("creator"),
            years=self.tally.in_order("year", _YEARS),
        )


async def _count(context: ActionContext, request: ReportRequest, storage: Storage, now: datetime) -> Figures:
    count, seen = _Count(request), 0
    try:
        async for rows in BookStore(storage).scan():
            # A thread that goes on after a cancel would meet a closed database.
            await finish_then_cancel(asyncio.to_thread(count.add, rows))
            seen += len(rows)
            context.report_progress(done=seen, message=f"Looked at {seen} books")
        return await finish_then_cancel(asyncio.to_thread(count.figures, now))
    finally:
        count.tally.close()


def is_in(published: str | None, request: ReportRequest) -> bool:
    """Whether a book that was published then is in the report; without a date it is in one of all books only."""
    if request.start_date is None and request.end_date is None:
        return True
    if published is None:
        return False
    day = (published + "-01-01")[:10]
    start, end = request.start_date, request.end_date
    return (start is None or day >= start.isoformat()) and (end is None or day <= end.isoformat())


def rendered(figures: Figures, format: str, *, neutralize: bool) -> bytes:
    """The report's content: JSON, or CSV (RFC 4180) with a line per figure; `neutralize` as for `written`."""
    if format == "json":
        return figures.model_dump_json(by_alias=True).encode()
    lists = {"language": figures.languages.most, "creator": figures.creators.most, "year": figures.years}
    lines = [(figure, one.name, one.books, one.words) for figure, counted in lists.items() for one in counted]
    head = [("figure", "name", "books", "words"), ("total", "", figures.books, figures.words)]
    return written([*head, *lines], neutralize=neutralize)
