"""Calls of the embedded store on the event loop's thread: until they hold others up, and never for long at once."""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from shared.storage import sqlite as store
from shared.storage.loop_calls import LoopCalls, run_delay
from shared.storage.ports import Change, Insert, Merge, Table
from shared.storage.sqlite import SqliteTables
from shared.storage.sqlite_rows import read_range, read_row
from tests.support.clock import ManualClock

pytestmark = pytest.mark.timeout(60)


def lasting(clock: ManualClock, seconds: float) -> Callable[[], object]:
    return lambda: clock.pass_by(seconds=seconds)


@pytest.mark.parametrize(
    ("lengths", "are_made"),
    [
        ([0.051], False),
        ([0.049], True),
        ([0.006] * 8, True),
        ([0.006] * 9, False),
        ([0.004] * 2000, True),
        ([0.03, *[0.0] * 1000, 0.03], True),
        ([0.03, *[0.0] * 900, 0.03], False),
    ],
)
def test_when_calls_are_too_long(caplog: pytest.LogCaptureFixture, lengths: list[float], are_made: bool) -> None:
    """Those above 5 ms have 50 ms among a thousand; then no more are made, for good, which is said once."""
    clock = ManualClock()
    calls = LoopCalls(clock, starved=lambda: 0.0)
    with caplog.at_level(logging.WARNING):
        for length in lengths:
            calls.make(lasting(clock, length))
        assert calls.are_made is are_made
        calls.make(lasting(clock, 1.0))
        calls.make(lasting(clock, 1.0))
    assert not calls.are_made
    assert [record.__dict__["event"] for record in caplog.records] == ["store_in_threads"]


def test_a_machine_that_is_busy(tmp_path: Path) -> None:
    """Time for which the thread was ready and others ran says nothing of the disk."""
    clock = ManualClock()
    calls = LoopCalls(clock, starved=lambda: clock.monotonic() * 0.999)
    for _ in range(100):
        calls.make(lasting(clock, 1.0))
    assert calls.are_made
    assert run_delay() <= run_delay()


async def test_others_have_their_turn() -> None:
    """Who makes one call after the other lets the loop go on now and then, by their number and by time."""
    clock = ManualClock()
    calls = LoopCalls(clock, starved=lambda: 0.0)
    turns: list[int] = []

    async def count() -> None:
        while True:
            turns[-1] += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    for length in (0.0, 0.002):
        turns.append(0)
        for _ in range(320):
            await calls.take_turn()
            calls.make(lasting(clock, length))
    counting.cancel()
    assert 5 <= turns[0] <= 20
    assert 60 <= turns[1] <= 200


class Spied(LoopCalls):
    """It knows who has made calls."""

    def __init__(self) -> None:
        super().__init__(ManualClock())
        self.made = 0

    def make(self, call, *arguments, **named):  # type: ignore[no-untyped-def]
        assert threading.current_thread() is threading.main_thread()
        self.made += 1
        return super().make(call, *arguments, **named)


@asynccontextmanager
async def opened(folder: Path) -> AsyncGenerator[tuple[Table, Spied]]:
    calls = Spied()
    tables = SqliteTables(folder, calls=calls)
    yield tables.table("things"), calls
    await tables.aclose()


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that have read to the end, in turn."""
    names: list[str] = []

    def noted(read):  # type: ignore[no-untyped-def]
        def spied(*arguments, **named):  # type: ignore[no-untyped-def]
            found = read(*arguments, **named)
            names.append(threading.current_thread().name)
            return found

        return spied

    monkeypatch.setattr(store, "read_row", noted(read_row))
    monkeypatch.setattr(store, "read_range", noted(read_range))
    return names


async def test_small_calls_cross_to_no_thread(tmp_path: Path, readers: list[str]) -> None:
    """Transactions of one turn of the loop are one call, and one commit; a page is one, and a known row none."""
    async with opened(tmp_path) as (table, calls):
        await asyncio.gather(*(table.write("p", [Insert(f"k{n}", {}), Insert(f"l{n}", {})]) for n in range(20)))
        assert calls.made == 1
        assert await table.read("p", "k1") == await table.read("p", "k1")
        assert calls.made == 1
        await table.page("p", lower="k", upper="l")
        assert calls.made == 2
    async with opened(tmp_path) as (table, calls):
        assert await table.read("p", "k1") == await table.read("p", "k1")
        assert calls.made == 1
    assert readers == ["MainThread"]


async def test_large_calls_go_to_a_thread(tmp_path: Path, readers: list[str]) -> None:
    """A long page and a large transaction keep nobody waiting; many small ones are spread over turns."""
    rows: list[Change] = [Insert(f"k{n:02}", {"text": "x" * 2000}) for n in range(70)]
    async with opened(tmp_path) as (table, calls):
        await table.write("p", rows)
        assert calls.made == 0
        assert len((await table.page("p", lower="", upper="~")).rows) == 70
        assert len((await table.page("p", lower="", upper="~", limit=10)).rows) == 10
        assert [name.rpartition("_")[0] or name for name in readers] == ["sqlite-read", "MainThread"]
        calls.made = 0
        await asyncio.gather(*(table.write(f"p{n}", rows[:20]) for n in range(18)))
        assert calls.made == 3


async def test_another_program_has_it_locked(tmp_path: Path) -> None:
    """A thread waits for it, for some seconds; the loop goes on, with reads too."""
    async with opened(tmp_path) as (table, _):
        await table.write("p", [Insert("k", {"n": 1})])
        with closing(sqlite3.connect(tmp_path / "tables.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            write = asyncio.create_task(table.write("p", [Merge("k", {"n": 2})]))
            for _ in range(20):
                await asyncio.sleep(0.001)
                row = await table.read("p", "k")
                assert row is not None
                assert row.values["n"] == 1
            assert not write.done()
            other.execute("ROLLBACK")
        await write
        row = await table.read("p", "k")
        assert row is not None
        assert row.values["n"] == 2


async def test_the_log_goes_into_the_file(tmp_path: Path) -> None:
    """Beside the writes; then it begins anew instead of growing."""
    file, log = tmp_path / "tables.db", tmp_path / "tables.db-wal"
    async with opened(tmp_path) as (table, _):
        for part in range(3):
            for number in range(40):
                await table.write("p", [Insert(f"{part}-{number}-{n}", {"text": "x" * 3000}) for n in range(20)])
            while file.stat().st_size < part * 2_000_000 + 1_000_000:  # noqa: ASYNC110 - SQLite tells nobody
                await asyncio.sleep(0.01)
        assert log.stat().st_size < file.stat().st_size
    assert not log.exists()


async def test_a_close_waits_for_what_was_handed_in(tmp_path: Path) -> None:
    """In the same turn of the loop; and what comes later is refused."""
    tables = SqliteTables(tmp_path)
    table = tables.table("things")
    writes = [asyncio.create_task(table.write("p", [Insert(f"k{n}", {})])) for n in range(300)]
    await asyncio.sleep(0)
    await tables.aclose()
    assert len(await asyncio.gather(*writes)) == 300
