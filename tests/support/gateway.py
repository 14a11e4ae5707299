"""What stands before the app in Azure: without the key, a function that wants one answers 401 with an empty body."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

ANONYMOUS = ("/health", "/docs", "/operations")


@dataclass
class Gateway:
    """`seen` holds method, target and key of every request, None without a key."""

    url: str
    seen: list[tuple[str, str, str | None]] = field(default_factory=list[tuple[str, str, str | None]])


@contextmanager
def gateway(app: str, key: str) -> Iterator[Gateway]:
    """Pass requests on to `app` where they have the key, or need none."""
    client = httpx.Client(base_url=app, timeout=30)

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            given = self.headers.get("x-functions-key")
            state.seen.append((self.command, self.path, given))
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            path = self.path.partition("?")[0]
            if given != key and not path.startswith(ANONYMOUS):
                self._answer(401, {}, b"")
                return
            # The host's name stays the one that was asked for: the app's links lead back here.
            answer = client.request(self.command, self.path, content=body, headers=dict(self.headers))
            headers = {n: v for n, v in answer.headers.items() if n.lower() not in _HOP_BY_HOP}
            self._answer(answer.status_code, headers, answer.content)

        do_GET = do_POST = do_PUT = do_DELETE = handle_any

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """The test says what it saw."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Gateway(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        client.close()


_HOP_BY_HOP = ("connection", "transfer-encoding", "content-encoding", "content-length", "date", "server")
