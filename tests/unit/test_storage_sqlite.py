"""The embedded table store: what survives a crash, who may open it, and what callers do to each other."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from shared.actions import ActionContext, action
from shared.errors import SettingsError, StorageConflict, StorageUnavailable, StorageUnusable
from shared.model.operation import SCHEMA_VERSION
from shared.storage.ports import Insert, Merge, Upsert
from shared.storage.sqlite import SqliteTables
from tests.support.parts import World, sqlite

pytestmark = pytest.mark.timeout(60)
ROOT = Path(__file__).parent.parent.parent

WRITE_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from shared.storage.ports import Insert
from shared.storage.sqlite import SqliteTables

async def write(table, caller):
    for number in range(10**6):
        key = f"{caller}-{number}"
        await table.write("p", [Insert(f"a{key}", {"n": number}), Insert(f"b{key}", {"n": number})])
        sys.stdout.write(key + "\\n")
        sys.stdout.flush()

async def main():
    table = SqliteTables(Path(sys.argv[1])).table("things")
    await asyncio.gather(*(write(table, caller) for caller in range(8)))

asyncio.run(main())
"""


def start(script: str, directory: Path) -> "subprocess.Popen[str]":
    line = [sys.executable, "-c", script, str(directory)]
    return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


async def test_kill_in_the_middle_of_writes(tmp_path: Path) -> None:
    """After `kill -9` every acknowledged transaction is there, none is there by half, and the directory is free."""
    process = start(WRITE_UNTIL_KILLED, tmp_path)
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(500)]
    os.kill(process.pid, signal.SIGKILL)
    rest, _ = process.communicate()
    acknowledged += rest.split("\n")[:-1]  # a torn last line was not read by anybody
    tables = SqliteTables(tmp_path)
    table = tables.table("things")
    rows: list[str] = []
    continuation = None
    while True:
        page = await table.page("p", lower="", upper="~", continuation=continuation)
        rows += [row.key for row in page.rows]
        if (continuation := page.continuation) is None:
            break
    await tables.aclose()
    assert {"a" + key for key in acknowledged} <= set(rows)
    assert {key[1:] for key in rows if key[0] == "a"} == {key[1:] for key in rows if key[0] == "b"}


def test_second_process(tmp_path: Path) -> None:
    """A second process on one DATA_DIR is refused, and told which directory and which process."""
    process = start(WRITE_UNTIL_KILLED, tmp_path)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(StorageUnusable) as caught:
            SqliteTables(tmp_path)
        assert str(tmp_path) in str(caught.value)
        assert str(process.pid) in str(caught.value)
    finally:
        process.kill()
        process.communicate()


async def test_closing_frees_the_directory(tmp_path: Path) -> None:
    """A closed store can be opened again, holds what was written, and takes no more calls."""
    first = SqliteTables(tmp_path)
    table = first.table("things")
    (etag,) = await table.write("p", [Insert("k", {"n": 1})])
    await first.aclose()
    await first.aclose()
    with pytest.raises(StorageUnavailable):
        await table.read("p", "k")
    with pytest.raises(StorageUnavailable):
        await table.write("p", [Insert("x", {})])
    second = SqliteTables(tmp_path)
    row = await second.table("things").read("p", "k")
    assert row is not None
    assert row.etag == etag
    assert await second.table("others").read("p", "k") is None
    (newer,) = await second.table("things").write("p", [Upsert("k", {"n": 1})])
    assert newer != etag
    await second.aclose()


async def test_a_conflict_leaves_its_neighbours_alone(tmp_path: Path) -> None:
    """Transactions that share a commit do not share failures."""
    tables = SqliteTables(tmp_path)
    table = tables.table("things")
    await table.write("p", [Insert("taken", {})])
    outcomes = await asyncio.gather(
        *(table.write("p", [Insert(f"k{n}", {}), Insert("taken" if n % 2 else f"x{n}", {})]) for n in range(50)),
        return_exceptions=True,
    )
    for number, outcome in enumerate(outcomes):
        assert isinstance(outcome, StorageConflict) == bool(number % 2)
        assert (await table.read("p", f"k{number}") is None) == bool(number % 2)
    await tables.aclose()


async def test_cancelled_callers(tmp_path: Path) -> None:
    """Callers that are cancelled while they wait neither stop the writer nor fail the others."""
    tables = SqliteTables(tmp_path)
    table = tables.table("things")
    tasks = [asyncio.create_task(table.write("p", [Insert(f"k{n}", {})])) for n in range(100)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes] == [True, False] * 50
    assert await table.write("p", [Insert("last", {})])
    await tables.aclose()


