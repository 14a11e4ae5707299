"""Books and reports as entity sets: order, keys, etags, and writes that are done as a whole or not at all."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from library.book_rows import FIRST, KEPT, PARTITION
from library.books import BookStore, file_name
from library.catalog_models import ProcessFile
from library.entities import BookEntities, ReportEntities
from library.leftovers import clear_leftovers
from library.loading import load_books
from library.models import Book, BookCover, FileUploadStart
from library.uploading import start_file_upload
from shared.actions import RequestError
from shared.actions.odata.entities import Create, Remove, Stored, Update
from shared.errors import StorageAnswerLost, StorageUnavailable
from shared.settings import Settings
from shared.storage.factory import open_storage
from shared.storage.ports import Change, Merge, Storage, Table
from tests.support.parts import T0, Faults, FaultyStorage, FaultyTable, Killed, context, sqlite

NOW = T0


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with sqlite(tmp_path) as opened:
        yield opened


@pytest.fixture
async def azure(azurite: str) -> AsyncIterator[Storage]:
    opened = open_storage(Settings.read({"OPERATIONS_STORAGE": azurite}))
    yield opened
    await opened.aclose()


@pytest.fixture
def books(storage: Storage) -> BookEntities:
    return BookEntities(storage, NOW)


def a_book(book_id: str = "b1", **more: Any) -> Book:
    return Book.model_validate({"id": book_id, "title": "A Book", **more})


async def fill(storage: Storage, *ids: str, title: str = "Loaded") -> None:
    run = uuid4().hex
    upload = FileUploadStart(file_name="a.csv", size=None)
    started = await start_file_upload(context(run_id=run), upload, storage, NOW)
    data = "id,title\n" + "".join(f"{one},{title}\n" for one in ids)
    await storage.container("uploads").put(started.transaction_id, data.encode(), content_type="text/csv")
    request = ProcessFile(file_id=started.transaction_id)
    await load_books(context(run_id=run), request, storage, NOW, max_bytes=10_000)


async def with_file(storage: Storage, book_id: str = "b1") -> str:
    """A stored book that has an EPUB; the name of its file."""
    name = file_name(book_id, "a" * 64)
    await storage.container("books").put(name, b"epub", content_type="application/epub+zip")
    book = a_book(book_id, words=7, chapters=1, sizeBytes=4, sha256="a" * 64, shelf="/s")
    await BookStore(storage).put(book, source="upload")
    return name


async def scanned(source: BookEntities | ReportEntities, after: str | None = None) -> list[Stored]:
    return [stored async for page in source.scan(after=after) for stored in page]


async def refused(books: BookEntities, *changes: Any, by: str = "") -> tuple[int, str]:
    with pytest.raises(RequestError) as caught:
        await books.write(changes, by=by)
    return caught.value.status, caught.value.code


async def row_keys(storage: Storage) -> list[str]:
    """Every row of the partition, tombstones too."""
    page = await storage.table("books").page(PARTITION, lower=FIRST, upper="~")
    return [row.key for row in page.rows]


async def test_create(books: BookEntities, storage: Storage) -> None:
    """A book without a file is there with what was said of it, and nothing else sees a difference."""
    (made,) = await books.write([Create(a_book(creators=["Ann"], words=5, published="2019-05"))])
    assert made == await books.get("b1")
    assert made is not None
    assert made.entity == a_book(creators=["Ann"], words=5, published="2019-05")
    assert await BookStore(storage).get("b1") == made.entity
    assert await refused(books, Create(a_book())) == (409, "BookExists")


async def test_service_sets_what_belongs_to_the_file(books: BookEntities) -> None:
    """What is said of chapters, size, hash, cover, warnings or shelf of a new book is not taken over."""
    cover = BookCover(media_type="image/png", size=1, sha256="a")
    said = a_book(chapters=3, sizeBytes=9, sha256="a" * 64, cover=cover, shelf="/s", warnings=[])
    (made,) = await books.write([Create(said)])
    assert made is not None
    assert made.entity == a_book()
    (same,) = await books.write([Update("b1", {"sha256": "b", "shelf": "/x", "chapters": 2})])
    assert same is not None
    assert same.entity == a_book()


async def test_update(books: BookEntities, storage: Storage) -> None:
    """An update sets what it names, keeps the rest of the book and of its row, and makes a new etag."""
    name = await with_file(storage)
    before = await books.get("b1")
    assert before is not None
    (after,) = await books.write([Update("b1", {"title": "New", "language": None, "words": 7}, (before.etag,))])
    assert after is not None
    assert after.entity == before.entity.model_copy(update={"title": "New"})
    assert after.etag != before.etag
    assert await books.get("b1") == after
    row = await storage.table("books").read(PARTITION, "b1")
    assert row is not None
    assert (row.values["source"], row.values["shelf_key"]) == ("upload", "/s")
    assert await storage.container("books").info(name) is not None


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (Update("b2", {"title": "x"}), 404, "BookNotFound"),
        (Update("no/id", {"title": "x"}), 404, "BookNotFound"),
        (Remove("b2"), 404, "BookNotFound"),
        (Update("b1", {"title": "x"}, ("stale",)), 412, "PreconditionFailed"),
        (Update("b1", {"title": "x"}, ()), 412, "PreconditionFailed"),
        (Remove("b1", ("stale", "staler")), 412, "PreconditionFailed"),
        (Update("b1", {"id": "b2"}), 400, "KeyIsFixed"),
        (Update("b1", {"words": 8}), 400, "WordsAreCounted"),
        (Update("b1", {"title": " "}), 400, "InvalidInput"),
        (Update("b1", {"title": None}), 400, "InvalidInput"),
        (Update("b1", {"title": "x" * 501}), 400, "InvalidInput"),
        (Update("b1", {"creators": ["x"] * 26}), 400, "InvalidInput"),
        (Update("b1", {"words": "7"}), 400, "InvalidInput"),
        (Update("b1", {"published": "1819/20"}), 400, "InvalidInput"),
        (Update("b1", {"creators": ["\x01" * 500] * 25}), 400, "ChangeTooLarge"),
        (Create(Book.model_construct(id="no/id", title="x")), 400, "InvalidInput"),
        (Create(a_book("b2", title="")), 400, "InvalidInput"),
    ],
)
async def test_refused(books: BookEntities, storage: Storage, change: Any, status: int, code: str) -> None:
    """What cannot be is refused by name, and what goes with it is not done either."""
    await with_file(storage)
    before = await scanned(books)
    assert await refused(books, Create(a_book("b0")), change) == (status, code)
    assert await scanned(books) == before


async def test_remove(books: BookEntities, storage: Storage) -> None:
    """A removed book goes with its file and leaves no row; it can be made again."""
    name = await with_file(storage)
    before = await books.get("b1")
    assert before is not None
    assert await books.write([Remove("b1", (before.etag,))]) == [None]
    assert await books.get("b1") is None
    assert await row_keys(storage) == []
    assert await storage.container("books").info(name) is None
    assert await refused(books, Remove("b1")) == (404, "BookNotFound")
    (made,) = await books.write([Create(a_book())])
    assert made is not None
    assert made.etag != before.etag


async def test_loaded_books(books: BookEntities, storage: Storage) -> None:
    """A book that was bulk-loaded is like any other: it can be changed, removed, and is in the way of a new one."""
    await fill(storage, "b1", "b2", "b3")
    assert await refused(books, Create(a_book("b2"))) == (409, "BookExists")
    stored = await books.get("b2")
    assert stored is not None
    assert await refused(books, Update("b2", {"title": "x"}, ("stale",))) == (412, "PreconditionFailed")
    (changed,) = await books.write([Update("b2", {"title": "Changed"}, ("other", stored.etag))])
    assert changed is not None
    assert changed.etag != stored.etag
    assert await books.write([Remove("b1"), Remove("b2", (changed.etag,))]) == [None, None]
    assert [one.entity.model_dump()["id"] for one in await scanned(books)] == ["b3"]
    assert await refused(books, Remove("b1"), Update("b3", {})) == (404, "BookNotFound")
    (made,) = await books.write([Create(a_book("b1"))])
    assert made is not None
    assert await books.get("b1") == made
    await books.write([Remove("b1")])
    assert await books.get("b1") is None
    await fill(storage, "b1", title="Again")
    again = await books.get("b1")
    assert again is not None
    assert again.entity == a_book("b1", title="Again")


async def test_etag_of_a_loaded_book(books: BookEntities, storage: Storage) -> None:
    """It stays while loads bring other books, or the same again, and changes when one brings it changed."""
    await fill(storage, "b1")
    first = await books.get("b1")
    assert first is not None
    await fill(storage, "b2")
    await fill(storage, "b1")
    assert await books.get("b1") == first
    await fill(storage, "b1", title="Changed")
    anew = await books.get("b1")
    assert anew is not None
    assert anew.etag != first.etag


async def test_scan(books: BookEntities, storage: Storage) -> None:
    """All books in the order of their ids by code point, each with the etag that reading it gives."""
    await fill(storage, "a", "B", "c.1", "c-1")
    await books.write([Create(a_book(key)) for key in ("A", "b", "c1", "0")])
    everything = await scanned(books)
    ids = [stored.entity.model_dump()["id"] for stored in everything]
    assert ids == sorted(["a", "B", "c.1", "c-1", "A", "b", "c1", "0"])
    for at, key in enumerate(ids):
        assert await books.get(key) == everything[at]
        assert await scanned(books, after=key) == everything[at + 1 :]
    assert await books.get("no/id") is None
    assert await scanned(books, after="") == everything


async def test_a_scan_makes_few_books_at_once(books: BookEntities, storage: Storage) -> None:
    """Whoever scans can leave the event loop to others after each page, which took a millisecond."""
    await fill(storage, *(f"c{n:03}" for n in range(120)))
    await books.write([Create(a_book(f"b{n:03}")) for n in range(60)])
    pages = [page async for page in books.scan()]
    assert sum(len(page) for page in pages) == 180
    assert max(len(page) for page in pages) <= 25


async def test_one_transaction(books: BookEntities, storage: Storage) -> None:
    """A hundred changes of all kinds are one storage request, whichever kind of book they are of.

    A note for the sweep goes with them where there is room, else before them.
    """
    await books.write([Create(a_book(f"b{n:03}")) for n in range(40)])
    await fill(storage, *(f"c{n:03}" for n in range(40)))
    changes = [
        *(Create(a_book(f"d{n:03}")) for n in range(20)),
        *(Update(f"b{n:03}", {"title": "New"}) for n in range(20)),
        *(Remove(f"b{n:03}") for n in range(20, 40)),
        *(Update(f"c{n:03}", {"title": "New"}) for n in range(20)),
        *(Remove(f"c{n:03}") for n in range(20, 40)),
    ]
    faulty = FaultyStorage(storage)
    answers = await BookEntities(faulty, NOW).write(changes)
    assert [len(changed) for _, changed in faulty.faults.seen[:2]] == [1, books.max_changes]
    assert all(len(changed) == 1 for _, changed in faulty.faults.seen[2:])
    assert [answer is None for answer in answers] == [isinstance(change, Remove) for change in changes]
    assert [answer for answer in answers if answer] == [
        await books.get(answer.entity.model_dump()["id"]) for answer in answers if answer
    ]
    assert len(await scanned(books)) == 60
    assert await refused(books, *changes, Create(a_book("e"))) == (400, "TooManyChanges")
    assert await refused(books, Update("b000", {}), Remove("b000")) == (400, "TooManyChanges")
    assert await books.write([]) == []
    faulty = FaultyStorage(storage)
    await BookEntities(faulty, NOW).write([Remove("d001"), Remove("d002")])
    assert len(faulty.faults.seen[0][1]) == 3


MIXED = [
    Create(a_book("new")),
    Update("old", {"title": "New"}),
    Remove("gone"),
    Remove("c1"),
    Update("c2", {"title": "N"}),
]


async def prepare(storage: Storage) -> None:
    await BookEntities(storage, NOW).write([Create(a_book("old"))])
    await with_file(storage, "gone")
    await fill(storage, "c1", "c2")


async def end_state(storage: Storage) -> Sequence[tuple[str, str]]:
    return [
        (one.entity.model_dump()["id"], one.entity.model_dump()["title"])
        for one in await scanned(BookEntities(storage, NOW))
    ]


@pytest.mark.parametrize("fault", ["kill", "kill-before", "lost", "lost-before", "down"])
async def test_again_for_one_writer(tmp_path: Path, fault: str) -> None:
    """Whatever a write dies at, the same writer's next try ends and answers the same, with all of it done once."""
    for at in range(1, 20):
        async with sqlite(tmp_path / f"{at}") as inner:
            await prepare(inner)
            faults = Faults(at=at, fault=fault)  # type: ignore[arg-type]
            answers = None
            try:
                answers = await BookEntities(FaultyStorage(inner, faults), NOW).write(MIXED, by="run-1")
            except (Killed, StorageUnavailable, StorageAnswerLost):
                assert await end_state(inner) in (
                    [("c1", "Loaded"), ("c2", "Loaded"), ("gone", "A Book"), ("old", "A Book")],
                    [("c2", "N"), ("new", "A Book"), ("old", "New")],
                )
            for _ in range(2):
                again = await BookEntities(inner, NOW).write(MIXED, by="run-1")
                assert answers in (None, again)
                answers = again
            assert await end_state(inner) == [("c2", "N"), ("new", "A Book"), ("old", "New")]
            assert await refused(BookEntities(inner, NOW), *MIXED, by="run-2") == (409, "BookExists")
        if at > faults.writes:
            assert at > 2
            return
    raise AssertionError("it never ended")


