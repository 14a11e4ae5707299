"""The body that the command is given: files that editors and shells have written, and what goes out of them."""

import codecs
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.hostile import JSON, Hostile, answer, hostile
from tests.client.lro_command import lro

pytestmark = pytest.mark.timeout(60)

USAGE = 2
TEXT = '{"name": "Café \N{GREEK CAPITAL LETTER OMEGA} \U0001f4d6"}'
BODY = TEXT.encode()


class Kept(Hostile):
    """Answers every request at once, and keeps its content type and its body."""

    def __init__(self) -> None:
        self.requests: list[tuple[str | None, bytes]] = []
        super().__init__(self._keep)

    def _keep(self, connection: socket.socket, head: str) -> None:
        head, _, rest = head.partition("\r\n\r\n")
        fields = {line.partition(": ")[0].lower(): line.partition(": ")[2] for line in head.split("\r\n")[1:]}
        body = rest.encode("latin-1")
        while len(body) < int(fields.get("content-length", 0)):
            body += connection.recv(65536)
        self.requests.append((fields.get("content-type"), body))
        connection.sendall(answer("200 OK", JSON, "7"))


@pytest.fixture
def server() -> Iterator[Kept]:
    kept = Kept()
    try:
        yield kept
    finally:
        kept.close()


ENCODED = {
    "UTF-8": BODY,
    "UTF-8 with a mark": codecs.BOM_UTF8 + BODY,
    "UTF-16 of PowerShell": TEXT.encode("utf-16"),
    "UTF-16, big-endian": codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
    "UTF-16 without a mark": TEXT.encode("utf-16-le"),
    "UTF-32": TEXT.encode("utf-32"),
    "UTF-32, big-endian": codecs.BOM_UTF32_BE + TEXT.encode("utf-32-be"),
}


@pytest.mark.parametrize("name", ENCODED)
def test_encodings(server: Kept, tmp_path: Path, name: str) -> None:
    """However a file or a pipe is encoded, JSON goes out as UTF-8 without a byte order mark, and otherwise as it is."""
    file = tmp_path / "body.json"
    file.write_bytes(ENCODED[name])
    for given in (f"@{file}", "-", "@-"):
        done = lro("start", "POST", f"{server.url}/x", "-d", given, input=ENCODED[name])
        assert (done.code, server.requests.pop()) == (0, ("application/json", BODY)), done.err
    lro("arm", "put", "/things/1", "--api-version", "1", "--endpoint", server.url, "-d", f"@{file}")
    assert server.requests.pop() == ("application/json", BODY)
    lro("odata", "call", server.url, "A", "-d", f"@{file}")
    assert json.loads(server.requests.pop()[1]) == json.loads(TEXT)


def test_text_with_a_mark(server: Kept) -> None:
    """Shells put what a file holds among the arguments, its mark too."""
    assert lro("start", "POST", f"{server.url}/x", "-d", f"\ufeff{TEXT}").code == 0
    assert server.requests == [("application/json", BODY)]


@pytest.mark.parametrize(
    ("text", "hint"), [("'{a: 1}'", True), ("{a: 1}", True), ("{'a': 1}", True), ('{"a": 1', False), ("a=1", False)]
)
def test_quotes_that_a_shell_has_taken(text: str, hint: bool) -> None:
    """cmd.exe hands on single quotes, and PowerShell no double ones: the error says how to do without quotes."""
    done = lro("start", "POST", "http://127.0.0.1:1/x", "-d", text)
    shown = " ".join(done.err.replace("│", " ").split())
    assert (done.code, "is not JSON" in shown, "put it in a file: -d @FILE" in shown) == (USAGE, True, hint)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (TEXT.replace("\N{GREEK CAPITAL LETTER OMEGA} \U0001f4d6", "").encode("latin-1"), "save it as UTF-8"),
        ("{'no': 'json'}".encode("utf-16"), "is not JSON"),
        (TEXT.encode("utf-16")[:-1], "save it as UTF-8"),
        (b'{"half": ', "is not JSON"),
        (codecs.BOM_UTF8, "it is empty"),
        (b"", "it is empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "save it as UTF-8"),
    ],
    ids=["Latin-1", "UTF-16 without JSON", "cut off", "half", "only a mark", "empty", "picture"],
)
def test_what_cannot_be_read(tmp_path: Path, raw: bytes, reason: str) -> None:
    """What is no JSON, or cannot be read, is a usage error that names the file and says what to do; nothing is sent."""
    file = tmp_path / "body.json"
    file.write_bytes(raw)
    with hostile(poll=b"") as server:
        for line in (
            ["start", "POST", f"{server.url}/x"],
            ["arm", "put", "/things/1", "--api-version", "1", "--endpoint", server.url],
            ["odata", "call", server.url, "A"],
            ["odata", "batch", server.url],
        ):
            for given in (f"@{file}", "-"):
                done = lro(*line, "-d", given, input=raw)
                shown = " ".join(done.err.replace("│", " ").split())
                assert (done.code, done.out, reason in shown) == (USAGE, "", True), done.err
        assert server.heads == []


def test_other_types_are_sent_as_they_are(server: Kept, tmp_path: Path) -> None:
    """A body that is not JSON by its type is nobody's to change; JSON's types all are UTF-8."""
    file = tmp_path / "body"
    file.write_bytes(codecs.BOM_UTF8 + "Café".encode("latin-1"))
    line = ["start", "PUT", f"{server.url}/x", "-d", f"@{file}"]
    for kind in ("text/plain; charset=latin-1", "application/octet-stream"):
        assert lro(*line, "-H", f"content-type: {kind}").code == 0
        assert server.requests.pop() == (kind, file.read_bytes())
    assert lro("start", "PUT", f"{server.url}/x", "-d", "no JSON", "-H", "Content-Type: text/plain").code == 0
    assert server.requests.pop() == ("text/plain", b"no JSON")
    file.write_bytes(TEXT.encode("utf-16"))
    for kind, sent in (
        ("application/merge-patch+json", "application/merge-patch+json"),
        ("application/json; charset=utf-16", "application/json"),
        ("Application/JSON;charset=UTF-8;odata.metadata=none", "Application/JSON;charset=UTF-8;odata.metadata=none"),
    ):
        assert lro(*line, "-H", f"Content-Type: {kind}").code == 0
        assert server.requests.pop() == (sent, BODY)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_token_of_a_pipe(tmp_path: Path, encoding: str) -> None:
    """A token file that a shell has written anew is read like any other."""
    token, again = tmp_path / "token", tmp_path / "again"
    with hostile(poll=answer("200 OK", JSON, '{"status": "Succeeded", "result": 7}')) as server:
        assert lro("start", "POST", f"{server.url}/start", "--save-token", token).code == 0
        again.write_text(token.read_text(), encoding=encoding)
        assert lro("resume", again).out == "7\n"
        assert lro("status", again).out.startswith("Succeeded")


@pytest.mark.parametrize(
    ("time", "reason"), [("tomorrow", "is no date-time"), ("2026-12-24T18:00:00", "zone"), ("2026-12-24", "zone")]
)
def test_a_time_of_no_place(server: Kept, time: str, reason: str) -> None:
    """A time to begin at says in which zone, or nothing is sent; the message shows how."""
    done = lro("start", "POST", f"{server.url}/x", "--not-before", time)
    shown = " ".join(done.err.replace("│", " ").split())
    assert (done.code, reason in shown, "2026-12-24T18:00:00+01:00" in shown) == (USAGE, True, True), done.err
    assert server.requests == []
