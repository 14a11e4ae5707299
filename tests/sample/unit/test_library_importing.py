"""Importing many uploads: progress per book, what fails stays alone, and any attempt ends the same."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from library.books import BookStore
from library.importing import Lock, import_books
from library.models import ImportManifest, ImportOutcome
from shared.actions import ActionCanceled, RequestError
from shared.errors import StorageRefused, StorageUnavailable
from shared.operations.locks import ResourceLocked
from shared.storage.ports import Change, Storage
from tests.sample.unit.test_library_uploading import LIMIT, NOW, begin, blob_count, stored_file
from tests.support.epubs import make_epub
from tests.support.parts import Faults, FaultyStorage, Killed, SilentAttempt, context, sqlite

GOOD = [make_epub((f"the book number {n}",), title=f"Book {n}") for n in range(4)]


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with sqlite(tmp_path) as opened:
        yield opened


async def uploaded(storage: Storage, *files: bytes | None) -> ImportManifest:
    """A manifest of one book per file, each uploaded in a transaction of its own."""
    items = [
        {"id": f"b{n}", "transactionId": await begin(storage, data, book=f"b{n}", run=f"{n:032x}")}
        for n, data in enumerate(files)
    ]
    return ImportManifest.model_validate({"items": items})


async def free(book_id: str) -> None: ...


async def run(
    storage: Storage,
    manifest: ImportManifest,
    attempt: SilentAttempt | None = None,
    lock: Lock = free,
    parallel: int = 4,
) -> ImportOutcome:
    given = context(run_id="f" * 32, attempt_state=attempt or SilentAttempt())
    return await import_books(given, manifest, storage, NOW, max_bytes=LIMIT, lock=lock, parallel=parallel)


async def test_import(storage: Storage) -> None:
    """Every uploaded EPUB becomes its book; progress counts books, only grows, and ends at all of them."""
    attempt = SilentAttempt()
    outcome = await run(storage, await uploaded(storage, *GOOD), attempt)
    assert (outcome.imported, outcome.failed) == (4, 0)
    assert [item.id for item in outcome.items] == ["b0", "b1", "b2", "b3"]
    books, _ = await BookStore(storage).page(top=10, after=None)
    assert [book.title for book in books] == ["Book 0", "Book 1", "Book 2", "Book 3"]
    assert [(p.done, p.total) for p in attempt.reports] == [(n, 4) for n in range(5)]


async def test_failures_stay_alone(storage: Storage) -> None:
    """What cannot be imported says why; the others are imported, and the operation succeeds."""
    manifest = await uploaded(storage, GOOD[0], b"no zip", None, GOOD[3])
    items = [item.model_dump(by_alias=True) for item in manifest.items]
    items += [{"id": "b8", "transactionId": "unknown"}]
    items[3]["sha256"] = "0" * 64
    outcome = await run(storage, ImportManifest.model_validate({"items": items}))
    codes = [item.error and item.error.code for item in outcome.items]
    assert codes == [None, "InvalidEpub", "UploadMissing", "ChecksumMismatch", "UploadNotFound"]
    assert [item.status for item in outcome.items] == ["Succeeded"] + ["Failed"] * 4
    assert (outcome.imported, outcome.failed) == (1, 4)


async def test_book_in_use(storage: Storage) -> None:
    """A book that another operation has locked is left out, untouched; its upload can be finished later."""
    manifest = await uploaded(storage, *GOOD[:2])

    async def lock(book_id: str) -> None:
        if book_id == "b0":
            raise ResourceLocked(f"book/{book_id}")

    outcome = await run(storage, manifest, lock=lock)
    assert [item.error and item.error.code for item in outcome.items] == ["OperationInProgress", None]
    assert await BookStore(storage).get("b0") is None
    assert (await run(storage, manifest)).failed == 0


@pytest.mark.parametrize("error", [ValueError("a secret"), StorageRefused("too wide")])
async def test_unexpected_failures_stay_alone(storage: Storage, error: Exception) -> None:
    """A defect, or a row the store cannot lock, costs one book; what it was is in the log, not in the result."""

    async def failing(table: str, changes: Sequence[Change]) -> None:
        if table == "books" and any(change.key == "b1" for change in changes):
            raise error

    manifest = await uploaded(storage, *GOOD[:3])
    outcome = await run(FaultyStorage(storage, Faults(before=failing)), manifest)
    assert [item.error and item.error.code for item in outcome.items] == [None, "ActionError", None]
    assert "secret" not in outcome.model_dump_json()


async def test_storage_down_ends_the_attempt(storage: Storage) -> None:
    """Storage that cannot be reached is no book's fault: the attempt fails as a whole and the next one goes on."""
    manifest = await uploaded(storage, *GOOD)
    faults = Faults(at=6, fault="down", lasting=True)
    with pytest.raises(StorageUnavailable):
        await run(FaultyStorage(storage, faults), manifest)
    assert (await run(storage, manifest)).imported == 4


