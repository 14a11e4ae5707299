"""A folder or file of the embedded store that cannot be used: said in one sentence, at the start and while it runs."""

import logging
import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from blueprints.housekeeping import run_pass
from shared.actions import ActionContext, action
from shared.actions.registry import Registry
from shared.composition import Application
from shared.contracts.http import Request, Response
from shared.endpoints.boundary import answer
from shared.errors import StorageUnavailable, StorageUnusable
from shared.model.operation import SCHEMA_VERSION
from shared.storage.factory import open_storage
from shared.storage.ports import Insert
from shared.storage.sqlite import SqliteTables
from tests.support.clock import ManualClock
from tests.support.mounts import make_read_only, mounted
from tests.support.parts import Faults, FaultyStorage, RecordingEngine, World, settings, sqlite

pytestmark = pytest.mark.timeout(60)

ASKED = Request(method="GET", url="http://127.0.0.1:7071/health", headers={}, route={}, query={}, body=b"")
DAMAGED = "restore it from a copy, or move it"
ANOTHER = "set DATA_DIR to"


async def fill(folder: Path, rows: int = 200) -> Path:
    """A closed store with some hundred kilobytes in it; its file."""
    storage = open_storage(settings(folder))
    table = storage.table("things")
    for number in range(rows):
        await table.write("p", [Insert(f"k{number}", {"text": "x" * 1000})])
    await storage.aclose()
    return folder / "tables.db"


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def foreign(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"CREATE TABLE songs (title TEXT); PRAGMA user_version = {version}")


def without_a_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM")


def of_a_table_of_the_same_name(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"CREATE TABLE rows (x, y); PRAGMA user_version = {SCHEMA_VERSION}")


def other(make: Callable[[Path], object]) -> Callable[[Path], object]:
    """In place of what was there."""

    def prepare(path: Path) -> None:
        path.unlink()
        make(path)

    return prepare


WAYS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a damaged header": (lambda path: overwrite(path, 0, b"\0" * 100), f"not a database; {DAMAGED}"),
    "a damaged page": (lambda path: overwrite(path, 3 * 4096, b"\xff" * 4096), f"is damaged .*{DAMAGED}"),
    "one damaged byte": (lambda path: overwrite(path, 5 * 4096, b"\xee"), f"damaged|malformed.*{DAMAGED}"),
    "cut off at a page": (lambda path: os.truncate(path, 8 * 4096), f"malformed; {DAMAGED}"),
    "cut off in a page": (lambda path: os.truncate(path, path.stat().st_size - 100), f"is cut off .*{DAMAGED}"),
    "cut off in its header": (lambda path: os.truncate(path, 50), DAMAGED),
    "empty": (lambda path: os.truncate(path, 0), f"is empty: .*{DAMAGED}"),
    "a text": (other(lambda path: path.write_text("Dear reader,\n" * 500)), f"not a database; {DAMAGED}"),
    "another program's": (other(lambda path: foreign(path, 0)), f"of another program: {ANOTHER}"),
    "another program's of our version": (other(lambda path: foreign(path, SCHEMA_VERSION)), "of another program"),
    "another program's with such a table": (other(of_a_table_of_the_same_name), "of another program"),
    "a database without a table": (other(without_a_table), "of another program"),
    "a folder": (other(lambda path: path.mkdir()), f"cannot be used: .*{ANOTHER}"),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_file_that_cannot_be_used(tmp_path: Path, way: str) -> None:
    """The start says which file, what is wrong and what to do; it changes nothing, and lets the folder go."""
    path = await fill(tmp_path)
    prepare, sentence = WAYS[way]
    prepare(path)
    before = path.read_bytes() if path.is_file() else None
    for _ in range(2):
        with pytest.raises(StorageUnusable, match=sentence) as refused:
            open_storage(settings(tmp_path))
        assert str(path) in str(refused.value)
        assert "\n" not in str(refused.value)
    assert (path.read_bytes() if path.is_file() else None) == before


async def test_a_file_that_is_put_back(tmp_path: Path) -> None:
    """After a refusal the copy that is put in its place is used as it is."""
    path = await fill(tmp_path, rows=1)
    content = path.read_bytes()
    os.truncate(path, 0)
    with pytest.raises(StorageUnusable):
        open_storage(settings(tmp_path))
    path.write_bytes(content)
    storage = open_storage(settings(tmp_path))
    assert await storage.table("things").read("p", "k0") is not None
    await storage.aclose()


async def test_a_first_start_that_died(tmp_path: Path) -> None:
    """What it had not finished is no store yet: the next start makes one."""
    (tmp_path / "tables.db.new").write_bytes(b"half")
    path = await fill(tmp_path, rows=1)
    assert sorted(os.listdir(tmp_path)) == ["blobs", "in-use-by", path.name]


