"""Batches in JSON and the rules of every batch: each rule refuses what breaks it, by name, and takes what keeps it."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.contracts.http import Request, Response
from shared.contracts.odata.batch.change_sets import Write, check_change_set
from shared.contracts.odata.batch.json import parse_json, render_json
from shared.contracts.odata.batch.parts import (
    Batch,
    BatchLimits,
    BatchRequest,
    BatchResponse,
    as_request,
    continues_on_error,
    failed_dependency,
    failed_group,
    failures,
    unmet_dependency,
)
from shared.errors import RequestError


def entry(id: str = "1", method: str = "PATCH", url: str = "Books('1')", **more: Any) -> dict[str, Any]:
    return {"id": id, "method": method, "url": url, **more}


def parse(*entries: Any, **top: Any) -> Batch:
    return parse_json(json.dumps({"requests": list(entries), **top}).encode())


def refusal(*entries: Any, **top: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        parse(*entries, **top)
    assert caught.value.status == 400
    return caught.value


def outcome(body: bytes) -> Batch | int:
    """The batch, or the status of the refusal."""
    try:
        return parse_json(body)
    except RequestError as error:
        return error.status


def rendered(*answers: BatchResponse) -> dict[str, Any]:
    return json.loads(render_json(answers))


def test_a_batch_of_the_specification() -> None:
    """Members become a request; methods are upper-case, header names lower-case, defaults are empty."""
    batch = parse(
        entry("0", "get", "/service/Customers('ALFKI')"),
        entry("1", "patch", "/c", atomicityGroup="g", dependsOn=["0"], headers={"Prefer": "x"}, body={"a": [1, "ü"]}),
        entry("2", "Post", "/c", atomicityGroup="g", body={}),
        entry("3", "GET", "/p", dependsOn=["g"]),
    )
    assert batch.is_json
    assert [(r.id, r.method, r.group, r.depends_on) for r in batch.requests] == [
        ("0", "GET", None, ()),
        ("1", "PATCH", "g", ("0",)),
        ("2", "POST", "g", ()),
        ("3", "GET", None, ("g",)),
    ]
    assert batch.requests[1].headers == {"prefer": "x", "content-type": "application/json"}
    assert batch.requests[1].body == '{"a":[1,"ü"]}'.encode()
    assert [[r.id for r in unit] for unit in batch.units] == [["0"], ["1", "2"], ["3"]]


def test_annotations_and_nulls_are_nothing() -> None:
    """Annotations are ignored; an optional member that is null is one that is not there."""
    empty = dict.fromkeys(["headers", "body", "atomicityGroup", "dependsOn", "if"])
    batch = parse(entry("1", "POST", "Books", **empty, **{"@a.b": 1, "url@x.y": 2}), **{"@odata.context": "x"})
    assert batch.requests == (BatchRequest(id="1", method="POST", url="Books"),)
    assert parse().requests == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"requests":{}}',
        b'{"requests":null}',
        b'{"requests":[1]}',
        b'{"requests":[],"requests":[]}',
        b'{"requests":[{"id":"1","id":"2","method":"GET","url":"a"}]}',
        b'{"requests":[],"other":1}',
        b'{"requests":[NaN]}',
        b'{"requests":[',
        b"\xff\xfe",
    ],
)
def test_what_is_no_batch(body: bytes) -> None:
    """What is no JSON object with a list of requests is a 400."""
    with pytest.raises(RequestError) as caught:
        parse_json(body)
    assert caught.value.status == 400


@pytest.mark.parametrize("depth", [500, 900, 990, 1000, 5000, 200_000])
@pytest.mark.parametrize(
    "around", ["%s", '{"requests":[{"id":"1","method":"POST","url":"a","body":%s}],"x@y":"\\u0041"}']
)
def test_deep_nesting(depth: int, around: str) -> None:
    """JSON that nests deep is read or refused, never a crash."""
    body = (around % ("[" * depth + "]" * depth)).encode()
    found = outcome(body)
    assert found == 400 or (isinstance(found, Batch) and found.requests[0].body == b"[" * depth + b"]" * depth)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": None}, ".id"),
        ({"id": 1}, ".id"),
        ({"id": ""}, ".id"),
        ({"id": "a b"}, ".id"),
        ({"id": "*1"}, ".id"),
        ({"id": "a\r\nX: y"}, ".id"),
        ({"id": "x" * 129}, ".id"),
        ({"method": None}, ".method"),
        ({"method": "HEAD"}, "HEAD"),
        ({"method": "patch "}, "PATCH "),
        ({"url": None}, ".url"),
        ({"url": ["a"]}, ".url"),
        ({"url": "a\nb"}, "control character"),
        ({"url": "x" * 9000}, "8192"),
        ({"headers": []}, ".headers"),
        ({"headers": {"a": 1}}, ".headers"),
        ({"headers": {"a b": "x"}}, ".headers"),
        ({"headers": {"a": "x\r\nb: y"}}, ".headers"),
        ({"headers": {"A": "x", "a": "y"}}, "twice"),
        ({"headers": {f"a{n}": "" for n in range(101)}}, "100"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "Transfer-Encoding"),
        ({"atomicityGroup": 1}, ".atomicityGroup"),
        ({"atomicityGroup": "a b"}, ".atomicityGroup"),
        ({"dependsOn": "1"}, ".dependsOn"),
        ({"dependsOn": [1]}, ".dependsOn[0]"),
        ({"if": "$1/$succeeded"}, "if is not supported"),
        ({"unknown": 1}, "'unknown'"),
        ({"Body": {}}, "'Body'"),
        ({"method": "GET", "body": {}}, "takes no body"),
        ({"method": "DELETE", "body": {}}, "takes no body"),
        ({"headers": {"content-type": "text/plain"}, "body": {}}, "must be a string"),
        ({"headers": {"content-type": "text/plain;charset=latin-1"}, "body": ""}, "utf-8"),
        ({"headers": {"content-type": "image/png"}, "body": "!"}, "base64url"),
        ({"headers": {"content-type": "image/png"}, "body": "abcde"}, "base64url"),
        ({"headers": {"content-type": "image/png"}, "body": "ü"}, "base64url"),
        ({"headers": {"content-type": "png"}, "body": ""}, "Content-Type"),
    ],
)
def test_members_are_checked(change: dict[str, Any], said: str) -> None:
    """A member that is unknown, or not of its type, is refused with its name and the request's place."""
    error = refusal(entry("x"), {**entry("1"), **change})
    assert "requests[1]" in error.message
    assert said in error.message


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([entry("1"), entry("1")], "unique"),
        ([entry("a"), entry("2", atomicityGroup="a")], "the name of a group"),
        ([entry("1", atomicityGroup="g"), entry("2"), entry("3", atomicityGroup="g")], "side by side"),
        ([entry("1", atomicityGroup="g"), entry("2", atomicityGroup="h"), entry("3", atomicityGroup="g")], "side by"),
        ([entry("1", "GET", atomicityGroup="g")], "GET"),
        ([entry("1", dependsOn=["1"])], "itself"),
        ([entry("1", dependsOn=["g"], atomicityGroup="g")], "itself"),
        ([entry("1", atomicityGroup="g"), entry("2", dependsOn=["g"], atomicityGroup="g")], "itself"),
        ([entry("1", dependsOn=["2"]), entry("2")], "comes later"),
        ([entry("1", dependsOn=["g"]), entry("2", atomicityGroup="g")], "comes later"),
        ([entry("1", dependsOn=["3"])], "not in the batch"),
        ([entry("1", atomicityGroup="g"), entry("2", dependsOn=["1"])], "name the group"),
        ([entry("1", atomicityGroup="g"), entry("2", dependsOn=["1"], atomicityGroup="h")], "name the group"),
    ],
)
def test_structure(entries: list[dict[str, Any]], said: str) -> None:
    """Each rule on ids, groups and dependencies is said by name."""
    assert said in refusal(*entries).message


