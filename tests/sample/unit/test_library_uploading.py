"""The sample's handlers: what they return, how they refuse, and that each may run twice from any point."""

import string
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest

from library.books import BookStore
from library.models import Book, UploadFinish, UploadStart
from library.uploading import finish_upload, start_upload
from library.uploads import LIFETIME
from shared.actions import ActionFailed
from shared.storage.namespace import stored_name
from shared.storage.ports import Storage
from tests.support.epubs import PNG, make_epub
from tests.support.parts import T0, Faults, FaultyStorage, Killed, SilentAttempt, context, settings, sqlite

EPUB = make_epub(("one two three", "four five"), cover=PNG)
OTHER = make_epub(("another book altogether",))
LIMIT = 10_000_000
NOW = T0


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with sqlite(tmp_path) as opened:
        yield opened


async def begin(storage: Storage, data: bytes | None = EPUB, *, book: str = "b1", run: str = "a" * 32) -> str:
    """A transaction with this file in it; its id."""
    request = UploadStart(id=book, file_name="a.epub")
    started = await start_upload(context(run_id=run), request, storage, NOW)
    if data is not None:
        await storage.container("uploads").put(started.transaction_id, data, content_type="application/epub+zip")
    return started.transaction_id


async def finish(storage: Storage, transaction: str, *, book: str = "b1", run: str = "f" * 32, **more: str) -> Book:
    request = UploadFinish(id=book, transaction_id=transaction, **more)
    return await finish_upload(context(run_id=run), request, storage, NOW, max_bytes=LIMIT)


async def refused(storage: Storage, transaction: str, code: str, **more: str) -> ActionFailed:
    with pytest.raises(ActionFailed) as caught:
        await finish(storage, transaction, **more)
    assert caught.value.code == code
    assert await BookStore(storage).get("b1") is None
    return caught.value


async def test_upload(storage: Storage) -> None:
    """An uploaded EPUB becomes the book: its data, its file, and nothing left in `uploads`."""
    transaction = await begin(storage)
    book = await finish(storage, transaction, sha256=sha256(EPUB).hexdigest().upper())
    assert (book.title, book.creators, book.language, book.chapters) == ("A Book", ["An Author"], "en", 2)
    assert (book.sha256, book.size_bytes, book.warnings) == (sha256(EPUB).hexdigest(), len(EPUB), [])
    assert book.cover is not None
    assert await BookStore(storage).get("b1") == book
    assert await stored_file(storage, book) == EPUB
    assert await storage.container("uploads").info(transaction) is None


async def test_progress(storage: Storage) -> None:
    """Progress is reported for every chapter and only grows."""
    attempt = SilentAttempt()
    request = UploadFinish(id="b1", transaction_id=await begin(storage))
    await finish_upload(context(attempt_state=attempt), request, storage, NOW, max_bytes=LIMIT)
    percents = [progress.percent or 0 for progress in attempt.reports]
    assert percents == sorted(percents)
    assert [progress.done for progress in attempt.reports if progress.done] == [1, 2]


async def test_start_url(storage: Storage) -> None:
    """The transaction is named after the run; a second attempt returns the same one with the same end."""
    request = UploadStart(id="b1", file_name="a.epub", size=5)
    one = await start_upload(context(), request, storage, NOW)
    two = await start_upload(context(), request, storage, NOW)
    assert one.transaction_id == two.transaction_id == context().run_id
    assert one.expires_at == two.expires_at
    assert f"0uploads/{one.transaction_id}?" in one.upload_url


@pytest.mark.parametrize("transaction", ["unknown", "a/b", "#?\\", "..", "\0", "é", "a" * 64, "book", " "])
async def test_not_found(storage: Storage, transaction: str) -> None:
    """An id nobody gave out is UploadNotFound, whatever its characters."""
    await refused(storage, transaction, "UploadNotFound")


