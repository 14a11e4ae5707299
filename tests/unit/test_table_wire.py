"""The two hot calls of Azure Tables as bytes, against what is published and what the SDK does."""

import asyncio
import base64
import json
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import pytest
from azure.core.credentials import AccessToken, AzureNamedKeyCredential, AzureSasCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.transport import AsyncHttpTransport

from shared.errors import StorageAnswerLost, StorageConflict, StorageRefused, StorageUnavailable
from shared.settings import StorageConnection
from shared.storage import table_wire as wire
from shared.storage.azure_errors import TransactionRefused, UnreadableAnswer, classify
from shared.storage.ports import Change, Delete, Insert, Merge, Replace, Upsert
from shared.storage.table_calls import TableCalls, proxies_for
from shared.storage.tables import AzureTables
from tests.support.stores import fresh_name

KEY = base64.b64encode(b"k" * 32).decode()
ODD = "o!a b'c/d%2F\u00e9+&=?#"
CHANGES: list[Change] = [
    Insert("i", {"t": "x", "n": 2**40, "f": 1.5, "b": True}),
    Merge("m", {"t": "y"}, if_match='W/"1"'),
    Replace("r", {}),
    Upsert("u", {"t": "z"}),
    Delete("d"),
]


def test_a_transaction() -> None:
    """One change set; each change as the service documents it."""
    content_type, body = wire.transaction("https://a.table.core.windows.net", "t", "p", CHANGES, boundary="B")
    assert content_type == "multipart/mixed; boundary=batch_B"
    text = body.decode()
    assert text.startswith("--batch_B\r\nContent-Type: multipart/mixed; boundary=changeset_B\r\n")
    assert text.endswith("--changeset_B--\r\n--batch_B--\r\n")
    parts = [part.split("\r\n\r\n", 1)[1] for part in text.split("--changeset_B\r\n")[1:]]
    lines = [part.partition("\r\n")[0] for part in parts]
    at = "https://a.table.core.windows.net/t"
    assert lines == [
        f"POST {at} HTTP/1.1",
        f"PATCH {at}(PartitionKey='p',RowKey='m') HTTP/1.1",
        f"PUT {at}(PartitionKey='p',RowKey='r') HTTP/1.1",
        f"PUT {at}(PartitionKey='p',RowKey='u') HTTP/1.1",
        f"DELETE {at}(PartitionKey='p',RowKey='d') HTTP/1.1",
    ]
    matches = [next((h for h in part.split("\r\n") if h.startswith("If-Match")), None) for part in parts]
    assert matches == [None, 'If-Match: W/"1"', "If-Match: *", None, "If-Match: *"]
    row = json.loads(parts[0].split("\r\n\r\n")[1].strip())
    assert row == {
        "PartitionKey": "p", "RowKey": "i", "t": "x", "n@odata.type": "Edm.Int64", "n": str(2**40),
        "f@odata.type": "Edm.Double", "f": 1.5, "b": True,
    }  # fmt: skip


@pytest.mark.parametrize("value", ["", "é\u2028", -1, 0, 2**62, 1.0, -0.0, 1e300, math.inf, -math.inf, True, False])
def test_values_come_back(value: Any) -> None:
    """Every value of the port, as the service gives it back: it keeps names, types and texts."""
    body = json.dumps({"odata.metadata": "m", "odata.etag": "e", "RowKey": "k", **wire.write_columns({"v": value})})
    row = wire.read_row("p", "k", body.encode(), "e")
    assert (row.values, row.etag, type(row.values["v"])) == ({"v": value}, "e", type(value))


def test_values_of_others() -> None:
    """What this app never writes is read as text, and what is null as absent; a number without a type is what it is."""
    members = {"d@odata.type": "Edm.DateTime", "d": "2026-01-02T03:04:05Z", "g@odata.type": "Edm.Guid", "g": "aa"}
    row = wire.read_row("p", "k", json.dumps({**members, "n": None, "i": 5, "f": 1.5}).encode(), "e")
    assert row.values == {"d": "2026-01-02T03:04:05Z", "g": "aa", "i": 5, "f": 1.5}
    nan = wire.read_row("p", "k", json.dumps(wire.write_columns({"v": math.nan})).encode(), "e").values["v"]
    assert isinstance(nan, float)
    assert math.isnan(nan)


def answer(*parts: str, inner: str = "changesetresponse_x") -> tuple[str, bytes]:
    inside = "".join(
        f"--{inner}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n{part}\r\n"
        for part in parts
    )
    body = (
        f"--batchresponse_y\r\nContent-Type: multipart/mixed; boundary={inner}\r\n\r\n{inside}--{inner}--\r\n"
        "--batchresponse_y--\r\n"
    )
    return "multipart/mixed; boundary=batchresponse_y", body.encode()


