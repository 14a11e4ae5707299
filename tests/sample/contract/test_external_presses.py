"""Operations delegated, over HTTP: presses whose set-up another system does, on every store.

Rules: docs/external.md; what the pollers need is in their sources.
"""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
from azure.core import AsyncPipelineClient, PipelineClient
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import (
    AsyncRetryPolicy,
    ContentDecodePolicy,
    HeadersPolicy,
    RequestIdPolicy,
    RetryPolicy,
)
from azure.core.polling import AsyncLROPoller, LROPoller
from azure.core.polling.async_base_polling import AsyncLROBasePolling
from azure.core.polling.base_polling import LROBasePolling, OperationResourcePolling
from azure.core.rest import HttpRequest

from tests.support.host import LocalHost
from tests.support.lro import ask, caller, identity
from tests.support.paced import AsyncPacedTransport, PacedTransport

VERSION = {"api-version": "2026-01-01"}
TERMINAL = ("Succeeded", "Failed", "Canceled")


@dataclass
class Printers:
    """A client that makes presses in a subscription of its own, and the system outside that takes the orders."""

    client: httpx.Client
    subscription: str

    def path(self, name: str) -> str:
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/rg/providers/Contoso.Library/presses/{name}"
            "?api-version=2026-01-01"
        )

    def put(self, name: str, **properties: Any) -> httpx.Response:
        return self.client.put(self.path(name), json={"location": "westeurope", "properties": properties})

    def get(self, name: str) -> httpx.Response:
        return self.client.get(self.path(name))

    def take(self) -> dict[str, Any] | None:
        answer = self.client.post("/presses:take-work-order")
        if answer.status_code == 204:
            assert answer.content == b""
            return None
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        return answer.json()

    def order(self, name: str, **properties: Any) -> tuple[httpx.Response, dict[str, Any]]:
        """Start a set-up and take its order; the queue is empty before and after."""
        started = self.put(name, **properties)
        assert started.status_code in (200, 201), started.text
        order = self.take()
        assert order is not None
        return started, order


@pytest.fixture
def printers(host: LocalHost) -> Any:
    with caller(host.url) as client:
        printers = Printers(client, str(uuid4()))
        while printers.take() is not None:
            pass
        yield printers


def update(order: dict[str, Any], said: dict[str, Any], *, secret: str | None = None) -> httpx.Response:
    """As the system outside does it: without a key, without an identity."""
    given = order["secret"] if secret is None else secret
    return ask("POST", order["updateUrl"], json=said, headers={"x-operation-secret": given} if given else {})


@pytest.mark.both_stores
def test_set_up(printers: Printers, host: LocalHost) -> None:
    """PUT, order, Running, Succeeded: the resource and the monitor follow, and the reported properties are its own."""
    started, order = printers.order("p1", model="Heidelberg")
    assert started.status_code == 201
    assert started.headers["retry-after"] == "5"
    assert started.json()["properties"] == {"model": "Heidelberg", "provisioningState": "Accepted"}
    monitor = started.headers["azure-asyncoperation"]
    assert order["updateUrl"] == f"{host.url}/status/{order['operationId']}:update?api-version=2026-01-01"
    assert order["secret"] not in started.text + str(started.headers)
    assert (order["press"], order["model"]) == ("p1", "Heidelberg")

    running = update(order, {"status": "Running", "percentComplete": 40})
    assert (running.status_code, running.json()["status"]) == (200, "Running")
    assert printers.client.get(monitor).json()["percentComplete"] == 40
    assert printers.get("p1").json()["properties"]["provisioningState"] == "Creating"

    done = update(order, {"status": "Succeeded", "result": {"serialNumber": "SN-7", "sheetsPerHour": 9000}})
    assert (done.status_code, done.json()["status"]) == (200, "Succeeded")
    state = printers.client.get(monitor).json()
    properties = {
        "model": "Heidelberg", "serialNumber": "SN-7", "sheetsPerHour": 9000, "provisioningState": "Succeeded",
    }  # fmt: skip
    assert (state["status"], state["properties"]["properties"]) == ("Succeeded", properties)
    assert printers.get("p1").json()["properties"] == properties
    assert order["secret"] not in host.log


