"""Versions, representations and bodies: what each header and `$format` comes to."""

from time import process_time
from typing import Any

import pytest

from shared.contracts.http import Request
from shared.contracts.odata.media import (
    Representation,
    check_json_body,
    content_type,
    json_representation,
    metadata_format,
    odata_version,
)
from shared.errors import RequestError

MINIMAL, FULL, NONE = Representation(), Representation("full"), Representation("none")
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def request(body: bytes = b"", **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method="GET", url="http://h/odata/Books", headers=named, body=body)


def refusal(call: Any, *arguments: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        call(*arguments)
    return caught.value


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({}, "4.01"),
        ({"odata_maxversion": "4.0"}, "4.0"),
        ({"odata_maxversion": " 4.0 "}, "4.0"),
        ({"odata_maxversion": "4.01"}, "4.01"),
        ({"odata_maxversion": "4.02"}, "4.01"),
        ({"odata_maxversion": "5.0"}, "4.01"),
        ({"odata_version": "4.0"}, "4.01"),
        ({"odata_version": "4.01", "odata_maxversion": "4.0"}, "4.0"),
        ({"odata_version": "4.0;NetFx", "odata_maxversion": "4.0;NetFx"}, "4.0"),
        ({"odata_version": "4.0;"}, "4.01"),
    ],
)
def test_the_version_of_the_answer(headers: dict[str, str], version: str) -> None:
    """The answer has the highest version that the caller takes, 4.01 where it says nothing."""
    assert odata_version(request(**headers)) == version


@pytest.mark.parametrize(
    "headers",
    [
        {"odata_maxversion": "3.0"},
        {"odata_maxversion": "3.99"},
        {"odata_maxversion": "four"},
        {"odata_maxversion": "4"},
        {"odata_maxversion": "4.0, 4.01"},
        {"odata_version": "3.0"},
        {"odata_version": "4.02"},
        {"odata_version": "4.0,4.0"},
        {"odata_version": "x" * 5000},
    ],
)
def test_versions_that_are_refused(headers: dict[str, str]) -> None:
    """A caller below 4.0, and a body that is neither 4.0 nor 4.01, get 400 with the name of the header."""
    error = refusal(odata_version, request(**headers))
    assert (error.status, error.code) == (400, "UnsupportedODataVersion")
    assert len(error.message) < 200


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", MINIMAL),
        ("application/json", MINIMAL),
        ("APPLICATION/JSON", MINIMAL),
        ("*/*", MINIMAL),
        ("application/*", MINIMAL),
        ("application/json;odata.metadata=full", FULL),
        ("application/json;metadata=full", FULL),
        ("application/json; odata.metadata = none ; odata.streaming=true", NONE),
        ("application/json;streaming=false;charset=UTF-8", MINIMAL),
        ('application/json;charset="utf-8"', MINIMAL),
        ("application/json;IEEE754Compatible=true", Representation(ieee754=True)),
        ("application/json;ieee754compatible=TRUE;odata.metadata=Full", Representation("full", True)),
        ("application/json;IEEE754Compatible=false;ExponentialDecimals=true", MINIMAL),
        ("application/json;odata.metadata=none;q=0.5, application/json;odata.metadata=full", FULL),
        ("application/json;odata.metadata=none, application/json;odata.metadata=full", NONE),
        ("*/*, application/json;odata.metadata=full", FULL),
        ("application/atom+xml, application/json;q=0.1", MINIMAL),
        ("application/json;odata=verbose, application/json;q=0.9", MINIMAL),
        ("nonsense, ;;;, application/json;odata.metadata=full", FULL),
        (BROWSER, MINIMAL),
        ('text/plain;note="a, b", application/json;odata.metadata=none', NONE),
        ("application/json;q=0, application/json;odata.metadata=full", FULL),
    ],
)
def test_accept(accept: str, expected: Representation) -> None:
    """The best range that this service can write decides; parameters count in either spelling and in any case."""
    assert json_representation(request(accept=accept), {}) == expected