async def test_what_a_killed_process_left_in_the_log(tmp_path: Path) -> None:
    """The file of a process that was killed lacks what is in its log: it is whole with it."""
    tables = SqliteTables(tmp_path / "first")
    for number in range(200):
        await tables.table("things").write("p", [Insert(f"k{number}", {"text": "x" * 1000})])
    copy = tmp_path / "second"
    copy.mkdir()
    for name in ("tables.db", "tables.db-wal"):
        (copy / name).write_bytes((tmp_path / "first" / name).read_bytes())
    await tables.aclose()
    tables = SqliteTables(copy)
    assert await tables.table("things").read("p", "k199") is not None
    await tables.aclose()


@pytest.mark.parametrize("place", [".", "..", "blobs", "blobs/.incoming", "in-use-by", "tables.db.new"])
def test_a_file_or_a_folder_that_is_in_the_way(tmp_path: Path, place: str) -> None:
    """Of the folder, of the one above it, and of what lies in it."""
    folder = tmp_path / "above" / "data"
    taken = Path(os.path.normpath(folder / place))
    taken.parent.mkdir(parents=True, exist_ok=True)
    taken.mkdir() if place in ("in-use-by", "tables.db.new") else taken.write_text("")
    with pytest.raises(StorageUnusable, match=f"cannot be used: .*{ANOTHER}"):
        open_storage(settings(folder))


@pytest.mark.parametrize("is_new", [True, False])
async def test_a_disk_that_is_read_only(tmp_path: Path, is_new: bool) -> None:
    """Nobody starts on it, whether a store is there already or not."""
    folder = tmp_path / "disk"
    with mounted(folder):
        if not is_new:
            await fill(folder, rows=1)
        make_read_only(folder)
        with pytest.raises(StorageUnusable, match=f"Read-only file system; .*{ANOTHER}"):
            open_storage(settings(folder))


async def test_blobs_on_a_disk_of_their_own_that_is_read_only(tmp_path: Path) -> None:
    """Rows could be written: it is refused nevertheless, and the folder is let go."""
    with mounted(tmp_path / "blobs"):
        await fill(tmp_path, rows=1)
        make_read_only(tmp_path / "blobs")
        for _ in range(2):
            with pytest.raises(StorageUnusable, match=f"Read-only file system; .*{ANOTHER}"):
                open_storage(settings(tmp_path))
    await open_storage(settings(tmp_path)).aclose()


@pytest.mark.parametrize("place", ["blobs/.staged", "upload-key", "upload-key.0123"])
async def test_what_is_in_the_way_of_blobs_in_a_store_that_is_there(tmp_path: Path, place: str) -> None:
    """A file for a folder or a folder for a file; once it is moved away, the same process can open the store."""
    await fill(tmp_path, rows=1)
    taken = tmp_path / place
    taken.write_text("") if place == "blobs/.staged" else taken.mkdir()
    for _ in range(2):
        with pytest.raises(StorageUnusable, match=f"{re.escape(str(taken))}.* cannot be used: .*{ANOTHER}"):
            open_storage(settings(tmp_path))
    taken.rename(tmp_path / "away")
    storage = open_storage(settings(tmp_path))
    assert await storage.table("things").read("p", "k0") is not None
    await storage.aclose()


def test_a_disk_that_is_full_at_the_start(tmp_path: Path) -> None:
    """Neither a store that is to be made nor one that is there can be opened without a little space."""
    folder = tmp_path / "disk"
    with mounted(folder, "size=1m"):
        (folder / "other").write_bytes(b"x" * 1024 * 1024)
        for _ in range(2):
            with pytest.raises(StorageUnusable, match=r"free some space on its disk|see whether its disk is full"):
                open_storage(settings(folder))
        (folder / "other").unlink()
        assert open_storage(settings(folder)).exclusive_since is not None


# While the app runs


async def refuses(storage_call: Callable[[], object]) -> str:
    with pytest.raises(StorageUnavailable) as refused:
        await storage_call()  # type: ignore[misc]
    return str(refused.value)


async def test_a_disk_that_becomes_full(tmp_path: Path) -> None:
    """Rows and blobs are refused with what to do, what is there can be read, and with some space all goes on."""
    folder = tmp_path / "disk"
    with mounted(folder, "size=4m"):
        storage = open_storage(settings(folder))
        table, container = storage.table("things"), storage.container("things")
        await table.write("p", [Insert("k", {})])
        left = os.statvfs(folder)
        (folder / "other").write_bytes(b"x" * (left.f_bavail - 4) * left.f_bsize)
        rows = [Insert(f"x{number}", {"text": "x" * 30000}) for number in range(20)]
        assert "free some space" in await refuses(lambda: table.write("p", rows))
        assert "free some space" in await refuses(lambda: container.put("b", b"x" * 100_000, content_type="a/b"))
        assert await table.read("p", "k") is not None
        (folder / "other").unlink()
        await table.write("p", rows)
        await container.put("b", b"x" * 100_000, content_type="a/b")
        await storage.aclose()


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_file_that_goes_away(tmp_path: Path, replaced: bool) -> None:
    """What SQLite would write to a file that was removed is lost: nothing is answered as written any more."""
    path = await fill(tmp_path, rows=1)
    content = path.read_bytes()
    storage = open_storage(settings(tmp_path))
    table = storage.table("things")
    assert await table.read("p", "k0") is not None
    path.unlink()
    if replaced:
        (tmp_path / "copy").write_bytes(content)
        (tmp_path / "copy").rename(path)
    for call in (lambda: table.read("p", "k0"), lambda: table.write("p", [Insert("new", {})])):
        assert "removed or replaced while the app runs" in await refuses(call)
    await storage.aclose()


