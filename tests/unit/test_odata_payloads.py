"""Answers in JSON: what is written at each level of metadata, context URLs, ETags, keys."""

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from shared.actions.odata.edm import TypeRef
from shared.actions.odata.entities import Stored
from shared.contracts.odata.etags import etag_header, parse_etags
from shared.contracts.odata.media import Representation
from shared.contracts.odata.metadata.service_document import service_document
from shared.contracts.odata.payloads import collection, entity, operation_result
from shared.contracts.odata.urls import entity_url, read_key
from shared.contracts.odata.values import duration_text, write_value
from shared.errors import RequestError
from tests.support.odata_library import Book, Cover, Report, Warned, books, library, operation, reports

BASE = "https://library.example"
ROOT = f"{BASE}/odata"
MINIMAL, FULL, NONE = Representation(), Representation("full"), Representation("none")
EXACT = Representation(ieee754=True)

MOBY = Stored(
    Book(
        id="moby's dick",
        title="Moby Dick",
        creators=["Herman Melville"],
        words=2**60,
        rating=4.5,
        price=Decimal("12.50"),
        printed=date(1851, 10, 18),
        added=datetime(2026, 1, 2, 3, 4, 5, 600000, UTC),
        opens=time(9, 30),
        reading_time=timedelta(days=400, hours=3),
        isbn_id=UUID(int=7),
        scores=[1, 2],
        cover=Cover(media_type="image/png", size=3),
        warnings=[Warned(code="W1", cover=Cover(media_type="image/gif", size=4)), Warned(code="W2")],
        size_bytes=9,
    ),
    etag="1a2b",
)
PLAIN = Stored(Book(id="plain", title="Plain"), etag="")


def one(stored: Stored = MOBY, representation: Representation = MINIMAL, **more: Any) -> dict[str, Any]:
    return entity(stored, books, base=BASE, representation=representation, **more)


def test_minimal_metadata() -> None:
    """A client with the metadata document gets the context and the ETag, and nothing that it can work out."""
    body = one()
    assert list(body)[:2] == ["@odata.context", "@odata.etag"]
    assert [name for name in body if "@" in name] == ["@odata.context", "@odata.etag"]
    assert body["@odata.context"] == f"{ROOT}/$metadata#Books/$entity"
    assert body["@odata.etag"] == 'W/"1a2b"'
    assert list(body)[2:] == list(books.type.properties)


def test_values() -> None:
    """Each type is written as OData writes it: spans in days and less, numbers as numbers, null where there is none."""
    body = one()
    assert (body["words"], body["rating"], body["price"]) == (2**60, 4.5, 12.5)
    assert (body["printed"], body["added"]) == ("1851-10-18", "2026-01-02T03:04:05.600000Z")
    assert (body["opens"], body["readingTime"]) == ("09:30:00", "P400DT3H")
    assert body["cover"] == {"mediaType": "image/png", "size": 3}
    assert body["warnings"][1] == {"code": "W2", "cover": None}
    assert body["sha256"] is None
    json.dumps(body, allow_nan=False)


def test_full_metadata() -> None:
    """Everything is said: types that JSON does not show, ids, edit links, and what can be called."""
    body = one(representation=FULL)
    url = f"{ROOT}/Books('moby%27%27s%20dick')"
    assert list(body)[:5] == ["@odata.context", "@odata.type", "@odata.id", "@odata.etag", "@odata.editLink"]
    assert (body["@odata.type"], body["@odata.id"], body["@odata.editLink"]) == ("#Contoso.Library.Book", url, url)
    types = {name: said for name, said in body.items() if name.endswith("@odata.type") and not name.startswith("@")}
    assert {name.removesuffix("@odata.type"): said for name, said in types.items()} == {
        "creators": "#Collection(String)",
        "words": "#Int64",
        "price": "#Decimal",
        "printed": "#Date",
        "added": "#DateTimeOffset",
        "opens": "#TimeOfDay",
        "readingTime": "#Duration",
        "isbnId": "#Guid",
        "scores": "#Collection(Int64)",
        "warnings": "#Collection(Contoso.Library.Warned)",
        "sizeBytes": "#Int64",
    }
    assert body["cover"]["@odata.type"] == "#Contoso.Library.Cover"
    assert body["cover"]["size@odata.type"] == "#Int64"
    assert body["warnings"][0]["cover"]["@odata.type"] == "#Contoso.Library.Cover"
    names = list(body)
    assert names.index("words@odata.type") + 1 == names.index("words")
    assert body["#Contoso.Library.Export"] == {"title": "Export", "target": f"{url}/Contoso.Library.Export"}
    assert body["#Contoso.Library.Summary"]["target"].startswith(f"{url}/Contoso.Library.Summary(sentences=@sentences,")
    assert "#Contoso.Library.Merge" not in body