def test_succeeded_at_once(printers: Printers) -> None:
    """The first word may be the last; a second PUT is 200 and keeps what the service has set."""
    _, order = printers.order("p1", model="A")
    assert update(order, {"status": "Succeeded", "result": {"serialNumber": "SN-1"}}).status_code == 200
    started, order = printers.order("p1", model="B")
    assert started.status_code == 200
    assert update(order, {"status": "Succeeded"}).status_code == 200
    expected = {"model": "B", "serialNumber": "SN-1", "provisioningState": "Succeeded"}
    assert printers.get("p1").json()["properties"] == expected


@pytest.mark.both_stores
def test_failed(printers: Printers) -> None:
    """What the system outside reports as its error is the monitor's, and the press is there as Failed."""
    started, order = printers.order("p1")
    error = {"code": "PaperJam", "message": "The paper is stuck.", "details": [{"code": "Tray", "message": "No. 3"}]}
    assert update(order, {"status": "Failed", "error": error}).json()["error"] == error
    state = printers.client.get(started.headers["azure-asyncoperation"]).json()
    assert (state["status"], state["error"]) == ("Failed", error)
    assert printers.get("p1").json()["properties"]["provisioningState"] == "Failed"


def test_secrets(printers: Printers, host: LocalHost) -> None:
    """Wrong and missing secrets are 404 as an unknown operation is, and nothing changes; after the end the right one
    is 409 and a wrong one is 404 still."""
    _, order = printers.order("p1")
    _, other = printers.order("p2")
    said = {"status": "Succeeded"}
    unknown = update({**order, "updateUrl": order["updateUrl"].replace(order["operationId"], "none")}, said)
    assert unknown.status_code == 404
    for secret in ("", "x", other["secret"], order["secret"][:-2]):
        refused = update(order, said, secret=secret)
        assert refused.status_code == 404
        assert refused.text == unknown.text.replace("none", order["operationId"])
    assert printers.get("p1").json()["properties"]["provisioningState"] == "Accepted"
    assert update(order, said).status_code == 200
    again = update(order, said)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "OperationFinished")
    assert update(order, said, secret=other["secret"]).status_code == 404
    update(other, said)
    for each in (order, other):
        assert each["secret"] not in host.log


def test_a_result_that_does_not_fit(printers: Printers) -> None:
    """Properties the press does not have are 400, nothing changes, and the right ones are taken afterwards."""
    _, order = printers.order("p1")
    for result in ({"wings": 2}, {"sheetsPerHour": "many"}, [1], "text"):
        refused = update(order, {"status": "Succeeded", "result": result})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "InvalidResult"), refused.text
    assert update(order, {"status": "Succeeded", "result": {"sheetsPerHour": 1}}).status_code == 200


@pytest.mark.both_stores
def test_busy_and_cancel(printers: Printers) -> None:
    """While it is set up another PUT is 409; a cancel reaches the system outside in the answer to its next update."""
    started, order = printers.order("p1")
    update(order, {"status": "Running"})
    assert printers.put("p1", model="Other").status_code == 409
    assert printers.put("p1").headers["azure-asyncoperation"] == started.headers["azure-asyncoperation"]
    monitor = httpx.URL(started.headers["azure-asyncoperation"])
    answer = printers.client.post(monitor.copy_with(path=f"{monitor.path}/cancel", params=VERSION))
    assert answer.status_code in (200, 202), answer.text
    assert printers.client.get(monitor).json()["status"] == "Canceling"
    heard = update(order, {"status": "Running", "percentComplete": 50})
    assert (heard.status_code, heard.json()["error"]["code"]) == (409, "OperationCanceling")
    assert update(order, {"status": "Canceled"}).json()["status"] == "Canceled"
    assert printers.client.get(monitor).json()["status"] == "Canceled"


@pytest.mark.both_stores
def test_an_order_of_what_was_canceled_is_not_handed_out(printers: Printers) -> None:
    """Before anybody has taken it, a cancel is done at once, and the order goes."""
    started = printers.put("p1")
    monitor = httpx.URL(started.headers["azure-asyncoperation"])
    printers.client.post(monitor.copy_with(path=f"{monitor.path}/cancel", params=VERSION))
    assert printers.client.get(monitor).json()["status"] == "Canceled"
    assert printers.take() is None


