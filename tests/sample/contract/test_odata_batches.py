"""Batches over HTTP, on both stores (OData Protocol 4.01, section 11.7; OData JSON Format 4.01, section 19)."""

import json
from typing import Any

import httpx
import pytest

from tests.sample.odata import ASYNC, awaited, begun, enclosed, fresh, polled
from tests.support.lro import identity, monitor

BATCH = "/odata/$batch"


def create(book: str, **more: Any) -> dict[str, Any]:
    return {"method": "POST", "url": "Books", "body": {"id": book, "title": f"Title of {book}"}, **more}


def send(client: httpx.Client, *requests: dict[str, Any], **headers: str) -> list[dict[str, Any]]:
    """The entries of a JSON batch's answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = client.post(BATCH, json={"requests": numbered(requests)}, headers=named)
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["responses"]
    return answer.json()["responses"]


def numbered(requests: Any) -> list[dict[str, Any]]:
    return [{"id": str(number), **request} for number, request in enumerate(requests, start=1)]


def refused(client: httpx.Client, *requests: dict[str, Any], status: int = 400) -> dict[str, Any]:
    answer = client.post(BATCH, json={"requests": numbered(requests)})
    assert answer.status_code == status, answer.text
    assert answer.headers["odata-version"] == "4.01"
    return answer.json()["error"]


def multipart(*parts: str, boundary: str = "batch_1", ends: str = "\r\n") -> tuple[bytes, dict[str, str]]:
    lines = ends.join([f"--{boundary}{ends}{part}" for part in parts] + [f"--{boundary}--", ""])
    return lines.encode(), {"Content-Type": f"multipart/mixed; boundary={boundary}"}


def part(request: str, *headers: str, body: str = "", more: tuple[str, ...] = (), ends: str = "\r\n") -> str:
    outer = ["Content-Type: application/http", "Content-Transfer-Encoding: binary", *more]
    inner = [f"{request} HTTP/1.1", *headers]
    return ends.join([*outer, "", *inner, "", body])


@pytest.mark.both_stores
def test_reads_writes_and_calls(client: httpx.Client) -> None:
    """A batch does its requests in their order, each answered as it would be alone."""
    book = fresh()
    made, read, called, gone = send(
        client,
        create(book),
        {"method": "GET", "url": f"Books('{book}')?$select=title"},
        {"method": "POST", "url": "TrialWait", "body": {"seconds": 0}},
        {"method": "DELETE", "url": f"Books('{book}')"},
    )
    assert (made["status"], made["body"]["id"], made["headers"]["location"][-len(book) - 2 : -2]) == (201, book, book)
    assert (read["status"], read["body"]["title"]) == (200, f"Title of {book}")
    assert (called["status"], called["body"]["seconds"]) == (200, 0)
    assert (gone["status"], "body" in gone) == (204, False)
    alone = client.post("/odata/TrialWait", json={"seconds": 0}).json()
    assert called["body"] == alone


@pytest.mark.parametrize("form", ["relative", "path", "absolute"])
def test_forms_of_a_url(client: httpx.Client, form: str) -> None:
    """A URL may be relative to the service root, a path, or absolute."""
    base = str(client.base_url).rstrip("/")
    prefix = {"relative": "", "path": "/odata/", "absolute": f"{base}/odata/"}[form]
    [answer] = send(client, {"method": "GET", "url": f"{prefix}Books/$count"})
    assert answer["status"] == 200
    assert answer["body"].isdigit()


@pytest.mark.both_stores
def test_references(client: httpx.Client) -> None:
    """`$1` stands for the entity that request 1 has made, in URLs and, by its ETag, in conditions."""
    book = fresh()
    _, read, patched, stale, summary = send(
        client,
        create(book),
        {"method": "GET", "url": "$1", "dependsOn": ["1"]},
        {"method": "PATCH", "url": "$1", "headers": {"If-Match": "$1"}, "body": {"title": "New"}, "dependsOn": ["1"]},
        {"method": "PATCH", "url": "$1", "headers": {"If-Match": "$1"}, "body": {"title": "Old"}, "dependsOn": ["1"]},
        {"method": "GET", "url": "$1/Library.Summary()", "dependsOn": ["1"]},
    )
    assert (read["body"]["id"], patched["status"], stale["status"]) == (book, 204, 412)
    assert summary["body"]["title"] == "New"


def test_dependencies(client: httpx.Client) -> None:
    """What depends on a failure is 424 and not done; the rest goes on, unless the batch has to stop."""
    requests = [
        {"method": "GET", "url": "Books('no-such-book')"},
        {"method": "GET", "url": "Books/$count", "dependsOn": ["1"]},
        {"method": "GET", "url": "Books/$count"},
    ]
    assert [answer["status"] for answer in send(client, *requests)] == [404, 424, 200]
    stopped = send(client, *requests, Prefer="continue-on-error=false")
    assert [answer["status"] for answer in stopped] == [404]


@pytest.mark.both_stores
def test_a_group_is_one_transaction(client: httpx.Client) -> None:
    """All of a group is done, or nothing: the request at fault says why, the others 424."""
    first, second, taken = fresh(), fresh(), fresh()
    done = send(client, create(first, atomicityGroup="g"), create(taken, atomicityGroup="g"))
    assert [(answer["status"], answer["atomicityGroup"]) for answer in done] == [(201, "g"), (201, "g")]
    failed = send(client, create(second, atomicityGroup="g"), create(taken, atomicityGroup="g"))
    assert [answer["status"] for answer in failed] == [424, 409]
    assert failed[1]["body"]["error"]["code"] == "BookExists"
    assert client.get(f"/odata/Books('{second}')").status_code == 404
    no_title = {"id": fresh(), "title": " "}
    untitled = send(
        client,
        create(second, atomicityGroup="g"),
        {**create("", atomicityGroup="g"), "body": no_title},
    )
    assert [answer["status"] for answer in untitled] == [424, 400]
    assert untitled[1]["body"]["error"]["target"] == "title"
    mixed = send(
        client,
        {"method": "PATCH", "url": f"Books('{first}')", "body": {"title": "x"}, "atomicityGroup": "g"},
        {"method": "DELETE", "url": f"Books('{taken}')", "atomicityGroup": "g"},
    )
    assert [answer["status"] for answer in mixed] == [204, 204]


@pytest.mark.parametrize(
    ("headers", "url", "status"),
    [
        ({"accept": "text/html"}, "", 406),
        ({"odata-version": "3.0"}, "", 400),
        ({"prefer": "return=representation"}, "?$format=xml", 406),
    ],
)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_group_that_could_not_be_answered(
    client: httpx.Client, headers: dict[str, str], url: str, status: int, asynchronous: bool
) -> None:
    """Nothing of a group is done where one of its answers could not be given in the form that is asked for."""
    first, second = fresh(), fresh()
    odd = {**create(second, atomicityGroup="g", headers=headers), "url": f"Books{url}"}
    requests = numbered([create(first, atomicityGroup="g"), odd])
    if asynchronous:
        answers = awaited(client, begun(client, BATCH, {"requests": requests})).json()["responses"]
    else:
        answers = send(client, *requests)
    assert [answer["status"] for answer in answers] == [424, status]
    for book in (first, second):
        assert client.get(f"/odata/Books('{book}')").status_code == 404


def test_a_chain_of_references(client: httpx.Client) -> None:
    """References may follow each other through a whole batch."""
    book = fresh()
    chain = [{"method": "GET", "url": f"${n}", "dependsOn": [str(n)]} for n in range(1, 990)]
    last = {"method": "PATCH", "url": "$990", "body": {"words": 3}, "dependsOn": ["990"], "atomicityGroup": "g"}
    answers = send(client, create(book), *chain, last)
    assert (len(answers), {answer["status"] for answer in answers[1:-1]}) == (991, {200})
    assert answers[-1]["status"] == 204
    assert client.get(f"/odata/Books('{book}')").json()["words"] == 3


@pytest.mark.both_stores
def test_a_hundred_writes(client: httpx.Client) -> None:
    """A group of a hundred writes is done; one of a hundred and one is refused before any of it is."""
    books = [fresh() for _ in range(101)]
    done = send(client, *[create(book, atomicityGroup="g") for book in books[:100]])
    assert {answer["status"] for answer in done} == {201}
    error = refused(client, create(fresh_one := fresh()), *[create(fresh(), atomicityGroup="g") for _ in range(101)])
    assert "100 are possible" in error["message"]
    assert client.get(f"/odata/Books('{fresh_one}')").status_code == 404
    gone = send(client, *[{"method": "DELETE", "url": f"Books('{b}')", "atomicityGroup": "g"} for b in books[:100]])
    assert {answer["status"] for answer in gone} == {204}


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"method": "POST", "url": "TrialWait", "body": {}, "atomicityGroup": "g"}, "actions"),
        ({"method": "GET", "url": "Books", "atomicityGroup": "g"}, "GET"),
        ({"method": "POST", "url": "Reports", "body": {}, "atomicityGroup": "g"}, "g"),
        ({"method": "PATCH", "url": "$1", "body": {}, "atomicityGroup": "g"}, "same group"),
        ({"method": "POST", "url": "Nowhere", "body": {}, "atomicityGroup": "g"}, "POST, PATCH and DELETE"),
        ({"method": "DELETE", "url": "Books(", "atomicityGroup": "g"}, "POST, PATCH and DELETE"),
        ({"method": "POST", "url": "$batch", "body": {"requests": []}}, "batch"),
        ({"method": "POST", "url": "$1/$batch", "body": {"requests": []}, "dependsOn": ["1"]}, "batch"),
        ({"method": "GET", "url": "$9"}, "$9"),
        ({"method": "GET", "url": "https://example.org/odata/Books"}, "example.org"),
        ({"method": "GET", "url": "../status"}, ".."),
        ({"id": "1", "method": "GET", "url": "Books"}, "unique"),
        ({"method": "GET", "url": "Books", "if": "$1 eq 200"}, "if"),
        ({"method": "GET", "url": "Books", "dependsOn": ["3"]}, "3"),
        ({"method": "BREW", "url": "Books"}, "BREW"),
        ({"method": "GET", "url": 7}, "url"),
    ],
)
def test_refused_before_any_work(client: httpx.Client, second: dict[str, Any], message: str) -> None:
    """A batch that breaks a rule is 400 that names it, and nothing of it is done."""
    book = fresh()
    error = refused(client, create(book, atomicityGroup="g") if "atomicityGroup" in second else create(book), second)
    assert message in error["message"]
    assert client.get(f"/odata/Books('{book}')").status_code == 404
    assert client.get("/status").json()["value"] == []


def test_too_many_requests(client: httpx.Client) -> None:
    """Ten thousand requests are refused at once, in both formats."""
    one = {"method": "GET", "url": "Books/$count"}
    error = refused(client, *[one] * 10_000)
    assert (error["code"], "1000" in error["message"]) == ("BatchTooLarge", True)
    body, headers = multipart(*[part("GET /odata/Books/$count")] * 5_000)
    answer = client.post(BATCH, content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BatchTooLarge")


@pytest.mark.parametrize("ends", ["\r\n", "\n"], ids=["CRLF", "LF"])
def test_multipart(client: httpx.Client, ends: str) -> None:
    """A multipart batch with a change set, bare line feeds or not; answered part by part in the same structure."""
    book = fresh()
    content = json.dumps({"id": book, "title": "Made"})
    json_type = "Content-Type: application/json"
    inner, _ = multipart(
        part("POST /odata/Books", json_type, body=content, more=("Content-ID: 1",), ends=ends), boundary="cs", ends=ends
    )
    change_set = f"Content-Type: multipart/mixed; boundary=cs{ends}{ends}{inner.decode()}"
    base = str(client.base_url).rstrip("/")
    body, headers = multipart(
        change_set,
        part(f"GET {base}/odata/Books('{book}')", "Accept: application/json", ends=ends),
        part("POST /odata/TrialWait", json_type, "Prefer: respond-async", body='{"seconds": 0}', ends=ends),
        ends=ends,
    )
    answer = client.post(BATCH, content=body, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("multipart/mixed; boundary=")
    text = answer.content.decode()
    assert [text.count(f"HTTP/1.1 {status}\r\n") for status in ("201 Created", "200 OK", "202 Accepted")] == [1, 2, 0]
    assert text.endswith("--\r\n")
    assert "Content-ID: 1\r\n" in text
    assert text.count("Content-Transfer-Encoding: binary\r\n") == 3


def test_stops_at_the_first_failure(client: httpx.Client) -> None:
    """A multipart batch stops at the first failure unless it has to go on."""
    body, headers = multipart(part("GET /odata/Books('no-such')"), part("GET /odata/Books/$count"))
    assert client.post(BATCH, content=body, headers=headers).content.count(b"HTTP/1.1 ") == 1
    going_on = client.post(BATCH, content=body, headers={**headers, "Prefer": "odata.continue-on-error"})
    assert going_on.content.count(b"HTTP/1.1 ") == 2


def test_one_request_of_a_batch_asynchronously(client: httpx.Client) -> None:
    """In a JSON batch an entry that prefers it is 202 with its own monitor; the others are answered."""
    waiting, counted = send(
        client,
        {"method": "POST", "url": "TrialWaitLong", "body": {"seconds": 0.2}, "headers": {"Prefer": "respond-async"}},
        {"method": "GET", "url": "Books/$count"},
    )
    assert (waiting["status"], waiting["headers"]["preference-applied"]) == (202, "respond-async")
    assert int(waiting["headers"]["retry-after"]) >= 1
    assert counted["status"] == 200
    final = awaited(client, waiting["headers"]["location"])
    assert (final.headers["asyncresult"], final.json()["seconds"]) == ("200", 0.2)


@pytest.mark.both_stores
def test_asynchronous_json_batch(client: httpx.Client) -> None:
    """The whole batch is one operation: 202, progress per request, then the batch's answer."""
    book = fresh()
    requests = [
        create(book),
        {"method": "POST", "url": "TrialWait", "body": {"seconds": 0.5}, "headers": {"Prefer": "respond-async"}},
        {"method": "GET", "url": "Books('no-such')"},
        {"method": "POST", "url": "TrialWaitLong", "body": {"seconds": 0}},
    ]
    location = begun(client, BATCH, {"requests": numbered(requests)})
    operation_id = location.rpartition("/")[2]
    polled(lambda: monitor(client, operation_id)["status"] in ("Running", "Succeeded"))
    answer = awaited(client, location)
    assert (answer.headers["asyncresult"], answer.headers["content-type"]) == ("200", "application/json")
    assert list(answer.json()) == ["responses"]
    assert [entry["status"] for entry in answer.json()["responses"]] == [201, 200, 404, 200]
    state = monitor(client, operation_id)
    assert (state["kind"], state["status"]) == ("odata:batch", "Succeeded")
    assert (state["progress"]["done"], state["progress"]["total"]) == (4, 4)
    refused_cancel = client.delete(begun(client, BATCH, {"requests": numbered(requests[1:2])}))
    assert refused_cancel.status_code in (204, 405)


