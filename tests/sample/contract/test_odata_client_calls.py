"""What OData client libraries do with asynchronous requests, and what has to come back; on both stores.

The calls are those of PanoramicData.OData.Client, `Plain` here, which knows no `AsyncResult` and polls with no headers;
`Enclosing` does what Apache Olingo's `AsyncRequestWrapper` does, which expects an enclosed message.

    CallActionAsyncWithPreferAsync    POST, Prefer: respond-async; 202 + Location       test_call_and_wait
    CallActionAndWaitAsync            the same, then polls until it is not 202          test_call_and_wait
    PollAsync in a loop               GET of the first Location, no Accept              test_poll_by_hand
    pollInterval                      the same interval, whatever Retry-After says      test_poll_interval
    ExecuteBatchAsyncWithPreferAsync  POST $batch, multipart, Prefer: respond-async     test_batch
    WaitForCompletionAsync(timeout)   stops asking                                      test_time_out
    cancellationToken                 stops asking                                      test_time_out
    TryCancelAsync                    DELETE of the monitor; any 2xx is Cancelled       test_cancel, test_cancel_refused
    ODataClientException              the start is answered by 4xx                      test_start_refused
    ODataAsyncOperationException      a poll is answered by 4xx or 5xx                  test_cancel, test_lost_headers
    ODataAsyncOperationStatus.Failed  200 + AsyncResult: 4xx is taken for Completed     test_failure
"""

import json
import time
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import Any

import httpx
import pytest

from tests.sample.odata import ASYNC, BOOKS, book_url, enclosed, fresh, made, refused, uploaded
from tests.support.host import LocalHost
from tests.support.lro import PATIENCE, caller, ended, monitor, running

LONG = "/odata/TrialWaitLong"


def bare(
    client: httpx.Client, method: str, url: str, headers: dict[str, str] | None = None, **body: Any
) -> httpx.Response:
    """A request with these headers and none that httpx would add of its own."""
    request = client.build_request(method, url, headers=headers, **body)
    for name in ("accept", "accept-encoding", "user-agent"):
        if name not in (headers or {}):
            del request.headers[name]
    return client.send(request)


@dataclass
class Plain:
    """`ODataAsyncOperation<T>`: polls the first Location at a fixed interval; any 2xx but 202 is the result."""

    client: httpx.Client
    url: str
    interval: float
    status: str = "Pending"
    polls: int = 0
    answer: httpx.Response | None = field(default=None, repr=False)

    @classmethod
    def call(cls, client: httpx.Client, path: str, *, interval: float = 0.05, **body: Any) -> "Plain":
        answer = bare(client, "POST", path, {**ASYNC, "Accept": "application/json", "OData-MaxVersion": "4.01"}, **body)
        answer.raise_for_status()
        assert answer.status_code == 202, "answered synchronously"
        assert answer.headers["location"].startswith("http"), "a monitor has an absolute URL"
        return cls(client, answer.headers["location"], interval)

    @property
    def is_completed(self) -> bool:
        return self.status in ("Completed", "Failed")

    def poll(self) -> bool:
        """Whether it is still running."""
        self.polls += 1
        self.answer = bare(self.client, "GET", self.url)
        if self.answer.status_code == 202:
            self.status = "Running"
        else:
            self.status = "Completed" if self.answer.is_success else "Failed"
        return self.status == "Running"

    def wait(self, within: float = PATIENCE) -> Any:
        deadline = time.monotonic() + within
        while self.poll():
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(self.interval)
        assert self.answer is not None
        if self.status == "Failed":
            raise RuntimeError(self.answer.status_code)
        return self.answer.json()

    def try_cancel(self) -> bool:
        if accepted := bare(self.client, "DELETE", self.url).is_success:
            self.status = "Cancelled"
        return accepted


class Enclosing:
    """`AsyncRequestWrapperImpl`: OData 4.0, exact words, and at most so many polls."""

    def __init__(self, client: httpx.Client, path: str, headers: dict[str, str] | None = None, **body: Any) -> None:
        requested = {
            **ASYNC,
            "OData-MaxVersion": "4.0",
            "OData-Version": "4.0",
            "Accept": "application/json",
            **(headers or {}),
        }
        answer = bare(client, "POST", path, requested, **body)
        assert answer.status_code == 202
        assert answer.headers["preference-applied"] == "respond-async"
        self._client = client
        self.url = answer.headers["location"]
        self._pause = int(answer.headers["retry-after"])

    def wait(self) -> tuple[str, dict[str, str], bytes]:
        for _ in range(5):
            answer = bare(self._client, "GET", self.url)
            if answer.status_code != 202:
                assert (answer.status_code, answer.headers["content-type"]) == (200, "application/http")
                return enclosed(answer.content)
            self.url = answer.headers["location"]
            time.sleep(min(self._pause, int(answer.headers["retry-after"])))
        raise TimeoutError


