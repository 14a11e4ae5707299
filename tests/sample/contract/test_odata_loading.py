"""Loading a CSV of books over HTTP, from the upload to the entity set, on both stores."""

import time
from typing import Any

import httpx
import pytest

from tests.sample.books import upload
from tests.sample.odata import BOOKS, awaited, begun, book_url, everything, fresh, made, refused, uploaded
from tests.support.epubs import make_epub
from tests.support.host import LocalHost
from tests.support.lro import begin, ended, monitor, running

pytestmark = pytest.mark.both_stores

LOAD = f"{BOOKS}/Library.ProcessLargeFile"


def csv_of(prefix: str, numbers: range, title: str = "Title", **more: str) -> str:
    """A CSV of a book `{prefix}-{number}` for each number."""
    columns = ["id", "title", "words", *more]
    lines = [[f"{prefix}-{n:05}", f"{title} {n}", str(n), *more.values()] for n in numbers]
    return "".join(f"{','.join(cells)}\r\n" for cells in [columns, *lines])


def loaded(client: httpx.Client, text: str) -> dict[str, Any]:
    answer = awaited(client, begun(client, LOAD, {"fileId": uploaded(client, text)}))
    assert answer.headers["asyncresult"] == "200", answer.text
    return answer.json()


def counted(client: httpx.Client) -> int:
    return int(client.get(f"{BOOKS}/$count").text)


def as_it_was(client: httpx.Client) -> dict[str, str]:
    """Every book there is, with its ETag."""
    return {book["id"]: book["@odata.etag"] for book in everything(client, f"{BOOKS}?$select=id")}


def test_from_upload_to_entity_set(anybody: httpx.Client) -> None:
    """A CSV's books are there, in the set and as resources, beside one that was uploaded as an EPUB, which wins."""
    book, prefix = fresh(), fresh()
    epub = upload(anybody, book, make_epub(chapters=("one two", "three"), title="The EPUB"))
    assert ended(anybody, begin(anybody, f"/book/{book}:upload-finish", epub)["id"])["status"] == "Succeeded"
    before = counted(anybody)
    text = csv_of(prefix, range(250), language="en", published="1999-05") + f"{book},The line,7,fr,2000\r\n"
    file = uploaded(anybody, text)
    location = begun(anybody, LOAD, {"fileId": file})
    answer = awaited(anybody, location)
    assert (answer.headers["asyncresult"], answer.headers["odata-version"]) == ("200", "4.01")
    result = answer.json()
    assert result.pop("@odata.context").endswith("/$metadata#Library.ProcessResult")
    assert (result["fileId"], result["recordCount"]) == (file, 251)
    assert counted(anybody) == before + 250
    one = anybody.get(book_url(f"{prefix}-00042")).json()
    assert (one["title"], one["words"], one["language"], one["published"]) == ("Title 42", 42, "en", "1999-05")
    assert (one["sha256"], one["chapters"]) == (None, 0)
    plain = anybody.get(f"/book/{prefix}-00042").json()
    assert plain == {name: value for name, value in one.items() if "@" not in name}
    kept = anybody.get(book_url(book)).json()
    assert (kept["title"], kept["chapters"], kept["language"]) == ("The EPUB", 2, "en")
    assert ended(anybody, location.rpartition("/")[2])["kind"] == "Library.ProcessLargeFile"


def test_never_in_a_request(anybody: httpx.Client) -> None:
    """Without `respond-async` a load is 501 at once; the upload is as it was and is loaded when asked properly."""
    prefix = fresh()
    body = {"fileId": uploaded(anybody, csv_of(prefix, range(3)))}
    for headers in ({}, {"Prefer": "wait=10"}):
        answer = anybody.post(LOAD, json=body, headers=headers)
        assert refused(answer, 501, "AsynchronousProcessingRequired")["target"] == "Prefer"
        assert "retry-after" not in answer.headers
        assert anybody.get(book_url(f"{prefix}-00001")).status_code == 404
    assert awaited(anybody, begun(anybody, LOAD, body)).json()["recordCount"] == 3
    assert anybody.get(book_url(f"{prefix}-00001")).status_code == 200


