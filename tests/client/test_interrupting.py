"""Waits that are interrupted, and many at once, over real sockets."""

import asyncio
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lro_client import AsyncLroClient, CancellationToken, LroClient, WaitCanceled
from tests.client.hostile import JSON, QUICK, RUNNING, SUCCEEDED, Hostile, answer, hostile, silence, started
from tests.client.twins import Twins

pytestmark = pytest.mark.timeout(60)
PATIENCE = 15.0
"""Seconds that what happens at once has at the most; what is not stopped takes longer, or for ever."""


def test_token_stops_a_request_on_its_way(twins: Twins) -> None:
    """The cancellation token is not kept waiting by a silent server, nor by a long Retry-After."""
    for poll in (
        silence,
        answer("200 OK", f"{JSON}\nRetry-After: 60", '{"status":"x"}'),
    ):
        with hostile(poll=poll) as server:
            token = CancellationToken()
            operation = started(twins, server)
            threading.Timer(0.3, token.cancel).start()
            began = time.monotonic()
            with pytest.raises(WaitCanceled):
                operation.wait(cancellation=token)
            assert time.monotonic() - began < PATIENCE


async def test_task_cancellation() -> None:
    """Canceling the task stops at once, whatever the server does; nothing is left open."""
    with hostile(poll=silence) as server:
        async with AsyncLroClient(server.url, **QUICK) as client:
            operation = await client.start("POST", "start")
            task = asyncio.create_task(operation.wait())
            await asyncio.sleep(0.3)
            began = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert time.monotonic() - began < PATIENCE
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await operation.wait()


async def test_task_cancellation_may_cancel_the_operation() -> None:
    """With `cancel_operation` the service is asked to stop before the task ends."""
    cancel_came = threading.Event()

    def conduct(connection: socket.socket, head: str) -> None:
        if ":cancel" in head.partition("\r\n")[0]:
            cancel_came.set()
            connection.sendall(answer("200 OK", JSON, '{"id": "1", "status": "Canceling"}'))
        elif head.startswith("POST"):
            connection.sendall(answer("202 Accepted", "Operation-Location: /monitor"))
        else:
            connection.sendall(RUNNING)

    server = Hostile(conduct)
    try:
        async with AsyncLroClient(server.url, **QUICK) as client:
            operation = await client.start("POST", "start")
            task = asyncio.create_task(operation.wait(cancel_operation=True))
            await asyncio.sleep(0.3)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert cancel_came.is_set()
        assert operation.status == "Canceling"
    finally:
        server.close()


async def test_many_at_once() -> None:
    """Operations of one client on one loop do not wait for each other."""

    together = threading.Barrier(20)

    def poll(connection: socket.socket, _: str) -> None:
        together.wait(20)
        connection.sendall(SUCCEEDED)

    with hostile(poll=poll) as server:
        async with AsyncLroClient(server.url, **QUICK) as client:
            assert await asyncio.gather(*(client.run("POST", "start") for _ in range(20))) == [7] * 20
            assert not together.broken


def test_threads_share_a_client() -> None:
    """Operations of one blocking client can be waited for in threads."""
    with hostile(poll=SUCCEEDED) as server, LroClient(server.url, **QUICK) as client, ThreadPoolExecutor(8) as pool:
        values = list(pool.map(lambda _: client.run("POST", "start", timeout=20), range(24)))
    assert values == [7] * 24
