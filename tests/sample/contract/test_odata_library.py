"""Reports, exports, summaries over HTTP, on both stores; the figures are checked against the books that are there."""

import csv
import io
import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import httpx
import pytest

from tests.sample.odata import ASYNC, BOOKS, awaited, begun, book_url, everything, fresh, made, refused, store_books
from tests.support.lro import monitor

REPORT = "/odata/GenerateReport"


@pytest.fixture
def some(anybody: httpx.Client) -> str:
    """Six books of the years 1700 to 1703, of which no other test has any; their ids begin alike."""
    for book in _of_the_years(anybody):
        anybody.delete(book_url(book["id"])).raise_for_status()
    prefix = fresh()
    lines = [
        ("1700", "de", ["Anna"], 10),
        ("1701-05", "de", ["Anna", "Bert"], 20),
        ("1701-06-15", "fr", ["Bert"], 30),
        ("1702-01-01", None, [], 40),
        ("1703", "fr", ["Cecil", "Anna"], 50),
        (None, "de", ["Anna"], 60),
    ]
    names = ("published", "language", "creators", "words")
    books = [
        {"id": f"{prefix}-{number}", "title": f"T{number}", **dict(zip(names, line, strict=True))}
        for number, line in enumerate(lines)
    ]
    store_books(anybody, *books)
    return prefix


def _of_the_years(client: httpx.Client) -> list[dict[str, Any]]:
    return everything(client, f"{BOOKS}?$filter=published ge '1700' and published lt '1704'")


def plain(entity: dict[str, Any]) -> dict[str, Any]:
    """An entity without its control information."""
    return {name: value for name, value in entity.items() if "@" not in name}


def named(figures: list[dict[str, Any]]) -> dict[str | None, tuple[int, int]]:
    """Books and words by name."""
    return {one["name"]: (one["books"], one["words"]) for one in figures}


def expected(books: list[dict[str, Any]], names: Callable[[dict[str, Any]], list[str | None]]) -> dict[str | None, Any]:
    """The same, counted from the books."""
    found: dict[str | None, tuple[int, int]] = {}
    for book in books:
        for name in names(book):
            count, words = found.get(name, (0, 0))
            found[name] = (count + 1, words + book["words"])
    return found


def fetched(client: httpx.Client, report: dict[str, Any]) -> httpx.Response:
    """What the report's URL gives, checked against what the report says of it."""
    answer = client.get(report["reportUrl"])
    assert answer.status_code == 200, answer.text
    assert (len(answer.content), sha256(answer.content).hexdigest()) == (report["sizeBytes"], report["sha256"])
    return answer


# --- reports ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [REPORT, "/odata/Library.GenerateReport"])
@pytest.mark.parametrize("headers", [{}, ASYNC], ids=["sync", "async"])
@pytest.mark.usefixtures("some")
def test_report_of_everything(anybody: httpx.Client, path: str, headers: dict[str, str]) -> None:
    """Without dates, and without a body, all books are counted, at both URLs and whether or not one waits for it."""
    books = everything(anybody, BOOKS)
    answer = anybody.post(path, headers=headers)
    if headers:
        assert answer.status_code == 202
        answer = awaited(anybody, answer.headers["location"])
    report = answer.json()
    assert (report["format"], report["startDate"], report["endDate"]) == ("json", None, None)
    assert (report["books"], report["words"]) == (len(books), sum(book["words"] for book in books))
    figures = fetched(anybody, report).json()
    assert (figures["books"], figures["words"]) == (report["books"], report["words"])
    years = expected(books, lambda book: [book["published"][:4] if book["published"] else None])
    languages = expected(books, lambda book: [book["language"]])
    creators = expected(books, lambda book: list(dict.fromkeys(book["creators"])))
    assert (named(figures["years"]), named(figures["languages"]["most"])) == (years, languages)
    assert named(figures["creators"]["most"]) == creators
    assert (report["creators"], report["languages"]) == (len(creators), len(languages.keys() - {None}))


