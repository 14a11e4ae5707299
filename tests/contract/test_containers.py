"""The container port, on every store: what one holds to, both hold to."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.errors import StorageConflict, StorageRefused
from shared.storage.ports import BlobInfo, Container

pytestmark = pytest.mark.timeout(60)

CHUNK = 4 * 1024 * 1024


async def content_of(container: Container, name: str, *, if_match: str | None = None) -> bytes | None:
    async with container.open(name, if_match=if_match) as reader:
        return None if reader is None else b"".join([chunk async for chunk in reader.chunks()])


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


@pytest.mark.parametrize("data", [b"", b"hello", bytes(range(256)) * 40_000], ids=["empty", "small", "two chunks"])
@pytest.mark.parametrize("streamed", [False, True], ids=["bytes", "stream"])
async def test_put_and_open(container: Container, data: bytes, streamed: bool) -> None:
    """What was put, whole or in pieces, is what is read, in chunks of at most 4 MiB, with what is known of it."""
    source = pieces(data[:3], b"", data[3:]) if streamed else data
    put = await container.put("a/b.txt", source, content_type="text/plain; charset=utf-8")
    assert put == BlobInfo("a/b.txt", len(data), put.etag, "text/plain; charset=utf-8")
    assert await container.info("a/b.txt") == put
    async with container.open("a/b.txt", if_match=put.etag) as reader:
        assert reader is not None
        assert reader.info == put
        chunks = [chunk async for chunk in reader.chunks()]
    assert b"".join(chunks) == data
    assert all(0 < len(chunk) <= CHUNK for chunk in chunks)


async def test_missing(container: Container) -> None:
    """Where there is no blob, and no container yet, there is None to read and nothing to delete."""
    for _ in range(2):
        assert await container.info("b") is None
        assert await content_of(container, "b") is None
        assert await container.delete("b") is False
        await container.put("other", b"", content_type="text/plain")


async def test_overwrite(container: Container) -> None:
    """A second put replaces content, type and etag, unless it was told not to."""
    first = await container.put("b", b"one", content_type="text/plain")
    second = await container.put("b", b"second", content_type="text/html")
    assert first.etag != second.etag
    with pytest.raises(StorageConflict):
        await container.put("b", b"third", content_type="text/plain", overwrite=False)
    with pytest.raises(StorageConflict):
        await container.put("b", pieces(b"third"), content_type="text/plain", overwrite=False)
    assert await container.info("b") == second
    assert await content_of(container, "b") == b"second"
    fresh = await container.put("c", pieces(b"fresh"), content_type="text/plain", overwrite=False)
    assert await container.info("c") == fresh


async def test_stale_etag(container: Container) -> None:
    """Opening with an etag the blob no longer has is a conflict."""
    first = await container.put("b", b"one", content_type="text/plain")
    await container.put("b", b"two", content_type="text/plain")
    with pytest.raises(StorageConflict):
        await content_of(container, "b", if_match=first.etag)


@pytest.mark.parametrize("change", ["replaced", "deleted"])
async def test_changed_while_reading(container: Container, change: str) -> None:
    """A reader never gets chunks of two blobs, nor half a blob: the change is a conflict."""
    await container.put("b", b"a" * (CHUNK + 1), content_type="text/plain")
    async with container.open("b") as reader:
        assert reader is not None
        chunks = reader.chunks()
        assert await anext(chunks) == b"a" * CHUNK
        if change == "replaced":
            await container.put("b", b"b" * (CHUNK + 1), content_type="text/plain")
        else:
            await container.delete("b")
        with pytest.raises(StorageConflict):
            await anext(chunks)


async def test_delete(container: Container) -> None:
    """A deleted blob is gone, and the second deletion finds none."""
    await container.put("b", b"x", content_type="text/plain")
    assert await container.delete("b") is True
    assert await container.info("b") is None
    assert await container.delete("b") is False


async def test_list(container: Container) -> None:
    """The names that begin with a prefix, in bounded pieces, and no other; what was deleted is not among them."""
    assert await container.list("run/") == []
    names = ["run/a", "run/saved-1-0", "run/saved-1-1", "run/saved-12-0"]
    for name in [*names, "run", "runs/a", "other/run/a"]:
        await container.put(name, b"x", content_type="text/plain")
    assert sorted(await container.list("run/")) == names
    assert sorted(await container.list("run/saved-1-")) == names[1:3]
    assert await container.list("run/b") == []
    assert set(await container.list("run/", limit=3)) < set(names)
    assert await container.delete("run/a")
    assert sorted(await container.list("run/")) == names[1:]


@pytest.mark.parametrize("prefix", ["", "run", "/", "../", "a b/"])
async def test_prefixes_that_are_refused(container: Container, prefix: str) -> None:
    """A prefix without a whole first segment would have the embedded store look through all blobs."""
    with pytest.raises(StorageRefused):
        await container.list(prefix)


async def test_broken_stream(container: Container) -> None:
    """A source that fails half-way leaves what was there, or nothing."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * (CHUNK + 1)
        raise RuntimeError("source")

    before = await container.put("old", b"old", content_type="text/plain")
    for name in ("old", "new"):
        with pytest.raises(RuntimeError, match="source"):
            await container.put(name, broken(), content_type="text/plain")
    assert await container.info("old") == before
    assert await container.info("new") is None


async def test_two_writers(container: Container) -> None:
    """Of two writers of one blob one comes last, and what is read is all its own."""

    async def write(letter: bytes) -> BlobInfo:
        return await container.put("b", pieces(letter * CHUNK, letter * 9), content_type="text/plain")

    # On Azure the block list that comes second may find its blocks discarded by the first: a failure, not a mixture.
    outcomes = await asyncio.gather(write(b"a"), write(b"b"), return_exceptions=True)
    assert any(isinstance(outcome, BlobInfo) for outcome in outcomes)
    assert await content_of(container, "b") in {letter * (CHUNK + 9) for letter in (b"a", b"b")}


NAMES = ["a", "A", "a/b", "x/" * 60 + "x", "n" * 254, "con", ".hidden", "-", "_", "1/2.3/4_5-6.txt"]


async def test_names(container: Container) -> None:
    """Names differ by case, may be prefixes of each other, long, deep, or words some file system reserves."""
    for name in NAMES:
        await container.put(name, name.encode(), content_type="text/plain")
    for name in NAMES:
        assert await content_of(container, name) == name.encode()


@pytest.mark.parametrize(
    "name",
    [
        *[
            "",
            ".",
            "..",
            "../x",
            "a/../b",
            "a/./b",
            "/a",
            "a/",
            "a//b",
            "a.",
            "a b",
            "a\\b",
            "ä",
            "a?b",
            "a%2Fb",
            "a\nb",
        ],
        *["n" * 1025, "a\0", "a:b", "a/" * 254 + "a"],
    ],
)
async def test_names_that_are_refused(container: Container, name: str) -> None:
    """Names outside the port's characters, and those that URLs or directories would read otherwise, are refused."""
    with pytest.raises(StorageRefused):
        await container.put(name, b"", content_type="text/plain")
    with pytest.raises(StorageRefused):
        await container.info(name)
    with pytest.raises(StorageRefused):
        await content_of(container, name)
    with pytest.raises(StorageRefused):
        await container.delete(name)
    with pytest.raises(StorageRefused):
        await container.upload_url(name, lifetime_seconds=60)
