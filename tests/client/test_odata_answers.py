"""Final answers of OData in both forms, and batch responses, as values."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lro_client import UnexpectedAnswer
from lro_client.messages import Answer, Headers
from lro_client.model import Outcome
from lro_client.odata_answers import unwrap
from lro_client.odata_batch import read_batch


def answer(body: bytes, **headers: str) -> Answer:
    fields = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return Answer("GET", "https://contoso.example/monitor", 200, fields, body)


@pytest.mark.parametrize(
    ("message", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[1]", 200, b"[1]"),
        (b"\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 404 Not Found\nContent-Type: text/plain\n\nno\n\nmore", 404, b"no\n\nmore"),
        (b"HTTP/1.1 500\r\n\r\n", 500, b""),
        (b"HTTP/2 200 OK\r\n\r\nx", 200, b"x"),
        (b"HTTP/1.1 200 OK\nContent-Type: text/plain\n\r\nx", 200, b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\nx", 200, b"x"),
        (b"HTTP/1.1 200 OK\r\nTitle: \xc3\x85land\x0cx\x85y\r\n\r\nx", 200, b"x"),
    ],
)
@pytest.mark.parametrize("type", ["application/http", "Application/HTTP; msgtype=response"])
def test_enclosed_messages(message: bytes, status: int, body: bytes, type: str) -> None:
    """A whole message in the body, with CRLF or LF, with or without headers, body and phrase."""
    final = unwrap(answer(message, Content_Type=type))
    assert (final.status_code, final.body) == (status, body)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{}",
        b"GET / HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 OK 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ncut",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n",
        b'HTTP/1.1 200 OK\r\n{"a": 1}\r\n\r\n',
        b"HTTP/1.1 200 OK\r\nContent Type: text/plain\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nType : text/plain\r\n\r\n",
        b"HTTP/1.1 700 OK\r\n\r\n",
    ],
)
def test_what_is_no_message(message: bytes) -> None:
    """No status line, no header fields, a head without an end, a body that is cut off: an error, not a result."""
    with pytest.raises(UnexpectedAnswer):
        unwrap(answer(message, Content_Type="application/http"))


@given(st.binary(max_size=300))
def test_any_bytes(message: bytes) -> None:
    """Whatever is enclosed, it is an answer or an error of ours."""
    try:
        assert 100 <= unwrap(answer(message, Content_Type="application/http")).status_code <= 999
    except UnexpectedAnswer:
        return


def test_async_result() -> None:
    """The header is the status; the other headers and the body are the answer's."""
    final = unwrap(answer(b"{}", AsyncResult=" 422 ", Content_Type="application/json"))
    assert (final.status_code, final.body, final.media_type) == (422, b"{}", "application/json")


@pytest.mark.parametrize("status", ["", "OK", "20", "2000", "999", "-200", "\uff12\uff10\uff10"])
def test_async_result_that_is_none(status: str) -> None:
    """A header that is no status code is an error, not a success."""
    with pytest.raises(UnexpectedAnswer):
        unwrap(answer(b"{}", AsyncResult=status))


def test_only_a_200_encloses() -> None:
    """Other answers are what they are."""
    plain = Answer("GET", "https://contoso.example/", 202, Headers({"AsyncResult": "409"}))
    assert unwrap(plain) is plain


def batch(body: bytes, type: str) -> Any:
    return read_batch(Outcome(answer(body, Content_Type=type)))


@pytest.mark.parametrize(
    ("body", "type"),
    [
        (b"{}", "application/json"),
        (b"[]", "application/json"),
        (b'{"responses": [{"id": "1"}]}', "application/json"),
        (b'{"responses": [{"id": "1", "status": "soon"}]}', "application/json"),
        (b'{"responses": [3]}', "application/json"),
        (b"--b\r\n\r\n--b--", "multipart/mixed"),
        (b"--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "multipart/mixed; boundary=b"),
        (b"--b\r\nContent-Type: application/http\r\n\r\nnot http\r\n--b--", "multipart/mixed; boundary=b"),
        (b"", "multipart/mixed; boundary=b"),
        (b"<html>", "text/html"),
    ],
)
def test_batch_responses_that_are_none(body: bytes, type: str) -> None:
    """Neither JSON nor multipart, without a status, cut off: an error."""
    with pytest.raises(UnexpectedAnswer):
        batch(body, type)


def test_json_batch() -> None:
    """Members in any order, numbers as text, missing headers, ids and bodies are read."""
    body = b'{"responses": [{"status": 200, "body": null}, {"id": "x", "status": "204", "headers": {"ETag": 3}}]}'
    first, second = batch(body, "application/json").results
    assert (first.id, first.status_code, first.body) == ("1", 200, None)
    assert (second.id, second.status_code, second.headers["etag"]) == ("x", 204, "3")


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
@pytest.mark.parametrize("boundary", ['"b c"', "b"])
def test_multipart_batch(end: bytes, boundary: str) -> None:
    """Preamble, quoted boundary, nested change sets, either line end; a boundary inside of a line is none."""
    mark = b"--" + boundary.strip('"').encode()
    lines = [
        b"preamble",
        mark,
        b"Content-Type: application/http",
        b"",
        b"HTTP/1.1 200 OK",
        b"Content-Type: text/plain",
        b"",
        b"one " + mark + b" two",
        mark,
        b"Content-Type: multipart/mixed; boundary=inner",
        b"",
        b"--inner",
        b"Content-Type: application/http",
        b"Content-ID: 7",
        b"",
        b"HTTP/1.1 404 Not Found",
        b"",
        b"",
        b"--inner--",
        mark + b"--",
        b"",
    ]
    first, second = batch(end.join(lines), f"multipart/mixed; boundary={boundary}").results
    assert (first.status_code, first.body) == (200, "one " + mark.decode() + " two")
    assert (second.id, second.status_code, second.is_success) == ("7", 404, False)


@given(st.binary(max_size=200))
def test_any_multipart(body: bytes) -> None:
    """Whatever comes between boundaries, it is results or an error of ours."""
    try:
        batch(b"--b\r\n" + body + b"\r\n--b--", "multipart/mixed; boundary=b")
    except UnexpectedAnswer:
        return


def test_part_without_a_body() -> None:
    """The line end before a boundary is the boundary's, so that a part without a body may lack its empty line."""
    part = b"--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 No Content\r\nETag: 1\r\n\r\n--b--"
    (result,) = batch(part, "multipart/mixed; boundary=b").results
    assert (result.status_code, result.headers["etag"], result.body) == (204, "1", None)
