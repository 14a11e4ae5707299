"""A batch's body in either format: which one comes in, which one goes out, and answers as they are kept."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.http import Request, Response, json_response
from shared.contracts.odata.batch.bodies import answer_format, from_stored, read_batch, to_stored, write_batch
from shared.contracts.odata.batch.multipart import render_multipart
from shared.contracts.odata.batch.parts import Batch, BatchLimits, BatchResponse
from shared.errors import RequestError

ROOT = "http://h/odata"
JSON = b'{"requests":[{"id":"1","method":"GET","url":"Books"}]}'
MULTIPART = b"--b\r\nContent-Type: application/http\r\n\r\nGET Books HTTP/1.1\r\n\r\n--b--"


def read(body: bytes, content_type: str | None, *, limits: BatchLimits | None = None, **headers: str) -> Batch:
    named = {"content-type": content_type} if content_type is not None else {}
    request = Request(method="POST", url=f"{ROOT}/$batch", headers={**named, **headers}, body=body)
    return read_batch(request, root=ROOT, limits=limits)


def asking(accept: str | None, **headers: str) -> Request:
    """A request to `$batch` with this Accept."""
    accepting = {} if accept is None else {"accept": accept}
    return Request(method="POST", url=f"{ROOT}/$batch", headers={**accepting, **headers})


def refused(body: bytes, content_type: str | None, **headers: str) -> int:
    with pytest.raises(RequestError) as caught:
        read(body, content_type, **headers)
    return caught.value.status


@pytest.mark.parametrize(
    ("body", "content_type", "is_json"),
    [
        (JSON, "application/json", True),
        (JSON, "Application/JSON; charset=UTF-8; odata.metadata=minimal", True),
        (MULTIPART, "multipart/mixed; boundary=b", False),
        (MULTIPART, 'Multipart/Mixed;Boundary="b"', False),
    ],
)
def test_both_formats_are_read(body: bytes, content_type: str, is_json: bool) -> None:
    """The Content-Type says which it is."""
    found = read(body, content_type)
    assert (found.is_json, [r.url for r in found.requests]) == (is_json, ["Books"])


def test_what_is_refused() -> None:
    """Another media type is 415, a chunked body that did not arrive 411, all else 400."""
    for content_type in (
        None,
        "",
        "json",
        "text/plain",
        "multipart/form-data; boundary=b",
        "application/json;charset=x",
    ):
        assert refused(JSON, content_type) == 415
    assert refused(b"", "application/json", **{"transfer-encoding": "Chunked"}) == 411
    assert refused(b"", "application/json") == 400
    assert refused(b"", "multipart/mixed; boundary=b") == 400
    assert refused(MULTIPART, "multipart/mixed") == 400
    assert refused(JSON, "multipart/mixed; boundary=b") == 400
    assert refused(MULTIPART, "application/json") == 400
    assert refused(JSON.replace(b"Books", b"$batch"), "application/json") == 400
    with pytest.raises(RequestError, match="at most 0"):
        read(JSON, "application/json", limits=BatchLimits(requests=0))


@pytest.mark.parametrize(
    ("accept", "json_request", "multipart_request"),
    [
        (None, "json", "multipart"),
        ("", "json", "multipart"),
        ("*/*", "json", "multipart"),
        ("application/json", "json", "json"),
        ("multipart/mixed", "multipart", "multipart"),
        ("Multipart/Mixed; q=0.5, application/json;odata.metadata=minimal", "json", "json"),
        ("multipart/mixed, application/json", "json", "multipart"),
        ("multipart/*, application/json;q=0.9", "multipart", "multipart"),
        ("*/*;q=0.1, multipart/mixed;q=0", "json", "json"),
        ("text/html, */*;q=0.8", "json", "multipart"),
    ],
)
def test_the_answer_is_in_the_accepted_format(accept: str | None, json_request: str, multipart_request: str) -> None:
    """As Accept prefers; where it does not care, the request's own."""
    request = asking(accept, **{"odata-maxversion": "4.01"})
    assert answer_format(request, is_json=True) == json_request
    assert answer_format(request, is_json=False) == multipart_request


def test_nothing_that_is_accepted() -> None:
    """406, before any work."""
    for accept in ("text/html", "application/json;q=0, multipart/mixed;q=0.0", "application/xml, text/*"):
        with pytest.raises(RequestError) as caught:
            answer_format(asking(accept), is_json=True)
        assert caught.value.status == 406


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ({}, "multipart"),
        ({"odata-version": "4.0"}, "multipart"),
        ({"odata-version": "4.0", "odata-maxversion": "4.0"}, "multipart"),
        ({"odata-version": "4.0", "odata-maxversion": "4.01"}, "json"),
        ({"odata-version": "4.01"}, "json"),
    ],
)
def test_odata_4_0_knows_multipart_only(versions: dict[str, str], expected: str) -> None:
    """A client that does not say that it knows 4.01 means the requests inside with its Accept."""
    assert answer_format(asking("application/json", **versions), is_json=False) == expected


def test_answers_are_written_in_either_format() -> None:
    """200 in all cases, with the Content-Type that the body has."""
    answers = [BatchResponse(id="1", response=Response(status=404))]
    written = write_batch(answers, "json")
    assert (written.status, written.content_type) == (200, "application/json")
    assert json.loads(written.body) == {"responses": [{"id": "1", "status": 404}]}
    written = write_batch(answers, "multipart")
    assert (written.status, (written.content_type, written.body)) == (200, render_multipart(answers))


responses = st.builds(
    lambda status, headers, body, content_type: Response(
        status=status, headers=headers, body=body, content_type=content_type
    ),
    st.integers(100, 599),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    st.binary(max_size=30) | st.text(max_size=10).map(lambda text: text.encode(errors="replace")),
    st.sampled_from([None, "", "application/json", "image/png"]),
)
answers = st.builds(
    lambda id, response, group: BatchResponse(id=id, response=response, group=group),
    st.sampled_from(["1", "*2", "a.b"]),
    responses,
    st.sampled_from([None, "g"]),
)


@given(st.lists(answers, max_size=4))
def test_kept_answers_lose_nothing(kept: list[BatchResponse]) -> None:
    """Through JSON and back, every answer is what it was, and is written the same."""
    again = from_stored(json.loads(json.dumps(to_stored(kept))))
    assert again == kept
    assert write_batch(again, "json") == write_batch(kept, "json")
    assert write_batch(again, "multipart") == write_batch(kept, "multipart")


def test_kept_answers_are_readable() -> None:
    """Text stays text, so that a person and a log can read it."""
    assert to_stored([BatchResponse(id="1", group="g", response=json_response(200, {"a": "ü"}, {"ETag": "x"}))]) == [
        {
            "id": "1",
            "group": "g",
            "status": 200,
            "headers": {"ETag": "x"},
            "contentType": "application/json",
            "text": '{"a":"ü"}',
        }
    ]
