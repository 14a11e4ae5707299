"""Batches in multipart/mixed: what is cut where, every trick with boundaries, and what readers get back."""

import email
import time
import tracemalloc
from email.message import Message
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.http import Response, json_response
from shared.contracts.odata.batch.multipart import parse_multipart, render_multipart
from shared.contracts.odata.batch.parts import Batch, BatchLimits, BatchRequest, BatchResponse
from shared.contracts.odata.batch.references import entity_reference, etag_references
from shared.errors import RequestError

TYPE = "multipart/mixed; boundary=b"
HTTP = b"Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
GET = HTTP + b"\r\nGET Books HTTP/1.1\r\nAccept: application/json\r\n\r\n"


def parts(*contents: bytes, boundary: str = "b", end: bytes = b"\r\n") -> bytes:
    mark = b"--" + boundary.encode()
    return b"".join(mark + end + content + end for content in contents) + mark + b"--" + end


def patch(id: str | None = None, body: bytes = b"{}", url: str = "Books('1')") -> bytes:
    content_id = f"Content-ID: {id}\r\n".encode() if id else b""
    return HTTP + content_id + f"\r\nPATCH {url} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n".encode() + body


def change_set(*contents: bytes, boundary: str = "c") -> bytes:
    return f"Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n".encode() + parts(*contents, boundary=boundary)


def parse(body: bytes, content_type: str = TYPE) -> Batch:
    return parse_multipart(body, content_type)


def refusal(body: bytes, content_type: str = TYPE) -> RequestError:
    with pytest.raises(RequestError) as caught:
        parse(body, content_type)
    assert caught.value.status == 400
    return caught.value


def outcome(body: bytes, content_type: str = TYPE) -> Batch | int:
    """The batch, or the status of the refusal."""
    try:
        return parse(body, content_type)
    except RequestError as error:
        return error.status


def read_back(responses: list[BatchResponse]) -> Message:
    """The rendered answer as the standard library's MIME parser reads it."""
    content_type, body = render_multipart(responses)
    return email.message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)


def test_a_batch_of_requests_and_a_change_set() -> None:
    """Requests keep their order; a change set is a group; a part without Content-ID has an id nobody can refer to."""
    batch = parse(parts(GET, change_set(patch("1"), patch("2", b'{"a":1}')), patch("x"), GET))
    assert not batch.is_json
    assert [(r.id, r.method, r.url, r.group, r.body) for r in batch.requests] == [
        ("*1", "GET", "Books", None, b""),
        ("1", "PATCH", "Books('1')", "changeset1", b"{}"),
        ("2", "PATCH", "Books('1')", "changeset1", b'{"a":1}'),
        ("x", "PATCH", "Books('1')", None, b"{}"),
        ("*5", "GET", "Books", None, b""),
    ]
    assert batch.requests[1].headers == {"content-type": "application/json"}
    assert [len(unit) for unit in batch.units] == [1, 2, 1, 1]


def test_bare_line_feeds() -> None:
    """Clients on Linux end their lines so; the bodies keep what line ends they have."""
    body = parts(GET, change_set(patch("1", b'{"a":\r\n1}'))).replace(b"\r\n", b"\n")
    batch = parse(body.replace(b'{"a":\n1}', b'{"a":\r\n1}'))
    assert [(r.method, r.body) for r in batch.requests] == [("GET", b""), ("PATCH", b'{"a":\r\n1}')]


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b""])
def test_the_closing_line_may_end_the_body(end: bytes) -> None:
    """With, and without, a line end behind it."""
    assert len(parse(parts(GET).rstrip(b"\r\n") + end).requests) == 1


def test_preamble_and_epilogue_are_ignored() -> None:
    """RFC 2046, section 5.1.1; whatever follows the closing line is no part any more."""
    assert len(parse(b"Hello\r\n--bx\r\n" + parts(GET, GET) + b"--b\r\n" + GET + b"\r\n--b--").requests) == 2


def test_spaces_behind_a_delimiter_are_padding() -> None:
    """RFC 2046, section 5.1.1, "transport-padding"."""
    assert len(parse(b"--b \t\r\n" + GET + b"\r\n--b  \r\n" + GET + b"\r\n--b-- \r\n").requests) == 2


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":"--b"}',
        b'{"a":"\r\n--bc"}',
        b"\r\n--b-",
        b"\r\n--b- \r\n",
        b"\r\n --b\r\n",
        b"\r--b\r",
        b"x--b\r\n",
        b"\r\n--b--x",
        b"\r\n-\r\n-b",
        b"\r\n--B\r\n",
    ],
)
def test_bodies_that_look_like_a_boundary(body: bytes) -> None:
    """Only a whole line of its own is a delimiter: bodies are not cut by anything less, a lone CR included."""
    batch = parse(parts(patch("1", body), GET))
    assert [r.body for r in batch.requests] == [body, b""]


