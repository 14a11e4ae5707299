"""Loading a CSV of many books: what readers see before, while and after, and that any attempt ends the same."""

import asyncio
import gc
import random
import resource
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from actions.files import file_is_not_too_large
from library import loading, sets
from library.book_rows import OWN
from library.books import BookStore
from library.catalog_models import ProcessFile, ProcessResult
from library.loading import load_books
from library.models import Book, FileUploadStart
from library.sets import BookSets, partition
from library.uploading import start_file_upload
from shared.actions import ActionFailed, RequestError
from shared.errors import StorageUnavailable
from shared.storage.files import FileBlobs
from shared.storage.ports import Page, Row, Storage, Table
from shared.storage.sqlite import SqliteTables
from tests.unit.parts import Faults, FaultyStorage, Killed, SilentAttempt, context, sqlite

LIMIT = 100_000_000
OTHERS = [Book(id=f"own{n}", title=f"Own {n}") for n in range(3)]


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with sqlite(tmp_path) as opened:
        yield opened


def lines(numbers: range, title: str = "Title", words: int = 10) -> bytes:
    return ("id,title,words\n" + "".join(f"c{n:06},{title} {n},{words}\n" for n in numbers)).encode()


async def uploaded(storage: Storage, data: bytes | None, *, run: str = "a" * 32) -> str:
    started = await start_file_upload(context(run_id=run), FileUploadStart(file_name="books.csv", size=None), storage)
    if data is not None:
        await storage.container("uploads").put(started.transaction_id, data, content_type="text/csv")
    return started.transaction_id


async def load(storage: Storage, file_id: str, *, run: str = "1" * 32, **more: Any) -> ProcessResult:
    request = ProcessFile(file_id=file_id)
    return await load_books(context(run_id=run, **more), request, storage, max_bytes=LIMIT)


async def loaded(storage: Storage, data: bytes, *, run: str) -> ProcessResult:
    return await load(storage, await uploaded(storage, data, run=run), run=run)


async def titles(storage: Storage) -> dict[str, str]:
    """What a reader of everything sees, checked against single reads and to be in order."""
    books = BookStore(storage)
    seen = [one.book async for found in books.scan() for one in found]
    ids = [book.id for book in seen]
    assert ids == sorted(set(ids))
    for book in (*seen[:2], *seen[-2:]):
        assert await books.get(book.id) == book
    return {book.id: book.title for book in seen}


async def partitions(storage: Storage, table: str = "books") -> dict[str, int]:
    """How many rows the sets have, by their names; of all sets that anything is known of."""
    rows = storage.table(table)
    page = await rows.page("sets", lower="set!", upper="set!~")
    return {row.key[4:]: len((await rows.page(partition(row.key[4:]), lower=" ", upper="~")).rows) for row in page.rows}


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
    """Pages that the store leaves empty, as Azure may, are no end: of readers, of copies, nor of removals."""
    tables, files = SqliteTables(tmp_path, empty_pages=True), FileBlobs(tmp_path, site_hostname="127.0.0.1:1")

    class Sparse:
        table, container = tables.table, files.container

    sparse: Any = Sparse()
    try:
        await BookStore(sparse).put(OTHERS[0], source="x")
        for n in range(1, 4):
            await loaded(sparse, lines(range(n * 1100)), run=f"{n:032x}")
        assert list(await titles(sparse)) == [*(f"c{n:06}" for n in range(3300)), "own0"]
        page, after = await BookStore(sparse).page(top=1200, after=None)
        assert (len(page), after) == (1200, "c001199")
        sets = await tables.table("books").page("sets", lower="set!", upper="set!~", continuation=None)
        assert sets.continuation is not None
        sets = await tables.table("books").page("sets", lower="set!", upper="set!~", continuation=sets.continuation)
        assert len(sets.rows) == 1
    finally:
        await tables.aclose()


