"""Placing and removing a book: what is stored, how it is refused, and that each may run twice from any point."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest

from library.books import BookStore, file_name
from library.models import Book, PlaceBook
from library.placing import not_read_yet, place_book, remove_book, with_changes
from shared.actions import ActionFailed
from shared.storage.ports import Storage
from tests.sample.unit.test_library_uploading import EPUB, LIMIT, NOW, OTHER, begin, blob_count, finish, stored_file
from tests.support.parts import Faults, FaultyStorage, Killed, context, sqlite

SHELF = "/subscriptions/S/resourceGroups/G/providers/Contoso.Library/shelves/Left"


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with sqlite(tmp_path) as opened:
        yield opened


async def stored(storage: Storage) -> Book:
    return await finish(storage, await begin(storage, run="1" * 32), run="2" * 32)


async def place(storage: Storage, *, run: str = "a" * 32, **changes: object) -> Book:
    request = PlaceBook.model_validate({"id": "b1", **changes})
    return await place_book(context(run_id=run), request, storage, NOW, max_bytes=LIMIT)


async def columns(storage: Storage) -> dict[str, object]:
    row = await storage.table("books").read("books", "b1")
    assert row is not None
    return dict(row.values)


async def test_overrides(storage: Storage) -> None:
    """What the request has replaces what the EPUB has; the rest is read from the EPUB again."""
    book = await stored(storage)
    placed = await place(storage, title="Mine", creators=["A", "B"], shelf=SHELF)
    assert placed == book.model_copy(update={"title": "Mine", "creators": ["A", "B"], "shelf": SHELF})
    assert await BookStore(storage).get("b1") == placed
    assert await stored_file(storage, placed) == EPUB


async def test_as_a_whole(storage: Storage) -> None:
    """A PUT says all of it: what is left out is as in the EPUB again, and the book stands on no shelf."""
    book = await stored(storage)
    await place(storage, title="Mine", shelf=SHELF)
    assert await place(storage, run="b" * 32) == book


async def test_shelf_columns(storage: Storage) -> None:
    """The shelf is kept as given, and lower-cased beside it, for those who look for its books."""
    await stored(storage)
    assert (await columns(storage))["shelf_key"] == ""
    await place(storage, shelf=SHELF)
    found = await columns(storage)
    assert (found["shelf"], found["shelf_key"]) == (SHELF, SHELF.lower())


async def test_another_upload(storage: Storage) -> None:
    """With a transaction the EPUB is the uploaded one; the old file and the upload go."""
    await stored(storage)
    transaction = await begin(storage, OTHER, run="3" * 32)
    placed = await place(storage, transactionId=transaction, title="Mine")
    assert (placed.title, placed.sha256) == ("Mine", sha256(OTHER).hexdigest())
    assert await stored_file(storage, placed) == OTHER
    assert await storage.container("uploads").info(transaction) is None
    assert await storage.container("books").info(file_name("b1", sha256(EPUB).hexdigest())) is None


async def test_new_book(storage: Storage) -> None:
    """A transaction makes a new book as well."""
    placed = await place(storage, transactionId=await begin(storage), shelf=SHELF)
    assert (placed.title, placed.shelf) == ("A Book", SHELF)


async def test_upload_keeps_the_shelf(storage: Storage) -> None:
    """A new upload of a book that stands on a shelf leaves it there, also in what the operation returns."""
    await stored(storage)
    await place(storage, shelf=SHELF)
    again = await finish(storage, await begin(storage, OTHER, run="4" * 32), run="5" * 32)
    assert (again.shelf, again.sha256) == (SHELF, sha256(OTHER).hexdigest())
    assert (await columns(storage))["shelf_key"] == SHELF.lower()


@pytest.mark.parametrize("code", ["BookNotFound", "FileMissing", "UploadNotFound", "InvalidEpub"])
async def test_refused(storage: Storage, code: str) -> None:
    """No book, no file, no upload, no EPUB: each ends with its code, and a stored book stays as it was."""
    changes = {}
    book = None if code == "BookNotFound" else await stored(storage)
    if code == "FileMissing":
        assert book is not None
        await storage.container("books").delete(file_name("b1", book.sha256))
    if code == "UploadNotFound":
        changes = {"transactionId": "unknown"}
    if code == "InvalidEpub":
        changes = {"transactionId": await begin(storage, b"no zip", run="6" * 32)}
    with pytest.raises(ActionFailed) as caught:
        await place(storage, **changes)
    assert caught.value.code == code
    assert await BookStore(storage).get("b1") == book


def test_first_answer() -> None:
    """Before anything was read, a book is what is known of it, and of the right types."""
    request = PlaceBook(id="b1", title="Mine", creators=None, shelf=SHELF, transaction_id="t")
    book = not_read_yet(request)
    assert (book.id, book.title, book.shelf, book.chapters, book.sha256) == ("b1", "Mine", SHELF, 0, None)
    assert with_changes(book, PlaceBook.model_validate({"id": "b1", "creators": []})).creators == []
    assert "status" not in book.model_dump(by_alias=True)


async def test_remove(storage: Storage) -> None:
    """The row and the file go; removing what is not there is done already; the same book can be made again."""
    book = await stored(storage)
    for _ in range(2):
        await remove_book(context(), "b1", storage)
        assert await BookStore(storage).get("b1") is None
    assert await stored_file(storage, book) is None
    assert await finish(storage, await begin(storage, run="7" * 32), run="8" * 32) == book


async def test_remove_takes_a_change_along(storage: Storage) -> None:
    """A row that changes while it is removed, as a shelf's books do, is removed as it then is."""
    await stored(storage)

    class Meddling:
        def __init__(self) -> None:
            self.inner, self.changed = storage.table("books"), False

        async def read(self, partition: str, key: str, **more: object):
            return await self.inner.read(partition, key)

        async def write(self, partition: str, changes):
            if not self.changed:
                self.changed = True
                await place(storage, shelf=SHELF)
            return await self.inner.write(partition, changes)

    books = BookStore(storage)
    books.rows = Meddling()  # type: ignore[assignment]  # pyright: ignore
    # The file is named by its content, so the change in between needs it back; what counts here is the row.
    await storage.container("books").put(file_name("b1", "x"), b"", content_type="a/b")
    with pytest.raises(ActionFailed, match="FileMissing"):
        await books.remove("b1")
    await books.remove("b1")
    assert await BookStore(storage).get("b1") is None


