"""azure-mgmt-core's ARMPolling, unchanged, on every ARM verb, header model and final-state-via, on every store.

What it does with each is in `azure/mgmt/core/polling`. The JSON that the pollers end with is compared, and what
they asked on the way is counted.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

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
from azure.core.rest import HttpRequest
from azure.mgmt.core.polling.arm_polling import ARMPolling
from azure.mgmt.core.polling.async_arm_polling import AsyncARMPolling

from tests.support.arm_things import MODELS, NAMESPACE, VERSION
from tests.support.host import LocalHost
from tests.support.lro import identity
from tests.support.paced import AsyncPacedTransport, PacedTransport

FINAL_STATES = (None, "azure-async-operation", "location", "original-uri", "operation-location")
VERBS: dict[str, tuple[str, str, Any]] = {
    "create": ("PUT", "", {"location": "westeurope", "properties": {"note": "n"}}),
    "replace": ("PUT", "", {"properties": {"note": "m"}}),
    "update": ("PATCH", "", {"tags": {"a": "b"}}),
    "delete": ("DELETE", "", None),
    "add": ("POST", "/add", {"a": 2, "b": 3}),
    "touch": ("POST", "/touch", {}),
}
SEEN = "seen"


class Polls(SansIOHTTPPolicy[Any, Any]):
    """Keeps what each poller asks, by the list that its requests carry."""

    def on_request(self, request: PipelineRequest[Any]) -> None:
        seen = request.context.options.pop(SEEN, None)
        if seen is not None:
            seen.append((request.http_request.method, request.http_request.url))


@dataclass
class Provider:
    """A client of one subscription of its own."""

    url: str
    client: AsyncPipelineClient[Any, Any]
    sync: PipelineClient[Any, Any]
    subscription: str = field(default_factory=lambda: str(uuid4()))

    def path(self, type: str, name: str) -> str:
        group = f"/subscriptions/{self.subscription}/resourceGroups/rg/providers/{NAMESPACE}"
        return f"{self.url}{group}/{type}/{name}"

    async def begin(
        self, method: str, url: str, body: Any, seen: list[tuple[str, str]], final_state: str | None = None
    ) -> AsyncLROPoller[Any]:
        """As a generated client's `begin_...` does it."""
        request = HttpRequest(method, f"{url}?api-version={VERSION}", json=body)
        initial = await self.client._pipeline.run(request, stream=True)
        assert initial.http_response.status_code in (200, 201, 202)
        await initial.http_response.read()
        options = {"final-state-via": final_state} if final_state else None
        polling: Any = AsyncARMPolling(timeout=20, lro_options=options, **{SEEN: seen})
        return AsyncLROPoller(self.client, initial, last_body, polling)

    async def make(self, type: str, name: str) -> str:
        url = self.path(type, name)
        await (await self.begin("PUT", url, VERBS["create"][2], [])).result()
        return url


def last_body(pipeline_response: Any) -> Any:
    response = pipeline_response.http_response
    if response.status_code == 204:
        return None
    return ContentDecodePolicy.deserialize_from_http_generics(response)


@pytest.fixture
async def provider(host: LocalHost) -> AsyncIterator[Provider]:
    headers = identity(uuid4().hex)
    common = [RequestIdPolicy(), HeadersPolicy(headers), ContentDecodePolicy(), Polls()]
    transport = AsyncPacedTransport()
    with PipelineClient[Any, Any](host.url, policies=[*common, RetryPolicy()], transport=PacedTransport()) as sync:
        async with AsyncPipelineClient[Any, Any](
            host.url, policies=[*common, AsyncRetryPolicy()], transport=transport
        ) as client:
            yield Provider(host.url, client, sync)
    # Retry-After wins over the client's own 20 s.
    assert set(transport.waits) <= {1}


@pytest.mark.both_stores
@pytest.mark.parametrize("type", MODELS)
async def test_large_results(provider: Provider, type: str) -> None:
    """A megabyte comes by `Location` where there is one, and else with the monitor."""
    url = await provider.make(type, "large")
    options = "location" if MODELS[type].location else "azure-async-operation"
    poller = await provider.begin("POST", f"{url}/dump", {"size": 1_000_000}, [], options)
    final = await poller.result()
    assert final.get("properties", final) == {"text": "x" * 1_000_000}
    assert ("properties" in final) == (not MODELS[type].location)


