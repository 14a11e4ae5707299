"""Batches of client libraries of npm, unchanged: what they send is read, and they read what is answered.

The service behind is a few books in memory; all that is read and written goes through the app's own contract.
`make javascript` installs the libraries.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest

from local_host.azurite import find_node
from shared.contracts.errors import error_response
from shared.contracts.http import Request, Response, json_response
from shared.contracts.odata.batch.bodies import answer_format, read_batch, write_batch
from shared.contracts.odata.batch.parts import (
    Batch,
    BatchRequest,
    BatchResponse,
    Unit,
    as_request,
    continues_on_error,
    failed_dependency,
    failed_group,
    failures,
    succeeded,
    unmet_dependency,
)
from shared.contracts.odata.batch.references import Referred, referred, resolve
from shared.contracts.preferences import preferences
from shared.errors import RequestError
from tests.support.host import ROOT

SCRIPT = Path(__file__).parent / "javascript" / "batch.mjs"
MODULES = ROOT / ".build" / "js" / "node_modules"
CHANGE_SETS = {
    "odata-batch-request": [3],
    "odata": [3],
    "@odata/client": [1, 1, 1],
    "@odata/client json": [],
    "@microsoft/microsoft-graph-client": [],
}


class Service:
    """Books in memory, behind `$batch` alone."""

    def __init__(self) -> None:
        self.books: dict[str, dict[str, Any]] = {"old": {"id": "old", "title": "Old"}}
        self.batches: list[Batch] = []
        self.bodies: list[bytes] = []
        self.root = ""

    def batch(self, request: Request) -> Response:
        try:
            batch = read_batch(request, root=self.root)
            written_as = answer_format(request, is_json=batch.is_json)
        except RequestError as error:
            return error_response(error)
        self.batches.append(batch)
        self.bodies.append(request.body)
        answers: list[BatchResponse] = []
        known: dict[str, Referred] = {}
        for unit in batch.units:
            answers += self._unit(unit, answers, known, request)
            if failures(answers) and not continues_on_error(batch, preferences(request)):
                break
        return write_batch(answers, written_as)

    def _unit(
        self, unit: Unit, answers: list[BatchResponse], known: dict[str, Referred], batch: Request
    ) -> list[BatchResponse]:
        if unmet := unmet_dependency(unit, failures(answers)):
            return [failed_dependency(request, f"{unmet!r} failed.") for request in unit]
        before = {key: dict(book) for key, book in self.books.items()}
        done: list[BatchResponse] = []
        for request in unit:
            url = resolve(request.url, known, self.root)
            response = self._one(as_request(request, url, batch))
            response = replace(response, headers={"OData-Version": "4.01", **response.headers})
            if not succeeded(response.status) and request.group is not None:
                self.books = before
                return failed_group(unit, request.id, response)
            known[request.id] = referred(url, response)
            done.append(BatchResponse(id=request.id, response=response, group=request.group))
        return done

    def _one(self, request: Request) -> Response:
        name, _, called = request.path.rpartition("Books")[2].partition("/")
        key = name.strip("(')")
        if called == "Library.Retitle":
            self.books[key] |= json.loads(request.body)
            return Response(status=204)
        if request.method == "POST":
            book = json.loads(request.body)
            self.books[book["id"]] = book
            return json_response(201, book, {"Location": f"{self.root}/Books('{book['id']}')"})
        if key not in self.books:
            return error_response(RequestError(404, "NotFound", f"There is no {key!r}."))
        if request.method == "PATCH":
            if request.headers.get("if-match", "*") != "*":
                return error_response(RequestError(412, "Changed", "It has changed."))
            self.books[key] |= json.loads(request.body)
            return Response(status=204)
        return json_response(200, self.books[key])


@pytest.fixture
def service() -> Iterator[Service]:
    """The service on a port of its own."""
    served = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout: ClassVar[int] = 20

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            url = f"http://{self.headers['Host']}{self.path}"
            answer = served.batch(Request(method="POST", url=url, headers=headers, body=body))
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type or "application/json")
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:
            """Tests print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.root = f"http://127.0.0.1:{server.server_port}/odata"
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield served
        server.shutdown()
        thread.join()


def drive(service: Service, client: str, *, wrong: bool = False) -> list[dict[str, Any]]:
    """What the client read: a status and a body for each answer."""
    if not (MODULES / client.partition(" ")[0] / "package.json").exists():
        if os.environ.get("CI"):
            pytest.fail(f"{client} is not installed; `make test` installs it")
        pytest.skip(f"{client} is not installed; `make javascript` installs it")
    order = {"client": client, "root": service.root, "modules": str(MODULES), "wrong": wrong}
    line = [find_node(), str(SCRIPT), json.dumps(order)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def changes(batch: Batch) -> list[list[BatchRequest]]:
    return [list(unit) for unit in batch.units if unit[0].group is not None]


@pytest.mark.parametrize("client", CHANGE_SETS)
def test_what_clients_send_and_read(service: Service, client: str) -> None:
    """Every request of the library's own batch is done as it was meant, and the library reads every answer."""
    found = drive(service, client)
    assert service.books == {
        "old": {"id": "old", "title": "Ünew"},
        "one": {"id": "one", "title": "Title of one"},
        "two": {"id": "two", "title": "Title of two"},
    }
    assert [answer["status"] for answer in found] == [201, 201, 204, 200, 404]
    assert [answer["body"] for answer in found[:2]] == [service.books["one"], service.books["two"]]
    assert not found[2]["body"]
    assert found[3]["body"] == service.books["old"]
    assert found[4]["body"]["error"]["code"] == "NotFound"
    assert [len(unit) for batch in service.batches for unit in changes(batch)] == CHANGE_SETS[client]


@pytest.mark.parametrize("client", CHANGE_SETS)
def test_a_change_that_fails(service: Service, client: str) -> None:
    """A failed change set changes nothing and is one answer; what depends on a failed request is 424."""
    found = drive(service, client, wrong=True)
    statuses = [answer["status"] for answer in found]
    assert service.books["old"]["title"] == "Old"
    if CHANGE_SETS[client] == [3]:
        assert statuses == [412, 200, 404]
        assert service.books.keys() == {"old"}
    elif client == "@microsoft/microsoft-graph-client":
        assert statuses == [201, 201, 412, 424, 424]
    else:
        assert statuses == [201, 201, 412, 200, 404]
    assert found[statuses.index(412)]["body"]["error"]["code"] == "Changed"


def test_a_reference(service: Service) -> None:
    """A URL that begins with another request's Content-ID goes to the entity which that one has made."""
    assert drive(service, "odata-batch-request reference") == [{"status": 201}, {"status": 204}]
    assert service.batches[0].requests[1].url == "$1/Library.Retitle"
    assert service.books["one"]["title"] == "Referred"
