"""The embedded end point for uploads, where it must do more than what Azurite can be compared with."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import md5
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from aiohttp import web

from local_host.uploads import routes
from shared.storage.files import FileBlobs
from shared.storage.ports import Container

pytestmark = pytest.mark.timeout(60)
ROOT = Path(__file__).parent.parent.parent
LIMIT = 100_000


class Site(NamedTuple):
    data_dir: Path
    container: Container
    url: str
    client: httpx.AsyncClient


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """The end point on a free port with a limit of 100,000 bytes, and a URL for the blob `b`."""
    app = web.Application()
    app.add_routes(routes(tmp_path, max_upload_bytes=LIMIT))
    runner = web.AppRunner(app)
    await runner.setup()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        await web.SockSite(runner, listener).start()
        store = FileBlobs(tmp_path, site_hostname=f"127.0.0.1:{listener.getsockname()[1]}")
        container = store.container("things")
        async with httpx.AsyncClient() as client:
            yield Site(tmp_path, container, await container.upload_url("b", lifetime_seconds=60), client)
        await runner.cleanup()


def left_overs(site: Site) -> list[str]:
    folders = (site.data_dir / "blobs" / name for name in (".incoming", ".staged"))
    return [path.name for folder in folders if folder.exists() for path in folder.rglob("*")]


def block_list(*ids: str, kind: str = "Latest") -> str:
    return f"<BlockList>{''.join(f'<{kind}>{each}</{kind}>' for each in ids)}</BlockList>"


async def raw(url: str, head: str, body: bytes = b"", *, half: bool = False) -> bytes:
    """Send a request by hand, and the body only when told to continue; returns everything that came back."""
    parts = httpx.URL(url)
    reader, writer = await asyncio.open_connection(parts.host, parts.port)
    writer.write(f"PUT {parts.raw_path.decode()} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n\r\n".encode())
    said = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    if said.startswith(b"HTTP/1.1 100"):
        writer.write(body)
        said += await reader.read()
    writer.close()
    return said


async def test_answer(site: Site) -> None:
    """A stored blob is answered with 201 and the headers of Put Blob."""
    headers = {"x-ms-client-request-id": "mine", "x-ms-version": "2024-08-04", "Content-Type": "text/plain"}
    answer = await site.client.put(site.url, content=b"hello", headers=headers)
    info = await site.container.info("b")
    assert info is not None
    assert (answer.status_code, answer.content) == (201, b"")
    assert answer.headers["ETag"] == info.etag
    assert answer.headers["Content-MD5"] == b64encode(md5(b"hello").digest()).decode()
    assert answer.headers["Last-Modified"].endswith("GMT")
    assert answer.headers["x-ms-version"] == "2024-08-04"
    assert answer.headers["x-ms-client-request-id"] == "mine"
    assert len(answer.headers["x-ms-request-id"]) == 36
    assert info.content_type == "text/plain"


async def test_chunked(site: Site) -> None:
    """A body without a length is stored, and cut off at the limit."""

    async def chunks(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"x" * 10_000

    assert (await site.client.put(site.url, content=chunks(10))).status_code == 201
    answer = await site.client.put(site.url, content=chunks(11))
    assert answer.status_code == 413
    assert answer.headers["x-ms-error-code"] == "RequestBodyTooLarge"
    info = await site.container.info("b")
    assert info is not None
    assert info.size == LIMIT
    assert left_overs(site) == []


async def test_too_large(site: Site) -> None:
    """A body above the limit is refused as Azure does it, alone and as the sum of its blocks."""
    answer = await site.client.put(site.url, content=b"x" * (LIMIT + 1))
    assert answer.status_code == 413
    assert b"<Code>RequestBodyTooLarge</Code>" in answer.content
    block = site.url + "&comp=block&blockid="
    assert (await site.client.put(block + "AAAA", content=b"x" * 60_000)).status_code == 201
    assert (await site.client.put(block + "AAAA", content=b"x" * LIMIT)).status_code == 201
    assert (await site.client.put(block + "BBBB", content=b"x")).status_code == 413
    assert await site.container.info("b") is None


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (f"Content-Length: {LIMIT + 1}", b"413"),
        ("Content-Length: 5\r\nx-ms-blob-type: PageBlob", b"400"),
        ("Content-Length: 5\r\nx-ms-content-crc64: AAAAAAAAAAA=", b"400"),
        ("Content-Length: 5\r\nIf-None-Match: *", b"409"),
        ('Content-Length: 5\r\nIf-Match: "0x1"', b"412"),
    ],
)
async def test_refused_before_the_body(site: Site, head: str, status: bytes) -> None:
    """With `Expect: 100-continue` a request that cannot succeed is refused before its body is sent."""
    await site.container.put("b", b"old", content_type="text/plain")
    said = await raw(site.url, f"{head}\r\nExpect: 100-continue", b"hello")
    assert said.startswith(b"HTTP/1.1 " + status)


async def test_forbidden_before_the_body(site: Site) -> None:
    """So is a request with a signature that is not for it."""
    said = await raw(site.url.replace("/b?", "/c?"), "Content-Length: 5\r\nExpect: 100-continue", b"hello")
    assert said.startswith(b"HTTP/1.1 403")


async def test_continue(site: Site) -> None:
    """A request that can succeed is told to continue, and is answered once its body is there."""
    said = await raw(site.url, "Content-Length: 5\r\nExpect: 100-continue", b"hello")
    assert said.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201")
    assert await site.container.info("b") is not None


async def test_blocks_are_discarded(site: Site) -> None:
    """Once a blob is written, by whichever way, its uncommitted blocks are gone."""
    block = site.url + "&comp=block&blockid="
    for finish in (block_list("AAAA"), None):
        for block_id in ("AAAA", "BBBB"):
            assert (await site.client.put(block + block_id, content=block_id.encode())).status_code == 201
        if finish is None:
            answer = await site.client.put(site.url, content=b"whole")
        else:
            answer = await site.client.put(site.url + "&comp=blocklist", content=finish)
        assert answer.status_code == 201
        assert left_overs(site) == []
    info = await site.container.info("b")
    assert info is not None
    assert info.size == 5


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "InvalidXmlDocument"),
        ("<BlockList>", "InvalidXmlDocument"),
        ("<Other/>", "InvalidXmlDocument"),
        ("<BlockList><Other/></BlockList>", "InvalidXmlDocument"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><BlockList><Latest>&b;</Latest></BlockList>', "InvalidXmlDocument"),
        (block_list("AAAA", kind="Committed"), "InvalidBlockList"),
        (block_list("CCCC"), "InvalidBlockList"),
        (block_list("AA"), "InvalidQueryParameterValue"),
        (block_list("../../x"), "InvalidQueryParameterValue"),
    ],
)
async def test_bad_block_lists(site: Site, body: str, code: str) -> None:
    """A list that is no block list, or names what is not there, is refused and leaves the blocks."""
    await site.client.put(site.url + "&comp=block&blockid=AAAA", content=b"x")
    answer = await site.client.put(site.url + "&comp=blocklist", content=body)
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, code)
    assert (await site.client.put(site.url + "&comp=blocklist", content=block_list("AAAA"))).status_code == 201


@pytest.mark.parametrize("block_id", ["", "A", "!!!!", "AAAAAAAA", b64encode(b"x" * 65).decode()])
async def test_bad_block_ids(site: Site, block_id: str) -> None:
    """Block ids are base64 of 1 to 64 bytes, all of one length."""
    await site.client.put(site.url + "&comp=block&blockid=AAAA", content=b"x")
    answer = await site.client.put(f"{site.url}&comp=block&blockid={block_id}", content=b"x")
    assert answer.status_code == 400


@pytest.mark.parametrize("comp", ["metadata", "properties", "appendblock", "page", "lease", "tags"])
async def test_other_operations(site: Site, comp: str) -> None:
    """Operations that are not uploads of block blobs are refused, though Azure's signature would allow some."""
    answer = await site.client.put(f"{site.url}&comp={comp}", content=b"")
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, "UnsupportedQueryParameter")


