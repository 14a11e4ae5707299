"""Request bodies: every kind of bad input, and that no answer repeats a value."""

import json
from enum import IntEnum, StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, create_model

from shared.actions import Model
from shared.contracts.bodies import canonical_json, check_encoding, fingerprint, parse_input, read_json_object
from shared.contracts.errors import error_response
from shared.contracts.http import Request
from shared.errors import RequestError

JSON = {"content-type": "application/json"}


class Inner(Model):
    page_count: int = 1


class Body(Model):
    id: str
    file_name: str = Field(min_length=1)
    size: int | None = None
    inner: Inner | None = None
    data: Any = None


def read(body: bytes, headers: dict[str, str] = JSON, limit: int = 1000) -> dict[str, Any]:
    return read_json_object(Request(method="POST", url="http://h/x", headers=headers, body=body), limit=limit)


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"", {"transfer-encoding": "chunked"}, 411, "LengthRequired"),
        (b"", {"transfer-encoding": "gzip, Chunked", **JSON}, 411, "LengthRequired"),
        (b"x" * 1001, JSON, 413, "RequestBodyTooLarge"),
        (b"x" * 1001, {"content-type": "text/plain"}, 413, "RequestBodyTooLarge"),
        (b"{}", {}, 415, "UnsupportedMediaType"),
        (b"{}", {"content-type": "text/json"}, 415, "UnsupportedMediaType"),
        (b"{}", {"content-type": "application/jsonx"}, 415, "UnsupportedMediaType"),
        (b"{", JSON, 400, "InvalidJson"),
        (b"secret", JSON, 400, "InvalidJson"),
        (b"\xff\xfe\xff", JSON, 400, "InvalidJson"),
        (b"[]", JSON, 400, "InvalidJson"),
        (b"null", JSON, 400, "InvalidJson"),
        (b'"secret"', JSON, 400, "InvalidJson"),
        (b'{"a":1,"a":2}', JSON, 400, "InvalidJson"),
        (b'{"b":{"a":1,"a":1}}', JSON, 400, "InvalidJson"),
        (b'{"a":NaN}', JSON, 400, "InvalidJson"),
        (b'{"a":-Infinity}', JSON, 400, "InvalidJson"),
        (b'{"a":1e999}', JSON, 400, "InvalidJson"),
        (b'{"a":"\\ud800"}', JSON, 400, "InvalidJson"),
        (b'{"\\udfff":1}', JSON, 400, "InvalidJson"),
        (b'{"a":1} x', JSON, 400, "InvalidJson"),
    ],
)
def test_refused_bodies(body: bytes, headers: dict[str, str], status: int, code: str) -> None:
    """Each kind of body that is not a JSON object within the limit has its status and code, in this order."""
    with pytest.raises(RequestError) as caught:
        read(body, headers)
    assert (caught.value.status, caught.value.code) == (status, code)
    assert b"secret" not in error_response(caught.value).body


@pytest.mark.parametrize(
    "coding", ["gzip", "GZIP", "x-gzip", "br", "identity, gzip", "gzip,", ",deflate", "gzip;q=1", "identity;x", "zstd"]
)
@pytest.mark.parametrize(("body", "more"), [(b"{}", {}), (b"", {"transfer-encoding": "Chunked"})])
def test_coded_bodies(coding: str, body: bytes, more: dict[str, str]) -> None:
    """A body that anything but `identity` was done to is 415, and the answer says what is taken (RFC 9110, 15.5.16)."""
    headers = {"content-encoding": coding, **more}
    with pytest.raises(RequestError) as caught:
        check_encoding(Request(method="GET", url="http://h/x", headers=headers, body=body))
    assert (caught.value.status, caught.value.code) == (415, "UnsupportedContentEncoding")
    assert caught.value.headers == {"Accept-Encoding": "identity"}
    assert coding not in caught.value.message


@pytest.mark.parametrize("coding", ["", "identity", "Identity", " identity ,, IDENTITY", ",", "\tidentity"])
def test_bodies_that_are_as_they_are(coding: str) -> None:
    """`identity` is no coding, and neither is an empty element of the list (RFC 9110, sections 8.4.1 and 5.6.1)."""
    check_encoding(Request(method="POST", url="http://h/x", headers={"content-encoding": coding}, body=b"{}"))


def test_no_body_is_not_coded() -> None:
    """Where there is no content, what is said of it says nothing (RFC 9110, section 8.4)."""
    headers = {"content-encoding": "gzip", "content-type": "application/x-www-form-urlencoded", "content-length": "0"}
    check_encoding(Request(method="POST", url="http://h/x", headers=headers))
    assert read(b"", headers) == {}