def test_boundaries_that_begin_alike() -> None:
    """A change set's boundary may continue the batch's, and a part's end is not taken for the batch's."""
    inner = change_set(patch("1"), patch("2"), boundary="b-1")
    assert [r.id for r in parse(parts(inner, patch("3"))).requests] == ["1", "2", "3"]
    inner = change_set(patch("1"), boundary="a")
    outer = parts(inner, boundary="aa")
    assert [r.id for r in parse(outer, "multipart/mixed; boundary=aa").requests] == ["1"]


def test_the_outer_boundary_wins() -> None:
    """A change set with the boundary of the batch would end where the batch's part ends: it is refused."""
    refusal(parts(change_set(patch("1"), boundary="b")))


@pytest.mark.parametrize("boundary", ["'()+_,-./:=?", "a b", "x" * 70, ".*", "a(1)[", "(b"])
def test_boundaries_with_special_characters(boundary: str) -> None:
    """All characters of RFC 2046 are taken literally; others are refused."""
    content_type = f'multipart/mixed; boundary="{boundary}"'
    body = parts(GET, boundary=boundary)
    if set(boundary) & set("[]*"):
        assert "boundary" in refusal(body, content_type).message
    else:
        assert len(parse(body, content_type).requests) == 1


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/mixed",
        "multipart/mixed; boundary=",
        'multipart/mixed; boundary=""',
        'multipart/mixed; boundary="a "',
        f"multipart/mixed; boundary={'x' * 71}",
        'multipart/mixed; boundary="a\r\nb"',
        "multipart/mixed; boundary=b; boundary=c",
        "multipart/mixed; boundary*0=b",
    ],
)
def test_bad_boundaries(content_type: str) -> None:
    """A boundary that is missing, too long, given twice or no boundary is refused."""
    assert refusal(parts(GET), content_type).message.startswith("The batch")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no such line"),
        (b"--c\r\n" + GET + b"\r\n--c--", "no such line"),
        (b"--b\r\n" + GET, "closing one is missing"),
        (parts(GET)[:-6], "closing one is missing"),
        (parts(GET).replace(b"\r\n", b"\r"), "no such line"),
        (b"--b--\r\n", "no parts"),
        (parts(b""), "Part 1"),
        (parts(GET, b""), "Part 2"),
        (parts(b"\r\nGET Books HTTP/1.1\r\n\r\n"), "Part 1: a Content-Type"),
        (parts(b"Content-Type: text/plain\r\n\r\nGET Books HTTP/1.1\r\n"), "application/http"),
        (parts(b"Content-Type: message/rfc822\r\n\r\n" + GET), "application/http"),
        (parts(b"Content-Type: application/http;msgtype=response\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), "application/http"),
        (parts(b"Content-Type: application/http\r\nContent-Transfer-Encoding: base64\r\n\r\nR0VU"), "binary"),
        (parts(b"Content-Type: application/http\r\nbad\r\n\r\nGET Books HTTP/1.1\r\n"), "begins no header"),
        (parts(HTTP + b"\r\n"), "request line"),
        (parts(GET, HTTP + b"\r\nGET\r\n"), "Part 2: 'GET' is no request line"),
        (parts(patch("a b")), "Content-ID"),
        (parts(patch("*1")), "Content-ID"),
        (parts(HTTP + b"Content-ID: \r\n\r\nGET Books HTTP/1.1\r\n"), "Content-ID"),
        (parts(patch("1"), patch("1")), "unique"),
        (parts(change_set(patch("1"), patch("1"))), "unique"),
        (parts(change_set(patch("1")), change_set(patch("1"), patch("1"))), "have the id '1'"),
        (parts(change_set(patch("1")), patch("1")), "unique"),
        (parts(HTTP + b"Content-ID: 1\r\n\r\nGET Books HTTP/1.1\r\nContent-ID: 2\r\n"), "different Content-IDs"),
        (parts(change_set(GET)), "GET in a group"),
        (parts(change_set(patch("1"), change_set(patch("2"), boundary="d"))), "Part 1.2: a change set holds requests"),
        (parts(b"Content-Type: multipart/mixed\r\n\r\n" + parts(GET)), "Part 1: its Content-Type needs a boundary"),
        (parts(b"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c--"), "Part 1 has no parts"),
        (parts(b"Content-Type: multipart/mixed; boundary=c\r\n\r\n"), "Part 1: its parts"),
    ],
)
def test_malformed_batches(body: bytes, said: str) -> None:
    """Each is refused with the part and the rule."""
    assert said in refusal(body).message


