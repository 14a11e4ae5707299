"""Rows that the embedded store has in mind are always those of its file."""

import json
import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from shared.errors import StorageConflict, StorageError, StorageRefused, StorageUnavailable
from shared.storage import known_rows
from shared.storage.known_rows import KnownRow, KnownRows
from shared.storage.limits import MAX_STRING_UNITS
from shared.storage.ports import Change, Delete, Insert, Merge, Page, Replace, Row, Scalar, Table, Upsert
from shared.storage.sqlite import SqliteTables

pytestmark = pytest.mark.timeout(60)

KEYS = ("a", "b", "c", "d")


def stored(folder: Path, key: str) -> tuple[str, dict[str, object]] | None:
    """As another program reads it."""
    with closing(sqlite3.connect(folder / "tables.db")) as connection:
        found = connection.execute("SELECT etag, cols FROM rows WHERE key = ?", (key,)).fetchone()
    return found and (found[0], json.loads(found[1]))


def shown(row: Row | None) -> tuple[str, dict[str, object]] | None:
    return row and (row.etag, dict(row.values))


def change_of(dice: random.Random, key: str, etag: str | None) -> Change:
    """One of any kind; its etag may be an old one, and its column one that makes the whole row too large."""
    columns: dict[str, Scalar] = {dice.choice(("n", "m")): dice.choice((1, 2.5, True, "text", "é"))}
    if dice.random() < 0.1:
        columns = {f"c{dice.randrange(40)}": "x" * (MAX_STRING_UNITS - 1)}
    changes = (Insert(key, columns), Upsert(key, columns), Replace(key, columns, etag), Delete(key, etag))
    return dice.choice((*changes, Merge(key, columns), Merge(key, columns, etag)))


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_read_is_what_is_stored(tmp_path: Path, seed: int) -> None:
    """After any writes, those that fail among them, and alone or with others in a transaction."""
    dice = random.Random(seed)
    tables = SqliteTables(tmp_path)
    table = tables.table("things")
    seen: dict[str, list[str]] = {key: ["0.0"] for key in KEYS}
    failed = 0
    for _ in range(200):
        keys = dice.sample(KEYS, dice.choice((1, 1, 2, 3)))
        changes = [change_of(dice, key, dice.choice((None, *seen[key][-2:]))) for key in keys]
        try:
            etags = await table.write("p", changes)
        except StorageError:
            failed += 1
        else:
            for key, etag in zip(keys, etags, strict=True):
                seen[key] += [etag] if etag else []
        for key in dice.sample(KEYS, 2):
            assert shown(await table.read("p", key)) == stored(tmp_path, key)
    assert 20 < failed < 180
    await tables.aclose()


@pytest.mark.parametrize("kind", [Insert, Upsert, Replace, Merge])
@pytest.mark.parametrize("columns", [None, ("n",)], ids=["all", "some"])
async def test_values_that_a_caller_changes(
    tmp_path: Path, kind: type[Insert | Upsert | Replace | Merge], columns: tuple[str, ...] | None
) -> None:
    """Who changes what it has written or read changes no row, and nothing that others read."""
    tables = SqliteTables(tmp_path)
    table = tables.table("things")
    if kind in (Replace, Merge):
        await table.write("p", [Insert("k", {"n": 0})])
    written: dict[str, Scalar] = {"n": 1}
    await table.write("p", [kind("k", written)])
    written["n"] = 2
    for _ in range(2):
        row = await table.read("p", "k", columns=columns)
        assert row is not None
        assert row.values == {"n": 1}
        cast("dict[str, Scalar]", row.values)["n"] = 3
    assert shown(await table.read("p", "k")) == stored(tmp_path, "k")
    await tables.aclose()


async def conflicting(table: Table, changes: Sequence[Change]) -> None:
    with pytest.raises(StorageConflict):
        await table.write("p", changes)