def test_deep_nesting() -> None:
    """A body nested beyond all sense is 400, not a crash."""
    with pytest.raises(RequestError, match=r"400 InvalidJson.*nested too deeply"):
        read(b'{"a":' + b"[" * 100_000, limit=10**6)


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"]
)
def test_accepted_types(content_type: str) -> None:
    """JSON media types are taken with parameters and without case; no body at all is an empty object."""
    assert read(b'{"a":"\\ud83d\\ude00"}', {"content-type": content_type}) == {"a": "\U0001f600"}
    assert read(b"", {}) == {}
    assert read(b"x" * 0, {"content-length": "0"}) == {}


def parse(body: dict[str, Any], route: dict[str, str] | None = None) -> Body:
    value = parse_input(Body, {"id": "1"} if route is None else route, body)
    assert isinstance(value, Body)
    return value


def test_route_and_body_meet() -> None:
    """Route parameters are part of the input; repeating one with its value is fine."""
    assert parse({"fileName": "a"}) == parse({"fileName": "a", "id": "1"}) == Body(id="1", file_name="a")


@pytest.mark.parametrize(
    ("body", "code", "details"),
    [
        ({"fileName": "a", "id": "secret"}, "RouteMismatch", {("RouteMismatch", "id")}),
        ({"fileName": "a", "size": "3"}, "InvalidInput", {("InvalidValue", "size")}),
        ({"fileName": "a", "size": True}, "InvalidInput", {("InvalidValue", "size")}),
        ({"fileName": "a", "id": 2}, "RouteMismatch", {("RouteMismatch", "id")}),
        ({}, "InvalidInput", {("MissingField", "fileName")}),
        ({"fileName": ["secret"]}, "InvalidInput", {("InvalidValue", "fileName")}),
        ({"fileName": "a", "size": "secret"}, "InvalidInput", {("InvalidValue", "size")}),
        ({"fileName": "a", "more": "secret"}, "InvalidInput", {("UnknownField", "more")}),
        ({"file_name": "secret"}, "InvalidInput", {("MissingField", "fileName"), ("UnknownField", "file_name")}),
        ({"fileName": "a", "inner": {"more": "secret"}}, "InvalidInput", {("UnknownField", "inner.more")}),
        ({"fileName": "", "size": "secret"}, "InvalidInput", {("InvalidValue", "fileName"), ("InvalidValue", "size")}),
    ],
)
def test_refused_input(body: dict[str, Any], code: str, details: set[tuple[str, str]]) -> None:
    """The answer names every field that does not fit with a code of its own, and never its value."""
    with pytest.raises(RequestError) as caught:
        parse(body)
    answer = error_response(caught.value)
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["code"], answer.headers["x-ms-error-code"]) == (400, code, code)
    assert {(detail["code"], detail["target"]) for detail in error["details"]} == details
    assert b"secret" not in answer.body


def test_no_input() -> None:
    """An action without input takes no body, or an empty one."""
    assert parse_input(None, {}, {}) is None
    with pytest.raises(RequestError, match="takes no input"):
        parse_input(None, {}, {"a": 1})


def test_fingerprint() -> None:
    """Equal inputs are equal bytes whatever their order; action, verb, route and values tell requests apart."""
    one = canonical_json(parse({"fileName": "a", "size": 1}))
    assert one == canonical_json(parse({"size": 1, "fileName": "a", "id": "1"}))
    assert json.loads(one)["fileName"] == "a"
    prints = {
        fingerprint("a", "POST", one),
        fingerprint("b", "POST", one),
        fingerprint("a", "PUT", one),
        fingerprint("a", "POST", canonical_json(parse({"fileName": "a", "size": 1}, {"id": "2"}))),
        fingerprint("a", "POST", canonical_json(parse({"fileName": "b", "size": 1}))),
        fingerprint("a", "POST", canonical_json(None)),
    }
    assert len(prints) == 6


Short = Annotated[str, Field(max_length=3)]


class Level(IntEnum):
    LOW = 0


class Word(StrEnum):
    ZERO = "0"


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (str, "0"),
        (str | None, "0"),
        (Short | None, "0"),
        (Literal["0", "1"], "0"),
        (Word, Word.ZERO),
        (int, 0),
        (int | None, 0),
        (float, 0.0),
        (Level, Level.LOW),
        (Literal[0, 1], 0),
    ],
    ids=str,
)
def test_route_values(annotation: Any, value: Any) -> None:
    """What stands in the path stays text where the field takes text, and is a number where it wants one."""
    model = create_model("Keyed", __base__=Model, key=(annotation, ...))
    assert dict(parse_input(model, {"key": "0"}, {}) or {}) == {"key": value}
