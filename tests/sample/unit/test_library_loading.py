"""Loading a CSV of many books: what is stored of it, when it is seen, and that any attempt ends the same."""

import asyncio
import gc
import random
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from actions.files import file_is_not_too_large
from library.book_rows import FIRST, PARTITION, book_from_columns
from library.books import BookStore, file_name
from library.catalog_models import ProcessFile, ProcessResult
from library.entities import BookEntities
from library.loading import load_books
from library.models import Book, FileUploadStart
from library.uploading import start_file_upload
from shared.actions import ActionFailed, RequestError
from shared.actions.odata.entities import Remove, Update
from shared.errors import StorageAnswerLost
from shared.storage.files import FileBlobs
from shared.storage.pages import row_pages
from shared.storage.ports import Change, Merge, Storage
from shared.storage.sqlite import SqliteTables
from tests.support.parts import T0, Faults, FaultyStorage, Killed, SilentAttempt, context, request_context, sqlite

LIMIT = 100_000_000
NOW = T0
OTHERS = [Book(id=f"own{n}", title=f"Own {n}") for n in range(3)]


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with sqlite(tmp_path) as opened:
        yield opened


def lines(numbers: range, title: str = "Title", words: int = 10) -> bytes:
    return ("id,title,words\n" + "".join(f"c{n:06},{title} {n},{words}\n" for n in numbers)).encode()


async def uploaded(storage: Storage, data: bytes | None, *, run: str = "a" * 32) -> str:
    started = await start_file_upload(
        context(run_id=run), FileUploadStart(file_name="books.csv", size=None), storage, NOW
    )
    if data is not None:
        await storage.container("uploads").put(started.transaction_id, data, content_type="text/csv")
    return started.transaction_id


async def load(storage: Storage, file_id: str, *, run: str = "1" * 32, **more: Any) -> ProcessResult:
    request = ProcessFile(file_id=file_id)
    return await load_books(context(run_id=run, **more), request, storage, NOW, max_bytes=LIMIT)


async def loaded(storage: Storage, data: bytes, *, run: str) -> ProcessResult:
    return await load(storage, await uploaded(storage, data, run=run), run=run)


async def rows(storage: Storage) -> list[str]:
    """The keys of all rows of books, tombstones too."""
    return [row.key async for page in row_pages(storage.table("books"), PARTITION, lower=FIRST) for row in page]


async def titles(storage: Storage) -> dict[str, str]:
    """What a reader of everything sees, checked against single reads and to be in order."""
    books = BookStore(storage)
    seen = [book_from_columns(row.values) async for page in books.scan() for row in page]
    ids = [book.id for book in seen]
    assert ids == sorted(set(ids))
    for book in (*seen[:2], *seen[-2:]):
        assert await books.get(book.id) == book
    return {book.id: book.title for book in seen}


async def test_load(storage: Storage) -> None:
    """The file's books are there, in order with those stored one by one; the upload is gone; progress only grows."""
    for book in OTHERS:
        await BookStore(storage).put(book, source=book.id)
    attempt = SilentAttempt()
    file_id = await uploaded(storage, lines(range(250)))
    result = await load(storage, file_id, attempt_state=attempt)
    assert result == ProcessResult(file_id=file_id, record_count=250, book_count=250)
    seen = await titles(storage)
    assert list(seen) == [*(f"c{n:06}" for n in range(250)), "own0", "own1", "own2"]
    book = await BookStore(storage).get("c000007")
    assert book == Book(id="c000007", title="Title 7", words=10)
    assert await storage.container("uploads").info(file_id) is None
    percents = [report.percent or 0 for report in attempt.reports]
    assert percents == sorted(percents)
    assert attempt.reports[-1].done == 250