def test_no_metadata() -> None:
    """Nothing but the properties; on a page also what makes it a page."""
    assert list(one(representation=NONE)) == list(books.type.properties)
    page = collection([MOBY], books, base=BASE, representation=NONE, count=3, next_link=f"{ROOT}/Books?x")
    assert list(page) == ["@odata.count", "value", "@odata.nextLink"]
    assert list(page["value"][0]) == list(books.type.properties)


def test_numbers_as_strings() -> None:
    """IEEE754Compatible makes strings of what a double does not hold, in every place, and of the count."""
    body = one(representation=EXACT)
    assert (body["words"], body["price"], body["rating"]) == (str(2**60), "12.50", 4.5)
    assert (body["scores"], body["cover"]["size"]) == (["1", "2"], "3")
    page = collection([], books, base=BASE, representation=EXACT, count=3)
    assert page == {"@odata.context": f"{ROOT}/$metadata#Books", "@odata.count": "3", "value": []}


def test_a_page() -> None:
    """A collection has one context, an ETag each, and its link after the entities."""
    page = collection([MOBY, PLAIN], books, base=BASE, representation=MINIMAL, count=7, next_link="https://next")
    assert list(page) == ["@odata.context", "@odata.count", "value", "@odata.nextLink"]
    assert page["@odata.context"] == f"{ROOT}/$metadata#Books"
    first, second = page["value"]
    assert first["@odata.etag"] == 'W/"1a2b"'
    assert not [name for name in second if "@" in name], "a source without etags shows none"


def test_a_page_in_full() -> None:
    """What can be called on a collection stands on the collection; a set that is only read has no edit links."""
    page = collection([PLAIN], books, base=BASE, representation=FULL)
    assert page["#Contoso.Library.Merge"]["target"] == f"{ROOT}/Books/Contoso.Library.Merge"
    assert page["#Contoso.Library.Newest"]["target"] == f"{ROOT}/Books/Contoso.Library.Newest"
    assert page["value"][0]["@odata.id"] == f"{ROOT}/Books('plain')"
    report = Stored(Report(id="r", created=datetime(2026, 1, 1, tzinfo=UTC), books=1), "e")
    assert "@odata.editLink" not in entity(report, reports, base=BASE, representation=FULL)


@pytest.mark.parametrize(
    ("select", "fragment", "expected"),
    [
        (("title",), "Books(title)/$entity", {"title": "Moby Dick"}),
        (("title", "id"), "Books(title,id)/$entity", {"id": "moby's dick", "title": "Moby Dick"}),
        (("cover/size",), "Books(cover/size)/$entity", {"cover": {"size": 3}}),
        (("cover/size", "cover"), "Books(cover/size,cover)/$entity", {"cover": {"mediaType": "image/png", "size": 3}}),
        (("cover", "cover/size"), "Books(cover,cover/size)/$entity", {"cover": {"mediaType": "image/png", "size": 3}}),
        (("warnings/code",), "Books(warnings/code)/$entity", {"warnings": [{"code": "W1"}, {"code": "W2"}]}),
    ],
)
def test_select(select: tuple[str, ...], fragment: str, expected: dict[str, Any]) -> None:
    """Only what was selected is there, in the order of the type; the context names it as it was asked for."""
    body = one(select=select)
    assert body.pop("@odata.context") == f"{ROOT}/$metadata#{fragment}"
    assert body.pop("@odata.etag")
    assert list(body.items()) == list(expected.items())


