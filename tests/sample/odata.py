"""What OData callers do, over HTTP, in plain requests."""

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx

from tests.support.lro import PATIENCE, run

ASYNC = {"Prefer": "respond-async"}
BOOKS = "/odata/Books"


def begun(client: httpx.Client, path: str, body: Any = None, **headers: str) -> str:
    """Start an action or a batch asynchronously; the URL of its monitor."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = client.post(path, json=body if body is not None else {}, headers={**ASYNC, **named})
    assert answer.status_code == 202, answer.text
    return answer.headers["location"]


def awaited(client: httpx.Client, location: str, *, within: float = PATIENCE) -> httpx.Response:
    """The first answer of a monitor that is not 202."""
    deadline = time.monotonic() + within
    while (answer := client.get(location, headers={"Accept": "application/json"})).status_code == 202:
        assert time.monotonic() < deadline, f"not within {within} s: {location}"
        location = answer.headers["location"]
        time.sleep(0.05)
    return answer


def polled(holds: Callable[[], object], *, within: float = 15) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"not within {within} s"
        time.sleep(0.05)


def enclosed(message: bytes) -> tuple[str, dict[str, str], bytes]:
    """Status line, headers by lower-case name, and body of an enclosed message."""
    head, separator, body = message.partition(b"\r\n\r\n")
    assert separator, message
    status, *lines = head.decode().split("\r\n")
    return status, {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}, body


def fresh() -> str:
    """The id of a book that nobody else has."""
    return f"b-{uuid4().hex[:12]}"


def book_url(book: str) -> str:
    return f"{BOOKS}('{book}')"


def made(client: httpx.Client, **more: Any) -> tuple[str, str]:
    """A book of the test's own: its id and its ETag."""
    book = fresh()
    answer = client.post(BOOKS, json={"id": book, "title": "Old", **more})
    assert answer.status_code == 201, answer.text
    return book, answer.headers["etag"]


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The error, which has OData's shape and says it in the headers as well (JSON Format 4.01, section 21.1)."""
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (status, code), answer.text
    assert answer.headers["odata-version"] in ("4.0", "4.01")
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error"]
    error = answer.json()["error"]
    assert error.keys() <= {"code", "message", "target", "details"}
    assert (error["code"], bool(error["message"])) == (code, True)
    return error


def among(prefix: str, filter: str = "") -> str:
    """The query for the books whose ids begin with `prefix`."""
    return f"$filter=startswith(id,'{prefix}')" + (f" and ({filter})" if filter else "")


def store_books(client: httpx.Client, *books: dict[str, Any]) -> None:
    """Create up to 100 books in one transaction."""
    requests = [
        {"id": book["id"], "atomicityGroup": "g", "method": "POST", "url": "Books", "body": book} for book in books
    ]
    answer = client.post("/odata/$batch", json={"requests": requests})
    assert answer.status_code == 200, answer.text
    assert {entry["status"] for entry in answer.json()["responses"]} == {201}, answer.text


def pages(client: httpx.Client, link: str, **headers: str) -> list[dict[str, Any]]:
    """The bodies of all pages of a collection, every nextLink followed as it is."""
    found: list[dict[str, Any]] = []
    while link:
        answer = client.get(link, headers=headers)
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
        link = found[-1].get("@odata.nextLink", "")
        assert len(found) < 1000, "the links do not end"
    return found


def everything(client: httpx.Client, link: str, **headers: str) -> list[dict[str, Any]]:
    """The entities of all pages."""
    return [entity for page in pages(client, link, **headers) for entity in page["value"]]


def uploaded(client: httpx.Client, text: str, name: str = "books.csv") -> str:
    """The `fileId` of a file that was uploaded."""
    content = text.encode()
    started = run(client, "/files:upload-start", {"fileName": name, "size": len(content)})["result"]
    sent = httpx.put(started["uploadUrl"], content=content, headers={"x-ms-blob-type": "BlockBlob"}, verify=False)
    assert sent.status_code == 201, sent.text
    return started["transactionId"]