async def test_removals_alone_again(books: BookEntities, storage: Storage) -> None:
    """A writer that only removes is told so again, others are told 404; what tells goes after a day."""
    await prepare(storage)
    await books.write([Remove("gone"), Remove("c1")], by="run-1")
    assert await books.write([Remove("gone"), Remove("c1")], by="run-1") == [None, None]
    assert await refused(books, Remove("gone"), by="run-2") == (404, "BookNotFound")
    assert await refused(books, Remove("gone")) == (404, "BookNotFound")
    await clear_leftovers(storage, NOW + KEPT)
    assert await row_keys(storage) == ["c1", "c2", "gone", "old"]
    await clear_leftovers(storage, NOW + KEPT + timedelta(seconds=1))
    assert await row_keys(storage) == ["c2", "old"]


async def test_again_after_others(books: BookEntities, storage: Storage) -> None:
    """What a writer did once is not done again over what others did since; it hears what is there now."""
    await prepare(storage)
    await books.write(MIXED, by="run-1")
    await books.write([Remove("new"), Create(a_book("c1", title="Theirs"))])
    again = await books.write(MIXED, by="run-1")
    assert [one and one.entity.model_dump()["id"] for one in again] == [None, "old", None, None, "c2"]
    assert await end_state(storage) == [("c1", "Theirs"), ("c2", "N"), ("old", "New")]


