"""Answers byte by byte, from the socket, on both stores: what readers in use need that a client library would hide.

Microsoft.OData's reader of `application/http` and of multipart answers takes a status line with a phrase, each header
once, CRLF and nothing else, a blank line behind the headers even of a 204, and a CRLF behind the closing boundary.
"""

import asyncio
import json
import re
from typing import Any
from uuid import uuid4

import pytest

from tests.support.host import LocalHost
from tests.support.host_for_tests import exchange, raw_request
from tests.support.lro import identity

BATCH = "/odata/$batch"
STATUS_LINE = re.compile(rb"HTTP/1\.1 [1-5][0-9]{2} [A-Z][A-Za-z -]+")
HEADER = re.compile(rb"([A-Za-z-]+): ([!-~]|[!-~][ -~]*[!-~])")
ADDRESS = "http://localhost"
"""What `raw_request` says it has connected to."""

PART_HEAD = [b"Content-Type: application/http", b"Content-Transfer-Encoding: binary"]

Answer = tuple[int, dict[str, list[str]], bytes]


class Wire:
    """A caller without a client library."""

    def __init__(self, host: LocalHost) -> None:
        self._host = host
        self._signed_in = [f"{name}: {value}" for name, value in identity(uuid4().hex).items()]

    async def send(self, method: str, target: str, *lines: str, body: bytes = b"") -> Answer:
        if method != "GET":
            lines = (*lines, f"Content-Length: {len(body)}")
        answer = await exchange(self._host.port, raw_request(method, target, *self._signed_in, *lines, body=body))
        _, headers, content = answer
        assert not {name: values for name, values in headers.items() if len(values) != 1}, "a header is there twice"
        assert headers.get("content-length") == [str(len(content))], "there is more, or less, than was said"
        assert headers["odata-version"][0] in ("4.0", "4.01")
        return answer

    async def begin(self, target: str, *lines: str, body: Any = None, content: bytes = b"") -> str:
        """Start asynchronously; the path of the monitor."""
        lines = ("Prefer: respond-async", *(lines or ("Content-Type: application/json",)))
        content = content or json.dumps(body or {}).encode()
        status, headers, _ = await self.send("POST", target, *lines, body=content)
        assert status == 202
        [location] = headers["location"]
        assert location.startswith(f"{ADDRESS}/odata/$async/")
        return location.removeprefix(ADDRESS)

    async def runs(self, monitor: str) -> None:
        """Wait until it has begun."""
        message = raw_request("GET", f"/status/{monitor.rpartition('/')[2]}", *self._signed_in)
        for _ in range(200):
            if b'"Running"' in (await exchange(self._host.port, message))[2]:
                return
            await asyncio.sleep(0.05)
        raise AssertionError("it has not begun")

    async def end(self, monitor: str, *lines: str) -> Answer:
        while (answer := await self.send("GET", monitor, *lines))[0] == 202:
            assert answer[2] == b""
        return answer


@pytest.fixture
def wire(host: LocalHost) -> Wire:
    return Wire(host)


def checked(message: bytes) -> tuple[bytes, dict[str, str], bytes]:
    """Status line, headers and body of an enclosed message that keeps the rules."""
    head, blank, body = message.partition(b"\r\n\r\n")
    assert blank, "there is no blank line"
    assert b"\n" not in head.replace(b"\r\n", b"")
    first, *lines = head.split(b"\r\n")
    assert STATUS_LINE.fullmatch(first), first
    headers: dict[str, str] = {}
    for line in lines:
        match = HEADER.fullmatch(line)
        assert match, line
        name = match[1].decode().lower()
        assert name not in headers, line
        headers[name] = match[2].decode()
    if "content-length" in headers:
        assert headers["content-length"] == str(len(body)), "there is more, or less, than was said"
    return first, headers, body


def parts(content_type: str, body: bytes) -> list[tuple[list[bytes], bytes]]:
    """The parts of a multipart answer, each as its header lines and what it holds; nothing before, nothing after."""
    match = re.fullmatch(r"multipart/mixed; ?boundary=([0-9A-Za-z_-]{1,70})", content_type)
    assert match, content_type
    delimiter = b"--" + match[1].encode()
    assert body.startswith(delimiter + b"\r\n")
    assert body.endswith(b"\r\n" + delimiter + b"--\r\n")
    inside = body[len(delimiter) + 2 : -len(delimiter) - 6]
    found: list[tuple[list[bytes], bytes]] = []
    for part in inside.split(b"\r\n" + delimiter + b"\r\n"):
        head, blank, content = part.partition(b"\r\n\r\n")
        assert blank, part
        found.append((head.split(b"\r\n"), content))
    return found


