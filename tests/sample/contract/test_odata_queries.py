"""Collections over HTTP, on both stores: what a query gives, page by page, and what it may not say.

OData Protocol 4.01, section 11.2.6 "Querying Collections"; URL Conventions 4.01, section 5. The books of other tests
are there, too: each test looks at its own alone.
"""

from typing import Any

import httpx
import pytest

from tests.sample.odata import BOOKS, among, book_url, everything, fresh, pages, refused, store_books

pytestmark = pytest.mark.both_stores


@pytest.fixture
def shelf(client: httpx.Client) -> str:
    """Seven books whose ids, `{shelf}-1` to `{shelf}-7`, begin alike."""
    prefix = fresh()
    years = ["1811", None, "1813-01-28", "1814", None, "1817", "1817-12"]
    store_books(
        client,
        *[
            {
                "id": f"{prefix}-{number}",
                "title": f"Book {number}",
                "creators": ["Jane", f"Writer {number % 3}"],
                "words": (number * 5) % 7,
                "published": year,
                "language": "en" if number % 2 else "fr",
            }
            for number, year in enumerate(years, start=1)
        ],
    )
    return prefix


def numbers(shelf: str, entities: list[dict[str, Any]]) -> list[int]:
    return [int(entity["id"].removeprefix(f"{shelf}-")) for entity in entities]


# Words by number: 1: 5, 2: 3, 3: 1, 4: 6, 5: 4, 6: 2, 7: 0.
QUERIES = [
    ("", "", [1, 2, 3, 4, 5, 6, 7]),
    ("", "$top=3", [1, 2, 3]),
    ("", "$top=0", []),
    ("", "$skip=5", [6, 7]),
    ("", "$skip=2&$top=2", [3, 4]),
    ("", "$orderby=id desc", [7, 6, 5, 4, 3, 2, 1]),
    ("", "$orderby=words", [7, 3, 6, 2, 5, 1, 4]),
    ("", "$orderby=words desc&$top=2&$skip=1", [1, 5]),
    ("", "$orderby=published,id desc", [5, 2, 1, 3, 4, 6, 7]),
    ("", "$orderby=language desc,words desc", [4, 2, 6, 1, 5, 3, 7]),
    ("words gt 3", "", [1, 4, 5]),
    ("words gt 3", "$orderby=words", [5, 1, 4]),
    ("published eq null", "", [2, 5]),
    ("published ge '1814' and language eq 'en'", "", [7]),
    ("contains(title,'k 4') or endswith(title,'7')", "", [4, 7]),
    ("creators/any(c: c eq 'Writer 1')", "", [1, 4, 7]),
    ("not (words in (0,1,2,3))", "", [1, 4, 5]),
    ("words mod 2 eq 0 and length(title) eq 6", "", [4, 5, 6, 7]),
    ("title eq 'It''s'", "", []),
]


@pytest.mark.parametrize(("filter", "options", "expected"), QUERIES)
def test_queries(client: httpx.Client, shelf: str, filter: str, options: str, expected: list[int]) -> None:
    """The entities that the query describes, in its order; `$count` counts all that match, on a page or without one."""
    query = f"{among(shelf, filter)}&{options}"
    assert numbers(shelf, everything(client, f"{BOOKS}?{query}")) == expected
    first = client.get(f"{BOOKS}?{query}&$count=true").json()
    counted = client.get(f"{BOOKS}/$count?{query}")
    assert (counted.status_code, counted.text) == (200, str(first["@odata.count"]))
    assert counted.headers["content-type"].startswith("text/plain")
    unlimited = [each for each in QUERIES if each[0] == filter and "$top" not in each[1] and "$skip" not in each[1]]
    assert {first["@odata.count"]} == {len(numbers_found) for _, _, numbers_found in unlimited}