@pytest.mark.parametrize(
    "entries",
    [
        [entry("1", atomicityGroup="g"), entry("2", dependsOn=["1"], atomicityGroup="g"), entry("3", dependsOn=["g"])],
        [entry("1", atomicityGroup="g"), entry("2", dependsOn=["1", "g"])],
        [entry("1", atomicityGroup="g"), entry("2", dependsOn=["g"], atomicityGroup="h")],
        [entry("1"), entry("2", dependsOn=["1", "1"])],
        [entry("A"), entry("a", atomicityGroup="G"), entry("b", atomicityGroup="g")],
    ],
)
def test_structures_that_fit(entries: list[dict[str, Any]]) -> None:
    """Dependencies within a group and on earlier groups are taken; names differ by case."""
    assert len(parse(*entries).requests) == len(entries)


def test_limits() -> None:
    """The number of requests and the size of the body are bounded, and the message says by what."""
    body = json.dumps({"requests": [entry(str(n)) for n in range(10_000)]}).encode()
    with pytest.raises(RequestError, match="1000") as caught:
        parse_json(body)
    assert (caught.value.status, caught.value.code) == (400, "BatchTooLarge")
    assert len(parse_json(body, BatchLimits(requests=10_000)).requests) == 10_000
    with pytest.raises(RequestError, match=str(len(body) - 1)) as caught:
        parse_json(body, BatchLimits(bytes=len(body) - 1))
    assert caught.value.status == 413


