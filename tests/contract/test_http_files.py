"""Files that are results, over HTTP: what the monitor tells, and how the bytes are had, in every profile."""

from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import httpx
import pytest

from shared.actions.files import FileResult
from tests.support.lro import begin, ended, run

pytestmark = [pytest.mark.both_stores, pytest.mark.timeout(120)]

SIZE = 3_000_000
DATA = (bytes(range(256)) * 4096 * 3)[:SIZE]
MEMBERS = {"fileName", "contentType", "size", "sha256", "downloadUrl", "downloadUrlExpiresAt"}


def made(client: httpx.Client, size: int = SIZE, **more: Any) -> dict[str, Any]:
    """The terminal monitor of an operation that has made a file."""
    state = run(client, "/result/f1:file", {"size": size, **more})
    assert state["status"] == "Succeeded", state
    return state


def test_what_the_monitor_tells(client: httpx.Client) -> None:
    """Name, type, size and SHA-256 as they are; a URL of 15 minutes, which each read makes anew."""
    state = made(client, fileName="bücher.bin", contentType="application/x-books")
    told = state["result"]
    assert told.keys() == MEMBERS
    assert (told["fileName"], told["contentType"], told["size"]) == ("bücher.bin", "application/x-books", SIZE)
    assert told["sha256"] == sha256(DATA).hexdigest()
    left = datetime.fromisoformat(told["downloadUrlExpiresAt"]) - datetime.fromisoformat(state["lastActionDateTime"])
    assert timedelta(minutes=14) < left < timedelta(minutes=16)
    FileResult.model_validate(told)


def test_the_download(client: httpx.Client) -> None:
    """The URL needs no key or sign-in, has ranges and an ETag, and says how the file is called; it reads, no more."""
    told = made(client, fileName="bücher.bin", contentType="text/html")["result"]
    whole = httpx.get(told["downloadUrl"], timeout=60)
    assert (whole.status_code, whole.content) == (200, DATA)
    assert whole.headers["content-type"] == "text/html"
    assert whole.headers["content-disposition"].startswith("attachment; ")
    assert "filename*=UTF-8''b%C3%BCcher.bin" in whole.headers["content-disposition"]
    part = httpx.get(told["downloadUrl"], headers={"Range": "bytes=10-19", "If-Match": whole.headers["etag"]})
    assert (part.status_code, part.content) == (206, DATA[10:20])
    assert httpx.head(told["downloadUrl"]).headers["content-length"] == str(SIZE)
    assert httpx.put(told["downloadUrl"], content=b"x", headers={"x-ms-blob-type": "BlockBlob"}).status_code == 403


def test_the_result(client: httpx.Client) -> None:
    """`/result` is the file itself while an answer can hold it, and else says where to go."""
    state = made(client)
    answer = client.get(f"/status/{state['id']}/result")
    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["content-disposition"] == 'attachment; filename="numbers.bin"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    large = made(client, size=33 * 1024 * 1024)
    refused = client.get(f"/status/{large['id']}/result")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "UseDownloadUrl")
    assert httpx.head(large["result"]["downloadUrl"]).headers["content-length"] == str(33 * 1024 * 1024)


def test_deleted(client: httpx.Client) -> None:
    """A file goes with its operation: the URL that somebody still has leads nowhere."""
    state = made(client, size=1000)
    assert client.delete(f"/status/{state['id']}").status_code == 204
    assert httpx.get(state["result"]["downloadUrl"]).status_code == 404


def test_a_handler_in_a_thread(client: httpx.Client) -> None:
    """What a `def` handler returns piece by piece is stored as well."""
    state = run(client, "/result/f1:file-sync", {"size": SIZE})
    assert httpx.get(state["result"]["downloadUrl"], timeout=60).content == DATA


def test_failures(client: httpx.Client) -> None:
    """A name that could not be sent ends the operation, with a code of its own."""
    state = ended(client, begin(client, "/result/f1:file", {"fileName": "a/b"})["id"])
    assert (state["status"], state["error"]["code"]) == ("Failed", "InvalidFile")


def test_odata(client: httpx.Client) -> None:
    """OData answers what is known of the file: at once, and by way of its monitor. `$metadata` has it as a type."""
    at_once = client.post("/odata/TrialFile", json={"size": 5})
    assert at_once.status_code == 200, at_once.text
    started = client.post("/odata/TrialFile", json={"size": 5}, headers={"Prefer": "respond-async,wait=20"})
    for answer in (at_once, started):
        told = answer.json()
        assert {name for name in told if not name.startswith("@")} == MEMBERS, told
        assert httpx.get(told["downloadUrl"]).content == b"xxxxx"
    metadata = client.get("/odata/$metadata", headers={"Accept": "application/json"}).json()
    types = {name: each for space in metadata.values() if isinstance(space, dict) for name, each in space.items()}
    assert types["FileResult"]["$Kind"] == "ComplexType"
    assert types["FileResult"].keys() >= MEMBERS


def test_described(client: httpx.Client) -> None:
    """The description has the file's members, the result's bytes, and no final state where a link leads to it."""
    document = client.get("/openapi.json").json()
    schemas, paths = document["components"]["schemas"], document["paths"]
    assert schemas["FileResult"]["properties"].keys() == MEMBERS
    options = paths["/result/{id}:file"]["post"]["x-ms-long-running-operation-options"]
    assert options == {"final-state-via": "operation-location", "final-state-schema": "#/components/schemas/FileResult"}
    linked = paths["/result/{id}:linked"]["post"]["x-ms-long-running-operation-options"]
    assert linked == {"final-state-schema": "#/components/schemas/Text"}
    monitor = schemas["ResultLinkedOperation"]["properties"].keys()
    assert ("result" in monitor, "resourceLocation" in monitor) == (False, True)
    other = schemas["ResultInlineOperation"]["properties"].keys()
    assert ("result" in other, "resourceLocation" in other) == (True, False)
    content = paths["/status/{operation_id}/result"]["get"]["responses"]["200"]["content"]
    assert content.keys() == {"application/json", "*/*"}
