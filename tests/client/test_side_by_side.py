"""Two that follow one operation on an event loop: what each is told is true, whoever is faster. Over real sockets."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from lro_client import AsyncLroClient, AsyncODataClient, OperationCanceled, Status
from lro_client.clock import Clock
from tests.client.hostile import JSON, QUICK, Hostile, answer

pytestmark = pytest.mark.timeout(60)
RESOURCE = answer("200 OK", JSON, '{"name": "the resource"}')
SUCCEEDED = answer("200 OK", JSON, '{"id": "1", "status": "Succeeded"}')
Route = Callable[[], bytes]
SETTLED = 0.1
"""Seconds in which the client has seen an answer that is on its way to it."""


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


@dataclass
class Gated:
    """A route whose answer waits for another one: `after` is an event of that one, and this one tells its own."""

    reply: bytes
    after: threading.Event | None = None
    arrived: threading.Event = field(default_factory=threading.Event)
    replied: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> bytes:
        self.arrived.set()
        if self.after is not None:
            assert self.after.wait(20)
            time.sleep(SETTLED)
        self.replied.set()
        return self.reply


def in_turn(*routes: Route) -> Route:
    """One after the other; the last one for ever."""
    left, lock = list(routes), threading.Lock()

    def route() -> bytes:
        with lock:
            chosen = left.pop(0) if len(left) > 1 else left[0]
        return chosen()

    return route


@pytest.mark.parametrize("when", ["while it is fetched", "after that"])
async def test_two_waits(when: str) -> None:
    """Both get the result: a monitor's answer that comes while it is fetched, or after that, is not taken for it."""
    late, result = Gated(SUCCEEDED), Gated(RESOURCE)
    if when == "after that":
        late.after = result.replied
    else:
        late.after, result.after = result.arrived, late.replied
    routes: dict[str, Route] = {
        "PUT /thing": lambda: answer("201 Created", f"{JSON}\nOperation-Location: /monitor", '{"name": "new"}'),
        "GET /monitor": in_turn(Gated(SUCCEEDED, after=late.arrived), late),
        "GET /thing": result,
    }
    with serving(routes) as server:
        async with AsyncLroClient(server.url, **QUICK) as client:
            operation = await client.start("PUT", "thing", json={})
            assert await asyncio.gather(operation.wait(), operation.wait()) == [{"name": "the resource"}] * 2


async def test_a_look_that_fails_after_the_end() -> None:
    """Whoever's look fails, or takes too long, when the other has seen the end, has the end as well."""
    ended = Gated(answer("200 OK", JSON, '{"status": "Succeeded"}'))
    gone = Gated(answer("404 Not Found"), after=ended.replied)
    silent = Gated(b"", after=threading.Event())
    ended.after = silent.arrived
    routes: dict[str, Route] = {
        "POST /start": lambda: answer("202 Accepted", "Operation-Location: /monitor"),
        "GET /monitor": in_turn(ended, gone, silent),
    }
    with serving(routes) as server:
        async with AsyncLroClient(server.url, **QUICK) as client:
            operation = await client.start("POST", "start")
            looks = [asyncio.create_task(operation.wait()) for _ in range(2)]
            await asyncio.to_thread(gone.arrived.wait, 20)
            looks.append(asyncio.create_task(operation.wait(timeout=1)))
            assert await asyncio.gather(*looks) == [None, None, None]
        assert silent.after is not None
        silent.after.set()


class HeldClock(Clock):
    """Whoever sleeps sleeps until it is released."""

    def __init__(self) -> None:
        self.sleeping = asyncio.Event()
        self.released = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.sleeping.set()
        await self.released.wait()


async def test_nobody_asks_again_after_the_end() -> None:
    """One that sleeps until its next look finds the end that the other has seen, and asks no more."""
    running = answer("200 OK", f"{JSON}\nRetry-After: 1", '{"id": "1", "status": "Running"}')
    routes: dict[str, Route] = {
        "POST /start": lambda: answer("202 Accepted", "Operation-Location: /monitor"),
        "GET /monitor": in_turn(lambda: running, lambda: SUCCEEDED),
    }
    clock = HeldClock()
    with serving(routes) as server:
        async with AsyncLroClient(server.url, clock=clock, **QUICK) as client:
            operation = await client.start("POST", "start")
            waiting = asyncio.create_task(operation.wait())
            await clock.sleeping.wait()
            await operation.update_status()
            clock.released.set()
            await waiting
        assert sum(head.startswith("GET") for head in server.heads) == 2


