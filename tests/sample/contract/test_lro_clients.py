"""The pollers of azure-core, unchanged, against the running app; and the clients that fill an upload URL.

What they need of a server is what their sources do. They are driven as generated clients drive
them: a start through the pipeline, then the poller with `OperationResourcePolling`. Their waits are written down and
cut short (`tests.support.paced`).
"""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from azure.core import AsyncPipelineClient, PipelineClient
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import (
    AsyncRetryPolicy,
    ContentDecodePolicy,
    HeadersPolicy,
    RequestIdPolicy,
    RetryPolicy,
    SansIOHTTPPolicy,
)
from azure.core.polling import AsyncLROPoller, LROPoller
from azure.core.polling.async_base_polling import AsyncLROBasePolling
from azure.core.polling.base_polling import LROBasePolling, OperationResourcePolling
from azure.core.rest import HttpRequest
from azure.storage.blob import BlobClient

from tests.sample.trials import LARGE_STARTS, PATTERNS, check_large, large_start, start_of
from tests.support.epubs import make_epub
from tests.support.host import LocalHost
from tests.support.lro import identity, run
from tests.support.paced import AsyncPacedTransport, PacedTransport

EPUB = make_epub(chapters=("one two three", "four five"), title="A Polled Book")

PACE_OF_ITS_OWN = 30
"""Seconds between two polls where the server names none."""


@dataclass
class Polls(SansIOHTTPPolicy[Any, Any]):
    """Counts what the poller asks."""

    urls: list[str] = field(default_factory=list[str])

    def on_request(self, request: PipelineRequest[Any]) -> None:
        if request.http_request.method == "GET":
            self.urls.append(request.http_request.url)


