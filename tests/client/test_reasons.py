"""Why an operation failed, in the shapes that services have for it, and in those that they should not have."""

import json
from typing import Any

import pytest

from lro_client import ErrorDetail, OperationFailed, Profile, StartRefused
from lro_client.model import Source
from lro_client.polling import read
from lro_client.reasons import error_of, reason_of
from tests.client.readings import THING, answer, track
from tests.client.scripted import ACCEPTED, Reply, Service

TEXT = "quota exceeded"
ERROR = {"code": "Quota", "message": TEXT}
BOTH = f"Quota: {TEXT}"

MONITORS: list[tuple[dict[str, Any], str]] = [
    ({"error": ERROR}, BOTH),
    ({"Error": {"Code": "Quota", "Message": TEXT}}, BOTH),
    ({"error": TEXT}, TEXT),
    ({"error": [ERROR]}, BOTH),
    ({"error": {"error": ERROR}}, BOTH),
    ({"error": {"code": "Quota"}}, "Quota"),
    ({"error": {"title": TEXT}}, TEXT),
    ({"error": {"details": [ERROR]}}, BOTH),
    ({"error": {"errors": [ERROR]}}, BOTH),
    ({"error": {"code": None, "message": None}, "properties": {"error": ERROR}}, BOTH),
    ({"error": {}, "message": TEXT}, TEXT),
    ({"error": "quota", "error_description": TEXT}, f"quota: {TEXT}"),
    ({"odata.error": {"code": "Quota", "message": {"lang": "en-US", "value": TEXT}}}, BOTH),
    ({"code": "Quota", "message": TEXT, "innererror": {"message": "deep"}}, BOTH),
    ({"code": "Quota"}, "Quota"),
    ({"message": TEXT}, TEXT),
    ({"errorCode": "Quota", "errorMessage": TEXT}, BOTH),
    ({"errors": [TEXT]}, TEXT),
    ({"errors": {"object": "list", "data": [ERROR]}}, BOTH),
    ({"analyzeResult": {"errors": [ERROR]}}, BOTH),
    ({"results": {"errors": [{"id": "1", "error": ERROR}]}}, BOTH),
    ({"result": {"error": ERROR}}, BOTH),
    ({"jobs": [{"status": "Succeeded"}, {"status": "Failed", "error": ERROR}]}, BOTH),
    ({"last_error": ERROR}, BOTH),
    ({"failureReason": TEXT}, TEXT),
    ({"failureReason": "QuotaExceeded", "failureMessage": TEXT}, TEXT),
    ({"conditions": [{"type": "Ready", "reason": "QuotaExceeded", "message": TEXT}]}, TEXT),
    ({"error": {"code": "Quota"}, "statusMessage": TEXT}, BOTH),
    ({"statusDetails": {"message": TEXT}}, TEXT),
    ({"statusMessage": "Failed", "message": TEXT}, TEXT),
    ({"message": "Welcome", "statusMessage": TEXT}, TEXT),
    ({"properties": {"statusMessage": TEXT}}, TEXT),
    ({"properties": {"statusMessage": {"error": ERROR}}}, BOTH),
    ({"properties": {"statusMessage": json.dumps({"status": "Failed", "error": ERROR})}}, BOTH),
    ({"properties": {"provisioningError": ERROR}}, BOTH),
    ({"properties": {"instanceView": {"statuses": [{"code": "Quota", "message": TEXT}]}}}, BOTH),
]


@pytest.mark.parametrize(("body", "shown"), MONITORS, ids=lambda part: json.dumps(part)[:60])
def test_shapes(body: dict[str, Any], shown: str) -> None:
    """A monitor's reason is found, and so is that of a resource that says it in the same way."""
    for source in (Source.OPERATION_LOCATION, Source.AZURE_ASYNC_OPERATION):
        for word in ("Failed", "canceled"):
            assert str(read(track(source), answer(Reply(200, {"status": word} | body))).error) == shown
    resource = {"id": "/things/1", "provisioningState": "Failed"} | body
    assert str(read(track(Source.RESOURCE, "PUT"), answer(Reply(200, resource), url=THING)).error) == shown


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"error": None},
        {"error": True, "errors": []},
        {"progress": {"message": "Half way there"}, "tags": {"reason": "mine"}, "warnings": [ERROR]},
        {"properties": {"title": "Poetry", "description": "Mine", "language": {"code": "en"}}},
        {"maxErrors": "3", "onError": "continue"},
        {"statusMessage": "Failed"},
    ],
    ids=json.dumps,
)
def test_no_reason(body: dict[str, Any]) -> None:
    """What tells of something else is not taken for a reason."""
    assert reason_of({"status": "Failed"} | body) is None
    with pytest.raises(OperationFailed, match="no reason was given"):
        Service(ACCEPTED, Reply(200, {"status": "Failed"} | body)).client().run("POST", "x")