async def test_lost_answers_without_a_name(storage: Storage) -> None:
    """Without a name of its own, too, a write whose answer gets lost is done once and answered."""
    await prepare(storage)
    faulty = FaultyStorage(storage, Faults(at=1, fault="lost"))
    answers = await BookEntities(faulty, NOW).write(MIXED)
    assert [answer and answer.entity.model_dump()["id"] for answer in answers] == ["new", "old", None, None, "c2"]
    assert [answer for answer in answers if answer] == [
        await BookEntities(storage, NOW).get(answer.entity.model_dump()["id"]) for answer in answers if answer
    ]
    assert await end_state(storage) == [("c2", "N"), ("new", "A Book"), ("old", "New")]


async def test_left_over_by_a_crash(storage: Storage) -> None:
    """A removal that died before its file was gone: the sweep removes it a day later, or a new book of the id does."""
    for how in ("sweep", "create"):
        name = await with_file(storage)
        with pytest.raises(Killed):
            await BookEntities(FaultyStorage(storage, Faults(at=1)), NOW).write([Remove("b1")])
        assert await BookEntities(storage, NOW).get("b1") is None
        assert await storage.container("books").info(name) is not None
        if how == "sweep":
            await clear_leftovers(storage, NOW + KEPT)
            assert await row_keys(storage) == ["b1"]
            await clear_leftovers(storage, NOW + KEPT + timedelta(seconds=1))
            page = await storage.table("books").page(PARTITION, lower=" ", upper="~")
            assert page.rows == ()
        else:
            await BookEntities(storage, NOW).write([Create(a_book())])
        assert await storage.container("books").info(name) is None


