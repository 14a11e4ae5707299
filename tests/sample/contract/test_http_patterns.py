"""The four start patterns over HTTP, on the sample and on every store, and what they refuse.

Rules: Azure REST API Guidelines, "Patterns to Initiate a Long-Running Operation".
"""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.sample.books import upload
from tests.support.epubs import make_epub
from tests.support.host import LocalHost
from tests.support.lro import ask, begin, ended, listing, monitor, run

EPUB = make_epub(("one two three",), title="A Placed Book")
OTHER = make_epub(("other words",), title="Another Book")


def new_book(client: httpx.Client, epub: bytes = EPUB) -> str:
    """A stored book; its id."""
    book = f"b{uuid4().hex[:10]}"
    assert run(client, f"/book/{book}:upload-finish", upload(client, book, epub))["status"] == "Succeeded"
    return book


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.both_stores
def test_put_a_book(client: httpx.Client) -> None:
    """200 with the book as it is going to be; at the end GET has it, overridden as asked, the rest from the EPUB."""
    book = new_book(client)
    answer = client.put(f"/book/{book}", json={"title": "Mine", "creators": ["Me"]})
    assert (answer.status_code, answer.json()["title"], answer.json()["words"]) == (200, "Mine", 4)
    assert "status" not in answer.json()
    state = ended(client, answer.headers["operation-id"])
    assert state["status"] == "Succeeded"
    assert "result" not in state
    assert client.get(f"/book/{book}").json() == answer.json()
    assert client.get(f"/book/{book}/operations/{state['id']}").json() == state
    assert client.put(f"/book/{book}", json={}, headers={"Prefer": "wait=10"}).json()["title"] == "A Placed Book"


def test_put_a_new_book(client: httpx.Client) -> None:
    """201 with what is known of a book whose upload is still to be read; without an upload 400."""
    book = f"n{uuid4().hex[:10]}"
    assert code(client.put(f"/book/{book}", json={})) == (400, "UploadRequired")
    answer = client.put(f"/book/{book}", json=upload(client, book, EPUB))
    assert (answer.status_code, answer.json()["id"], answer.json()["chapters"]) == (201, book, 0)
    assert ended(client, answer.headers["operation-id"])["status"] == "Succeeded"
    assert client.get(f"/book/{book}").json()["title"] == "A Placed Book"
    replaced = client.put(f"/book/{book}", json=upload(client, book, OTHER), headers={"Prefer": "wait=10"})
    assert (replaced.status_code, replaced.json()["title"]) == (200, "Another Book")


def test_put_refuses(client: httpx.Client) -> None:
    """A shelf that is none, unknown members, another id: 400, and there is no operation."""
    book = new_book(client)
    before = len(listing(client))
    shelf = "/subscriptions/s/resourceGroups/g/providers/Contoso.Library/shelves/none"
    assert code(client.put(f"/book/{book}", json={"shelf": shelf})) == (400, "ShelfNotFound")
    for body in ({"words": 5}, {"title": ""}, {"creators": "Me"}, {"creators": [""]}):
        assert code(client.put(f"/book/{book}", json=body)) == (400, "InvalidInput")
    assert code(client.put(f"/book/{book}", json={"id": "other"})) == (400, "RouteMismatch")
    assert len(listing(client)) == before


@pytest.mark.both_stores
def test_delete_a_book(client: httpx.Client) -> None:
    """202 with the monitor; then 404 for the book and for a second DELETE; the monitor stays; it can be made again."""
    book = new_book(client)
    assert code(client.request("DELETE", f"/book/{book}", json={})) == (400, "BodyNotAllowed")
    answer = client.delete(f"/book/{book}", headers={"Operation-Id": f"delete-{book}"})
    assert answer.status_code == 202
    assert answer.headers["operation-id"] == answer.json()["id"] == f"delete-{book}"
    state = ended(client, f"delete-{book}")
    assert (state["status"], "result" in state) == ("Succeeded", False)
    assert code(client.get(f"/book/{book}")) == (404, "BookNotFound")
    assert code(client.delete(f"/book/{book}")) == (404, "BookNotFound")
    again = client.delete(f"/book/{book}", headers={"Operation-Id": f"delete-{book}"})
    assert (again.status_code, again.json()) == (202, state)
    assert client.get(f"/book/{book}/operations/delete-{book}").json() == state
    finished = run(client, f"/book/{book}:upload-finish", upload(client, book, EPUB))
    assert finished["result"] == client.get(f"/book/{book}").json()


