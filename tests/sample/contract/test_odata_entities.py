"""One entity at a time, over HTTP, on both stores: create, read, change, delete.

OData Protocol 4.01, sections 8.2.4 "If-Match", 8.2.8.7 "return", 11.2 and 11.4; RFC 9110, section 13.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.sample.odata import BOOKS, book_url, fresh, made, refused
from tests.support.host import LocalHost
from tests.support.host_for_tests import exchange, raw_request
from tests.support.lro import identity

pytestmark = pytest.mark.both_stores

MINIMAL = "application/json;odata.metadata=minimal"


# --- create ----------------------------------------------------------------------------------------------------------


def test_create(client: httpx.Client) -> None:
    """201 with the entity, its address, its ETag, and the defaults of what was left out."""
    book = fresh()
    sent = {"id": book, "title": "Émile", "creators": ["A", "B"], "published": "1762-05", "words": 7}
    answer = client.post(BOOKS, json=sent)
    root = f"{str(client.base_url).rstrip('/')}/odata"
    assert (answer.status_code, answer.headers["location"]) == (201, f"{root}/Books('{book}')")
    assert answer.headers["content-type"] == MINIMAL
    assert answer.headers["odata-version"] == "4.01"
    assert answer.json() == {
        "@odata.context": f"{root}/$metadata#Books/$entity",
        "@odata.etag": answer.headers["etag"],
        **sent,
        "language": None,
        "identifiers": [],
        "publisher": None,
        "chapters": 0,
        "cover": None,
        "sizeBytes": 0,
        "sha256": None,
        "warnings": [],
        "shelf": None,
    }
    read = client.get(answer.headers["location"])
    assert (read.json(), read.headers["etag"]) == (answer.json(), answer.headers["etag"])
    assert client.get(f"/book/{book}").json()["title"] == "Émile"


def test_create_with_nothing_to_return(client: httpx.Client) -> None:
    """`return=minimal` is 204 with the address twice: Location, and OData-EntityId for lack of a body."""
    book = fresh()
    answer = client.post(BOOKS, json={"id": book, "title": "T"}, headers={"Prefer": "return=minimal"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["location"] == answer.headers["odata-entityid"]
    assert answer.headers["preference-applied"] == "return=minimal"
    assert client.get(answer.headers["location"]).headers["etag"] == answer.headers["etag"]


def test_create_what_is_there(client: httpx.Client) -> None:
    """409, and what is there stays."""
    book, etag = made(client)
    error = refused(client.post(BOOKS, json={"id": book, "title": "New"}), 409, "BookExists")
    assert error["target"] == book
    assert client.get(book_url(book)).headers["etag"] == etag


@pytest.mark.parametrize(
    ("body", "target", "detail"),
    [
        ({"id": "x-y"}, "title", "MissingField"),
        ({"title": "T"}, "id", "MissingField"),
        ({"id": "x-y", "title": "T", "colour": "red"}, "colour", "UnknownField"),
        ({"id": "x-y", "title": None}, "title", "InvalidValue"),
        ({"id": "x-y", "title": 5}, "title", "InvalidValue"),
        ({"id": "x-y", "title": "T", "words": "5"}, "words", "InvalidValue"),
        ({"id": "x-y", "title": "T", "words": 2**63}, "words", "InvalidValue"),
        ({"id": "x-y", "title": "T", "creators": "A"}, "creators", "InvalidValue"),
        ({"id": "x y", "title": "T"}, "id", "InvalidValue"),
        ({"id": "x-y", "title": "T", "published": "May"}, "published", "InvalidValue"),
    ],
)
def test_create_what_does_not_fit(client: httpx.Client, body: dict[str, Any], target: str, detail: str) -> None:
    """400 that names the property, and there is no such book."""
    error = refused(client.post(BOOKS, json=body), 400, "InvalidInput")
    assert [(each["target"], each["code"]) for each in error["details"]] == [(target, detail)]
    assert client.get(book_url("x-y")).status_code == 404


def test_read_only_properties(client: httpx.Client) -> None:
    """What the service sets is ignored in a create and in a change, as is control information."""
    values = {"chapters": 9, "sha256": "0" * 64, "sizeBytes": 5, "shelf": "s", "@odata.type": "#Library.Book"}
    book, _ = made(client, **values)
    answer = client.patch(book_url(book), json={**values, "title@odata.type": "#String", "title": "New"})
    assert answer.status_code == 204
    stored = client.get(book_url(book)).json()
    assert [stored[name] for name in ("title", "chapters", "sha256", "sizeBytes", "shelf")] == ["New", 0, None, 0, None]


@pytest.mark.parametrize("content", [b"{", b"[]", b"", b"null", b'"x"', b"\xff", b"[" * 100_000])
def test_bodies_that_are_no_object(client: httpx.Client, content: bytes) -> None:
    """400 for what is not a JSON object."""
    answer = client.post(BOOKS, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    refused(answer, 400, answer.headers["x-ms-error-code"])


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "application/json;charset=utf-16", "application/json;odata.x=1"]
)
def test_bodies_of_other_types(client: httpx.Client, content_type: str) -> None:
    """415 for a body that is no JSON in UTF-8, or of a format that is not known."""
    book, etag = made(client)
    answer = client.post(BOOKS, content=b'{"id": "z-z", "title": "T"}', headers={"Content-Type": content_type})
    refused(answer, 415, "UnsupportedMediaType")
    answer = client.patch(book_url(book), content=b'{"title": "New"}', headers={"Content-Type": content_type})
    refused(answer, 415, "UnsupportedMediaType")
    assert client.get(book_url(book)).headers["etag"] == etag


# --- read one --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["OData-Isolation", "Isolation"])
def test_no_isolation(client: httpx.Client, header: str) -> None:
    """A service without snapshots says so, and reads nothing (OData Protocol 4.01, section 8.2.6)."""
    for path in (BOOKS, f"{BOOKS}/$count", "/odata/$metadata"):
        refused(client.get(path, headers={header: "snapshot"}), 412, "IsolationNotSupported")


def test_read_what_is_known(client: httpx.Client) -> None:
    """304 without a body while the ETag is that of the entity, 200 once it has changed."""
    book, etag = made(client)
    for known in (etag, f'"other", {etag}', "*", etag.removeprefix("W/")):
        answer = client.get(book_url(book), headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag), known
        assert answer.headers["odata-version"] == "4.01"
    for other in ('W/"x"', '"x", W/"y"'):
        refused(client.get(book_url(book), headers={"If-Match": other}), 412, "PreconditionFailed")
    for own in (etag, etag.removeprefix("W/"), f'"x", {etag}', "*"):
        assert client.get(book_url(book), headers={"If-Match": own}).status_code == 200
    client.patch(book_url(book), json={"title": "New"})
    answer = client.get(book_url(book), headers={"If-None-Match": etag})
    assert (answer.status_code, answer.json()["title"]) == (200, "New")


@pytest.mark.parametrize("key", ["no-such", "", "%20", "a%2Fb", "it''s", "%27%27", "é", "%E2%82%AC", "x" * 300])
def test_read_what_is_not_there(client: httpx.Client, key: str) -> None:
    """404 for a key that is not stored, or that could not be: a slash, a quote, nothing, too long."""
    refused(client.get(f"{BOOKS}('{key}')"), 404, "ResourceNotFound")


@pytest.mark.parametrize("key", ["1", "x", "title='x'", "'a','b'", "'a", "'it's'", "null", '"x"'])
def test_what_is_no_key(client: httpx.Client, key: str) -> None:
    """400 for parentheses that hold no key."""
    refused(client.get(f"{BOOKS}({key})"), 400, "InvalidKey")


def test_ways_to_write_a_key(client: httpx.Client) -> None:
    """Quotes, parentheses and the key itself may be percent-encoded; the key may be named."""
    book, etag = made(client)
    encoded = "".join(f"%{ord(character):02X}" for character in book)
    for written in (
        f"{BOOKS}(%27{book}%27)",
        f"{BOOKS}%28'{book}'%29",
        f"{BOOKS}('{encoded}')",
        f"{BOOKS}(id='{book}')",
        f"{BOOKS}(id%3D'{book}')",
        f"/ODATA/Books('{book}')",
    ):
        assert client.get(written).headers["etag"] == etag, written


async def test_a_slash_in_a_key(host: LocalHost) -> None:
    """`%2F` in a key is part of the key and begins no segment, whatever becomes of it on the way."""
    signed_in = [f"{name}: {value}" for name, value in identity("slash").items()]
    for target in ("/odata/Books('a%2Fb')", "/odata/Books('a%252Fb')", "/odata/Books('a%2Fb')/Library.Summary()"):
        status, headers, body = await exchange(host.port, raw_request("GET", target, *signed_in))
        assert (status, headers["odata-version"]) == (404, ["4.01"]), target
        assert b"this key" in body or b"no such book" in body, target


def test_select_of_one(client: httpx.Client) -> None:
    """`$select` leaves its properties and the ETag, which the context URL names."""
    book, etag = made(client, words=3)
    answer = client.get(f"{book_url(book)}?$select=words,id").json()
    assert answer.pop("@odata.context").endswith("#Books(words,id)/$entity")
    assert answer == {"@odata.etag": etag, "words": 3, "id": book}
    error = refused(client.get(f"{book_url(book)}?$select=title,nope"), 400, "InvalidQueryOption")
    assert error["target"] == "$select"


# --- change and delete -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefer", "status"), [("", 204), ("return=minimal", 204), ("return=representation", 200), ("return=all", 204)]
)
def test_change(client: httpx.Client, prefer: str, status: int) -> None:
    """204 with the new ETag, or 200 with the entity where that is preferred; the rest of the entity stays."""
    book, etag = made(client, creators=["A"])
    answer = client.patch(book_url(book), json={"title": "New", "id": "another"}, headers={"Prefer": prefer})
    assert (answer.status_code, bool(answer.content)) == (status, status == 200)
    assert answer.headers["etag"] != etag
    assert answer.headers.get("preference-applied") == (prefer if prefer in _RETURNS else None)
    if status == 204:
        assert answer.headers["odata-entityid"].endswith(book_url(book))
    stored = client.get(book_url(book))
    assert (stored.json()["title"], stored.json()["creators"], stored.json()["id"]) == ("New", ["A"], book)
    assert stored.headers["etag"] == answer.headers["etag"]
    assert status == 204 or answer.json() == stored.json()


_RETURNS = ("return=minimal", "return=representation")


def test_change_what_was_read(client: httpx.Client) -> None:
    """`If-Match` with the ETag, a list that has it, or `*` changes; a stale one is 412 and changes nothing."""
    book, first = made(client)
    second = client.patch(book_url(book), json={"title": "2"}, headers={"If-Match": first}).headers["etag"]
    error = refused(client.patch(book_url(book), json={"title": "3"}, headers={"If-Match": first}), 412, _FAILED)
    assert error["target"] == book
    refused(client.delete(book_url(book), headers={"If-Match": f'{first}, "x"'}), 412, _FAILED)
    assert client.get(book_url(book)).json()["title"] == "2"
    listed = client.patch(book_url(book), json={"title": "4"}, headers={"If-Match": f'"x", {second}'})
    assert listed.status_code == 204
    assert client.patch(book_url(book), json={"title": "5"}, headers={"If-Match": "*"}).status_code == 204
    refused(client.patch(book_url(book), json={"title": "6"}, headers={"If-Match": "abc"}), 400, "InvalidETag")
    assert client.get(book_url(book)).json()["title"] == "5"


_FAILED = "PreconditionFailed"


def test_change_only_what_is_not_there(client: httpx.Client) -> None:
    """`If-None-Match` forbids to change or delete an entity that exists (RFC 9110, section 13.1.2)."""
    book, etag = made(client)
    for method in ("PATCH", "DELETE"):
        for known in ("*", etag):
            answer = client.request(method, book_url(book), json={"title": "New"}, headers={"If-None-Match": known})
            refused(answer, 412, _FAILED)
    change = {"id": "1", "method": "PATCH", "url": f"Books('{book}')", "headers": {"If-None-Match": "*"}}
    for group in ({}, {"atomicityGroup": "g"}):
        batch = {"requests": [{**change, **group, "body": {"title": "New"}}]}
        [entry] = client.post("/odata/$batch", json=batch).json()["responses"]
        assert entry["status"] == 412
    assert client.get(book_url(book)).headers["etag"] == etag


@pytest.mark.parametrize(
    ("body", "target"),
    [({"title": None}, "title"), ({"title": ""}, "title"), ({"nope": 1}, "nope"), ({"words": 1.5}, "words")],
)
def test_change_that_does_not_fit(client: httpx.Client, body: dict[str, Any], target: str) -> None:
    """400 that names the property, and nothing changes."""
    book, etag = made(client)
    error = refused(client.patch(book_url(book), json=body), 400, "InvalidInput")
    assert target in (error.get("target"), *(each["target"] for each in error.get("details", [])))
    assert client.get(book_url(book)).headers["etag"] == etag


def test_change_what_is_not_there(client: httpx.Client) -> None:
    """404: a PATCH makes no entity."""
    book = fresh()
    refused(client.patch(book_url(book), json={"title": "T"}), 404, "BookNotFound")
    refused(client.delete(book_url(book)), 404, "BookNotFound")
    assert client.get(book_url(book)).status_code == 404


def test_delete(client: httpx.Client) -> None:
    """204 without a body, then 404, and the key is free again, with another ETag."""
    book, etag = made(client)
    answer = client.delete(book_url(book), headers={"If-Match": etag})
    assert (answer.status_code, answer.content, answer.headers["odata-version"]) == (204, b"", "4.01")
    assert client.get(book_url(book)).status_code == 404
    assert client.get(f"/book/{book}").status_code == 404
    again = client.post(BOOKS, json={"id": book, "title": "Again"})
    assert again.status_code == 201
    assert again.headers["etag"] != etag


def test_what_is_only_read(client: httpx.Client) -> None:
    """A set that takes no changes but removals says so: 405 with what it takes."""
    for method, path, allowed in (
        ("POST", "/odata/Reports", "GET, HEAD"),
        ("PATCH", "/odata/Reports('x')", "GET, HEAD, DELETE"),
        ("DELETE", "/odata/Reports", "GET, HEAD"),
    ):
        answer = client.request(method, path, json={})
        refused(answer, 405, "MethodNotAllowed")
        assert answer.headers["allow"] == allowed
    refused(client.get("/odata/Reports('x')"), 404, "ResourceNotFound")
    answer = client.put(book_url("x"), json={})
    refused(answer, 405, "MethodNotAllowed")
    assert answer.headers["allow"] == "GET, HEAD, PATCH, DELETE"


def test_many_change_one_book(client: httpx.Client) -> None:
    """Without a condition each is done, or told to come back: 204, or 409 or 503 with Retry-After; no 204 is lost."""
    book, _ = made(client)

    def change(number: int) -> httpx.Response:
        return client.patch(book_url(book), json={"words": number}, timeout=60)

    with ThreadPoolExecutor(max_workers=25) as callers:
        answers = list(callers.map(change, range(100)))
    done = {answer.headers["etag"]: number for number, answer in enumerate(answers) if answer.status_code == 204}
    refused = [answer for answer in answers if answer.status_code != 204]
    assert {answer.status_code for answer in refused} <= {409, 503}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    assert len(done) == len(answers) - len(refused) > 0
    stored = client.get(book_url(book))
    assert done[stored.headers["etag"]] == stored.json()["words"]


def test_a_report_is_deleted(client: httpx.Client) -> None:
    """204 under its ETag, 412 under another; then it is 404, its figures too. In a batch it goes as it does alone."""
    first, second, third = (client.post("/odata/GenerateReport", json={}).json() for _ in range(3))
    url = f"/odata/Reports('{first['id']}')"
    refused(client.delete(url, headers={"If-Match": 'W/"other"'}), 412, "PreconditionFailed")
    etag = client.get(url).headers["etag"]
    answer = client.delete(url, headers={"If-Match": etag})
    assert (answer.status_code, answer.content) == (204, b"")
    refused(client.delete(url), 404, "ReportNotFound")
    assert client.get(url).status_code == client.get(first["reportUrl"]).status_code == 404
    deletions = [
        {"id": str(at), "method": "DELETE", "url": f"Reports('{each['id']}')"}
        for at, each in enumerate((second, third))
    ]
    group = [{**each, "atomicityGroup": "g"} for each in deletions]
    refused(client.post("/odata/$batch", json={"requests": group}), 400, "ChangeSetTooLarge")
    answers = client.post("/odata/$batch", json={"requests": [group[0], deletions[1]]}).json()["responses"]
    assert [each["status"] for each in answers] == [204, 204]