def refused(status: int, code: str, message: str) -> str:
    error = {"odata.error": {"code": code, "message": {"lang": "en-US", "value": message}}}
    return f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n\r\n{json.dumps(error)}"


DONE = "HTTP/1.1 204 No Content\r\nDataServiceVersion: 3.0;\r\nETag: W/\"datetime'1'\"\r\n\r\n"
GONE = "HTTP/1.1 204 No Content\r\nDataServiceVersion: 1.0;\r\n\r\n"


def test_answers() -> None:
    """An etag a change, None for a delete; quoted boundaries and other cases of names are the same."""
    assert wire.read_transaction(*answer(DONE, GONE), 2) == ["W/\"datetime'1'\"", None]
    content_type, body = answer(DONE.replace("ETag", "etag"))
    quoted = content_type.replace("batchresponse_y", '"batchresponse_y"')
    assert wire.read_transaction(quoted, body, 1) == ["W/\"datetime'1'\""]


@pytest.mark.parametrize(
    ("status", "code", "message", "index", "raised"),
    [
        (409, "EntityAlreadyExists", "1:The specified entity already exists.\nRequestId:x", 1, StorageConflict),
        (412, "UpdateConditionNotSatisfied", "0:The update condition was not satisfied.", 0, StorageConflict),
        (404, "ResourceNotFound", "12:The specified resource does not exist.", 12, StorageConflict),
        (400, "InvalidInput", "no position", None, StorageRefused),
        (503, "ServerBusy", "2:Busy.", 2, StorageUnavailable),
        (500, "InternalError", "Oops.", None, StorageAnswerLost),
    ],
)
def test_refusals(status: int, code: str, message: str, index: int | None, raised: type[Exception]) -> None:
    """Status, code and the change at fault, in the words of this app's errors."""
    with pytest.raises(TransactionRefused) as caught:
        wire.read_transaction(*answer(refused(status, code, message)), 3)
    assert (caught.value.status_code, caught.value.error_code, caught.value.index) == (status, code, index)
    failure = classify(caught.value, kind="once", what="table t: write").error
    assert type(failure) is raised or isinstance(failure, raised)
    if isinstance(failure, StorageConflict):
        assert failure.index == index


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/mixed; boundary=b", b""),
        (answer(DONE)[0], answer(DONE)[1][:60]),
        answer(DONE, DONE),
        answer("nothing"),
    ],
    ids=["no parts", "empty", "cut", "too many", "no status"],
)
def test_answers_that_cannot_be_read(content_type: str, body: bytes) -> None:
    """They leave open whether it was done."""
    with pytest.raises(UnreadableAnswer) as caught:
        wire.read_transaction(content_type, body, 1)
    assert isinstance(classify(caught.value, kind="once", what="table t: write").error, StorageAnswerLost)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"n@odata.type":"Edm.Int64","n":"x"}'])
def test_rows_that_cannot_be_read(body: bytes) -> None:
    """A read is repeated then, and in the end says that the store cannot be used."""
    with pytest.raises(UnreadableAnswer) as caught:
        wire.read_row("p", "k", body, "e")
    failure = classify(caught.value, kind="repeatable", what="table t: read")
    assert (type(failure.error), failure.again) == (StorageUnavailable, True)


def test_a_refusal_without_words() -> None:
    """A part with a status and no error in it, as a proxy may make one."""
    with pytest.raises(TransactionRefused) as caught:
        wire.read_transaction(*answer("HTTP/1.1 502 Bad Gateway\r\n\r\n<html>"), 1)
    assert (caught.value.status_code, caught.value.error_code, caught.value.index) == (502, "", None)


