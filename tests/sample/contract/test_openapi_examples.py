"""The examples in the description come from real runs: the same is run again here, and compared."""

import json
import re
from typing import Any

import httpx
import pytest

from shared.actions import ActionContext, Model, action
from shared.actions.registry import Registry
from shared.composition import Application
from shared.contracts.openapi.examples import read_examples, with_examples
from tests.sample.described import Json, answer, described, operations, resolved, sample, validator
from tests.sample.record_examples import FILE, record, write
from tests.support.host import LocalHost

RECORDED: Json = json.loads(FILE.read_text(encoding="utf-8"))
JSON = "application/json"
SAMPLE = (*(f"actions.{name}." for name in ("books", "catalog", "files", "imports", "presses", "shelves")), "OData ")
"""Where the sample's starts are declared. Whoever adds modules may give examples of theirs, and need not."""


def starts(registry: Registry, document: Json) -> Json:
    """The starts of the sample by function name; not those that somebody has added to it."""
    where = {endpoint.function_name: endpoint.where for endpoint in Application(registry).endpoints}
    return {
        name: operation
        for name, (_, _, operation) in operations(document).items()
        if operation.get("x-ms-long-running-operation") and where[name].startswith(SAMPLE)
    }


def shape(value: Any) -> Any:
    """What does not differ from run to run: the members and their types, of lists those of the first item."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def test_a_run_gives_the_same(tmp_path: Any) -> None:
    """Every recorded request is answered as recorded, but for ids, times and addresses.

    What the run does not call was written by hand. No start of the sample is among that.
    """
    with LocalHost(tmp_path) as host:
        found = record(host.url)
        served = httpx.get(f"{host.url}/openapi.json").json()
    recorded = {name: RECORDED.get(name) for name in found}
    assert shape(found) == shape(recorded), "run: python -m tests.sample.record_examples"
    assert starts(sample(), described(sample())).keys() <= found.keys()
    assert operations(served)["book_get"][2]["responses"]["200"]["content"][JSON]["example"]["title"] == "Moby Dick"


def test_every_start_has_one() -> None:
    """Each start of the sample shows what is sent, where something is, and what is answered, where something is."""
    found = starts(sample(), described(sample()))
    assert {"book_put", "files_upload_start", "book_import", "odata_batch", "odata_Books_Export"} <= found.keys()
    assert {"Contoso_Library_presses_write", "Contoso_Library_shelves_update"} <= found.keys()
    for name, operation in found.items():
        if "requestBody" in operation and "restart" not in name:
            assert "example" in operation["requestBody"]["content"][JSON], name
        for status, response in operation["responses"].items():
            if "content" in response:
                assert "example" in response["content"][JSON], (name, status)


def test_an_action_of_ones_own_needs_none() -> None:
    """What is added beside the sample is described, and none of the starts that have to have an example."""

    class Sum(Model):
        numbers: list[int]

    @action("numbers:sum", post="numbers:sum")
    async def add_up(context: ActionContext, request: Sum) -> int:
        return sum(request.numbers)

    whole = sample()
    more = Registry(
        [*whole.actions.values(), add_up],
        whole.reads.values(),
        whole.resources,
        whole.calls.values(),
        [whole.odata] if whole.odata else [],
        package=whole.package,
    )
    document = described(more)
    assert "numbers_sum" in operations(document)
    assert starts(more, document).keys() == starts(whole, described(whole)).keys()


@pytest.mark.parametrize("name", RECORDED)
def test_they_fit_their_schemas(name: str) -> None:
    """Requests and answers fit the schemas beside which they are shown."""
    document = described(sample())
    operation = operations(document)[name][2]
    kept = RECORDED[name]
    if "request" in kept:
        schema = resolved(document, operation["requestBody"]["content"][JSON]["schema"])
        validator(document, schema).validate(kept["request"])
    for status, said in kept["responses"].items():
        content = answer(document, name, int(status))["content"]
        if JSON in content:
            validator(document, content[JSON]["schema"]).validate(said["body"])


@pytest.mark.parametrize("name", [name for name in RECORDED if "path" in RECORDED[name]])
def test_paths_fit_their_schemas(name: str) -> None:
    """What stood in the path is shown beside each of its parameters, and fits it."""
    document = described(sample())
    _, path, operation = operations(document)[name]
    shown = {each["name"]: each for each in operation["parameters"] if each.get("in") == "path"}
    assert {key: each["example"] for key, each in shown.items()} == RECORDED[name]["path"]
    assert shown.keys() == set(re.findall(r"{([^}]+)}", path))
    for each in shown.values():
        validator(document, each["schema"]).validate(each["example"])


def test_contents_of_several_types() -> None:
    """JSON is shown for the JSON of an answer that may come in parts as well, and text for what is no JSON."""
    batch = answer(described(sample()), "odata_batch", 200)["content"]
    assert "example" in batch[JSON]
    assert "example" not in batch["multipart/mixed"]
    operation = {"parameters": [], "responses": {"200": {"content": {JSON: {}, "application/xml": {}}}}}
    shown = with_examples(operation, {"responses": {"200": {"body": "<a/>"}, "404": {"body": {}}}})
    assert shown["responses"] == {"200": {"content": {JSON: {}, "application/xml": {"example": "<a/>"}}}}


def test_nothing_in_them_opens_anything() -> None:
    """Secrets, signatures and this machine's addresses are not in them."""
    text = FILE.read_text(encoding="utf-8")
    for part in ("127.0.0.1", "localhost"):
        assert part not in text
    for marker in ("lroext_", "sig="):
        assert text.count(marker) == text.count(f"{marker}..."), marker


def test_what_is_written_by_hand_stays(tmp_path: Any) -> None:
    """Recording again replaces what was recorded, and leaves alone what the file says of other functions."""
    file = tmp_path / "examples.json"
    by_hand = {"request": {"numbers": [1, 2]}, "responses": {"202": {"body": {"status": "Running"}}}}
    stale = {"request": {"title": "old"}, "responses": {"400": {"body": "gone"}}}
    write({"numbers_sum": by_hand, "book_put": stale}, file)
    write({"book_put": RECORDED["book_put"], "health": RECORDED["health"]}, file)
    told = json.loads(file.read_text(encoding="utf-8"))
    assert told == {"book_put": RECORDED["book_put"], "health": RECORDED["health"], "numbers_sum": by_hand}
    assert list(told) == sorted(told)
    assert read_examples([file]) == told


def test_files_of_examples(tmp_path: Any) -> None:
    """The first file that names a function counts, and one that is not there is left out."""
    (tmp_path / "a.json").write_text('{"f": {"request": 1}}')
    (tmp_path / "b.json").write_text('{"f": {"request": 2}, "g": {"request": 3}}')
    files = [tmp_path / name for name in ("none.json", "a.json", "b.json")]
    assert read_examples(files) == {"f": {"request": 1}, "g": {"request": 3}}
