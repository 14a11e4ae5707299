"""Sets of bulk-loaded books: staged where nobody looks, then published by one conditional write.

    table books, partition sets
        published       the pointer: which set counts, its generation, and the last loads that were published
        set!{name}      one per set that has, or may have, rows; there before the first row, gone after the last
    table books, partition set-{name}
        {book id}       the set's books

A set is named `{generation}-{run}-{attempt}`, its generation being the next one after the set it was copied from. So
each attempt stages into a partition of its own, an attempt that is overtaken can be published no more (the pointer has
changed), and what is older than the pointer's generation is garbage.
"""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from library.ranges import in_turns
from library.undivided import to_its_end
from shared.errors import StorageAnswerLost, StorageConflict, StorageRefused
from shared.storage.limits import MAX_CHANGES
from shared.storage.ports import Delete, Insert, Merge, Replace, Row, Storage, Upsert
from shared.storage.row_pages import row_pages
from shared.storage.write_once import write_once

_PARTITION = "sets"
_POINTER = "published"
_SET = "set!"
_REMEMBERED = 50
"""Loads the pointer remembers, for an attempt that follows one which died after it had published."""


@dataclass(frozen=True, slots=True)
class Published:
    """A load that was published. `records` were in its file, `books` in its set."""

    run: str
    records: int
    books: int


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which set counts; `name` is empty before the first load."""

    name: str = ""
    generation: int = 0
    history: tuple[Published, ...] = ()
    """The latest first."""
    etag: str | None = None

    def by(self, run: str) -> Published | None:
        """What `run` has published, as far as the pointer remembers."""
        return next((load for load in self.history if load.run == run), None)

    @property
    def books(self) -> int:
        return self.history[0].books if self.history else 0


def set_name(base: Pointer, *, run: str, attempt: int) -> str:
    """The name of a set that may be published in the place of `base`."""
    return f"{base.generation + 1:08d}-{run}-{attempt}"


class BookSets:
    """The sets of the table `books`."""

    def __init__(self, storage: Storage) -> None:
        self._rows = storage.table("books")

    async def pointer(self) -> Pointer:
        row = await self._rows.read(_PARTITION, _POINTER)
        if row is None:
            return Pointer()
        loads: list[list[Any]] = json.loads(str(row.values["history"]))
        history = tuple(Published(str(run), int(records), int(books)) for run, records, books in loads)
        return Pointer(str(row.values["set"]), int(row.values["generation"]), history, row.etag)

    async def published(self) -> str:
        """The name of the set that counts; empty where there is none."""
        row = await self._rows.read(_PARTITION, _POINTER, columns=["set"])
        return str(row.values["set"]) if row else ""

    async def find(self, book_id: str) -> Row | None:
        """The row of a book in the published set."""
        return (await self.find_many([book_id])).get(book_id)

    async def find_many(self, book_ids: Sequence[str]) -> dict[str, Row]:
        """The rows of those books that the published set has."""
        name = await self.published() if book_ids else ""
        while name:
            where = partition(name)
            rows = await in_turns(book_ids, lambda book_id, where=where: self._rows.read(where, book_id))
            found = {row.key: row for row in rows if row is not None}
            # A set that was replaced meanwhile may be half removed.
            if len(found) == len(book_ids) or (again := await self.published()) == name:
                return found
            name = again
        return {}

    async def begin(self, name: str) -> None:
        """Make a set that `set_name` has named. A cancel waits for it, so that it can be removed."""
        generation = int(name.partition("-")[0])
        await to_its_end(write_once(self._rows, _PARTITION, [Upsert(_SET + name, {"generation": generation})]))

    async def stage(self, name: str, rows: Sequence[Upsert]) -> None:
        """Write up to 100 rows of a set. A cancel waits for it: a row that lands late would be nobody's to remove.

        Raises StorageRefused for a row that no table holds.
        """
        try:
            await to_its_end(write_once(self._rows, partition(name), rows))
        except StorageRefused:
            # Too large for one transaction perhaps.
            if len(rows) == 1:
                raise
            await self.stage(name, rows[: len(rows) // 2])
            await self.stage(name, rows[len(rows) // 2 :])

    async def publish(self, name: str, base: Pointer, load: Published) -> None:
        """Let `name` count instead of `base`. Raises StorageConflict where another set was published meanwhile."""
        history = [[one.run, one.records, one.books] for one in (load, *base.history)][:_REMEMBERED]
        values = {"set": name, "generation": base.generation + 1, "history": json.dumps(history)}
        change = Replace(_POINTER, values, if_match=base.etag) if base.etag else Insert(_POINTER, values)
        await write_once(self._rows, _PARTITION, [change])

    def pages(self, name: str, *, columns: Sequence[str] | None = None) -> AsyncIterator[tuple[Row, ...]]:
        """The rows of a set in the order of their keys."""
        return row_pages(self._rows, partition(name), columns=columns)

    async def give_up(self, name: str) -> None:
        """Say that nobody writes to this set any more, so that the next load may remove what is left of it."""
        with suppress(StorageConflict):  # Another load has removed it already.
            await write_once(self._rows, _PARTITION, [Merge(_SET + name, {"given_up": True})])

    async def remove(self, name: str) -> None:
        """Remove a set's rows, then what says that it has any. May run twice from any point and ends the same."""
        async for rows in self.pages(name, columns=["id"]):
            for at in range(0, len(rows), MAX_CHANGES):
                await self._remove_rows(partition(name), [row.key for row in rows[at : at + MAX_CHANGES]])
        await self._remove_rows(_PARTITION, [_SET + name])

    async def remove_old(self) -> None:
        """Remove every set that can count no more.

        One of the pointer's generation that lost may still be written to by a load that does not know yet: it goes
        when it was given up, else with the next generation.
        """
        pointer = await self.pointer()
        names: list[str] = []
        async for rows in row_pages(self._rows, _PARTITION, lower=_SET, upper=_SET + "~"):
            for row in rows:
                old = int(row.values.get("generation", 0)) < pointer.generation
                if row.key != _SET + pointer.name and (old or row.values.get("given_up")):
                    names.append(row.key.removeprefix(_SET))
        for name in names:
            await self.remove(name)

    async def _remove_rows(self, where: str, keys: Sequence[str]) -> None:
        try:
            await self._rows.write(where, [Delete(key) for key in keys])
        except (StorageConflict, StorageAnswerLost):
            # One of them is gone already, by another load's hand or by this request sent twice: one by one then.
            for key in keys:
                with suppress(StorageConflict):
                    await self._rows.write(where, [Delete(key)])


def partition(name: str) -> str:
    """The partition of a set's rows."""
    return f"set-{name}"
