"""Upload URLs, on every store, as clients use them: Azure's SDK and curl."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.storage.blob import ContentSettings
from azure.storage.blob.aio import BlobClient

from shared.storage.ports import Container
from tests.contract.test_containers import content_of
from tests.support.signed_urls import signed_container

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
async def container(store: str, request: pytest.FixtureRequest) -> AsyncIterator[Container]:
    async with signed_container(store, request) as container:
        yield container


async def curl(*arguments: str) -> str:
    """The status curl reports."""
    process = await asyncio.create_subprocess_exec(
        "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", *arguments, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    return said.decode()


def small_blocks(url: str) -> BlobClient:
    """A client that sends blocks of 1 MiB."""
    return BlobClient.from_blob_url(url, max_single_put_size=1024 * 1024, max_block_size=1024 * 1024, retry_total=0)


DATA = bytes(range(256)) * 4 * 1024 * 5 + b"tail"  # 5 MiB and a bit


async def test_bytes(container: Container) -> None:
    """The SDK uploads bytes; the blob is then there with its content type."""
    url = await container.upload_url("a/b.epub", lifetime_seconds=60)
    async with BlobClient.from_blob_url(url) as client:
        answer = await client.upload_blob(
            b"hello", content_settings=ContentSettings(content_type="application/epub+zip"), validate_content=True
        )
    info = await container.info("a/b.epub")
    assert info is not None
    assert (info.etag, info.size, info.content_type) == (answer["etag"], 5, "application/epub+zip")
    assert await content_of(container, "a/b.epub") == b"hello"


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_blocks(container: Container, concurrency: int) -> None:
    """The SDK uploads large data in blocks, also several at a time, and in order."""
    async with small_blocks(await container.upload_url("b", lifetime_seconds=60)) as client:
        await client.upload_blob(DATA, max_concurrency=concurrency, validate_content=True)
    assert await content_of(container, "b") == DATA


async def test_generator(container: Container) -> None:
    """The SDK uploads from a generator of unknown length."""

    def generate() -> Iterator[bytes]:
        for at in range(0, len(DATA), 300_000):
            yield DATA[at : at + 300_000]

    async with small_blocks(await container.upload_url("b", lifetime_seconds=60)) as client:
        await client.upload_blob(generate())
    assert await content_of(container, "b") == DATA


@pytest.mark.parametrize("data", [b"short", DATA], ids=["whole", "blocks"])
async def test_overwrite(container: Container, data: bytes) -> None:
    """A second upload is refused as Azure refuses it, unless it says overwrite."""
    await container.put("b", b"old", content_type="text/plain")
    async with small_blocks(await container.upload_url("b", lifetime_seconds=60)) as client:
        with pytest.raises(ResourceExistsError):
            await client.upload_blob(data)
        assert await content_of(container, "b") == b"old"
        await client.upload_blob(data, overwrite=True)
    assert await content_of(container, "b") == data


async def test_parallel_uploads(container: Container) -> None:
    """Uploads of several blobs at once do not mix."""

    async def upload(number: int) -> None:
        async with small_blocks(await container.upload_url(f"b{number}", lifetime_seconds=60)) as client:
            await client.upload_blob(bytes([number]) * 2_500_000, max_concurrency=2)

    await asyncio.gather(*(upload(number) for number in range(4)))
    for number in range(4):
        assert await content_of(container, f"b{number}") == bytes([number]) * 2_500_000


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl(container: Container, store: str, tmp_path: Path) -> None:
    """`curl -T FILE URL` uploads. Azure wants a header that says what kind of blob; the embedded store does not."""
    file = tmp_path / "file"
    file.write_bytes(DATA)
    url = await container.upload_url("b", lifetime_seconds=60)
    header = ["-H", "x-ms-blob-type: BlockBlob"] if store == "azurite" else []
    assert await curl("-T", str(file), *header, url) == "201"
    assert await content_of(container, "b") == DATA


async def test_other_uses_are_refused(container: Container) -> None:
    """The URL writes its blob and nothing else: no reading, deleting, listing, other blob, other expiry."""
    await container.put("b", b"secret", content_type="text/plain")
    url = await container.upload_url("b", lifetime_seconds=60)
    other = url.replace("/b?", "/c?")
    tampered = url.replace("se=2", "se=3")
    unsigned = url.partition("?")[0]
    headers = {"x-ms-blob-type": "BlockBlob"}
    async with httpx.AsyncClient() as client:
        for method in ("GET", "HEAD", "DELETE"):
            answer = await client.request(method, url)
            assert answer.status_code == 403
            assert b"secret" not in answer.content
        for target in (other, tampered, unsigned, url.replace("sp=cw", "sp=rcw")):
            answer = await client.put(target, content=b"x", headers=headers)
            assert answer.status_code in {403, 404}
            assert b"<Code>" in answer.content
    assert await content_of(container, "b") == b"secret"
    assert await container.info("c") is None


async def test_expired(container: Container) -> None:
    """An expired URL is refused, with an error the SDK understands."""
    url = await container.upload_url("b", lifetime_seconds=-1)
    async with BlobClient.from_blob_url(url, retry_total=0) as client:
        with pytest.raises(HttpResponseError) as caught:
            await client.upload_blob(b"x")
    assert caught.value.status_code == 403
    assert await container.info("b") is None


async def test_wrong_md5(container: Container, store: str) -> None:
    """A body that is not the one its Content-MD5 tells of is refused. (Azurite has another word for it than Azure.)"""
    url = await container.upload_url("b", lifetime_seconds=60)
    headers = {"x-ms-blob-type": "BlockBlob", "Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}
    async with httpx.AsyncClient() as client:
        answer = await client.put(url, content=b"x", headers=headers)
    assert answer.status_code == 400
    assert (b"InvalidOperation" if store == "azurite" else b"Md5Mismatch") in answer.content
    assert await container.info("b") is None


async def test_unknown_block(container: Container) -> None:
    """A block list that names a block nobody put is refused."""
    url = await container.upload_url("b", lifetime_seconds=60)
    body = '<?xml version="1.0" encoding="utf-8"?><BlockList><Latest>AAAA</Latest></BlockList>'
    async with httpx.AsyncClient() as client:
        answer = await client.put(f"{url}&comp=blocklist", content=body)
    assert answer.status_code == 400
    assert b"InvalidBlockList" in answer.content


async def test_if_match(container: Container) -> None:
    """If-Match writes over exactly that blob."""
    url = await container.upload_url("b", lifetime_seconds=60)
    headers = {"x-ms-blob-type": "BlockBlob"}
    async with httpx.AsyncClient() as client:
        answer = await client.put(url, content=b"x", headers=headers | {"If-Match": '"0x8D0000000000000"'})
        assert answer.status_code == 412
        info = await container.put("b", b"old", content_type="text/plain")
        answer = await client.put(url, content=b"new", headers=headers | {"If-Match": info.etag})
        assert answer.status_code == 201
    assert await content_of(container, "b") == b"new"


@pytest.mark.parametrize("comp", ["", "&comp=block&blockid=AAAA"], ids=["blob", "block"])
async def test_broken_connection(container: Container, comp: str) -> None:
    """A connection that breaks in the middle of an upload leaves nothing visible and does no harm to the next."""
    url = await container.upload_url("b", lifetime_seconds=60) + comp
    parts = httpx.URL(url)
    _, writer = await asyncio.open_connection(parts.host, parts.port)
    head = f"PUT {parts.raw_path.decode()} HTTP/1.1\r\nHost: {parts.host}\r\nx-ms-blob-type: BlockBlob\r\n"
    writer.write(f"{head}Content-Length: 2000000\r\n\r\n".encode() + b"x" * 1_500_000)
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.close()
    await asyncio.sleep(0.2)
    assert await container.info("b") is None
    async with httpx.AsyncClient() as client:
        answer = await client.put(url, content=b"x", headers={"x-ms-blob-type": "BlockBlob"})
    assert answer.status_code == 201