async def test_pages(storage: Storage) -> None:
    """Pages of any size give every book once, whichever kind it is of."""
    await loaded(storage, lines(range(0, 60, 2)), run="1" * 32)
    books = BookStore(storage)
    for n in range(1, 60, 3):
        await books.put(Book(id=f"c{n:06}", title="Own"), source="x")
    everything = list(await titles(storage))
    for top in (1, 7, 100):
        found: list[str] = []
        after: str | None = None
        while True:
            page, after = await books.page(top=top, after=after)
            assert len(page) <= top
            found += [book.id for book in page]
            if after is None:
                break
        assert found == everything


async def test_empty_pages(tmp_path: Path) -> None:
    """Pages that the store leaves empty, as Azure may, are no end, neither for readers nor for the count."""
    tables, files = SqliteTables(tmp_path, empty_pages=True), FileBlobs(tmp_path, site_hostname="127.0.0.1:1")

    class Sparse:
        table, container = tables.table, files.container

    sparse: Any = Sparse()
    try:
        await BookStore(sparse).put(OTHERS[0], source="x")
        assert (await loaded(sparse, lines(range(1100)), run="1" * 32)).book_count == 1100
        assert list(await titles(sparse)) == [*(f"c{n:06}" for n in range(1100)), "own0"]
        page, after = await BookStore(sparse).page(top=1050, after=None)
        assert (len(page), after) == (1050, "c001049")
    finally:
        await tables.aclose()


async def test_upload_of_a_file(storage: Storage) -> None:
    """A file is announced like a book's; one over the limit is refused before anything exists."""
    request = FileUploadStart(file_name="books.csv", size=10)
    started = await start_file_upload(context(), request, storage, NOW)
    again = await start_file_upload(context(), request, storage, NOW)
    assert started.transaction_id == again.transaction_id == context().run_id
    # The URL is signed anew each time, for whole seconds.
    assert started.expires_at == again.expires_at
    assert started.upload_url.partition("?")[0] == again.upload_url.partition("?")[0]
    await storage.container("uploads").put(started.transaction_id, b"id,title\n", content_type="text/csv")
    with pytest.raises(ActionFailed, match="SizeMismatch"):
        await load(storage, started.transaction_id)
    await file_is_not_too_large(request_context(storage), request)
    with pytest.raises(RequestError) as caught:
        await file_is_not_too_large(request_context(storage), FileUploadStart(file_name="books.csv", size=10**12))
    assert (caught.value.status, caught.value.target) == (413, "size")


async def test_point_read_is_one_request(storage: Storage) -> None:
    """A book costs one read, whether it was loaded or not."""
    await loaded(storage, lines(range(3)), run="1" * 32)
    await BookStore(storage).put(OTHERS[0], source="x")
    faulty = FaultyStorage(storage)
    assert await BookStore(faulty).get("own0") == OTHERS[0]
    assert await BookStore(faulty).get("c000001") is not None
    assert (faulty.faults.reads, faulty.faults.pages) == (2, 0)


async def test_requests_of_a_load(storage: Storage) -> None:
    """New books cost one transaction a hundred, and no read. What is there as the file has it is not written again."""
    faulty = FaultyStorage(storage)
    await loaded(faulty, lines(range(950)), run="1" * 32)
    assert [len(changes) for name, changes in faulty.faults.seen if name == "books"] == [100] * 9 + [50]
    assert faulty.faults.reads < 10
    before = [row async for page in row_pages(storage.table("books"), PARTITION) for row in page]
    assert (await loaded(faulty, lines(range(950)), run="2" * 32)).book_count == 950
    assert [row async for page in row_pages(storage.table("books"), PARTITION) for row in page] == before


async def test_second_load(storage: Storage) -> None:
    """A load keeps the books of the one before, and replaces those it has too."""
    await loaded(storage, lines(range(150), "Old"), run="1" * 32)
    result = await loaded(storage, lines(range(100, 300), "New"), run="2" * 32)
    assert (result.record_count, result.book_count) == (200, 300)
    seen = await titles(storage)
    assert len(seen) == 300
    assert (seen["c000099"], seen["c000100"], seen["c000149"]) == ("Old 99", "New 100", "New 149")


