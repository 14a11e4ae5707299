"""Work of 30 ms, seen to its end by stock pollers: seconds from the start to the result, on the embedded store."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from azure.core import AsyncPipelineClient, PipelineClient
from azure.core.pipeline.policies import AsyncRetryPolicy, ContentDecodePolicy, RequestIdPolicy, RetryPolicy
from azure.core.polling import AsyncLROPoller, LROPoller
from azure.core.polling.async_base_polling import AsyncLROBasePolling
from azure.core.polling.base_polling import LROBasePolling, OperationResourcePolling
from azure.core.rest import HttpRequest
from azure.mgmt.core.polling.async_arm_polling import AsyncARMPolling

from bench.report import Report
from lro_client import AsyncLroClient, AsyncODataClient
from tests.support.host import LocalHost

APP = Path(__file__).parents[1] / "tests" / "e2e" / "test_app"
_WORK = {"seconds": 0.03}
_GROUP = f"/subscriptions/{uuid4()}/resourceGroups/rg/providers/Contoso.Library"
_RUNS = 15

Call = Callable[[str, str], Awaitable[None]]
"""Runs one operation to its end, on the host with this URL; the second is a name of its own."""


async def azure_core(url: str, name: str) -> None:
    async with AsyncPipelineClient[Any, Any](
        url, policies=[RequestIdPolicy(), ContentDecodePolicy(), AsyncRetryPolicy()]
    ) as client:
        initial = await client._pipeline.run(HttpRequest("POST", f"{url}/trial/{name}:wait", json=_WORK))
        await initial.http_response.read()
        method: Any = AsyncLROBasePolling(timeout=30, lro_algorithms=[OperationResourcePolling()])
        await AsyncLROPoller(client, initial, lambda response: response, method).result()


def azure_core_sync(url: str, name: str) -> None:
    with PipelineClient[Any, Any](url, policies=[RequestIdPolicy(), ContentDecodePolicy(), RetryPolicy()]) as client:
        initial = client._pipeline.run(HttpRequest("PUT", f"{url}/trial-jobs/{name}", json=_WORK))
        initial.http_response.read()
        method: Any = LROBasePolling(timeout=30, lro_algorithms=[OperationResourcePolling()])
        LROPoller(client, initial, lambda response: response, method).result()


async def azure_mgmt(url: str, name: str) -> None:
    """A resource of the sample: its `Retry-After` is ARM's 10 s, and its work is as short."""
    body = {"location": "westeurope", "properties": {"theme": "verse"}}
    async with AsyncPipelineClient[Any, Any](
        url, policies=[RequestIdPolicy(), ContentDecodePolicy(), AsyncRetryPolicy()]
    ) as client:
        at = f"{url}{_GROUP}/shelves/{name}?api-version=2026-01-01"
        initial = await client._pipeline.run(HttpRequest("PUT", at, json=body), stream=True)
        await initial.http_response.read()
        polling: Any = AsyncARMPolling(timeout=30)
        await AsyncLROPoller(client, initial, lambda response: response, polling).result()


async def ours(url: str, name: str) -> None:
    async with AsyncLroClient(url) as client:
        await client.run("POST", f"trial/{name}:wait", json=_WORK)


async def odata(url: str, name: str) -> None:
    async with AsyncODataClient(f"{url}/odata") as client:
        await client.run("POST", "TrialWait", json=_WORK, headers={"Prefer": "respond-async"})


CALLS: dict[str, Call] = {
    "azure-core, POST": azure_core,
    "azure-core sync, PUT of an operation": lambda url, name: asyncio.to_thread(azure_core_sync, url, name),
    "azure-mgmt-core, ARM PUT": azure_mgmt,
    "lro_client, POST": ours,
    "lro_client, OData": odata,
}


def measure(folder: Path, report: Report, *, rounds: int, rivals: bool) -> None:
    with LocalHost(folder / "trials", app_root=APP) as trials, LocalHost(folder / "sample") as sample:
        found = asyncio.run(_measure(trials.url, sample.url))
    print("work of 30 ms, seconds until a stock poller has its end")
    for name, seconds in found.items():
        print(f"  {name:40} {statistics.median(seconds):6.3f}   {min(seconds):.3f} to {max(seconds):.3f}")
    report.add({"pollers": [max(statistics.median(seconds) for seconds in found.values())]})


async def _measure(trials: str, sample: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in CALLS}
    for run in range(_RUNS):
        for name, call in CALLS.items():
            began = time.perf_counter()
            await call(sample if call is azure_mgmt else trials, uuid4().hex)
            if run:  # the first ones import what they need
                found[name].append(time.perf_counter() - began)
    return found