class Recorder(AsyncHttpTransport[Any, Any]):
    """Answers nothing and keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def send(self, request: Any, **options: Any) -> Any:
        self.sent.append(request)
        raise HttpResponseError("that is all")

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def __aenter__(self) -> "Recorder":
        return self

    async def __aexit__(self, *raised: object) -> None: ...

    async def sleep(self, duration: float) -> None:
        await asyncio.sleep(0)


async def sent(credential: Any, endpoint: str = "https://a.table.core.windows.net", **call: Any) -> Any:
    recorder = Recorder()
    calls = TableCalls(endpoint, credential, transport=recorder)
    request = calls.write("t", "p", call["changes"]) if call else calls.read("t", "p", ODD, ["a", "b"])
    with pytest.raises(HttpResponseError, match="that is all"):
        await request
    return recorder.sent[0]


@pytest.mark.parametrize("endpoint", ["https://a.table.core.windows.net", "http://127.0.0.1:10002/a"])
@pytest.mark.parametrize("call", [{}, {"changes": CHANGES}], ids=["read", "transaction"])
async def test_signed_as_the_sdk_signs(endpoint: str, call: dict[str, Any]) -> None:
    """The same request gets the same signature from azure-data-tables, emulator and odd keys included."""
    from azure.core.pipeline import PipelineContext, PipelineRequest
    from azure.data.tables._authentication import SharedKeyCredentialPolicy

    credential = AzureNamedKeyCredential("a", KEY)
    request = await sent(credential, endpoint, **call)
    ours = request.headers.pop("Authorization")
    theirs = SharedKeyCredentialPolicy(credential)
    theirs.on_request(PipelineRequest(request, PipelineContext(Recorder())))
    assert ours == request.headers["Authorization"]


@asynccontextmanager
async def service() -> AsyncGenerator[tuple[str, list[str]]]:
    """Answers every request with a row: its URL, and the heads of the requests."""
    heads: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: 12\r\nConnection: close\r\n\r\n{"name":"x"}')
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", heads


async def test_a_request_needs_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads to look for a proxy, and for a password in `.netrc`, would take a third of a request's CPU."""

    def refuse(*_: object) -> NoReturn:
        pytest.fail("a thread was used")

    async with service() as (address, _):
        calls = TableCalls(f"http://{address}/a", AzureNamedKeyCredential("a", KEY))
        monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", refuse)
        assert (await calls.read("t", "p", "k", None)).etag == '"1"'
        await calls.aclose()


async def test_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets the requests, with the password that its URL has."""
    async with service() as (address, heads):
        monkeypatch.setenv("HTTP_PROXY", f"http://user:word@{address}")
        calls = TableCalls("http://a.table.example", AzureNamedKeyCredential("a", KEY))
        await calls.read("t", "p", "k", None)
        await calls.aclose()
    (head,) = heads
    assert head.startswith("GET http://a.table.example/t(PartitionKey='p',RowKey='k') HTTP/1.1\r\n")
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'user:word').decode()}\r\n" in head


def test_which_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the URL's scheme, but not for who is to be reached without one."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    assert proxies_for("https://a.table.core.windows.net") == {}
    monkeypatch.setenv("HTTPS_PROXY", "http://p:1")
    assert proxies_for("https://a.table.core.windows.net") == {"https": "http://p:1"}
    assert proxies_for("http://127.0.0.1:10002/a") == {}
    monkeypatch.setenv("NO_PROXY", "b.example,.core.windows.net")
    assert proxies_for("https://a.table.core.windows.net") == {}


def test_what_is_signed() -> None:
    """The text that "Authorize with Shared Key" shows for the Table service, under a key of our own."""
    import hashlib
    import hmac

    text = "POST\n\ntext/plain; charset=UTF-8\nSun, 11 Oct 2009 19:52:39 GMT\n/testaccount1/Tables"
    digest = base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()).decode()
    made = wire.authorization(
        "testaccount1", KEY, method="POST", content_type="text/plain; charset=UTF-8",
        date="Sun, 11 Oct 2009 19:52:39 GMT", path="/Tables",
    )  # fmt: skip
    assert made == f"SharedKey testaccount1:{digest}"


async def test_tokens_and_signatures_in_the_url() -> None:
    """An identity's token and a shared access signature go out by azure-core's own policies."""

    class Identity:
        async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
            return AccessToken(f"token for {scopes[0]}", 2**40)

    request = await sent(Identity(), changes=CHANGES)
    assert request.headers["Authorization"] == "Bearer token for https://storage.azure.com/.default"
    request = await sent(AzureSasCredential("sv=1&sig=s"))
    assert request.url.endswith("&sv=1&sig=s")
    assert "Authorization" not in request.headers


async def test_a_key_of_any_characters(azurite: str) -> None:
    """A row whose key has everything that a key may have is written, read and signed for."""
    tables = AzureTables(StorageConnection(connection_string=azurite))
    try:
        table, key = tables.table(fresh_name()), "o!a b'c:d-é+&=|~"
        await table.write("p", [Insert(key, {"t": "x"}), Insert("z", {})])
        row = await table.read("p", key, columns=["t"])
        assert row is not None
        assert row.values == {"t": "x"}
    finally:
        await tables.aclose()