def test_resource_stays_while_it_is_deleted(client: httpx.Client) -> None:
    """Until the operation has ended the resource can be read ("DELETE LRO pattern")."""
    name = f"gone{uuid4().hex[:8]}"
    client.put(f"/trial/{name}", json={"note": "x"}, headers={"Prefer": "wait=10"})
    answer = client.delete(f"/trial/{name}")
    assert client.get(f"/trial/{name}").status_code == 200
    assert ended(client, answer.json()["id"])["status"] == "Succeeded"
    assert client.get(f"/trial/{name}").status_code == 404


@pytest.mark.both_stores
def test_writes_exclude_each_other(client: httpx.Client) -> None:
    """While one operation writes a resource, another write is 409; the same one finds it."""
    name = f"slow{uuid4().hex[:8]}"
    first = client.put(f"/trial/{name}", json={})
    for answer in (client.put(f"/trial/{name}", json={"note": "x"}), client.delete(f"/trial/{name}")):
        assert code(answer) == (409, "OperationInProgress")
        assert first.headers["operation-location"] in answer.json()["error"]["message"]
        assert int(answer.headers["retry-after"]) >= 1
    again = client.put(f"/trial/{name}", json={})
    assert (again.status_code, again.headers["operation-id"]) == (first.status_code, first.headers["operation-id"])
    client.post(f"/status/{first.headers['operation-id']}:cancel")
    assert ended(client, first.headers["operation-id"])["status"] == "Canceled"
    second = client.delete(f"/trial/{name}")
    assert second.status_code == 202
    client.post(f"/status/{second.json()['id']}:cancel")


@pytest.mark.both_stores
def test_books_writes_side_by_side(host: LocalHost, client: httpx.Client) -> None:
    """Of finish, PUT and DELETE of one book at one moment, some win and the others are 409; none is lost or breaks.

    A store too busy to answer is 503 with `Retry-After`, which is the contract for it.
    """
    book = new_book(client)
    finish = upload(client, book, OTHER)
    requests: list[tuple[str, str, Any]] = [
        ("PUT", f"/book/{book}", {"title": "Mine"}),
        ("DELETE", f"/book/{book}", None),
        ("POST", f"/book/{book}:upload-finish", finish),
    ] * 4
    with ThreadPoolExecutor(12) as threads:
        send = lambda r: ask(r[0], host.url + r[1], json=r[2], headers=dict(client.headers))  # noqa: E731
        answers = list(threads.map(send, requests))
    assert {answer.status_code for answer in answers} <= {200, 201, 202, 400, 404, 409, 503}
    assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 503)
    started = [answer.headers["operation-id"] for answer in answers if "operation-id" in answer.headers]
    assert started
    for operation_id in started:
        assert ended(client, operation_id)["status"] in {"Succeeded", "Failed"}
    assert client.get(f"/book/{book}").status_code in {200, 404}


@pytest.mark.both_stores
def test_equal_starts_side_by_side(host: LocalHost, client: httpx.Client) -> None:
    """Twelve equal starts on one resource at one moment, with one id, are one operation; nobody meets a 409."""
    name = f"t{uuid4().hex[:8]}"
    headers = {**client.headers, "Operation-Id": name}
    with ThreadPoolExecutor(12) as threads:
        answers = list(
            threads.map(lambda _: ask("PUT", f"{host.url}/trial/{name}", json={}, headers=headers), range(12))
        )
    assert {answer.status_code for answer in answers} == {201}
    assert ended(client, name)["attempt"] == 1
    assert len(listing(client)) == 1