async def test_accepted_without_a_body(wire: Wire) -> None:
    """202 says that nothing follows: Content-Length 0, for a start, for polls, and for a DELETE that takes its time.

    The monitor of that DELETE ends with an enclosed 204, to the byte.
    """
    begin = ("Prefer: respond-async", "Content-Type: application/json")
    answer = await wire.send("POST", "/odata/TrialStubborn", *begin, body=b'{"seconds": 60}')
    monitor = answer[1]["location"][0].removeprefix(ADDRESS)
    await wire.runs(monitor)
    answers = [answer, *[await wire.send(method, monitor) for method in ("GET", "GET", "DELETE")]]
    for status, headers, body in answers:
        assert (status, headers["content-length"], body) == (202, ["0"], b"")
        assert re.fullmatch(r"[1-9][0-9]*", headers["retry-after"][0])
    other = answers[-1][1]["location"][0].removeprefix(ADDRESS)
    assert [headers["location"] for _, headers, _ in answers[:3]] == [[f"{ADDRESS}{monitor}"]] * 3
    assert other != monitor
    _, _, message = await wire.end(other, "Accept: application/http")
    assert message == b"HTTP/1.1 204 No Content\r\nOData-Version: 4.01\r\n\r\n"


@pytest.mark.parametrize(
    ("action", "body", "line"),
    [
        ("TrialWait", {"seconds": 0}, b"HTTP/1.1 200 OK"),
        ("TrialFail", {}, b"HTTP/1.1 422 Unprocessable Content"),
        ("TrialSized", {"size": 100_000}, b"HTTP/1.1 200 OK"),
        ("TrialSized", {"size": 0}, b"HTTP/1.1 200 OK"),
    ],
)
async def test_an_enclosed_message(wire: Wire, action: str, body: dict[str, Any], line: bytes) -> None:
    """The message is what a synchronous answer would have been, and nothing stands before or behind it."""
    monitor = await wire.begin(f"/odata/{action}", body=body)
    status, headers, message = await wire.end(monitor, "Accept: application/http")
    assert (status, headers["content-type"]) == (200, ["application/http"])
    assert headers["content-transfer-encoding"] == ["binary"]
    assert "asyncresult" not in headers
    first, inner, content = checked(message)
    assert first == line
    assert inner.keys() == {"content-type", "odata-version", "content-length"}
    assert json.dumps(json.loads(content), separators=(",", ":"), ensure_ascii=False).encode() == content
    # The other form of the same answer.
    _, plain, plain_content = await wire.send("GET", monitor, "Accept: application/json")
    assert (plain["content-type"], plain_content) == ([inner["content-type"]], content)
    assert plain["asyncresult"] == [line.split(b" ")[1].decode()]


async def test_an_enclosed_204(wire: Wire) -> None:
    """A message without a body ends with the blank line, to the byte."""
    monitor = await wire.begin("/odata/TrialNothing", "OData-MaxVersion: 4.0", "Content-Type: application/json")
    _, headers, message = await wire.end(monitor)
    assert headers["content-type"] == ["application/http"]
    assert message == b"HTTP/1.1 204 No Content\r\nOData-Version: 4.0\r\n\r\n"


def multipart(*contents: str) -> bytes:
    head = "\r\n".join(["--b", "Content-Type: application/http", "Content-Transfer-Encoding: binary", "", ""])
    return "\r\n".join([*[f"{head}{content}" for content in contents], "--b--", ""]).encode()


def fresh() -> str:
    """The id of a note that nobody else has."""
    return f"n-{uuid4().hex[:12]}"


def create(note: str, *, text: str = "T") -> str:
    body = json.dumps({"id": note, "text": text})
    return f"POST /odata/Notes HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{body}\r\n"


MULTIPART = ("Content-Type: multipart/mixed; boundary=b", "Prefer: odata.continue-on-error")


async def test_a_multipart_answer(wire: Wire) -> None:
    """Parts have just the headers that readers take, messages that keep the rules, and CRLF around and at the end."""
    note = fresh()
    body = multipart(
        create(note, text="Zoë -- b\r\n--b--"),
        f"GET /odata/Notes('{note}') HTTP/1.1\r\n\r\n",
        "GET /odata/Notes('no-such') HTTP/1.1\r\n\r\n",
        "GET /odata/Notes/$count HTTP/1.1\r\n\r\n",
        "POST /odata/TrialNothing HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{}\r\n",
        f"DELETE /odata/Notes('{note}') HTTP/1.1\r\n\r\n",
    )
    status, headers, content = await wire.send("POST", BATCH, *MULTIPART, body=body)
    assert status == 200
    found = parts(headers["content-type"][0], content)
    assert [head for head, _ in found] == [PART_HEAD] * 6
    messages = [checked(message) for _, message in found]
    assert [first for first, _, _ in messages] == [
        b"HTTP/1.1 201 Created",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 404 Not Found",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 204 No Content",
        b"HTTP/1.1 204 No Content",
    ]
    assert json.loads(messages[1][2])["text"] == "Zoë -- b\r\n--b--"
    assert re.fullmatch(rb"[0-9]+", messages[3][2])
    assert [body for _, _, body in messages[4:]] == [b"", b""]
    # A message without a body ends with its blank line; the line end before the delimiter comes on top.
    assert all(message.endswith(b"\r\n\r\n") for _, message in found[4:])