async def test_upload_of_a_file(storage: Storage) -> None:
    """A file is announced like a book's; one over the limit is refused before anything exists."""
    request = FileUploadStart(file_name="books.csv", size=10)
    started = await start_file_upload(context(), request, storage)
    again = await start_file_upload(context(), request, storage)
    assert started.transaction_id == again.transaction_id == context().run_id
    # The URL is signed anew each time, for whole seconds.
    assert started.expires_at == again.expires_at
    assert started.upload_url.partition("?")[0] == again.upload_url.partition("?")[0]
    await storage.container("uploads").put(started.transaction_id, b"id,title\n", content_type="text/csv")
    with pytest.raises(ActionFailed, match="SizeMismatch"):
        await load(storage, started.transaction_id)
    await file_is_not_too_large(request)
    with pytest.raises(RequestError) as caught:
        await file_is_not_too_large(FileUploadStart(file_name="books.csv", size=10**12))
    assert (caught.value.status, caught.value.target) == (413, "size")


async def test_point_read_is_one_request(storage: Storage) -> None:
    """A book that is stored by itself costs one read, whatever was loaded."""
    await loaded(storage, lines(range(3)), run="1" * 32)
    await BookStore(storage).put(OTHERS[0], source="x")
    faulty = FaultyStorage(storage)
    assert await BookStore(faulty).get("own0") == OTHERS[0]
    assert (faulty.faults.reads, faulty.faults.pages) == (1, 0)
    assert await BookStore(faulty).get("c000001") is not None
    assert faulty.faults.reads == 4


async def test_second_load(storage: Storage) -> None:
    """A load keeps the books of the one before, replaces those it has too, and leaves nothing of the old set."""
    await loaded(storage, lines(range(150), "Old"), run="1" * 32)
    result = await loaded(storage, lines(range(100, 300), "New"), run="2" * 32)
    assert (result.record_count, result.book_count) == (200, 300)
    seen = await titles(storage)
    assert len(seen) == 300
    assert (seen["c000099"], seen["c000100"], seen["c000149"]) == ("Old 99", "New 100", "New 149")
    assert await partitions(storage) == {f"00000002-{'2' * 32}-1": 300}


async def test_twice_in_a_file(storage: Storage) -> None:
    """Where an id comes twice the later line wins, within a transaction and beyond."""
    data = lines(range(150)) + b"c000149,Late,1\nc000003,Late,1\n"
    result = await loaded(storage, data, run="1" * 32)
    assert (result.record_count, result.book_count) == (152, 150)
    seen = await titles(storage)
    assert [seen["c000149"], seen["c000003"], seen["c000004"]] == ["Late", "Late", "Title 4"]


async def test_own_books_win(storage: Storage) -> None:
    """A book stored by itself is seen, not that of the set, also after a later load."""
    books = BookStore(storage)
    await books.put(Book(id="c000001", title="Own", shelf="/s"), source="x")
    await loaded(storage, lines(range(3)), run="1" * 32)
    await loaded(storage, lines(range(3), "New"), run="2" * 32)
    assert await titles(storage) == {"c000000": "New 0", "c000001": "Own", "c000002": "New 2"}
    assert [book.id for book in await books.on_shelf("/S")] == ["c000001"]


@pytest.mark.parametrize("own", [False, True], ids=["of the set", "over one of the set"])
async def test_removed_books(storage: Storage, own: bool) -> None:
    """A removed book stays away when its set is copied by another load, until a file brings it again."""
    books = BookStore(storage)
    await loaded(storage, lines(range(3)), run="1" * 32)
    if own:
        await books.put(Book(id="c000001", title="Own"), source="x")
    for _ in range(2):
        await books.remove("c000001")
        assert await books.get("c000001") is None
        assert list(await titles(storage)) == ["c000000", "c000002"]
    result = await loaded(storage, lines(range(10, 12)), run="2" * 32)
    assert result.book_count == 4
    assert list(await titles(storage)) == ["c000000", "c000002", "c000010", "c000011"]
    assert await storage.table("books").read(OWN, "c000001") is None
    await books.remove("c000002")
    await loaded(storage, lines(range(1, 3), "Again"), run="3" * 32)
    assert (await titles(storage))["c000002"] == "Again 2"