@pytest.mark.parametrize(
    ("content_type", "value", "body"),
    [
        (None, {"a": 1}, b'{"a":1}'),
        ("application/json;odata.metadata=full", [1], b"[1]"),
        ("application/merge-patch+json", "x", b'"x"'),
        ("text/csv; charset=UTF-8", "ü;1\r\n", "ü;1\r\n".encode()),
        ("application/octet-stream", "-_8A", b"\xfb\xff\x00"),
        ("application/octet-stream", "-_8", b"\xfb\xff"),
        ("application/octet-stream", "-_8=", b"\xfb\xff"),
        ("application/xml", "PGEvPg", b"<a/>"),
    ],
)
def test_bodies(content_type: str | None, value: Any, body: bytes) -> None:
    """JSON stays JSON, text comes as a string, all else as base64url, padded or not."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    assert parse(entry(method="POST", headers=headers, body=value)).requests[0].body == body


def test_urls_are_encoded() -> None:
    """What a JSON string can hold and a URL cannot is percent-encoded; what is encoded already stays."""
    batch = parse(entry("1", "GET", "Books?$filter=title eq 'ü' and a%20b"), entry("2", "GET", "Books('a%2Fb')"))
    assert [r.url for r in batch.requests] == ["Books?$filter=title%20eq%20'%C3%BC'%20and%20a%20b", "Books('a%2Fb')"]


def test_answers_are_what_the_reader_takes() -> None:
    """`responses` alone; a number as status; lower-case names; no body where there is none; JSON untouched."""
    found = render_json(
        [
            BatchResponse(id="1", response=Response(status=200, body=b'{"a":1.10}', content_type="application/json")),
            BatchResponse(id="2", response=Response(status=204, headers={"ETag": 'W/"1"'})),
            BatchResponse(id="3", response=Response(status=200, body=b"null", content_type="application/json")),
        ]
    )
    assert b'"body":{"a":1.10}}' in found
    answers = json.loads(found)
    assert list(answers) == ["responses"]
    assert answers["responses"] == [
        {"id": "1", "status": 200, "headers": {"content-type": "application/json"}, "body": {"a": 1.1}},
        {"id": "2", "status": 204, "headers": {"etag": 'W/"1"'}},
        {"id": "3", "status": 200, "headers": {"content-type": "application/json"}},
    ]


def test_answers_of_other_media_types() -> None:
    """Text is a string in its charset; bytes are padded base64url, as the reader in use wants."""
    text = Response(status=200, body="ü".encode("latin-1"), content_type="text/plain; charset=latin-1")
    unknown = Response(status=200, body="ü".encode(), content_type="text/plain; charset=none-such")
    binary = Response(status=200, body=b"\xfb\xff\x00\x00", content_type="application/epub+zip")
    nothing = Response(status=200, body=b"\xfb", content_type=None)
    answers = rendered(*(BatchResponse(id=str(n), response=r) for n, r in enumerate([text, unknown, binary, nothing])))
    assert [answer["body"] for answer in answers["responses"]] == ["ü", "ü", "-_8AAA==", "-w=="]


def test_members_of_a_group_are_answered_side_by_side() -> None:
    """The reader in use fails where they are not; each says its group, and what has no id of the caller says none."""
    ok = Response(status=204)
    answers = [("1", "g"), ("2", None), ("3", "g"), ("*4", "h")]
    found = rendered(*(BatchResponse(id=id, response=ok, group=group) for id, group in answers))
    assert [(a.get("id"), a.get("atomicityGroup")) for a in found["responses"]] == [
        ("1", "g"),
        ("3", "g"),
        ("2", None),
        (None, "h"),
    ]


def test_who_calls_is_said_by_the_batch_alone() -> None:
    """A request cannot name another caller, key or address than its batch; versions are inherited where it has none."""
    spoofed = {
        "Authorization": "Bearer x",
        "X-MS-CLIENT-PRINCIPAL-ID": "someone",
        "x-ms-client-principal": "e30=",
        "x-functions-key": "k",
        "X-Forwarded-Host": "evil",
        "Host": "evil",
        "Cookie": "a=b",
        "TE": "trailers",
        "Accept": "application/json",
        "OData-MaxVersion": "4.0",
    }
    inner = parse(entry(headers=spoofed)).requests[0]
    assert inner.headers == {"accept": "application/json", "odata-maxversion": "4.0"}
    outer_headers = {
        "x-ms-client-principal-id": "me",
        "x-forwarded-host": "public",
        "host": "h",
        "odata-version": "4.01",
        "odata-maxversion": "4.01",
        "content-type": "application/json",
        "prefer": "respond-async",
    }
    outer = Request(method="POST", url="http://h/odata/$batch", headers=outer_headers, body=b"{}")
    request = as_request(inner, "http://h/odata/Books('1')?a=1&a=2&$select=x%20y", outer)
    assert request.headers == {
        "accept": "application/json",
        "odata-version": "4.01",
        "odata-maxversion": "4.0",
        "x-ms-client-principal-id": "me",
        "x-forwarded-host": "public",
        "host": "h",
    }
    assert request.query == {"a": "1,2", "$select": "x y"}
    assert (request.method, request.path, request.body) == ("PATCH", "/odata/Books('1')", b"")


@pytest.mark.parametrize(
    ("is_json", "preferences", "goes_on"),
    [
        (True, {}, True),
        (True, {"continue-on-error": "false"}, False),
        (True, {"continue-on-error": ""}, True),
        (False, {}, False),
        (False, {"continue-on-error": ""}, True),
        (False, {"odata.continue-on-error": ""}, True),
        (False, {"continue-on-error": "True"}, True),
        (False, {"continue-on-error": "false"}, False),
        (False, {"continue-on-error": "perhaps"}, False),
        (True, {"continue-on-error": "perhaps"}, True),
        (False, {"continue-on-error": "false", "odata.continue-on-error": "true"}, False),
    ],
)
def test_continue_on_error(is_json: bool, preferences: dict[str, str], goes_on: bool) -> None:
    """A multipart batch stops at an error unless told to go on, a JSON batch the other way round."""
    assert continues_on_error(Batch(requests=(), is_json=is_json), preferences) is goes_on


def test_dependencies_on_what_failed() -> None:
    """A failed request fails its group's name too; 202 is no success yet; who depends on either is found."""
    answers = [
        BatchResponse(id="1", response=Response(status=204)),
        BatchResponse(id="2", response=Response(status=404), group="g"),
        BatchResponse(id="3", response=Response(status=202)),
    ]
    failed = failures(answers)
    assert failed == {"2", "g", "3"}
    dependent = BatchRequest(id="4", method="PATCH", url="x", depends_on=("1", "g"))
    assert unmet_dependency((BatchRequest(id="5", method="PATCH", url="x"), dependent), failed) == "g"
    assert unmet_dependency((dependent,), {"3"}) is None
    answer = failed_dependency(dependent, "Because.")
    assert (answer.id, answer.response.status) == ("4", 424)
    assert json.loads(answer.response.body) == {"error": {"code": "FailedDependency", "message": "Because."}}


