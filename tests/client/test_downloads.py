"""Files that are results, fetched by the client: in pieces, whole or not at all, and without its credentials."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import lro_client.downloads
from lro_client import (
    MonitorGone,
    NotFinished,
    OperationFailed,
    ResultMismatch,
    ServiceUnreachable,
    StoppedWaiting,
    UnexpectedAnswer,
)
from lro_client.downloads import local_name
from lro_client.errors import LroError
from lro_client.messages import Request
from tests.client.scripted import ACCEPTED, MONITOR, RUNNING, SUCCEEDED, Reply, Service, lost, started

STORE = "https://store.example/c/b?sig=1"
DATA = b"0123456789"


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several of them make a file of ten bytes."""
    monkeypatch.setattr(lro_client.downloads, "PIECE", 4)


def told(url: str = STORE, data: bytes = DATA, **changes: Any) -> Reply:
    """The monitor of an operation whose result is a file."""
    result = {
        "fileName": "numbers.txt",
        "contentType": "text/plain",
        "size": len(data),
        "sha256": sha256(data).hexdigest(),
        "downloadUrl": url,
        "downloadUrlExpiresAt": "2026-01-01T00:15:00Z",
    }
    return Reply(200, {"id": "1", "status": "Succeeded", "result": result | changes})


def piece(first: int, data: bytes = DATA, etag: str = '"1"') -> Reply:
    last = min(first + 4, len(data)) - 1
    headers = {"Content-Range": f"bytes {first}-{last}/{len(data)}", "ETag": etag}
    return Reply(206, headers=headers, body=data[first : last + 1])


def finished(*script: Reply | Exception | Callable[[Request], Reply], monitor: Reply | None = None) -> tuple[Any, Any]:
    """A service, and its operation, which has ended with a file."""
    service = Service(ACCEPTED, monitor or told(), *script)
    operation = service.client(headers={"x-functions-key": "secret"}).start("POST", "x")
    operation.wait()
    return service, operation


def test_pieces(tmp_path: Path) -> None:
    """A range after the other, each of the same file; neither key nor request id goes to the store."""
    service, operation = finished(piece(0), piece(4), piece(8))
    assert operation.file.name == "numbers.txt"
    assert operation.download(tmp_path / "a.txt") == tmp_path / "a.txt"
    assert (tmp_path / "a.txt").read_bytes() == DATA
    asked = service.requests[2:]
    assert [each.url for each in asked] == [STORE] * 3
    assert [each.headers["range"] for each in asked] == ["bytes=0-3", "bytes=4-7", "bytes=8-11"]
    assert [each.headers.get("if-match") for each in asked] == [None, '"1"', '"1"']
    for each in asked:
        assert not each.trusted
        assert not {"x-functions-key", "authorization", "x-ms-client-request-id"} & {
            name.lower() for name in each.headers
        }


def test_a_store_without_ranges(tmp_path: Path) -> None:
    """A whole answer is taken as such; a file without bytes needs no request."""
    service, operation = finished(Reply(200, body=DATA))
    operation.download(tmp_path / "a.txt")
    assert ((tmp_path / "a.txt").read_bytes(), len(service.requests)) == (DATA, 3)
    service, operation = finished(monitor=told(data=b""))
    operation.download(tmp_path / "b.txt")
    assert ((tmp_path / "b.txt").read_bytes(), len(service.requests)) == (b"", 2)


