"""What is deleted of the library is gone: by its owner, by the hooks of its operations, or by the sweep a day later."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from actions import books as book_actions
from actions import catalog, files, presses
from library.book_rows import KEPT, PARTITION
from library.books import BookStore, file_name
from library.catalog_models import ExportBook, Report, ReportRequest
from library.entities import BookEntities, ReportEntities
from library.export_store import ExportStore
from library.exporting import export_book
from library.leftovers import clear_leftovers, note
from library.models import Book, BookRef
from library.placing import remove_book
from library.presses import WorkOrder, WorkOrders
from library.reporting import generate_report
from shared.actions import Action, RemovalContext, RequestError
from shared.actions.odata.entities import Create, Remove
from shared.storage import Delete, Insert, Row, Storage, write_time
from shared.testing import FakeApp
from tests.support.parts import T0, Faults, FaultyStorage, Killed, context, services, sqlite

NOW = T0
LATER = NOW + KEPT + timedelta(seconds=1)
BASE = "http://localhost"


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with sqlite(tmp_path) as opened:
        yield opened


async def rows(storage: Storage, table: str, *partitions: str) -> list[Row]:
    pages = [await storage.table(table).page(each, lower=" ", upper="~") for each in partitions]
    return [row for page in pages for row in page.rows]


async def exported(storage: Storage, **format: str) -> str:
    request = ExportBook.model_validate({"id": "b1", **format})
    return (await export_book(context(), request, storage, NOW, base_url=BASE)).id


@pytest.mark.parametrize("how", ["delete", "odata", "batch"])
async def test_exports_go_with_their_book(storage: Storage, how: str) -> None:
    """All exports of a book, and of no other, whichever way the book is removed."""
    await BookStore(storage).put(Book(id="b1", title="One"), source="x")
    await BookStore(storage).put(Book(id="b2", title="Two"), source="x")
    made = [await exported(storage, format=format) for format in ("json", "csv", "text")]
    other = await exported(storage, id="b2")
    if how == "delete":
        await remove_book(context(), "b1", storage)
    else:
        await BookEntities(storage, NOW).write([Remove("b1")], by="run" if how == "batch" else "")
    exports = ExportStore(storage)
    assert [await exports.content(each) for each in made] == [None] * 3
    assert await exports.content(other) is not None
    assert await rows(storage, "exports", "b1") == []


@pytest.mark.parametrize("at", range(1, 4))
@pytest.mark.parametrize("fault", ["kill", "kill-before"])
async def test_an_export_of_a_book_that_is_removed_meanwhile(storage: Storage, at: int, fault: str) -> None:
    """Whatever an export has stored when its book goes and it dies itself, the sweep clears it."""
    await BookStore(storage).put(Book(id="b1", title="One"), source="x")
    dying = FaultyStorage(storage, Faults(at=at, fault=fault))  # type: ignore[arg-type]
    with pytest.raises(Killed):
        await export_book(context(), ExportBook(id="b1"), dying, NOW, base_url=BASE)
    # The book is removed by somebody who has not seen the export yet.
    row = await storage.table("books").read(PARTITION, "b1")
    assert row is not None
    await storage.table("books").write(PARTITION, [Delete("b1")])
    await clear_leftovers(storage, LATER)
    assert await rows(storage, "exports", "b1") == []
    assert await rows(storage, "books", PARTITION) == []


async def test_a_file_that_no_book_names(storage: Storage, tmp_path: Path) -> None:
    """An EPUB that was stored before an attempt died goes a day later, unless its book names it by then."""
    books, path = BookStore(storage), tmp_path / "b.epub"
    path.write_bytes(b"epub")
    for book_id, sha256 in (("b1", "a" * 64), ("b2", "b" * 64)):
        await note(books, book_id, NOW, sha256=sha256)
        await books.put_file(book_id, sha256, path)
    await books.put(Book(id="b2", title="Two", sha256="b" * 64), source="x")
    await clear_leftovers(storage, NOW + KEPT)
    assert await books.files.info(file_name("b1", "a" * 64)) is not None
    await clear_leftovers(storage, LATER)
    assert await books.files.info(file_name("b1", "a" * 64)) is None
    assert await books.files.info(file_name("b2", "b" * 64)) is not None
    assert [row.key for row in await rows(storage, "books", PARTITION)] == ["b2"]


async def test_a_book_that_is_replaced_again_and_again(storage: Storage) -> None:
    """Of a book whose replaced file was not removed in time, each replacement takes the one before along."""
    books = BookStore(storage)
    for number in range(4):
        sha256 = f"{number}" * 64
        await books.files.put(file_name("b1", sha256), b"epub", content_type="a/b")
        dying = FaultyStorage(storage, Faults(at=2 if number < 2 else 3, fault="kill-before"))
        with suppress(Killed):
            await BookStore(dying).put(Book(id="b1", title="One", sha256=sha256), source=sha256)
    there = [await books.files.info(file_name("b1", f"{number}" * 64)) is not None for number in range(4)]
    assert there == [False, False, True, True]
    await books.remove("b1")
    assert [await books.files.info(file_name("b1", f"{number}" * 64)) for number in range(4)] == [None] * 4


async def test_a_sweep_takes_a_bounded_step(storage: Storage) -> None:
    """Fifty notes in a pass, the oldest first; a pass with nothing to do is one query."""
    books = BookStore(storage)
    for number in range(60):
        await note(books, f"b{number}", NOW + timedelta(seconds=number))
    for left in (10, 0):
        await clear_leftovers(storage, LATER + timedelta(minutes=1))
        assert len(await rows(storage, "books", PARTITION)) == left
    counting = FaultyStorage(storage, Faults())
    await clear_leftovers(counting, LATER)
    assert (counting.faults.pages, counting.faults.reads, counting.faults.writes) == (1, 0, 0)


@pytest.mark.parametrize("values", [{"books": "{"}, {"books": "[1]"}, {"other": 1}, {"books": '{"b1":5}'}], ids=str)
async def test_a_row_of_leftovers_that_cannot_be_read(
    storage: Storage, caplog: pytest.LogCaptureFixture, values: dict[str, str]
) -> None:
    """It is passed over, and looked at again a day later: however many there are, others are cleared."""
    books = BookStore(storage)
    unreadable = [Insert(f"!{write_time(NOW)}!{number:032d}", values) for number in range(50)]
    await books.rows.write(PARTITION, unreadable)
    await note(books, "b1", NOW, sha256="a" * 64)
    await books.files.put(file_name("b1", "a" * 64), b"epub", content_type="a/b")
    for _ in range(2):
        await clear_leftovers(storage, LATER)
    assert await books.files.info(file_name("b1", "a" * 64)) is None
    assert len(await rows(storage, "books", PARTITION)) == 50
    assert {getattr(record, "event", "") for record in caplog.records} == {"row_unreadable"}


@pytest.mark.parametrize("action", [book_actions.upload_start, files.upload_start], ids=["book", "file"])
async def test_an_upload_goes_with_its_start(action: Action) -> None:
    """Once its URL takes no file any more: transaction and file are gone an hour after the expiry, and not before."""
    is_book = action is book_actions.upload_start
    abandon = book_actions.abandon_upload if is_book else files.abandon_upload
    async with FakeApp() as app:
        run = app.run(action, {"id": "b1", "fileName": "a.epub"} if is_book else {"fileName": "a.csv"})
        started = await run
        await app.storage.container("uploads").put(started.transaction_id, b"1", content_type="a/b")
        due = await abandon(app.removal_context(run))
        assert due == started.expires_at + timedelta(hours=1)
        assert await app.storage.container("uploads").info(started.transaction_id) is not None
        app.clock.advance("2h1s")
        for _ in range(2):
            assert await abandon(app.removal_context(run)) is None
        assert await app.storage.container("uploads").info(started.transaction_id) is None
        assert await rows(app.storage, "uploads", *"0123456789abcdef") == []


async def test_an_order_goes_with_its_operation(storage: Storage) -> None:
    """The order of a removed operation is gone; that of another stays, and one that was taken does no harm."""
    orders = WorkOrders(storage)
    order = WorkOrder(press="p", model="m", operation_id="one", update_url="u", secret="s")
    for run_id in ("1" * 32, "2" * 32):
        await orders.put(order, run_id=run_id, created=NOW)
    removed = RemovalContext(
        owner="", base_url=BASE, api_version="", services=services(storage), operation_id="one", run_id="1" * 32,
        created=NOW,
    )  # fmt: skip
    for _ in range(2):
        await presses.withdraw(removed)
    assert [row.key.rpartition("!")[2] for row in await rows(storage, "workorders", "orders")] == ["2" * 32]


async def a_report(storage: Storage) -> Report:
    return await generate_report(context(), ReportRequest(), storage, NOW, base_url=BASE)


async def test_a_report_that_is_removed(storage: Storage) -> None:
    """It goes with its figures, under its ETag; a writer that may do it again is told so again."""
    report, source = await a_report(storage), ReportEntities(storage)
    stored = await source.get(report.id)
    assert stored is not None
    with pytest.raises(RequestError, match="PreconditionFailed"):
        await source.write([Remove(report.id, ("other",))])
    assert await source.write([Remove(report.id, (stored.etag,))]) == [None]
    with pytest.raises(RequestError, match="ReportNotFound"):
        await source.write([Remove(report.id)])
    assert await source.write([Remove(report.id)], by="run") == [None]
    assert await rows(storage, "reports", "reports") == []
    assert await storage.container("reports").info(report.id) is None


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("fault", ["kill", "kill-before"])
async def test_a_removal_of_a_report_that_dies(storage: Storage, at: int, fault: str) -> None:
    """Whatever write it dies at, it is removed when it is asked for again."""
    report = await a_report(storage)
    dying = ReportEntities(FaultyStorage(storage, Faults(at=at, fault=fault)))  # type: ignore[arg-type]
    with pytest.raises(Killed):
        await dying.write([Remove(report.id)])
    if (at, fault) != (2, "kill"):
        await ReportEntities(storage).write([Remove(report.id)])
    assert await rows(storage, "reports", "reports") == []
    assert await storage.container("reports").info(report.id) is None


@pytest.mark.parametrize("finished", [False, True])
async def test_a_report_that_was_never_finished(finished: bool) -> None:
    """The figures of an attempt that died before the row go with the operation; a report outlives it."""
    async with FakeApp() as app:
        if finished:
            run = app.run(catalog.report, {})
            await run
        else:
            run = app.run(catalog.report, {}, on_progress=lambda run, progress: None)
            await run
            await ReportEntities(app.storage).write([Remove(run.run_id)])
            await app.storage.container("reports").put(run.run_id, b"{}", content_type="application/json")
        await catalog.forget_unfinished_report(app.removal_context(run))
        assert (await app.storage.container("reports").info(run.run_id) is not None) is finished


async def test_books_made_and_removed_leave_nothing(storage: Storage) -> None:
    """Of creations and removals in every form no row stays, once the sweep has been there."""
    entities = BookEntities(storage, NOW)
    await entities.write([Create(Book(id=f"b{number}", title="A")) for number in range(6)])
    await entities.write([Remove("b0"), Remove("b1")], by="run")
    await entities.write([Remove("b2")])
    await remove_book(context(), BookRef(id="b3").id, storage)
    await entities.write([Create(Book(id="b0", title="Again"))])
    for book_id in ("b0", "b4", "b5"):
        await entities.write([Remove(book_id)], by=f"run-{book_id}")
    await clear_leftovers(storage, LATER)
    assert await rows(storage, "books", PARTITION) == []