@pytest.mark.both_stores
def test_import(client: httpx.Client) -> None:
    """201 with the monitor at the URL of the PUT, the manifest in it; in the end every book, and what failed."""
    books = [f"i{uuid4().hex[:10]}" for _ in range(5)]
    items: list[dict[str, str]] = [{"id": book, **upload(client, book, EPUB)} for book in books]
    items[4]["sha256"] = "0" * 64
    name = f"import-{books[0]}"
    answer = client.put(f"/imports/{name}", json={"items": items})
    assert answer.status_code == 201
    base = str(client.base_url).rstrip("/")
    assert answer.headers["operation-location"] == f"{base}/imports/{name}?api-version=2026-01-01"
    assert [item["id"] for item in answer.json()["items"]] == books
    ended(client, name)
    state = client.get(answer.headers["operation-location"]).json()
    assert (state["status"], state["progress"]["done"], state["percentComplete"]) == ("Succeeded", 5, 100)
    assert (state["result"]["imported"], state["result"]["failed"]) == (4, 1)
    assert state["result"]["items"][4]["error"]["code"] == "ChecksumMismatch"
    assert [client.get(f"/book/{book}").status_code for book in books] == [200, 200, 200, 200, 404]
    again = client.put(f"/imports/{name}", json={"items": items})
    assert (again.status_code, again.json()) == (200, state)
    assert code(client.put(f"/imports/{name}", json={"items": items[:1]})) == (409, "OperationIdInUse")
    assert client.post(f"/imports/{name}:cancel").json() == state
    assert client.delete(f"/imports/{name}").status_code == 204
    assert client.get(f"/imports/{name}").status_code == 404


def test_import_refuses(client: httpx.Client) -> None:
    """A contradicting header, a manifest that does not fit, a bad id: 400, and there is no operation."""
    items = [{"id": "a", "transactionId": "t"}]
    answer = client.put("/imports/i1", json={"items": items}, headers={"Operation-Id": "i2"})
    assert code(answer) == (400, "OperationIdMismatch")
    for body in ({}, {"items": []}, {"items": items * 2}, {"items": [{"id": "a"}]}, {"items": items, "id": "x"}):
        assert code(client.put("/imports/i1", json=body)) == (400, "InvalidInput")
    assert code(client.put("/imports/a%20b", json={"items": items})) == (400, "InvalidOperationId")
    assert listing(client) == []


@pytest.mark.both_stores
def test_import_leaves_a_book_in_use_alone(client: httpx.Client) -> None:
    """An import holds its books as well: one that another operation writes is reported, not written."""
    book = new_book(client)
    finish = upload(client, book, OTHER)
    replaced = client.put(f"/imports/again-{book}", json={"items": [{"id": book, **finish}]})
    held = client.put(f"/book/{book}", json={"title": "Mine"})
    assert ended(client, replaced.json()["id"])["status"] == "Succeeded"
    outcome = client.get(replaced.headers["operation-location"]).json()["result"]["items"][0]
    if outcome["status"] == "Failed":
        # The PUT came first and the import was told.
        assert (held.status_code, outcome["error"]["code"]) == (200, "OperationInProgress")


def test_monitor_of_another_owner(host: LocalHost, client: httpx.Client) -> None:
    """Somebody else's operation is 404 on every route that shows one."""
    name = f"o{uuid4().hex[:8]}"
    client.put(f"/trial-jobs/{name}", json={}, headers={"Prefer": "wait=10"})
    put = client.put(f"/trial/{name}", json={}, headers={"Operation-Id": f"put-{name}"})
    headers = {"x-ms-client-principal-id": "eve", "x-ms-client-principal-idp": "aad"}
    for method, path in (
        ("GET", f"/trial-jobs/{name}"),
        ("POST", f"/trial-jobs/{name}:cancel"),
        ("DELETE", f"/trial-jobs/{name}"),
        ("GET", f"/trial/{name}/operations/put-{name}"),
    ):
        assert ask(method, host.url + path, headers=headers).status_code == 404
    assert ended(client, put.headers["operation-id"])["status"] == "Succeeded"
    assert client.get(f"/trial-jobs/{name}").json()["status"] == "Succeeded"


