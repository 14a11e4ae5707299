"""The table port, on every store: what one holds to, all hold to."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.errors import (
    StorageAnswerLost,
    StorageConflict,
    StorageRefused,
    StorageUnavailable,
)
from shared.storage.ports import Change, Delete, Insert, Merge, Replace, Row, Scalar, Table, Upsert
from shared.storage.writes import WRITE_ID, write_once
from tests.support.faults import Fault, FaultyTable

pytestmark = [
    pytest.mark.parametrize(
        "store", ["sqlite", "sqlite-empty-pages", "sqlite-threads", "azurite", "azurite-sdk"], indirect=True
    ),
    pytest.mark.timeout(60),
]


async def collect(table: Table, lower: str, upper: str, *, limit: int = 1000, partition: str = "p") -> list[Row]:
    """All rows of a range. Fails when the pages do not end."""
    rows: list[Row] = []
    continuation: str | None = None
    for _ in range(100):
        page = await table.page(partition, lower=lower, upper=upper, limit=limit, continuation=continuation)
        assert len(page.rows) <= limit
        rows += page.rows
        continuation = page.continuation
        if continuation is None:
            return rows
    raise AssertionError("100 pages and no end")


async def etag_of(table: Table, key: str) -> str:
    row = await table.read("p", key)
    assert row is not None
    return row.etag


async def values_of(table: Table, key: str) -> dict[str, Scalar] | None:
    row = await table.read("p", key)
    return None if row is None else dict(row.values)


# Kinds of change


@pytest.mark.parametrize("together", [False, True], ids=["alone", "in a transaction"])
class TestChanges:
    """A row `old` with a=1, b=1 is there; `stale` is an etag it no longer has."""

    @pytest.fixture
    async def stale(self, table: Table) -> str:
        (etag,) = await table.write("p", [Insert("old", {"a": 0})])
        await table.write("p", [Replace("old", {"a": 1, "b": 1})])
        assert etag is not None
        return etag

    async def write(self, table: Table, change: Change, together: bool) -> str | None:
        """The change's etag; in a transaction it stands between two others."""
        if not together:
            return (await table.write("p", [change]))[0]
        answers = await table.write("p", [Upsert("0", {}), change, Upsert("z", {})])
        assert len(answers) == 3
        return answers[1]

    async def refused(self, table: Table, change: Change, together: bool) -> None:
        """The change is a conflict, says which one it is, and leaves everything as it was."""
        with pytest.raises(StorageConflict) as caught:
            await self.write(table, change, together)
        assert caught.value.index == (1 if together else 0)
        assert await values_of(table, "old") == {"a": 1, "b": 1}
        assert [row.key for row in await collect(table, "", "~")] == ["old"]

    async def test_insert(self, table: Table, stale: str, together: bool) -> None:
        """An insert makes the row and gives the etag it is read with."""
        etag = await self.write(table, Insert("new", {"a": 2}), together)
        assert await table.read("p", "new") == Row("p", "new", {"a": 2}, etag or "")

    async def test_insert_of_what_exists(self, table: Table, stale: str, together: bool) -> None:
        """An insert of a key that exists is a conflict."""
        await self.refused(table, Insert("old", {"a": 2}), together)

    @pytest.mark.parametrize("matching", [False, True], ids=["any etag", "its etag"])
    async def test_merge(self, table: Table, stale: str, together: bool, matching: bool) -> None:
        """A merge sets its columns, keeps the others and changes the etag."""
        before = await etag_of(table, "old")
        etag = await self.write(table, Merge("old", {"b": 2, "c": 3}, before if matching else None), together)
        assert await table.read("p", "old") == Row("p", "old", {"a": 1, "b": 2, "c": 3}, etag or "")
        assert etag != before

    @pytest.mark.parametrize("matching", [False, True], ids=["any etag", "its etag"])
    async def test_replace(self, table: Table, stale: str, together: bool, matching: bool) -> None:
        """A replacement sets exactly its columns."""
        before = await etag_of(table, "old")
        etag = await self.write(table, Replace("old", {"c": 3}, before if matching else None), together)
        assert await table.read("p", "old") == Row("p", "old", {"c": 3}, etag or "")
        assert etag != before

    @pytest.mark.parametrize("matching", [False, True], ids=["any etag", "its etag"])
    async def test_delete(self, table: Table, stale: str, together: bool, matching: bool) -> None:
        """A deletion removes the row and answers None."""
        before = await etag_of(table, "old")
        assert await self.write(table, Delete("old", before if matching else None), together) is None
        assert await table.read("p", "old") is None

    @pytest.mark.parametrize("key", ["old", "new"])
    async def test_upsert(self, table: Table, stale: str, together: bool, key: str) -> None:
        """An upsert leaves exactly its columns, whatever was there."""
        etag = await self.write(table, Upsert(key, {"c": 3}), together)
        assert await table.read("p", key) == Row("p", key, {"c": 3}, etag or "")

    @pytest.mark.parametrize("kind", [Merge, Replace, Delete])
    async def test_stale_etag(
        self, table: Table, stale: str, together: bool, kind: type[Merge] | type[Replace] | type[Delete]
    ) -> None:
        """A change that asks for an etag the row no longer has is a conflict."""
        change = Delete("old", stale) if kind is Delete else kind("old", {"a": 9}, stale)  # type: ignore[call-arg]
        await self.refused(table, change, together)

    @pytest.mark.parametrize("change", [Merge("gone", {"a": 9}), Replace("gone", {"a": 9}), Delete("gone")])
    async def test_missing_row(self, table: Table, stale: str, together: bool, change: Change) -> None:
        """A change of a row that is not there is a conflict, deletions included."""
        await self.refused(table, change, together)


