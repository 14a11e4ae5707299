"""The front of several processes: in turn, unchanged, and past those that are gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import socket

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer, unused_port
from yarl import URL

from local_host.front import Front


def upstream(name: str) -> web.Application:
    """Answers with what reached it."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path == "/breaks":
            response = web.StreamResponse(headers={"Content-Length": "100"})
            await response.prepare(request)
            await response.write(b"half")
            assert request.transport is not None
            request.transport.abort()
            return response
        body = await request.read()
        found = {
            "by": name,
            "method": request.method,
            "target": request.raw_path,
            "host": request.host,
            "tags": request.headers.getall("X-Tag", []),
            "length": request.headers.get("Content-Length"),
            "body": body.decode(),
        }
        answer = web.json_response(found, status=int(request.query.get("status", "200")))
        answer.headers.add("Set-Cookie", "a=1")
        answer.headers.add("Set-Cookie", "b=2")
        return answer

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handle)
    return app


@asynccontextmanager
async def fronted(*more: str) -> AsyncIterator[ClientSession]:
    async with TestServer(upstream("one")) as one, TestServer(upstream("two")) as two:
        urls = [str(each.make_url("")).rstrip("/") for each in (one, two)]
        front = Front([*more, *urls])
        async with TestServer(front.app()) as server, ClientSession(str(server.make_url("/"))) as session:
            yield session
        await front.close()


async def test_requests_go_in_turn() -> None:
    """Each process gets its share of one connection's requests."""
    async with fronted() as session:
        found = [(await (await session.get("/x")).json())["by"] for _ in range(6)]
        assert found == ["one", "two"] * 3


async def test_messages_pass_as_they_are() -> None:
    """Path, query, repeated headers, Host, body and its length; status and repeated headers of the answer."""
    async with fronted() as session:
        headers = [("X-Tag", "1"), ("X-Tag", "2"), ("Host", "example.test")]
        url = URL(f"{session._base_url}a%2Fb//c?status=409&q=%26", encoded=True)
        answer = await session.post(url, data=b"hello", headers=headers)
        assert answer.status == 409
        found = await answer.json()
        assert (found["target"], found["method"]) == (url.raw_path_qs, "POST")
        assert (found["tags"], found["host"]) == (["1", "2"], "example.test")
        assert (found["body"], found["length"]) == ("hello", "5")
        assert answer.headers.getall("Set-Cookie") == ["a=1", "b=2"]


async def test_a_body_of_unknown_length_stays_one() -> None:
    """A chunked request reaches the process chunked: without a Content-Length."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    async with fronted() as session:
        found = await (await session.put("/x", data=chunks())).json()
        assert (found["body"], found["length"]) == ("ab", None)


async def test_head_has_no_body() -> None:
    async with fronted() as session:
        answer = await session.head("/x")
        assert (answer.status, await answer.read()) == (200, b"")
        assert int(answer.headers["Content-Length"]) > 0


async def test_a_process_that_is_gone_is_passed_over() -> None:
    """Its share goes to the others; where all are gone, 503."""
    gone = f"http://127.0.0.1:{unused_port()}"
    async with fronted(gone) as session:
        assert {(await session.get("/x")).status for _ in range(6)} == {200}
    front = Front([gone])
    async with TestServer(front.app()) as server, ClientSession(str(server.make_url("/"))) as session:
        answer = await session.get("/x")
        assert (answer.status, answer.headers["x-ms-error-code"]) == (503, "ServiceUnavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert (await answer.json())["error"]["code"] == "ServiceUnavailable"
    await front.close()


async def test_a_process_that_ends_before_it_answers() -> None:
    """The request may have been acted on, so it is not sent again: 502."""
    with socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        front = Front([f"http://127.0.0.1:{listener.getsockname()[1]}"])
        async with TestServer(front.app()) as server, ClientSession(str(server.make_url("/"))) as session:
            asked = asyncio.ensure_future(session.post("/x", data=b"x"))
            accepted, _ = await asyncio.to_thread(listener.accept)
            accepted.close()
            assert ((await asked).status, (await asked).headers["x-ms-error-code"]) == (502, "BadGateway")
        await front.close()