def test_goes_on_without_a_reason() -> None:
    """What has not failed has no error, whatever it warns of."""
    for word in ("Running", "Succeeded"):
        assert (
            read(track(Source.OPERATION_LOCATION), answer(Reply(200, {"status": word, "errors": [ERROR]}))).error
            is None
        )


def test_parts() -> None:
    """Several errors are one with parts; inner errors are parts, too."""
    found = reason_of({"status": "Failed", "errors": [ERROR, {"code": "More", "message": "two"}]})
    assert found is not None
    assert (str(found), [str(part) for part in found.details]) == (BOTH, ["More: two"])
    inner = {"code": "Inner", "message": "deep", "innererror": {"code": "Deeper", "trace": "at x()"}}
    found = reason_of({"status": "Failed", "error": ERROR | {"details": [{"code": "A"}], "innererror": inner}})
    assert found is not None
    assert [part.code for part in found.details] == ["A", "Inner"]
    assert [part.code for part in found.details[1].details] == ["Deeper"]


def page(content_type: str, text: str) -> Reply:
    return Reply(400, headers={"Content-Type": content_type} if content_type else {}, body=text.encode())


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        (Reply(400, {"error": ERROR}), BOTH),
        (Reply(400, ERROR | {"innererror": {"code": "Inner"}}), BOTH),
        (Reply(400, {"title": "Bad", "detail": TEXT, "status": 400}), TEXT),
        (Reply(400, {"Message": TEXT}), TEXT),
        (Reply(400, {"errors": [ERROR]}), BOTH),
        (Reply(401, {"error": "invalid_grant", "error_description": TEXT}), f"invalid_grant: {TEXT}"),
        (Reply(400, {"properties": {"statusMessage": TEXT}}), TEXT),
        (Reply(400, headers={"Content-Type": "text/plain; charset=utf-8"}, body=TEXT.encode()), TEXT),
        (Reply(400, headers={"x-ms-error-code": "Quota"}), "Quota"),
        (Reply(400, headers={"Content-Type": "text/html"}, body=b"<p>"), None),
        (Reply(413, body=TEXT.encode()), TEXT),
        (Reply(400, headers={"Content-Type": "application/json"}, body=f'"{TEXT}"'.encode()), TEXT),
        (Reply(400, [ERROR]), BOTH),
        (Reply(422, {"errors": {"name": [TEXT, "other"], "age": ["low"]}}), TEXT),
        (Reply(400, {"success": False, "errors": {"name": [TEXT]}}), TEXT),
        (Reply(400, {"name": [TEXT]}), TEXT),
        (Reply(400, {"tags": [TEXT], "count": 2}), None),
        (Reply(401, {"fault": {"faultstring": TEXT, "detail": {"errorcode": "Quota"}}}), TEXT),
        (Reply(400, {"errcode": 40013, "errmsg": TEXT}), TEXT),
        (Reply(400, {"error_code": "Quota", "error_msg": TEXT}), BOTH),
        (Reply(400, {"err": TEXT}), TEXT),
        (
            page("application/xml", f"<?xml version='1.0'?><Error><Code>C</Code><Message>{TEXT}</Message></Error>"),
            f"C: {TEXT}",
        ),
        (
            page("text/xml", f'<m:error xmlns:m="x"><m:code/><m:message xml:lang="en">{TEXT}</m:message></m:error>'),
            TEXT,
        ),
        (page("text/html", "<html><head><title>502 Bad &amp; Gateway\n</title></head></html>"), "502 Bad & Gateway"),
        (page("text/html", "<html><title>Blocked</title><body>See <code>curl</code>"), "Blocked"),
        (page("", "<!doctype html><html><body><h1 class='a'>Request blocked</h1>"), "Request blocked"),
        (
            page("text/html", "<html><style>b{}</style><h2>Our services are not available</h2>"),
            "Our services are not available",
        ),
        (page("text/html", "The service is unavailable."), "The service is unavailable."),
        (page("text/html", "\x01\x02"), None),
        (
            page(
                "text/xml", f"<s:Envelope><s:Fault><faultcode>C</faultcode><faultstring>{TEXT}</faultstring></s:Fault>"
            ),
            f"C: {TEXT}",
        ),
        (page("application/xml", f"<xml><message> <![CDATA[{TEXT}]]></message></xml>"), TEXT),
        (
            Reply(401, headers={"WWW-Authenticate": f'Bearer error="invalid_token", error_description="{TEXT}"'}),
            f"invalid_token: {TEXT}",
        ),
        (Reply(401, headers={"WWW-Authenticate": 'Basic realm="x"'}), None),
        (Reply(400, body=b"\x00\x01\x02"), None),
        (page("text/html", "<title" * 20_000), None),
    ],
)
def test_error_answers(reply: Reply, shown: str | None) -> None:
    """A start that is refused says why, in whatever shape."""
    with pytest.raises(StartRefused) as caught:
        Service(reply).client().start("POST", "x")
    assert (str(caught.value.error) if caught.value.error else None) == shown
    assert error_of(answer(Reply(200, ERROR))) is None