async def test_removed_while_it_is_copied(storage: Storage) -> None:
    """A removal after the row was copied to the set in the making is not undone when that is published."""
    await loaded(storage, lines(range(3)), run="1" * 32)
    file_id = await uploaded(storage, lines(range(10, 12)), run="2" * 32)
    books = BookStore(storage)

    class Removing(SilentAttempt):
        def report(self, progress: Any) -> None:
            super().report(progress)
            if progress.message == "Copying the published books":
                tasks.append(asyncio.create_task(books.remove("c000001")))

    tasks: list[asyncio.Task[None]] = []
    await load(storage, file_id, run="2" * 32, attempt_state=Removing())
    await asyncio.gather(*tasks)
    assert len(tasks) == 1
    assert list(await titles(storage)) == ["c000000", "c000002", "c000010", "c000011"]
    # What hides it is needed as long as the set has it.
    await loaded(storage, lines(range(20, 21)), run="3" * 32)
    assert list(await titles(storage)) == ["c000000", "c000002", "c000010", "c000011", "c000020"]


async def test_removed_and_made_again(storage: Storage) -> None:
    """A book that hid one of the set and was removed can be stored again."""
    books = BookStore(storage)
    await loaded(storage, lines(range(2)), run="1" * 32)
    await books.remove("c000001")
    await books.put(Book(id="c000001", title="Back"), source="x", keep_shelf=True)
    assert await titles(storage) == {"c000000": "Title 0", "c000001": "Back"}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (None, "UploadMissing"),
        (b"", "InvalidCsv"),
        (lines(range(250)) + b"c9,,\n", "InvalidCsv"),
        (lines(range(250)) + b"c9,\xff,\n", "InvalidCsv"),
    ],
)
async def test_refused(storage: Storage, data: bytes | None, code: str) -> None:
    """What cannot be loaded ends with its code, publishes nothing and leaves no rows; the old set stays."""
    await loaded(storage, lines(range(3), "Old"), run="1" * 32)
    before = await partitions(storage)
    file_id = await uploaded(storage, data, run="2" * 32)
    with pytest.raises(ActionFailed) as caught:
        await load(storage, file_id, run="2" * 32)
    assert caught.value.code == code
    assert await partitions(storage) == before
    assert list((await titles(storage)).values()) == ["Old 0", "Old 1", "Old 2"]


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
    assert await partitions(storage) == {}


@pytest.mark.parametrize("fault", ["kill", "kill-before", "lost", "lost-before"])
async def test_faults_at_each_write(tmp_path: Path, fault: str) -> None:
    """Whatever write it dies at, or loses the answer of, readers see the old set or the new one, and the next attempt
    ends the same, with nothing left over but what the next load removes."""
    old = [f"Old {n}" for n in range(120)]
    new = [f"Old {n}" for n in range(110)] + [f"New {n}" for n in range(110, 240)]
    for at in range(1, 60):
        async with sqlite(tmp_path / f"{fault}{at}") as inner:
            await loaded(inner, lines(range(120), "Old"), run="1" * 32)
            await BookStore(inner).remove("c000005")
            file_id = await uploaded(inner, lines(range(110, 240), "New"), run="2" * 32)
            faults = Faults(at=at, fault=fault)  # type: ignore[arg-type]
            first = None
            try:
                first = await load(FaultyStorage(inner, faults), file_id, run="2" * 32)
            except (Killed, StorageUnavailable):
                seen = list((await titles(inner)).values())
                assert seen in ([title for title in old if title != "Old 5"], [t for t in new if t != "Old 5"])
            for attempt in (2, 3):
                result = await load(inner, file_id, run="2" * 32, attempt=attempt)
                assert result == ProcessResult(file_id=file_id, record_count=130, book_count=239)
                assert first in (None, result)
                assert list((await titles(inner)).values()) == [title for title in new if title != "Old 5"]
            assert await inner.container("uploads").info(file_id) is None
            await loaded(inner, lines(range(240, 241), "Last"), run="3" * 32)
            await loaded(inner, lines(range(241, 242), "Last"), run="4" * 32)
            assert len(await titles(inner)) == 241
            assert list((await partitions(inner)).values()) == [241]
            assert await inner.table("books").read(OWN, "c000005") is None
        if at > faults.writes:
            assert at > 12
            return
    raise AssertionError("it never ended")


async def test_cancel(storage: Storage) -> None:
    """A cancel before the set is published leaves nothing; one that comes later comes too late, and is no failure."""
    published = 0
    for delay in range(60):
        file_id = await uploaded(storage, lines(range(500)), run=f"{delay:032x}")
        before = len(await titles(storage))
        task = asyncio.create_task(load(storage, file_id, run=f"{delay:032x}"))
        await asyncio.sleep(delay * 0.002)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            assert len(await titles(storage)) == before
        else:
            published += 1
            assert len(await titles(storage)) == 500
        assert len(await partitions(storage)) == (1 if published else 0), delay
    assert 0 < published < 60


