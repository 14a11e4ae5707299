"""What OData requests may leave out and may not repeat: bodies and query options, over HTTP and inside batches."""

import json
from typing import Any

import httpx
import pytest

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BATCH = "/odata/$batch"
GZIP = {"Content-Encoding": "gzip"}


def error_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["odata-version"] == "4.01"
    return answer.status_code, answer.json()["error"]["code"]


def entries(client: httpx.Client, *requests: dict[str, Any]) -> list[tuple[int, str]]:
    """Status and error code of each answer of a JSON batch."""
    numbered = [{"id": str(number), **request} for number, request in enumerate(requests)]
    answers = client.post(BATCH, json={"requests": numbered}).raise_for_status().json()["responses"]
    return [(each["status"], each.get("headers", {}).get("x-ms-error-code", "")) for each in answers]


def multipart(*lines: str, outer: str = "", body: str = "{}") -> dict[str, Any]:
    head = ["--b", "Content-Type: application/http", *([outer] if outer else []), ""]
    text = "\r\n".join([*head, *lines, "Content-Type: application/json", "", body, "--b--", ""])
    return {"content": text.encode(), "headers": {"Content-Type": "multipart/mixed; boundary=b"}}


@pytest.mark.parametrize("headers", [{}, FORM, FORM | GZIP, {"Content-Type": "text/plain"}])
def test_an_action_without_a_body(client: httpx.Client, headers: dict[str, str]) -> None:
    """There is no content to have a type: it is called with what its parameters are by default."""
    answer = client.post("/odata/TrialSized", content=b"", headers=headers)
    assert (answer.status_code, len(answer.json()["value"])) == (200, 40)


@pytest.mark.parametrize("headers", [{}, FORM, {"Content-Type": "application/json"}])
def test_an_entity_without_a_body(client: httpx.Client, headers: dict[str, str]) -> None:
    """What is to be written is missing, and the answer says so, whatever the type; {} is a body."""
    for method, target in (("POST", "/odata/Notes"), ("PATCH", "/odata/Notes('no-body')")):
        answer = client.request(method, target, content=b"", headers=headers)
        assert error_of(answer) == (400, "BodyRequired")
    assert error_of(client.post("/odata/Notes", json={})) == (400, "InvalidInput")
    alone, grouped = {"method": "POST", "url": "Notes"}, {"method": "POST", "url": "Notes", "atomicityGroup": "g"}
    assert entries(client, alone, grouped) == [(400, "BodyRequired")] * 2


@pytest.mark.parametrize("headers", [{}, FORM, {"Content-Type": "application/json"}])
def test_a_batch_without_a_body(client: httpx.Client, headers: dict[str, str]) -> None:
    """The same for a batch."""
    answer = client.post(BATCH, content=b"", headers=headers)
    assert error_of(answer) == (400, "InvalidBatch")
    assert "no body" in answer.json()["error"]["message"]


def test_parts_with_a_content_encoding(client: httpx.Client) -> None:
    """A request of a batch is refused as it would be alone, and the others are done; of its group nothing is."""
    coded = {"method": "POST", "url": "Notes", "body": {"id": "coded"}, "headers": {"content-encoding": "br"}}
    fine = {"method": "POST", "url": "TrialNothing", "headers": {"content-encoding": "Identity,"}, "body": {}}
    empty = {"method": "GET", "url": "Notes/$count", "headers": {"content-encoding": "br"}}
    assert entries(client, coded, fine, empty) == [(415, "UnsupportedContentEncoding"), (204, ""), (200, "")]
    whole = {"method": "POST", "url": "Notes", "body": {"id": "whole"}}
    group = [{**each, "atomicityGroup": "g"} for each in (whole, coded)]
    assert entries(client, *group) == [(424, "FailedDependency"), (415, "UnsupportedContentEncoding")]
    assert client.get("/odata/Notes('whole')").status_code == 404


def test_multipart_parts_with_a_content_encoding(client: httpx.Client) -> None:
    """The coding of the enclosed request is its own affair; that of a part's message spoils the batch."""
    inner = client.post(BATCH, **multipart("POST TrialNothing HTTP/1.1", "Content-Encoding: gzip"))
    assert inner.status_code == 200
    assert b"415 Unsupported Media Type" in inner.content
    assert b"Accept-Encoding: identity" in inner.content
    outer = client.post(BATCH, **multipart("POST TrialNothing HTTP/1.1", outer="Content-Encoding: gzip"))
    assert error_of(outer) == (415, "UnsupportedContentEncoding")


@pytest.mark.parametrize(
    ("target", "option"),
    [
        ("Notes?$top=1&$top=2", "$top"),
        ("Notes?%24top=1&top=1", "$top"),
        ("Notes?$filter=true&$filter=true", "$filter"),
        ("Notes/$count?$orderby=id&orderby=id", "$orderby"),
        ("Notes?@a=1&@a=2&$filter=@a eq 1", "@a"),
        ("Notes('x')?$select=id&$select=id", "$select"),
        ("$metadata?$format=json&$format=xml", "$format"),
        ("TrialAdd(a=@a)?@a=1&@a=2", "@a"),
    ],
)
def test_options_that_are_repeated(client: httpx.Client, target: str, option: str) -> None:
    """The host joins the values by commas; the message is about the name that is there twice, in a batch as well."""
    answer = client.get(f"/odata/{target}")
    assert error_of(answer) == (400, "InvalidQueryOption")
    assert answer.json()["error"]["message"] == f"The query option {option} is there twice; give it once."
    assert entries(client, {"method": "GET", "url": target}) == [(400, "InvalidQueryOption")]


def test_numbers_of_any_length(client: httpx.Client) -> None:
    """A huge `$top` is paged like any other, a huge `$skip` leaves nothing; a caller's own name may be repeated."""
    client.post("/odata/Notes", json={"id": "counted"})
    huge = "9" * 20
    found = client.get(f"/odata/Notes?$top={huge}&mine=1&mine=2").raise_for_status().json()["value"]
    assert {"id": "counted", "text": ""}.items() <= next(each for each in found if each["id"] == "counted").items()
    assert client.get(f"/odata/Notes?$skip={huge}").raise_for_status().json()["value"] == []


def test_lists_without_members(client: httpx.Client) -> None:
    """`in ()` is true of nothing, in `/$count` as well."""
    client.post("/odata/Notes", json={"id": "listed"})
    none = client.get("/odata/Notes?$filter=text in ()").raise_for_status().json()["value"]
    every = client.get("/odata/Notes?$filter=not (text in ( ))").raise_for_status().json()["value"]
    assert (none, "listed" in json.dumps(every)) == ([], True)
    assert client.get("/odata/Notes/$count?$filter=text in ()").text == "0"