def test_content_ids() -> None:
    """The part's, or else the request's, and then it is no header of the request; equal ones in both are fine."""
    inner = b"\r\nGET Books HTTP/1.1\r\nContent-ID: %s\r\n"
    batch = parse(
        parts(
            HTTP + b"Content-ID: 1\r\n" + inner % b"1",
            HTTP + inner % b"two",
            HTTP + b"content-id:3\r\n\r\nGET Books HTTP/1.1\r\n\r\n",
            b"Content-Type: application/http;\r\n msgtype=request\r\n\r\nGET Books HTTP/1.1\r\n\r\n",
        )
    )
    assert [(r.id, dict(r.headers)) for r in batch.requests] == [("1", {}), ("two", {}), ("3", {}), ("*4", {})]


def test_ids_of_another_change_set() -> None:
    """Each change set may begin its ids anew: `$1` is the one of the same, and each answer has the id that was sent."""
    again = patch("1"), patch("2", url="$1"), patch("3", url="/$1/x?$select=a"), patch("4", url="$10")
    batch = parse(parts(change_set(patch("1"), patch("10")), change_set(*again), change_set(patch("1"))))
    ids = [request.id for request in batch.requests]
    urls = [request.url for request in batch.requests]
    assert len(set(ids)) == len(ids) == 7
    assert urls[2:6] == ["Books('1')", f"${ids[2]}", f"/${ids[2]}/x?$select=a", "$10"]
    assert entity_reference(urls[3]) == (ids[2], "")
    answers = [BatchResponse(id=each, response=Response(status=204)) for each in ids]
    shown = cast("list[Message]", read_back(answers).get_payload())
    assert [part["Content-ID"] for part in shown] == ["1", "10", "1", "2", "3", "4", "1"]


def test_conditions_of_another_change_set() -> None:
    """An ETag that is referred to is that of the same change set."""
    with_condition = patch("2").replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nIf-Match: $1\r\n")
    batch = parse(parts(change_set(patch("1")), change_set(patch("1"), with_condition)))
    assert etag_references(batch.requests[2].headers) == {"if-match": batch.requests[1].id}


@pytest.mark.parametrize("blank", [b" ", b"\r\n \t\r\n", b"\r\n\r\n\r\n"])
def test_blanks_are_no_body(blank: bytes) -> None:
    """Templates leave lines of spaces behind a request that has no body."""
    batch = parse(parts(GET + blank, GET))
    assert [(request.method, request.body) for request in batch.requests] == [("GET", b"")] * 2


def test_names_of_change_sets_are_no_ids() -> None:
    """A caller's Content-ID cannot be the name that a change set is given."""
    batch = parse(parts(change_set(patch("changeset1"), patch("changeset_1")), patch("changeset2")))
    assert [r.group for r in batch.requests] == ["changeset__1", "changeset__1", None]


def test_a_deep_nest_is_refused_at_its_second_level() -> None:
    """Parts within parts within parts cost nothing: the depth is never followed."""
    body = patch("1")
    for level in range(200):
        body = change_set(body, boundary=f"n{level}")
    assert "no other change set" in refusal(parts(body)).message


@pytest.mark.parametrize("count", [1001, 10_000])
@pytest.mark.parametrize("how", ["alone", "in a change set", "each in a change set", "empty"])
def test_too_many_parts(count: int, how: str) -> None:
    """More than the limit is refused with the limit in the message, at little cost, however the parts are packed."""
    body = {
        "alone": lambda: parts(*[GET] * count),
        "in a change set": lambda: parts(change_set(*[patch()] * count)),
        "each in a change set": lambda: parts(*[change_set(patch())] * count),
        "empty": lambda: b"--b\r\n" * count,
    }[how]()
    begun = time.thread_time()
    error = refusal(body)
    assert time.thread_time() - begun < 1
    assert (error.code, "1000" in error.message) == ("BatchTooLarge", True)


def test_as_many_parts_as_the_limit() -> None:
    """The limit itself is possible, and 10,000 are read quickly where they are allowed."""
    assert len(parse(parts(*[GET] * 500, change_set(*[patch()] * 500))).requests) == 1000
    begun = time.thread_time()
    assert len(parse_multipart(parts(*[GET] * 10_000), TYPE, BatchLimits(requests=10_000)).requests) == 10_000
    assert time.thread_time() - begun < 3
    with pytest.raises(RequestError) as caught:
        parse_multipart(parts(GET), TYPE, BatchLimits(bytes=10))
    assert caught.value.status == 413


