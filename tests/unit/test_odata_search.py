"""`$search`: its syntax, and how it goes together with the other options of a query.

OData Protocol 4.01, section 11.2.6.6; URL Conventions 4.01, section 5.1.8; the ABNF's rule `searchExpr`.
"""

import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.actions import Model, ODataService, SearchAnd, SearchExpression, SearchNot, SearchOr, SearchText, Stored
from shared.actions.context import RequestContext, Services
from shared.contracts.http import Request, Response
from shared.contracts.odata.limits import MAX_LENGTH
from shared.contracts.odata.metadata.annotations import set_annotations
from shared.contracts.odata.query.searching import MAX_TEXTS, parse_search
from shared.contracts.odata.query.syntax import MAX_DEPTH
from shared.contracts.odata.targets import resolve
from shared.endpoints.odata.execution import Execution
from shared.endpoints.odata.reads import read
from shared.errors import RequestError
from shared.system_clock import SystemClock


def shown(expression: SearchExpression) -> str:
    """The tree with a bracket for each operator."""
    match expression:
        case SearchText(text=text):
            return text
        case SearchNot(operand=operand):
            return f"not[{shown(operand)}]"
        case SearchAnd(parts=parts):
            return f"all[{', '.join(map(shown, parts))}]"
        case SearchOr(parts=parts):
            return f"any[{', '.join(map(shown, parts))}]"


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("blue", "blue"),
        (" blue ", "blue"),
        ('"blue green"', "blue green"),
        ("blue green", "all[blue, green]"),
        ("blue AND green", "all[blue, green]"),
        ("blue OR green", "any[blue, green]"),
        ("NOT blue", "not[blue]"),
        ("NOT NOT blue", "not[not[blue]]"),
        ("blue NOT green", "all[blue, not[green]]"),
        ('blue "green red" AND x', "all[blue, green red, x]"),
        # NOT before AND, AND before OR (URL Conventions 4.01, section 5.1.8).
        ("a OR b AND c", "any[a, all[b, c]]"),
        ("a b OR c", "any[all[a, b], c]"),
        ("a AND b OR c AND d", "any[all[a, b], all[c, d]]"),
        ("NOT a AND b", "all[not[a], b]"),
        ("NOT a OR b", "any[not[a], b]"),
        ("(a OR b) AND c", "all[any[a, b], c]"),
        ("NOT (a b)", "not[all[a, b]]"),
        ("( a )", "a"),
        ("((a) OR ((b)))", "any[a, b]"),
        ("(a) (b)", "all[a, b]"),
        # Operators are upper case, and words in quotes are none.
        ("blue and green", "all[blue, and, green]"),
        ("blue or not", "all[blue, or, not]"),
        ('blue "AND" green', "all[blue, AND, green]"),
        # Where no expression stands on both sides, they are words.
        ("AND", "AND"),
        ("OR", "OR"),
        ("NOT", "NOT"),
        ("AND blue", "all[AND, blue]"),
        ("blue OR", "all[blue, OR]"),
        ("(blue AND) OR x", "any[all[blue, AND], x]"),
        ("NOT NOT", "not[NOT]"),
        # What a word and a phrase may hold.
        ("don't", "don't"),
        ("l'été,2.0:a/b?c=d!*+@$~-_", "l'été,2.0:a/b?c=d!*+@$~-_"),
        ("a\\b & c#d", "all[a\\b, &, c#d]"),
        ("\u6771\u4eac \U0001f600", "all[\u6771\u4eac, \U0001f600]"),
        (r'"say \"no\" \\ (x) ; OR"', r'say "no" \ (x) ; OR'),
        ("a\tb\u00a0c", "all[a, b, c]"),
    ],
)
def test_what_it_says(text: str, tree: str) -> None:
    """The tree of each form that the ABNF has."""
    assert shown(parse_search(text)) == tree


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it ends too early"),
        ("  ", "it ends too early"),
        ("(", "it ends too early"),
        ("()", "an expression is missing at position 2"),
        ("(a", "'(' at position 1 is not closed"),
        ("a (b OR (c)", "'(' at position 3 is not closed"),
        ("a)", "')' at position 2 closes nothing"),
        (")", "an expression is missing at position 1"),
        ('"', "the phrase at position 1 has no end"),
        ('a "b', "the phrase at position 3 has no end"),
        ('"a\\b"', "the phrase at position 1 has no end, or a backslash"),
        ('""', "the phrase at position 1 is empty"),
        ('a""', "the phrase at position 2 is empty"),
        ('a"b"', "a space is missing at position 2"),
        ('"a"b', "a space is missing at position 4"),
        ('"a""b"', "a space is missing at position 4"),
        ("a(b)", "a space is missing at position 2"),
        ("(a)b", "a space is missing at position 4"),
        ("NOT(a)", "a space is missing at position 4"),
        ("'a'", '"\'" at position 1 is no part of a word; put a phrase into double quotes'),
        ("a;b", "';' at position 2 is no part of a word"),
        ("x" * (MAX_LENGTH + 1), f"it has more than {MAX_LENGTH} characters"),
        ("a " * (MAX_TEXTS + 1), f"it has more than {MAX_TEXTS} words and phrases"),
        ("(" * (MAX_DEPTH + 1) + "a", f"it nests deeper than {MAX_DEPTH} at position {MAX_DEPTH + 1}"),
        ("NOT " * (MAX_DEPTH + 1) + "a", f"it nests deeper than {MAX_DEPTH}"),
        ("NOT (" * (MAX_DEPTH // 2) + "(a", f"it nests deeper than {MAX_DEPTH}"),
    ],
)
def test_what_cannot_be_read(text: str, problem: str) -> None:
    """It is 400 and says what does not fit, and where."""
    with pytest.raises(RequestError) as refused:
        parse_search(text)
    error = refused.value
    assert (error.status, error.code, error.target) == (400, "InvalidExpression", "$search")
    assert problem in error.message


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5)
TREES = st.recursive(
    st.builds(SearchText, TEXTS),
    lambda inner: (
        st.builds(SearchNot, inner)
        | st.builds(lambda parts: SearchAnd(tuple(parts)), st.lists(inner, min_size=2, max_size=3))
        | st.builds(lambda parts: SearchOr(tuple(parts)), st.lists(inner, min_size=2, max_size=3))
    ),
    max_leaves=10,
)