@pytest.mark.both_stores
def test_each_order_is_handed_out_once(printers: Printers) -> None:
    """Eight that take orders at one time get every order, and none of them twice."""
    names = [f"p{number}" for number in range(12)]
    for name in names:
        assert printers.put(name).status_code == 201

    def worker() -> list[str]:
        found: list[str] = []
        while (order := printers.take()) is not None:
            found.append(order["press"])
            update(order, {"status": "Succeeded"})
        return found

    with ThreadPoolExecutor(8) as pool:
        taken = [press for each in [pool.submit(worker) for _ in range(8)] for press in each.result()]
    assert Counter(taken) == Counter(names)
    assert all(printers.get(n).json()["properties"]["provisioningState"] == "Succeeded" for n in names)


@pytest.mark.both_stores
def test_two_ends_at_one_time(printers: Printers) -> None:
    """Of many ends that race one is 200 and the others are 409; what was answered 200 is what stands."""
    started, order = printers.order("p1")
    with ThreadPoolExecutor(6) as pool:
        said = [{"status": "Succeeded", "result": {"serialNumber": f"SN-{n}"}} for n in range(6)]
        answers = list(pool.map(lambda each: update(order, each), said))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 5}
    won = next(n for n, answer in enumerate(answers) if answer.status_code == 200)
    assert printers.get("p1").json()["properties"]["serialNumber"] == f"SN-{won}"
    assert printers.client.get(started.headers["azure-asyncoperation"]).json()["status"] == "Succeeded"


@contextmanager
def outside(printers: Printers, end: dict[str, Any]) -> Iterator[None]:
    """The other system: takes an order after a while, works on it, ends it as told."""

    def work() -> None:
        time.sleep(0.5)
        order = printers.take()
        assert order is not None
        update(order, {"status": "Running", "percentComplete": 50})
        time.sleep(0.5)
        assert update(order, end).status_code == 200

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        yield
        working.result()


POLLING = {"timeout": 1, "lro_algorithms": [OperationResourcePolling(operation_location_header="azure-asyncoperation")]}


def resource(pipeline_response: Any) -> Any:
    return ContentDecodePolicy.deserialize_from_http_generics(pipeline_response.http_response)


def test_a_stock_poller_waits(printers: Printers, host: LocalHost) -> None:
    """azure-core's LROPoller, unchanged, waits for what the other system finishes, and gives the press it made."""
    policies = [RequestIdPolicy(), HeadersPolicy(dict(printers.client.headers)), ContentDecodePolicy(), RetryPolicy()]
    transport = PacedTransport()
    with PipelineClient[Any, Any](host.url, policies=policies, transport=transport) as client:
        body = {"location": "westeurope", "properties": {"model": "M"}}
        initial = client._pipeline.run(HttpRequest("PUT", host.url + printers.path("p1"), json=body))
        initial.http_response.read()
        with outside(printers, {"status": "Succeeded", "result": {"sheetsPerHour": 5}}):
            poller: LROPoller[Any] = LROPoller(client, initial, resource, LROBasePolling(**POLLING))
            made = poller.result()
    assert poller.status() == "Succeeded"
    assert set(transport.waits) == {5}, "what the server says"
    assert made["properties"] == {"model": "M", "sheetsPerHour": 5, "provisioningState": "Succeeded"}


async def test_a_stock_async_poller_raises_what_is_reported(printers: Printers, host: LocalHost) -> None:
    """azure-core's AsyncLROPoller raises the error that the other system reported."""
    policies = [
        RequestIdPolicy(),
        HeadersPolicy(dict(printers.client.headers)),
        ContentDecodePolicy(),
        AsyncRetryPolicy(),
    ]
    transport = AsyncPacedTransport()
    async with AsyncPipelineClient[Any, Any](host.url, policies=policies, transport=transport) as client:
        request = HttpRequest("PUT", host.url + printers.path("p1"), json={"location": "westeurope"})
        initial = await client._pipeline.run(request)
        await initial.http_response.read()
        end = {"status": "Failed", "error": {"code": "PaperJam", "message": "The paper is stuck."}}
        with outside(printers, end):
            poller: AsyncLROPoller[Any] = AsyncLROPoller(client, initial, resource, AsyncLROBasePolling(**POLLING))
            with pytest.raises(HttpResponseError, match="PaperJam"):
                await poller.result()
    assert poller.status() == "Failed"
    assert set(transport.waits) == {5}


def test_callers_of_take_are_known(host: LocalHost) -> None:
    """Orders are for who may call the app: with sign-in on, nobody without an identity; the update needs none."""
    assert ask("POST", f"{host.url}/presses:take-work-order").status_code == 401
    answer = ask("POST", f"{host.url}/status/x:update", json={}, headers=identity("somebody"))
    assert answer.status_code == 404
