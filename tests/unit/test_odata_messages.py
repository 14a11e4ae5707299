"""HTTP messages inside other messages: what is written is what readers in use take, what is read is checked."""

import http.client
import io
from http import HTTPStatus
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.http import Response, json_response
from shared.contracts.odata.limits import MAX_URL
from shared.contracts.odata.messages import (
    MAX_HEAD,
    MAX_HEADERS,
    METHODS,
    EnclosedRequest,
    parse_media_type,
    parse_request,
    phrase,
    write_message,
)
from shared.errors import RequestError


class Wire:
    """As much of a socket as http.client reads from."""

    def __init__(self, message: bytes) -> None:
        self._message = message

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._message)


def read_back(message: bytes) -> tuple[int, str, list[tuple[str, str]], bytes]:
    """Status, phrase, headers and body as the standard library's client reads them off a socket."""
    answer = http.client.HTTPResponse(cast("http.client.socket.socket", Wire(message)))  # type: ignore[attr-defined]
    answer.begin()
    return answer.status, answer.reason, answer.getheaders(), answer.read()


def parse(message: bytes) -> EnclosedRequest:
    return parse_request(message, where="Part 1")


def outcome(message: bytes) -> EnclosedRequest | int:
    """The request, or the status of the refusal."""
    try:
        return parse(message)
    except RequestError as error:
        return error.status


def refusal(message: bytes) -> RequestError:
    with pytest.raises(RequestError) as caught:
        parse(message)
    assert caught.value.status == 400
    assert caught.value.message.startswith("Part 1: ")
    return caught.value


