"""Reports, exports and summaries: the figures, what is stored of them, and that each may run twice."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import date
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from library.book_rows import PARTITION, book_columns
from library.books import BookStore
from library.catalog_models import ExportBook, Report, ReportRequest
from library.entities import ReportEntities
from library.export_store import ExportStore
from library.exporting import export_book, summarize
from library.models import Book, PlaceBook
from library.placing import place_book
from library.report_store import ReportStore
from library.reporting import check_report, generate_report, is_in
from library.tally import Tally
from shared.actions import ActionFailed, RequestError
from shared.settings import Settings
from shared.storage.factory import open_storage
from shared.storage.ports import Insert, Storage
from tests.sample.unit.test_library_loading import Canceling
from tests.sample.unit.test_library_uploading import NOW, blob_count
from tests.support.parts import Faults, FaultyStorage, Killed, SilentAttempt, context, sqlite

BASE = "https://example.test"


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with sqlite(tmp_path) as opened:
        yield opened


def a_book(number: int, **more: Any) -> Book:
    return Book.model_validate({"id": f"b{number}", "title": f"Book {number}", "words": 10 * number, **more})


BOOKS = [
    a_book(1, creators=["Ann", "Bob", "Ann"], language="en", published="2019"),
    a_book(2, creators=["Ann"], language="en", published="2019-06"),
    a_book(3, creators=["Cid"], language="de", published="2020-01-31"),
    a_book(4, published=None),
]


async def fill(storage: Storage, books: list[Book] = BOOKS) -> None:
    for book in books:
        await BookStore(storage).put(book, source=book.id)


async def report(
    storage: Storage, *, run: str = "a" * 32, attempt: SilentAttempt | None = None, **parameters: Any
) -> Report:
    given = context(run_id=run, attempt_state=attempt or SilentAttempt())
    return await generate_report(given, ReportRequest.model_validate(parameters), storage, NOW, base_url=BASE)


async def content(storage: Storage, made: Report) -> bytes:
    found = await ReportStore(storage).content(made.id)
    assert found is not None
    assert found.content_type.startswith("application/json" if made.format == "json" else "text/csv")
    return found.body


async def stored_reports(storage: Storage) -> list[Report]:
    return [made async for page in ReportStore(storage).pages() for made, _ in page]


def counted(name: str | None, books: int, words: int) -> dict[str, Any]:
    return {"name": name, "books": books, "words": words}


async def test_all_books(storage: Storage) -> None:
    """Without dates every book counts; the row sums up what the stored JSON has in full."""
    await fill(storage)
    made = await report(storage)
    assert (made.books, made.words, made.languages, made.creators) == (4, 100, 2, 3)
    assert made.report_url == f"{BASE}/report/{made.id}/content"
    raw = await content(storage, made)
    assert (made.size_bytes, made.sha256) == (len(raw), sha256(raw).hexdigest())
    figures = json.loads(raw)
    assert (figures["books"], figures["words"], figures["startDate"]) == (4, 100, None)
    assert figures["languages"]["most"] == [counted("en", 2, 30), counted(None, 1, 40), counted("de", 1, 30)]
    assert figures["creators"] == {
        "different": 3,
        "most": [counted("Ann", 2, 30), counted("Cid", 1, 30), counted("Bob", 1, 10)],
    }
    assert figures["years"] == [counted(None, 1, 40), counted("2019", 2, 30), counted("2020", 1, 30)]
    assert await ReportStore(storage).get(made.id) == made


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("2019-01-01", "2019-12-31", 30),
        ("2019-01-01", "2019-01-01", 10),
        ("2019-01-02", None, 50),
        (None, "2019-06-01", 30),
        ("2020-01-31", "2020-01-31", 30),
        ("2021-01-01", None, 0),
    ],
)
async def test_dates(storage: Storage, start: str | None, end: str | None, words: int) -> None:
    """Both days are in; a year or a month counts as its first day; a book without a date is in none."""
    await fill(storage)
    given = {"startDate": start and date.fromisoformat(start), "endDate": end and date.fromisoformat(end)}
    made = await report(storage, **given)
    assert made.words == words
    assert (made.start_date, made.end_date) == (given["startDate"], given["endDate"])
    assert await ReportStore(storage).get(made.id) == made


def test_each_book_in_one_month() -> None:
    """Reports that follow each other without a gap have each dated book exactly once."""
    days = [date(2019, month, 1) for month in range(1, 13)] + [date(2020, 1, 1)]
    months = [ReportRequest(start_date=a, end_date=date.fromordinal(b.toordinal() - 1)) for a, b in pairwise(days)]
    for published in ("2019", "2019-01", "2019-02", "2019-12-31", "2019-07-01"):
        assert sum(is_in(published, month) for month in months) == 1


def test_range_the_wrong_way_round() -> None:
    """A time that ends before it starts is refused; one day is none."""
    with pytest.raises(RequestError) as caught:
        check_report(ReportRequest(start_date=date(2020, 1, 2), end_date=date(2020, 1, 1)))
    assert (caught.value.status, caught.value.target) == (400, "startDate")
    check_report(ReportRequest(start_date=date(2020, 1, 1), end_date=date(2020, 1, 1)))
    check_report(ReportRequest())


async def test_csv(storage: Storage) -> None:
    """As CSV it has a line per figure, under a line of names."""
    await fill(storage)
    made = await report(storage, format="csv")
    lines = list(csv.reader(io.StringIO((await content(storage, made)).decode())))
    assert lines[:2] == [["figure", "name", "books", "words"], ["total", "", "4", "100"]]
    assert ["language", "en", "2", "30"] in lines
    assert ["creator", "Ann", "2", "30"] in lines
    assert ["year", "2020", "1", "30"] in lines


async def test_no_books(storage: Storage) -> None:
    """A library without books has a report, too."""
    made = await report(storage)
    assert (made.books, made.words) == (0, 0)
    assert json.loads(await content(storage, made))["years"] == []


async def test_many_books(storage: Storage) -> None:
    """Lists end after a hundred and say how many there are; progress counts the books; none is skipped."""
    rows = storage.table("books")
    for at in range(0, 2500, 100):
        many = [a_book(10_000 + n, creators=[f"Creator {n}"], language=f"l{n % 150:03}") for n in range(at, at + 100)]
        await rows.write(PARTITION, [Insert(book.id, book_columns(book)) for book in many])
    attempt = SilentAttempt()
    made = await report(storage, attempt=attempt)
    figures = json.loads(await content(storage, made))
    assert (made.books, made.creators, made.languages) == (2500, 2500, 150)
    assert (len(figures["creators"]["most"]), len(figures["languages"]["most"])) == (100, 100)
    assert figures["words"] == sum(10 * (10_000 + n) for n in range(2500))
    done = [one.done for one in attempt.reports]
    assert done == sorted(done)  # type: ignore[type-var]
    assert (done[-1], len(done)) == (2500, 5)


def test_tally_spills() -> None:
    """Counting hundreds of thousands of names is exact, and keeps them out of memory's way."""
    tally = Tally()
    for at in range(0, 200_000, 1000):
        tally.add(("creator", f"name {n % 150_000}", 1) for n in range(at, at + 1000))
    assert tally.different("creator") == 150_000
    assert [one.books for one in tally.most("creator", 2)] == [2, 2]
    assert tally.in_order("creator", 1)[0].name == "name 0"
    assert tally.different("language") == 0
    tally.close()


