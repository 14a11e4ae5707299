"""The connections of one exchange: another thread can shut them down, because no time-out bounds a server that never
ends."""

import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from lro_client.steps import Lost


class Connections:
    """What one exchange goes out by."""

    def __init__(self) -> None:
        self.is_shut = False
        self._connections: list[Any] = []

    @contextmanager
    def sending(self, connection: Any) -> Generator[None]:
        """Send on a connection (of urllib3); neither before nor after it once all are shut.

        Raises:
            Lost: as `check`.
        """
        self._connections.append(connection)
        self.check()
        yield
        self.check()

    def check(self) -> None:
        """Raises `Lost` once the connections are shut."""
        if self.is_shut:
            raise Lost("given up", was_sent=True)

    def shut_down(self) -> None:
        self.is_shut = True
        for connection in self._connections:
            if connection.sock is not None:
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)


connections: ContextVar[Connections] = ContextVar("connections")
"""Those of the exchange in this thread."""