@dataclass
class Library:
    """An async client and the sync one, of one principal."""

    url: str
    polls: Polls
    client: AsyncPipelineClient[Any, Any]
    sync: PipelineClient[Any, Any]
    transport: AsyncPacedTransport

    async def begin(self, path: str, body: dict[str, Any]) -> AsyncLROPoller[Any]:
        """As a generated client's `begin_...` does it; `cls` sees the last monitor."""
        initial = await self.client._pipeline.run(HttpRequest("POST", self.url + path, json=body))
        assert initial.http_response.status_code == 202
        await initial.http_response.read()
        method: Any = AsyncLROBasePolling(timeout=PACE_OF_ITS_OWN, lro_algorithms=[OperationResourcePolling()])
        return AsyncLROPoller(self.client, initial, last_monitor, method)

    def begin_sync(self, path: str, body: dict[str, Any]) -> LROPoller[Any]:
        initial = self.sync._pipeline.run(HttpRequest("POST", self.url + path, json=body))
        assert initial.http_response.status_code == 202
        initial.http_response.read()
        method: Any = LROBasePolling(timeout=PACE_OF_ITS_OWN, lro_algorithms=[OperationResourcePolling()])
        return LROPoller(self.sync, initial, last_monitor, method)

    async def start(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The first answer to any start."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        initial = await self.client._pipeline.run(HttpRequest(method, self.url + path, json=body, headers=names))
        await initial.http_response.read()
        assert initial.http_response.status_code < 300, initial.http_response.text()
        return initial

    def poller(self, initial: Any) -> AsyncLROPoller[Any]:
        method: Any = AsyncLROBasePolling(timeout=PACE_OF_ITS_OWN, lro_algorithms=[OperationResourcePolling()])
        return AsyncLROPoller(self.client, initial, last_monitor, method)

    def start_sync(self, method: str, path: str, body: Any = None) -> LROPoller[Any]:
        initial = self.sync._pipeline.run(HttpRequest(method, self.url + path, json=body))
        initial.http_response.read()
        polling: Any = LROBasePolling(timeout=PACE_OF_ITS_OWN, lro_algorithms=[OperationResourcePolling()])
        return LROPoller(self.sync, initial, last_monitor, polling)


def last_monitor(pipeline_response: Any) -> Any:
    return ContentDecodePolicy.deserialize_from_http_generics(pipeline_response.http_response)


@pytest.fixture
async def library(host: LocalHost) -> AsyncIterator[Library]:
    polls = Polls()
    headers = identity(uuid4().hex)
    common = [RequestIdPolicy(), HeadersPolicy(headers), ContentDecodePolicy(), polls]
    transport = AsyncPacedTransport()
    with PipelineClient[Any, Any](host.url, policies=[*common, RetryPolicy()], transport=PacedTransport()) as sync:
        async with AsyncPipelineClient[Any, Any](
            host.url, policies=[*common, AsyncRetryPolicy()], transport=transport
        ) as client:
            yield Library(host.url, polls, client, sync, transport)


@pytest.mark.both_stores
async def test_pollers_drive_the_uploads(library: Library) -> None:
    """upload-start and upload-finish end with their results, polled at the monitor's URL and nowhere else."""
    in_a_thread = asyncio.create_task(asyncio.to_thread(_upload_with_sync_pollers, library))
    started = await library.begin("/book/polled:upload-start", {"fileName": "a.epub", "size": len(EPUB)})
    upload = (await started.result())["result"]
    assert started.status() == "Succeeded"
    await asyncio.to_thread(BlobClient.from_blob_url(upload["uploadUrl"]).upload_blob, EPUB)
    finished = await library.begin("/book/polled:upload-finish", {"transactionId": upload["transactionId"]})
    monitor = await finished.result()
    assert monitor["result"]["title"] == "A Polled Book"
    assert monitor["result"]["words"] == 7  # headings count
    await in_a_thread
    # The first poll comes at once, each further one after Retry-After.
    assert set(library.transport.waits) <= {1}
    assert len(library.polls.urls) >= 4
    assert all(f"{library.url}/status/" in url and "api-version=2026-01-01" in url for url in library.polls.urls)


def _upload_with_sync_pollers(library: Library) -> None:
    started = library.begin_sync("/book/polled2:upload-start", {"fileName": "a.epub"})
    upload = started.result()["result"]
    BlobClient.from_blob_url(upload["uploadUrl"]).upload_blob(EPUB)
    finished = library.begin_sync("/book/polled2:upload-finish", {"transactionId": upload["transactionId"]})
    assert finished.result()["result"]["id"] == "polled2"
    assert finished.done()


async def test_polls_keep_the_servers_pace(library: Library) -> None:
    """Polled at once and then after each Retry-After of 1 s, which wins over the client's own 30 s."""
    poller = await library.begin("/trial/t1:wait", {"seconds": 0.5})
    assert (await poller.result())["result"] == {"seconds": 0.5, "attempt": 1}
    assert set(library.transport.waits) == {1}
    assert len(library.polls.urls) == 1 + len(library.transport.waits)


async def test_failure_raises(library: Library) -> None:
    """A failed operation raises HttpResponseError with our code and message, from both pollers."""
    in_a_thread = library.begin_sync("/trial/t1:fail", {})
    poller = await library.begin("/trial/t1:fail", {})
    with pytest.raises(HttpResponseError) as caught:
        await poller.result()
    with pytest.raises(HttpResponseError, match="TrialFailed"):
        in_a_thread.result()
    assert caught.value.error is not None
    assert (caught.value.error.code, caught.value.error.message) == ("TrialFailed", "This trial always fails.")
    assert "(TrialFailed) This trial always fails." in caught.value.message
    assert poller.status() == "Failed"


async def test_unknown_transaction_fails_the_operation(library: Library) -> None:
    """The start is accepted and the handler finds that there is no such upload."""
    poller = await library.begin("/book/b1:upload-finish", {"transactionId": "no such: thing/at all"})
    with pytest.raises(HttpResponseError, match="UploadNotFound"):
        await poller.result()


async def test_cancel_raises(library: Library) -> None:
    """A canceled operation ends the poller with an error, not with a result, and it says why."""
    poller = await library.begin("/trial/t1:wait", {"seconds": 60})
    initial: Any = poller.polling_method()._initial_response
    operation_id = initial.http_response.headers["operation-id"]
    await library.client.send_request(HttpRequest("POST", f"{library.url}/status/{operation_id}:cancel"))
    with pytest.raises(HttpResponseError, match="OperationCanceled"):
        await poller.result()
    assert poller.status() == "Canceled"


async def test_continuation_token(library: Library) -> None:
    """Another poller goes on from the first one's token and gets the result; so does a third one, after the end."""
    threaded = library.begin_sync("/trial/t1:wait", {"seconds": 0.5})
    sync_method: Any = LROBasePolling(timeout=PACE_OF_ITS_OWN, lro_algorithms=[OperationResourcePolling()])
    resumed: LROPoller[Any] = LROPoller.from_continuation_token(
        sync_method, threaded.continuation_token(), client=library.sync, deserialization_callback=last_monitor
    )
    first = await library.begin("/trial/t1:wait", {"seconds": 0.5})
    token = first.continuation_token()
    for _ in range(2):
        method: Any = AsyncLROBasePolling(timeout=PACE_OF_ITS_OWN, lro_algorithms=[OperationResourcePolling()])
        again: AsyncLROPoller[Any] = AsyncLROPoller.from_continuation_token(
            method, token, client=library.client, deserialization_callback=last_monitor
        )
        assert (await again.result())["result"]["seconds"] == 0.5
    assert resumed.result() == threaded.result()
    assert resumed.result()["result"]["seconds"] == 0.5


async def test_replayed_start_that_has_ended_is_not_polled(library: Library) -> None:
    """A 202 that says Succeeded carries the result, because a poller takes it as the last word."""
    headers = {"Operation-Id": uuid4().hex}
    request = HttpRequest("POST", f"{library.url}/trial/t1:wait", json={"seconds": 0}, headers=headers)
    initial = await library.client._pipeline.run(request)
    await initial.http_response.read()
    method: Any = AsyncLROBasePolling(lro_algorithms=[OperationResourcePolling()])
    poller: AsyncLROPoller[Any] = AsyncLROPoller(library.client, initial, last_monitor, method)
    assert (await poller.result())["result"]["seconds"] == 0
    library.polls.urls.clear()
    replay = await library.client._pipeline.run(
        HttpRequest("POST", f"{library.url}/trial/t1:wait", json={"seconds": 0}, headers=headers)
    )
    await replay.http_response.read()
    poller = AsyncLROPoller(
        library.client, replay, last_monitor, AsyncLROBasePolling(lro_algorithms=[OperationResourcePolling()])
    )
    assert (await poller.result())["result"]["seconds"] == 0
    assert library.polls.urls == []


@pytest.mark.both_stores
@pytest.mark.parametrize("way", ["bytes", "generator", "curl"])
def test_ways_to_upload(client: httpx.Client, tmp_path: Path, way: str) -> None:
    """What is put to the uploadUrl is what upload-finish reads: bytes, an iterable of unknown length, `curl -T`."""
    book = f"by-{way}"
    upload = run(client, f"/book/{book}:upload-start", {"fileName": "a.epub"})["result"]
    if way == "curl":
        (tmp_path / "a.epub").write_bytes(EPUB)
        line = ["curl", "--fail-with-body", "-sS", "-H", "x-ms-blob-type: BlockBlob", "-T", "a.epub"]
        subprocess.run([*line, upload["uploadUrl"]], cwd=tmp_path, check=True, timeout=20)
    else:
        data: Any = EPUB if way == "bytes" else _pieces(EPUB)
        answer = BlobClient.from_blob_url(upload["uploadUrl"]).upload_blob(data)
        assert answer["etag"]
    state = run(client, f"/book/{book}:upload-finish", {"transactionId": upload["transactionId"]})
    assert state["result"]["sizeBytes"] == len(EPUB)


@pytest.mark.both_stores
def test_upload_url_is_for_writing_one_blob(client: httpx.Client) -> None:
    """The signature opens nothing but its blob, and not for reading."""
    upload = run(client, "/book/b1:upload-start", {"fileName": "a.epub"})["result"]
    blob = BlobClient.from_blob_url(upload["uploadUrl"])
    blob.upload_blob(EPUB)
    with pytest.raises(HttpResponseError) as caught:
        blob.download_blob()
    assert caught.value.status_code == 403
    other = upload["uploadUrl"].replace(upload["transactionId"], "another")
    with pytest.raises(HttpResponseError) as caught:
        BlobClient.from_blob_url(other).upload_blob(EPUB)
    assert caught.value.status_code == 403


def _pieces(data: bytes) -> Iterator[bytes]:
    for offset in range(0, len(data), 100):
        yield data[offset : offset + 100]


def check_final(pattern: str, path: str, final: Any) -> None:
    """What each pattern's poller returns: the monitor with its result, the resource, the monitor without a result."""
    if pattern == "put":
        assert final == {"id": path.rpartition("/")[2], "note": "new"}
        return
    assert final["status"] == "Succeeded"
    assert ("result" in final) == (pattern != "delete")


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_every_start_ends_with_its_result(library: Library, pattern: str) -> None:
    """Polled where Operation-Location says, at once and every second; after a PUT its own URL is read once more."""
    method, path, body = start_of(pattern, "good")
    initial = await library.start(method, path, body)
    location = initial.http_response.headers["operation-location"]
    poller = library.poller(initial)
    check_final(pattern, path, await poller.result())
    assert poller.status() == "Succeeded"
    polls = library.polls.urls
    if method == "PUT":
        assert polls.pop() == library.url + path
    assert set(polls) == {location}
    assert library.transport.waits == [1] * (len(polls) - 1)


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_every_start_with_the_sync_poller(library: Library, pattern: str) -> None:
    """The thread-based poller comes to the same end; a failure raises there as well."""
    method, path, body = start_of(pattern, "good")
    check_final(pattern, path, await asyncio.to_thread(library.start_sync(method, path, body).result))
    failing = library.start_sync(*start_of(pattern, "fail"))
    with pytest.raises(HttpResponseError, match="TrialFailed"):
        await asyncio.to_thread(failing.result)


@pytest.mark.both_stores
@pytest.mark.parametrize("name", LARGE_STARTS)
async def test_large_results(library: Library, name: str) -> None:
    """A megabyte comes with the monitor, or is fetched once where that says; both pollers end with it."""
    in_a_thread = asyncio.create_task(asyncio.to_thread(library.start_sync(*large_start(name)).result))
    check_large(name, await library.poller(await library.start(*large_start(name))).result())
    check_large(name, await in_a_thread)


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_every_failure_raises(library: Library, pattern: str) -> None:
    """Code and message of a failure reach the caller, whatever started it."""
    initial = await library.start(*start_of(pattern, "fail"))
    with pytest.raises(HttpResponseError) as caught:
        await library.poller(initial).result()
    assert caught.value.error is not None
    assert (caught.value.error.code, caught.value.error.message) == ("TrialFailed", "This trial always fails.")


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_every_cancel_raises(library: Library, pattern: str) -> None:
    """A canceled operation raises; it is canceled at the URL it is polled at."""
    initial = await library.start(*start_of(pattern, "cancel"))
    monitor, _, query = initial.http_response.headers["operation-location"].partition("?")
    await library.client.send_request(HttpRequest("POST", f"{monitor}:cancel?{query}"))
    with pytest.raises(HttpResponseError, match="OperationCanceled"):
        await library.poller(initial).result()


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_every_start_that_waits_is_not_polled(library: Library, pattern: str) -> None:
    """With wait=N the first answer says how it ended, and nothing is polled; what a PUT made is read as always.

    The answer to a PUT of a resource is the resource, which says nothing of the end: that one is polled once.
    """
    method, path, body = start_of(pattern, "good")
    initial = await library.start(method, path, body, Prefer="wait=10")
    assert initial.http_response.headers["preference-applied"] == "wait=10"
    check_final(pattern, path, await library.poller(initial).result())
    assert len(library.polls.urls) == {"put": 2, "put-operation": 1}.get(pattern, 0)


@pytest.mark.both_stores
async def test_pollers_drive_the_library(library: Library) -> None:
    """The sample's own starts: an import, a book that is changed, and one that is removed."""
    upload = (await (await library.begin("/book/x1:upload-start", {"fileName": "a.epub"})).result())["result"]
    await asyncio.to_thread(BlobClient.from_blob_url(upload["uploadUrl"]).upload_blob, EPUB)
    book = f"lib{uuid4().hex[:8]}"
    items = [{"id": "x1", "transactionId": upload["transactionId"]}, {"id": book, "transactionId": "unknown"}]
    imported = await library.poller(await library.start("PUT", f"/imports/{book}", {"items": items})).result()
    assert [item["status"] for item in imported["result"]["items"]] == ["Succeeded", "Failed"]
    assert imported["items"][0]["transactionId"] == upload["transactionId"]
    changed = await library.poller(await library.start("PUT", "/book/x1", {"title": "Mine"})).result()
    assert (changed["title"], changed["words"]) == ("Mine", 7)
    assert (await library.poller(await library.start("DELETE", "/book/x1")).result())["status"] == "Succeeded"
    gone = await library.client.send_request(HttpRequest("GET", f"{library.url}/book/x1"))
    assert gone.status_code == 404
