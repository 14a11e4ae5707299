"""What the command takes for methods and URLs: mistakes are told, paths are below LRO_ENDPOINT, lists may be near."""

import json
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.client.hostile import JSON, Hostile, answer, hostile
from tests.client.lro_command import lro
from tests.client.test_command_keys import sent

pytestmark = pytest.mark.timeout(60)

SUCCEEDS, FAILS, USAGE = range(3)
MISSING = answer("404 Not Found", JSON, '{"error": {"code": "NotFound", "message": "Nothing there."}}')


@contextmanager
def service() -> Generator[Hostile]:
    """Accepts every POST and PUT; has an operation that runs at each path but the root, and a list at /api/status."""

    def respond(connection: socket.socket, head: str) -> None:
        method, path, _ = head.split(" ", 2)
        if ":cancel" in path:
            connection.sendall(answer("200 OK", JSON, '{"status": "Canceled"}'))
        elif method in ("POST", "PUT"):
            connection.sendall(answer("202 Accepted", f"Operation-Location: /api/op\nLocation: {server.url}/api/op"))
        elif path == "/api/status":
            connection.sendall(answer("200 OK", JSON, '{"value": [{"id": "7", "status": "Running"}]}'))
        else:
            connection.sendall(answer("200 OK", JSON, '{"status": "Running"}') if len(path) > 4 else MISSING)

    server = Hostile(respond)
    try:
        yield server
    finally:
        server.close()


def asked(server: Hostile) -> list[str]:
    """Method and path of each request."""
    return [head.partition(" HTTP/")[0] for head in server.heads]


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("PSOT", "POST"),
        ("psot", "POST"),
        ("GTE", "GET"),
        ("DELTE", "DELETE"),
        ("PTACH", "PATCH"),
        ("FROB", "PATCH, POST"),
    ],
)
def test_methods(given: str, hint: str) -> None:
    """A method that does not exist is a usage error that names the one that was meant; in a batch, too."""
    with hostile(poll=b"") as server:
        done = lro("start", given, f"{server.url}/x")
        assert (done.code, done.out) == (USAGE, "")
        assert repr(given) in done.err
        assert hint in done.err
        assert lro("start", given, f"{server.url}/x", "-o", "json").json["error"]["code"] == "InvalidRequest"
        requests = json.dumps({"requests": [{"id": "1", "method": given, "url": "Books"}]})
        batch = lro("odata", "batch", server.url, "-d", requests)
        assert (batch.code, batch.out, hint in " ".join(batch.err.split())) == (USAGE, "", True), batch.err
        assert server.heads == []


@pytest.mark.parametrize("given", ["post", "Put", "PATCH", "delete", "get"])
def test_methods_in_any_case(given: str) -> None:
    with service() as server:
        lro("start", given, f"{server.url}/api/things/1")
        assert asked(server)[0] == f"{given.upper()} /api/things/1"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("start POST greeting/a:send", ["POST /api/greeting/a:send"]),
        ("start POST a:send?x=1", ["POST /api/a:send?x=1"]),
        ("start PUT /things/1", ["PUT /things/1"]),
        ("status status/7", ["GET /api/status/7"]),
        ("wait status/7 --timeout 0.2", ["GET /api/status/7"]),
        ("cancel status/7", ["GET /api/status/7", "POST /api/status/7:cancel"]),
        ("cancel status/7 --url stop:cancel", ["GET /api/status/7", "POST /api/stop:cancel"]),
        ("list status", ["GET /api/status"]),
        ("odata call odata Act", ["POST /api/odata/Act"]),
        ("odata batch odata -d @- --timeout 0.2", ["POST /api/odata/$batch"]),
        ("arm put /subscriptions/1 --api-version 1 -d {}", ["PUT /subscriptions/1?api-version=1"]),
        ("arm action subscriptions/1 go --api-version 1", ["POST /api/subscriptions/1/go?api-version=1"]),
    ],
)
def test_paths_below_the_endpoint(line: str, expected: list[str]) -> None:
    """With LRO_ENDPOINT every command takes paths: below it, or with a slash in front from the root; with the key."""
    with service() as server:
        env = {"LRO_ENDPOINT": f"{server.url.upper().replace('HTTP', 'Http')}/api/", "LRO_KEY": "key"}
        lro(*line.split(), env=env, input='{"requests": [{"id": "1", "method": "GET", "url": "Books"}]}')
        assert asked(server)[: len(expected)] == expected
        assert set(sent(server, "x-functions-key")) == {"key"}


