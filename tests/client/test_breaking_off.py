"""What is given up ends, in the thread that reads it too; and what belongs to one event loop."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from azure.core.exceptions import ServiceResponseError

from lro_client import AsyncLroClient, CancellationToken, LroClient, ServiceUnreachable, StoppedWaiting, WaitCanceled
from lro_client.connections import connections
from tests.client.hostile import JSON, QUICK, RUNNING, SUCCEEDED, Hostile, answer, hostile, silence
from tests.client.scripted import HOME, Reply
from tests.client.transports import Head, ScriptedTransport

pytestmark = pytest.mark.timeout(60)
ENDLESS = {
    "100": b"HTTP/1.1 100 Continue\r\n\r\n",
    "103": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    "headers": b"X: y",
    "body": b" ",
    "silence": b"",
}
BEGIN = {
    "headers": b"HTTP/1.1 200 OK\r\nX: ",
    "body": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999999\r\n\r\n",
}


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "lro-client"]


def soon(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 15
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


@pytest.mark.parametrize("what", sorted(ENDLESS))
@pytest.mark.parametrize("by", ["timeout", "token"])
def test_no_thread_reads_on(what: str, by: str) -> None:
    """A server that sends for ever, or never, does not keep the thread once nobody waits any longer."""

    def poll(connection: socket.socket, _: str) -> None:
        connection.sendall(BEGIN.get(what, b""))
        while not done.is_set():
            connection.sendall(ENDLESS[what])
            time.sleep(0.005)

    done = threading.Event()
    with hostile(poll=poll) as server, LroClient(server.url, **QUICK) as client:
        assert soon(lambda: not readers())
        operation = client.start("POST", "start")
        token = CancellationToken()
        if by == "token":
            threading.Timer(0.15, token.cancel).start()
        with pytest.raises(StoppedWaiting if by == "timeout" else WaitCanceled):
            operation.wait(timeout=0.25 if by == "timeout" else None, cancellation=token)
        ended = soon(lambda: not readers())
        done.set()
        assert ended


def test_connections_are_still_shared() -> None:
    """What was not given up keeps its connection for the next request."""
    count = 0

    def keep(connection: socket.socket, head: str) -> None:
        nonlocal count
        count += 1
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n1")
        while connection.recv(65536):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n2")

    with hostile(poll=keep) as server, LroClient(server.url, **QUICK) as client:
        assert [client.run("GET", "start") for _ in range(3)] == [1, 2, 2]
    assert count == 1


class Endless(Head):
    """A body without an end."""

    closed = threading.Event()

    def iter_bytes(self) -> Iterator[bytes]:
        while True:
            time.sleep(0.01)
            yield b" "

    def close(self) -> None:
        self.closed.set()


class EndlessTransport(ScriptedTransport):
    def send(self, request: Any, **options: Any) -> Any:
        head = super().send(request, **options)
        return Endless(Reply(200), request) if request.method == "GET" else head


def test_no_thread_reads_on_from_another_transport() -> None:
    """The caller's own transport is read no further either, and its answer is closed."""
    transport = EndlessTransport(lambda sent: Reply(202, headers={"Operation-Location": "/monitor"}))
    with LroClient(HOME, transport=transport, **QUICK) as client:
        operation = client.start("POST", "start")
        with pytest.raises(StoppedWaiting):
            operation.wait(timeout=0.2)
        assert soon(Endless.closed.is_set)
        assert soon(lambda: not readers())


class Connection:
    """Breaks off as slowly as its reader needs to see it."""

    def __init__(self) -> None:
        self.sock = self
        self.broken = threading.Event()

    def shutdown(self, how: int) -> None:
        self.broken.set()
        assert soon(lambda: not readers())


class SilentTransport(ScriptedTransport):
    def send(self, request: Any, **options: Any) -> Any:
        connection = Connection()
        with connections.get().sending(connection):
            connection.broken.wait(10)
            raise ServiceResponseError("the connection was closed")


@pytest.mark.parametrize("by", ["timeout", "token"])
def test_breaking_off_is_no_answer(by: str) -> None:
    """What the reader runs into because it was broken off is not taken for a failure of the service."""
    token = CancellationToken()
    with LroClient(HOME, transport=SilentTransport(lambda sent: Reply(200)), **QUICK) as client:
        if by == "token":
            threading.Timer(0.2, token.cancel).start()
            with pytest.raises(WaitCanceled):
                client.start("POST", "start", cancellation=token)
        else:
            with pytest.raises(ServiceUnreachable, match="no whole answer within"):
                client.start("POST", "start", timeout=0.2)


def test_one_client_and_two_event_loops() -> None:
    """An asynchronous client stays with the loop of its first request, and says so."""
    with hostile(poll=SUCCEEDED) as server:
        client = AsyncLroClient(server.url, **QUICK)

        async def first() -> Any:
            return await client.run("POST", "start")

        async def second() -> None:
            with pytest.raises(RuntimeError, match="event loop of its first request"):
                await client.run("POST", "start")
            await client.close()

        with asyncio.Runner() as one, asyncio.Runner() as other:
            assert one.run(first()) == 7
            other.run(second())


async def test_a_canceled_task_tells_what_became_of_the_cancel() -> None:
    """With `cancel_operation`: where the service refuses, the `CancelledError` has a note; a second cancel of the
    task does not wait for the service."""
    refusing = answer("409 Conflict", JSON, '{"error": {"code": "TooLate"}}')
    for hangs in (False, True):

        def conduct(connection: socket.socket, head: str, hangs: bool = hangs) -> None:
            if ":cancel" in head.partition("\r\n")[0]:
                if hangs:
                    silence(connection, head)
                connection.sendall(refusing)
            elif head.startswith("POST"):
                connection.sendall(answer("202 Accepted", "Operation-Location: /monitor"))
            else:
                connection.sendall(RUNNING)

        with closing(Hostile(conduct)) as server:
            async with AsyncLroClient(server.url, **QUICK) as client:
                task = asyncio.create_task(client.run("POST", "start", cancel_operation=True))
                await asyncio.sleep(0.3)
                task.cancel()
                if hangs:
                    await asyncio.sleep(0.3)
                    assert not task.done()
                    task.cancel()
                began = time.monotonic()
                with pytest.raises(asyncio.CancelledError) as caught:
                    await task
                assert time.monotonic() - began < 8, "a cancel has ten seconds"
                assert hangs or "TooLate" in caught.value.__notes__[0]
