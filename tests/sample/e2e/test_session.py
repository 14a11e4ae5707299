"""The session a reader of the README has, from an EPUB on disk to a book in the list; on uvloop, as newer workers."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from tests.sample.books import upload
from tests.sample.real_epub import debian_policy_epub
from tests.support.host import STORES, LocalHost
from tests.support.lro import begin, ended, listing, run


@pytest.fixture(scope="module", params=STORES)
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHost]:
    """The app on the event loop that the platform's workers for Python 3.13 and newer use."""
    store: str = request.param
    with LocalHost(tmp_path_factory.mktemp(f"uvloop-{store}"), store=store, loop="uvloop") as running:
        yield running


def test_upload_a_real_book(host: LocalHost, client: httpx.Client) -> None:
    """Start, upload, finish, poll, read the book, find it in the list; the operations end up in theirs."""
    epub = debian_policy_epub().read_bytes()
    digest = sha256(epub).hexdigest()
    started = ended(client, begin(client, "/book/policy:upload-start", {"fileName": "policy.epub"})["id"])
    assert started["status"] == "Succeeded"
    upload = started["result"]
    assert set(upload) == {"transactionId", "uploadUrl", "expiresAt"}
    sent = httpx.put(upload["uploadUrl"], content=epub, headers={"x-ms-blob-type": "BlockBlob"}, verify=False)
    assert sent.status_code == 201
    assert sent.headers["etag"]
    assert sent.headers["last-modified"]
    assert client.get("/book/policy").status_code == 404

    body = {"transactionId": upload["transactionId"], "sha256": digest}
    answer = client.post("/book/policy:upload-finish", json=body)
    assert answer.status_code == 202
    finished = ended(client, answer.json()["id"])
    assert finished["status"] == "Succeeded", finished
    book = finished["result"]
    assert (book["id"], book["title"], book["language"]) == ("policy", "Debian Policy Manual", "en")
    assert (book["sizeBytes"], book["sha256"]) == (len(epub), digest)
    assert book["chapters"] > 20
    assert book["words"] > 50_000
    assert book["creators"]
    assert book["identifiers"]
    assert finished["percentComplete"] == 100

    assert client.get("/book/policy").json() == book
    assert book in client.get("/book").json()["value"]
    assert client.get(answer.headers["operation-location"]).json() == finished
    assert {finished["id"], started["id"]} <= {item["id"] for item in listing(client, filter="status eq 'Succeeded'")}


def test_the_words_are_counted_in_a_process(host: LocalHost, client: httpx.Client) -> None:
    """The computing runs beside the app, in a process that stays for the next; another file than the book's is 409."""
    upload_body = upload(client, "counted", debian_policy_epub().read_bytes())
    book = run(client, "/book/counted:upload-finish", upload_body)["result"]
    counted = run(client, "/book/counted:count-words", {"sha256": book["sha256"], "top": 1})
    result = counted["result"]
    assert [found["word"] for found in result["words"]] == ["the"]
    # The words that are searched for are nearly those that a book's figures count.
    assert result["total"] == pytest.approx(book["words"], rel=0.01)
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in host.children()]
    assert any(b"shared.operations.process_main" in command for command in commands)
    other = client.post("/book/counted:count-words", json={"sha256": "0" * 64})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "BookChanged")


def test_an_upload_ends_once(host: LocalHost, client: httpx.Client) -> None:
    """The transaction is used up; what was sent wrongly, or never, ends as Failed with a code that says so."""
    epub = debian_policy_epub().read_bytes()

    def finish(transaction: str, **more: str) -> str:
        body = {"transactionId": transaction, **more}
        state = ended(client, begin(client, "/book/twice:upload-finish", body)["id"])
        return state["error"]["code"] if state["status"] == "Failed" else state["status"]

    def transaction(content: bytes | None) -> str:
        result = ended(client, begin(client, "/book/twice:upload-start", {"fileName": "x"})["id"])["result"]
        if content is not None:
            headers = {"x-ms-blob-type": "BlockBlob"}
            httpx.put(result["uploadUrl"], content=content, headers=headers, verify=False).raise_for_status()
        return result["transactionId"]

    good = transaction(epub)
    assert finish(good, sha256="0" * 64) == "ChecksumMismatch"
    assert finish(good) == "Succeeded"
    assert finish(good) == "UploadAlreadyFinished"
    assert finish(transaction(b"%PDF-1.7 not a book")) == "InvalidEpub"
    assert finish(transaction(None)) == "UploadMissing"
    assert finish("unknown") == "UploadNotFound"


def test_prints_its_functions(host: LocalHost) -> None:
    """As `func start` does: every function with its methods and URL."""
    assert f"\tbook_upload_start: [POST] {host.url}/book/{{id}}:upload-start\n" in host.log
    assert f"\tstatus_cancel: [POST] {host.url}/status/{{operation_id}}:cancel\n" in host.log
