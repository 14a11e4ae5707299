"""Services that misbehave, over real sockets: a clear error or survival, in time, and no credential given away."""

import gzip
import socket
import struct
import time
from typing import Any

import pytest

from lro_client import (
    AnswerTooLarge,
    Limits,
    LroError,
    MonitorGone,
    OperationFailed,
    ServiceUnreachable,
    StoppedWaiting,
    UnexpectedAnswer,
    UnsafeUrl,
)
from lro_client.pacing import SHORTEST
from tests.client.clocks import QuickClock
from tests.client.hostile import JSON, QUICK, RUNNING, SECRET, SUCCEEDED, answer, hostile, silence, started
from tests.client.twins import Twins

WITHIN = 0.25
"""Seconds of a wait that is to end by its time-out."""
PATIENCE = 15.0
"""Seconds that an error has to come within, which comes by itself."""

pytestmark = pytest.mark.timeout(60)


def stops_in_time(operation: Any, error: type[LroError], within: float | None = None) -> LroError:
    """The error a wait ends with, which comes when the time is up at the latest."""
    if within is None:
        within = WITHIN if error is StoppedWaiting else PATIENCE
    began = time.monotonic()
    with pytest.raises(error) as caught:
        operation.wait(timeout=within)
    assert time.monotonic() - began < within + PATIENCE
    return caught.value


@pytest.mark.parametrize(
    ("poll", "error"),
    [
        (answer("200 OK", "Content-Type: text/html", "<html>Gateway</html>"), UnexpectedAnswer),
        (answer("502 Bad Gateway", "Content-Type: text/html", "<html>Gateway</html>"), ServiceUnreachable),
        (answer("200 OK", JSON, '{"status": "Runn'), UnexpectedAnswer),
        (answer("200 OK", JSON, "[" * 200_000), UnexpectedAnswer),
        (answer("200 OK", JSON, b'{"status": "\xff\xfe"}'), UnexpectedAnswer),
        (answer("200 OK", JSON, '{"status": {"value": "Succeeded"}}'), UnexpectedAnswer),
        (answer("200 OK", JSON, '{"status": "Failed", "error": {"details": [[], 3, null]}}'), OperationFailed),
        (answer("200 OK", JSON, '{"status": "Failed", "error": {"code": {}, "message": []}}'), OperationFailed),
        (answer("200 OK", JSON, '{"status": "Succeeding"}'), StoppedWaiting),
        (answer("200 OK", JSON, '{"status": "Completed"}'), StoppedWaiting),
        (answer("301 Moved", "Location: /monitor"), UnexpectedAnswer),
        (answer("302 Found", "Location: http://127.0.0.1:1/"), UnexpectedAnswer),
        (answer("303 See Other", "Location: /monitor"), UnexpectedAnswer),
        (answer("404 Not Found"), MonitorGone),
        (answer("410 Gone"), MonitorGone),
        (answer("418 Teapot"), UnexpectedAnswer),
        (answer("200 OK", f"{JSON}\nRetry-After: 99999999", '{"status": "Running"}'), StoppedWaiting),
        (answer("503 Busy", "Retry-After: soon"), ServiceUnreachable),
        (answer("200 OK", f"{JSON}\nContent-Encoding: gzip", b"this is not gzip"), ServiceUnreachable),
        (answer("200 OK", f"{JSON}\nOperation-Location: http://user@127.0.0.1/", '{"status": "Running"}'), UnsafeUrl),
        (answer("200 OK", f"{JSON}\nOperation-Location: gopher://x/", '{"status": "Running"}'), UnsafeUrl),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", ServiceUnreachable),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", ServiceUnreachable),
        (b"", ServiceUnreachable),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 300_000 + b"\r\n\r\n", LroError),
        (b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 20_000 + b"\r\n", LroError),
    ],
    ids=lambda part: part[9:60].decode("latin-1").split("\r")[0] if isinstance(part, bytes) else part.__name__,
)
def test_polls_that_are_wrong(twins: Twins, poll: bytes, error: type[LroError]) -> None:
    """Each has its error, which says where the operation can be watched; none takes longer than the time-out."""
    with hostile(poll=poll) as server:
        operation = started(twins, server)
        assert stops_in_time(operation, error).monitor_url == f"{server.url}/monitor"


def test_endless_operation(twins: Twins) -> None:
    """It is polled as long as the caller wants, and not like mad, whatever the server says."""
    clock = QuickClock()
    with hostile(poll=answer("200 OK", f"{JSON}\nRetry-After: 0", '{"status": "Running"}')) as server:
        stops_in_time(started(twins, server, clock=clock), StoppedWaiting, 0.3)
        assert len(server.heads) >= 3
        # All but the first look have a pause before them; the last pause is what the time-out has left.
        assert len(clock.slept) >= len(server.heads) - 2
        assert all(0 < pause <= SHORTEST for pause in clock.slept)


def test_redirect_loop(twins: Twins) -> None:
    """Not followed once."""
    with hostile(poll=answer("302 Found", "Location: /monitor")) as server:
        stops_in_time(started(twins, server), UnexpectedAnswer)
        assert len(server.heads) == 2


def test_monitors_that_lead_on_for_ever(twins: Twins) -> None:
    """A monitor that names the next one each time is an endless operation."""
    count = iter(range(10**6))

    def poll(connection: socket.socket, head: str) -> None:
        connection.sendall(answer("200 OK", f"{JSON}\nOperation-Location: /monitor/{next(count)}", '{"status": "x"}'))

    with hostile(poll=poll) as server:
        stops_in_time(started(twins, server), StoppedWaiting)


