"""Bad input, the answer, its code, and that nothing was created."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.host import LocalHost
from tests.support.host_for_tests import exchange, raw_request
from tests.support.lro import listing

START = "/book/b1:upload-start"
GOOD = {"fileName": "moby-dick.epub"}


@pytest.fixture
def nothing_created(client: httpx.Client) -> Iterator[None]:
    """The list of this caller, who has never started anything, is empty after the test."""
    yield
    assert listing(client) == []


pytestmark = pytest.mark.usefixtures("nothing_created")


@pytest.mark.parametrize(
    ("body", "status", "code", "details"),
    [
        (b"{", 400, "InvalidJson", None),
        (b"nonsense", 400, "InvalidJson", None),
        (b"\xff\xfe\x00", 400, "InvalidJson", None),
        (b'{"fileName": "a"} x', 400, "InvalidJson", None),
        (b'{"fileName": "a", "fileName": "b"}', 400, "InvalidJson", None),
        (b'{"fileName": "a", "size": NaN}', 400, "InvalidJson", None),
        (b'{"fileName": "a", "size": 1e999}', 400, "InvalidJson", None),
        (b"[" * 100_000, 400, "InvalidJson", None),
        (b"[]", 400, "InvalidJson", None),
        (b'"text"', 400, "InvalidJson", None),
        (b"null", 400, "InvalidJson", None),
        (b" ", 400, "InvalidJson", None),
        (b"", 400, "InvalidInput", {"fileName": "MissingField"}),
        (b"{}", 400, "InvalidInput", {"fileName": "MissingField"}),
        (b'{"fileName": 5}', 400, "InvalidInput", {"fileName": "InvalidValue"}),
        (b'{"fileName": null}', 400, "InvalidInput", {"fileName": "InvalidValue"}),
        (b'{"fileName": ""}', 400, "InvalidInput", {"fileName": "InvalidValue"}),
        (b'{"fileName": "a", "size": "many"}', 400, "InvalidInput", {"size": "InvalidValue"}),
        (b'{"fileName": "a", "size": 0}', 400, "InvalidInput", {"size": "InvalidValue"}),
        (b'{"fileName": "a", "pages": 5}', 400, "InvalidInput", {"pages": "UnknownField"}),
        (b'{"file_name": "a"}', 400, "InvalidInput", {"fileName": "MissingField", "file_name": "UnknownField"}),
        (b'{"fileName": "a", "id": "b2"}', 400, "RouteMismatch", {"id": "RouteMismatch"}),
        (b'{"fileName": "a", "size": 999999999999}', 413, "UploadTooLarge", None),
    ],
)
def test_body(client: httpx.Client, body: bytes, status: int, code: str, details: dict[str, str] | None) -> None:
    """What is no JSON object, or does not fit the model, is refused and every field that is wrong is named."""
    answer = client.post(START, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"], answer.headers["x-ms-error-code"]) == (
        status,
        code,
        code,
    )
    if details is not None:
        assert {each["target"]: each["code"] for each in answer.json()["error"]["details"]} == details


def test_values_are_not_repeated(client: httpx.Client) -> None:
    """An error names the field and never what was in it."""
    answer = client.post(START, json={"fileName": "a", "size": "hunter2", "password": "hunter3"})
    assert "hunter" not in answer.text


def test_input_where_none_is_taken(client: httpx.Client) -> None:
    """An action without input refuses fields."""
    answer = client.post("/trial:tick", json={"fast": True})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidInput")


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "json", ""]
)
def test_content_type(client: httpx.Client, media_type: str) -> None:
    """415 for a body of another media type, or of none."""
    headers = {"content-type": media_type} if media_type else {}
    answer = client.post(START, content=json.dumps(GOOD), headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "UnsupportedMediaType")


def test_body_over_the_limit(client: httpx.Client) -> None:
    """413 for one byte more than MAX_BODY_BYTES (1 MiB)."""
    body = json.dumps({"fileName": "a"}).encode().ljust(1_048_577)
    answer = client.post(START, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "RequestBodyTooLarge")


def test_body_over_the_hosts_limit(host: LocalHost, client: httpx.Client) -> None:
    """What announces more than the host takes is 413 before it is sent."""
    lines = [f"{name}: {value}" for name, value in client.headers.items() if name.startswith("x-ms")]
    message = raw_request("POST", START, "Content-Type: application/json", "Content-Length: 104857601", *lines)
    status, _, _ = asyncio.run(exchange(host.port, message))
    assert status == 413


def test_chunked_body(client: httpx.Client) -> None:
    """A chunked body never arrives, so the answer is 411 and not 'a field is missing'."""

    def chunks() -> Iterator[bytes]:
        yield json.dumps(GOOD).encode()

    answer = client.post(START, content=chunks(), headers={"content-type": "application/json"})
    assert answer.request.headers["transfer-encoding"] == "chunked"
    assert (answer.status_code, answer.json()["error"]["code"]) == (411, "LengthRequired")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/book/a:b:upload-start", 400, "InvalidResourceId"),
        ("/book/a%3Ab:upload-start", 400, "InvalidResourceId"),
        ("/book/a%2Fb:upload-start", 400, "InvalidResourceId"),
        ("/book/a%252Fb:upload-start", 400, "InvalidResourceId"),
        ("/book/a%5Cb:upload-start", 400, "InvalidResourceId"),
        ("/book/a%01b:upload-start", 400, "InvalidResourceId"),
        ("/book/a%7Fb:upload-start", 400, "InvalidResourceId"),
        ("/book/a%0Ab:upload-start", 400, "InvalidResourceId"),
        ("/book/b1%0A:upload-start", 400, "InvalidResourceId"),
        ("/book/a%20b:upload-start", 400, "InvalidResourceId"),
        ("/book/a+b:upload-start", 400, "InvalidResourceId"),
        ("/book/%C3%A9:upload-start", 400, "InvalidResourceId"),
        ("/book/%FF:upload-start", 400, "InvalidResourceId"),
        ("/book/.b:upload-start", 400, "InvalidResourceId"),
        ("/book/-b:upload-start", 400, "InvalidResourceId"),
        (f"/book/{'a' * 65}:upload-start", 400, "InvalidResourceId"),
        (f"/book/{'a' * 4000}:upload-start", 400, "InvalidResourceId"),
        ("/book/a/b:upload-start", 404, "ActionNotFound"),
        ("/book/:upload-start", 404, "ActionNotFound"),
        ("/book:upload-start", 404, "ActionNotFound"),
        ("/book/b1:upload-stop", 404, "ActionNotFound"),
        ("/nowhere/b1:upload-start", 404, "ActionNotFound"),
    ],
)
def test_path(host: LocalHost, client: httpx.Client, path: str, status: int, code: str) -> None:
    """An id that is none is 400, a path that leads nowhere is 404; both with an error body."""
    found, headers, body = asyncio.run(exchange(host.port, _start(client, path)))
    assert (found, headers.get("x-ms-error-code")) == (status, [code])
    assert json.loads(body)["error"]["code"] == code


@pytest.mark.parametrize("path", ["/book/a%00b:upload-start", "/book/a\x01b:upload-start", "/book/a\x7fb:upload-start"])
def test_path_that_the_server_refuses(host: LocalHost, client: httpx.Client, path: str) -> None:
    """A null character, and control characters as they are, do not get past the server."""
    status, _, _ = asyncio.run(exchange(host.port, _start(client, path)))
    assert status == 400


def test_longest_id(client: httpx.Client) -> None:
    """64 characters are an id: it is found valid, and the input that is missing is what is refused."""
    answer = client.post(f"/book/{'a' * 64}:upload-start", json={})
    assert answer.json()["error"]["code"] == "InvalidInput"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"/book/{'a' * 65}", "InvalidResourceId"),
        ("/book/.b", "InvalidResourceId"),
        ("/book/a%2Fb", "InvalidResourceId"),
        ("/book?top=0", "InvalidInput"),
        ("/book?colour=red", "InvalidInput"),
        ("/book/b1?expand=all", "InvalidInput"),
        ("/book?skipToken=!", "InvalidInput"),
    ],
)
def test_reads(client: httpx.Client, path: str, code: str) -> None:
    """Reads check their ids and parameters as starts do."""
    answer = client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def _start(client: httpx.Client, path: str) -> bytes:
    body: Any = json.dumps(GOOD).encode()
    lines = [f"{name}: {value}" for name, value in client.headers.items() if name.startswith("x-ms")]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return raw_request("POST", path, *lines, body=body)
