"""Clearing away what stands for removed books, once it hides nothing any more."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from library.book_rows import OWN, is_tombstone, named_files
from library.books import file_name
from library.sets import BookSets
from shared.errors import StorageConflict
from shared.operations.rows import read_time
from shared.storage.ports import Delete, Row, Storage
from shared.storage.row_pages import row_pages

KEPT = timedelta(days=1)
"""How long a tombstone answers a writer that does the same again."""

_COLUMNS = ("tombstone", "hides", "removed", "written_by", "sha256", "superseded")


async def sweep(storage: Storage) -> int:
    """Remove the tombstones that no book of the published set lies behind, files first; how many."""
    rows, sets = storage.table("books"), BookSets(storage)
    cleared = 0
    async for page in row_pages(rows, OWN, columns=_COLUMNS):
        for row in page:
            if is_tombstone(row) and not await _is_needed(row, sets):
                await clear(storage, row)
                cleared += 1
    return cleared


async def clear(storage: Storage, row: Row) -> None:
    """Remove a tombstone and the files it names, unless the book has been stored again meanwhile."""
    await remove_files(storage, row)
    with suppress(StorageConflict):
        await storage.table("books").write(OWN, [Delete(row.key, if_match=row.etag)])


async def remove_files(storage: Storage, row: Row) -> None:
    """Remove the files a tombstone names."""
    for sha256 in named_files(row):
        await storage.container("books").delete(file_name(row.key, sha256))


async def _is_needed(row: Row, sets: BookSets) -> bool:
    if row.values.get("written_by") and datetime.now(UTC) - read_time(str(row.values["removed"])) < KEPT:
        return True
    bulk = await sets.find(row.key)
    return bulk is not None and bulk.values["origin"] == row.values.get("hides")
