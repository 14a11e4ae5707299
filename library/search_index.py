"""The full-text index in storage: which indexes there are, and their rows.

    search   indexes    {run}                         state: being built, the one that is searched, or going
    search   {run}      {bucket}!{book}!{part}        words: positions of the words of that bucket, as JSON
    search   {run}      !open                         while rows may be written

An index is named by the run that builds it, beside the one before, and takes its place in one write. A part of a book
is one transaction: its rows are there or not. It touches the row `!open`, which goes before the index is searched, or
with the first rows of one that is given up: an attempt that was taken for lost writes nothing more then, which nobody
would find. Names of columns and states are stored: never renamed.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from library.book_rows import FIRST, LAST
from library.search_words import BUCKETS
from shared.storage import (
    MAX_CHANGES,
    Delete,
    Insert,
    Merge,
    Row,
    Storage,
    StorageConflict,
    Upsert,
    row_pages,
    write_once,
)

_INDEXES = "indexes"
_BUILDING, _CURRENT, _GOING = "building", "current", "going"
_OPEN = "!open"
"""The first row of an index, in the order of the keys."""
_TRIES = 8


class SearchIndex:
    """Reads and writes indexes. Every method may run again from any point and ends the same."""

    def __init__(self, storage: Storage) -> None:
        self._rows = storage.table("search")

    async def current(self) -> str | None:
        """The index that is searched; None where none has been built."""
        return next((run_id for run_id, row in (await self._indexes()).items() if _state(row) == _CURRENT), None)

    async def begin(self, run_id: str) -> bool:
        """Note a new index, and open it; others being built are given up. False where this one was given up."""
        indexes = await self._indexes()
        if run_id in indexes and _state(indexes[run_id]) == _GOING:
            return False
        for other in indexes.keys() - {run_id}:
            await self.give_up(other)
        if run_id not in indexes:
            with suppress(StorageConflict):
                await write_once(self._rows, _INDEXES, [Insert(run_id, {"state": _BUILDING})])
        await write_once(self._rows, run_id, [Upsert(_OPEN, {})])
        # Opened too late perhaps: given up, and removed, since it was read.
        row = (await self._indexes()).get(run_id)
        is_building = row is not None and _state(row) == _BUILDING
        if not is_building:
            await self._close(run_id)
        return is_building

    async def finish(self, run_id: str) -> None:
        """Have this index searched from now on; the one before goes."""
        for _ in range(_TRIES):
            indexes = await self._indexes()
            before = [row for row in indexes.values() if _state(row) == _CURRENT]
            if [row.key for row in before] == [run_id]:
                return
            await self._close(run_id)
            changes = [Merge(row.key, {"state": _GOING}, if_match=row.etag) for row in before]
            own = Merge(run_id, {"state": _CURRENT}, if_match=indexes[run_id].etag)
            with suppress(StorageConflict):
                await write_once(self._rows, _INDEXES, [own, *changes])
                return
        raise StorageConflict("others kept changing which index is searched")

    async def give_up(self, run_id: str) -> None:
        """Have an index removed that was not finished."""
        row = (await self._indexes()).get(run_id)
        if row is not None and _state(row) == _BUILDING:
            with suppress(StorageConflict):
                await write_once(self._rows, _INDEXES, [Merge(run_id, {"state": _GOING}, if_match=row.etag)])

    async def put(self, run_id: str, book_id: str, part: int, rows: Sequence[str]) -> None:
        """Store a part of a book: its rows by bucket. Raises StorageConflict where the index is not open."""
        named = [(_key(bucket, book_id, part), words) for bucket, words in enumerate(rows)]
        changes = [Upsert(key, {"words": words}) for key, words in named]
        await write_once(self._rows, run_id, [Merge(_OPEN, {}), *changes])

    async def forget(self, book_id: str) -> None:
        """Remove a book from every index that is, or will be, searched."""
        for run_id, row in (await self._indexes()).items():
            if _state(row) != _GOING:
                await self._remove_parts(run_id, lower=f"{book_id}!", upper=f"{book_id}!{LAST}")

    async def forget_beyond(self, run_id: str, book_id: str | None) -> None:
        """Remove the books behind `book_id`, or all: what an attempt has stored that was lost then."""
        await self._remove_parts(run_id, lower=FIRST if book_id is None else f"{book_id}!{LAST}", upper=LAST)

    async def clear(self, *, transactions: int) -> bool:
        """Remove rows of indexes that are going, so many transactions at the most; whether none is left."""
        for run_id, row in (await self._indexes()).items():
            if _state(row) != _GOING:
                continue
            # Their keys are enough, so no column is read that they have.
            async for rows in row_pages(self._rows, run_id, columns=["state"], limit=MAX_CHANGES):
                if transactions == 0:
                    return False
                transactions -= 1
                await self._delete(run_id, [Delete(each.key) for each in rows])
            await self._delete(_INDEXES, [Delete(run_id)])
        return True

    async def drop_empty(self) -> None:
        """Remove the index that is searched where no book is left in it."""
        for run_id, row in (await self._indexes()).items():
            if _state(row) == _CURRENT and await self._is_empty(run_id):
                await self._delete(_INDEXES, [Delete(run_id, if_match=row.etag)])

    async def _is_empty(self, run_id: str) -> bool:
        async for _ in row_pages(self._rows, run_id, columns=["state"], limit=1):
            return False
        return True

    async def pages(
        self, run_id: str, bucket: int, *, lower: str = FIRST, upper: str = LAST, limit: int = 1000
    ) -> AsyncIterator[list[tuple[str, str, str]]]:
        """Book, part and words of the rows of a bucket, in the order of books and their parts.

        `lower` and `upper` are `{book}!{part}`, or how it begins.
        """
        begin, end = f"{bucket:02x}!{lower}", f"{bucket:02x}!{upper}"
        async for rows in row_pages(self._rows, run_id, lower=begin, upper=end, limit=limit):
            keys = [row.key.split("!") for row in rows]
            yield [(book, part, str(row.values["words"])) for (_, book, part), row in zip(keys, rows, strict=True)]

    async def _remove_parts(self, run_id: str, *, lower: str, upper: str) -> None:
        async for rows in self.pages(run_id, 0, lower=lower, upper=upper):
            for book_id, part, _ in rows:
                await self._delete(run_id, [Delete(_key(bucket, book_id, int(part))) for bucket in range(BUCKETS)])

    async def _close(self, run_id: str) -> None:
        await self._delete(run_id, [Delete(_OPEN)])

    async def _delete(self, partition: str, changes: Sequence[Delete]) -> None:
        # A conflict: somebody else has removed them.
        with suppress(StorageConflict):
            await self._rows.write(partition, changes)

    async def _indexes(self) -> dict[str, Row]:
        return {row.key: row async for rows in row_pages(self._rows, _INDEXES) for row in rows}


def _key(bucket: int, book_id: str, part: int) -> str:
    return f"{bucket:02x}!{book_id}!{part:02}"


def _state(row: Row) -> str:
    return str(row.values["state"])
