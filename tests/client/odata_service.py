"""A small OData service that answers asynchronously (OData 4.01 Protocol, 11.6 and 11.7). For the client's tests.

Actions are named for what they do: `Sync` answers at once, `Report` takes two looks, `Wrong` ends with 409, `Busy` does
not end, `Fixed` cannot be canceled, `Slow` takes one more look to be canceled. Each look names another `Location`.
"""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

REPORT = {"@odata.context": "$metadata#Edm.ComplexType", "reportUrl": "/reports/1"}
CONFLICT = {
    "error": {"code": "Locked", "message": "Somebody else has it.", "details": [{"code": "Owner", "message": "b"}]}
}


@dataclass
class Job:
    """An asynchronous request."""

    looks: int
    status: int
    body: bytes
    content_type: str = "application/json"
    max_version: str | None = None
    can_cancel: bool = True
    cancels_slowly: bool = False
    is_canceling: bool = False


@dataclass
class Service:
    """The service's memory, and the requests it has seen."""

    jobs: dict[str, Job] = field(default_factory=dict[str, Job])
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(
        default_factory=list[tuple[str, str, dict[str, str], bytes]]
    )
    rest: dict[str, Any] = field(default_factory=dict[str, Any])

    def job(self, name: str, headers: dict[str, str]) -> Job:
        looks = {"Busy": 10**9, "Fixed": 10**9, "Slow": 10**9}.get(name, 2)
        status, body = (409, CONFLICT) if name == "Wrong" else (200, REPORT)
        if name == "Nothing":
            return Job(looks, 204, b"", max_version=headers.get("odata-maxversion"))
        return Job(
            looks,
            status,
            json.dumps(body).encode(),
            max_version=headers.get("odata-maxversion"),
            can_cancel=name != "Fixed",
            cancels_slowly=name == "Slow",
        )


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    service: Service

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing is logged."""

    def do_GET(self) -> None:
        self._remember()
        if self.path.startswith("/odata/$async/"):
            self._monitor(self.path.split("/")[3])
        elif self.path.startswith("/odata/rest/"):
            self._accepted(Job(1, 200, json.dumps(self.service.rest.pop(self.path)).encode()))
        elif self.path.startswith("/odata/Endless"):
            time.sleep(0.05)
            content = json.dumps(_endless(self.path.rpartition("/")[2])).encode()
            if self.path.endswith("Later"):
                self._accepted(Job(2, 200, content))
            else:
                self._send(200, {"Content-Type": "application/json"}, content)
        else:
            self._send(404, {}, b"")

    def do_DELETE(self) -> None:
        self._remember()
        key = self.path.split("/")[3]
        job = self.service.jobs.get(key)
        if job is None:
            self._send(404, {}, b"")
        elif not job.can_cancel:
            self._send(405, {"Allow": "GET"}, b"")
        elif job.cancels_slowly:
            job.is_canceling, job.looks = True, 1
            self._send(202, {"Location": f"/odata/$async/{key}/canceling"}, b"")
        else:
            del self.service.jobs[key]
            self._send(204, {}, b"")

    def do_POST(self) -> None:
        body = self._remember()
        name = self.path.removeprefix("/odata/").partition("?")[0]
        wants_async = "respond-async" in self.headers.get("Prefer", "")
        if name == "$batch":
            content_type, answer = self._batch(body)
            job = Job(2, 200, answer, content_type)
            self._accepted(job) if wants_async else self._send(200, {"Content-Type": content_type}, answer)
        elif name == "Refused":
            self._send(400, {"Content-Type": "application/json"}, json.dumps(CONFLICT).encode())
        elif name == "Lost":
            self._send(202, {}, b"")
        elif name == "Sync" or not wants_async:
            self._send(200, {"Content-Type": "application/json"}, json.dumps(REPORT).encode())
        else:
            self._accepted(self.service.job(name.rpartition(".")[2], self._fields()))

    def _accepted(self, job: Job) -> None:
        key = uuid4().hex
        self.service.jobs[key] = job
        headers = {"Location": f"/odata/$async/{key}", "Preference-Applied": "respond-async", "Retry-After": "0"}
        self._send(202, headers, b"")

    def _monitor(self, key: str) -> None:
        job = self.service.jobs.get(key)
        if job is None:
            self._send(404, {}, b"")
            return
        job.looks -= 1
        if job.looks > 0:
            self._send(202, {"Location": f"/odata/$async/{key}/{job.looks}", "Retry-After": "0"}, b"")
        elif job.is_canceling:
            del self.service.jobs[key]
            self._send(404, {}, b"")
        elif job.max_version == "4.0":
            self._send(200, {"Content-Type": "application/http"}, self._enclosed(job))
        else:
            headers = {"AsyncResult": str(job.status)} | ({"Content-Type": job.content_type} if job.body else {})
            self._send(200, headers, job.body)

    @staticmethod
    def _enclosed(job: Job) -> bytes:
        head = f"HTTP/1.1 {job.status} Phrase\r\nContent-Type: {job.content_type}\r\nOData-Version: 4.0\r\n\r\n"
        return head.encode() + job.body

    def _batch(self, body: bytes) -> tuple[str, bytes]:
        if self.headers["Content-Type"].startswith("application/json"):
            return "application/json", json.dumps(self._json_batch(json.loads(body))).encode()
        return "multipart/mixed; boundary=b", _multipart_batch(body, self.headers["Content-Type"])

    def _json_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        responses: list[dict[str, Any]] = []
        for request in batch["requests"]:
            answer: dict[str, Any] = {"id": request["id"], "status": 201, "body": request.get("body")}
            if request["url"].startswith("Wrong"):
                answer = {"id": request["id"], "status": 409, "body": CONFLICT}
            elif request["url"].startswith("Later"):
                key = uuid4().hex
                self.service.jobs[key] = Job(2, 200, json.dumps(REPORT).encode())
                answer = {"id": request["id"], "status": 202, "headers": {"location": f"/odata/$async/{key}"}}
            responses.append(answer)
        if batch["requests"][0]["url"].startswith("Endless"):
            return _endless(batch["requests"][0]["url"])
        if batch["requests"][0]["url"].startswith("Interim"):
            return self._first_of(responses)
        return {"responses": responses}

    def _first_of(self, responses: list[dict[str, Any]]) -> dict[str, Any]:
        """Two results, and where the others are."""
        if len(responses) <= 2:
            return {"responses": responses}
        link = f"/odata/rest/{uuid4().hex}"
        self.service.rest[link] = self._first_of(responses[2:])
        return {"responses": responses[:2], "@nextLink": link}

    def _remember(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.service.seen.append((self.command, self.path, self._fields(), body))
        return body

    def _fields(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in (headers | {"OData-Version": "4.01"}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)


def _endless(name: str) -> dict[str, Any]:
    """A part that leads to the next one: answered at once, or accepted first (`EndlessLater`)."""
    return {"responses": [{"id": "1", "status": 204}], "@nextLink": f"/odata/{name}"}


def _multipart_batch(body: bytes, content_type: str) -> bytes:
    """An answer of one part for each request, change sets as parts in parts: read by the standard library."""
    from email import message_from_bytes

    parsed = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    parts: list[bytes] = []
    for part in parsed.get_payload():
        if part.is_multipart():
            inner = [_part(member, member["Content-ID"]) for member in part.get_payload()]
            changes = b"".join(b"--c\r\n" + member for member in inner) + b"--c--\r\n"
            parts.append(b"Content-Type: multipart/mixed; boundary=c\r\n\r\n" + changes)
        else:
            parts.append(_part(part, None))
    return b"preamble\r\n" + b"".join(b"--b\r\n" + part for part in parts) + b"--b--\r\n"


def _part(part: Any, id: str | None) -> bytes:
    line, _, rest = part.get_payload().partition("\r\n")
    status = 409 if " Wrong" in line else 201
    content = json.dumps(CONFLICT) if status == 409 else rest.partition("\r\n\r\n")[2]
    head = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
    head += f"Content-ID: {id}\r\n" if id else ""
    return f"{head}\r\nHTTP/1.1 {status} Phrase\r\nContent-Type: application/json\r\n\r\n{content}\r\n".encode()


class Running:
    """The service on a port of the system's choice."""

    def __init__(self) -> None:
        self.service = Service()
        handler: Callable[..., Handler] = type("Bound", (Handler,), {"service": self.service})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/odata"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
