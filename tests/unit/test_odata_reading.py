"""What requests bring: new entities, changes, parameters of actions, arguments of functions."""

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.actions.odata.entities import Stored
from shared.contracts.errors import error_response
from shared.contracts.odata.arguments import read_arguments
from shared.contracts.odata.media import Representation
from shared.contracts.odata.payloads import entity
from shared.contracts.odata.reading_bodies import read_changes, read_entity, read_parameters
from shared.errors import RequestError
from tests.support.odata_library import Book, Cover, ExportBook, ReportRequest, SummaryOf, books, operation

NEW = {"id": "moby", "title": "Moby Dick"}


def refusal(call: Any, *arguments: Any, **named: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        call(*arguments, **named)
    assert caught.value.status == 400
    return caught.value


def targets(error: RequestError) -> list[str | None]:
    return [detail.target for detail in error.details]


def test_a_new_entity() -> None:
    """A full entity is read into the model, every type from its JSON."""
    body = {
        **NEW,
        "creators": ["A", "B"],
        "language": None,
        "words": 2**63 - 1,
        "rating": "INF",
        "price": 1.5,
        "printed": "1851-10-18",
        "added": "2026-01-02T03:04:05Z",
        "opens": "09:30:00",
        "readingTime": "P1DT2H",
        "isbnId": "00000000-0000-0000-0000-000000000007",
        "scores": [1],
        "cover": {"mediaType": "image/png", "size": 3},
        "warnings": [{"code": "W1", "cover": {"mediaType": "x", "size": 1}}, {"code": "W2"}],
    }
    book = read_entity(books, body)
    assert isinstance(book, Book)
    assert (book.id, book.creators, book.words, book.rating) == ("moby", ["A", "B"], 2**63 - 1, float("inf"))
    assert (book.price, book.printed, book.opens) == (Decimal("1.5"), date(1851, 10, 18), time(9, 30))
    assert book.added == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (book.reading_time, book.isbn_id) == (timedelta(days=1, hours=2), UUID(int=7))
    assert book.cover == Cover(media_type="image/png", size=3)
    assert [warning.code for warning in book.warnings] == ["W1", "W2"]


def test_what_is_ignored() -> None:
    """Control information at every depth, and properties that the service sets, whatever they hold."""
    body = {
        "@odata.type": "#Contoso.Library.Book",
        "@odata.context": 5,
        "@Custom.note": {"a": 1},
        "title@odata.type": "#String",
        **NEW,
        "cover": {"@odata.type": "#Contoso.Library.Cover", "mediaType": "x", "size@odata.type": "#Int64", "size": 1},
        "warnings": [{"@odata.type": "x", "code": "W"}],
        "sha256": "mine",
        "sizeBytes": "of another type",
    }
    book = read_entity(books, body)
    assert isinstance(book, Book)
    assert (book.sha256, book.size_bytes) == (None, 0)
    assert book.cover == Cover(media_type="x", size=1)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"title": None}, ["title"]),
        ({"title": ""}, ["title"]),
        ({"title": 5}, ["title"]),
        ({"words": "5"}, ["words"]),
        ({"words": 5.5}, ["words"]),
        ({"words": True}, ["words"]),
        ({"words": 2**63}, ["words"]),
        ({"scores": [1, -(2**63) - 1]}, ["scores.1"]),
        ({"scores": [1, None]}, ["scores.1"]),
        ({"scores": 1}, ["scores"]),
        ({"scores": None}, ["scores"]),
        ({"rating": "4.5"}, ["rating"]),
        ({"rating": "inf"}, ["rating"]),
        ({"inPrint": "true"}, ["inPrint"]),
        ({"kind": "essay"}, ["kind"]),
        ({"printed": "yesterday"}, ["printed"]),
        ({"cover": []}, ["cover"]),
        ({"cover": {"mediaType": "x", "size": 1, "color": 2}}, ["cover.color"]),
        ({"cover": {"size": 2**63, "mediaType": "x"}}, ["cover.size"]),
        ({"warnings": {}}, ["warnings"]),
        ({"pages": 3}, ["pages"]),
        ({"in_print": True}, ["in_print"]),
        ({"Author@odata.bind": "Authors(1)"}, ["Author@odata.bind"]),
    ],
)
def test_entities_that_do_not_fit(change: dict[str, Any], named: list[str]) -> None:
    """Null, type, range, constraint and name are checked, for POST and PATCH alike, and the answer names the place."""
    for call in (read_entity, read_changes):
        error = refusal(call, books, {**NEW, **change})
        assert targets(error) == named
        assert error.code == "InvalidInput"