async def test_cancel_beside_a_wait() -> None:
    """OData: a cancel with a monitor of its own, while a poll is on its way. What that poll is answered is none of the
    cancel's; as the cancel fails in the end, the operation ends well."""
    canceled = Gated(answer("202 Accepted", "Location: /cancellation"))
    late = Gated(answer("200 OK", f"{JSON}\nAsyncResult: 200", '{"value": 42}'), after=canceled.replied)
    routes: dict[str, Route] = {
        "POST /Act": lambda: answer("202 Accepted", "Location: /monitor"),
        "GET /monitor": in_turn(lambda: answer("202 Accepted", "Location: /monitor\nRetry-After: 0"), late),
        "DELETE /monitor": canceled,
        "GET /cancellation": lambda: answer("200 OK", f"{JSON}\nAsyncResult: 409", '{"error": {"code": "No"}}'),
    }
    with serving(routes) as server:
        async with AsyncODataClient(server.url, **QUICK) as client:
            operation = (await client.call_action("Act")).operation
            waiting = asyncio.create_task(operation.wait(interval=0.05))
            await asyncio.to_thread(late.arrived.wait, 20)
            assert await operation.try_cancel() is True
            assert await waiting == {"value": 42}
            assert operation.status is Status.SUCCEEDED


async def test_look_beside_a_cancel() -> None:
    """OData: a poll on its way when the cancel was accepted does not lead back to the monitor, which is gone."""
    running = answer("202 Accepted", "Location: /monitor\nRetry-After: 0")
    canceled = Gated(answer("202 Accepted", "Location: /cancellation"))
    late = Gated(running, after=canceled.replied)
    routes: dict[str, Route] = {
        "POST /Act": lambda: answer("202 Accepted", "Location: /monitor"),
        "GET /monitor": in_turn(lambda: running, late, lambda: answer("404 Not Found")),
        "DELETE /monitor": canceled,
        "GET /cancellation": lambda: answer("200 OK", "AsyncResult: 204"),
    }
    with serving(routes) as server:
        async with AsyncODataClient(server.url, **QUICK) as client:
            operation = (await client.call_action("Act")).operation
            waiting = asyncio.create_task(operation.wait(interval=0.05))
            await asyncio.to_thread(late.arrived.wait, 20)
            assert await operation.try_cancel() is True
            with pytest.raises(OperationCanceled):
                await waiting


async def test_cancel_that_comes_too_late() -> None:
    """The operation ends well while the cancel is on its way: it stays so, and `try_cancel` says no."""
    refused = Gated(answer("200 OK", JSON, '{"id": "1", "status": "Canceling"}'))
    ended = Gated(SUCCEEDED, after=refused.arrived)
    refused.after = ended.replied
    routes: dict[str, Route] = {
        "POST /start": lambda: answer("202 Accepted", "Operation-Location: /monitor"),
        "GET /monitor": ended,
        "POST /monitor:cancel": refused,
    }
    with serving(routes) as server:
        async with AsyncLroClient(server.url, **QUICK) as client:
            operation = await client.start("POST", "start")
            _, did = await asyncio.gather(operation.wait(), operation.try_cancel())
            assert (did, operation.status) == (False, Status.SUCCEEDED)


async def test_cancel_while_the_result_is_fetched() -> None:
    """The service refuses to cancel what has succeeded meanwhile: that is no error, and the result is there."""
    refused, result = Gated(answer("409 Conflict")), Gated(RESOURCE)
    refused.after, result.after = result.arrived, refused.replied
    routes: dict[str, Route] = {
        "PUT /thing": lambda: answer("201 Created", f"{JSON}\nOperation-Location: /monitor", '{"name": "new"}'),
        "GET /monitor": Gated(SUCCEEDED, after=refused.arrived),
        "GET /thing": result,
        "POST /monitor:cancel": refused,
    }
    with serving(routes) as server:
        async with AsyncLroClient(server.url, **QUICK) as client:
            operation = await client.start("PUT", "thing", json={})
            value, snapshot = await asyncio.gather(operation.wait(), operation.cancel())
            assert (value, snapshot.status) == ({"name": "the resource"}, Status.SUCCEEDED)