async def test_if_match_any(site: Site) -> None:
    """`If-Match: *` wants a blob that is there. (Azurite lets it through; the service answers 412.)"""
    answer = await site.client.put(site.url, content=b"x", headers={"If-Match": "*"})
    assert answer.status_code == 412


async def test_racing_inserts(site: Site) -> None:
    """Of many uploads that want no blob there, exactly one succeeds."""
    answers = await asyncio.gather(
        *(site.client.put(site.url, content=b"%d" % n, headers={"If-None-Match": "*"}) for n in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9


@pytest.mark.parametrize("path", ["%2e%2e/x", "..%2fx", "a%00b", "a%20b", "x" * 1100])
async def test_bad_names(site: Site, path: str) -> None:
    """Names no blob can have are refused like any URL that was not signed."""
    parts = httpx.URL(site.url)
    query = parts.query.decode()
    said = await raw(f"http://{parts.host}:{parts.port}/devstoreaccount1/things/{path}?{query}", "Content-Length: 0")
    assert said.startswith(b"HTTP/1.1 40")


SERVE = """
import asyncio, sys
from pathlib import Path
from aiohttp import web
from local_host.uploads import routes

app = web.Application()
app.add_routes(routes(Path(sys.argv[1])))
web.run_app(app, host="127.0.0.1", port=int(sys.argv[2]), print=lambda _: print("up", flush=True))
"""


def start_server(data_dir: Path, port: int) -> "subprocess.Popen[str]":
    line = [sys.executable, "-c", SERVE, str(data_dir), str(port)]
    return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


@pytest.mark.parametrize("comp", ["", "&comp=block&blockid=AAAA"], ids=["blob", "block"])
async def test_kill_in_the_middle_of_an_upload(tmp_path: Path, comp: str) -> None:
    """A server killed while it receives leaves nothing visible, and what was there stays."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = FileBlobs(tmp_path, site_hostname=f"127.0.0.1:{port}")
    container = store.container("things")
    before = await container.put("old", b"old", content_type="text/plain")
    process = start_server(tmp_path, port)
    assert process.stdout is not None
    process.stdout.readline()
    writers: list[asyncio.StreamWriter] = []
    for name in ("old", "new"):
        parts = httpx.URL(await container.upload_url(name, lifetime_seconds=60) + comp)
        _, writer = await asyncio.open_connection(parts.host, parts.port)
        writer.write(f"PUT {parts.raw_path.decode()} HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n".encode())
        writer.write(b"x" * 5_000_000)
        await writer.drain()
        writers.append(writer)
    await asyncio.sleep(0.2)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    for writer in writers:
        writer.close()
    assert await container.info("old") == before
    assert await container.info("new") is None
