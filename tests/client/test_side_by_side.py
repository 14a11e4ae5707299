"""Two that follow one operation on an event loop: what each is told is true, whoever is faster. Over real sockets."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from lro_client import AsyncLroClient, AsyncODataClient, OperationCanceled, Status
from tests.client.hostile import JSON, QUICK, Hostile, answer

pytestmark = pytest.mark.timeout(60)
RESOURCE = answer("200 OK", JSON, '{"name": "the resource"}')
SUCCEEDED = answer("200 OK", JSON, '{"id": "1", "status": "Succeeded"}')
Route = Callable[[], bytes]


def serving(routes: dict[str, Route]) -> AbstractContextManager[Hostile]:
    """A server by the request line's method and path. A route may take its time."""

    @contextmanager
    def running() -> Any:
        def conduct(connection: socket.socket, head: str) -> None:
            connection.sendall(routes[" ".join(head.split(" ", 2)[:2])]())

        server = Hostile(conduct)
        try:
            yield server
        finally:
            server.close()

    return running()


def after(seconds: float, reply: bytes) -> Route:
    def route() -> bytes:
        time.sleep(seconds)
        return reply

    return route


def in_turn(*routes: Route) -> Route:
    """One after the other; the last one for ever."""
    left, lock = list(routes), threading.Lock()

    def route() -> bytes:
        with lock:
            chosen = left.pop(0) if len(left) > 1 else left[0]
        return chosen()

    return route


@pytest.mark.parametrize("slow", [0.25, 0.9])
async def test_two_waits(slow: float) -> None:
    """Both get the result: a monitor's answer that comes while it is fetched, or after that, is not taken for it."""
    routes = {
        "PUT /thing": lambda: answer("201 Created", f"{JSON}\nOperation-Location: /monitor", '{"name": "new"}'),
        "GET /monitor": in_turn(after(0, SUCCEEDED), after(slow, SUCCEEDED)),
        "GET /thing": after(0.5, RESOURCE),
    }
    with serving(routes) as server:
        async with AsyncLroClient(server.url, **QUICK) as client:
            operation = await client.start("PUT", "thing", json={})
            assert await asyncio.gather(operation.wait(), operation.wait()) == [{"name": "the resource"}] * 2


async def test_a_look_that_fails_after_the_end() -> None:
    """Whoever's look fails, or takes too long, when the other has seen the end, has the end as well."""
    routes = {
        "POST /start": lambda: answer("202 Accepted", "Operation-Location: /monitor"),
        "GET /monitor": in_turn(
            after(0.1, answer("200 OK", JSON, '{"status": "Succeeded"}')),
            after(0.5, answer("404 Not Found")),
            after(2, b""),
        ),
    }
    with serving(routes) as server:
        async with AsyncLroClient(server.url, **QUICK) as client:
            operation = await client.start("POST", "start")
            looks = (operation.wait(), operation.wait(), operation.wait(timeout=0.8))
            assert await asyncio.gather(*looks) == [None, None, None]


async def test_nobody_asks_again_after_the_end() -> None:
    """One that sleeps until its next look finds the end that the other has seen, and asks no more."""
    running = answer("200 OK", f"{JSON}\nRetry-After: 1", '{"id": "1", "status": "Running"}')
    routes = {
        "POST /start": lambda: answer("202 Accepted", "Operation-Location: /monitor"),
        "GET /monitor": in_turn(lambda: running, lambda: SUCCEEDED),
    }
    with serving(routes) as server:
        async with AsyncLroClient(server.url, **QUICK) as client:
            operation = await client.start("POST", "start")
            waiting = asyncio.create_task(operation.wait())
            await asyncio.sleep(0.3)
            await operation.update_status()
            await waiting
        assert sum(head.startswith("GET") for head in server.heads) == 2


async def test_cancel_beside_a_wait() -> None:
    """OData: a cancel with a monitor of its own, while a poll is on its way. What that poll is answered is none of the
    cancel's; as the cancel fails in the end, the operation ends well."""
    routes = {
        "POST /Act": lambda: answer("202 Accepted", "Location: /monitor"),
        "GET /monitor": in_turn(
            lambda: answer("202 Accepted", "Location: /monitor\nRetry-After: 0"),
            after(0.8, answer("200 OK", f"{JSON}\nAsyncResult: 200", '{"value": 42}')),
        ),
        "DELETE /monitor": lambda: answer("202 Accepted", "Location: /cancellation"),
        "GET /cancellation": lambda: answer("200 OK", f"{JSON}\nAsyncResult: 409", '{"error": {"code": "No"}}'),
    }
    with serving(routes) as server:
        async with AsyncODataClient(server.url, **QUICK) as client:
            operation = (await client.call_action("Act")).operation
            waiting = asyncio.create_task(operation.wait(interval=0.1))
            await asyncio.sleep(0.5)
            assert await operation.try_cancel() is True
            assert await waiting == {"value": 42}
            assert operation.status is Status.SUCCEEDED


async def test_look_beside_a_cancel() -> None:
    """OData: a poll on its way when the cancel was accepted does not lead back to the monitor, which is gone."""
    running = answer("202 Accepted", "Location: /monitor\nRetry-After: 0")
    routes = {
        "POST /Act": lambda: answer("202 Accepted", "Location: /monitor"),
        "GET /monitor": in_turn(lambda: running, after(0.6, running), lambda: answer("404 Not Found")),
        "DELETE /monitor": lambda: answer("202 Accepted", "Location: /cancellation"),
        "GET /cancellation": lambda: answer("200 OK", "AsyncResult: 204"),
    }
    with serving(routes) as server:
        async with AsyncODataClient(server.url, **QUICK) as client:
            operation = (await client.call_action("Act")).operation
            waiting = asyncio.create_task(operation.wait(interval=0.1))
            await asyncio.sleep(0.4)
            assert await operation.try_cancel() is True
            with pytest.raises(OperationCanceled):
                await waiting


async def test_cancel_that_comes_too_late() -> None:
    """The operation ends well while the cancel is on its way: it stays so, and `try_cancel` says no."""
    routes = {
        "POST /start": lambda: answer("202 Accepted", "Operation-Location: /monitor"),
        "GET /monitor": after(0.3, SUCCEEDED),
        "POST /monitor:cancel": after(0.6, answer("200 OK", JSON, '{"id": "1", "status": "Canceling"}')),
    }
    with serving(routes) as server:
        async with AsyncLroClient(server.url, **QUICK) as client:
            operation = await client.start("POST", "start")
            _, did = await asyncio.gather(operation.wait(), operation.try_cancel())
            assert (did, operation.status) == (False, Status.SUCCEEDED)


async def test_cancel_while_the_result_is_fetched() -> None:
    """The service refuses to cancel what has succeeded meanwhile: that is no error, and the result is there."""
    routes = {
        "PUT /thing": lambda: answer("201 Created", f"{JSON}\nOperation-Location: /monitor", '{"name": "new"}'),
        "GET /monitor": after(0.2, SUCCEEDED),
        "GET /thing": after(0.6, RESOURCE),
        "POST /monitor:cancel": after(0.5, answer("409 Conflict")),
    }
    with serving(routes) as server:
        async with AsyncLroClient(server.url, **QUICK) as client:
            operation = await client.start("PUT", "thing", json={})
            value, snapshot = await asyncio.gather(operation.wait(), operation.cancel())
            assert (value, snapshot.status) == ({"name": "the resource"}, Status.SUCCEEDED)