def test_select_of_everything() -> None:
    """The star is all properties, and says so."""
    body = one(select=("*",))
    assert body["@odata.context"] == f"{ROOT}/$metadata#Books(*)/$entity"
    assert list(body)[2:] == list(books.type.properties)
    page = collection([MOBY], books, base=BASE, representation=FULL, select=("title",))
    assert page["@odata.context"] == f"{ROOT}/$metadata#Books(title)"
    assert not [name for name in page if name.startswith("#")]
    assert page["value"][0]["@odata.id"] == entity_url(BASE, books, "moby's dick")
    assert [name for name in page["value"][0] if not name.startswith("@")] == ["title"]


def test_select_within_null() -> None:
    """A part of nothing is nothing."""
    assert one(PLAIN, select=("cover/size", "warnings/code"))["cover"] is None


def result(name: str, value: Any, representation: Representation = MINIMAL) -> dict[str, Any] | None:
    return operation_result(library, operation(name), value, base=BASE, representation=representation)


REPORT = {"id": "r1", "created": "2026-01-01T00:00:00Z", "books": 3}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("Total", 5, {"@odata.context": f"{ROOT}/$metadata#Edm.Int64", "value": 5}),
        ("Summary", ["a"], {"@odata.context": f"{ROOT}/$metadata#Collection(Edm.String)", "value": ["a"]}),
        ("Counted", [], {"@odata.context": f"{ROOT}/$metadata#Collection(Edm.Int64)", "value": []}),
        ("GenerateReport", REPORT, {"@odata.context": f"{ROOT}/$metadata#Reports/$entity", **REPORT}),
        (
            "Export",
            {"id": "x", "took": "P1Y35DT3H", "sizes": [1]},
            {
                "@odata.context": f"{ROOT}/$metadata#Contoso.Library.ExportResult",
                "id": "x",
                "took": "P400DT3H",
                "sizes": [1],
            },
        ),
        ("Newest", [], {"@odata.context": f"{ROOT}/$metadata#Books", "value": []}),
        ("Merge", None, None),
        ("Tidy", None, None),
    ],
)
def test_results(name: str, value: Any, expected: Any) -> None:
    """Plain values and collections are wrapped, complex ones are not, entities are those of their set, null is None."""
    assert result(name, value) == expected


def test_results_in_full() -> None:
    """A result says its type where its JSON does not show it; an entity is one as everywhere."""
    assert result("Total", 5, FULL) == {
        "@odata.context": f"{ROOT}/$metadata#Edm.Int64",
        "@odata.type": "#Int64",
        "value": 5,
    }
    report = result("GenerateReport", REPORT, FULL)
    assert report is not None
    assert report["@odata.id"] == f"{ROOT}/Reports('r1')"
    newest = result("Newest", [MOBY.entity.model_dump(mode="json", by_alias=True)], FULL)
    assert newest is not None
    assert newest["value"][0]["@odata.type"] == "#Contoso.Library.Book"


def test_results_without_metadata() -> None:
    """Without control information the wrapper stays."""
    assert result("Total", 2**60, Representation("none", True)) == {"value": str(2**60)}
    assert result("GenerateReport", REPORT, NONE) == REPORT