async def test_change_sets_in_a_multipart_answer(wire: Wire) -> None:
    """A change set that was done is a multipart of its own with its Content-IDs; one that failed is one message."""
    first, second = fresh(), fresh()

    def change_set(*requests: str) -> bytes:
        lines = ["--b", "Content-Type: multipart/mixed; boundary=c", ""]
        for number, request in enumerate(requests, start=1):
            lines += ["--c", "Content-Type: application/http", "Content-Transfer-Encoding: binary"]
            lines += [f"Content-ID: {number}", "", request]
        return "\r\n".join([*lines, "--c--", "--b--", ""]).encode()

    _, headers, content = await wire.send("POST", BATCH, *MULTIPART, body=change_set(create(first), create(second)))
    [(head, inner)] = parts(headers["content-type"][0], content)
    [content_type] = head
    name, _, value = content_type.decode().partition(": ")
    assert name == "Content-Type"
    found = parts(value, inner)
    assert [head for head, _ in found] == [[*PART_HEAD, b"Content-ID: %d" % number] for number in (1, 2)]
    assert [checked(message)[0] for _, message in found] == [b"HTTP/1.1 201 Created"] * 2
    _, headers, content = await wire.send("POST", BATCH, *MULTIPART, body=change_set(create(fresh()), create(first)))
    [(head, message)] = parts(headers["content-type"][0], content)
    assert head[:2] == PART_HEAD
    assert checked(message)[0] == b"HTTP/1.1 409 Conflict"


async def test_an_asynchronous_multipart_answer(wire: Wire) -> None:
    """In both forms the monitor gives the very bytes of a multipart answer."""
    body = multipart("GET /odata/Notes('no-such') HTTP/1.1\r\n\r\n", "POST /odata/TrialNothing HTTP/1.1\r\n\r\n")
    monitor = await wire.begin(BATCH, MULTIPART[0], "Prefer: continue-on-error", content=body)
    _, plain, content = await wire.end(monitor)
    found = parts(plain["content-type"][0], content)
    lines = [checked(message)[0] for _, message in found]
    assert lines == [b"HTTP/1.1 404 Not Found", b"HTTP/1.1 204 No Content"]
    _, headers, message = await wire.send("GET", monitor, "Accept: application/http")
    assert headers["content-type"] == ["application/http"]
    first, inner, enclosed = checked(message)
    assert (first, inner["content-type"], enclosed) == (b"HTTP/1.1 200 OK", plain["content-type"][0], content)


async def test_a_json_answer(wire: Wire) -> None:
    """No member that strict readers refuse: `responses` alone, `status` a number, `id` a string, no empty body."""
    note = fresh()
    requests = [
        {"id": "1", "method": "POST", "url": "Notes", "body": {"id": note, "text": "T"}, "atomicityGroup": "g"},
        {"id": "2", "method": "DELETE", "url": "Notes('no-such')"},
        {"id": "3", "method": "POST", "url": "TrialNothing", "body": {}},
        {"id": "4", "method": "GET", "url": "Notes/$count"},
        {"id": "5", "method": "GET", "url": "$metadata"},
    ]
    content = json.dumps({"requests": requests}).encode()
    lines = ("Content-Type: application/json", "Prefer: continue-on-error")
    _, headers, body = await wire.send("POST", BATCH, *lines, body=content)
    assert headers["content-type"] == ["application/json"]
    answer = json.loads(body)
    assert list(answer) == ["responses"]
    for entry in answer["responses"]:
        assert entry.keys() <= {"id", "atomicityGroup", "status", "headers", "body"}
        assert (type(entry["id"]), type(entry["status"])) == (str, int)
        assert all(name == name.lower() and isinstance(value, str) for name, value in entry["headers"].items())
        if "body" in entry:
            is_json = entry["headers"]["content-type"].startswith("application/json")
            assert isinstance(entry["body"], dict if is_json else str)
    assert [entry["status"] for entry in answer["responses"]] == [201, 404, 204, 200, 200]
    assert "body" not in answer["responses"][2]