def written(expression: SearchExpression) -> str:
    """As text, with parentheses around everything."""
    match expression:
        case SearchText(text=text):
            return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case SearchNot(operand=operand):
            return f"NOT ({written(operand)})"
        case SearchAnd(parts=parts) | SearchOr(parts=parts):
            word = " AND " if isinstance(expression, SearchAnd) else " OR "
            return word.join(f"({written(part)})" for part in parts)


@given(TREES)
def test_every_tree_can_be_written(tree: SearchExpression) -> None:
    """What is written in full is read as it was meant."""
    assert parse_search(written(tree)) == tree


@given(st.text(st.sampled_from('aNOTRD "()\\;'), max_size=30))
def test_any_text(text: str) -> None:
    """It is read, or refused as 400."""
    with suppress(RequestError):
        assert shown(parse_search(text))


# --- with the other options ----------------------------------------------------------------------------------------


class Note(Model):
    id: str
    text: str
    size: int


NOTES = [Note(id=f"n{number:02}", text="odd" if number % 2 else "even", size=number // 3) for number in range(40)]


class Notes:
    """Finds one text only, and some that are gone; counts what else it is asked for."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.scans = 0

    async def scan(self, *, after: str | None = None) -> AsyncIterator[Sequence[Stored]]:
        self.scans += 1
        yield [Stored(note, note.id) for note in NOTES if after is None or note.id > after]

    async def get(self, key: str) -> Stored | None:
        self.read.append(key)
        return next((Stored(note, note.id) for note in NOTES if note.id == key), None)

    async def search(self, expression: SearchExpression) -> Collection[str]:
        assert isinstance(expression, SearchText)
        return {note.id for note in NOTES if note.text == expression.text} | {"gone", "n01a"}


async def ask(source: Notes, path: str, *, searchable: bool = True, prefer: str = "", **query: str) -> Response:
    service = ODataService("Desk")
    service.entity_set("Notes", Note, key="id", source=lambda: source, searchable=searchable)
    services = cast(Services, SimpleNamespace(clock=SystemClock()))
    context = RequestContext(owner="", base_url="http://localhost", api_version="", services=services)
    options = {f"${name}": value for name, value in query.items()}
    headers = {"prefer": prefer} if prefer else {}
    request = Request(method="GET", url=f"http://localhost{path}", query=options, headers=headers)
    execution = Execution(context=context, engine=None, until=time.monotonic() + 60, longest=60)
    return await read(request, resolve(service, path), execution)


def body(response: Response) -> Any:
    return httpx.Response(200, content=response.body).json()


def sizes(response: Response) -> list[int]:
    return [each["size"] for each in body(response)["value"]]


async def test_with_the_other_options() -> None:
    """All of them apply to what was found; `$filter` and `$search` both have to match."""
    source = Notes()
    odd = [note for note in NOTES if note.text == "odd"]
    found = body(await ask(source, "/odata/Notes", search="odd"))["value"]
    assert [each["id"] for each in found] == [note.id for note in odd]
    found = body(await ask(source, "/odata/Notes", search="odd", top="2", skip="1", select="id", count="true"))
    assert ([each["id"] for each in found["value"]], found["@odata.count"]) == (["n03", "n05"], 20)
    large = sorted((note.size for note in odd if note.size > 8), reverse=True)
    assert sizes(await ask(source, "/odata/Notes", search="odd", filter="size gt 8", orderby="size desc")) == large
    counted = await ask(source, "/odata/Notes/$count", search="odd", filter="size gt 8")
    assert counted.body == str(len(large)).encode()
    assert (await ask(source, "/odata/Notes/$count", search="nothing")).body == b"0"
    assert source.scans == 0, "what was not found is not read"


async def test_pages() -> None:
    """The links keep the search, and give each entity once; only those of a page are read."""
    source, found, options = Notes(), list[str](), {"search": "odd", "filter": "size ge 0"}
    while options:
        source.read.clear()
        page = body(await ask(source, "/odata/Notes", prefer="maxpagesize=6", **options))
        found += [each["id"] for each in page["value"]]
        assert len(source.read) <= 25
        query = httpx.URL(page["@odata.nextLink"]).params if "@odata.nextLink" in page else {}
        options = {name.removeprefix("$"): value for name, value in query.items()}
        assert options.get("search", "odd") == "odd"
    assert found == [note.id for note in NOTES if note.text == "odd"]


async def test_a_token_of_another_search() -> None:
    """A link is followed as it is."""
    page = body(await ask(Notes(), "/odata/Notes", prefer="maxpagesize=6", search="odd"))
    token = httpx.URL(page["@odata.nextLink"]).params["$skiptoken"]
    with pytest.raises(RequestError) as refused:
        await ask(Notes(), "/odata/Notes", search="even", skiptoken=token)
    assert (refused.value.status, refused.value.code) == (400, "InvalidSkipToken")


@pytest.mark.parametrize("path", ["/odata/Notes", "/odata/Notes/$count", "/odata/Notes('n01')"])
async def test_a_set_that_cannot_be_searched(path: str) -> None:
    """501, as of every option that OData has and this does not do."""
    with pytest.raises(RequestError) as refused:
        await ask(Notes(), path, searchable=False, search="odd")
    assert (refused.value.status, refused.value.code) == (501, "QueryOptionNotSupported")


async def test_one_entity() -> None:
    """A single entity is not searched for (Protocol 4.01, section 11.2.6)."""
    with pytest.raises(RequestError) as refused:
        await ask(Notes(), "/odata/Notes('n01')", search="odd")
    assert (refused.value.status, refused.value.code) == (400, "InvalidQueryOption")


@pytest.mark.parametrize("searchable", [True, False])
def test_metadata_says_which(searchable: bool) -> None:
    """Org.OData.Capabilities.V1.SearchRestrictions."""
    notes = ODataService("Desk").entity_set("Notes", Note, key="id", source=Notes, searchable=searchable)
    restrictions = set_annotations(notes)["@Org.OData.Capabilities.V1.SearchRestrictions"]
    assert restrictions == {"Searchable": searchable}