async def test_missing_table(table: Table) -> None:
    """A table nothing was written to has no rows, and its first change may be any."""
    assert await table.read("p", "k") is None
    assert await collect(table, "", "~") == []
    with pytest.raises(StorageConflict):
        await table.write("p", [Delete("k")])


async def test_transaction_of_all_kinds(table: Table) -> None:
    """All kinds of change go together; a deletion answers None, the others the etag they are read with."""
    await table.write("p", [Insert(key, {"n": 1}) for key in "mrd"])
    etags = await table.write(
        "p", [Insert("i", {}), Merge("m", {"x": 1}), Replace("r", {}), Upsert("u", {}), Delete("d")]
    )
    assert [etag is None for etag in etags] == [False, False, False, False, True]
    for key, etag in zip("imru", etags, strict=False):
        assert await etag_of(table, key) == etag


async def test_a_hundred_changes(table: Table) -> None:
    """A transaction holds a hundred changes."""
    await table.write("p", [Insert(f"{n:03}", {"n": n}) for n in range(100)])
    assert [row.values["n"] for row in await collect(table, "", "~")] == list(range(100))


async def test_one_winner(table: Table) -> None:
    """Of two writers holding one etag exactly one wins, and the other learns of it."""
    (etag,) = await table.write("p", [Insert("k", {"n": 0})])
    for number in range(5):
        outcomes = await asyncio.gather(
            *(table.write("p", [Merge("k", {"n": number, "by": by}, etag)]) for by in range(2)), return_exceptions=True
        )
        won = [at for at, outcome in enumerate(outcomes) if isinstance(outcome, tuple)]
        lost = [outcome for outcome in outcomes if isinstance(outcome, StorageConflict)]
        assert (len(won), len(lost)) == (1, 1)
        row = await table.read("p", "k")
        assert row is not None
        assert row.values == {"n": number, "by": won[0]}
        etag = row.etag


async def test_etags_do_not_come_back(table: Table) -> None:
    """A row made anew does not get the etag of the one that was deleted."""
    (first,) = await table.write("p", [Insert("k", {})])
    await table.write("p", [Delete("k")])
    (second,) = await table.write("p", [Insert("k", {})])
    assert first != second


# Values


async def test_values_come_back_as_they_were(table: Table) -> None:
    """Text, integers of 64 bits, floats and booleans keep value and type; look-alikes of other types stay text."""
    values: dict[str, Scalar] = {
        "empty": "",
        "text": "ünï'\"\\ 😀 \u2028 日本 \n\t",
        "date": "2026-01-01T00:00:00.1234567Z",
        "guid": "c9da6455-213d-42c9-9a79-3e9149a57833",
        "number": "17",
        "truth": "true",
        "zero": 0,
        "small": -(2**63),
        "large": 2**63 - 1,
        "medium": 2**31,
        "yes": True,
        "no": False,
        "whole": 1.0,
        "tenth": 0.1,
        "huge": 1.7976931348623157e308,
        "tiny": 5e-324,
        "negative": -2.5,
    }
    await table.write("p", [Insert("k", values)])
    row = await table.read("p", "k")
    assert row is not None
    assert row.values == values
    assert {name: type(value) for name, value in row.values.items()} == {
        name: type(value) for name, value in values.items()
    }
    (paged,) = await collect(table, "k", "l")
    assert paged == row