def test_an_answer_is_a_whole_message() -> None:
    """Status line with a phrase, headers, a blank line, the body: read back by an HTTP client, nothing differs."""
    message = write_message(json_response(201, {"id": "ü"}, {"Location": "http://h/odata/Books('1')", "ETag": 'W/"1"'}))
    assert message.startswith(b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n")
    status, reason, headers, body = read_back(message)
    assert (status, reason, body) == (201, "Created", '{"id":"ü"}'.encode())
    assert dict(headers) == {
        "Content-Type": "application/json",
        "Location": "http://h/odata/Books('1')",
        "ETag": 'W/"1"',
        "Content-Length": "11",
    }


def test_204_ends_with_a_blank_line() -> None:
    """An answer without a body has the blank line too, no Content-Length and no Content-Type."""
    message = write_message(Response(status=204, headers={"OData-Version": "4.01"}, content_type="application/json"))
    assert message == b"HTTP/1.1 204 No Content\r\nOData-Version: 4.01\r\n\r\n"


@pytest.mark.parametrize("status", [*(s.value for s in HTTPStatus), 299, 418, 499, 599, 799])
def test_every_status_has_a_phrase(status: int) -> None:
    """A reader in use fails on a status line whose phrase is missing or empty."""
    assert phrase(status).strip()
    assert write_message(Response(status=status)).startswith(f"HTTP/1.1 {status} {phrase(status)}\r\n".encode())


def test_a_header_is_written_once() -> None:
    """Names that differ in case only are one header, joined; framing that an answer brings along is not written."""
    headers = {"Vary": "Prefer", "vary": "Accept", "Content-Length": "99", "Transfer-Encoding": "chunked"}
    lines = write_message(Response(status=200, headers=headers, body=b"x", content_type="text/plain")).split(b"\r\n")
    assert lines[1:4] == [b"Content-Type: text/plain", b"Vary: Prefer, Accept", b"Content-Length: 1"]
    assert lines[4:] == [b"", b"x"]


def test_a_header_stays_one_line() -> None:
    """A line end in a value cannot begin another header or the body."""
    message = write_message(Response(status=200, headers={"Location": "a\r\nSet-Cookie: b\r\n\r\nc"}))
    head, _, body = message.partition(b"\r\n\r\n")
    assert body == b""
    assert [line.partition(b":")[0] for line in head.split(b"\r\n")[1:]] == [b"Location", b"Content-Length"]


@pytest.mark.parametrize("end", [b"\r\n", b"\n"], ids=["CRLF", "LF"])
@pytest.mark.parametrize("url", ["http://h:1/odata/Books", "/odata/Books", "Books?$top=1"])
def test_a_request_is_read(end: bytes, url: str) -> None:
    """Both line ends and the three forms of URL are taken; header names are lower-case, values of one name joined."""
    lines = [f"POST {url} HTTP/1.1".encode(), b"Host: h", b"Content-Type:application/json"]
    lines += [b"Prefer: a", b"PREFER:  b ", b"", b'{"a": "\r\n\r\n"}']
    found = parse(end.join(lines))
    assert (found.method, found.url, found.body) == ("POST", url, b'{"a": "\r\n\r\n"}')
    assert found.headers == {"host": "h", "content-type": "application/json", "prefer": "a,b"}


@pytest.mark.parametrize(
    "message",
    [
        b"GET Books HTTP/1.1",
        b"GET Books HTTP/1.1\r\n",
        b"GET Books HTTP/1.1\r\n\r\n",
        b"GET Books HTTP/1.1\r\n\r\n\r\n\r\n",
        b"\r\n\r\nGET Books HTTP/1.1\r\n\r\n",
        b"get Books HTTP/1.1\n\n",
        b"GET Books HTTP/1.1\r\nContent-Length: 0\r\n\r\n\r\n",
    ],
)
def test_what_clients_put_around_a_get(message: bytes) -> None:
    """Blank lines before and behind it do not matter, and the method's case does not."""
    assert parse(message) == EnclosedRequest("GET", "Books", {}, b"")


@pytest.mark.parametrize(
    ("line", "url"),
    [
        (b"GET Books?$filter=title eq 'a' HTTP/1.1", "Books?$filter=title%20eq%20'a'"),
        ("GET Bücher HTTP/1.1".encode(), "B%C3%BCcher"),
        (b"GET Books('a%20b c') HTTP/1.1 ", "Books('a%20b%20c')"),
    ],
)
def test_urls_that_are_not_escaped(line: bytes, url: str) -> None:
    """The first and the last space of a request line end method and URL; some clients escape nothing between them."""
    assert parse(line + b"\r\n\r\n") == EnclosedRequest("GET", url, {}, b"")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"GET Books",
        b"GET Books HTTP/1.0",
        b"GET Books HTTP/2",
        b"GET  Books HTTP/1.1",
        b"GET Books?a=\tb HTTP/1.1",
        b" GET Books HTTP/1.1",
        b"HTTP/1.1 200 OK",
        b"TRACE Books HTTP/1.1",
        b"HEAD Books HTTP/1.1",
        b"MERGE Books HTTP/1.1",
    ],
)
def test_bad_request_lines(line: bytes) -> None:
    """Anything but a known method, a URL without spaces and HTTP/1.1 is refused."""
    refusal(line + b"\r\nAccept: a\r\n\r\n")


@pytest.mark.parametrize(
    "header",
    [
        b"no colon",
        b"Na me: x",
        b": x",
        b"Name : x",
        b" folded: x",
        b"A: x\r y",
        b"A: \x00",
        b"Content-Type: a/b\r\nContent-Type: a/b",
        b"Content-Length: 1\r\nContent-Length: 1",
        b"Transfer-Encoding: chunked",
    ],
)
def test_bad_headers(header: bytes) -> None:
    """A line that is no header, or that would leave the request's meaning or end in doubt, is refused."""
    refusal(b"POST Books HTTP/1.1\r\n" + header + b"\r\n\r\nx")


@pytest.mark.parametrize("length", [b"0", b"2", b"4", b"-1", b"+3", b"0x3", b"3, 3", b"9" * 30, b""])
def test_a_wrong_length_is_refused(length: bytes) -> None:
    """A Content-Length that is not the body's length would cut or hide something; it is never believed."""
    error = refusal(b"POST Books HTTP/1.1\r\nContent-Length: " + length + b"\r\n\r\nabc")
    assert "Content-Length" in error.message