def test_relative_monitor(twins: Twins) -> None:
    """A relative URL is resolved against the start's."""
    with hostile(poll=SUCCEEDED, start=answer("202 Accepted", "Operation-Location: ../monitor?x=1")) as server:
        operation = started(twins, server)
        assert (operation.wait(timeout=5), operation.monitor_url) == (7, f"{server.url}/monitor?x=1")


def test_monitor_at_another_origin(twins: Twins) -> None:
    """It is polled, without the credential."""
    with hostile(poll=SUCCEEDED) as other:
        start = answer("202 Accepted", f"Operation-Location: {other.url}/monitor")
        with hostile(poll=RUNNING, start=start) as server:
            assert started(twins, server).wait(timeout=5) == 7
            assert SECRET in server.heads[0]
            assert SECRET not in "".join(other.heads)


def test_cookies_are_not_kept(twins: Twins) -> None:
    """A cookie is a credential that nobody has given."""
    with hostile(poll=answer("200 OK", f"{JSON}\nSet-Cookie: a=b; Path=/", '{"status": "Running"}')) as server:
        stops_in_time(started(twins, server), StoppedWaiting)
        assert "ookie" not in "".join(server.heads)


@pytest.mark.parametrize("part", ["status line", "headers", "body"])
def test_slow_drip(twins: Twins, part: str) -> None:
    """A server that sends a byte now and then does not keep the caller beyond the time-out."""
    head = {
        "status line": b"HTTP/1.1 200 ",
        "headers": b"HTTP/1.1 200 OK\r\nX-Drip: ",
        "body": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n",
    }[part]

    def drip(connection: socket.socket, _: str) -> None:
        connection.sendall(head)
        for _ in range(2000):
            connection.sendall(b"x")
            time.sleep(0.05)

    with hostile(poll=drip) as server:
        stops_in_time(started(twins, server), StoppedWaiting)


def test_silence(twins: Twins) -> None:
    """A server that takes the request and says nothing: the request's own limit counts as a failed try."""
    with hostile(poll=silence) as server:
        operation = started(twins, server, limits=Limits(request_seconds=0.2))
        began = time.monotonic()
        with pytest.raises(ServiceUnreachable, match=r"no whole answer within 0\.2 s|Timeout"):
            operation.wait()
        assert time.monotonic() - began < PATIENCE


def test_huge_body(twins: Twins) -> None:
    """What is larger than the limit is not read to its end."""
    sent = 0

    def flood(connection: socket.socket, _: str) -> None:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while sent < 500_000_000:
            sent += connection.send(b" " * 65536)

    with hostile(poll=flood) as server:
        operation = started(twins, server, limits=Limits(body_bytes=1_000_000))
        stops_in_time(operation, AnswerTooLarge)
    assert sent < 100_000_000


def test_compressed_bomb(twins: Twins) -> None:
    """The limit is for what comes out of the compression."""
    bomb = gzip.compress(b" " * 30_000_000)
    with hostile(poll=answer("200 OK", f"{JSON}\nContent-Encoding: gzip", bomb)) as server:
        operation = started(twins, server, limits=Limits(body_bytes=1_000_000))
        stops_in_time(operation, AnswerTooLarge)


def test_too_many_headers(twins: Twins) -> None:
    """Headers have a limit too."""
    poll = answer("200 OK", "\n".join([JSON, *(f"X-{n}: {'y' * 1000}" for n in range(50))]), '{"status": "x"}')
    with hostile(poll=poll) as server:
        operation = started(twins, server, limits=Limits(header_bytes=10_000))
        stops_in_time(operation, AnswerTooLarge)


def test_dropped_connections(twins: Twins) -> None:
    """Closed, reset, cut off in the middle: the next poll goes on."""
    turns = iter(range(10**6))

    def poll(connection: socket.socket, _: str) -> None:
        turn = next(turns)
        if turn == 0:
            return
        if turn == 1:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        elif turn == 3:
            connection.sendall(SUCCEEDED[: len(SUCCEEDED) // 2])
        else:
            connection.sendall(RUNNING if turn < 5 else SUCCEEDED)

    with hostile(poll=poll) as server:
        assert started(twins, server).wait(timeout=10) == 7


def test_500s_in_the_middle(twins: Twins) -> None:
    """An HTML error page now and then is survived."""
    turns = iter(range(10**6))
    page = answer("500 Oops", "Content-Type: text/html", "<html>Error</html>")

    def poll(connection: socket.socket, _: str) -> None:
        turn = next(turns)
        connection.sendall([page, page, RUNNING, answer("503 Busy"), answer("429 Slow"), SUCCEEDED][turn])

    with hostile(poll=poll) as server:
        assert started(twins, server).wait(timeout=10) == 7


def test_nobody_there(twins: Twins) -> None:
    """A service that is not there, and one that stops while it is polled."""
    with hostile(poll=RUNNING) as server:
        operation = started(twins, server)
    stops_in_time(operation, ServiceUnreachable)
    began = time.monotonic()
    with pytest.raises(ServiceUnreachable):
        twins.client("LroClient", server.url, **QUICK).start("POST", "start")
    assert time.monotonic() - began < PATIENCE


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 202 Accepted\r\n", answer("500 Oops"), answer("200 OK", JSON, "{")])
def test_starts_that_are_wrong(twins: Twins, start: bytes) -> None:
    """No answer, half an answer, an error page, bad JSON: an error, and the POST is sent once."""
    with hostile(poll=RUNNING, start=start or b" ") as server:
        client = twins.client("LroClient", server.url, **QUICK)
        with pytest.raises(LroError):
            client.run("POST", "start", timeout=5)
        assert len(server.heads) == 1
