"""What connections may cost the host: requests that never come whole, that nobody can read, or that grow unpacked."""

import asyncio
import gzip
import json
import logging
import tracemalloc

import azure.functions as func
import pytest

from local_host.connections import MAX_LINE, SLICE, Patience
from local_host.http_server import HttpLimits
from tests.support.host_for_tests import RunningHost, exchange, raw_request, running

HASTY = Patience(headers=0.05, idle=60, body_grace=0.05, body_rate=1000)
LARGE = 20_000_000
LARGE_BODY = bytes(LARGE)
SECRET = "x-functions-key: s3cret"


def build_app() -> func.FunctionApp:
    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    @app.route(route="size", methods=["GET", "POST"])
    async def size(req: func.HttpRequest) -> str:
        return f"{len(req.get_body())} {req.headers.get('content-encoding', '')}"

    @app.route(route="large", methods=["GET", "HEAD"])
    async def large(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(LARGE_BODY)

    return app


async def _asked(host: RunningHost, message: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    writer.write(message)
    return reader, writer


async def test_bodies_that_never_come_take_no_place() -> None:
    """More of them than there are places: others are answered at once, and they themselves are 408."""
    async with running(build_app(), limits=HttpLimits(concurrent=2, outstanding=2), patience=HASTY) as host:
        message = raw_request("POST", "/size", "Content-Length: 10", body=b"half")
        slow = [asyncio.create_task(exchange(host.port, message)) for _ in range(20)]
        await asyncio.sleep(0)
        assert (await exchange(host.port, raw_request("GET", "/size")))[0] == 200
        for status, headers, body in await asyncio.gather(*slow):
            assert (status, headers["x-ms-error-code"]) == (408, ["RequestTimeout"])
            assert json.loads(body)["error"]["code"] == "RequestTimeout"


async def test_a_body_that_comes_steadily() -> None:
    """A body at more than the lowest rate arrives, however long it takes."""
    patience = Patience(body_grace=0.2, body_rate=100)
    async with running(build_app(), patience=patience) as host:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        writer.write(raw_request("POST", "/size", "Content-Length: 500"))
        for _ in range(10):
            writer.write(b"a" * 50)
            await asyncio.sleep(0.05)
        assert (await reader.read()).endswith(b"500 ")
        writer.close()


async def test_a_body_that_breaks_off(caplog: pytest.LogCaptureFixture) -> None:
    """A caller that leaves in the middle is one short line."""
    async with running(build_app()) as host:
        _, writer = await asyncio.open_connection("127.0.0.1", host.port)
        writer.write(raw_request("POST", "/size", "Content-Length: 10", SECRET, body=b"half"))
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert (await exchange(host.port, raw_request("GET", "/size")))[0] == 200
    lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [line.getMessage() for line in lines] == ["A request was refused: its caller left"]
    assert not any(line.exc_info for line in lines)


@pytest.mark.parametrize("sent", [b"", b"GET /size HTTP/1.1\r\nHost: x\r\n"])
async def test_headers_that_never_come(sent: bytes) -> None:
    """A connection without a request, and one whose headers do not end, are closed."""
    async with running(build_app(), patience=Patience(headers=0.05, idle=0.05)) as host:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        writer.write(sent)
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()


async def test_a_kept_connection_is_used_again() -> None:
    """The time for headers begins with the first byte of the next request, not with the end of the one before."""
    async with running(build_app(), patience=Patience(headers=0.1)) as host:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        for _ in range(2):
            writer.write(b"GET /size HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n0 ")).startswith(b"HTTP/1.1 200")
            await asyncio.sleep(0.2)
        writer.close()


@pytest.mark.parametrize("path", ["/size", "/nowhere"])
@pytest.mark.parametrize("packed", [gzip.compress(bytes(50_000_000)), b"this is not gzip"])
async def test_packed_bodies_stay_packed(path: str, packed: bytes) -> None:
    """As on the platform: the function gets the bytes that were sent, and nothing is unpacked on any path."""
    async with running(build_app()) as host:
        lines = (f"Content-Length: {len(packed)}", "Content-Encoding: gzip")
        status, _, body = await exchange(host.port, raw_request("POST", path, *lines, body=packed))
        assert (status, body) == ((200, f"{len(packed)} gzip".encode()) if path == "/size" else (404, b""))


UNREADABLE = {
    "method": b"\x16\x03\x01\x02\r\n\r\n",
    "version": b"GET /size HTTP/9.9\r\nHost: x\r\n\r\n",
    "url": b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes": b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "header": b"GET /size HTTP/1.1\r\nHost: x\r\nx-functions-key : s3cret\r\n\r\n",
    "control": b"GET /size HTTP/1.1\r\nHost: x\r\nx-functions-key: s3\x00cret\r\n\r\n",
    "length": b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: s3cret\r\n\r\n",
    "lengths": b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "host": b"GET /size HTTP/1.1\r\n\r\n",
    "chunk": b"POST /size HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\ns3cret\r\n",
}


async def _refused(host: RunningHost, message: bytes) -> tuple[int, dict[str, list[str]], bytes]:
    return await asyncio.wait_for(exchange(host.port, message), 60)


async def test_what_nobody_can_read(caplog: pytest.LogCaptureFixture) -> None:
    """400 with the error body; nothing of the request is repeated or logged, and a second has one line at most."""
    async with running(build_app()) as host:
        for message in UNREADABLE.values():
            status, headers, body = await _refused(host, message)
            assert (status, headers["x-ms-error-code"]) == (400, ["BadRequest"])
            assert json.loads(body)["error"]["code"] == "BadRequest"
            assert b"cret" not in body
    assert 1 <= len(caplog.records) < len(UNREADABLE)
    assert "cret" not in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("head", [b"GET /" + b"a" * MAX_LINE, b"GET / HTTP/1.1\r\nx-functions-key: " + b"a" * 40_000])
async def test_lines_that_are_too_long(head: bytes) -> None:
    """431 with the error body, which says the limits."""
    async with running(build_app()) as host:
        status, _, body = await _refused(host, head + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert status == 431
        assert json.loads(body)["error"]["code"] == "RequestHeaderFieldsTooLarge"


async def test_an_answer_is_in_memory_once() -> None:
    """No transport keeps the rest of a large answer: its reader gets it in slices, while others are answered."""
    async with running(build_app()) as host:
        tracemalloc.start()
        try:
            reader, writer = await _asked(host, b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            assert (await exchange(host.port, raw_request("GET", "/size")))[0] == 200
            left = LARGE
            while left:
                left -= len(await reader.read(min(left, SLICE)))
            # The function's own bytes were there before.
            assert tracemalloc.get_traced_memory()[1] < LARGE / 10
        finally:
            tracemalloc.stop()
        writer.write(raw_request("HEAD", "/large"))
        head, _, rest = (await reader.read()).partition(b"\r\n\r\n")
        assert (f"Content-Length: {LARGE}".encode() in head, rest) == (True, b"")
        writer.close()


async def test_a_body_is_in_memory_once() -> None:
    """Its pieces are not kept beside the whole."""
    async with running(build_app()) as host:
        message = raw_request("POST", "/size", f"Content-Length: {LARGE}")
        reader, writer = await _asked(host, message)
        tracemalloc.start()
        try:
            for first in range(0, LARGE, SLICE):
                writer.write(LARGE_BODY[first : first + SLICE])
                await writer.drain()
            assert (await reader.read()).endswith(f"\r\n\r\n{LARGE} ".encode())
            assert tracemalloc.get_traced_memory()[1] < 1.5 * LARGE
        finally:
            tracemalloc.stop()
        writer.close()


async def test_an_answer_that_nobody_reads(caplog: pytest.LogCaptureFixture) -> None:
    """Its connection ends, so that it is not kept in memory; the log has one short line."""
    hasty = Patience(body_grace=0.05, body_rate=10_000_000)
    async with running(build_app(), patience=hasty) as host:
        reader, writer = await _asked(host, b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        while not caplog.records:  # noqa: ASYNC110 - a log line sets no event
            await asyncio.sleep(0.01)
        assert len(await reader.read()) < LARGE
        writer.close()
    assert [line.getMessage() for line in caplog.records] == ["An answer was broken off: it was read too slowly"]


async def test_an_answer_whose_reader_leaves(caplog: pytest.LogCaptureFixture) -> None:
    """In the middle of it: nothing is said, and others are answered."""
    async with running(build_app()) as host:
        reader, writer = await _asked(host, b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()
        assert (await exchange(host.port, raw_request("GET", "/size")))[0] == 200
    assert not caplog.records
