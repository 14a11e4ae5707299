"""Asynchronous OData requests: a test per rule of OData Protocol 4.01, section 11.6, and of RFC 7240.

Over HTTP, on both stores, with a client that knows nothing of OData.
"""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.sample.odata import ASYNC, awaited, begun, enclosed, polled
from tests.support.host import LocalHost
from tests.support.host_for_tests import exchange, raw_request
from tests.support.lro import identity, monitor

WAIT = "/odata/TrialWait"
LONG = "/odata/TrialWaitLong"


def test_never_without_being_asked(client: httpx.Client) -> None:
    """Without `respond-async` the answer is the result; 202 would be a violation."""
    answer = client.post(WAIT, json={"seconds": 0})
    assert (answer.status_code, answer.headers["odata-version"]) == (200, "4.01")
    assert answer.json()["seconds"] == 0
    assert "location" not in answer.headers
    assert "preference-applied" not in answer.headers
    assert answer.headers["vary"] == "Prefer"


@pytest.mark.both_stores
def test_accepted(client: httpx.Client) -> None:
    """202 with an absolute Location, whole seconds to wait, exactly the preference applied, and no body."""
    answer = client.post(LONG, json={"seconds": 60}, headers=ASYNC)
    assert (answer.status_code, answer.content) == (202, b"")
    assert answer.headers["location"].startswith(f"{str(client.base_url).rstrip(chr(47))}/odata/$async/")
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["preference-applied"] == "respond-async"
    assert answer.headers["vary"] == "Prefer"
    assert answer.headers["odata-version"] == "4.01"
    assert client.delete(answer.headers["location"]).status_code == 204


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("Respond-Async", "respond-async"),
        ("respond-async, wait=1", "respond-async, wait=1"),
        ("handling=lenient, respond-async, unheard-of; a=b", "respond-async"),
        ("wait=1, wait=100, respond-async", "respond-async, wait=1"),
        ("respond-async;foo", "respond-async"),
        ('callback; url="https://example.org/done", respond-async', "respond-async"),
    ],
)
def test_preferences(client: httpx.Client, prefer: str, applied: str) -> None:
    """Names in any case, unknown ones ignored, the first of one name counts, and only what was honoured is named."""
    answer = client.post(LONG, json={"seconds": 60}, headers={"Prefer": prefer})
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, applied)
    client.delete(answer.headers["location"])


@pytest.mark.parametrize("prefer", ["respond-async=maybe", "wait=10", "respond-asynchronously", "return=minimal"])
def test_what_is_no_preference_for_it(client: httpx.Client, prefer: str) -> None:
    """What does not say `respond-async` is answered synchronously."""
    answer = client.post(WAIT, json={"seconds": 0}, headers={"Prefer": prefer})
    assert answer.status_code == 200