def final_source(verb: str, type: str, final_state: str | None) -> str:
    """Where the client takes its result from: the resource, the results, or the monitor."""
    model, method = MODELS[type], VERBS[verb][0]
    if not model.async_operation or (final_state == "location" and model.location):
        return "operationResults"
    if method in ("PUT", "PATCH"):
        return "resource"
    if method == "POST" and final_state in ("azure-async-operation", "operation-location"):
        return "operationStatuses"
    return "operationResults" if method == "POST" and model.location else "operationStatuses"


@pytest.mark.both_stores
@pytest.mark.parametrize("verb", VERBS)
async def test_every_header_model_and_final_state(provider: Provider, host: LocalHost, verb: str) -> None:
    """The poller ends with the result of the operation, wherever it is told to take it from."""
    # The header models differ in what is answered, not in what is stored.
    models = MODELS if host.store == "sqlite" else ["bothThings"]
    places = asyncio.Semaphore(15)

    async def one(type: str, final_state: str | None) -> None:
        async with places:
            await _one(provider, verb, type, final_state)

    async with asyncio.TaskGroup() as group:
        for type in models:
            for final_state in FINAL_STATES:
                group.create_task(one(type, final_state))


async def _one(provider: Provider, verb: str, type: str, final_state: str | None) -> None:
    name = f"{verb}-{final_state or 'none'}"
    url = provider.path(type, name)
    if verb != "create":
        await provider.make(type, name)
    method, suffix, body = VERBS[verb]
    seen: list[tuple[str, str]] = []
    poller = await provider.begin(method, url + suffix, body, seen, final_state)
    result = await poller.result()
    assert poller.status() == "Succeeded"
    source = final_source(verb, type, final_state)
    if source == "operationStatuses":
        assert result["status"] == "Succeeded"
        result = result.get("properties")
    if verb == "add":
        assert result == {"total": 5}
    elif verb in ("delete", "touch"):
        assert result is None
    else:
        assert result["id"] == url.removeprefix(provider.url)
        assert result["properties"]["provisioningState"] == "Succeeded"
        assert result["properties"]["made"] == (1 if verb == "create" else 2)
        assert result["properties"]["note"] == ("m" if verb == "replace" else "n")
        assert result["tags"] == ({"a": "b"} if verb == "update" else {})
    _check_polls(seen, url + suffix, source, polled="operationStatuses" if MODELS[type].async_operation else source)


def _check_polls(seen: list[tuple[str, str]], url: str, source: str, *, polled: str) -> None:
    """One kind of monitor is polled; at most one GET follows, and no other request is made."""
    assert {method for method, _ in seen} == {"GET"}
    asked = [each for _, each in seen]
    kinds = [next((k for k in ("operationStatuses", "operationResults") if k in each), "resource") for each in asked]
    if source != polled:
        assert kinds.pop() == source
        assert source != "resource" or asked[-1] == f"{url}?api-version={VERSION}"
    assert set(kinds) == {polled}
    assert all(f"api-version={VERSION}" in each for each in asked)


@pytest.mark.parametrize("type", MODELS)
async def test_failure_raises(provider: Provider, type: str) -> None:
    """A failed operation raises HttpResponseError with our code and message, whatever is polled."""
    await provider.make(type, "act")
    failing = {"location": "westeurope", "properties": {"mode": "fail"}}

    async def fails(method: str, url: str, body: Any) -> None:
        poller = await provider.begin(method, url, body, [])
        with pytest.raises(HttpResponseError) as caught:
            await poller.result()
        assert "(ThingFailed) This thing fails." in caught.value.message

    await asyncio.gather(
        fails("PUT", provider.path(type, "put"), failing),
        fails("POST", provider.path(type, "act") + "/add", {"mode": "fail"}),
    )
    shown = await provider.client.send_request(
        HttpRequest("GET", f"{provider.path(type, 'put')}?api-version={VERSION}")
    )
    assert shown.json()["properties"]["provisioningState"] == "Failed"