async def test_not_found_for_others(storage: Storage) -> None:
    """Another book's transaction, and another caller's, are not found."""
    transaction = await begin(storage)
    await refused(storage, transaction, "UploadNotFound", book="b2")
    request = UploadFinish(id="b1", transaction_id=transaction)
    with pytest.raises(ActionFailed, match="UploadNotFound"):
        await finish_upload(context(owner="eve"), request, storage, NOW, max_bytes=LIMIT)
    assert (await finish(storage, transaction)).id == "b1"


async def test_expired(storage: Storage) -> None:
    """After its end a transaction cannot be finished, and its file goes."""
    transaction = await begin(storage)
    request, late = UploadFinish(id="b1", transaction_id=transaction), NOW + LIFETIME
    with pytest.raises(ActionFailed, match="UploadExpired"):
        await finish_upload(context(), request, storage, late, max_bytes=LIMIT)
    assert await BookStore(storage).get("b1") is None
    assert await storage.container("uploads").info(transaction) is None


async def test_finished_before(storage: Storage) -> None:
    """A second finish is refused; the next attempt of the first one returns the stored book."""
    transaction = await begin(storage)
    book = await finish(storage, transaction)
    with pytest.raises(ActionFailed, match="UploadAlreadyFinished"):
        await finish(storage, transaction, run="e" * 32)
    assert await finish(storage, transaction) == book


async def test_nothing_uploaded(storage: Storage) -> None:
    """Without a file it is UploadMissing, and may be finished once there is one."""
    transaction = await begin(storage, None)
    await refused(storage, transaction, "UploadMissing")
    await storage.container("uploads").put(transaction, EPUB, content_type="x/y")
    assert (await finish(storage, transaction)).title == "A Book"


async def test_other_size(storage: Storage) -> None:
    """A file that is not as long as announced is a SizeMismatch."""
    started = await start_upload(context(), UploadStart(id="b1", file_name="a", size=len(EPUB) + 1), storage, NOW)
    await storage.container("uploads").put(started.transaction_id, EPUB, content_type="x/y")
    await refused(storage, started.transaction_id, "SizeMismatch")


async def test_other_checksum(storage: Storage) -> None:
    """A file with another SHA-256 is refused, and nothing is stored."""
    failure = await refused(storage, await begin(storage), "ChecksumMismatch", sha256="0" * 64)
    assert failure.target == "sha256"


@pytest.mark.parametrize("data", [b"no zip", b"", make_epub(files={"OEBPS/book.opf": None})])
async def test_no_epub(storage: Storage, data: bytes) -> None:
    """What is no EPUB is InvalidEpub, for good, naming what is wrong."""
    failure = await refused(storage, await begin(storage, data), "InvalidEpub")
    assert not failure.retryable
    assert failure.target


async def test_too_large(storage: Storage) -> None:
    """The limit holds at the finish as well: callers need not announce a size."""
    request = UploadFinish(id="b1", transaction_id=await begin(storage))
    with pytest.raises(ActionFailed, match="UploadTooLarge"):
        await finish_upload(context(), request, storage, NOW, max_bytes=len(EPUB) - 1)


async def test_changed_while_read(storage: Storage) -> None:
    """A file replaced while it is read is not stored in halves: UploadChanged, to be tried again."""
    transaction = await begin(storage, EPUB + b"\0" * 5_000_000)
    uploads = storage.container("uploads")

    class Opened:
        def __init__(self, storage: Storage) -> None:
            self.storage = storage

        def table(self, name: str):
            return self.storage.table(name)

        def container(self, name: str):
            return Slow(self.storage.container(name)) if name == "uploads" else self.storage.container(name)

        async def aclose(self) -> None: ...

    class Slow:
        def __init__(self, inner) -> None:
            self.inner = inner

        def __getattr__(self, name: str):
            return getattr(self.inner, name)

        def open(self, name: str, *, if_match: str | None = None):
            return self._open(name)

        def _open(self, name: str):
            from contextlib import asynccontextmanager

            @asynccontextmanager
            async def opened():
                async with self.inner.open(name) as reader:
                    yield Reader(reader)

            return opened()

    class Reader:
        def __init__(self, inner) -> None:
            self.inner, self.info = inner, inner.info

        async def chunks(self):
            async for chunk in self.inner.chunks():
                yield chunk
                await uploads.put(transaction, OTHER, content_type="x/y")

    with pytest.raises(ActionFailed) as caught:
        await finish(Opened(storage), transaction)  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.retryable) == ("UploadChanged", True)
    assert await BookStore(storage).get("b1") is None