async def test_twice_in_a_file(storage: Storage) -> None:
    """Where an id comes twice the later line wins, within a transaction and beyond."""
    data = lines(range(150)) + b"c000149,Late,1\nc000003,Late,1\n"
    for n in (1, 2):
        result = await loaded(storage, data, run=f"{n:032x}")
        assert (result.record_count, result.book_count) == (152, 150)
        seen = await titles(storage)
        assert [seen["c000149"], seen["c000003"], seen["c000004"]] == ["Late", "Late", "Title 4"]


async def test_books_of_others_stay(storage: Storage) -> None:
    """A line leaves a book alone that was stored by itself, or that was changed after a load had brought it."""
    books = BookStore(storage)
    own = await books.put(Book(id="c000001", title="Own", shelf="/s", sha256="a" * 64), source="x")
    await loaded(storage, lines(range(4)), run="1" * 32)
    await BookEntities(storage, NOW).write([Update("c000003", {"words": 7})])
    result = await loaded(storage, lines(range(4), "New"), run="2" * 32)
    assert (result.record_count, result.book_count) == (4, 2)
    assert await titles(storage) == {"c000000": "New 0", "c000001": "Own", "c000002": "New 2", "c000003": "Title 3"}
    assert await books.on_shelf("/S") == [own]


@pytest.mark.parametrize("how", ["remove", "in a transaction", "in one that may be repeated"])
async def test_removed_books(storage: Storage, how: str) -> None:
    """A removed book stays away, also from loads without it, until a file brings it again."""
    books, entities = BookStore(storage), BookEntities(storage, NOW)
    await loaded(storage, lines(range(3)), run="1" * 32)
    if how == "remove":
        for _ in range(2):
            await books.remove("c000001")
    else:
        await entities.write([Remove("c000001")], by="run" if "repeated" in how else "")
    assert await books.get("c000001") is None
    assert list(await titles(storage)) == ["c000000", "c000002"]
    result = await loaded(storage, lines(range(10, 12)), run="2" * 32)
    assert result.book_count == 4
    assert list(await titles(storage)) == ["c000000", "c000002", "c000010", "c000011"]
    await loaded(storage, lines(range(1, 3), "Again"), run="3" * 32)
    assert await titles(storage) == {
        "c000000": "Title 0", "c000001": "Again 1", "c000002": "Again 2", "c000010": "Title 10", "c000011": "Title 11"
    }  # fmt: skip


async def test_removed_and_stored_again(storage: Storage) -> None:
    """A loaded book that was removed can be stored by itself."""
    books = BookStore(storage)
    await loaded(storage, lines(range(2)), run="1" * 32)
    await books.remove("c000001")
    await books.put(Book(id="c000001", title="Back"), source="x", keep_shelf=True)
    assert await titles(storage) == {"c000000": "Title 0", "c000001": "Back"}


async def test_what_a_removal_has_left(storage: Storage) -> None:
    """A file whose removed book had no time to take it along goes with the load that brings the book again."""
    file = file_name("c000001", "a" * 64)
    await storage.container("books").put(file, b"epub", content_type="a/b")
    await BookStore(storage).put(Book(id="c000001", title="Own", sha256="a" * 64), source="x")
    with pytest.raises(Killed):
        await BookEntities(FaultyStorage(storage, Faults(at=1)), NOW).write([Remove("c000001")])
    assert await storage.container("books").info(file) is not None
    await loaded(storage, lines(range(3)), run="1" * 32)
    assert (len(await titles(storage)), await storage.container("books").info(file)) == (3, None)


