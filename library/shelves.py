"""Shelves over storage: which books stand on one, moving them, counting them. Each may run twice and ends the same."""

import asyncio
from hashlib import sha256

from library.books import BookStore
from library.csv_books import written
from library.models import Book
from library.shelf_models import MigrationResult, Shelf
from shared.actions import ActionContext, ResourceTable
from shared.storage import Storage

TYPE = "/providers/contoso.library/shelves/"
_COLUMNS = ("id", "title", "creators", "language", "published", "publisher", "chapters", "words", "sizeBytes", "sha256")


async def exists(shelf_id: str, resources: ResourceTable) -> bool:
    """Whether there is a shelf of this ARM id, compared without case."""
    return TYPE in shelf_id.lower() and await resources.get(shelf_id) is not None


async def counted(shelf: Shelf, storage: Storage) -> Shelf:
    """The shelf with the numbers of the books that stand on it."""
    books = await BookStore(storage).on_shelf(shelf.id)
    numbers = {"book_count": len(books), "words": sum(book.words for book in books)}
    return shelf.model_copy(update={"properties": shelf.properties.model_copy(update=numbers)})


async def recount(context: ActionContext, shelf: Shelf, storage: Storage) -> None:
    """Store the numbers of the books that stand on the shelf."""
    properties = (await counted(shelf, storage)).properties
    values = {"bookCount": properties.book_count, "words": properties.words}
    await context.save_properties(shelf.id, values)


async def migrate(context: ActionContext, shelf: Shelf, target_name: str, storage: Storage) -> MigrationResult:
    """Move the books of a shelf to another one of the same group, as many as fit.

    Every moved book is marked with the run, so that a second attempt counts what the first one has moved.
    """
    books = BookStore(storage)
    target = await context.resources.get(f"{shelf.id.rpartition('/')[0]}/{target_name}")
    if target is None:
        return MigrationResult(moved=0, skipped=len(await books.on_shelf(shelf.id)))
    target_id = target.id
    there = len(await books.on_shelf(target_id))
    capacity = target.properties.get("capacity")
    waiting = await books.on_shelf(shelf.id)
    skipped = 0
    for done, book in enumerate(waiting):
        context.raise_if_canceled()
        context.report_progress(done=done, total=len(waiting), message=f"Moving {book.title}"[:200])
        fits = capacity is None or there < capacity
        if fits and await books.move(book.id, source=shelf.id, target=target_id, by=context.run_id):
            there += 1
        else:
            skipped += 1
    return MigrationResult(moved=await books.moved(target_id, by=context.run_id), skipped=skipped)


async def store_inventory(shelf: Shelf, storage: Storage, *, neutralize: bool = True) -> tuple[str, int]:
    """Store the shelf's inventory as CSV in place of an older one; its id and the number of books."""
    books = await BookStore(storage).on_shelf(shelf.id)
    name = inventory_id(shelf.id)
    content = await asyncio.to_thread(inventory_csv, books, neutralize=neutralize)
    await storage.container("inventories").put(f"{name}.csv", content, content_type="text/csv; charset=utf-8")
    return name, len(books)


async def read_inventory(inventory: str, storage: Storage) -> bytes | None:
    async with storage.container("inventories").open(f"{inventory}.csv") as reader:
        return b"".join([chunk async for chunk in reader.chunks()]) if reader is not None else None


async def clear(shelf: Shelf, storage: Storage) -> int:
    """Remove what a shelf without books leaves behind; how many books there are."""
    books = await BookStore(storage).on_shelf(shelf.id)
    if not books:
        await storage.container("inventories").delete(f"{inventory_id(shelf.id)}.csv")
    return len(books)


def inventory_id(shelf_id: str) -> str:
    """One per shelf, so that inventories do not pile up."""
    return sha256(shelf_id.lower().encode()).hexdigest()[:32]


def inventory_csv(books: list[Book], *, neutralize: bool) -> bytes:
    """One line a book, after a line of names (RFC 4180); creators joined by semicolons.

    A load reads it again; `neutralize` as for `written`.
    """
    lines = [book.model_dump(mode="json", by_alias=True) | {"creators": "; ".join(book.creators)} for book in books]
    return written([_COLUMNS, *([values[name] for name in _COLUMNS] for values in lines)], neutralize=neutralize)