@pytest.mark.parametrize("key", ["o!ünï 日本", "a'b''c", "50%20+x:y;z,@&=$", "k" * 512, ""])
async def test_keys_that_need_quoting(table: Table, key: str) -> None:
    """Keys with characters that URLs and filters treat specially work everywhere, in both places."""
    await table.write(key, [Insert(key, {"n": 1})])
    await table.write(key, [Merge(key, {"n": 2}), Insert("x", {})])
    row = await table.read(key, key)
    assert row is not None
    assert (row.partition, row.key, row.values) == (key, key, {"n": 2})
    assert [found.key for found in await collect(table, key, key + "!", partition=key)] == [key]
    await table.write(key, [Delete(key, row.etag)])
    assert await table.read(key, key) is None


async def test_selected_columns(table: Table) -> None:
    """Only the columns asked for come back, absent ones are left out, and key and etag are always there."""
    (etag,) = await table.write("p", [Insert("k", {"a": 1, "b": 2})])
    for columns, expected in [(["a", "zz"], {"a": 1}), ([], {})]:
        wanted = Row("p", "k", expected, etag or "")
        assert await table.read("p", "k", columns=columns) == wanted
        page = await table.page("p", lower="k", upper="l", columns=columns)
        while not page.rows:
            page = await table.page("p", lower="k", upper="l", columns=columns, continuation=page.continuation)
        assert page.rows == (wanted,)


# Pages


async def test_more_rows_than_a_page_holds(table: Table) -> None:
    """Pages hold at most 1000 rows, come in key order, and leave nothing out and give nothing twice."""
    keys = [f"l!{n:05}" for n in range(1050)]
    shuffled = sorted(keys, key=lambda key: key[::-1])
    await asyncio.gather(
        *(table.write("p", [Insert(key, {}) for key in shuffled[at : at + 100]]) for at in range(0, 1050, 100))
    )
    first = await table.page("p", lower="l!", upper='l"', limit=5000)
    assert len(first.rows) in {0, 1000}
    assert first.continuation is not None
    assert [row.key for row in await collect(table, "l!", 'l"')] == keys


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
async def test_small_pages(table: Table, limit: int) -> None:
    """Any page size walks through the range, whose last page has no continuation."""
    await table.write("p", [Insert(f"k{n}", {}) for n in range(6)])
    assert [row.key for row in await collect(table, "k1", "k5", limit=limit)] == ["k1", "k2", "k3", "k4"]


async def test_prefix_range(table: Table) -> None:
    """From `l!` to `l"` is exactly what begins with `l!`: the bounds are in and out, case and partition count."""
    keys = ["k!~", "l", "l ", "l!", "l!a", "l!~ü", 'l"', "l#"[:1] + "$", "la", "L!a", "m"]
    await table.write("p", [Insert(key, {}) for key in keys])
    await table.write("q", [Insert("l!other", {})])
    assert [row.key for row in await collect(table, "l!", 'l"')] == ["l!", "l!a", "l!~ü"]


async def test_empty_ranges(table: Table) -> None:
    """A range without rows ends."""
    await table.write("p", [Insert("k", {})])
    assert await collect(table, "x", "y") == []
    assert await collect(table, "k", "k") == []


async def test_empty_pages_continue(table: Table, store: str) -> None:
    """A store may answer with an empty page that continues; the SQLite variant shows that callers meet it."""
    await table.write("p", [Insert("k", {})])
    page = await table.page("p", lower="k", upper="l")
    assert (not page.rows and page.continuation is not None) == (store == "sqlite-empty-pages")


# Limits


def changes(count: int) -> list[Change]:
    return [Insert(f"k{n}", {}) for n in range(count)]


LIMITS: dict[str, Sequence[Change]] = {
    "slash in a key": [Insert("a/b", {})],
    "backslash in a key": [Insert("a\\b", {})],
    "hash in a key": [Insert("a#b", {})],
    "question mark in a key": [Insert("a?b", {})],
    "tab in a key": [Delete("a\tb")],
    "U+0080 in a key": [Insert("a\u0080b", {})],
    "key of 513 units": [Insert("k" * 513, {})],
    "key of 257 emoji": [Insert("😀" * 257, {})],
    "no change": [],
    "101 changes": changes(101),
    "one key twice": [Insert("k", {}), Merge("k", {"a": 1})],
    "long string": [Insert("k", {"a": "x" * 32769})],
    "long string of emoji": [Insert("k", {"a": "😀" * 16385})],
    "large row": [Insert("k", {f"a{n}": "x" * 32000 for n in range(17)})],
    "large transaction": [Insert(f"k{n}", {f"a{m}": "é" * 30000 for m in range(8)}) for n in range(4)],
    "253 columns": [Insert("k", {f"a{n}": 1 for n in range(253)})],
    "column that is no identifier": [Insert("k", {"a-b": 1})],
    "column of 256 characters": [Insert("k", {"a" * 256: 1})],
    "system column": [Insert("k", {"Timestamp": "x"})],
    "large integer": [Insert("k", {"a": 2**63})],
    "not a number": [Insert("k", {"a": float("nan")})],
    "infinity": [Insert("k", {"a": float("inf")})],
    "lone surrogate": [Insert("k", {"a": "\ud800"})],
    "None": [Insert("k", {"a": None})],  # type: ignore[dict-item]
    "bytes": [Insert("k", {"a": b"x"})],  # type: ignore[dict-item]
}