def test_a_new_entity_without_its_key() -> None:
    """What has no default has to be there."""
    assert targets(refusal(read_entity, books, {})) == ["id", "title"]


def test_numbers_as_strings() -> None:
    """Int64 and Decimal are read from strings where the content type said so, at every depth, and as numbers too."""
    body = {
        **NEW,
        "words": "9007199254740993",
        "scores": ["1", 2],
        "price": "0.10",
        "cover": {"mediaType": "x", "size": "3"},
    }
    book = read_entity(books, body, ieee754=True)
    assert isinstance(book, Book)
    assert (book.words, book.scores, str(book.price)) == (9007199254740993, [1, 2], "0.10")
    assert book.cover == Cover(media_type="x", size=3)
    for text in ("", "1.0", "1e3", "0x10", " 1", "9" * 30, str(2**63)):
        assert targets(refusal(read_entity, books, {**NEW, "words": text}, ieee754=True)) == ["words"]


def test_changes() -> None:
    """Only what was sent comes back, by Python names and with validated values; null is a value."""
    body = {"@odata.etag": "x", "title": "Other", "language": None, "printed": "1851-10-18", "sizeBytes": 7}
    assert read_changes(books, body) == {"title": "Other", "language": None, "printed": date(1851, 10, 18)}
    assert read_changes(books, {}) == {}
    assert read_changes(books, {"cover": {"mediaType": "x", "size": 1}}) == {"cover": Cover(media_type="x", size=1)}


def test_changes_of_the_key() -> None:
    """The key cannot be changed: a value for it is ignored, the same or another."""
    assert read_changes(books, {"id": "another", "words": 3}) == {"words": 3}


def test_nesting() -> None:
    """A body that is nested as deeply as JSON can be is refused and nothing breaks."""
    deep: Any = json.loads("[" * 900 + "]" * 900)
    assert refusal(read_entity, books, {**NEW, "pages": deep}).code == "InvalidInput"
    for _ in range(20000):
        deep = {"a": deep}
    assert refusal(read_entity, books, {**NEW, "pages": deep}).code == "InvalidJson"
    deep_list: Any = 1
    for _ in range(20000):
        deep_list = [deep_list]
    assert refusal(read_entity, books, {**NEW, "scores": deep_list}).code == "InvalidJson"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["code", "size", "@x", "?"]), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*books.type.properties, "@odata.type", "x@y", "other"]), JSON), st.booleans())
def test_wild_bodies(body: dict[str, Any], ieee754: bool) -> None:
    """Whatever JSON comes, the answer is a value of the model or 400."""
    for call in (read_entity, read_changes):
        try:
            call(books, body, ieee754=ieee754)
        except RequestError as error:
            assert error.status == 400  # noqa: PT017 - both ends are right


BOOKS = st.builds(
    Book,
    id=st.text(min_size=1, max_size=60),
    title=st.text(min_size=1),
    creators=st.lists(st.text()),
    language=st.none() | st.text(),
    words=st.integers(0, 2**63 - 1),
    rating=st.none() | st.floats(allow_nan=False),
    price=st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9),
    printed=st.none() | st.dates(date(1000, 1, 1)),
    added=st.none() | st.datetimes(datetime(1000, 1, 1), timezones=st.just(UTC)),
    opens=st.none() | st.times(),
    reading_time=st.none() | st.timedeltas(timedelta(-(10**6)), timedelta(10**6)),
    isbn_id=st.none() | st.uuids(),
    scores=st.lists(st.integers(-(2**63), 2**63 - 1)),
    cover=st.none() | st.builds(Cover, media_type=st.text(), size=st.integers(0, 2**63 - 1)),
)


