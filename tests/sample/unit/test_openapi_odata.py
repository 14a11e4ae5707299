"""What the description says of an OData service is what the service takes and answers."""

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from jsonschema import ValidationError
from pydantic import TypeAdapter

from shared.actions.odata.entities import Stored
from shared.contracts.http import json_response
from shared.contracts.odata import payloads
from shared.contracts.odata.batch.json import parse_json, render_json
from shared.contracts.odata.batch.parts import BatchResponse
from shared.contracts.odata.media import Representation
from shared.contracts.odata.metadata.service_document import service_document
from shared.contracts.odata.reading_bodies import read_changes, read_entity, read_parameters
from shared.contracts.odata.targets import resolve
from shared.contracts.openapi.odata_schemas import BatchAnswers, BatchRequests, ServiceDocument
from shared.contracts.openapi.schemas import Schemas
from shared.errors import RequestError
from tests.sample.described import BASE, Json, answer, described, operations, resolved, sample, trial, validator
from tests.support.odata_library import Book, Cover, Warned, books, library, operation

JSON = "application/json"
BOOK = Book(
    id="moby",
    title="Moby Dick",
    words=2**60,
    rating=float("inf"),
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
)
PLAIN = Book(id="plain", title="Plain")


def body_schema(document: Json, name: str) -> Json:
    return resolved(document, operations(document)[name][2]["requestBody"]["content"][JSON]["schema"])


def answered(document: Json, name: str, status: int = 200) -> Any:
    """What a JSON answer is held against."""
    return validator(document, answer(document, name, status)["content"][JSON]["schema"])


@pytest.mark.parametrize("metadata", ["minimal", "full", "none"])
@pytest.mark.parametrize("select", [None, ["title"], ["cover/size", "warnings"]])
def test_entities(metadata: Any, select: list[str] | None) -> None:
    """A page and an entity fit, whatever properties there are, how much is said of them, and which are selected."""
    document, form = described(trial()), Representation(metadata)
    entities = [Stored(BOOK, "1a"), Stored(PLAIN, "")]
    page = payloads.collection(
        entities, books, base=BASE, representation=form, select=select, count=2, next_link=f"{BASE}/odata/Books?$top=1"
    )
    answered(document, "odata_Books").validate(page)
    one = payloads.entity(entities[0], books, base=BASE, representation=form, select=select)
    answered(document, "odata_Books_entity").validate(one)
    with pytest.raises(ValidationError):
        answered(document, "odata_Books_entity").validate({**one, "title": 5})


RESULTS: dict[str, Any] = {
    "GenerateReport": {"id": "r", "created": "2026-01-02T03:04:05Z", "books": 3},
    "Export": {"id": "e", "took": "PT1H", "sizes": [1]},
    "Merge": BOOK.model_dump(mode="json", by_alias=True),
    "Summary": ["a sentence"],
    "Newest": [PLAIN.model_dump(mode="json", by_alias=True)],
    "Total": 5,
    "Counted": [5],
}


@pytest.mark.parametrize("name", RESULTS)
def test_results(name: str) -> None:
    """What an action or a function returns fits the 200 of each of its URLs."""
    document, declared = described(trial()), operation(name)
    body = payloads.operation_result(library, declared, RESULTS[name], base=BASE, representation=Representation())
    for endpoint in declared.endpoints():
        check = answered(document, endpoint.function_name)
        check.validate(body)
        with pytest.raises(ValidationError):
            check.validate([])


def test_no_result() -> None:
    """What returns nothing is 204 alone, what may return null is either."""
    found = operations(described(trial()))
    assert {"204"} == {"200", "204"} & found["odata_Tidy"][2]["responses"].keys()
    assert {"200", "204"} <= found["odata_Books_Merge"][2]["responses"].keys()
    assert "204" not in found["odata_GenerateReport"][2]["responses"]


