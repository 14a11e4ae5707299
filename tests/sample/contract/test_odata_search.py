"""`$search` over HTTP, on both stores: what it finds, with what it goes together, and what is no search.

OData Protocol 4.01, section 11.2.6.6. The books of other tests are in the index, too: each test looks for words of its
own.
"""

import httpx
import pytest

from tests.sample.books import large_epub, upload
from tests.sample.odata import BOOKS, book_url, everything, fresh, made, pages, refused, store_books
from tests.support.lro import run

pytestmark = pytest.mark.both_stores


def rebuild(client: httpx.Client, **options: int) -> None:
    state = run(client, "/search-index:rebuild", options)
    assert state["status"] == "Succeeded", state


def found(client: httpx.Client, search: str, **options: str) -> list[str]:
    query = httpx.QueryParams({"$search": search, **{f"${name}": value for name, value in options.items()}})
    return [book["id"] for book in everything(client, f"{BOOKS}?{query}")]


_WORDS: dict[httpx.URL, str] = {}
"""By host: a rebuild takes the books of all tests there."""


@pytest.fixture
def word(client: httpx.Client) -> str:
    """A word of five books' titles alone: `{word} one blue` ... `{word} five`; `{word}-1` ... are their ids."""
    if client.base_url not in _WORDS:
        _WORDS[client.base_url] = _five_books(client, fresh().replace("-", ""))
    return _WORDS[client.base_url]


def _five_books(client: httpx.Client, word: str) -> str:
    titles = ("one blue", "two green", "three blue green", "four green blue", "five")
    books = [
        {"id": f"{word}-{number}", "title": f"{word} {title}", "words": 10 - number}
        for number, title in enumerate(titles, start=1)
    ]
    store_books(client, *books)
    rebuild(client, sliceBooks=50)
    return word


def test_search(client: httpx.Client, word: str) -> None:
    """Words, phrases, AND, OR, NOT, in any case; together with all other options, and counted."""
    for search, numbers in {
        word: [1, 2, 3, 4, 5],
        word.upper(): [1, 2, 3, 4, 5],
        f"{word} blue": [1, 3, 4],
        f'{word} AND "blue green"': [3],
        f"{word} AND (green OR five)": [2, 3, 4, 5],
        f"{word} NOT blue": [2, 5],
        f'"{word} one" OR "{word} two"': [1, 2],
        f'"two {word}"': [],
    }.items():
        ids = [f"{word}-{number}" for number in numbers]
        assert found(client, search) == ids
        counted = client.get(f"{BOOKS}/$count", params={"$search": search})
        assert (counted.status_code, counted.text) == (200, str(len(ids)))
    assert found(client, word, filter="words gt 6", orderby="words") == [f"{word}-{n}" for n in (3, 2, 1)]
    assert found(client, word, top="2", skip="1") == [f"{word}-2", f"{word}-3"]


def test_pages(client: httpx.Client, word: str) -> None:
    """The links keep the search; without `$` and in capitals it is the same option."""
    followed = pages(client, f"{BOOKS}?SEARCH={word}&$count=true&$select=id", Prefer="maxpagesize=2")
    assert [[book["id"][-1] for book in page["value"]] for page in followed] == [["1", "2"], ["3", "4"], ["5"]]
    assert {page["@odata.count"] for page in followed} == {5}


def test_the_text_of_an_epub(client: httpx.Client) -> None:
    """A book is found by its text; what was written since the rebuild is not, and what was removed is not."""
    book, later = fresh(), made(client, title="Pequod later")[0]
    assert run(client, f"/book/{book}:upload-finish", upload(client, book, large_epub(1)))["status"] == "Succeeded"
    rebuild(client)
    words = client.get(f"/book/{book}").json()
    assert words["words"] > 1000
    assert later in found(client, "pequod")
    new = made(client, title="Pequod new")[0]
    assert new not in found(client, "pequod")
    assert client.delete(book_url(later)).status_code == 204
    assert later not in found(client, "pequod")
    assert book in found(client, "the")


def test_in_a_batch(client: httpx.Client, word: str) -> None:
    """As alone."""
    requests = [{"id": "1", "method": "GET", "url": f"Books?$search={word}%20blue&$select=id"}]
    [answer] = client.post("/odata/$batch", json={"requests": requests}).json()["responses"]
    assert (answer["status"], len(answer["body"]["value"])) == (200, 3)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f'{BOOKS}?$search="', 400, "InvalidExpression"),
        (f"{BOOKS}?$search=", 400, "InvalidExpression"),
        (f"{BOOKS}?$search=a)", 400, "InvalidExpression"),
        (f"{BOOKS}/$count?$search=(a", 400, "InvalidExpression"),
        (f'{BOOKS}?$search="!!"', 400, "InvalidExpression"),
        (f"{BOOKS}('x')?$search=a", 400, "InvalidQueryOption"),
        ("/odata/Reports?$search=a", 501, "QueryOptionNotSupported"),
    ],
)
def test_what_is_no_search(client: httpx.Client, path: str, status: int, code: str) -> None:
    """400 says what does not fit, and where; a set without a search is 501."""
    assert refused(client.get(path), status, code)["target"] == "$search"


def test_it_is_described(client: httpx.Client) -> None:
    """`$metadata` and the description say which set can be searched."""
    metadata = client.get("/odata/$metadata", headers={"Accept": "application/json"}).json()
    sets = metadata["Library"]["Container"]
    searchable = {name: sets[name]["@Org.OData.Capabilities.V1.SearchRestrictions"] for name in ("Books", "Reports")}
    assert searchable == {"Books": {"Searchable": True}, "Reports": {"Searchable": False}}
    paths = client.get("/openapi.json").json()["paths"]
    taking = {
        path
        for path, methods in paths.items()
        if "search" in str([each.get("$ref", "") for each in methods.get("get", {}).get("parameters", [])])
    }
    assert taking == {BOOKS, f"{BOOKS}/$count"}