def test_lost_connections(tmp_path: Path) -> None:
    """A piece whose connection breaks, or that is answered 503, is asked for again, and no other."""
    service, operation = finished(piece(0), lost(), Reply(503), piece(4), piece(8))
    operation.download(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_bytes() == DATA
    assert [each.headers["range"] for each in service.requests[2:]].count("bytes=4-7") == 3


def test_expired(tmp_path: Path) -> None:
    """What has expired is signed anew by a look at the operation, which does take the key; once for each piece."""
    newer = STORE.replace("sig=1", "sig=2")
    service, operation = finished(piece(0), Reply(403), told(newer), piece(4), piece(8))
    operation.download(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_bytes() == DATA
    assert [each.url for each in service.requests[2:]] == [STORE, STORE, MONITOR, newer, newer]
    assert service.requests[4].trusted
    _, operation = finished(Reply(403), told(), Reply(403))
    with pytest.raises(UnexpectedAnswer, match="403"):
        operation.download(tmp_path / "b.txt")


@pytest.mark.parametrize(
    ("script", "error", "said"),
    [
        ([piece(0), Reply(412)], UnexpectedAnswer, "has changed"),
        ([piece(0), Reply(404)], MonitorGone, "went with its operation"),
        ([piece(0), Reply(200, body=DATA)], UnexpectedAnswer, "200"),
        ([piece(0), piece(0)], UnexpectedAnswer, "another part"),
        ([Reply(206, body=b"0123")], UnexpectedAnswer, "another part"),
        ([piece(0), piece(4), Reply(206, headers={"Content-Range": "bytes 8-9/10"})], UnexpectedAnswer, "not the 10"),
        ([Reply(200, body=DATA + b"more")], UnexpectedAnswer, "not the 10"),
        ([Reply(200, body=b"abcdefghij")], UnexpectedAnswer, "SHA-256"),
        ([Reply(500)], UnexpectedAnswer, "500"),
        ([Reply(302, headers={"Location": "https://other.example"})], UnexpectedAnswer, "302"),
        ([lost()], ServiceUnreachable, "store.example"),
    ],
)
def test_whole_or_not_at_all(tmp_path: Path, script: list[Any], error: type[LroError], said: str) -> None:
    """Whatever goes wrong, there is no file, nothing lies beside it, and one that was there before stays."""
    (tmp_path / "a.txt").write_text("before")
    _, operation = finished(*script)
    with pytest.raises(error, match=said):
        operation.download(tmp_path / "a.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "before"


def test_time_out(tmp_path: Path) -> None:
    """A time-out ends it, and says that nothing is lost."""
    _, operation = finished(Reply(503))
    with pytest.raises(StoppedWaiting):
        operation.download(tmp_path / "a.txt", timeout=1)
    assert list(tmp_path.iterdir()) == []


def test_no_file(tmp_path: Path) -> None:
    """A result that is no file, one that is not there yet, and one that never comes are errors of their own."""
    service = Service(ACCEPTED, RUNNING, SUCCEEDED)
    operation = service.client().start("POST", "x")
    with pytest.raises(NotFinished):
        operation.download(tmp_path)
    assert operation.file is None
    operation.wait()
    assert operation.file is None
    with pytest.raises(ResultMismatch, match="no file"):
        operation.download(tmp_path)
    _, failed = started(Reply(200, {"status": "Failed"}))
    failed.update_status()
    with pytest.raises(OperationFailed):
        failed.download(tmp_path)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://store.example/b", "http"),
        ("file:///etc/passwd", "not an absolute"),
        ("ftp://store.example/b", "not an absolute"),
    ],
)
def test_urls_that_are_not_followed(tmp_path: Path, url: str, said: str) -> None:
    """What leads from https to http, or nowhere, is not asked for."""
    service, operation = finished(monitor=told(url))
    with pytest.raises(LroError, match=said):
        operation.download(tmp_path / "a.txt")
    assert len(service.requests) == 2


def test_into_a_folder(tmp_path: Path) -> None:
    """There it has its own name, and replaces nothing."""
    _, operation = finished(Reply(200, body=DATA), monitor=told(fileName="../..\\etc/num:bers.txt"))
    assert operation.download(tmp_path) == tmp_path / "num_bers.txt"
    with pytest.raises(FileExistsError):
        operation.download(tmp_path)


@pytest.mark.parametrize(
    ("name", "local"),
    [
        ("a.txt", "a.txt"),
        ("/etc/passwd", "passwd"),
        ("..", "result"),
        (".bashrc", "bashrc"),
        ("a\x00b", "a_b"),
        ("", "result"),
    ],
)
def test_names(name: str, local: str) -> None:
    """A service's name for a file is no path."""
    assert local_name(name) == local
