"""The embedded blob store on the disk: what a crash leaves, and who can sign upload URLs."""

import asyncio
import os
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from shared.errors import SettingsError, StorageUnavailable
from shared.settings import Settings
from shared.storage.blob_files import BlobFiles
from shared.storage.factory import open_storage
from shared.storage.files import FileBlobs
from shared.storage.staged_blocks import StagedBlocks

pytestmark = pytest.mark.timeout(60)
ROOT = Path(__file__).parent.parent.parent

REPLACE_UNTIL_KILLED = """
import sys
from pathlib import Path
from shared.storage.blob_files import BlobFiles, anything

files = BlobFiles(Path(sys.argv[1]))
for number in range(10**6):
    writer = files.begin("things", "blob", "text/plain")
    for _ in range(8):
        writer.write(b"%06d" % number * 1000)
    writer.commit(anything)
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


def start(script: str, directory: Path) -> "subprocess.Popen[str]":
    line = [sys.executable, "-c", script, str(directory)]
    return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def files_below(directory: Path) -> list[Path]:
    """Relative paths of all files."""
    return [path.relative_to(directory) for path in directory.rglob("*") if path.is_file()]


async def test_kill_while_replacing(tmp_path: Path) -> None:
    """After `kill -9` the blob is there whole, the acknowledged one or the one after it; the rest is swept in time."""
    process = start(REPLACE_UNTIL_KILLED, tmp_path)
    assert process.stdout is not None
    for _ in range(30):
        last = process.stdout.readline()
    process.kill()
    rest, _ = process.communicate()
    last = int(([last, *rest.split("\n")[:-1]])[-1])
    async with FileBlobs(tmp_path).container("things").open("blob") as reader:
        assert reader is not None
        data = b"".join([chunk async for chunk in reader.chunks()])
    assert data in {b"%06d" % number * 8000 for number in (last, last + 1)}


def staged(files: BlobFiles, name: str) -> StagedBlocks:
    """A block of a blob, put and not joined."""
    blocks = StagedBlocks.of(files, "things", name)
    files.incoming.mkdir(parents=True, exist_ok=True)
    (files.incoming / name).write_bytes(b"x")
    blocks.stage("AAAA", files.incoming / name)
    return blocks


def test_what_a_dead_process_was_writing(tmp_path: Path) -> None:
    """The process that gets the directory removes what was half-written, a key too, and blocks of a day before."""
    files = BlobFiles(tmp_path)
    half = files.begin("things", "half", "text/plain")
    (tmp_path / "upload-key.0a1b").write_bytes(b"x")
    (tmp_path / "upload-key").write_bytes(b"key")
    old, young = staged(files, "old"), staged(files, "young")
    before = time.time() - files.abandoned_seconds - 1
    os.utime(old.directory, (before, before))
    FileBlobs(tmp_path).discard_unfinished()
    assert list(files.incoming.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["upload-key"]
    assert (old.directory.exists(), young.size()) == (False, 1)
    half.discard()


def test_a_store_that_is_opened(tmp_path: Path) -> None:
    """It does so before anything else can be written there."""
    incoming = BlobFiles(tmp_path).incoming
    incoming.mkdir(parents=True)
    (incoming / "half").write_bytes(b"x")
    store = open_storage(Settings.read({"OPERATIONS_STORE": "sqlite", "DATA_DIR": str(tmp_path)}))
    assert list(incoming.iterdir()) == []
    asyncio.run(store.aclose())


@pytest.mark.parametrize("is_there", [False, True])
async def test_blocks_go_with_their_blob(tmp_path: Path, is_there: bool) -> None:
    """Deleting a blob forgets blocks that were put and not joined, also where there is no blob yet."""
    store = FileBlobs(tmp_path)
    container = store.container("things")
    if is_there:
        await container.put("new", b"1", content_type="text/plain")
    blocks, other = staged(store.files, "new"), staged(store.files, "other")
    assert await container.delete("new") is is_there
    assert (blocks.directory.exists(), other.size()) == (False, 1)


async def test_cancelled_put(tmp_path: Path) -> None:
    """A put that is cancelled leaves neither a blob nor a file behind."""
    blobs = FileBlobs(tmp_path)

    async def endless():  # type: ignore[no-untyped-def]
        while True:
            yield b"x" * 100_000

    task = asyncio.create_task(blobs.container("things").put("b", endless(), content_type="text/plain"))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await blobs.container("things").info("b") is None
    assert files_below(tmp_path) == []


async def test_nothing_leaves_the_directory(tmp_path: Path) -> None:
    """Whatever a blob is called, its file lies in its container's folder."""
    blobs = FileBlobs(tmp_path / "data")
    for name in ("a", "A", "..a/b", "x" * 200):
        await blobs.container("things").put(name, b"", content_type="text/plain")
    assert {path.parent for path in files_below(tmp_path)} == {Path("data/blobs/things")}


async def test_no_directory(tmp_path: Path) -> None:
    """A directory that cannot be used is StorageUnavailable, naming it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnavailable, match="file"):
        await FileBlobs(tmp_path / "file").container("things").put("b", b"", content_type="text/plain")


async def test_upload_key(tmp_path: Path) -> None:
    """The signing key is the directory's: private, the same for all who open it, made once by racing makers."""
    stores = [FileBlobs(tmp_path, site_hostname="localhost:7071") for _ in range(8)]
    urls = await asyncio.gather(*(store.container("things").upload_url("b", lifetime_seconds=60) for store in stores))
    key = tmp_path / "upload-key"
    if sys.platform != "win32":
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_bytes()) == 32
    assert files_below(tmp_path) == [Path("upload-key")]
    for url in urls:
        query = dict(parse_qsl(urlsplit(url).query))
        assert await stores[0].granted("things", "b", query, datetime.now(UTC)) == "cw"


@pytest.mark.parametrize("permission", ["cw", "r"])
async def test_signatures(tmp_path: Path, permission: str) -> None:
    """A signature is good for its blob, permission, time and disposition, and for nothing else."""
    store = FileBlobs(tmp_path, site_hostname="localhost:7071")
    things = store.container("things")
    url = await (
        things.upload_url("a/b", lifetime_seconds=60)
        if permission == "cw"
        else things.download_url("a/b", lifetime_seconds=60, disposition="attachment")
    )
    assert url.startswith("http://localhost:7071/devstoreaccount1/things/a/b?")
    query = dict(parse_qsl(urlsplit(url).query))
    now = datetime.now(UTC)
    assert await store.granted("things", "a/b", query, now) == permission
    assert not await store.granted("things", "a/b", query, now + timedelta(seconds=61))
    assert not await store.granted("things", "a/c", query, now)
    assert not await store.granted("others", "a/b", query, now)
    forged = (
        {"sp": "rw"},
        {"se": "2999-01-01T00:00:00Z"},
        {"sig": ""},
        {"sig": "é"},
        {"se": "soon"},
        {"rscd": "inline"},
    )
    for changed in forged:
        assert not await store.granted("things", "a/b", {**query, **changed}, now)
    assert not await store.granted("things", "a/b", {}, now)
    other = FileBlobs(tmp_path / "other", site_hostname="localhost:7071")
    assert not await other.granted("things", "a/b", query, now)


async def test_no_host_name(tmp_path: Path) -> None:
    """Without a host name there is no URL to give, and the message says which setting is missing."""
    with pytest.raises(SettingsError, match="WEBSITE_HOSTNAME"):
        await FileBlobs(tmp_path).container("things").upload_url("b", lifetime_seconds=60)