async def test_a_folder_that_goes_away(tmp_path: Path) -> None:
    """What is known of its rows is not answered either, and it is said in the app's own words."""
    folder, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    await fill(folder, rows=1)
    storage = open_storage(settings(folder))
    table = storage.table("things")
    assert await table.read("p", "k0") is not None
    folder.rename(elsewhere)
    folder.write_text("in its place")
    for call in (lambda: table.read("p", "k0"), lambda: table.write("p", [Insert("new", {})])):
        assert "cannot be used" in await refuses(call)
    folder.unlink()
    elsewhere.rename(folder)
    assert await table.read("p", "k0") is not None
    await storage.aclose()


async def test_a_row_and_a_blob_that_are_damaged(tmp_path: Path) -> None:
    """They are StorageUnavailable, as a damaged page is, and leave all others alone."""
    await fill(tmp_path, rows=2)
    with closing(sqlite3.connect(tmp_path / "tables.db")) as connection, connection:
        connection.execute("UPDATE rows SET cols = '{\"text' WHERE key = 'k0'")
    storage = open_storage(settings(tmp_path))
    table, container = storage.table("things"), storage.container("things")
    await container.put("b", b"data", content_type="text/plain")
    (blob,) = (path for path in (tmp_path / "blobs").rglob("*") if path.is_file())
    for content in (b"", b"\xff\xfe\n", b"text\n"):
        blob.write_bytes(content)
        assert str(blob) in await refuses(lambda: container.info("b"))
    assert "restore DATA_DIR from a copy" in await refuses(lambda: table.read("p", "k0"))
    assert await table.read("p", "k1") is not None
    await storage.aclose()


async def test_what_an_app_says_of_its_store(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Requests are 503 with Retry-After, health says why, each in one line; when it is put right, all goes on."""
    path = await fill(tmp_path, rows=1)
    content = path.read_bytes()
    path.write_bytes(b"no database" * 1000)
    clock = ManualClock()
    application = Application(Registry(), settings=settings(tmp_path), clock=clock)
    with pytest.raises(StorageUnusable, match=r"tables\.db"):
        await application.open()

    async def listed(request: Request) -> Response:
        return await application.data_plane.list(request)

    refused = await answer(ASKED, listed)
    assert (refused.status, refused.headers["x-ms-error-code"]) == (503, "StorageUnavailable")
    assert int(refused.headers["Retry-After"]) > 0
    unhealthy = await application.health.answer(ASKED)
    assert (unhealthy.status, b"StorageUnavailable" in unhealthy.body) == (503, True)
    assert "Traceback" not in caplog.text
    path.write_bytes(content)
    clock.pass_by(seconds=application.timing.health_kept)
    assert (await application.health.answer(ASKED)).status == 200
    await application.aclose()


@pytest.mark.parametrize("wrong", ["a file", "a setting"])
async def test_a_pass_of_housekeeping_says_it_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """It comes every few seconds: no traceback each time, but what is wrong."""
    caplog.set_level(logging.INFO)
    (tmp_path / "tables.db").write_bytes(b"no database" * 1000)
    application = Application(Registry(), settings=settings(tmp_path))
    if wrong == "a setting":
        monkeypatch.setenv("MAX_BODY_BYTES", "big")
        application = Application(Registry())
    await run_pass(lambda: application.housekeeping, RecordingEngine())
    (line,) = [record for record in caplog.records if record.name == "blueprints.housekeeping"]
    assert ("tables.db" if wrong == "a file" else "MAX_BODY_BYTES") in line.getMessage()
    assert line.exc_info is None


async def test_a_store_that_goes_away_within_a_pass(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was to be looked at is named, a line each, and without a traceback."""

    @action("test:work", post="thing:work")
    async def work(context: ActionContext) -> None: ...

    async with sqlite(tmp_path) as inner:
        world = World(FaultyStorage(inner, Faults()), work)
        started = [await world.start() for _ in range(2)]
        world.clock.pass_by(days=2)
        world.faults.failing_reads = 2
        await run_pass(lambda: world.housekeeping, world.engine)
    lines = [record for record in caplog.records if "Could not tend an operation" in record.getMessage()]
    assert {str(record.__dict__["operation_id"]) for record in lines} == {each.id for each in started}
    assert not any(record.exc_info for record in lines)