@pytest.mark.parametrize(
    ("dates", "numbers"),
    [
        ({"startDate": "1700-01-01", "endDate": "1703-12-31"}, [0, 1, 2, 3, 4]),
        ({"startDate": "1701-05-01", "endDate": "1701-06-15"}, [1, 2]),
        ({"startDate": "1701-05-02", "endDate": "1702-01-01"}, [2, 3]),
        ({"startDate": "1700-01-01", "endDate": "1700-01-01"}, [0]),
        ({"startDate": "1703-01-02", "endDate": "1703-12-31"}, []),
    ],
)
def test_report_of_a_time(anybody: httpx.Client, some: str, dates: dict[str, str], numbers: list[int]) -> None:
    """Both dates are included; a book of a year or a month counts as of its first day, one without a date does not."""
    report = anybody.post(REPORT, json=dates).json()
    books = [anybody.get(book_url(f"{some}-{number}")).json() for number in numbers]
    assert (report["books"], report["words"]) == (len(numbers), sum(book["words"] for book in books))
    assert {name: report[name] for name in dates} == dates
    figures = fetched(anybody, report).json()
    assert named(figures["creators"]["most"]) == expected(books, lambda book: book["creators"])
    assert named(figures["languages"]["most"]) == expected(books, lambda book: [book["language"]])


@pytest.mark.usefixtures("some")
@pytest.mark.both_stores
def test_report_as_csv(anybody: httpx.Client) -> None:
    """The same figures as CSV, with its media type."""
    dates = {"startDate": "1700-01-01", "endDate": "1703-12-31", "format": "csv"}
    answer = fetched(anybody, anybody.post(REPORT, json=dates).json())
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[:2] == [["figure", "name", "books", "words"], ["total", "", "5", "150"]]
    assert ["creator", "Anna", "3", "80"] in rows
    assert [row for row in rows if row[0] == "language"] == [
        ["language", "fr", "2", "80"],
        ["language", "de", "2", "30"],
        ["language", "", "1", "40"],
    ]
    assert [row[1:] for row in rows if row[0] == "year"] == [
        ["1700", "1", "10"],
        ["1701", "2", "50"],
        ["1702", "1", "40"],
        ["1703", "1", "50"],
    ]


@pytest.mark.both_stores
def test_reports_are_listed(anybody: httpx.Client) -> None:
    """A report is an entity of Reports as it was answered, and is found by a query."""
    report = anybody.post(REPORT, json={"startDate": "1600-01-01", "endDate": "1600-12-31"}).json()
    assert report["@odata.context"].endswith("/$metadata#Reports/$entity")
    read = anybody.get(f"/odata/Reports('{report['id']}')")
    entity = read.json()
    assert (read.status_code, read.headers["etag"]) == (200, entity.pop("@odata.etag"))
    assert entity == report
    query = "$filter=startDate eq 1600-01-01 and books eq 0&$orderby=createdDateTime desc&$top=1"
    [found] = everything(anybody, f"/odata/Reports?{query}")
    assert found["@odata.etag"] == read.headers["etag"]
    assert plain(found) == plain(report)


@pytest.mark.parametrize("headers", [{}, ASYNC], ids=["sync", "async"])
@pytest.mark.parametrize(
    ("body", "code", "target"),
    [
        ({"startDate": "1801-01-02", "endDate": "1801-01-01"}, "InvalidDateRange", "startDate"),
        ({"startDate": "1801"}, "InvalidInput", "startDate"),
        ({"format": "xml"}, "InvalidInput", "format"),
        ({"from": "1801-01-01"}, "InvalidInput", "from"),
    ],
)
def test_reports_that_cannot_be(
    anybody: httpx.Client, body: dict[str, Any], code: str, target: str, headers: dict[str, str]
) -> None:
    """400 that names the parameter, asynchronous or not, and no report is made."""
    before = anybody.get("/odata/Reports/$count").text
    error = refused(anybody.post(REPORT, json=body, headers=headers), 400, code)
    assert target in (error.get("target"), *(each["target"] for each in error.get("details", [])))
    assert anybody.get("/odata/Reports/$count").text == before


# --- exports and summaries -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format", "media_type"),
    [("json", "application/json"), ("csv", "text/csv; charset=utf-8"), ("text", "text/plain; charset=utf-8")],
)
@pytest.mark.parametrize("headers", [{}, ASYNC], ids=["sync", "async"])
@pytest.mark.both_stores
def test_export(anybody: httpx.Client, format: str, media_type: str, headers: dict[str, str]) -> None:
    """An export has a URL that gives the book's data, and says its size and checksum."""
    book, _ = made(anybody, title='Où, "là"?', creators=["A", "B"], words=12)
    answer = anybody.post(f"{book_url(book)}/Library.Export", json={"format": format}, headers=headers)
    if headers:
        answer = awaited(anybody, answer.headers["location"])
    export = answer.json()
    assert export["@odata.context"].endswith("/$metadata#Library.ExportResult")
    assert (export["bookId"], export["format"]) == (book, format)
    content = anybody.get(export["exportUrl"])
    assert (content.status_code, content.headers["content-type"]) == (200, media_type)
    assert (len(content.content), sha256(content.content).hexdigest()) == (export["sizeBytes"], export["sha256"])
    if format == "json":
        stored = anybody.get(book_url(book)).json()
        assert json.loads(content.text) == plain(stored)
    elif format == "csv":
        names, values = csv.reader(io.StringIO(content.text))
        line = dict(zip(names, values, strict=True))
        assert (line["id"], line["title"], line["creators"]) == (book, 'Où, "là"?', "A; B")
    else:
        assert 'title: Où, "là"?\n' in content.text