def test_callers_of_a_loop_that_ended(tmp_path: Path) -> None:
    """A loop that ends with writes under way does not stop the writer for the next loop."""

    async def leave(tables: SqliteTables) -> None:
        task = asyncio.create_task(tables.table("things").write("p", [Upsert("k", {})]))
        await asyncio.sleep(0)
        task.cancel()

    async def use(tables: SqliteTables) -> None:
        await tables.table("things").write("p", [Upsert("k", {"n": 1})])
        await tables.aclose()

    tables = SqliteTables(tmp_path)
    asyncio.run(leave(tables))
    asyncio.run(use(tables))


async def test_merged_rows_are_limited(tmp_path: Path) -> None:
    """A merge may not make a row larger than a row may be."""
    from shared.errors import StorageRefused

    tables = SqliteTables(tmp_path)
    table = tables.table("things")
    await table.write("p", [Insert("k", {f"a{n}": n for n in range(200)})])
    with pytest.raises(StorageRefused):
        await table.write("p", [Merge("k", {f"b{n}": n for n in range(60)})])
    row = await table.read("p", "k")
    assert row is not None
    assert len(row.values) == 200
    await tables.aclose()


async def test_full_disk(tmp_path: Path) -> None:
    """When the database cannot grow, a write is StorageUnavailable, nothing of it is there, and reads go on."""
    tables = SqliteTables(tmp_path)
    table = tables.table("things")
    await table.write("p", [Insert("k", {})])
    writer: sqlite3.Connection = tables._writer._rows.connection  # the one way to fill a disk in a test
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(StorageUnavailable):
        await table.write("p", [Insert(f"x{n}", {"a": "x" * 30000}) for n in range(10)])
    assert await table.read("p", "x0") is None
    assert await table.read("p", "k") is not None
    writer.execute(f"PRAGMA max_page_count = {pages + 1000}")
    await table.write("p", [Insert(f"x{n}", {"a": "x" * 30000}) for n in range(10)])
    await tables.aclose()


async def test_a_file_of_an_older_schema(tmp_path: Path) -> None:
    """A file that another version wrote is refused though it has no operation, and its folder is let go; it stays."""
    with closing(sqlite3.connect(tmp_path / "tables.db")) as connection:
        connection.execute("CREATE TABLE rows (tab TEXT)")
    before = (tmp_path / "tables.db").read_bytes()
    for _ in range(2):
        with pytest.raises(SettingsError, match=r"written in schema 1, and this version reads schema \d+: .*DATA_DIR"):
            SqliteTables(tmp_path)
    assert (tmp_path / "tables.db").read_bytes() == before


async def test_a_new_file_is_numbered_before_anything_is_in_it(tmp_path: Path) -> None:
    """So a process that dies at its first start leaves a file that the next one takes."""
    await SqliteTables(tmp_path).aclose()
    with closing(sqlite3.connect(tmp_path / "tables.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    await SqliteTables(tmp_path).aclose()


async def test_a_finished_operation_takes_little_room(tmp_path: Path) -> None:
    """All its rows, their index and what the file wastes are 2.5 KB at most, without its payloads."""
    count = 400

    @action("test:work", post="thing:work")
    async def work(context: ActionContext) -> None:
        context.report_progress(percent=100)

    async with sqlite(tmp_path) as storage:
        world = World(storage, work)
        for _ in range(count):
            await world.run(await world.start())
    with closing(sqlite3.connect(tmp_path / "tables.db")) as connection:
        (left,) = connection.execute("SELECT count(*) FROM rows WHERE key LIKE 't!%!expire'").fetchone()
    assert left == count
    assert (tmp_path / "tables.db").stat().st_size <= 2560 * count


async def test_a_file_without_row_ids(tmp_path: Path) -> None:
    """A table as earlier versions made it, of the same columns, is used as it is."""
    await SqliteTables(tmp_path).aclose()
    with closing(sqlite3.connect(tmp_path / "tables.db")) as connection, connection:
        connection.executescript(
            "DROP TABLE rows; CREATE TABLE rows (tab TEXT NOT NULL, part TEXT NOT NULL, key TEXT NOT NULL,"
            " etag TEXT NOT NULL, cols TEXT NOT NULL, PRIMARY KEY (tab, part, key)) WITHOUT ROWID"
        )
    for number in (1, 2):
        tables = SqliteTables(tmp_path)
        await tables.table("things").write("p", [Upsert("k", {"n": number}), Insert(f"k{number}", {})])
        page = await tables.table("things").page("p", lower="k", upper="l")
        assert [row.key for row in page.rows] == ["k", "k1", "k2"][: number + 1]
        await tables.aclose()
