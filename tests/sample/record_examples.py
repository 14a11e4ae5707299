"""`python -m tests.sample.record_examples`: run the sample, write what was sent and answered.

The description shows what lies in `actions/examples.json`. `test_openapi_examples.py` runs the same again and compares.
What the file says of functions that the run does not call is written by hand, and stays.
"""

import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import httpx

from tests.support.epubs import make_epub
from tests.support.host import ROOT, LocalHost

FILE = ROOT / "actions" / "examples.json"
SHOWN_AS = "https://library.example"

_SUBSCRIPTION = UUID(int=1)
_GROUP = f"/subscriptions/{_SUBSCRIPTION}/resourceGroups/reading-room/providers/Contoso.Library"
_VERSION = {"api-version": "2026-01-01"}
_PARAMETER = re.compile(r"\{([^}]+)\}")
_SECRETS = re.compile(r"(sig=|token=|lroext_)[A-Za-z0-9%._~+/=-]+")

Recorded = dict[str, dict[str, Any]]


class Recorder:
    """A client that keeps every exchange by operation id and status; the last one of each counts."""

    def __init__(self, url: str) -> None:
        self.found: Recorded = {}
        self._url = url
        self._client = httpx.Client(base_url=url, timeout=30)
        paths = self._client.get("/openapi.json").json()["paths"]
        self._routes = [
            (method.upper(), _pattern(path), _PARAMETER.findall(path), operation["operationId"])
            for path, methods in paths.items()
            for method, operation in methods.items()
        ]

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        url = path.removeprefix(self._url)
        answer = self._client.request(method, url, **({} if body is None else {"json": body}), **options)
        assert answer.status_code < 500, answer.text
        path = unquote(answer.request.url.path)
        name, values = next(
            (name, dict(zip(names, match.groups(), strict=True)))
            for possible, route, names, name in self._routes
            if possible == method and (match := route.fullmatch(path))
        )
        kept = self.found.setdefault(name, {"responses": {}})
        if values:
            kept["path"] = values
        if body is not None and answer.status_code < 400:
            kept["request"] = self._clean(body)
        if answer.content:
            is_json = answer.headers["content-type"].partition(";")[0] == "application/json"
            said = {"body": self._clean(answer.json() if is_json else answer.text)}
            kept["responses"][str(answer.status_code)] = said
        return answer

    def arm(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self(method, f"{_GROUP}/{path}", body, params=_VERSION)

    def finish(self, answer: httpx.Response) -> httpx.Response:
        """Poll all that a start points to until it has ended; the answer to the start."""
        assert answer.status_code in (200, 201, 202), answer.text
        for header in ("operation-location", "azure-asyncoperation", "location"):
            deadline = time.monotonic() + 90
            while header in answer.headers and not _has_ended(self("GET", answer.headers[header])):
                assert time.monotonic() < deadline, f"{answer.request.url} has not ended"
                time.sleep(0.1)
        return answer

    def close(self) -> None:
        self._client.close()

    def _clean(self, value: Any) -> Any:
        """The app's address as a reader would have it, and nothing that opens anything."""
        text = json.dumps(value).replace(self._url, SHOWN_AS)
        return json.loads(_SECRETS.sub(r"\1...", text))


def _pattern(path: str) -> re.Pattern[str]:
    """What the paths of a template look like."""
    return re.compile("([^/:()]+)".join(re.escape(part) for part in _PARAMETER.split(path)[::2]))


def _has_ended(poll: httpx.Response) -> bool:
    """Of a monitor, or of what answers 202 until it is over."""
    state = poll.json().get("status", "") if poll.content else ""
    return poll.status_code != 202 and state not in ("NotStarted", "Running", "Canceling")


def record(url: str) -> Recorded:
    """Use the sample at `url` as its callers do; what they sent and saw, by function name."""
    ask = Recorder(url)
    try:
        ask("GET", "/health")
        _books(ask)
        _shelves(ask)
        _presses(ask)
        _odata(ask)
    finally:
        ask.close()
    return dict(sorted(ask.found.items()))


def _books(ask: Recorder) -> None:
    file = {book: _uploaded(ask, book) for book in ("moby-dick", "walden", "middlemarch")}
    failed = ask.finish(ask("POST", "/book/walden:upload-finish", {"transactionId": "nobody-knows"})).json()["id"]
    finished = ask.finish(ask("POST", "/book/moby-dick:upload-finish", {"transactionId": file["moby-dick"]}))
    operation = finished.json()["id"]
    ask.finish(ask("PUT", "/book/walden", {"transactionId": file["walden"], "title": "Life in the Woods"}))
    ask.finish(ask("PUT", "/book/walden", {"title": "Walden"}))
    items = [{"id": "middlemarch", "transactionId": file["middlemarch"]}]
    ask.finish(ask("PUT", "/imports/spring-delivery", {"items": items}))
    ask("PUT", "/imports/spring-delivery", {"items": items})
    ask("POST", "/imports/spring-delivery:cancel")
    book = ask("GET", "/book/moby-dick").json()
    ask.finish(ask("POST", "/book/moby-dick:count-words", {"sha256": book["sha256"], "top": 3}))
    ask("GET", "/book", params={"top": "1"})
    ask("GET", f"/book/moby-dick/operations/{operation}")
    ask("GET", f"/status/{operation}/result")
    ask.finish(ask("DELETE", "/book/middlemarch"))
    ask("DELETE", "/imports/spring-delivery")
    ask("POST", f"/status/{operation}:cancel")
    ask("GET", f"/status/{operation}")
    ask("GET", "/status", params={"filter": "status eq 'Succeeded' and kind eq 'book:upload-finish'", "top": "2"})
    ask("DELETE", f"/status/{failed}")
    ask.finish(ask("POST", "/search-index:rebuild", {"sliceBooks": 500}))


def _uploaded(ask: Recorder, book: str) -> str:
    """A book's file sent to where its upload was started."""
    epub = make_epub(("Call me Ishmael.",), title=book.replace("-", " ").title())
    started = ask.finish(ask("POST", f"/book/{book}:upload-start", {"fileName": f"{book}.epub", "size": len(epub)}))
    result = ask("GET", f"/status/{started.json()['id']}/result").json()
    httpx.put(result["uploadUrl"], content=epub, headers={"x-ms-blob-type": "BlockBlob"}).raise_for_status()
    return result["transactionId"]


def _shelves(ask: Recorder) -> None:
    for name in ("seafaring", "essays", "essays"):
        shelf = {"location": "westeurope", "tags": {"floor": "2"}, "properties": {"theme": name, "capacity": 40}}
        ask.finish(ask.arm("PUT", f"shelves/{name}", shelf))
    ask.finish(ask.arm("PATCH", "shelves/seafaring", {"tags": {"floor": None, "room": "7"}}))
    ask.finish(ask("PUT", "/book/moby-dick", {"shelf": f"{_GROUP}/shelves/seafaring"}))
    ask.finish(ask.arm("POST", "shelves/seafaring/startMigration", {"targetShelf": "essays"}))
    ask.finish(ask.arm("POST", "shelves/essays/restart"))
    exported = ask.finish(ask.arm("POST", "shelves/essays/exportInventory"))
    ask("GET", ask("GET", exported.headers["location"]).json()["url"])
    ask.arm("GET", "shelves/essays")
    ask.arm("GET", "shelves")
    ask("GET", f"/subscriptions/{_SUBSCRIPTION}/providers/Contoso.Library/shelves", params=_VERSION)
    ask.finish(ask.arm("DELETE", "shelves/seafaring"))


def _presses(ask: Recorder) -> None:
    press = {"location": "westeurope", "properties": {"model": "GTO 52"}}
    started = ask.arm("PUT", "presses/basement", press)
    order = ask("POST", "/presses:take-work-order").json()
    secret = {"x-operation-secret": order["secret"]}
    ask("POST", order["updateUrl"], {"status": "Succeeded", "result": {"serialNumber": "SN-7"}}, headers=secret)
    ask.finish(started)
    again = ask.arm("PUT", "presses/basement", press)
    status = httpx.URL(again.headers["azure-asyncoperation"])
    ask("POST", f"{status.path}/cancel", params=_VERSION)
    ask.finish(again)
    ask.arm("GET", "presses/basement")
    ask.arm("GET", "presses")
    ask("GET", f"/subscriptions/{_SUBSCRIPTION}/providers/Contoso.Library/presses", params=_VERSION)
    ask.finish(ask.arm("DELETE", "presses/basement"))


def _odata(ask: Recorder) -> None:
    _catalog(ask)
    _reports(ask)
    _batches(ask)


def _catalog(ask: Recorder) -> None:
    emma = {"id": "emma", "title": "Emma", "creators": ["Jane Austen"], "published": "1815", "words": 160_000}
    ask("GET", "/odata")
    created = ask("POST", "/odata/Books", emma)
    ask("GET", "/odata/Books('emma')")
    ask("GET", "/odata/Books('emma')/Library.Summary()")
    ask("GET", "/odata/Books('emma')/Library.Summary")
    newer = {"If-Match": created.headers["etag"], "Prefer": "return=representation"}
    ask("PATCH", "/odata/Books('emma')", {"publisher": "John Murray"}, headers=newer)
    query = {
        "$filter": "words gt 100000",
        "$orderby": "published",
        "$select": "id,title",
        "$count": "true",
        "$top": "2",
    }
    ask("GET", "/odata/Books", params=query)
    ask("GET", "/odata/Books/$count")
    ask("POST", "/odata/Books('emma')/Library.Export", {"format": "text"})


def _reports(ask: Recorder) -> None:
    asked, later = {"startDate": "1800-01-01", "endDate": "1899-12-31", "format": "csv"}, {"Prefer": "respond-async"}
    report = ask("POST", "/odata/GenerateReport", asked).json()
    ask("POST", "/odata/Library.GenerateReport", asked)
    ask("GET", "/odata/Reports", params={"$top": "1"})
    ask("GET", "/odata/Reports/$count")
    ask("GET", f"/odata/Reports('{report['id']}')")
    ask("GET", report["reportUrl"])
    ask("GET", ask("POST", "/odata/Books('emma')/Library.Export", {"format": "text"}).json()["exportUrl"])
    waits = {"Prefer": "respond-async, wait=10"}
    ask("POST", "/odata/Books/Library.ProcessLargeFile", {"fileId": _csv(ask)}, headers=waits)
    started = ask.finish(ask("POST", "/odata/GenerateReport", asked, headers=later))
    ask("DELETE", started.headers["location"])
    ask("DELETE", "/odata/Books('sanditon')")
    ask("DELETE", f"/odata/Reports('{report['id']}')")


def _csv(ask: Recorder) -> str:
    """The transaction of an uploaded CSV of books."""
    content = b"id,title,published\npersuasion,Persuasion,1817\nsanditon,Sanditon,1925\n"
    started = ask.finish(ask("POST", "/files:upload-start", {"fileName": "books.csv", "size": len(content)}))
    result = ask("GET", f"/status/{started.json()['id']}/result").json()
    httpx.put(result["uploadUrl"], content=content, headers={"x-ms-blob-type": "BlockBlob"}).raise_for_status()
    return result["transactionId"]


def _batches(ask: Recorder) -> None:
    requests = [
        {"id": "1", "method": "PATCH", "url": "Books('emma')", "body": {"language": "en"}},
        {"id": "2", "method": "GET", "url": "$1/Library.Summary()", "dependsOn": ["1"]},
    ]
    ask("POST", "/odata/$batch", {"requests": requests})


def write(found: Recorded, file: Path) -> None:
    """Put what was recorded in place of what the file says of the same functions, and keep the rest of it."""
    kept: Recorded = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    text = json.dumps(dict(sorted({**kept, **found}.items())), ensure_ascii=False, indent=2)
    file.write_text(text + "\n", encoding="utf-8")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, LocalHost(Path(folder)) as host:
        found = record(host.url)
    write(found, FILE)
    print(f"{sum(len(each['responses']) for each in found.values())} answers of {len(found)} functions in {FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