@given(BOOKS, st.sampled_from(["minimal", "full", "none"]))
def test_what_is_written_is_read(book: Book, metadata: Literal["minimal", "full", "none"]) -> None:
    """An entity that was answered can be sent back as it is, and is the same one, to the last digit."""
    representation = Representation(metadata, ieee754=True)
    body = entity(Stored(book, "e"), books, base="https://h", representation=representation)
    sent = json.loads(json.dumps(body, allow_nan=False))
    assert read_entity(books, sent, ieee754=True) == book


def test_errors_keep_values_to_themselves() -> None:
    """An answer names the place and never repeats what was sent."""
    body = error_response(refusal(read_entity, books, {**NEW, "words": "s3cret"})).body
    assert b"s3cret" not in body


def test_parameters() -> None:
    """Parameters by their names; one that may be null is null where it is left out, others get their defaults."""
    found = read_parameters(operation("GenerateReport"), {"limit": 5, "startDate": "2026-01-01", "@odata.type": "x"})
    assert found == ReportRequest(start_date=date(2026, 1, 1), must_say=None, format="json", limit=5)
    assert read_parameters(operation("GenerateReport"), {"limit": "5"}, ieee754=True) == ReportRequest(
        must_say=None, limit=5
    )


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, ["limit"]),
        ({"limit": None}, ["limit"]),
        ({"limit": "5"}, ["limit"]),
        ({"limit": 1, "format": "xml"}, ["format"]),
        ({"limit": 1, "format": None}, ["format"]),
        ({"limit": 1, "until": 2, "from": 1}, ["until", "from"]),
        ({"limit": 1, "start_date": "2026-01-01"}, ["start_date"]),
    ],
)
def test_parameters_that_do_not_fit(body: dict[str, Any], named: list[str]) -> None:
    """Unknown, missing, null and wrong parameters are 400 and named."""
    assert targets(refusal(read_parameters, operation("GenerateReport"), body)) == named


def test_the_key_of_a_bound_action() -> None:
    """The entity comes from the URL alone: the body cannot name another, and the model checks the key."""
    export = operation("Export")
    assert read_parameters(export, {"format": "csv"}, "moby-dick") == ExportBook(id="moby-dick", format="csv")
    assert targets(refusal(read_parameters, export, {"format": "csv", "id": "other"}, "moby-dick")) == ["id"]
    assert targets(refusal(read_parameters, export, {"format": "csv"}, "Moby")) == ["id"]
    with_cover = read_parameters(export, {"format": "x", "cover": {"@a.b": 1, "mediaType": "x", "size": 1}}, "moby")
    assert isinstance(with_cover, ExportBook)
    assert with_cover.cover == Cover(media_type="x", size=1)


def test_an_action_without_parameters() -> None:
    """It takes an empty body and control information, and nothing else."""
    assert read_parameters(operation("Tidy"), {}) is None
    assert read_parameters(operation("Tidy"), {"@odata.context": "x"}) is None
    assert targets(refusal(read_parameters, operation("Tidy"), {"x": 1})) == ["x"]