@pytest.mark.parametrize(
    "filling", [b"\n", b"\r\n--bb", b"\r\n--b  .", b"\r", b"\r\n--bb\r\n", b"--b", b"A: x\r\n", b"\r\n\r\n"]
)
def test_large_bodies_are_cheap(filling: bytes) -> None:
    """Two megabytes made to slow a parser down take little work and a few copies."""
    content = filling * (2_000_000 // len(filling)) + b"x"
    body = parts(HTTP + b"\r\nPATCH Books('1') HTTP/1.1\r\n\r\n" + content)
    tracemalloc.start()
    try:
        begun = time.thread_time()
        batch = parse(body)
        seconds = time.thread_time() - begun
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert batch.requests[0].body == content
    assert seconds < 2
    assert peak < 5 * len(body)


def test_answers_are_what_readers_take() -> None:
    """The two headers of a part, CRLF everywhere and behind the closing line, Content-IDs that the caller gave."""
    answers = [
        BatchResponse(id="*1", response=json_response(200, {"a": 1})),
        BatchResponse(id="2", response=Response(status=204, headers={"ETag": 'W/"1"'})),
    ]
    content_type, body = render_multipart(answers)
    boundary = content_type.partition("boundary=")[2].encode()
    part = b"--" + boundary + b"\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
    assert body == (
        part + b'\r\nHTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}\r\n'
        b"" + part + b'Content-ID: 2\r\n\r\nHTTP/1.1 204 No Content\r\nETag: W/"1"\r\n\r\n\r\n--' + boundary + b"--\r\n"
    )


def test_answers_have_the_structure_of_the_requests() -> None:
    """A change set that was done is a part with parts; a failed one is a single part with the culprit's answer."""
    ok = Response(status=204)
    message = read_back(
        [
            BatchResponse(id="1", response=ok),
            BatchResponse(id="2", response=ok, group="g"),
            BatchResponse(id="3", response=ok, group="g"),
            BatchResponse(id="4", response=Response(status=424), group="h"),
            BatchResponse(id="5", response=Response(status=412), group="h"),
            BatchResponse(id="6", response=Response(status=424), group="i"),
        ]
    )
    found = [cast(Message, part) for part in message.get_payload()]
    assert not message.defects
    assert [part.get_content_type() for part in found] == [
        "application/http",
        "multipart/mixed",
        "application/http",
        "application/http",
    ]
    inner = [cast(Message, part) for part in found[1].get_payload()]
    assert [part["Content-ID"] for part in inner] == ["2", "3"]
    assert [(part["Content-ID"], str(part.get_payload())[:12]) for part in found[2:]] == [
        ("5", "HTTP/1.1 412"),
        ("6", "HTTP/1.1 424"),
    ]


def test_no_body_can_hold_the_boundary() -> None:
    """An answer that quotes another batch's boundary does not cut the one it is in."""
    first, body = render_multipart([BatchResponse(id="1", response=Response(status=200, body=b"x"))])
    quoted = Response(status=200, body=body, content_type=first)
    message = read_back([BatchResponse(id="1", response=quoted), BatchResponse(id="2", response=quoted)])
    assert len(message.get_payload()) == 2


def test_no_answers() -> None:
    """A batch that was stopped before anything was done is an empty multipart body."""
    content_type, body = render_multipart([])
    assert body == b"--" + content_type.partition("boundary=")[2].encode() + b"--\r\n"


marks = [b"--b", b"--b--", b"--c", b"--c--", b"\r\n", b"\n", b"\r", b" "]
lines = [
    HTTP,
    b"Content-Type: multipart/mixed; boundary=c\r\n",
    b"Content-ID: 1\r\n",
    b"x: y",
    b"PATCH $1 HTTP/1.1\r\n",
]
fragments = st.sampled_from([*marks, *lines, b"GET Books HTTP/1.1\r\n", b"{}", GET])


@given(st.lists(fragments, max_size=25).map(b"".join) | st.binary(max_size=100))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Whatever comes, the outcome is a batch that keeps the rules, or a 400."""
    found = outcome(body)
    if isinstance(found, Batch):
        ids = [request.id for request in found.requests]
        assert len(set(ids)) == len(ids) > 0
        assert not any(request.method == "GET" for request in found.requests if request.group)
    else:
        assert found == 400


bodies = st.binary(max_size=30).filter(lambda body: b"--" not in body and body.strip(b"\r\n"))


@given(
    st.lists(st.one_of(st.none(), bodies, st.lists(bodies, min_size=1, max_size=3)), min_size=1, max_size=5),
    st.sampled_from(["b", "a-b", "'()+_,-./:=?"]),
)
def test_what_is_written_is_read(units: list[bytes | list[bytes] | None], boundary: str) -> None:
    """GETs, single writes and change sets come back in order with every byte of their bodies."""

    def written(unit: bytes | list[bytes] | None) -> bytes:
        if isinstance(unit, list):
            return change_set(*[patch(body=body) for body in unit])
        return GET if unit is None else patch(body=unit)

    batch = parse(parts(*map(written, units), boundary=boundary), f'multipart/mixed; boundary="{boundary}"')

    def shape(unit: tuple[BatchRequest, ...]) -> bytes | list[bytes] | None:
        if unit[0].group:
            return [request.body for request in unit]
        return None if unit[0].method == "GET" else unit[0].body

    assert [shape(unit) for unit in batch.units] == units
