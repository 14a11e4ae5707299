"""No upload holds up the event loop: what its turns cost at the most, for the worst of each kind."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from library.book_rows import PARTITION, book_columns
from library.books import BookStore, file_name
from library.catalog_models import ExportBook
from library.entities import BookEntities
from library.exporting import export_book
from library.models import Book, BookWarning
from library.reading import Download, read_book
from library.shelf_models import Shelf, ShelfProperties
from library.shelves import counted, store_inventory
from shared.actions import ActionFailed, Update
from shared.contracts.odata.query.searching import parse_search
from shared.storage import MAX_CHANGES, Insert, Storage
from tests.sample.unit.test_library_loading import NOW, load, uploaded
from tests.sample.unit.test_library_search import rebuild
from tests.support.epubs import chapter, make_epub, package
from tests.support.parts import context, sqlite
from tests.support.turns import no_garbage_of_others, watched

__all__ = ["no_garbage_of_others"]

MB = 1_000_000
SHELF = "/subscriptions/s/resourceGroups/g/providers/Contoso.Library/shelves/one"
FAT = Book(
    id="b",
    title="T" * 500,
    creators=["A" * 500] * 25,
    identifiers=["I" * 500] * 20,
    warnings=[BookWarning(code="metadata", message="w" * 300)] * 25,
    shelf=SHELF,
)
"""As large as a book may be: a row of a table holds no more."""


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with sqlite(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize(
    "data",
    [
        b"\n" * 12 * MB,
        b",,\n" * 4 * MB,
        b'"\n"\n' * (MB // 10),
        b"x" * 12 * MB,
        b"id,title\n" + b"b1," + b"\r" * 12 * MB,
        b'id,title\nb1,"' + b"\n" * 12 * MB,
    ],
    ids=["LF", "commas", "quotes", "one line", "CR", "in quotes"],
)
async def test_bytes_without_books(storage: Storage, caplog: pytest.LogCaptureFixture, data: bytes) -> None:
    """Megabytes that hold no book are refused, and nobody waits for that."""
    file_id = await uploaded(storage, data)
    async with watched(caplog):
        with pytest.raises(ActionFailed) as caught:
            await load(storage, file_id)
    assert caught.value.code == "InvalidCsv"


async def test_large_books_in_a_csv(storage: Storage, caplog: pytest.LogCaptureFixture) -> None:
    """Books as large as a line may be."""
    cells = f",{FAT.title},{';'.join(FAT.creators)},{';'.join(FAT.identifiers)}\n"
    lines = "".join(f"b{number}{cells}" for number in range(300))
    file_id = await uploaded(storage, f"id,title,creators,identifiers\n{lines}".encode())
    async with watched(caplog):
        assert (await load(storage, file_id)).record_count == 300


async def test_an_epub(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A book with more of everything than is kept, and with a chapter that is parsed twice."""
    values = "".join(f"<dc:creator>{n} {'A' * 600}</dc:creator>" for n in range(3_000))
    chapters = [chapter("<p>one two three" * 50_000), *["<b>" * 2_000] * 50]
    names = [f"c{n}.xhtml" for n in range(1, 2_000)]
    path = tmp_path / "book.epub"
    path.write_bytes(make_epub(chapters, opf=package(documents=names, metadata=values)))
    async with watched(caplog):
        book = await read_book(context(), "b", Download(path, path.stat().st_size, "0" * 64, ""))
    assert (book.chapters, len(book.creators)) == (1, 25)
    assert {warning.code for warning in book.warnings} >= {"chapter-left-out", "missing-entry", "not-well-formed"}


async def test_indexing_and_searching(storage: Storage, caplog: pytest.LogCaptureFixture) -> None:
    """The longest parts that a book can have, of many words and of one, and a search of all that it needs."""
    books = BookStore(storage)
    for name, text in {"many": " ".join(f"w{number}" for number in range(60_000)), "one": "one " * 100_000}.items():
        epub = make_epub([f"<p>{text}</p>"])
        await books.files.put(file_name(name, "a" * 64), epub, content_type="application/epub+zip")
        await books.put(Book(id=name, title="T", sha256="a" * 64), source="test")
    async with watched(caplog):
        await rebuild(storage)
        asked = parse_search(" OR ".join(f"w{number}" for number in range(49)) + ' OR "one one"')
        assert await BookEntities(storage, NOW).search(asked) == {"many", "one"}


async def test_large_books_on_a_shelf(storage: Storage, caplog: pytest.LogCaptureFixture) -> None:
    """Pages, counts, inventories, exports and merges of a thousand books as large as they may be."""
    books = BookStore(storage)
    for first in range(0, 1_000, 50):
        batch = [FAT.model_copy(update={"id": f"b{n:04}"}) for n in range(first, first + 50)]
        await books.rows.write(PARTITION, [Insert(book.id, book_columns(book)) for book in batch])
    shelf = Shelf.model_construct(id=SHELF, properties=ShelfProperties())
    async with watched(caplog):
        page, _ = await books.page(top=1_000, after=None)
        assert len(page) == 1_000
        assert (await counted(shelf, storage)).properties.book_count == 1_000
        assert (await store_inventory(shelf, storage))[1] == 1_000
        request = ExportBook(id="b0001", format="csv")
        assert (await export_book(context(), request, storage, NOW, base_url="")).size_bytes > 20_000
        async for _ in BookEntities(storage, NOW).scan():
            await asyncio.sleep(0)  # as whoever scans does
        changes = [Update(f"b{n:04}", {"title": "U"}, if_match=None) for n in range(MAX_CHANGES)]
        assert len(await BookEntities(storage, NOW).write(changes)) == MAX_CHANGES