@pytest.mark.parametrize(
    "accept",
    [
        "application/xml",
        "text/plain",
        "text/json",
        "application/json;odata=verbose",
        "application/json;odata.metadata=some",
        "application/json;metadata=",
        "application/json;charset=utf-16",
        "application/json;IEEE754Compatible=maybe",
        "application/json;odata.ieee754compatible=true",
        "application/json;q=0",
        "application/json;q=0, */*",
        "application/json;q=7",
        "nonsense",
        '"' * 3000,
        '"\\' * 1500,
    ],
)
def test_accept_without_room(accept: str) -> None:
    """What this service does not write, and what has a parameter it does not know, is 406."""
    error = refusal(json_representation, request(accept=accept), {})
    assert (error.status, error.code, error.target) == (406, "NotAcceptable", "Accept")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("json", MINIMAL),
        ("JSON", MINIMAL),
        ("application/json", MINIMAL),
        ("application/json;metadata=full", FULL),
        ("application/json;odata.metadata=none;IEEE754Compatible=true", Representation("none", True)),
    ],
)
@pytest.mark.parametrize("name", ["$format", "$FORMAT", "format"])
def test_format_wins(name: str, text: str, expected: Representation) -> None:
    """$format counts before Accept, which would have led to 406 here; 4.01 takes it without the dollar sign."""
    assert json_representation(request(accept="application/xml"), {name: text}) == expected


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("xml", 406),
        ("atom", 406),
        ("verbosejson", 400),
        ("json;odata.metadata=full", 400),
        ("", 400),
        ("application/xml", 406),
        ("*/*", 406),
        ("application/*", 406),
        ("application/json;odata.metadata=some", 406),
        ("application/json;q=0.5;x=1", 406),
    ],
)
def test_formats_that_are_refused(text: str, status: int) -> None:
    """A $format that is no media type is 400, and one that is not written here 406, though Accept would do."""
    error = refusal(json_representation, request(accept="application/json"), {"$format": text})
    assert (error.status, error.target) == (status, "$format")


@pytest.mark.parametrize(
    ("accept", "query", "expected"),
    [
        ("", {}, "xml"),
        ("*/*", {}, "xml"),
        ("application/*", {}, "xml"),
        (BROWSER, {}, "xml"),
        ("application/xml", {}, "xml"),
        ("application/xml;charset=utf-8", {}, "xml"),
        ("application/json", {}, "json"),
        ("application/json;odata.metadata=minimal", {}, "json"),
        ("application/json, */*;q=0.1", {}, "json"),
        ("application/json;q=0.4, application/xml;q=0.5", {}, "xml"),
        ("*/*, application/json", {}, "json"),
        ("application/json", {"$format": "xml"}, "xml"),
        ("application/xml", {"$format": "application/json"}, "json"),
        ("text/plain", {"$format": "json"}, "json"),
    ],
)
def test_the_form_of_metadata(accept: str, query: dict[str, str], expected: str) -> None:
    """$metadata is XML unless JSON is asked for."""
    assert metadata_format(request(accept=accept), query) == expected


@pytest.mark.parametrize("accept", ["text/html", "application/yaml"])
def test_no_form_of_metadata(accept: str) -> None:
    """$metadata in a form that is not written here is 406."""
    assert refusal(metadata_format, request(accept=accept), {}).status == 406


@pytest.mark.parametrize("part", [";  ", '; a="', ";a=b  ", ",  ", '\\"', "; a = b ;", "a/b;", ' "'])
def test_long_headers_take_no_time(part: str) -> None:
    """A header that is made to be read again and again is read once."""
    text = f"a/b{(part * 2000)[:2000]}!"
    before = process_time()
    assert refusal(json_representation, request(accept=text), {}).status == 406
    assert refusal(json_representation, request(), {"$format": text}).status in (400, 406)
    assert refusal(check_json_body, request(b"{}", content_type=text)).status == 415
    assert process_time() - before < 1


def test_content_types() -> None:
    """The parameter names are those that clients of both versions read."""
    assert content_type(MINIMAL) == "application/json;odata.metadata=minimal"
    assert content_type(Representation("full", True)) == "application/json;odata.metadata=full;IEEE754Compatible=true"


@pytest.mark.parametrize(
    ("content", "ieee754"),
    [
        ("application/json", False),
        ("application/json;odata.metadata=minimal;odata.streaming=true;charset=utf-8", False),
        ("application/json;IEEE754Compatible=true", True),
        ('Application/JSON; charset="UTF-8"; ieee754compatible=true', True),
    ],
)
def test_bodies_that_are_read(content: str, ieee754: bool) -> None:
    """JSON in UTF-8 with the format parameters of OData is read, and says whether its numbers may be strings."""
    assert check_json_body(request(b"{}", content_type=content)) is ieee754


@pytest.mark.parametrize(
    "content",
    [
        "",
        "text/plain",
        "application/xml",
        "application/problem+json",
        "application/*",
        "application/json;odata=verbose",
        "application/json;charset=latin1",
        "application/json, application/json",
        "json",
    ],
)
def test_bodies_that_are_not_read(content: str) -> None:
    """Another media type, another charset and an unknown format parameter are 415."""
    assert refusal(check_json_body, request(b"{}", content_type=content)).status == 415


def test_no_body_needs_no_type() -> None:
    """An action without parameters may be called without a body and without Content-Type."""
    assert check_json_body(request()) is False
