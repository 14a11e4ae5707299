"""A server that does whatever a test writes, byte by byte, on a socket of its own."""

import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from azure.core.credentials import AzureKeyCredential

from lro_client import Pace, Retries
from tests.client.twins import Twins

Conduct = Callable[[socket.socket, str], None]
Opening = Callable[[socket.socket], socket.socket]


class Hostile:
    """Serves each connection one request, in a thread; `conduct` gets the socket and the request's head. `opening` is
    what happens to the socket before."""

    def __init__(self, conduct: Conduct, opening: Opening = lambda connection: connection) -> None:
        self._conduct = conduct
        self._opening = opening
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._closed = threading.Event()
        self.heads: list[str] = []
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._start(self._accept)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            head = b""
            try:
                connection = self._opening(connection)
                while b"\r\n\r\n" not in head:
                    part = connection.recv(65536)
                    if not part:
                        return
                    head += part
                self.heads.append(head.decode("latin-1"))
                self._conduct(connection, self.heads[-1])
            except OSError:
                return
            finally:
                self._open.discard(connection)

    def close(self) -> None:
        self._closed.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join(5)


def answer(status: str, headers: str = "", body: bytes | str = b"") -> bytes:
    """An answer that closes its connection."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", "Connection: close", *headers.splitlines()]
    return "\r\n".join([*lines, "", ""]).encode() + content


@contextmanager
def hostile(*, poll: bytes | Conduct, start: bytes | None = None) -> Generator[Hostile]:
    """Accepts every start, and answers polls with `poll`: bytes, or a conduct of its own."""

    def conduct(connection: socket.socket, head: str) -> None:
        if head.startswith("POST"):
            monitor = f"http://127.0.0.1:{server.port}/monitor"
            connection.sendall(start or answer("202 Accepted", f"Operation-Location: {monitor}"))
        elif callable(poll):
            poll(connection, head)
        else:
            connection.sendall(poll)

    server = Hostile(conduct)
    try:
        yield server
    finally:
        server.close()


def silence(connection: socket.socket, head: str) -> None:
    """A conduct that says nothing until the client goes; a body may come after the head."""
    while connection.recv(65536):
        continue


SECRET = "the-secret"
QUICK: dict[str, Any] = {
    "pace": Pace(first=0.02, longest=0.02),
    "retries": Retries(attempts=3, starts=2, first=0.02, longest=0.02),
}
JSON = "Content-Type: application/json"
RUNNING = answer("200 OK", JSON, '{"id": "1", "status": "Running"}')
SUCCEEDED = answer("200 OK", JSON, '{"id": "1", "status": "Succeeded", "result": 7}')


def started(twins: Twins, server: Hostile, **options: Any) -> Any:
    client = twins.client("LroClient", server.url, AzureKeyCredential(SECRET), **(QUICK | options))
    return client.start("POST", "start")