@pytest.mark.parametrize("fault", ["kill", "kill-before"])
async def test_report_killed_at_each_write(tmp_path: Path, fault: str) -> None:
    """Whatever write it dies at there is no report or a whole one, and the next attempt answers one and the same."""
    for at in range(1, 10):
        folder = tmp_path / str(at)
        async with sqlite(folder) as inner:
            await fill(inner)
            faults = Faults(at=at, fault=fault)  # type: ignore[arg-type]
            try:
                await report(FaultyStorage(inner, faults))
            except Killed:
                reports = await stored_reports(inner)
                for made in reports:
                    await content(inner, made)
            made = await report(inner)
            assert await report(inner) == made
            assert sha256(await content(inner, made)).hexdigest() == made.sha256
            assert await stored_reports(inner) == [made]
        assert blob_count(folder, "reports") == 1
        if at > faults.writes:
            assert at == 3
            return
    raise AssertionError("it never ended")


class CanceledWhileCounting(SilentAttempt):
    """Cancels whoever reports how many books were looked at."""

    def report(self, progress: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()


async def test_report_canceled(tmp_path: Path) -> None:
    """A canceled report leaves neither row nor blob, whatever it was at; one that is being stored is stored."""
    made: list[Report] = []
    async with sqlite(tmp_path) as storage:
        await fill(storage)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(report(storage, attempt=CanceledWhileCounting()))
        for at in range(1, 10):
            faults = Canceling(at=at)
            faults.task = asyncio.create_task(report(FaultyStorage(storage, faults), run=f"{at:032x}"))
            with suppress(asyncio.CancelledError):
                made.append(await faults.task)
            assert await stored_reports(storage) == made
            assert blob_count(tmp_path, "reports") == len(made)
            if at > faults.writes:
                break
    assert (at, len(made)) == (3, 2)


async def test_report_canceled_while_it_is_stored(storage: Storage) -> None:
    """A cancel that comes while the row is written comes too late: the report is there and is answered."""
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def held(*_: object) -> None:
        reached.set()
        await go_on.wait()

    task = asyncio.create_task(report(FaultyStorage(storage, Faults(before=held))))
    await reached.wait()
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    made = await task
    assert await ReportStore(storage).get(made.id) == made
    await content(storage, made)


async def test_report_entities(storage: Storage) -> None:
    """Reports are read in the order of their ids, by pages and by key; a removed one is gone with its content."""
    runs = [f"{n:032x}" for n in (3, 1, 2)]
    made = {run: await report(storage, run=run) for run in runs}
    source = ReportEntities(storage)
    found = [stored async for page in source.scan() for stored in page]
    assert [stored.entity for stored in found] == [made[run] for run in sorted(runs)]
    assert [stored async for page in source.scan(after=found[0].entity.model_dump()["id"]) for stored in page] == found[
        1:
    ]
    assert await source.get(runs[0]) == found[2]
    assert await source.get("no/id") is None
    assert await source.get("unknown") is None
    store = ReportStore(storage)
    for _ in range(2):
        await store.remove(runs[0])
        assert await store.content(runs[0]) is None
        assert await source.get(runs[0]) is None


@pytest.mark.parametrize("format", ["json", "csv", "text"])
async def test_export(storage: Storage, format: str) -> None:
    """A book's data is stored under a name of its content: again the same, and another once the book has changed."""
    await fill(storage)
    request = ExportBook.model_validate({"id": "b1", "format": format})
    made = await export_book(context(), request, storage, NOW, base_url=BASE)
    assert await export_book(context(run_id="9" * 32), request, storage, NOW, base_url=BASE) == made
    stored = await ExportStore(storage).content(made.id)
    assert stored is not None
    assert (made.size_bytes, made.sha256) == (len(stored.body), sha256(stored.body).hexdigest())
    assert (made.book_id, made.export_url) == ("b1", f"{BASE}/export/{made.id}/content")
    text = stored.body.decode()
    match format:
        case "json":
            assert Book.model_validate_json(text) == BOOKS[0]
        case "csv":
            lines = list(csv.DictReader(io.StringIO(text)))
            assert (lines[0]["title"], lines[0]["creators"], lines[0]["publisher"]) == ("Book 1", "Ann; Bob; Ann", "")
        case _:
            assert text.startswith("id: b1\ntitle: Book 1\n")
            assert "publisher" not in text
    await BookStore(storage).put(a_book(1, language="fr"), source="x")
    other = await export_book(context(), request, storage, NOW, base_url=BASE)
    assert other.id != made.id
    assert await ExportStore(storage).content(made.id) == stored


async def test_export_of_nothing(storage: Storage) -> None:
    """A book that is not there has no export, and no export is read that is not there."""
    with pytest.raises(ActionFailed) as caught:
        await export_book(context(), ExportBook(id="b9"), storage, NOW, base_url=BASE)
    assert (caught.value.code, caught.value.status_code) == ("BookNotFound", 404)
    assert await ExportStore(storage).content("unknown") is None
    assert await ExportStore(storage).content("no/id") is None


def test_summary() -> None:
    """A summary has the figures of the book, and none where it has none."""
    book = a_book(5, creators=["Ann", "Bob"], published="2019-05", chapters=4, words=501, sha256="a" * 64)
    assert summarize(book).model_dump() == {
        "title": "Book 5",
        "creators": "Ann, Bob",
        "year": 2019,
        "words": 501,
        "words_per_chapter": 125,
        "reading_minutes": 3,
        "has_file": True,
    }
    bare = summarize(Book(id="b", title="T"))
    assert (bare.year, bare.words_per_chapter, bare.reading_minutes, bare.has_file) == (None, None, 0, False)


async def test_placing_a_book_without_a_file(storage: Storage) -> None:
    """What has no EPUB cannot be read again; the book stays as it was."""
    await fill(storage)
    with pytest.raises(ActionFailed) as caught:
        await place_book(context(), PlaceBook.model_validate({"id": "b1"}), storage, NOW, max_bytes=1000)
    assert (caught.value.code, caught.value.target) == ("UploadRequired", "transactionId")
    assert await BookStore(storage).get("b1") == BOOKS[0]


async def test_on_azure_storage(azurite: str) -> None:
    """A report and an export on Azure's own SDKs: stored, read back, and the same when done again."""
    storage = open_storage(Settings.read({"OPERATIONS_STORAGE": azurite}))
    try:
        await fill(storage)
        made = await report(storage, startDate=date(2019, 1, 1), endDate=date(2019, 12, 31))
        assert await report(storage) == made
        assert await ReportStore(storage).get(made.id) == made
        assert sha256(await content(storage, made)).hexdigest() == made.sha256
        exported = await export_book(context(), ExportBook(id="b2", format="csv"), storage, NOW, base_url=BASE)
        found = await ExportStore(storage).content(exported.id)
        assert found is not None
        assert (found.content_type, len(found.body)) == ("text/csv; charset=utf-8", exported.size_bytes)
    finally:
        await storage.aclose()
