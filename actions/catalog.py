"""The library as an OData service at `/odata`: books, reports, and what can be done with them."""

from library.books import BookStore
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
from library.export_store import ExportStore
from library.exporting import export_book, summarize
from library.loading import load_books
from library.models import Book, BookRef
from library.report_store import ReportStore
from library.reporting import check_report, generate_report
from shared.actions import (
    ActionContext,
    Content,
    Context,
    ODataService,
    RemovalContext,
    RequestContext,
    RequestError,
    Retry,
    read,
)
from shared.storage import Storage

library = ODataService("Library")


def all_books(context: Context) -> BookEntities:
    return BookEntities(context.storage, context.clock.now())


def all_reports(context: Context) -> ReportEntities:
    return ReportEntities(context.storage)


books = library.writable_entity_set("Books", Book, key="id", source=all_books, searchable=True)
reports = library.deletable_entity_set("Reports", Report, key="id", source=all_reports)


@library.action("GenerateReport", timeout="90s", retry=Retry(max_attempts=3), keep="7d", undoable=True)
async def report(context: ActionContext, request: ReportRequest) -> Report:
    """Count the books of a time, or all: words, languages, creators, by year."""
    return await generate_report(
        context,
        request,
        context.storage,
        context.clock.now(),
        base_url=context.base_url,
        neutralize=context.settings.csv_neutralize_formulas,
    )


@report.precondition
async def dates_are_in_order(context: RequestContext, request: ReportRequest) -> None:
    check_report(request)


@report.when_canceled
async def forget_report(context: Context, run_id: str) -> None:
    await ReportStore(context.storage).remove(run_id)


@report.removed
async def forget_unfinished_report(context: RemovalContext) -> None:
    await ReportStore(context.storage).remove_unfinished(context.run_id)


@books.action("Export", timeout="30s", retry=Retry(max_attempts=3), keep="7d")
async def export(context: ActionContext, request: ExportBook) -> ExportResult:
    """Write a book as JSON, CSV or text to read."""
    neutralize = context.settings.csv_neutralize_formulas
    now = context.clock.now()
    return await export_book(context, request, context.storage, now, base_url=context.base_url, neutralize=neutralize)


@export.precondition
async def book_is_there(context: RequestContext, request: ExportBook) -> None:
    await _found(request.id, context.storage)


@books.collection_action("ProcessLargeFile", timeout="9m", retry=Retry(max_attempts=3), keep="7d")
async def process_large_file(context: ActionContext, request: ProcessFile) -> ProcessResult:
    """Load an uploaded CSV of books, a hundred at a time; they appear as they are written."""
    return await load_books(
        context,
        request,
        context.storage,
        context.clock.now(),
        max_bytes=context.settings.max_upload_bytes,
        neutralized=context.settings.csv_neutralize_formulas,
    )


@books.function("Summary")
async def summary(context: RequestContext, request: BookRef) -> BookSummary:
    """A book in a few figures."""
    return summarize(await _found(request.id, context.storage))


@read("report:content", get="report/{id}/content")
async def report_content(context: RequestContext, request: ReportRef) -> Content:
    """Read the figures of a report in full."""
    content = await ReportStore(context.storage).content(request.id)
    if content is None:
        raise RequestError(404, "ReportNotFound", "There is no such report.", target=request.id)
    return content


@read("export:content", get="export/{id}/content")
async def exported(context: RequestContext, request: ExportRef) -> Content:
    """Read an exported book."""
    content = await ExportStore(context.storage).content(request.id)
    if content is None:
        raise RequestError(404, "ExportNotFound", "There is no such export.", target=request.id)
    return content


async def _found(book_id: str, storage: Storage) -> Book:
    book = await BookStore(storage).get(book_id)
    if book is None:
        raise RequestError(404, "BookNotFound", "There is no such book.", target=book_id)
    return book