def test_a_right_length_cuts_the_line_ends_behind_the_body() -> None:
    """With Content-Length a body ends where it says; without, it ends with the part."""
    assert parse(b"POST Books HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\r\n\r\n").body == b"abc"
    assert parse(b"POST Books HTTP/1.1\r\n\r\nabc\r\n\r\n").body == b"abc\r\n\r\n"
    assert parse(b"POST Books HTTP/1.1\r\nContent-Type: a/b\r\n\r\n\r\n").body == b""


@pytest.mark.parametrize("method", [b"GET", b"DELETE"])
def test_get_and_delete_have_no_body(method: bytes) -> None:
    """A body where none belongs is refused, as outside of a batch."""
    assert "takes no body" in refusal(method + b" Books('1') HTTP/1.1\r\n\r\n{}").message


def test_limits_are_named() -> None:
    """Too long a head or URL, and too many headers, are refused with the limit in the message."""
    cases = {
        f"{MAX_HEAD}": b"GET Books HTTP/1.1\r\nA: " + b"x" * MAX_HEAD + b"\r\n\r\n",
        f"{MAX_HEADERS}": b"GET Books HTTP/1.1\r\n" + b"A: x\r\n" * (MAX_HEADERS + 1) + b"\r\n",
        f"{MAX_URL}": b"GET Books?" + b"x" * MAX_URL + b" HTTP/1.1\r\n\r\n",
    }
    for limit, message in cases.items():
        error = refusal(message)
        assert error.code == "BatchTooLarge"
        assert limit in error.message
    assert parse(b"GET Books HTTP/1.1\r\n" + b"A: x\r\n" * MAX_HEADERS + b"\r\n").headers == {
        "a": ",".join(["x"] * MAX_HEADERS)
    }


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("application/http", ("application/http", {})),
        ("Multipart/Mixed; Boundary=a", ("multipart/mixed", {"boundary": "a"})),
        ('multipart/mixed ; boundary="a;b\\"c";', ("multipart/mixed", {"boundary": 'a;b"c'})),
        (
            "multipart/mixed;boundary=a_(1)/=b;charset=utf-8",
            ("multipart/mixed", {"boundary": "a_(1)/=b", "charset": "utf-8"}),
        ),
    ],
)
def test_media_types(header: str, expected: tuple[str, dict[str, str]]) -> None:
    """Type and names of parameters are lower-case, quotes are undone."""
    assert parse_media_type(header, where="x") == expected


@pytest.mark.parametrize("header", ["", "json", "a/b; c", "a/b; boundary=", "a/b; c=1; C=2", 'a/b; c="x', "a/b c"])
def test_bad_media_types(header: str) -> None:
    """What cannot be read in one way only is refused."""
    with pytest.raises(RequestError):
        parse_media_type(header, where="x")


@given(st.binary(max_size=200) | st.text("GETPOS /HT.1:\r\n \t{}", max_size=80).map(str.encode))
def test_any_bytes_are_read_or_refused(message: bytes) -> None:
    """Whatever comes, the outcome is a request or a 400."""
    found = outcome(message)
    assert found == 400 or (isinstance(found, EnclosedRequest) and found.method in METHODS and found.url)


@given(
    status=st.integers(200, 599).filter(lambda status: status not in (204, 304)),
    body=st.binary(max_size=200),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=50),
)
def test_any_answer_is_read_back(status: int, body: bytes, value: str) -> None:
    """An HTTP client reads back the status, the header and every byte of the body."""
    found = read_back(write_message(Response(status=status, headers={"X-A": value}, body=body, content_type="a/b")))
    assert (found[0], found[3]) == (status, body)
    assert dict(found[2])["X-A"] == value.strip()