def test_other_urls_with_an_endpoint(tmp_path: Path) -> None:
    """An absolute URL leads where it says, and a file is a file."""
    with service() as server:
        env = {"LRO_ENDPOINT": "https://contoso.example"}
        assert lro("status", f"{server.url}/api/op", env=env).code == SUCCEEDS
        assert lro("start", "POST", f"{server.url}/x", env=env).code == SUCCEEDS
        assert asked(server) == ["GET /api/op", "POST /x"]
        (tmp_path / "status").write_text("no token")
        done = lro("wait", tmp_path / "status", env={"LRO_ENDPOINT": server.url})
        assert (done.code, "not JSON" in done.err, len(server.heads)) == (USAGE, True, 2)


@pytest.mark.parametrize(
    "line",
    ["start POST {}", "wait {}", "status {}", "cancel {}", "list {}", "odata call {} A", "odata batch {} -d @-"],
)
@pytest.mark.parametrize(
    ("endpoint", "path", "reason"),
    [
        ("", "things/1", "set LRO_ENDPOINT"),
        ("contoso.example", "things/1", "LRO_ENDPOINT is not"),
        ("ftp://contoso.example", "things/1", "LRO_ENDPOINT is not"),
        ("https://contoso.example", "ftp://contoso.example/x", "not an absolute http or https URL"),
        ("https://contoso.example", "//evil.example/x", "not an absolute http or https URL"),
    ],
)
def test_urls_that_are_none(line: str, endpoint: str, path: str, reason: str) -> None:
    """Without an endpoint a path is a usage error that says what to set; an endpoint that is no URL is named."""
    batch = '{"requests": [{"id": "1", "method": "GET", "url": "Books"}]}'
    done = lro(*line.format(path).split(), env={"LRO_ENDPOINT": endpoint} if endpoint else {}, input=batch)
    shown = " ".join(done.err.replace("│", " ").split())
    assert (done.code, done.out, reason in shown) == (USAGE, "", True), done.err


def test_where_the_list_is() -> None:
    """A URL without a list has a hint where the list may be; a URL of a list that fails has none."""
    with service() as server:
        for url in (server.url, f"{server.url}/", f"{server.url}/api", f"{server.url}/api/things?x=1"):
            done = lro("list", url)
            expected = f"lro list {url.partition('?')[0].rstrip('/')}/status"
            assert (done.code, expected in done.err) == (FAILS, True), done.err
            assert expected in lro("list", url, "-o", "json").json["error"]["message"]
            assert expected.replace("list", "watch") in lro("watch", url).err
        assert lro("list", f"{server.url}/api/status").out.startswith("ID\tSTATUS\tKIND\tCREATED\n7\tRunning\t")
    for reply in (MISSING, answer("401 Unauthorized"), answer("200 OK", JSON, "{}")):
        with hostile(poll=reply) as server:
            assert "lro list" not in lro("list", f"{server.url}/status").err
    with hostile(poll=answer("401 Unauthorized")) as server:
        assert "lro list" not in lro("list", server.url).err


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_urls_from_files(tmp_path: Path, end: str) -> None:
    """What `start` has printed into a file is looked at by the file's name; line ends around a URL do not matter."""
    with service() as server:
        file = tmp_path / "started.txt"
        file.write_bytes(f"\ufeff{server.url}/api/op{end}".encode())
        for target in (str(file), f"{server.url}/api/op{end}"):
            assert lro("status", target).out == "Running\n"
        assert lro("start", "POST", f" {server.url}/x{end}").code == SUCCEEDS
        assert asked(server) == ["GET /api/op", "GET /api/op", "POST /x"]
