"""The proxy of the chaos runs does to requests what its faults are called."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests.support import faulty_proxy
from tests.support.faulty_proxy import Fault, FaultPlan, behind_faults

ETAG = "W/\"datetime'2026-01-02T03%3A04%3A05.678Z'\""


@dataclass
class Store:
    """`written`: the bodies that reached it."""

    connection: str
    written: list[bytes] = field(default_factory=list[bytes])


@pytest.fixture
def store() -> Iterator[Store]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            state.written.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            for name, value in (("ETag", ETAG), ("Content-Length", "10"), ("Connection", "close")):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"0123456789")

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port = server.server_address[1]
    state = Store(f"BlobEndpoint=http://127.0.0.1:{port}/a;QueueEndpoint=http://127.0.0.1:1/a;TableEndpoint=x")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


class OneFault(FaultPlan):
    """The first request meets it, those that follow meet nothing."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(seed=1, every=1)
        self._coming = [fault]

    def of_request(self, method: str) -> Fault | None:
        self.is_on = self.requests == 0
        return super().of_request(method)


ANSWERS: dict[Fault, tuple[object, int]] = {
    Fault.RESET_BEFORE: (httpx.TransportError, 0),
    Fault.RESET_AFTER: (httpx.TransportError, 1),
    Fault.CUT_BODY: (httpx.RemoteProtocolError, 1),
    Fault.TOO_SLOW: (httpx.ReadTimeout, 1),
    Fault.ERROR_BEFORE: (500, 0),
    Fault.ERROR_AFTER: (500, 1),
    Fault.BUSY: (503, 0),
    Fault.BUSY_UNTIL: (503, 0),
    Fault.THROTTLED: (429, 0),
    Fault.SLOW: (200, 1),
    Fault.WRONG_ETAG: (200, 1),
    Fault.REFUSED: (200, 1),
}
"""What the client sees, and how often the store was written to by then."""


@pytest.mark.parametrize("fault", Fault)
def test_a_fault_does_what_it_is_called(fault: Fault, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client sees it, the write was done or not, it is counted once, and the next request is answered well."""
    monkeypatch.setattr(faulty_proxy, "TOO_SLOW", 0.6)
    monkeypatch.setattr(faulty_proxy, "SLOW", 0.2)
    seen, written = ANSWERS[fault]
    plan = OneFault(fault)
    with behind_faults(store.connection, plan) as connection, httpx.Client(timeout=0.4) as client:
        url = connection.partition("=")[2].partition(";")[0]
        send: Callable[[], httpx.Response] = lambda: client.put(url, content=b"x")  # noqa: E731
        if isinstance(seen, int):
            answer = send()
            assert answer.status_code == seen
            assert (answer.headers.get("etag") == ETAG) == (seen == 200 and fault is not Fault.WRONG_ETAG)
            assert ("retry-after" in answer.headers) == (fault in (Fault.BUSY_UNTIL, Fault.THROTTLED))
        else:
            with pytest.raises(seen):  # type: ignore[call-overload]
                send()
        assert len(store.written) == written
        if fault is Fault.REFUSED:
            with pytest.raises(httpx.ConnectError):
                _until_refused(send)
        with httpx.Client(transport=httpx.HTTPTransport(retries=9)) as good:
            assert good.put(url, content=b"x").headers["etag"] == ETAG
    assert plan.injected == {fault: 1}


def _until_refused(send: Callable[[], object]) -> None:
    """The port is closed a moment after the answer."""
    for _ in range(20):
        send()


def test_every_kind_comes_at_the_rate_that_is_asked_for() -> None:
    """Among 240 writes of which each 20th meets a fault, each kind is met once; a seed gives one order."""

    def order(seed: int) -> list[Fault]:
        plan = FaultPlan(seed=seed, every=20)
        answer = faulty_proxy.Message(f"HTTP/1.1 200 OK\r\nETag: {ETAG}\r\n\r\n".encode(), b"body")
        met = [plan.of_request("PUT") or plan.of_answer(answer) for _ in range(240)]
        assert plan.injected == dict.fromkeys(Fault, 1)
        return [each for each in met if each]

    assert order(1) == order(1) != order(2)


def test_reads_meet_no_fault_of_a_write() -> None:
    """What is about a write waits for one; a wrong ETag waits for an answer that has one."""
    plan = FaultPlan(seed=1, every=1)
    met = {plan.of_request("GET") for _ in range(50)}
    assert not met & {Fault.RESET_AFTER, Fault.ERROR_AFTER, Fault.RESET_BEFORE, Fault.ERROR_BEFORE}
    assert plan.of_answer(faulty_proxy.Message(b"HTTP/1.1 204 No Content\r\n\r\n", b"")) is None
    assert {plan.of_request("PUT") for _ in range(4)} >= {Fault.RESET_AFTER, Fault.ERROR_AFTER}
