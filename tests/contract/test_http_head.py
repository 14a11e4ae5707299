"""HEAD: answered wherever GET is, with the same status and headers, and without a body (RFC 9110, section 9.3.2)."""

import asyncio
import time

import azure.functions as func
import httpx
import pytest

from blueprints.http import exchange as exchange_sdk
from shared.contracts.http import Request, Response
from tests.support.described import SUBSCRIPTION, described
from tests.support.host import LocalHost
from tests.support.host_for_tests import exchange, raw_request
from tests.support.lro import PATIENCE, identity, run

OF_EACH_REQUEST = {"x-ms-request-id", "x-ms-correlation-request-id", "date"}

Answer = tuple[int, dict[str, list[str]], bytes]


def both(host: LocalHost, target: str, principal: str, *more: str) -> tuple[Answer, Answer]:
    """What GET and HEAD are answered, byte by byte."""
    lines = [*(f"{name}: {value}" for name, value in identity(principal).items()), *more]
    messages = [raw_request(method, target, *lines) for method in ("GET", "HEAD")]
    got, head = [asyncio.run(exchange(host.port, message)) for message in messages]
    return got, head


def kept(answer: Answer) -> dict[str, list[str]]:
    return {name: values for name, values in answer[1].items() if name not in OF_EACH_REQUEST}


def test_wherever_get_is(host: LocalHost, client: httpx.Client) -> None:
    """Every function that takes GET takes HEAD: status and headers are those of GET, Content-Length with them."""
    client.put("/trial/x1", json={}, headers={"Prefer": "wait=10"})
    run(client, "/trial/x1:nothing")
    readable = [target for method, target in described(client) if method == "GET"]
    targets = [*readable, f"/status/{client.get('/status').json()['value'][0]['id']}"]
    principal = client.headers["x-ms-client-principal-id"]
    statuses: list[int] = []
    for target in targets:
        got, head = both(host, target, principal)
        assert (head[0], kept(head), head[2]) == (got[0], kept(got), b""), target
        assert head[1].get("content-length") == ([str(len(got[2]))] if got[2] else got[1].get("content-length")), target
        statuses.append(got[0])
    assert len(targets) > 30
    assert statuses.count(200) > 10


@pytest.mark.parametrize(("target", "allow"), [("/status/x1:cancel", "POST"), ("/odata/$batch", "POST")])
def test_where_get_is_not(host: LocalHost, target: str, allow: str) -> None:
    """Where nothing can be read, HEAD is 405 as GET is; where there is nothing, 404."""
    for path, status in ((target, 405), ("/nowhere", 404)):
        got, head = both(host, path, "me")
        assert (head[0], kept(head), head[2]) == (got[0], kept(got), b"")
        assert got[0] == status
    assert (both(host, target, "me"))[1][1]["allow"] == [allow]


def test_an_arm_resource(host: LocalHost, client: httpx.Client) -> None:
    """HEAD asks whether it is there: 204 with its ETag, or 404; a generated client's existence check takes no other."""
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/head/providers/Contoso.Things/asyncThings"
    principal, query = client.headers["x-ms-client-principal-id"], "?api-version=2026-01-01"
    path = f"{group}/{principal}{query}"
    assert [answer[0] for answer in both(host, path, principal)] == [404, 404]
    assert client.put(path, json={"location": "westeurope"}).status_code == 201
    deadline = time.monotonic() + PATIENCE
    while client.get(path).json()["properties"]["provisioningState"] != "Succeeded":
        assert time.monotonic() < deadline, "it was not made in time"
        time.sleep(0.05)
    got, head = both(host, path, principal)
    assert (got[0], head[0], head[2]) == (200, 204, b"")
    assert head[1]["etag"] == got[1]["etag"]
    assert "content-length" not in head[1]
    known = both(host, path, principal, f"If-None-Match: {head[1]['etag'][0]}")
    assert [(answer[0], answer[2]) for answer in known] == [(304, b""), (304, b"")]
    listed = both(host, f"{group}{query}", principal)
    assert [answer[0] for answer in listed] == [200, 200]


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [("HEAD", "ä".encode(), "2"), ("head", b"x", "1"), ("HEAD", b"", None), ("GET", b"x", None)],
)
async def test_the_length_is_named(method: str, body: bytes, length: str | None) -> None:
    """The function itself says how long the body is that the host leaves out: the platform adds no Content-Length."""
    seen: list[str] = []

    async def serve(request: Request) -> Response:
        assert request.is_head == (method.upper() == "HEAD")
        seen.append(request.method)
        return Response(status=200, body=body)

    answer = await exchange_sdk(func.HttpRequest(method=method, url="http://h/", body=b""), serve)
    assert (seen, answer.headers.get("Content-Length")) == (["GET"], length)