async def test_writers_that_meet(books: BookEntities) -> None:
    """Of writers that create one book one wins; updates without a condition all happen; with one, one of them."""
    results = await asyncio.gather(*(books.write([Create(a_book(words=n))]) for n in range(5)), return_exceptions=True)
    assert sorted(isinstance(result, RequestError) for result in results) == [False, True, True, True, True]
    fields = ["title", "language", "publisher"]
    await asyncio.gather(*(books.write([Update("b1", {field: "x"})]) for field in fields))
    stored = await books.get("b1")
    assert stored is not None
    assert [getattr(stored.entity, field) for field in fields] == ["x", "x", "x"]
    await asyncio.gather(*(books.write([Update("b1", {"words": n})]) for n in range(12)))
    stored = await books.get("b1")
    assert stored is not None
    etag = (stored.etag,)
    results = await asyncio.gather(
        *(books.write([Update("b1", {"words": n}, etag)]) for n in range(5)), return_exceptions=True
    )
    assert sorted(getattr(result, "status", 0) for result in results) == [0, 412, 412, 412, 412]


async def test_a_book_that_keeps_changing(books: BookEntities, storage: Storage) -> None:
    """The tries are bounded."""
    await books.write([Create(a_book())])

    async def faster(*_: object) -> None:
        await storage.table("books").write(PARTITION, [Merge("b1", {"other": "x"})])

    with pytest.raises(RequestError, match="409 BooksAreBusy") as busy:
        await BookEntities(FaultyStorage(storage, Faults(before=faster)), NOW).write([Update("b1", {"title": "x"})])
    assert busy.value.headers == {"Retry-After": "1"}