async def test_cancel_while_the_set_is_made(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancel that meets the very first write of a set leaves nothing of it either."""
    real, calls = sets.write_once, 0

    async def write_then_cancel(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        done = await real(*arguments)
        if calls == 1:
            task.cancel()
            await asyncio.sleep(0.01)
        return done

    monkeypatch.setattr(sets, "write_once", write_then_cancel)
    file_id = await uploaded(storage, lines(range(3)))
    task = asyncio.create_task(load(storage, file_id))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert calls > 1
    assert (await partitions(storage), await titles(storage)) == ({}, {})


async def test_two_loads_at_once(storage: Storage) -> None:
    """Loads that meet lose nothing: the one that is published second has copied the first."""
    jobs = [
        (await uploaded(storage, lines(range(n * 200, n * 200 + 200)), run=f"{n:032x}"), f"{n:032x}") for n in range(3)
    ]
    results = await asyncio.gather(*(load(storage, file_id, run=run) for file_id, run in jobs))
    assert sorted(result.book_count for result in results) == [200, 400, 600]
    assert len(await titles(storage)) == 600
    assert list((await partitions(storage)).values()) == [600]


async def test_never_first(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A load before which others are always published gives up as one that may be tried again, and leaves nothing."""
    others = iter(range(10, 20))
    publish = BookSets.publish

    async def late(self: BookSets, name: str, *rest: Any) -> None:
        if "2" * 32 in name:
            n = next(others)
            await loaded(storage, lines(range(n, n + 1)), run=f"{n:032x}")
        await publish(self, name, *rest)

    monkeypatch.setattr(BookSets, "publish", late)
    file_id = await uploaded(storage, lines(range(3)), run="2" * 32)
    with pytest.raises(ActionFailed) as caught:
        await load(storage, file_id, run="2" * 32)
    assert (caught.value.code, caught.value.retryable) == ("LoadConflict", True)
    assert len(await partitions(storage)) == 1
    assert list(await titles(storage)) == ["c000010", "c000011", "c000012"]


async def test_overtaken_attempt(storage: Storage) -> None:
    """An attempt whose successor has published notices, publishes nothing, and removes nothing that counts."""
    file_id = await uploaded(storage, lines(range(300)))
    reached, go_on = asyncio.Event(), asyncio.Event()

    class Waiting(SilentAttempt):
        def report(self, progress: Any) -> None:
            if progress.done and progress.done >= 200:
                reached.set()

    stage = BookSets.stage

    async def slow(sets: BookSets, name: str, rows: Any) -> None:
        """The first attempt hangs in the middle of the file."""
        if name.endswith("-1") and reached.is_set():
            await go_on.wait()
        await stage(sets, name, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BookSets, "stage", slow)
        first = asyncio.create_task(load(storage, file_id, attempt_state=Waiting()))
        await reached.wait()
        second = await load(storage, file_id, attempt=2)
        go_on.set()
        # Its file is gone by now, which it may notice or not.
        outcome = (await asyncio.gather(first, return_exceptions=True))[0]
    assert outcome == second or isinstance(outcome, ActionFailed)
    assert len(await titles(storage)) == 300
    assert list((await partitions(storage)).values()) == [300]


async def test_attempts_that_publish_together(storage: Storage) -> None:
    """Of two attempts at one load that are about to publish, one does, and both answer the same."""
    file_id = await uploaded(storage, lines(range(30)))
    publish, waiting = BookSets.publish, {f"-{n}": (asyncio.Event(), asyncio.Event()) for n in (1, 2)}

    async def held(self: BookSets, name: str, *rest: Any) -> None:
        reached, go_on = waiting[name[-2:]]
        reached.set()
        await go_on.wait()
        await publish(self, name, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BookSets, "publish", held)
        attempts = [asyncio.create_task(load(storage, file_id, attempt=n)) for n in (1, 2)]
        for reached, _ in waiting.values():
            await reached.wait()
        waiting["-1"][1].set()
        first = await attempts[0]
        waiting["-2"][1].set()
        assert await attempts[1] == first
    assert len(await titles(storage)) == 30
    assert list((await partitions(storage)).values()) == [30]


async def test_what_was_given_up_goes_with_the_next_load(storage: Storage) -> None:
    """Rows of a load that ended without time to remove them are removed by the load that is published next."""
    file_id = await uploaded(storage, lines(range(250)) + b"c9,,\n", run="1" * 32)

    async def no_time(self: BookSets, name: str) -> None:
        raise TimeoutError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BookSets, "remove", no_time)
        with pytest.raises(ActionFailed, match="InvalidCsv"):
            await load(storage, file_id, run="1" * 32)
    assert list((await partitions(storage)).values()) == [200]
    await loaded(storage, lines(range(3)), run="2" * 32)
    assert list((await partitions(storage)).values()) == [3]