@pytest.mark.parametrize(
    ("data", "code", "stays"),
    [
        (None, "UploadMissing", 0),
        (b"", "InvalidCsv", 0),
        (lines(range(250)) + b"c9,,\n", "InvalidCsv", 200),
        (lines(range(250)) + b"c9,\xff,\n", "InvalidCsv", 0),
    ],
)
async def test_refused(storage: Storage, data: bytes | None, code: str, stays: int) -> None:
    """What cannot be loaded ends with its code. The batches before stay, and the upload may be finished anew."""
    file_id = await uploaded(storage, data, run="2" * 32)
    for _ in range(2):
        with pytest.raises(ActionFailed) as caught:
            await load(storage, file_id, run="2" * 32)
        assert caught.value.code == code
        assert list(await titles(storage)) == [f"c{n:06}" for n in range(stays)]


async def test_whose_file(storage: Storage) -> None:
    """A file is loaded by who uploaded it, is no book's upload, and is loaded once."""
    file_id = await uploaded(storage, lines(range(3)))
    with pytest.raises(ActionFailed, match="UploadNotFound"):
        await load(storage, file_id, owner="somebody else")
    with pytest.raises(ActionFailed, match="UploadNotFound"):
        await load(storage, "unknown")
    await load(storage, file_id)
    with pytest.raises(ActionFailed, match="UploadAlreadyFinished"):
        await load(storage, file_id, run="2" * 32)


async def test_rows_too_large_for_one_transaction(storage: Storage) -> None:
    """Books whose rows do not fit into one transaction together are stored all the same."""
    creators = ";".join("😀" * 240 + str(n) for n in range(25))
    data = (
        "id,title,creators,identifiers\n" + "".join(f"c{n:03},T,{creators},{creators}\n" for n in range(100))
    ).encode()
    result = await loaded(storage, data, run="1" * 32)
    assert result.book_count == 100
    found = await BookStore(storage).get("c042")
    assert found is not None
    assert len(found.creators) == 25


async def test_row_too_large(storage: Storage) -> None:
    """A book that no row holds is refused as one of those of the file."""
    creators = ";".join("\x01" * 499 + chr(65 + n) for n in range(25))
    file_id = await uploaded(storage, f"id,title,creators\na,T,\nb,T,{creators}\n".encode())
    with pytest.raises(ActionFailed, match="books 1 to 2 of the file is too large"):
        await load(storage, file_id)


PARTS = (("Old", range(120)), ("New", range(110, 340)))


@pytest.mark.parametrize("fault", ["kill", "kill-before", "lost", "lost-before"])
async def test_faults_at_each_write(tmp_path: Path, fault: str) -> None:
    """Whatever write it dies at, or loses the answer of, whole batches are there; the next attempt ends the same."""
    old, new = ({f"c{n:06}": f"{title} {n}" for n in numbers} for title, numbers in PARTS)
    for at in range(1, 60):
        async with sqlite(tmp_path / f"{fault}{at}") as inner:
            await loaded(inner, lines(range(120), "Old"), run="1" * 32)
            await BookEntities(inner, NOW).write([Remove("c000115")], by="somebody")
            file_id = await uploaded(inner, lines(range(110, 340), "New"), run="2" * 32)
            faults = Faults(at=at, fault=fault)  # type: ignore[arg-type]
            first = None
            try:
                first = await load(FaultyStorage(inner, faults), file_id, run="2" * 32)
            except (Killed, StorageAnswerLost):
                seen = await titles(inner)
                written = sum(title.startswith("New") for title in seen.values())
                assert written in (0, 100, 200, 230)
                there = {key: title for key, title in old.items() if key != "c000115"}
                assert seen == there | dict(list(new.items())[:written])
            for attempt in (2, 3):
                result = await load(inner, file_id, run="2" * 32, attempt=attempt)
                assert result == ProcessResult(file_id=file_id, record_count=230, book_count=340)
                assert first in (None, result)
                assert await titles(inner) == old | new
            assert await inner.container("uploads").info(file_id) is None
            assert await rows(inner) == list(old | new)
        if at > faults.writes:
            assert at > 7
            return
    raise AssertionError("it never ended")


