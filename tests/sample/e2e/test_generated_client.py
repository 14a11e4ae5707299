"""A client generated from the description, by openapi-python-client: it starts actions and follows Operation-Location.

The generator is run here, on what the running app serves; nothing of the client is written by hand or kept.
"""

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.support.epubs import make_epub
from tests.support.host import LocalHost

GROUP = {"subscription_id": UUID(int=7), "resource_group_name": "reading-room"}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHost]:
    with LocalHost(tmp_path_factory.mktemp("generated")) as running:
        yield running


class Generated:
    """The generated package, its modules imported when they are first asked for."""

    def __init__(self, package: str, url: str) -> None:
        self._package = package
        self.client = self.module("client").Client(base_url=url, raise_on_unexpected_status=True)

    def module(self, name: str) -> ModuleType:
        return importlib.import_module(f"{self._package}.{name}")

    def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        """The whole answer of an operation: status, headers, parsed body."""
        return self.module(f"api.{name}").sync_detailed(*arguments, client=self.client, **options)

    def model(self, name: str) -> Any:
        return getattr(self.module("models"), name)

    def follow(self, location: str, model: str, states: tuple[str, ...] = ("NotStarted", "Running")) -> Any:
        """Poll where a header points, by the client's own HTTP and into its own model, until it has ended."""
        deadline = time.monotonic() + 90
        while True:
            answer = self.client.get_httpx_client().get(location)
            assert answer.status_code == 200, answer.text
            monitor = self.model(model).from_dict(answer.json())
            if monitor.status not in states:
                return monitor
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture(scope="module", params=["3.1", "3.0"])
def generated(
    request: pytest.FixtureRequest, host: LocalHost, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Generated]:
    """A fresh client, from each version of the description."""
    folder = tmp_path_factory.mktemp("client")
    package = f"client_{request.param.replace('.', '_')}"
    # The generator calls ruff, which lies beside it.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    line = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning"]
    line += ["--url", f"{host.url}/openapi.json?version={request.param}", "--output-path", str(folder / package)]
    line += ["--config", str(config(folder))]
    done = subprocess.run(
        line, capture_output=True, text=True, timeout=100, check=False, cwd=folder, env={**os.environ, "PATH": path}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    made = Generated(package, host.url)
    try:
        yield made
    finally:
        made.client.get_httpx_client().close()
        sys.path.remove(str(folder))


def config(folder: Path) -> Path:
    """Says how to treat what the generator has no reader for: files of any type, and batches in parts."""
    file = folder / "config.yaml"
    types = ("*/*", "multipart/mixed")
    file.write_text("content_type_overrides:\n" + "".join(f'  "{t}": application/octet-stream\n' for t in types))
    return file


def test_an_action(generated: Generated) -> None:
    """An upload is started and finished, each followed at its Operation-Location, to the stored book."""
    book = f"g{uuid4().hex[:8]}"
    epub = make_epub(("one two three",), title="A Generated Reader")
    body = generated.model("UploadStartBody")(file_name="b.epub", size=len(epub))
    started = generated.call("data_plane.book_upload_start", book, body=body)
    assert started.status_code == 202
    assert started.parsed.kind == "book:upload-start"
    ended = generated.follow(started.headers["operation-location"], "BookUploadStartOperation")
    assert ended.status == "Succeeded"
    sent = httpx.put(ended.result.upload_url, content=epub, headers={"x-ms-blob-type": "BlockBlob"})
    assert sent.status_code == 201
    finish = generated.model("UploadFinishBody")(transaction_id=ended.result.transaction_id)
    finished = generated.call("data_plane.book_upload_finish", book, body=finish, prefer="wait=10")
    monitor = generated.follow(finished.headers["operation-location"], "BookUploadFinishOperation")
    assert (monitor.status, monitor.result.title) == ("Succeeded", "A Generated Reader")
    assert generated.call("data_plane.book_get", book).parsed.to_dict() == monitor.result.to_dict()
    listed = generated.call("operations.status_list", filter_="kind eq 'book:upload-finish'").parsed
    assert monitor.id in [item.id for item in listed.value]


def test_an_error(generated: Generated) -> None:
    """An error is parsed as one, from a start and from a monitor."""
    refused = generated.call("data_plane.book_get", "nobody")
    assert (refused.status_code, refused.parsed.error.code) == (404, "BookNotFound")
    body = generated.model("UploadFinishBody")(transaction_id="nobody-knows")
    started = generated.call("data_plane.book_upload_finish", f"g{uuid4().hex[:8]}", body=body)
    failed = generated.follow(started.headers["operation-location"], "BookUploadFinishOperation")
    assert (failed.status, failed.error.code) == ("Failed", "UploadNotFound")


def test_an_arm_resource(generated: Generated) -> None:
    """A shelf is made, followed at Azure-AsyncOperation, read and removed."""
    name = f"g{uuid4().hex[:8]}"
    version = "2026-01-01"
    request = generated.model("ShelfRequest").from_dict({"location": "westeurope", "properties": {"theme": "verse"}})
    where = [str(GROUP["subscription_id"]), GROUP["resource_group_name"], name]
    parameter = generated.model("ContosoLibraryShelvesWriteApiVersion")(version)
    created = generated.call("arm.contoso_library_shelves_write", *where, body=request, api_version=parameter)
    assert created.status_code == 201
    ended = generated.follow(created.headers["azure-asyncoperation"], "ArmOperationStatus")
    assert ended.status == "Succeeded"
    reading = generated.model("ContosoLibraryShelvesGetApiVersion")(version)
    shelf = generated.call("arm.contoso_library_shelves_get", *where, api_version=reading).parsed
    assert (shelf.name, shelf.properties.theme, shelf.properties.provisioning_state) == (name, "verse", "Succeeded")
    removing = generated.model("ContosoLibraryShelvesDeleteApiVersion")(version)
    removed = generated.call("arm.contoso_library_shelves_delete", *where, api_version=removing)
    assert removed.status_code == 202
    assert await_final(generated, removed.headers["location"]).status_code == 204


def await_final(generated: Generated, location: str) -> httpx.Response:
    """What a monitor answers that is 202 until the end."""
    deadline = time.monotonic() + 90
    while (polled := generated.client.get_httpx_client().get(location)).status_code == 202:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return polled


def test_an_odata_service(generated: Generated) -> None:
    """A book is made and changed under its ETag; a report is begun, followed at Location, and found in its set."""
    key = f"g{uuid4().hex[:8]}"
    new = generated.model("LibraryBookCreate")(id=key, title="A Generated Reader", words=500)
    made = generated.call("o_data.odata_books_create", body=new)
    assert (made.status_code, made.parsed.title) == (201, "A Generated Reader")
    change = generated.model("LibraryBookUpdate")(language="en")
    conditions = {"body": change, "if_match": made.headers["etag"], "prefer": "return=representation"}
    assert generated.call("o_data.odata_books_entity_update", key, **conditions).parsed.language == "en"
    assert generated.call("o_data.odata_books_entity_update", key, **conditions).status_code == 412
    assert generated.call("o_data.odata_books_summary", key).parsed.reading_minutes == 2
    parameters = generated.model("LibraryGenerateReportParameters")()
    begun = generated.call("o_data.odata_generate_report", body=parameters, prefer="respond-async")
    assert begun.status_code == 202
    final = await_final(generated, begun.headers["location"])
    assert (final.status_code, final.headers["asyncresult"]) == (200, "200")
    report = generated.model("LibraryReport").from_dict(final.json())
    assert report.books >= 1
    page = generated.call("o_data.odata_reports", filter_=f"id eq '{report.id}'", count=True).parsed
    assert [each.id for each in page.value] == [report.id]