class Replaced:
    """A table whose set is replaced, and removed, between the look at the pointer and the read of the set."""

    def __init__(self, inner: Table, replace: Any) -> None:
        self.inner, self.replace, self.done = inner, replace, False

    async def read(self, where: str, key: str, **more: Any) -> Row | None:
        await self._once(where)
        return await self.inner.read(where, key, **more)

    async def page(self, where: str, **more: Any) -> Page:
        await self._once(where)
        return await self.inner.page(where, **more)

    async def _once(self, where: str) -> None:
        if where.startswith("set-") and not self.done:
            self.done = True
            await self.replace()


@pytest.mark.parametrize("what", ["get", "scan"])
async def test_set_replaced_under_a_reader(storage: Storage, what: str) -> None:
    """A reader that meets a set on its way out reads the one that has replaced it."""
    await loaded(storage, lines(range(5), "Old"), run="1" * 32)

    class Replacing:
        def table(self, name: str) -> Any:
            return replaced

        def container(self, name: str) -> Any:
            return storage.container(name)

    replaced = Replaced(storage.table("books"), lambda: loaded(storage, lines(range(3), "New"), run="2" * 32))
    books = BookStore(Replacing())  # type: ignore[arg-type]
    if what == "get":
        book = await books.get("c000004")
        assert book is not None
        assert book.title == "Old 4"
    else:
        seen = [one.book.title async for found in books.scan() for one in found]
        assert seen == ["New 0", "New 1", "New 2", "Old 3", "Old 4"]
    assert replaced.done


async def test_old_set_stays_when_storage_fails(storage: Storage) -> None:
    """Removing what was replaced is not worth failing for: the next load does it."""
    await loaded(storage, lines(range(3)), run="1" * 32)
    file_id = await uploaded(storage, lines(range(5)), run="2" * 32)
    faulty = FaultyStorage(storage)

    async def failing(self: BookSets) -> None:
        raise StorageUnavailable("not now")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading.BookSets, "remove_old", failing)
        assert (await load(faulty, file_id, run="2" * 32)).book_count == 5
    assert sorted((await partitions(storage)).values()) == [3, 5]
    await loaded(storage, lines(range(6)), run="3" * 32)
    assert list((await partitions(storage)).values()) == [6]


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
async def test_a_hundred_thousand(storage: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    """100,000 books are loaded, and read in order, in memory that does not grow with their number."""

    async def stream() -> AsyncIterator[bytes]:
        for piece in large(100_000):
            yield piece

    file_id = await uploaded(storage, None)
    info = await storage.container("uploads").put(file_id, stream(), content_type="text/csv")
    gc.collect()
    watch, began = Watching(), time.monotonic()
    result = await load(storage, file_id, attempt_state=watch)
    took = time.monotonic() - began
    assert (result.record_count, result.book_count) == (100_000, 100_000)
    last, count = "", 0
    async for found in BookStore(storage).scan():
        watch.report(None)
        ids = [one.row.key for one in found]
        assert ids == sorted(ids)
        assert not ids or ids[0] > last
        last, count = ids[-1] if ids else last, count + len(ids)
    assert count == 100_000
    with capsys.disabled():
        grown = f"{watch.most - watch.before:.0f} MB more at most"
        print(f"\n100,000 books, {info.size / 2**20:.1f} MB of CSV: {took:.1f} s, {grown}")
    # One book takes 1 to 2 KB as rows or models: all of them together would be far above this.
    assert watch.most - watch.before < 64