async def test_a_row_that_another_program_has_changed(tmp_path: Path) -> None:
    """Nobody may do that while the app runs. A write meets it all the same, and from then on it is known."""
    tables = SqliteTables(tmp_path)
    table = tables.table("things")
    (etag,) = await table.write("p", [Insert("k", {"n": 1})])
    await table.write("p", [Insert("gone", {"n": 1})])
    with closing(sqlite3.connect(tmp_path / "tables.db")) as other, other:
        other.execute("""UPDATE rows SET etag = 'other', cols = '{"n": 2, "m": 2}' WHERE key = 'k'""")
        other.execute("DELETE FROM rows WHERE key = 'gone'")
    await conflicting(table, [Merge("gone", {"n": 3})])
    await conflicting(table, [Merge("k", {"n": 3}, etag)])
    assert shown(await table.read("p", "k")) == ("other", {"n": 2, "m": 2})
    await table.write("p", [Merge("k", {"n": 3})])
    assert (await table.read("p", "k")) is not None
    assert stored(tmp_path, "k") == shown(await table.read("p", "k"))
    await tables.aclose()


@pytest.mark.parametrize("refused", [["COMMIT"], ["COMMIT", "ROLLBACK"]], ids=" and ".join)
async def test_what_is_not_committed(tmp_path: Path, refused: list[str]) -> None:
    """Nobody sees it, also where it can be taken back only later."""
    tables = SqliteTables(tmp_path)
    table = tables.table("things")
    await table.write("p", [Insert("k", {"n": 1})])
    left = [*refused]

    def fail(action: int, what: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_TRANSACTION and what in left:
            left.remove(what)
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    connection: sqlite3.Connection = tables._writer._rows.connection  # pyright: ignore[reportPrivateUsage]
    connection.set_authorizer(fail)
    with pytest.raises(StorageUnavailable):
        await table.write("p", [Merge("k", {"n": 2})])
    assert left == []
    for read in (table.read("p", "k"), table.page("p", lower="a", upper="z"), table.read("p", "k")):
        found = await read
        row = found.rows[0] if isinstance(found, Page) else found
        assert shown(row) == stored(tmp_path, "k") == ("1.1", {"n": 1})
    await table.write("p", [Merge("k", {"n": 3})])
    assert shown(await table.read("p", "k")) == stored(tmp_path, "k")
    await tables.aclose()


async def test_a_row_that_is_too_large_is_as_it_was(tmp_path: Path) -> None:
    """A merge that is refused leaves what is known alone."""
    tables = SqliteTables(tmp_path)
    table = tables.table("things")
    await table.write("p", [Insert("k", {"n": 1})])
    wide: Sequence[Change] = [Merge("k", {f"c{n}": n for n in range(252)})]
    with pytest.raises(StorageRefused):
        await table.write("p", wide)
    assert shown(await table.read("p", "k")) == stored(tmp_path, "k")
    await tables.aclose()


def test_they_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """By bytes: the first ones go, and a row that is larger than all of the room is never kept."""
    monkeypatch.setattr(known_rows, "_ROW_BYTES", 0)
    rows = KnownRows(most=50 * known_rows._CHARACTER_BYTES)  # pyright: ignore[reportPrivateUsage]

    def add(key: str, length: int) -> None:
        place = ("t", "p", key)
        rows.note(KnownRow(place, "e", {"n": key}, "x" * length), place)
        rows.commit()

    for number in range(10):
        add(f"k{number}", 10)
    add("k9", 10)
    add("large", 51)
    known = [number for number in range(10) if rows.committed(("t", "p", f"k{number}"))]
    assert known == [5, 6, 7, 8, 9]
    assert rows.committed(("t", "p", "large")) is None


def test_values_that_a_file_would_not_give_back() -> None:
    """A kind of text or number of its own comes back from the file as a plain one, so such a row is not kept."""

    class Text(str):
        __slots__ = ()

    rows, place = KnownRows(), ("t", "p", "k")
    rows.note(KnownRow(place, "e", {"n": Text("x")}, '{"n":"x"}'), place)
    rows.commit()
    assert rows.committed(place) is None