@pytest.mark.both_stores
def test_an_export_stays_as_it_is(anybody: httpx.Client) -> None:
    """The same book exported again has the same URL; a changed one has another, and the old URL gives the old book."""
    book, _ = made(anybody)
    first, second = (anybody.post(f"{book_url(book)}/Library.Export", json={}).json() for _ in range(2))
    assert first["exportUrl"] == second["exportUrl"]
    anybody.patch(book_url(book), json={"title": "New"}).raise_for_status()
    third = anybody.post(f"{book_url(book)}/Library.Export", json={}).json()
    assert third["exportUrl"] != first["exportUrl"]
    assert [anybody.get(each["exportUrl"]).json()["title"] for each in (first, third)] == ["Old", "New"]
    assert anybody.get("/export/no-such/content").status_code == 404


@pytest.mark.parametrize("headers", [{}, ASYNC], ids=["sync", "async"])
def test_export_of_what_is_not_there(anybody: httpx.Client, headers: dict[str, str]) -> None:
    """404 at once, asynchronous or not: no operation is begun. Parameters are checked likewise."""
    before = len(anybody.get("/status").json()["value"])
    book = fresh()
    answer = anybody.post(f"{book_url(book)}/Library.Export", json={}, headers=headers)
    assert refused(answer, 404, "BookNotFound")["target"] == book
    there, _ = made(anybody)
    answer = anybody.post(f"{book_url(there)}/Library.Export", json={"format": "pdf"}, headers=headers)
    refused(answer, 400, "InvalidInput")
    # The key is in the URL: in the body it is no parameter.
    answer = anybody.post(f"{book_url(there)}/Library.Export", json={"id": book}, headers=headers)
    refused(answer, 400, "InvalidInput")
    assert len(anybody.get("/status").json()["value"]) == before


def test_summary(anybody: httpx.Client) -> None:
    """The function answers at its qualified name with parentheses and without, and with any form of the key."""
    book, _ = made(anybody, creators=["A", "B"], words=501, published="1984-06")
    for path in (
        f"{book_url(book)}/Library.Summary()",
        f"{book_url(book)}/Library.Summary",
        f"{BOOKS}(id='{book}')/Library.Summary()",
    ):
        answer = anybody.get(path)
        summary = answer.json()
        assert (answer.status_code, answer.headers["odata-version"]) == (200, "4.01")
        assert summary.pop("@odata.context").endswith("/$metadata#Library.BookSummary")
        assert summary == {
            "title": "Old",
            "creators": "A, B",
            "year": 1984,
            "words": 501,
            "wordsPerChapter": None,
            "readingMinutes": 3,
            "hasFile": False,
        }
    refused(anybody.get(f"{book_url(fresh())}/Library.Summary()"), 404, "BookNotFound")
    refused(anybody.get(f"{book_url(book)}/Summary()"), 404, "ResourceNotFound")
    refused(anybody.get(f"{book_url(book)}/Library.Summary(x=1)"), 400, "InvalidInput")
    answer = anybody.post(f"{book_url(book)}/Library.Summary()", json={})
    refused(answer, 405, "MethodNotAllowed")
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.both_stores
def test_a_report_that_is_canceled(anybody: httpx.Client) -> None:
    """What was asked for and taken back leaves nothing to see: no monitor, and no report, whenever DELETE came."""
    for _ in range(5):
        before = {report["id"] for report in everything(anybody, "/odata/Reports")}
        location = begun(anybody, REPORT)
        answer = anybody.delete(location)
        operation = location.rpartition("/")[2]
        if answer.status_code == 202:
            assert awaited(anybody, answer.headers["location"]).headers["asyncresult"] in ("204", "409")
        elif answer.status_code == 204:
            assert anybody.get(location).status_code == 404
        else:
            refused(answer, 409, "CanceledTooLate")
        if monitor(anybody, operation)["status"] == "Canceled":
            assert {report["id"] for report in everything(anybody, "/odata/Reports")} == before