async def test_remove_is_not_stopped_halfway(storage: Storage) -> None:
    """A cancel that comes while the book is removed comes too late: it goes as a whole, and the handler succeeds."""
    book = await stored(storage)
    task = asyncio.create_task(remove_book(context(), "b1", storage))
    await asyncio.sleep(0)
    task.cancel()
    await task
    assert await BookStore(storage).get("b1") is None
    assert await stored_file(storage, book) is None


@pytest.mark.parametrize("fault", ["kill", "kill-before"])
@pytest.mark.parametrize("what", ["overrides", "upload", "remove"])
async def test_killed_at_each_write(tmp_path: Path, fault: str, what: str) -> None:
    """Whatever write it dies at, the next attempt ends the same, with no file or upload left over."""
    for at in range(1, 20):
        folder = tmp_path / str(at)
        async with sqlite(folder) as inner:
            await stored(inner)
            changes: dict[str, object] = {"title": "Mine", "shelf": SHELF}
            if what == "upload":
                changes["transactionId"] = await begin(inner, OTHER, run="3" * 32)
            faults = Faults(at=at, fault=fault)  # type: ignore[arg-type]

            async def attempt(storage: Storage, changes: dict[str, object] = changes) -> Book | None:
                if what == "remove":
                    return await remove_book(context(run_id="a" * 32), "b1", storage)
                return await place(storage, **changes)

            died = False
            try:
                await attempt(FaultyStorage(inner, faults))
            except Killed:
                died = True
            ended = await attempt(inner)
            assert await BookStore(inner).get("b1") == ended
            if ended is not None:
                assert (ended.title, ended.shelf) == ("Mine", SHELF)
                assert await stored_file(inner, ended) == (OTHER if what == "upload" else EPUB)
            assert await attempt(inner) == ended
        assert (blob_count(folder, "uploads"), blob_count(folder, "books")) == (0, 0 if what == "remove" else 1)
        if not died:
            assert at == faults.writes + 1 > 1
            return
    raise AssertionError("it never ended")