def test_asynchronous_multipart_batch(client: httpx.Client) -> None:
    """The monitor of a multipart batch gives a multipart answer, in both forms of the final answer."""
    body, headers = multipart(part("GET /odata/Books/$count"), part("GET /odata/Books('no-such')"))
    started = client.post(BATCH, content=body, headers={**headers, **ASYNC})
    assert started.status_code == 202
    answer = awaited(client, started.headers["location"])
    assert answer.headers["content-type"].startswith("multipart/mixed; boundary=")
    assert answer.content.count(b"HTTP/1.1 ") == 2
    message = client.get(started.headers["location"], headers={"Accept": "application/http"}).content
    status, inner, inner_body = enclosed(message)
    assert (status, inner["content-type"]) == ("HTTP/1.1 200 OK", answer.headers["content-type"])
    assert inner_body == answer.content


def test_asynchronous_batch_that_breaks_a_rule(client: httpx.Client) -> None:
    """A malformed batch is 400 at once, asynchronous or not, and no operation exists."""
    for content in (b"{", b'{"requests": [{}]}', b'{"requests": 1}', b"[" * 100_000, b""):
        answer = client.post(BATCH, content=content, headers={**ASYNC, "Content-Type": "application/json"})
        assert answer.status_code == 400, content[:50]
        assert answer.json()["error"]["message"]
    assert client.post(BATCH, content=b"x", headers={"Content-Type": "text/plain"}).status_code == 415
    assert client.get("/status").json()["value"] == []


@pytest.mark.both_stores
def test_more_batches_than_activities(client: httpx.Client) -> None:
    """Twice as many asynchronous batches of actions as activities can run at a time all end: none waits for another."""
    requests = numbered([{"method": "POST", "url": "TrialWait", "body": {"seconds": 0.3}}] * 3)
    locations = [begun(client, BATCH, {"requests": requests}) for _ in range(2 * 8)]
    for location in locations:
        answer = awaited(client, location)
        assert [entry["status"] for entry in answer.json()["responses"]] == [200, 200, 200]


def test_who_calls_is_what_the_batch_says(client: httpx.Client) -> None:
    """A request inside a batch cannot speak for somebody else: what it starts belongs to the batch's caller."""
    headers = {**identity("somebody-else"), "Prefer": "respond-async"}
    [entry] = send(client, {"method": "POST", "url": "TrialWaitLong", "body": {"seconds": 0}, "headers": headers})
    assert client.get(entry["headers"]["location"]).status_code in (200, 202)
    assert client.get(entry["headers"]["location"], headers=identity("somebody-else")).status_code == 404