@pytest.mark.parametrize("case", LIMITS)
async def test_limits(table: Table, case: str) -> None:
    """What Azure Tables does not hold is refused by every store, and nothing of it is kept."""
    with pytest.raises(StorageRefused):
        await table.write("p", LIMITS[case])
    assert await collect(table, "", "~") == []


async def test_largest_that_fits(table: Table) -> None:
    """A string of 32 Ki units, a column name of 255 characters and 252 columns are held."""
    values: dict[str, Scalar] = {"s": "x" * 32768, "n" * 255: 1, **{f"a{n}": n for n in range(250)}}
    await table.write("p", [Insert("k", values)])
    assert await values_of(table, "k") == values


async def test_refusals_do_not_tell_values(table: Table) -> None:
    """A refusal names the key and the column and keeps the value to itself."""
    with pytest.raises(StorageRefused) as caught:
        await table.write("p", [Insert("row1", {"secret": "hunter2" * 10000})])
    assert "row1" in str(caught.value)
    assert "secret" in str(caught.value)
    assert "hunter2" not in str(caught.value)


# Lost answers


@pytest.mark.parametrize(
    "faults", [[], ["lost-after"], ["lost-before"], ["lost-before", "lost-after"], ["sent-twice"]], ids=repr
)
@pytest.mark.parametrize("kind", ["insert", "merge", "replace", "upsert", "transaction"])
async def test_write_once(table: Table, kind: str, faults: list[Fault]) -> None:
    """Whatever gets lost, the write is done exactly once and the caller gets its row's etag."""
    await table.write("p", [Insert("old", {"a": 1}), Insert("doomed", {})])
    etag = await etag_of(table, "old")
    kinds: dict[str, list[Change]] = {
        "insert": [Insert("new", {"n": 1})],
        "merge": [Merge("old", {"n": 1}, etag)],
        "replace": [Replace("old", {"n": 1}, etag)],
        "upsert": [Upsert("new", {"n": 1})],
        "transaction": [Delete("doomed"), Merge("old", {"n": 1}, etag), Insert("new", {"n": 1})],
    }
    faulty = FaultyTable(table, list(faults))
    written = kinds[kind]
    etags = await write_once(faulty, "p", written, sleep=lambda _: asyncio.sleep(0))
    anchor = 1 if kind == "transaction" else 0
    row = await table.read("p", written[anchor].key)
    assert row is not None
    assert row.values["n"] == 1
    assert etags[anchor] == row.etag
    assert len(etags) == len(written)
    assert all(columns == [WRITE_ID] for columns in faulty.reads)


async def test_write_once_sees_others(table: Table) -> None:
    """A conflict with somebody else's write is a conflict, at once and after a lost answer."""
    await write_once(table, "p", [Insert("k", {"by": "other"})])
    with pytest.raises(StorageConflict) as caught:
        await write_once(table, "p", [Insert("x", {}), Insert("k", {"by": "us"})])
    assert caught.value.index == 1
    faulty = FaultyTable(table, ["lost-before"])
    with pytest.raises(StorageConflict):
        await write_once(faulty, "p", [Insert("k", {"by": "us"})], sleep=lambda _: asyncio.sleep(0))
    row = await table.read("p", "k")
    assert row is not None
    assert row.values["by"] == "other"


async def test_write_once_gives_up(table: Table) -> None:
    """Three answers lost and nothing done is StorageUnavailable; a row that cannot be read leaves it open."""
    lost = FaultyTable(table, ["lost-before"] * 3)
    with pytest.raises(StorageUnavailable):
        await write_once(lost, "p", [Insert("k", {})], sleep=lambda _: asyncio.sleep(0))
    assert lost.writes == 3
    with pytest.raises(StorageAnswerLost):
        await write_once(FaultyTable(table, ["lost-after"], unreadable=True), "p", [Insert("k", {})])


async def test_write_once_needs_a_row(table: Table) -> None:
    """Deletes alone leave no row to read the write id from."""
    with pytest.raises(ValueError, match="Delete"):
        await write_once(table, "p", [Delete("k")])
