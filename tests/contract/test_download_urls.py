"""Download URLs, on every store, as clients use them: Azure's SDK, plain HTTP with ranges and conditions."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from azure.storage.blob.aio import BlobClient

from shared.storage.ports import Container
from tests.support.signed_urls import signed_container

pytestmark = pytest.mark.timeout(60)

DATA = bytes(range(256)) * 4 * 1024 * 5 + b"tail"  # 5 MiB and a bit
DISPOSITION = "attachment; filename=\"b.txt\"; filename*=UTF-8''b%C3%BCcher.txt"


@pytest.fixture
async def container(store: str, request: pytest.FixtureRequest) -> AsyncIterator[Container]:
    async with signed_container(store, request) as container:
        yield container


async def url_of(container: Container, data: bytes = DATA, *, name: str = "a/b", lifetime_seconds: int = 60) -> str:
    await container.put(name, data, content_type="text/plain; charset=utf-8")
    return await container.download_url(name, lifetime_seconds=lifetime_seconds, disposition=DISPOSITION)


async def test_whole(container: Container) -> None:
    """GET and HEAD have the bytes, type, ETag and file name as they were declared."""
    url = await url_of(container)
    info = await container.info("a/b")
    assert info is not None
    async with httpx.AsyncClient() as client:
        got, head = await client.get(url), await client.head(url)
    assert (got.status_code, got.content) == (200, DATA)
    assert (head.status_code, head.content) == (200, b"")
    for answer in (got, head):
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["content-disposition"] == DISPOSITION
        assert answer.headers["content-length"] == str(len(DATA))
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["etag"] == info.etag
        assert answer.headers["last-modified"]


async def test_sdk(container: Container) -> None:
    """Azure's SDK downloads it in ranges, several at a time."""
    url = await url_of(container)
    async with BlobClient.from_blob_url(url, max_single_get_size=1024 * 1024, max_chunk_get_size=1024 * 1024) as client:
        stream = await client.download_blob(max_concurrency=3)
        assert await stream.readall() == DATA
        part = await client.download_blob(offset=10, length=5)
        assert await part.readall() == DATA[10:15]


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=5-9", 5, 9),
        ("bytes=5000000-", 5000000, len(DATA) - 1),
        ("bytes=10-99999999", 10, len(DATA) - 1),
    ],
)
async def test_range(container: Container, asked: str, first: int, last: int) -> None:
    """206 with the bytes that were asked for, as far as there are so many."""
    url = await url_of(container)
    async with httpx.AsyncClient() as client:
        answer = await client.get(url, headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == DATA[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(DATA)}"


async def test_head_of_a_range(container: Container) -> None:
    """HEAD tells of the whole (RFC 9110, section 14.2), also where no byte is in the range."""
    url = await url_of(container, b"short")
    async with httpx.AsyncClient() as client:
        for asked in ("bytes=1-2", "bytes=50-"):
            answer = await client.head(url, headers={"Range": asked})
            assert (answer.status_code, answer.headers["content-length"]) == (200, "5")


async def test_range_behind_the_end(container: Container) -> None:
    """416, and it says how long the blob is."""
    url = await url_of(container, b"short")
    async with httpx.AsyncClient() as client:
        answer = await client.get(url, headers={"Range": "bytes=50-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */5"


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
async def test_range_of_the_last_bytes(container: Container) -> None:
    """The embedded store has the last bytes (RFC 9110, section 14.1.2), which Azure's own store has not."""
    url = await url_of(container, b"a short text")
    async with httpx.AsyncClient() as client:
        answers = [await client.get(url, headers={"Range": each}) for each in ("bytes=-4", "bytes=-0", "bytes=-99")]
        several = await client.get(url, headers={"Range": "bytes=0-1,3-4"})
    assert [answer.status_code for answer in answers] == [206, 416, 206]
    assert [answers[0].content, answers[2].content] == [b"text", b"a short text"]
    assert (several.status_code, several.content) == (200, b"a short text")


async def test_conditions(container: Container) -> None:
    """A known ETag is 304, another one 412: whoever fetches in ranges never joins two files."""
    url = await url_of(container, b"first")
    async with httpx.AsyncClient() as client:
        etag = (await client.get(url)).headers["etag"]
        assert (await client.get(url, headers={"If-None-Match": etag})).status_code == 304
        part = await client.get(url, headers={"If-Match": etag, "Range": "bytes=1-2"})
        assert (part.status_code, part.content) == (206, b"ir")
        await url_of(container, b"second")
        assert (await client.get(url, headers={"If-Match": etag})).status_code == 412
        assert (await client.get(url, headers={"If-None-Match": etag})).content == b"second"


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
async def test_if_range(container: Container) -> None:
    """A range of another file than the one that was begun is answered whole (RFC 9110, section 13.1.5). Azure's own
    store does not know If-Range; it has If-Match."""
    url = await url_of(container, b"first")
    async with httpx.AsyncClient() as client:
        begun = await client.get(url)
        for since in (begun.headers["etag"], begun.headers["last-modified"]):
            part = await client.get(url, headers={"If-Range": since, "Range": "bytes=1-2"})
            assert (part.status_code, part.content) == (206, b"ir")
        whole = await client.get(url, headers={"If-Range": '"0x1"', "Range": "bytes=1-2"})
        assert (whole.status_code, whole.content) == (200, b"first")


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
async def test_odd_ranges(container: Container) -> None:
    """Anything that is no range is passed over (RFC 9110, section 14.2), however long it is."""
    url = await url_of(container, b"short")
    async with httpx.AsyncClient() as client:
        for odd in ("bytes=", "bytes=-", "bytes=3-1", "lines=0-1", "bytes=a-b", f"bytes={'9' * 5000}-"):
            answer = await client.get(url, headers={"Range": odd})
            assert (answer.status_code, answer.content) == (200, b"short"), odd[:20]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
async def test_odd_dates(container: Container) -> None:
    """A date that is none is passed over (RFC 9110, section 13.1.3), whatever numbers are in it."""
    url = await url_of(container, b"short")
    year, zone = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT", f"Mon, 01 Jan 2024 00:00:00 +{'9' * 30}"
    async with httpx.AsyncClient() as client:
        for odd in ("today", year, zone):
            for name in ("If-Modified-Since", "If-Unmodified-Since"):
                answer = await client.get(url, headers={name: odd})
                assert (answer.status_code, answer.content) == (200, b"short"), (name, odd)
            part = await client.get(url, headers={"If-Range": odd, "Range": "bytes=0-1"})
            assert part.status_code == 200


async def test_a_reader_that_goes_away(container: Container) -> None:
    """It does no harm to the next one."""
    url = await url_of(container, b"x" * 20_000_000)
    parts = httpx.URL(url)
    for _ in range(3):
        reader, writer = await asyncio.open_connection(parts.host, parts.port)
        writer.write(f"GET {parts.raw_path.decode()} HTTP/1.1\r\nHost: {parts.host}\r\n\r\n".encode())
        await reader.readexactly(1000)
        writer.transport.abort()
    async with httpx.AsyncClient() as client:
        assert len((await client.get(url)).content) == 20_000_000


async def test_other_uses_are_refused(container: Container) -> None:
    """The URL reads its blob and nothing else: no writing, deleting, other blob, other name, other expiry."""
    url = await url_of(container, b"secret")
    await container.put("a/c", b"other", content_type="text/plain")
    async with httpx.AsyncClient() as client:
        for method in ("PUT", "DELETE"):
            answer = await client.request(method, url, headers={"x-ms-blob-type": "BlockBlob"})
            assert answer.status_code == 403
        for other in (
            url.replace("/b?", "/c?"),
            url.replace("se=2", "se=3"),
            url.replace("rscd=attachment", "rscd=inline"),
            url.replace("sp=r", "sp=rw"),
            url.partition("?")[0],
        ):
            answer = await client.get(other)
            assert answer.status_code in {403, 404}
            assert b"other" not in answer.content or b"<Code>" in answer.content
    expired = await url_of(container, b"secret", lifetime_seconds=-1)
    async with httpx.AsyncClient() as client:
        assert (await client.get(expired)).status_code == 403


async def test_nothing_there(container: Container) -> None:
    """A blob that was removed is 404."""
    url = await url_of(container, b"x")
    await container.delete("a/b")
    async with httpx.AsyncClient() as client:
        assert (await client.get(url)).status_code == 404
