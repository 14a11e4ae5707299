"""Interim answers (RFC 9110, section 15.2) before the answer to a start or a poll, over real sockets."""

import socket
import time

import pytest

from lro_client import LroClient, UnexpectedAnswer
from tests.client.hostile import JSON, QUICK, SUCCEEDED, answer, hostile, started
from tests.client.lro_command import lro
from tests.client.twins import Twins

pytestmark = pytest.mark.timeout(60)

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nLink: </app.js>; rel=preload\r\n\r\n"
UNKNOWN = b"HTTP/1.1 199 Nobody knows\r\nX: y\r\n\r\n"
ACCEPTED = answer("202 Accepted", "Operation-Location: /monitor")


@pytest.mark.parametrize(
    "interim",
    [CONTINUE, PROCESSING, HINTS, UNKNOWN, CONTINUE + PROCESSING + HINTS + HINTS],
    ids=["100", "102", "103", "199", "several"],
)
def test_read_past(twins: Twins, interim: bytes) -> None:
    """They are no answer, whichever they are and however many: what counts comes after them."""
    with hostile(start=interim + ACCEPTED, poll=interim + SUCCEEDED) as server:
        operation = started(twins, server)
        assert operation.wait(timeout=10) == 7
        assert operation.response.headers.get("link") is None
        assert len(server.heads) == 2


def test_in_pieces(twins: Twins) -> None:
    """They may come long before the answer, and in pieces."""

    def slowly(connection: socket.socket, _: str) -> None:
        for at in range(0, len(HINTS), 40):
            connection.sendall(HINTS[at : at + 40])
            time.sleep(0.01)
        connection.sendall(SUCCEEDED)

    with hostile(poll=slowly) as server:
        assert started(twins, server).wait(timeout=10) == 7


def test_the_connection_is_kept() -> None:
    """A connection serves the next request, too, after an interim answer."""
    connections = 0

    def keep(connection: socket.socket, _: str) -> None:
        nonlocal connections
        connections += 1
        whole = HINTS + b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n7"
        connection.sendall(whole)
        while connection.recv(65536):
            connection.sendall(whole)

    with hostile(poll=keep) as server, LroClient(server.url, **QUICK) as client:
        assert [client.run("GET", "start") for _ in range(3)] == [7, 7, 7]
    assert connections == 1


def test_101_is_no_interim_answer(twins: Twins) -> None:
    """What follows 101 is another protocol: nobody asked for it, and nobody waits for more."""
    switched = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"
    with hostile(poll=switched) as server, pytest.raises(UnexpectedAnswer, match="101"):
        started(twins, server).wait(timeout=5)


def test_the_command() -> None:
    """A start that was accepted behind them is followed to its result."""
    with hostile(
        start=HINTS + ACCEPTED, poll=PROCESSING + answer("200 OK", JSON, '{"status": "Succeeded", "result": 7}')
    ) as server:
        done = lro("start", "POST", f"{server.url}/start", "--wait")
    assert (done.code, done.out) == (0, "7\n"), done.err