@pytest.mark.parametrize("type", MODELS)
async def test_cancel_raises(provider: Provider, type: str) -> None:
    """A canceled operation raises and says why; the handler that was running has been stopped."""
    waiting = {"location": "westeurope", "properties": {"mode": "wait"}}
    poller = await provider.begin("PUT", provider.path(type, "wait"), waiting, [])
    initial: Any = poller.polling_method()._initial_response
    headers = initial.http_response.headers
    url = headers.get("Azure-AsyncOperation") or headers["Location"]
    cancel = url.replace("operationResults", "operationStatuses").replace("?", "/cancel?")
    answer = await provider.client.send_request(HttpRequest("POST", cancel))
    assert answer.status_code == 200
    with pytest.raises(HttpResponseError, match="OperationCanceled"):
        await poller.result()


async def test_sync_poller_and_token(provider: Provider) -> None:
    """The sync poller does the same, and another one goes on from its continuation token."""
    url = provider.path("bothThings", "sync")

    def work() -> None:
        request = HttpRequest("PUT", f"{url}?api-version={VERSION}", json=VERBS["create"][2])
        initial = provider.sync._pipeline.run(request, stream=True)
        initial.http_response.read()
        polling: Any = ARMPolling(timeout=20, lro_options={"final-state-via": "location"})
        poller = LROPoller(provider.sync, initial, last_body, polling)
        token = poller.continuation_token()
        result = poller.result()
        assert result["properties"]["provisioningState"] == "Succeeded"
        again: Any = ARMPolling(timeout=20, lro_options={"final-state-via": "location"})
        resumed = LROPoller.from_continuation_token(
            again, token, client=provider.sync, deserialization_callback=last_body
        )
        assert resumed.result() == result

    await asyncio.to_thread(work)


async def test_final_resource_of_dotnet(provider: Provider) -> None:
    """What .NET clients need: PATCH is 202, a finished monitor 200, the resource has an id, DELETE ends 204."""
    url = await provider.make("locationThings", "net")
    ends: dict[str, int] = {}
    for method, body in (("PATCH", {"tags": {}}), ("DELETE", None)):
        start = await provider.client.send_request(HttpRequest(method, f"{url}?api-version={VERSION}", json=body))
        assert start.status_code == 202
        for _ in range(100):
            polled = await provider.client.send_request(HttpRequest("GET", start.headers["Location"]))
            if polled.status_code != 202:
                break
            await asyncio.sleep(0.05)
        ends[method] = polled.status_code
        status = start.headers["Location"].replace("operationResults", "operationStatuses")
        assert (await provider.client.send_request(HttpRequest("GET", status))).status_code == 200
        if method == "PATCH":
            assert polled.json()["id"] == url.removeprefix(provider.url)
    assert ends == {"PATCH": 200, "DELETE": 204}


async def test_paths_compare_without_case(provider: Provider) -> None:
    """The host and the app take any case of a path, and the names come back as they were created; 404 tells itself."""
    url = await provider.make("bothThings", "Mixed")
    path = url.removeprefix(provider.url)
    for spelled in (path.upper(), path.lower()):
        read = await provider.client.send_request(HttpRequest("GET", f"{provider.url}{spelled}?API-VERSION={VERSION}"))
        assert (read.status_code, read.json()["id"]) == (200, path)
    listed = f"{provider.url}/SUBSCRIPTIONS/{provider.subscription}/providers/contoso.things/boththings"
    page = await provider.client.send_request(HttpRequest("GET", f"{listed}?api-version={VERSION}"))
    assert [each["id"] for each in page.json()["value"]] == [path]
    missing = await provider.client.send_request(HttpRequest("GET", f"{url}x?api-version={VERSION}"))
    assert missing.json()["error"]["code"] == missing.headers["x-ms-error-code"] == "ResourceNotFound"
    assert missing.headers["x-ms-correlation-request-id"]