@pytest.mark.parametrize("prefer", ["wait=10", "respond-async, wait=10", 'WAIT="10"; x=y', "foo, wait=10, wait=0"])
def test_wait(client: httpx.Client, prefer: str) -> None:
    """A start that ends in time answers at its end, 202 all the same, and at once when it has ended."""
    began = time.monotonic()
    answer = client.post("/trial/t1:wait", json={"seconds": 0.4}, headers={"Prefer": prefer})
    assert time.monotonic() - began < 10, "it waited for longer than the operation took"
    assert (answer.status_code, answer.json()["status"]) == (202, "Succeeded")
    assert answer.json()["result"]["seconds"] == 0.4
    assert answer.headers["preference-applied"] == "wait=10"
    assert "retry-after" not in answer.headers
    assert monitor(client, answer.json()["id"]) == answer.json()


def test_wait_over(client: httpx.Client) -> None:
    """What takes longer than N seconds is answered after N as it is then, several header lines being one."""
    began = time.monotonic()
    headers = [("Prefer", "handling=lenient"), ("Prefer", "wait=1")]
    answer = client.post("/trial/t1:wait", json={"seconds": 60}, headers=headers)
    assert 1 <= time.monotonic() - began < 60
    assert (answer.json()["status"], answer.headers["preference-applied"]) == ("Running", "wait=1")
    assert answer.headers["retry-after"] == "1"
    client.post(f"/status/{answer.json()['id']}:cancel")


@pytest.mark.parametrize("prefer", ["wait=0", "wait=soon", "wait=-1", "wait", "respond-async", '"', "wait=1.5"])
def test_preferences_that_are_ignored(client: httpx.Client, prefer: str) -> None:
    """What asks for no wait, or cannot be read, is as if it were not there."""
    answer = client.post("/trial/t1:wait", json={"seconds": 60}, headers={"Prefer": prefer})
    assert (answer.status_code, answer.json()["status"] in ("NotStarted", "Running")) == (202, True)
    assert "preference-applied" not in answer.headers
    client.post(f"/status/{answer.json()['id']}:cancel")


def test_wait_does_not_outlast_a_cancel(client: httpx.Client) -> None:
    """Whoever waits hears of a cancel at once."""
    name = uuid4().hex
    with ThreadPoolExecutor(1) as thread:
        headers = {"Prefer": "wait=20", "Operation-Id": name}
        waiting = thread.submit(client.post, "/trial/t1:wait", json={"seconds": 60}, headers=headers)
        while client.get(f"/status/{name}").status_code == 404:
            time.sleep(0.02)
        client.post(f"/status/{name}:cancel")
        canceled = time.monotonic()
        assert waiting.result().json()["status"] == "Canceled"
        assert time.monotonic() - canceled < 15, "it waited for its whole time"


def test_starts_without_prefer_are_not_held_up(client: httpx.Client) -> None:
    """A start answers before its operation has ended unless it was asked to wait."""
    started = begin(client, "/trial/t1:wait", {"seconds": 60})
    assert started["status"] in ("NotStarted", "Running")
    client.post(f"/status/{started['id']}:cancel")


def test_put_on_a_shelf(client: httpx.Client) -> None:
    """A shelf that is there is taken by its ARM id, in any case; the book keeps the id as it was given."""
    path = f"/subscriptions/{uuid4()}/resourceGroups/g/providers/Contoso.Library/shelves/left"
    made = client.put(f"{path}?api-version=2026-01-01", json={"location": "westeurope", "properties": {}})
    assert made.status_code == 201, made.text
    for _ in range(100):
        if client.get(f"{path}?api-version=2026-01-01").json()["properties"]["provisioningState"] == "Succeeded":
            break
        time.sleep(0.05)
    book = new_book(client)
    shelf = path.replace("subscriptions", "SUBSCRIPTIONS")
    answer = client.put(f"/book/{book}", json={"shelf": shelf}, headers={"Prefer": "wait=10"})
    assert (answer.status_code, answer.json()["shelf"]) == (200, shelf)
    assert client.get(f"/book/{book}").json()["shelf"] == shelf
    kept = run(client, f"/book/{book}:upload-finish", upload(client, book, OTHER))
    assert kept["result"]["shelf"] == shelf