@pytest.mark.parametrize("name", ["errors", "modelState"])
def test_errors_by_field(name: str) -> None:
    """What ASP.NET says of each field is a part of the error, with the field as its target."""
    body = {"title": "Errors occurred.", name: {"Name": ["It is required."], "$.age": ["Not a number.", "Too large."]}}
    found = error_of(answer(Reply(400, body)))
    assert found is not None
    shown = [(part.target, part.message) for part in found.details]
    assert (found.message, shown) == (
        "Errors occurred.",
        [("Name", "It is required."), ("$.age", "Not a number."), ("$.age", "Too large.")],
    )


def test_texts_are_short_and_without_keys() -> None:
    """A text is cut, and what looks like a key is taken out; so is that of a part."""
    long = reason_of({"status": "Failed", "error": {"message": "x" * 100_000}})
    assert long is not None
    assert len(long.message or "") == 2003
    url = "https://a.example/b?sv=1&sig=s3cret&code=s3cret"
    text = f"{url} AccountKey=s3cret; Authorization: Bearer s3cret, password: s3cret"
    found = reason_of({"status": "Failed", "error": {"code": "Read", "message": text, "details": [{"message": text}]}})
    assert found is not None
    for detail in (found, *found.details):
        assert "s3cret" not in str(detail)
        assert "https://a.example/b?sv=1&sig=..." in str(detail)


def nested(depth: int, leaf: Any) -> dict[str, Any]:
    return {"a": nested(depth - 1, leaf)} if depth else leaf


def test_the_search_is_bounded() -> None:
    """Depth, width and the texts that are read as JSON have an end; what lies beyond it is not looked at."""
    assert reason_of(nested(7, {"error": ERROR})) is not None
    assert reason_of(nested(8, {"error": ERROR})) is None
    assert reason_of({f"k{number}": {"x": 1} for number in range(5000)} | {"error": ERROR}) is None
    assert reason_of({"items": [{"x": 1}] * 5000 + [{"error": ERROR}]}) is None
    details: Any = reason_of({"error": {"code": "A", "details": [{"code": "B"}] * 5000}})
    assert len(details.details) == 200
    deep = reason_of({"statusMessage": '{"a":' * 100_000})
    assert deep == ErrorDetail(None, '{"a":' * 400 + "...", raw={"statusMessage": '{"a":' * 100_000})


def test_error_of_an_operation() -> None:
    """The reason is the operation's error, in its message and its snapshot, whatever the profile."""
    failed = Reply(200, {"status": "Failed", "analyzeResult": {"errors": [ERROR]}})
    for profile in (Profile.AUTO, Profile.DATA_PLANE, Profile.ARM):
        operation = Service(ACCEPTED, failed).client(profile=profile).start("POST", "x")
        with pytest.raises(OperationFailed, match=f"The operation failed: {BOTH}") as caught:
            operation.wait()
        assert (caught.value.code, operation.snapshot.error) == ("Quota", operation.error)