@pytest.mark.parametrize(
    ("value", "type", "representation", "expected"),
    [
        (float("inf"), "Edm.Double", MINIMAL, "INF"),
        (float("-inf"), "Edm.Double", MINIMAL, "-INF"),
        (float("nan"), "Edm.Double", MINIMAL, "NaN"),
        ("1E+5", "Edm.Decimal", MINIMAL, 100000),
        ("1E+5", "Edm.Decimal", EXACT, "100000"),
        ("0.1", "Edm.Decimal", MINIMAL, 0.1),
        ("-0.000000000000000000001", "Edm.Decimal", EXACT, "-0.000000000000000000001"),
        ("2026-01-01T00:00:00", "Edm.DateTimeOffset", MINIMAL, "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00+02:00", "Edm.DateTimeOffset", MINIMAL, "2026-01-01T00:00:00+02:00"),
        (None, "Edm.Int64", EXACT, None),
        (True, "Edm.Boolean", EXACT, True),
    ],
)
def test_single_values(value: Any, type: str, representation: Representation, expected: Any) -> None:
    """What JSON or pydantic writes otherwise than OData is put right."""
    assert write_value(value, TypeRef(type), representation) == expected


@given(st.timedeltas())
def test_durations(value: timedelta) -> None:
    """Every span reads back as itself, and has neither years nor months nor weeks."""
    text = duration_text(value)
    assert TypeAdapter(timedelta).validate_python(text) == value
    assert not set(text.partition("T")[0]) & set("YMW")


@pytest.mark.parametrize("etag", ["1a2b", "W/\"datetime'2026-01-01'\"", "a,b", "%22", "ü"])
def test_etags_come_back(etag: str) -> None:
    """Whatever a store calls an etag, a caller can send it back, alone or in a list, weak or strong."""
    header = etag_header(Stored(PLAIN.entity, etag))
    assert header is not None
    assert header.isascii()
    assert parse_etags(header) == (etag,)
    assert parse_etags(f'"other" , {header},W/"x"') == ("other", etag, "x")
    assert parse_etags(header.removeprefix("W/")) == (etag,)


@pytest.mark.parametrize(("header", "expected"), [(None, None), (" ", None), ("*", "*"), (' "" ', ("",))])
def test_etags_of_no_entity(header: str | None, expected: Any) -> None:
    """No header is no condition; the star is any entity."""
    assert parse_etags(header) == expected


@pytest.mark.parametrize("header", ["abc", "W/abc", '"a" "b"', '"a', '*,"a"', 'w/"a"', '"a",', '"a",' * 5000 + "x"])
def test_bad_etags(header: str) -> None:
    """A condition that cannot be read must not pass for none."""
    with pytest.raises(RequestError) as caught:
        parse_etags(header)
    assert caught.value.status == 400


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1))
def test_keys_come_back(key: str) -> None:
    """The key in an entity's URL reads back as itself."""
    inside = entity_url(BASE, books, key).removeprefix(f"{ROOT}/Books(").removesuffix(")")
    assert set(inside) <= set("'%-._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert read_key(books, unquote(inside)) == key


@pytest.mark.parametrize(("text", "key"), [("'a'", "a"), ("id='a'", "a"), (" id = 'it''s' ", "it's"), ("''", "")])
def test_keys(text: str, key: str) -> None:
    """A key is a string literal, with or without the name of its property."""
    assert read_key(books, text) == key


@pytest.mark.parametrize("text", ["", "a", "1", "'a", "'it's'", "title='a'", "'a','b'", "id=a", "null"])
def test_bad_keys(text: str) -> None:
    """Anything else is 400."""
    with pytest.raises(RequestError) as caught:
        read_key(books, text)
    assert (caught.value.status, caught.value.code) == (400, "InvalidKey")


def test_service_document() -> None:
    """Sets and functions without parameters are where a client can start from."""
    body = service_document(library, base=BASE, representation=MINIMAL)
    assert body == {
        "@odata.context": f"{ROOT}/$metadata",
        "value": [
            {"name": "Books", "kind": "EntitySet", "url": "Books"},
            {"name": "Reports", "kind": "EntitySet", "url": "Reports"},
            {"name": "Total", "kind": "FunctionImport", "url": "Total"},
        ],
    }
    bare = service_document(library, base=BASE, representation=NONE)
    assert list(bare) == ["value"]
    assert bare["value"][0]["url"] == f"{ROOT}/Books"