def test_new_entities() -> None:
    """A POST brings what has no default; what the service sets is not asked for; unknown members are refused."""
    document = described(trial())
    schema = body_schema(document, "odata_Books-create")
    assert (schema["required"], schema["additionalProperties"]) == (["id", "title"], False)
    assert set(schema["properties"]) == books.type.properties.keys() - {"sha256", "sizeBytes"}
    takes = validator(document, schema)
    for body in ({"id": "a", "title": "A", "words": 3, "price": 1.5, "cover": {"mediaType": "x", "size": 1}},):
        takes.validate(body)
        read_entity(books, body)
    for body in ({"id": "a"}, {"id": "a", "title": "A", "color": "red"}, {"id": "a", "title": "A", "words": -1}):
        assert not takes.is_valid(body)
        with pytest.raises(RequestError):
            read_entity(books, body)


def test_changes() -> None:
    """A PATCH may bring any member but the key, none has a default, and null is for what may be null."""
    document = described(trial())
    schema = body_schema(document, "odata_Books_entity-update")
    assert "required" not in schema
    assert "id" not in schema["properties"]
    assert not any("default" in each for each in schema["properties"].values())
    takes = validator(document, schema)
    for body in ({}, {"words": 3}, {"rating": None}):
        takes.validate(body)
        read_changes(books, body)
    for body in ({"words": None}, {"title": ""}, {"color": "red"}):
        assert not takes.is_valid(body)
        with pytest.raises(RequestError):
            read_changes(books, body)


def test_parameters() -> None:
    """An action's parameters are its body, without the key; one that may be null may be left out."""
    document = described(trial())
    report = body_schema(document, "odata_GenerateReport")
    assert report["required"] == ["limit"]
    read_parameters(operation("GenerateReport"), {"limit": 1})
    assert set(body_schema(document, "odata_Books_Export")["properties"]) == {"format", "cover"}
    assert "requestBody" not in operations(document)["odata_Tidy"][2]
    assert operations(described(sample()))["odata_GenerateReport"][2]["requestBody"]["required"] is False


def test_urls_of_functions() -> None:
    """Arguments have names in the path, text its quotes, and the path with arguments filled in calls the function."""
    _, path, found = operations(described(trial()))["odata_Counted"]
    assert path == "/odata/Counted(language='{language}')"
    assert [p["name"] for p in found["parameters"] if p.get("in") == "path"] == ["language"]
    target = resolve(library, path.format(language="en"))
    assert (target.operation, target.arguments) == (operation("Counted"), "language='en'")
    # Of what may be null the caller writes the literal: null has no quotes.
    long = operations(described(trial()))["odata_Books_Summary"][1]
    assert long.startswith("/odata/Books('{key}')/Contoso.Library.Summary(sentences={sentences},")
    assert "tone={tone}," in long


def test_keys() -> None:
    """A key is what its property is, inside the quotes of the path."""
    _, path, found = operations(described(trial()))["odata_Books_entity"]
    assert path == "/odata/Books('{key}')"
    assert found["parameters"][0]["schema"] == {"type": "string", "minLength": 1, "maxLength": 60}
    assert resolve(library, path.format(key="it''s")).key == "it's"


@pytest.mark.parametrize(("seconds", "required"), [("89", True), ("90", False)])
def test_what_is_never_answered_at_once(seconds: str, required: bool) -> None:
    """An action declared longer than a request may take needs `respond-async`; others may do without."""
    document = described(sample(), SYNC_TIMEOUT_SECONDS=seconds)

    def prefer(name: str) -> Json:
        found = [resolved(document, each) for each in operations(document)[name][2]["parameters"]]
        return next(each for each in found if each["name"] == "Prefer")

    assert prefer("odata_GenerateReport")["required"] is required
    assert ("pattern" in prefer("odata_GenerateReport")["schema"]) is required
    assert prefer("odata_Books_ProcessLargeFile")["required"] is True
    assert prefer("odata_Books_Export")["required"] is False


def test_a_set_that_is_only_read() -> None:
    """There is nothing to write in the description of a set that is read, and removed from at the most."""
    methods = described(sample())["paths"]
    assert set(methods["/odata/Reports"]) == {"get"}
    assert set(methods["/odata/Reports('{key}')"]) == {"get", "delete"}
    assert set(methods["/odata/Books"]) == {"get", "post"}
    assert set(methods["/odata/Books('{key}')"]) == {"get", "patch", "delete"}