async def test_changes_between_two_attempts(storage: Storage) -> None:
    """What others change of the books already written stays changed; what they remove is written again."""
    file_id = await uploaded(storage, lines(range(250)))
    with pytest.raises(Killed):
        await load(FaultyStorage(storage, Faults(at=3, fault="kill")), file_id)
    assert len(await titles(storage)) == 200
    await BookEntities(storage, NOW).write([Update("c000001", {"title": "Mine"}), Remove("c000002")])
    assert (await load(storage, file_id, attempt=2)).book_count == 249
    seen = await titles(storage)
    assert [len(seen), seen["c000001"], seen["c000002"]] == [250, "Mine", "Title 2"]


class Canceling(Faults):
    """Cancels a task as its `at`-th write begins."""

    task: "asyncio.Task[Any]"

    async def around(self, write: Callable[[], Any]) -> Any:
        if self.strikes():
            self.task.cancel()
            await asyncio.sleep(0)
        return await write()


async def test_cancel_at_each_write(tmp_path: Path) -> None:
    """A cancel leaves whole batches, from where another attempt may go on; after the last it comes too late."""
    left: list[int] = []
    for at in range(1, 20):
        async with sqlite(tmp_path / str(at)) as inner:
            file_id = await uploaded(inner, lines(range(250)))
            faults = Canceling(at=at)
            faults.task = asyncio.create_task(load(FaultyStorage(inner, faults), file_id))
            try:
                result = await faults.task
            except asyncio.CancelledError:
                left.append(len(await titles(inner)))
                result = await load(inner, file_id, attempt=2)
            assert result == ProcessResult(file_id=file_id, record_count=250, book_count=250)
            assert len(await titles(inner)) == 250
            assert await inner.container("uploads").info(file_id) is None
        if at > faults.writes:
            assert left == [0, 100, 200, 250]
            return
    raise AssertionError("it never ended")


def meeting(storage: Storage, before: Callable[[str, Sequence[Change]], Awaitable[object]]) -> Storage:
    """The storage, with something that happens before each write of rows."""
    return FaultyStorage(storage, Faults(before=before))


async def test_cancel_waits_for_a_batch(storage: Storage) -> None:
    """A cancel that comes while a batch is written waits for it: no row lands after the load has ended."""
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slow(table: str, _: Sequence[Change]) -> None:
        if table == "books":
            began.set()
            await go_on.wait()

    file_id = await uploaded(storage, lines(range(3)))
    task = asyncio.create_task(load(meeting(storage, slow), file_id))
    await began.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(await titles(storage)) == 3