async def test_preferences_in_several_headers(host: LocalHost) -> None:
    """Several header lines count as one list."""
    body = b'{"seconds": 60}'
    lines = [
        "Prefer: wait=1",
        "Prefer: respond-async",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    lines += [f"{name}: {value}" for name, value in identity("several").items()]
    status, headers, _ = await exchange(host.port, raw_request("POST", LONG, *lines, body=body))
    assert (status, headers["preference-applied"]) == (202, ["respond-async, wait=1"])


def test_done_within_the_wait(client: httpx.Client) -> None:
    """With `wait` an answer that is ready in time is the synchronous one."""
    answer = client.post(WAIT, json={"seconds": 0.2}, headers={"Prefer": "respond-async, wait=10"})
    assert (answer.status_code, answer.json()["seconds"]) == (200, 0.2)
    assert answer.headers["preference-applied"] == "wait=10"


def test_the_monitor_is_there_at_once(client: httpx.Client) -> None:
    """Whoever polls right after the 202 finds it, with the URL and the time of the next poll, with no body."""
    for _ in range(20):
        location = begun(client, LONG, {"seconds": 60})
        answer = client.get(location)
        assert (answer.status_code, answer.headers["location"], answer.content) == (202, location, b"")
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["odata-version"] == "4.01"
        client.delete(location)


def test_form_a(client: httpx.Client) -> None:
    """200 with AsyncResult, and the headers and the body of the final answer."""
    location = begun(client, WAIT, {"seconds": 0})
    answer = awaited(client, location)
    assert (answer.status_code, answer.headers["asyncresult"]) == (200, "200")
    assert answer.headers["content-type"] == "application/json;odata.metadata=minimal"
    assert answer.json() == {
        "@odata.context": f"{str(client.base_url).rstrip('/')}/odata/$metadata#Library.TrialWaited",
        "seconds": 0.0,
        "attempt": 1,
    }
    assert "location" not in answer.headers
    assert "retry-after" not in answer.headers


def test_form_b(client: httpx.Client) -> None:
    """200 with an enclosed HTTP message that says what form A says."""
    location = begun(client, WAIT, {"seconds": 0})
    plain = awaited(client, location)
    answer = client.get(location, headers={"Accept": "application/http"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/http")
    assert answer.headers["content-transfer-encoding"] == "binary"
    assert "asyncresult" not in answer.headers
    status, headers, body = enclosed(answer.content)
    assert status == "HTTP/1.1 200 OK"
    assert headers["content-type"] == plain.headers["content-type"]
    assert headers["odata-version"] == "4.01"
    assert body == plain.content


CHOICES: list[tuple[dict[str, str], dict[str, str], str]] = [
    ({}, {}, "A"),
    ({}, {"Accept": "*/*"}, "A"),
    ({}, {"Accept": "application/http"}, "B"),
    ({}, {"Accept": "application/json, application/http;q=0.5"}, "B"),
    ({}, {"Accept": "application/json, application/http;q=0"}, "A"),
    ({}, {"Accept": "application/json"}, "A"),
    ({}, {"OData-MaxVersion": "4.0"}, "B"),
    ({}, {"OData-MaxVersion": "4.01"}, "A"),
    ({}, {"OData-MaxVersion": "4.0", "Accept": "application/json"}, "A"),
    ({"OData-MaxVersion": "4.0"}, {}, "B"),
    ({"OData-MaxVersion": "4.0", "Accept": "application/json"}, {"Accept": "*/*"}, "B"),
    ({"OData-MaxVersion": "4.0"}, {"OData-MaxVersion": "4.01"}, "A"),
    ({"OData-MaxVersion": "4.01"}, {}, "A"),
    ({"Accept": "application/http, application/json"}, {}, "B"),
    ({"Accept": "application/http"}, {"Accept": "application/json"}, "A"),
]


@pytest.mark.parametrize(("start", "poll", "form"), CHOICES)
def test_which_form(client: httpx.Client, start: dict[str, str], poll: dict[str, str], form: str) -> None:
    """The poll's Accept decides, else its OData-MaxVersion, else the headers of the start."""
    location = begun(client, WAIT, {"seconds": 0}, **start)
    awaited(client, location)
    # A client without an Accept of its own: httpx would send one.
    request = client.build_request("GET", location, headers=poll)
    if "Accept" not in poll:
        del request.headers["accept"]
    answer = client.send(request)
    assert answer.headers["content-type"].startswith("application/http" if form == "B" else "application/json")
    assert ("asyncresult" in answer.headers) == (form == "A")


@pytest.mark.both_stores
def test_failed(client: httpx.Client) -> None:
    """A failure is 200 with the enclosed 4xx and OData's error body."""
    location = begun(client, "/odata/TrialFail")
    answer = awaited(client, location)
    assert (answer.status_code, answer.headers["asyncresult"]) == (200, "422")
    assert answer.json() == {
        "error": {
            "code": "TrialFailed",
            "message": "This trial always fails.",
            "target": "trial",
            "details": [{"code": "Cracked", "message": "The spine is cracked.", "target": "spine"}],
        }
    }
    status, _, body = enclosed(client.get(location, headers={"Accept": "application/http"}).content)
    assert (status, body) == ("HTTP/1.1 422 Unprocessable Content", answer.content)
    assert client.post("/odata/TrialFail").status_code == 422


def test_nothing_to_return(client: httpx.Client) -> None:
    """An action without a result ends in 204, enclosed with the blank line that its readers need."""
    location = begun(client, "/odata/TrialNothing")
    answer = awaited(client, location)
    assert (answer.status_code, answer.headers["asyncresult"], answer.content) == (200, "204", b"")
    message = client.get(location, headers={"Accept": "application/http"}).content
    assert message.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert message.endswith(b"\r\n\r\n")
    assert client.post("/odata/TrialNothing").status_code == 204


@pytest.mark.both_stores
def test_large_results(client: httpx.Client) -> None:
    """A result that lies in a blob comes in both forms."""
    location = begun(client, "/odata/TrialSized", {"size": 100_000})
    answer = awaited(client, location)
    assert len(answer.json()["value"]) == 100
    _, _, body = enclosed(client.get(location, headers={"Accept": "application/http"}).content)
    assert body == answer.content


@pytest.mark.both_stores
def test_cancel(client: httpx.Client, tmp_path: Path) -> None:
    """DELETE cancels what is declared undoable: 204, the handler was stopped, then 404; the record stays."""
    log = tmp_path / "log"
    location = begun(client, LONG, {"seconds": 60, "log": str(log)})
    polled(log.exists)
    answer = client.delete(location)
    assert (answer.status_code, answer.content) == (204, b"")
    assert log.read_text().splitlines() == ["began 1", "stopped"]
    assert client.get(location).status_code == 404
    assert client.delete(location).status_code == 404
    assert monitor(client, location.rpartition("/")[2])["status"] == "Canceled"


@pytest.mark.both_stores
def test_cancel_that_takes_its_time(client: httpx.Client) -> None:
    """202 with another Location while the handler is stopping; that ends in the DELETE's answer, and then 404."""
    location = begun(client, "/odata/TrialStubborn", {"seconds": 60})
    polled(lambda: monitor(client, location.rpartition("/")[2])["status"] == "Running")
    answer = client.delete(location)
    assert answer.status_code == 202
    other = answer.headers["location"]
    assert other != location
    assert client.get(location).headers["location"] == other
    assert client.get(other).status_code == 202
    final = awaited(client, other)
    assert (final.status_code, final.headers["asyncresult"], final.content) == (200, "204", b"")
    assert client.get(location).status_code == 404


def test_cancel_refused(client: httpx.Client) -> None:
    """What cannot be undone is not canceled: 405 with what is allowed, and it goes on."""
    location = begun(client, "/odata/TrialDone", {"seconds": 1})
    answer = client.delete(location)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.json()["error"]["code"] == "CancelNotSupported"
    assert awaited(client, location).headers["asyncresult"] == "200"


def test_delete_of_a_finished_one(client: httpx.Client) -> None:
    """204, then 404 here; the operation itself is kept."""
    location = begun(client, "/odata/TrialDone", {"seconds": 0})
    awaited(client, location)
    assert client.delete(location).status_code == 204
    assert client.get(location).status_code == 404
    state = monitor(client, location.rpartition("/")[2])
    assert (state["status"], state["kind"]) == ("Succeeded", "Library.TrialDone")


def test_canceled_by_others(client: httpx.Client) -> None:
    """What the service, or somebody at the other monitor, has canceled is 200 with an enclosed 5xx."""
    location = begun(client, LONG, {"seconds": 60})
    assert client.post(f"/status/{location.rpartition('/')[2]}:cancel").status_code == 200
    answer = awaited(client, location)
    assert (answer.status_code, answer.headers["asyncresult"]) == (200, "500")
    assert answer.json()["error"]["code"] == "OperationCanceled"


def test_somebody_elses(client: httpx.Client) -> None:
    """A monitor of another caller is 404 for GET and DELETE, and so is an operation that is none of OData's."""
    location = begun(client, LONG, {"seconds": 60})
    for method in ("GET", "DELETE"):
        assert client.request(method, location, headers=identity("stranger")).status_code == 404
    assert client.delete(location).status_code == 204
    plain = client.post("/trial/t1:wait", json={"seconds": 0}).json()["id"]
    for path in (f"/odata/$async/{plain}", "/odata/$async/no-such", "/odata/$async/a'b"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["odata-version"]) == (404, "4.01")
        assert answer.json()["error"]["code"]


def test_too_long_for_a_request(client: httpx.Client) -> None:
    """An action declared longer than a request may take is refused at once, and nothing of it is begun."""
    before = len(client.get("/status").json()["value"])
    answer = client.post(LONG, json={"seconds": 0})
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "AsynchronousProcessingRequired")
    assert "retry-after" not in answer.headers
    assert len(client.get("/status").json()["value"]) == before


def test_over_the_limit_while_it_runs(short_host: LocalHost) -> None:
    """What does not end within the limit is canceled and answered 501 without Retry-After: no client re-sends that."""
    with httpx.Client(base_url=short_host.url, timeout=30) as client:
        answer = client.post("/odata/TrialAgain", json={"seconds": 60})
        assert (answer.status_code, answer.json()["error"]["code"]) == (501, "AsynchronousProcessingRequired")
        assert "retry-after" not in answer.headers
        [listed] = client.get("/status").json()["value"]
        assert (listed["kind"], listed["status"]) == ("Library.TrialAgain", "Canceled")


@pytest.mark.both_stores
def test_synchronous_runs_are_operations(client: httpx.Client) -> None:
    """What ran in a request has a record like any other, which says how it ended."""
    client.post(WAIT, json={"seconds": 0})
    [listed] = client.get("/status").json()["value"]
    assert (listed["kind"], listed["status"]) == ("Library.TrialWait", "Succeeded")


@pytest.mark.parametrize("body", [{"seconds": "x"}, {"unknown": 1}, {"seconds": -1}])
def test_bad_input(client: httpx.Client, body: dict[str, Any]) -> None:
    """What does not fit is 400 whether or not 202 was asked for, and no operation exists."""
    for headers in ({}, ASYNC):
        answer = client.post(WAIT, json=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidInput")
    assert client.get("/status").json()["value"] == []


def test_reads_are_synchronous(client: httpx.Client) -> None:
    """A read is answered at once whatever is preferred: it never becomes an operation."""
    for path in ("/odata/Books", "/odata/$metadata", "/odata", "/odata/TrialAdd(a=1)", "/odata/Books/$count"):
        answer = client.get(path, headers=ASYNC)
        assert answer.status_code == 200, path
        assert "preference-applied" not in answer.headers
    assert client.get("/status").json()["value"] == []


def test_both_urls_of_an_unbound_action(client: httpx.Client) -> None:
    """An unbound action answers at its import and at its qualified name."""
    for path in ("/odata/TrialWait", "/odata/Library.TrialWait"):
        assert client.post(path, json={"seconds": 0}).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_wrong_method(client: httpx.Client, method: str) -> None:
    """Another method is 405 with what is possible, in OData's shape."""
    answer = client.request(method, WAIT)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.headers["odata-version"] == "4.01"