def test_pages(client: httpx.Client, shelf: str) -> None:
    """`maxpagesize` makes pages; their links, followed to the end, give each entity once and keep every option."""
    query = f"{BOOKS}?{among(shelf)}&$top=5&$select=id&$count=true&$orderby=words"
    answer = client.get(query, headers={"Prefer": "maxpagesize=2"})
    assert (answer.headers["preference-applied"], answer.headers["vary"]) == ("maxpagesize=2", "Prefer")
    assert "maxpagesize" not in client.get(query).headers.get("preference-applied", "")
    found = pages(client, query, Prefer="maxpagesize=2")
    assert [numbers(shelf, page["value"]) for page in found] == [[7, 3], [6, 2], [5]]
    assert {page["@odata.count"] for page in found} == {7}
    assert [page["@odata.nextLink"].startswith(str(client.base_url)) for page in found[:-1]] == [True, True]
    assert {frozenset(book) for page in found for book in page["value"]} == {frozenset({"@odata.etag", "id"})}
    assert {page["@odata.context"].rpartition("#")[2] for page in found} == {"Books(id)"}
    # In 4.0 the preference has a prefix.
    older = pages(client, f"{BOOKS}?{among(shelf)}", Prefer="odata.maxpagesize=3")
    assert [len(page["value"]) for page in older] == [3, 3, 1]


def test_pages_while_things_change(client: httpx.Client, shelf: str) -> None:
    """A link goes on behind the last entity of its page, also when that one is gone, and misses none of the others."""
    first = client.get(f"{BOOKS}?{among(shelf)}", headers={"Prefer": "maxpagesize=3"}).json()
    client.delete(book_url(f"{shelf}-3"))
    client.delete(book_url(f"{shelf}-1"))
    client.post(BOOKS, json={"id": f"{shelf}-2a", "title": "before"}).raise_for_status()
    assert numbers(shelf, everything(client, first["@odata.nextLink"])) == [4, 5, 6, 7]


def test_a_page_has_a_hundred(client: httpx.Client) -> None:
    """Nobody gets all at once: a page has 100 entities, more only where `$top` asks for more."""
    prefix = fresh()
    books = [{"id": f"{prefix}-{number:03}", "title": "T"} for number in range(105)]
    store_books(client, *books[:100])
    store_books(client, *books[100:])
    assert [len(page["value"]) for page in pages(client, f"{BOOKS}?{among(prefix)}")] == [100, 5]
    assert len(client.get(f"{BOOKS}?{among(prefix)}&$top=103").json()["value"]) == 103


@pytest.mark.parametrize(
    ("query", "status", "code", "target"),
    [
        ("$expand=x", 501, "QueryOptionNotSupported", "$expand"),
        ("$apply=x", 501, "QueryOptionNotSupported", "$apply"),
        ("$compute=x", 501, "QueryOptionNotSupported", "$compute"),
        ("expand=x", 501, "QueryOptionNotSupported", "$expand"),
        ("$nope=1", 400, "InvalidQueryOption", "$nope"),
        ("$top=-1", 400, "InvalidQueryOption", "$top"),
        ("$top=x", 400, "InvalidQueryOption", "$top"),
        ("$skip=1.5", 400, "InvalidQueryOption", "$skip"),
        ("$count=yes", 400, "InvalidQueryOption", "$count"),
        ("$select=nope", 400, "InvalidQueryOption", "$select"),
        ("$select=title&select=id", 400, "InvalidQueryOption", "$select"),
        ("$filter=nope eq 1", 400, "InvalidExpression", "$filter"),
        ("$filter=title eq 5", 400, "InvalidExpression", "$filter"),
        ("$filter=title eq", 400, "InvalidExpression", "$filter"),
        ("$filter=" + "(" * 100 + "true" + ")" * 100, 400, "InvalidExpression", "$filter"),
        ("$orderby=nope", 400, "InvalidExpression", "$orderby"),
        ("$orderby=creators", 400, "InvalidExpression", "$orderby"),
        ("$skiptoken=abc", 400, "InvalidSkipToken", "$skiptoken"),
    ],
)
def test_queries_that_do_not_fit(client: httpx.Client, query: str, status: int, code: str, target: str) -> None:
    """400 for what is wrong, 501 for what OData has and this service does not do; both name the option."""
    assert refused(client.get(f"{BOOKS}?{query}"), status, code)["target"] == target


def test_options_of_others(client: httpx.Client, shelf: str) -> None:
    """Options in any case, without `$`, and those of the caller's own."""
    answer = client.get(f"{BOOKS}?FILTER=startswith(id,'{shelf}')&$Top=2&traceId=7&sort=up")
    assert numbers(shelf, answer.json()["value"]) == [1, 2]