async def test_loads_at_once(storage: Storage) -> None:
    """Loads that meet lose nothing; of the books they share, each is as one of the files has it."""
    jobs = [
        (await uploaded(storage, lines(range(n * 100, n * 100 + 200), str(n)), run=f"{n:032x}"), f"{n:032x}")
        for n in range(3)
    ]
    results = await asyncio.gather(*(load(storage, file_id, run=run) for file_id, run in jobs))
    assert [result.record_count for result in results] == [200] * 3
    assert max(result.book_count for result in results) == 400
    seen = await titles(storage)
    for n in range(400):
        assert seen[f"c{n:06}"] in {f"{load} {n}" for load in (n // 100 - 1, n // 100) if 0 <= load < 3}


async def test_books_that_keep_changing(storage: Storage) -> None:
    """The tries are bounded: a load that others are always faster than ends as one that may be tried again."""
    await loaded(storage, lines(range(1)), run="1" * 32)
    file_id, tries = await uploaded(storage, lines(range(2), "New"), run="2" * 32), 0

    async def faster(table: str, _: Sequence[Change]) -> None:
        nonlocal tries
        if table == "books":
            tries += 1
            await storage.table("books").write(PARTITION, [Merge("c000000", {"other": tries})])

    with pytest.raises(ActionFailed) as caught:
        await load(meeting(storage, faster), file_id, run="2" * 32)
    assert (caught.value.code, caught.value.retryable, tries) == ("LoadConflict", True, 12)
    assert await titles(storage) == {"c000000": "Title 0"}


async def test_overtaken_attempt(storage: Storage) -> None:
    """An attempt whose successor has ended undoes nothing of it, and answers the same or that the file is gone."""
    file_id = await uploaded(storage, lines(range(300)))
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slow(table: str, changes: Sequence[Change]) -> None:
        """The first attempt hangs in the middle of the file."""
        if table == "books" and changes[0].key == "c000100":
            reached.set()
            await go_on.wait()

    first = asyncio.create_task(load(meeting(storage, slow), file_id))
    await reached.wait()
    second = await load(storage, file_id, attempt=2)
    go_on.set()
    outcome = (await asyncio.gather(first, return_exceptions=True))[0]
    assert outcome == second or isinstance(outcome, ActionFailed)
    assert len(await titles(storage)) == 300


async def test_one_file_in_two_loads(storage: Storage) -> None:
    """Of two operations that load one file at a time both succeed; afterwards it is loaded, and gone."""
    file_id = await uploaded(storage, lines(range(30)))
    together = asyncio.Barrier(2)

    async def at_once(table: str, changes: Sequence[Change]) -> None:
        if table == "uploads" and isinstance(changes[0], Merge) and "closed_by" in changes[0].values:
            await together.wait()

    both = meeting(storage, at_once)
    results = await asyncio.gather(*(load(both, file_id, run=str(n) * 32) for n in (1, 2)))
    assert results == [ProcessResult(file_id=file_id, record_count=30, book_count=30)] * 2
    with pytest.raises(ActionFailed, match="UploadAlreadyFinished"):
        await load(storage, file_id, run="3" * 32)


def large(rows: int) -> Iterator[bytes]:
    """A CSV of so many books, in no order, in pieces."""
    numbers = list(range(rows))
    random.Random(7).shuffle(numbers)
    yield b"id,title,creators,language,published,publisher,words\n"
    for at in range(0, rows, 1000):
        yield "".join(
            f'n{n:07},"The book, number {n}",Author {n % 5000};Editor {n % 77},en,{1900 + n % 120},House,{n}\n'
            for n in numbers[at : at + 1000]
        ).encode()


class Watching(SilentAttempt):
    """Keeps an eye on the memory of the process, in MB, while there is progress."""

    def __init__(self) -> None:
        super().__init__()
        self.before = self.most = self.resident()

    def report(self, progress: Any) -> None:
        self.most = max(self.most, self.resident())

    def resident(self) -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
async def test_bounded_memory(storage: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    """Books are loaded, and read in order, in memory that does not grow with their number."""
    books = 50_000

    async def stream() -> AsyncIterator[bytes]:
        for piece in large(books):
            yield piece

    file_id = await uploaded(storage, None)
    info = await storage.container("uploads").put(file_id, stream(), content_type="text/csv")
    gc.collect()
    watch, began = Watching(), time.monotonic()
    result = await load(storage, file_id, attempt_state=watch)
    took = time.monotonic() - began
    assert (result.record_count, result.book_count) == (books, books)
    last, count = "", 0
    async for page in BookStore(storage).scan():
        watch.report(None)
        ids = [row.key for row in page]
        assert ids == sorted(ids)
        assert not ids or ids[0] > last
        last, count = ids[-1] if ids else last, count + len(ids)
    assert count == books
    with capsys.disabled():
        grown = f"{watch.most - watch.before:.0f} MB more at most"
        print(f"\n{books:,} books, {info.size / 2**20:.1f} MB of CSV: {took:.1f} s, {grown}")
    # One book takes 1 to 2 KB as rows or models: all of them together would be far above this.
    assert watch.most - watch.before < 40
