"""HTTP profile_state of the Functions host, over a real socket."""

import asyncio
import json
from collections.abc import AsyncIterator

import azure.functions as func
import pytest
from aiohttp import web

from local_host.connections import Patience
from local_host.http_server import HttpLimits
from local_host.settings_file import Cors
from tests.support.host_for_tests import RunningHost, exchange, raw_request, running

gate: list[asyncio.Event] = []


def build_app() -> func.FunctionApp:
    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    @app.route(route="echo", methods=["GET", "POST"])
    async def echo(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
        seen = {
            "headers": dict(req.headers),
            "params": dict(req.params),
            "url": req.url,
            "body": req.get_body().decode(),
            "function": context.function_name,
        }
        return func.HttpResponse(json.dumps(seen))

    @app.route(route="in-thread")
    def in_thread(req: func.HttpRequest) -> str:
        return "from a thread"

    @app.route(route="broken")
    async def broken(req: func.HttpRequest) -> func.HttpResponse:
        raise RuntimeError("a bug")

    @app.route(route="nothing")
    async def nothing(req: func.HttpRequest) -> func.HttpResponse:
        return None  # pyright: ignore[reportReturnType]

    @app.route(route="headers", methods=["GET", "HEAD"])
    async def headers(req: func.HttpRequest) -> func.HttpResponse:
        response = func.HttpResponse(b"{}", status_code=201, mimetype="application/json")
        response.headers["X-One"] = "1"
        response.headers["Content-Length"] = "999"
        response.headers.add("Set-Cookie", "a=1; Path=/")
        response.headers.add("Set-Cookie", "b=2")
        return response

    @app.route(route="wait")
    async def wait(req: func.HttpRequest) -> str:
        await gate[0].wait()
        return "waited"

    return app


@pytest.fixture
async def host() -> AsyncIterator[RunningHost]:
    async def upload(request: web.Request) -> web.Response:
        size = 0
        async for chunk in request.content.iter_any():
            size += len(chunk)
        return web.Response(text=str(size))

    routes = [web.put("/account/uploads/{name}", upload)]
    async with running(
        build_app(),
        cors=Cors(("https://page.example",), credentials=True),
        extra_routes=routes,
        patience=Patience(linger=0.05),
    ) as each:
        yield each


async def test_request_as_functions_see_it(host: RunningHost) -> None:
    """Header names are lower case, several values are joined, the URL is built from the Host header."""
    message = raw_request("POST", "/echo?a=1&b=%20x&a=2&c", "X-Many: 1", "x-many: 2", "Content-Length: 2", body=b"hi")
    _, headers, body = await exchange(host.port, message)
    seen = json.loads(body)
    assert seen["headers"]["x-many"] == "1,2"
    assert seen["params"] == {"a": "1,2", "b": " x", "c": ""}
    assert seen["url"] == "http://localhost/echo?a=1&b=%20x&a=2&c"
    assert (seen["body"], seen["function"]) == ("hi", "echo")
    assert headers["content-type"] == ["text/plain; charset=utf-8"]


async def test_chunked_body_arrives_empty(host: RunningHost) -> None:
    """Without a Content-Length the body does not reach the function."""
    message = raw_request("POST", "/echo", "Transfer-Encoding: chunked", body=b"2\r\nhi\r\n0\r\n\r\n")
    status, _, body = await exchange(host.port, message)
    assert status == 200
    assert json.loads(body)["body"] == ""
    assert json.loads(body)["headers"]["transfer-encoding"] == "chunked"


@pytest.mark.parametrize("expect", [(), ("Expect: 100-continue",)])
async def test_too_large_a_body_is_refused_unread(host: RunningHost, expect: tuple[str, ...]) -> None:
    """Above 100 MiB: 413 with an empty body, without waiting for the body."""
    message = raw_request("POST", "/echo", "Content-Length: 104857601", *expect)
    status, _, body = await asyncio.wait_for(exchange(host.port, message), 2)
    assert (status, body) == (413, b"")


async def test_expect_continue(host: RunningHost) -> None:
    """The server asks for the body before it is sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    writer.write(raw_request("POST", "/echo", "Content-Length: 2", "Expect: 100-continue"))
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"hi")
    assert b'"body": "hi"' in await reader.read()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [("GET", "/nobody", 404), ("PUT", "/echo", 404), ("HEAD", "/echo", 404), ("OPTIONS", "/echo", 404),
     ("GET", "/broken", 500), ("GET", "/nothing", 500)],
)  # fmt: skip
async def test_empty_answers(host: RunningHost, method: str, target: str, status: int) -> None:
    """No function, another method, or an exception: a status with an empty body."""
    assert (await exchange(host.port, raw_request(method, target)))[::2] == (status, b"")


async def test_sync_function(host: RunningHost) -> None:
    """A function without async runs in a thread; a str is a whole answer."""
    status, headers, body = await exchange(host.port, raw_request("GET", "/in-thread"))
    assert (status, body, headers["content-type"]) == (200, b"from a thread", ["text/plain; charset=utf-8"])


async def test_response_headers(host: RunningHost) -> None:
    """Status, headers and several cookies arrive; the server frames the message itself."""
    status, headers, body = await exchange(host.port, raw_request("GET", "/headers"))
    assert (status, body) == (201, b"{}")
    assert (headers["x-one"], headers["content-length"]) == (["1"], ["2"])
    assert headers["set-cookie"] == ["a=1; Path=/", "b=2"]
    assert headers["content-type"] == ["application/json"]
    assert (await exchange(host.port, raw_request("HEAD", "/headers")))[::2] == (201, b"")


async def test_home_page(host: RunningHost) -> None:
    """`/` answers 200 when no function takes it."""
    status, headers, body = await exchange(host.port, raw_request("GET", "/"))
    assert (status, headers["content-type"]) == (200, ["text/html; charset=utf-8"])
    assert b"running" in body


async def test_cors(host: RunningHost) -> None:
    """The host answers a preflight and marks answers for an allowed origin, and only for that."""
    preflight = raw_request("OPTIONS", "/echo", "Origin: https://page.example", "Access-Control-Request-Method: POST")
    status, headers, _ = await exchange(host.port, preflight)
    assert status == 204
    assert headers["access-control-allow-origin"] == ["https://page.example"]
    assert headers["access-control-allow-methods"] == ["POST"]
    _, headers, _ = await exchange(host.port, raw_request("GET", "/echo", "Origin: https://page.example"))
    assert headers["access-control-allow-credentials"] == ["true"]
    _, headers, _ = await exchange(host.port, raw_request("GET", "/echo", "Origin: https://other.example"))
    assert "access-control-allow-origin" not in headers


async def test_host_routes_stream_without_a_limit(host: RunningHost) -> None:
    """A host-own route wins over functions, takes chunked bodies, and leaves other methods to the functions."""
    message = raw_request("PUT", "/account/uploads/x", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n")
    assert (await exchange(host.port, message))[::2] == (200, b"3")
    assert (await exchange(host.port, raw_request("GET", "/account/uploads/x")))[0] == 404


async def test_access_log_keeps_queries_to_itself(host: RunningHost, caplog: pytest.LogCaptureFixture) -> None:
    """One line a request, never the query: it may carry keys."""
    with caplog.at_level("INFO", "local_host.access"):
        await exchange(host.port, raw_request("GET", "/echo?code=secret"))
    assert [record.getMessage().rsplit(" ", 2)[0] for record in caplog.records] == ["GET /echo 200"]


async def test_limits_of_host_json() -> None:
    """Over maxOutstandingRequests: 429 with an error body and Retry-After; over maxConcurrentRequests requests wait."""
    gate[:] = [asyncio.Event()]
    async with running(build_app(), limits=HttpLimits(concurrent=1, outstanding=2)) as host:
        waiting = [asyncio.create_task(exchange(host.port, raw_request("GET", "/wait"))) for _ in range(2)]
        await asyncio.sleep(0.05)
        status, headers, body = await exchange(host.port, raw_request("GET", "/in-thread"))
        assert (status, json.loads(body)["error"]["code"], headers["retry-after"]) == (429, "TooManyRequests", ["1"])
        gate[0].set()
        assert [each[0] for each in await asyncio.gather(*waiting)] == [200, 200]
