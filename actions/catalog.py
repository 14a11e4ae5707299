"""The library as an OData service at `/odata`: books, reports, and what can be done with them."""

from library.catalog_models import (
    BookSummary,
    ExportBook,
    ExportRef,
    ExportResult,
    ProcessFile,
    ProcessResult,
    Report,
    ReportRef,
    ReportRequest,
)
from library.entities import BookEntities, ReportEntities
from library.exporting import export_book, export_content, summarize
from library.loading import load_books
from library.models import Book, BookRef
from library.report_store import ReportStore
from library.reporting import check_report, generate_report
from shared.actions import ActionContext, Content, ODataService, ReadContext, RequestError, Retry, read
from shared.composition import settings, storage

library = ODataService("Library")
books = library.writable_entity_set("Books", Book, key="id", source=lambda: BookEntities(storage()))
reports = library.entity_set("Reports", Report, key="id", source=lambda: ReportEntities(storage()))


@library.action("GenerateReport", timeout="90s", retry=Retry(max_attempts=3), keep="7d", undoable=True)
async def report(context: ActionContext, request: ReportRequest) -> Report:
    """Count the books of a time, or all: words, languages, creators, by year."""
    return await generate_report(context, request, storage(), base_url=settings().own_url)


@report.precondition
async def dates_are_in_order(request: ReportRequest) -> None:
    check_report(request)


@report.when_canceled
async def forget_report(run_id: str) -> None:
    await ReportStore(storage()).remove(run_id)


@books.action("Export", timeout="30s", retry=Retry(max_attempts=3), keep="7d")
async def export(context: ActionContext, request: ExportBook) -> ExportResult:
    """Write a book as JSON, CSV or text to read."""
    return await export_book(context, request, storage(), base_url=settings().own_url)


@export.precondition
async def book_is_there(request: ExportBook) -> None:
    await _found(request.id)


@books.collection_action("ProcessLargeFile", timeout="9m", retry=Retry(max_attempts=3), keep="7d")
async def process_large_file(context: ActionContext, request: ProcessFile) -> ProcessResult:
    """Load an uploaded CSV of books; all of them appear at once."""
    return await load_books(context, request, storage(), max_bytes=settings().max_upload_bytes)


@books.function("Summary")
async def summary(context: ReadContext, request: BookRef) -> BookSummary:
    """A book in a few figures."""
    return summarize(await _found(request.id))


@read("report:content", get="report/{id}/content")
async def report_content(context: ReadContext, request: ReportRef) -> Content:
    """Read the figures of a report in full."""
    content = await ReportStore(storage()).content(request.id)
    if content is None:
        raise RequestError(404, "ReportNotFound", "There is no such report.", target=request.id)
    return content


@read("export:content", get="export/{id}/content")
async def exported(context: ReadContext, request: ExportRef) -> Content:
    """Read an exported book."""
    content = await export_content(request.id, storage())
    if content is None:
        raise RequestError(404, "ExportNotFound", "There is no such export.", target=request.id)
    return content


async def _found(book_id: str) -> Book:
    stored = await BookEntities(storage()).get(book_id)
    if stored is None or not isinstance(stored.entity, Book):
        raise RequestError(404, "BookNotFound", "There is no such book.", target=book_id)
    return stored.entity