async def stored_file(storage: Storage, book: Book) -> bytes | None:
    async with storage.container("books").open(f"{book.id}/{book.sha256}.epub") as reader:
        return None if reader is None else b"".join([chunk async for chunk in reader.chunks()])


def blob_count(directory: Path, container: str) -> int:
    """Blobs of the embedded store, seen on the disk."""
    folder = directory / "blobs" / stored_name(settings(directory).namespace, container)
    return len(list(folder.iterdir())) if folder.exists() else 0


@pytest.mark.parametrize("fault", ["kill", "kill-before"])
@pytest.mark.parametrize("replacing", [False, True], ids=["new", "replaces"])
async def test_finish_killed_at_each_write(tmp_path: Path, fault: str, replacing: bool) -> None:
    """Whatever write it dies at, the next attempt returns the book; one file and no upload stays."""
    for at in range(1, 20):
        folder = tmp_path / str(at)
        async with sqlite(folder) as inner:
            if replacing:
                await finish(inner, await begin(inner, OTHER, run="0" * 32), run="1" * 32)
            transaction = await begin(inner)
            faults = Faults(at=at, fault=fault)  # type: ignore[arg-type]
            died = False
            try:
                first = await finish(FaultyStorage(inner, faults), transaction)
            except Killed:
                died = True
                first = None
            book = await finish(inner, transaction)
            assert first is None or first == book
            assert (book.title, book.sha256) == ("A Book", sha256(EPUB).hexdigest())
            assert await BookStore(inner).get("b1") == book
            assert await stored_file(inner, book) == EPUB
            assert await finish(inner, transaction) == book
        assert (blob_count(folder, "uploads"), blob_count(folder, "books")) == (0, 1)
        if not died:
            assert at == faults.writes + 1 > 4
            return
    raise AssertionError("it never ended")


@pytest.mark.parametrize("fault", ["kill", "kill-before"])
async def test_another_file_between_two_attempts(tmp_path: Path, fault: str) -> None:
    """The URL stays writable: whatever is uploaded between attempts, what is answered is what is stored."""
    refusals: list[str] = []
    for at in range(1, 20):
        async with sqlite(tmp_path / str(at)) as inner:
            transaction = await begin(inner)
            faults = Faults(at=at, fault=fault)  # type: ignore[arg-type]
            try:
                await finish(FaultyStorage(inner, faults), transaction)
            except Killed:
                pass
            else:
                assert set(refusals) == {"UploadChanged"}
                return
            await inner.container("uploads").put(transaction, OTHER, content_type="application/epub+zip")
            try:
                book = await finish(inner, transaction)
            except ActionFailed as failure:
                refusals.append(failure.code)
                continue
            assert await BookStore(inner).get("b1") == book
            assert sha256(await stored_file(inner, book) or b"").hexdigest() == book.sha256
    raise AssertionError("it never ended")


@pytest.mark.parametrize("fault", ["kill", "kill-before"])
async def test_start_killed_at_each_write(storage: Storage, fault: str) -> None:
    """Whatever write it dies at, the next attempt gives the same transaction, and there is only one."""
    faulty = FaultyStorage(storage, Faults(at=1, fault=fault))  # type: ignore[arg-type]
    request = UploadStart(id="b1", file_name="a.epub")
    with pytest.raises(Killed):
        await start_upload(context(), request, faulty, NOW)
    started = await start_upload(context(), request, faulty, NOW)
    assert started.transaction_id == context().run_id
    assert faulty.faults.writes == 2
    partitions = string.digits + string.ascii_lowercase
    pages = [await storage.table("uploads").page(each, lower=" ", upper="~") for each in partitions]
    assert [row.key for page in pages for row in page.rows] == [started.transaction_id]