@dataclass(frozen=True)
class _Steps(FaultyStorage):
    """Keeps from which ETag to which each write of a book has led."""

    made: list[tuple[str | None, str | None]] = field(default_factory=list[tuple[str | None, str | None]])

    def table(self, name: str) -> Table:
        return _StepsTable(self.inner.table(name), name, self.faults, self.made)


@dataclass(frozen=True)
class _StepsTable(FaultyTable):
    made: list[tuple[str | None, str | None]]

    async def write(self, partition: str, changes: Sequence[Change]) -> tuple[str | None, ...]:
        etags = await self.inner.write(partition, changes)
        self.made.append((getattr(changes[0], "if_match", None), etags[0]))
        return etags


async def test_a_crowd_of_writers_loses_nothing(azure: Storage) -> None:
    """Each change that is not refused builds on the one before it; the last of them is what is stored."""
    book = f"b-{uuid4().hex[:8]}"
    await BookEntities(azure, NOW).write([Create(a_book(book))])
    steps = _Steps(azure)
    crowd = BookEntities(steps, NOW)
    answers = await asyncio.gather(
        *(crowd.write([Update(book, {"words": number})]) for number in range(40)), return_exceptions=True
    )
    done = [number for number, answer in enumerate(answers) if not isinstance(answer, BaseException)]
    refused = {f"{answer.status} {answer.code}" for answer in answers if isinstance(answer, RequestError)}
    assert refused <= {"409 BooksAreBusy"}
    others = [
        answer for answer in answers if isinstance(answer, BaseException) and not isinstance(answer, RequestError)
    ]
    assert all(isinstance(answer, StorageUnavailable) for answer in others)  # 503 with Retry-After, by the boundary
    assert done
    assert len(steps.made) == len(done)
    assert all(before == after for (_, before), (after, _) in pairwise(steps.made))
    stored = await BookEntities(azure, NOW).get(book)
    assert stored is not None
    assert stored.entity.model_dump()["words"] in done


async def test_on_azure_storage(azure: Storage) -> None:
    """The same on Azure's own SDKs: a load, a transaction over both kinds of books, and the order of all."""
    books, mark = BookEntities(azure, NOW), uuid4().hex[:8]
    await fill(azure, *(f"{mark}-{n:04}" for n in range(230)))
    changes = [
        Create(a_book(f"{mark}-9999")),
        Update(f"{mark}-0001", {"title": "New"}),
        Remove(f"{mark}-0002"),
    ]
    answers = await books.write(changes, by=mark)
    assert await books.write(changes, by=mark) == answers
    await fill(azure, f"{mark}-0003", f"{mark}-5000", title="Second")
    found = [stored async for page in books.scan(after=f"{mark}") for stored in page]
    titles = {stored.entity.model_dump()["id"]: stored.entity.model_dump()["title"] for stored in found}
    mine = {key: title for key, title in titles.items() if key.startswith(mark)}
    assert list(mine) == sorted(mine)
    assert len(mine) == 231
    assert [mine.get(f"{mark}-{n:04}") for n in (0, 1, 2, 3)] == ["Loaded", "New", None, "Second"]
    assert await refused(books, Remove(f"{mark}-0002")) == (404, "BookNotFound")
    assert await books.write([Remove(f"{mark}-0000"), Remove(f"{mark}-9999")]) == [None, None]
    assert await books.get(f"{mark}-9999") is None