def arguments(text: str, **aliases: str) -> dict[str, Any]:
    query = {f"@{name}": value for name, value in aliases.items()}
    found = read_arguments(operation("Summary"), text, query, "moby")
    assert isinstance(found, SummaryOf)
    assert found.id == "moby"
    return found.model_dump(exclude_unset=True, exclude={"id"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sentences=3", {"sentences": 3}),
        (" sentences = -3 , tone = 'it''s, a = b' ", {"sentences": -3, "tone": "it's, a = b"}),
        ("tone='',sentences=3", {"sentences": 3, "tone": ""}),
        ("sentences=3,tone=null", {"sentences": 3, "tone": None}),
        ("sentences=3,ratio=1.5e-3", {"sentences": 3, "ratio": 0.0015}),
        ("sentences=3,ratio=-INF", {"sentences": 3, "ratio": float("-inf")}),
        ("sentences=3,exact=TRUE", {"sentences": 3, "exact": True}),
        ("sentences=3,since=2026-01-02", {"sentences": 3, "since": date(2026, 1, 2)}),
        ("sentences=3,at=2026-01-02T03:04:05Z", {"sentences": 3, "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)}),
        ("sentences=3,hour=09:30:00", {"sentences": 3, "hour": time(9, 30)}),
        ("sentences=3,within=duration'P1DT2H'", {"sentences": 3, "within": timedelta(days=1, hours=2)}),
        ("sentences=3,within='-PT5S'", {"sentences": 3, "within": timedelta(seconds=-5)}),
        ("sentences=3,who=00000000-0000-0000-0000-000000000007", {"sentences": 3, "who": UUID(int=7)}),
        ("sentences=3,price=12.50", {"sentences": 3, "price": Decimal("12.50")}),
        ("sentences=@s,tone=@t", {"sentences": 4, "tone": "a,b"}),
        ("sentences=@s,tone=@unknown", {"sentences": 4, "tone": None}),
    ],
)
def test_arguments(text: str, expected: dict[str, Any]) -> None:
    """Literals of every type, quotes doubled, aliases from the query; an alias that is not there is null."""
    assert arguments(text, s="4", t="'a,b'") == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "sentences",
        "sentences=",
        "sentences=3,",
        ",sentences=3",
        "sentences=3 tone='x'",
        "sentences=3,sentences=4",
        "sentences='3'",
        "sentences=3.0",
        "sentences=99999999999999999999",
        "sentences=9999999999999999999",
        "sentences=null",
        "sentences=@nobody",
        "sentences=3,tone=x",
        "sentences=3,tone='x",
        "sentences=3,tone='it's'",
        "sentences=3,exact=1",
        "sentences=3,ratio=1e999",
        "sentences=3,ratio=inf",
        "sentences=3,since=2026-13-01",
        "sentences=3,since=1767225600",
        "sentences=3,at=2026-01-02",
        "sentences=3,at=1767225600",
        "sentences=3,within=P1D",
        "sentences=3,within=duration'soon'",
        "sentences=3,who='x'",
        "sentences=3,words=1",
        "sentences=3,id='other'",
    ],
)
def test_arguments_that_do_not_fit(text: str) -> None:
    """Arguments that cannot be read, are of another type, unknown, missing or given twice are 400."""
    assert refusal(read_arguments, operation("Summary"), text, {}, "moby").code == "InvalidInput"


def test_a_function_without_parameters() -> None:
    """It takes empty parentheses alone."""
    assert read_arguments(operation("Total"), " ", {}) is None
    refusal(read_arguments, operation("Total"), "a=1", {})


@given(st.text(max_size=60))
def test_wild_arguments(text: str) -> None:
    """Whatever stands in the parentheses, the answer is the input or 400."""
    try:
        read_arguments(operation("Summary"), text, {}, "moby")
    except RequestError as error:
        assert error.status == 400  # noqa: PT017 - both ends are right


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_strings_come_back(text: str) -> None:
    """A string literal reads back as itself, whatever is in it."""
    literal = text.replace("'", "''")
    assert arguments(f"sentences=3,tone='{literal}'")["tone"] == text


def test_long_arguments_take_no_time() -> None:
    """A hundred thousand quotes or blanks are read once."""
    for text in ("sentences=3,tone=" + "'" * 99_999, "sentences=3,tone='" + "''" * 50_000, " " * 100_000 + "x"):
        refusal(read_arguments, operation("Summary"), text, {}, "moby")