def calls(client: httpx.Client) -> list[tuple[str, dict[str, Any], str]]:
    """The actions that clients call: path, parameters, and a member of the result."""
    book, _ = made(client)
    return [
        ("/odata/Library.GenerateReport", {"startDate": "2025-11-21", "endDate": "2026-11-21"}, "reportUrl"),
        ("/odata/GenerateReport", {}, "reportUrl"),
        (f"{BOOKS}/Library.ProcessLargeFile", {"fileId": uploaded(client, "id,title\r\n")}, "recordCount"),
        (f"{book_url(book)}/Library.Export", {"format": "csv"}, "exportUrl"),
    ]


def multipart(*books: str) -> dict[str, Any]:
    """A batch of creates in one change set, as clients write it on Linux: bare line feeds."""
    lines: list[str] = ["--b", "Content-Type: multipart/mixed; boundary=c", ""]
    for number, book in enumerate(books, start=1):
        lines += [
            "--c",
            "Content-Type: application/http",
            "Content-Transfer-Encoding: binary",
            f"Content-ID: {number}",
            "",
        ]
        lines += ["POST Books HTTP/1.1", "Content-Type: application/json", "", json.dumps({"id": book, "title": "W"})]
    return {"content": "\n".join([*lines, "--c--", "--b--", ""]).encode()}


def statuses(content_type: str, body: bytes) -> list[str]:
    """The status lines of a multipart answer, read with the standard library's MIME parser."""
    message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=policy.HTTP)
    leaves = [part for part in message.walk() if part.get_content_type() == "application/http"]
    return [bytes(part.get_payload(decode=True)).split(b"\r\n")[0].decode() for part in leaves]


# --- a client that reads plain JSON ----------------------------------------------------------------------------------


@pytest.mark.both_stores
def test_call_and_wait(anybody: httpx.Client) -> None:
    """Each action is begun asynchronously and gives its plain result to a poll that says nothing of itself."""
    for path, body, member in calls(anybody):
        operation = Plain.call(anybody, path, json=body)
        assert member in operation.wait(), path
        assert operation.status == "Completed"


def test_synchronous_result(anybody: httpx.Client) -> None:
    """The same calls without the preference: a result at once, or 501 that says to ask with it. Never 202."""
    for path, body, member in calls(anybody):
        answer = anybody.post(path, json=body)
        if path.endswith("ProcessLargeFile"):
            refused(answer, 501, "AsynchronousProcessingRequired")
        else:
            assert (answer.status_code, member in answer.json()) == (200, True)


def test_poll_by_hand(anybody: httpx.Client) -> None:
    """The first Location is good for every poll to the end, and afterwards for one more look."""
    operation = Plain.call(anybody, LONG, json={"seconds": 0.4})
    assert operation.status == "Pending"
    seen = [operation.status]
    while not operation.is_completed:
        operation.poll()
        seen.append(operation.status)
        time.sleep(operation.interval)
    assert list(dict.fromkeys(seen)) == ["Pending", "Running", "Completed"]
    assert operation.wait()["seconds"] == 0.4


@pytest.mark.parametrize("interval", [0.01, 1.2])
def test_poll_interval(anybody: httpx.Client, interval: float) -> None:
    """A client that asks more often than Retry-After says, or less, is served all the same."""
    operation = Plain.call(anybody, LONG, interval=interval, json={"seconds": 0.5})
    assert operation.wait()["seconds"] == 0.5
    assert operation.polls >= (3 if interval < 0.1 else 2)


@pytest.mark.both_stores
def test_batch(anybody: httpx.Client) -> None:
    """A batch begun asynchronously gives the multipart answer to a poll without headers, and its books are there."""
    books = [fresh() for _ in range(3)]
    headers = {**ASYNC, "Content-Type": "multipart/mixed; boundary=b"}
    started = bare(anybody, "POST", "/odata/$batch", headers, **multipart(*books))
    assert started.status_code == 202
    operation = Plain(anybody, started.headers["location"], 0.05)
    while operation.poll():
        time.sleep(operation.interval)
    assert operation.answer is not None
    found = statuses(operation.answer.headers["content-type"], operation.answer.content)
    assert (operation.status, found) == ("Completed", ["HTTP/1.1 201 Created"] * 3)
    assert [anybody.get(book_url(book)).status_code for book in books] == [200] * 3


def test_time_out(anybody: httpx.Client) -> None:
    """A client that stops waiting ends nothing: the operation goes on, and its result can be fetched later."""
    operation = Plain.call(anybody, LONG, json={"seconds": 1.5})
    with pytest.raises(TimeoutError):
        operation.wait(within=0.2)
    assert monitor(anybody, operation.url.rpartition("/")[2])["status"] in ("NotStarted", "Running")
    assert operation.wait()["seconds"] == 1.5