BATCHES: list[tuple[Any, bool]] = [
    ({"requests": []}, True),
    ({"requests": [{"id": "1", "method": "GET", "url": "Books"}]}, True),
    ({"requests": [{"id": "1", "method": "DELETE", "url": "a", "atomicityGroup": "g", "dependsOn": None}]}, True),
    ({"requests": [{"id": "1", "method": "POST", "url": "a", "headers": {"prefer": "x"}, "body": {}}]}, True),
    ({}, False),
    ({"requests": [{"id": "a b", "method": "GET", "url": "Books"}]}, False),
    ({"requests": [{"id": "1", "method": "TRACE", "url": "Books"}]}, False),
    ({"requests": [{"id": "1", "method": "GET", "url": ""}]}, False),
    ({"requests": [{"id": "1", "method": "GET", "url": "a", "more": 1}]}, False),
    ({"requests": [], "more": 1}, False),
]


@pytest.mark.parametrize(("batch", "fits"), BATCHES)
def test_batches(batch: Any, fits: bool) -> None:
    """The schema of a JSON batch takes what the reader takes, and refuses what that refuses."""
    document = described(sample())
    assert validator(document, body_schema(document, "odata_batch")).is_valid(batch) is fits
    if fits:
        parse_json(json.dumps(batch).encode())
    else:
        with pytest.raises(RequestError):
            parse_json(json.dumps(batch).encode())


def closed(shape: Any) -> Any:
    """The shape with every object closed, so that a member it does not know fails."""
    schemas = Schemas([("it", "validation", TypeAdapter(shape))])
    return validator({"components": {"schemas": schemas.components}}, schemas.of("it"))


def test_answers_of_batches() -> None:
    """What a batch and the service document are answered with has no member that is not described."""
    answers = [
        BatchResponse(id="1", response=json_response(200, {"a": 1}, {"ETag": 'W/"1"'})),
        BatchResponse(id="2", group="g", response=json_response(404, {"error": {}})),
    ]
    closed(BatchAnswers).validate(json.loads(render_json(answers)))
    for metadata in ("minimal", "none"):
        representation = Representation(metadata)
        closed(ServiceDocument).validate(service_document(library, base=BASE, representation=representation))
    assert not closed(BatchRequests).is_valid({"requests": [{"id": "1"}]})


def test_methods() -> None:
    """Each path takes the methods that it is described with, HEAD where there is GET, and no other."""
    document = described(trial())
    for path, methods in document["paths"].items():
        if not path.startswith("/odata"):
            continue
        filled = path.format_map({name: "null" for name in parameter_names(document, path)})
        described_methods = {m.upper() for m in methods} | ({"HEAD"} if "get" in methods else set())
        assert described_methods == set(resolve(library, filled).allow), path


def parameter_names(document: Json, path: str) -> set[str]:
    found = [resolved(document, each) for o in document["paths"][path].values() for each in o["parameters"]]
    return {each["name"] for each in found if each["in"] == "path"}


def test_requests_are_as_described() -> None:
    """The parameters are those that the service reads: system query options, preferences, conditions, versions."""
    document = described(sample())
    names = {
        name: {resolved(document, each)["name"] for each in o["parameters"]}
        for name, (_, _, o) in operations(document).items()
    }
    options = {"$filter", "$orderby", "$select", "$top", "$skip", "$count", "$skiptoken", "$format"}
    assert names["odata_Books"] == options | {"$search", "Prefer", "OData-MaxVersion"}
    assert names["odata_Reports"] == options | {"Prefer", "OData-MaxVersion"}
    assert names["odata_Books_count"] == {"$filter", "$search", "OData-MaxVersion"}
    assert names["odata_Books_entity"] == {"key", "$select", "$format", "If-None-Match", "OData-MaxVersion"}
    assert {"If-Match", "Prefer"} <= names["odata_Books_entity-update"]
    assert "If-Match" in names["odata_Books_entity-delete"]
    assert "api-version" not in set().union(*(names[name] for name in names if name.startswith("odata")))