# A cancel that comes while a thread opens a file leaves closing it to the collector, which says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
async def test_cancel(storage: Storage) -> None:
    """A cancel stops it between books, or between the chapters of one; it is no failure of a book."""
    manifest = await uploaded(storage, *GOOD)
    attempt = SilentAttempt()
    attempt.cancel_requested = True
    with pytest.raises(ActionCanceled):
        await run(storage, manifest, attempt)
    task = asyncio.create_task(run(storage, manifest))
    await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await run(storage, manifest)).imported == 4


@pytest.mark.parametrize(
    "items",
    [
        [],
        [{"id": "a", "transactionId": "t"}, {"id": "A", "transactionId": "u"}],
        [{"id": "a", "transactionId": "t"}, {"id": "b", "transactionId": "t"}],
        [{"id": "a/b", "transactionId": "t"}],
        [{"id": "a\n", "transactionId": "t"}],
        [{"id": f"b{n}", "transactionId": f"t{n}"} for n in range(1001)],
    ],
    ids=["none", "book twice", "upload twice", "no id", "newline", "too many"],
)
def test_manifests_that_do_not_fit(items: list[dict[str, str]]) -> None:
    """1 to 1000 items, each with a book and an upload of its own."""
    with pytest.raises(ValidationError):
        ImportManifest.model_validate({"items": items})


@pytest.mark.parametrize("fault", ["kill", "kill-before"])
async def test_killed_at_each_write(tmp_path: Path, fault: str) -> None:
    """Whatever write it dies at, the next attempt imports the rest and leaves nothing over."""
    for at in range(1, 30):
        folder = tmp_path / str(at)
        async with sqlite(folder) as inner:
            manifest = await uploaded(inner, GOOD[0], b"no zip", GOOD[1])
            faults = Faults(at=at, fault=fault)  # type: ignore[arg-type]
            died = False
            try:
                await run(FaultyStorage(inner, faults), manifest, parallel=1)
            except Killed:
                died = True
            outcome = await run(inner, manifest, parallel=1)
            assert [item.error and item.error.code for item in outcome.items] == [None, "InvalidEpub", None]
            for book_id, data in (("b0", GOOD[0]), ("b2", GOOD[1])):
                book = await BookStore(inner).get(book_id)
                assert book is not None
                assert await stored_file(inner, book) == data
            assert await run(inner, manifest, parallel=1) == outcome
        assert (blob_count(folder, "uploads"), blob_count(folder, "books")) == (1, 2)
        if not died:
            assert at == faults.writes + 1 > 8
            return
    raise AssertionError("it never ended")


async def test_locked_before_anything_is_written(storage: Storage) -> None:
    """The book is locked before its upload is touched; what a lock raises beside 'in use' is not swallowed."""
    manifest = await uploaded(storage, GOOD[0])
    faults = Faults()
    seen: list[int] = []

    async def lock(book_id: str) -> None:
        seen.append(faults.writes)
        raise RequestError(409, "OperationInProgress", "No.")

    await run(FaultyStorage(storage, faults), manifest, lock=lock)
    assert (seen, faults.writes) == ([0], 0)