@pytest.mark.both_stores
def test_cancel(anybody: httpx.Client) -> None:
    """TryCancel is true for what can be undone; whoever waits on gets 404, which the client raises."""
    operation = Plain.call(anybody, LONG, json={"seconds": 60})
    running(anybody, operation.url.rpartition("/")[2])
    assert operation.try_cancel()
    assert (operation.status, operation.is_completed) == ("Cancelled", False)
    with pytest.raises(RuntimeError, match="404"):
        operation.wait()
    assert not operation.try_cancel()
    assert ended(anybody, operation.url.rpartition("/")[2])["status"] == "Canceled"


def test_cancel_refused(anybody: httpx.Client) -> None:
    """TryCancel is false for what cannot be undone, and the result comes."""
    operation = Plain.call(anybody, "/odata/TrialDone", json={"seconds": 1})
    assert not operation.try_cancel()
    assert operation.wait()["seconds"] == 1


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/odata/GenerateReport", {"startDate": "2026-01-02", "endDate": "2026-01-01"}, 400, "InvalidDateRange"),
        ("/odata/GenerateReport", {"StartDate": "2026-01-02"}, 400, "InvalidInput"),
        # What .NET writes for DateTime.Today in summer; DateOnly is what $metadata asks for.
        ("/odata/GenerateReport", {"startDate": "2026-06-01T00:00:00+02:00"}, 400, "InvalidInput"),
        ("/odata/Reports/Library.GenerateReport", {}, 404, "ResourceNotFound"),
        (f"{BOOKS}('no-such')/Library.Export", {"format": "csv"}, 404, "BookNotFound"),
        (f"{BOOKS}('no-such')/Library.Export", {"format": "CSV"}, 400, "InvalidInput"),
    ],
)
def test_start_refused(anybody: httpx.Client, path: str, body: dict[str, Any], status: int, code: str) -> None:
    """What cannot be done is an error of the call itself, with OData's body, and not of an operation."""
    with pytest.raises(httpx.HTTPStatusError) as caught:
        Plain.call(anybody, path, json=body)
    refused(caught.value.response, status, code)


def test_failure(anybody: httpx.Client) -> None:
    """A failure is a 200 whose AsyncResult and body say so; a client that knows no AsyncResult finds an error only."""
    operation = Plain.call(anybody, "/odata/TrialFail")
    assert list(operation.wait()) == ["error"]
    assert operation.answer is not None
    assert (operation.status, operation.answer.headers["asyncresult"]) == ("Completed", "422")


def test_lost_headers(host: LocalHost) -> None:
    """A client that loses its credentials on polls gets 401; the operation is its owner's as before."""
    with caller(host.url) as client:
        operation = Plain.call(client, LONG, json={"seconds": 0})
        with httpx.Client() as nobody:
            operation.client = nobody
            with pytest.raises(RuntimeError, match="401"):
                operation.wait()
        operation.client = client
        assert operation.wait()["seconds"] == 0


# --- a client that expects an enclosed message -----------------------------------------------------------------------


def test_call_and_wait_for_a_message(anybody: httpx.Client) -> None:
    """The start's OData-MaxVersion alone makes the final answer an enclosed one, of OData 4.0."""
    # Each of them waits for a second.
    for path, body, member in calls(anybody)[1::2]:
        status, headers, content = Enclosing(anybody, path, json=body).wait()
        assert (status, headers["odata-version"]) == ("HTTP/1.1 200 OK", "4.0"), path
        assert member in json.loads(content)


def test_failure_in_a_message(anybody: httpx.Client) -> None:
    """The enclosed status line is that of the failure."""
    status, _, content = Enclosing(anybody, "/odata/TrialFail").wait()
    assert status == "HTTP/1.1 422 Unprocessable Content"
    assert json.loads(content)["error"]["code"] == "TrialFailed"


def test_batch_in_a_message(anybody: httpx.Client) -> None:
    """The enclosed message holds the whole multipart answer."""
    headers = {"Content-Type": "multipart/mixed; boundary=b", "Accept": "multipart/mixed"}
    batch = Enclosing(anybody, "/odata/$batch", headers, **multipart(fresh(), fresh()))
    status, inner, content = batch.wait()
    assert status == "HTTP/1.1 200 OK"
    assert statuses(inner["content-type"], content) == ["HTTP/1.1 201 Created"] * 2


def test_cancel_and_ask_again(anybody: httpx.Client) -> None:
    """DELETE of the monitor is answered 204; the monitor is gone then."""
    operation = Enclosing(anybody, LONG, json={"seconds": 60})
    assert bare(anybody, "DELETE", operation.url).status_code == 204
    assert bare(anybody, "GET", operation.url).status_code == 404