def test_a_second_load(anybody: httpx.Client) -> None:
    """Loaded books are changed and deleted like others; the next load changes its own and leaves the rest alone."""
    prefix = fresh()
    loaded(anybody, csv_of(prefix, range(6), "First"))
    urls = [book_url(f"{prefix}-{n:05}") for n in range(9)]
    etag = anybody.get(urls[0]).headers["etag"]
    changed = anybody.patch(urls[0], json={"title": "Mine"}, headers={"If-Match": etag})
    assert changed.status_code == 204
    assert anybody.patch(urls[0], json={"title": "x"}, headers={"If-Match": etag}).status_code == 412
    assert [anybody.delete(urls[n]).status_code for n in (1, 2)] == [204, 204]
    assert [anybody.get(urls[n]).status_code for n in (1, 2)] == [404, 404]
    assert refused(anybody.post(BOOKS, json={"id": f"{prefix}-00003", "title": "x"}), 409, "BookExists")
    assert anybody.post(BOOKS, json={"id": f"{prefix}-00002", "title": "Made again"}).status_code == 201
    before = counted(anybody)
    result = loaded(
        anybody, csv_of(prefix, range(0, 2), "Second") + csv_of(prefix, range(5, 9), "Second").split("\r\n", 1)[1]
    )
    assert result["recordCount"] == 6
    titles = [book["title"] for book in everything(anybody, f"{BOOKS}?$filter=startswith(id,'{prefix}')")]
    assert titles == ["Mine", "Second 1", "Made again", "First 3", "First 4", *[f"Second {n}" for n in range(5, 9)]]
    assert counted(anybody) == before + 4
    assert anybody.get(urls[0]).headers["etag"] == changed.headers["etag"]


def test_files_that_are_refused(anybody: httpx.Client) -> None:
    """A file that is no CSV of books fails with the line at fault; the hundreds of books before it are there."""
    book, _ = made(anybody)
    before, prefix = as_it_was(anybody), fresh()
    for text, part in (
        ("id,title\r\nok-1,One\r\nno good,Two\r\n", "line 3"),
        ("id,title,colour\r\nok-1,One,red\r\n", "colour"),
        ("id,title\r\nok-1\r\n", "line 2"),
        (csv_of(prefix, range(150)) + "x,y,many\r\n", "line 152"),
    ):
        location = begun(anybody, LOAD, {"fileId": uploaded(anybody, text)})
        answer = awaited(anybody, location)
        assert (answer.headers["asyncresult"], answer.json()["error"]["code"]) == ("400", "InvalidCsv"), answer.text
        assert part in answer.json()["error"]["message"].lower()
    for file in ("no-such", book):
        answer = awaited(anybody, begun(anybody, LOAD, {"fileId": file}))
        assert int(answer.headers["asyncresult"]) in range(400, 500)
    after = as_it_was(anybody)
    assert after.keys() - before.keys() == {f"{prefix}-{n:05}" for n in range(100)}
    assert after.items() >= before.items()


def test_canceled_while_it_runs(anybody: httpx.Client) -> None:
    """A load cannot be undone, so its monitor takes no DELETE; canceled it leaves the first books, as whole batches."""
    made(anybody)
    before, prefix = as_it_was(anybody), fresh()
    location = begun(anybody, LOAD, {"fileId": uploaded(anybody, csv_of(prefix, range(30_000)))})
    operation = location.rpartition("/")[2]
    running(anybody, operation)
    answer = anybody.delete(location)
    assert refused(answer, 405, "CancelNotSupported")
    assert answer.headers["allow"] == "GET, HEAD"
    assert anybody.post(f"/status/{operation}:cancel").status_code == 200
    final = awaited(anybody, location)
    assert (final.status_code, final.headers["asyncresult"]) == (200, "500")
    assert final.json()["error"]["code"] == "OperationCanceled"
    after = as_it_was(anybody)
    assert after.items() >= before.items()
    count = len(after) - len(before)
    assert (count % 100, count < 30_000) == (0, True)
    assert after.keys() - before.keys() == {f"{prefix}-{n:05}" for n in range(count)}


def test_progress(anybody: httpx.Client, open_host: LocalHost) -> None:
    """While it is loaded a caller sees how far it has come, never less than before, and the books loaded so far."""
    # It takes some seconds, so that it is seen under way; but the store is not to grow by it.
    times = {"sqlite": 100, "azurite": 8}[open_host.store]
    prefix, rows = fresh(), 100 * (times + 1)
    names, *first = csv_of(prefix, range(100)).splitlines(keepends=True)
    _, *last = csv_of(prefix, range(100, 200)).splitlines(keepends=True)
    location = begun(anybody, LOAD, {"fileId": uploaded(anybody, "".join([names, *first * times, *last]))})
    seen: list[tuple[float, int]] = []
    states: list[str] = []
    ends: set[tuple[int, int]] = set()
    while not states or states[-1] in ("NotStarted", "Running"):
        state = monitor(anybody, location.rpartition("/")[2])
        states.append(state["status"])
        seen.append((state.get("percentComplete", 0), (state.get("progress") or {}).get("done", 0)))
        last, first = (anybody.get(book_url(f"{prefix}-{n:05}")).status_code for n in (199, 0))
        ends.add((first, last))
        time.sleep(0.1)
    assert states[-1] == "Succeeded"
    assert seen == sorted(seen)
    assert ends <= {(404, 404), (200, 404), (200, 200)}
    assert (200, 404) in ends
    assert any(0 < percent < 100 and 0 < done < rows for percent, done in seen), seen
    assert seen[-1][1] == rows
    assert awaited(anybody, location).json()["recordCount"] == rows