def test_a_failed_group_fails_as_a_whole() -> None:
    """The culprit says why, the others are 424 and say whose fault it was."""
    unit = tuple(BatchRequest(id=id, method="PATCH", url="x", group="g") for id in "abc")
    answers = failed_group(unit, "b", Response(status=412))
    assert [(a.id, a.group, a.response.status) for a in answers] == [("a", "g", 424), ("b", "g", 412), ("c", "g", 424)]
    assert b"'b'" in answers[0].response.body


def classify(request: BatchRequest) -> Write | None:
    name, _, key = request.url.partition("/")
    return None if name == "action" else Write(name, key or None)


def group(*writes: tuple[str, str]) -> list[BatchRequest]:
    return [BatchRequest(id=str(n), method=method, url=url, group="g") for n, (method, url) in enumerate(writes, 1)]


def test_a_change_set_of_writes() -> None:
    """Writes of one set, each of another entity, fit; entities whose key is made up never clash."""
    requests = group(("POST", "Books"), ("POST", "Books"), ("PATCH", "Books/a"), ("DELETE", "Books/A"))
    expected = (Write("Books", None), Write("Books", None), Write("Books", "a"), Write("Books", "A"))
    assert check_change_set(requests, classify, max_changes=4) == expected


@pytest.mark.parametrize(
    ("writes", "code", "said"),
    [
        ([("PATCH", f"Books/{n}") for n in range(5)], "ChangeSetTooLarge", "5 requests, of which 4 are possible"),
        ([("PATCH", "Books/a"), ("DELETE", "Books/a")], "InvalidChangeSet", "'a' again"),
        ([("POST", "Books/a"), ("PATCH", "Reports/a")], "InvalidChangeSet", "one set only"),
        ([("POST", "action/x")], "InvalidChangeSet", "actions stand alone"),
        ([("PUT", "Books/a")], "InvalidChangeSet", "none of POST, PATCH and DELETE"),
    ],
)
def test_change_sets_that_cannot_be_one(writes: list[tuple[str, str]], code: str, said: str) -> None:
    """The message names the group, the request and the limit."""
    with pytest.raises(RequestError) as caught:
        check_change_set(group(*writes), classify, max_changes=4)
    assert (caught.value.status, caught.value.code) == (400, code)
    assert said in caught.value.message
    assert "'g'" in caught.value.message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda values: st.lists(values, max_size=2) | st.dictionaries(st.text(max_size=2), values, max_size=2),
    max_leaves=3,
)
members = st.sampled_from(["id", "method", "url", "headers", "body", "atomicityGroup", "dependsOn", "if", "@x", "y"])
names = st.sampled_from(["1", "2", "g", "h", "$1", ""])
methods = st.sampled_from(["GET", "post", "PATCH"])
wild = st.dictionaries(members, json_values | names | st.lists(names, max_size=2) | methods, max_size=6)
tame = st.builds(
    lambda id, method, group, on: entry(id, method, **({"atomicityGroup": group} if group else {}), dependsOn=on),
    names,
    methods,
    names,
    st.lists(names, max_size=2),
)


# How fast examples are made depends on what else the machine does.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(tame, max_size=4) | st.lists(wild | tame, max_size=3))
def test_any_json_is_read_or_refused(entries: list[Any]) -> None:
    """Whatever the members are, the outcome is a batch that keeps the rules, or a 400."""
    found = outcome(json.dumps({"requests": entries}).encode())
    if isinstance(found, Batch):
        ids = [request.id for request in found.requests]
        assert len(set(ids)) == len(ids) == len(entries)
        assert [request for unit in found.units for request in unit] == list(found.requests)
        groups = [unit[0].group for unit in found.units if unit[0].group]
        assert len(set(groups)) == len(groups)
    else:
        assert found == 400
