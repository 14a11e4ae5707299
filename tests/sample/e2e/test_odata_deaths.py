"""kill -9 of the host while OData requests are under way, and results that are gone.

It takes a lease until somebody else may go on, so the scenarios wait side by side.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.storage.blob import BlobServiceClient

from tests.sample import SAMPLE_APP
from tests.sample.odata import BOOKS, awaited, begun, book_url, everything, polled, store_books
from tests.support.host import STORES, LocalHost
from tests.support.lro import ended, listing, monitor
from tests.support.scenarios import SHORT_LEASES, Outcomes, Scenario, connected, on, outlasting_storage

pytestmark = pytest.mark.timeout(300)

BATCH = "/odata/$batch"


def create(book: str, **more: Any) -> dict[str, Any]:
    return {"method": "POST", "url": "Books", "body": {"id": book, "title": f"Title of {book}"}, **more}


def repeat(log: Path, seconds: float = 0) -> dict[str, Any]:
    return {"method": "POST", "url": "TrialRepeat", "body": {"seconds": seconds, "log": str(log)}}


def remove(book: str, **more: Any) -> dict[str, Any]:
    return {"method": "DELETE", "url": f"Books('{book}')", **more}


def patch(book: str, **more: Any) -> dict[str, Any]:
    return {"method": "PATCH", "url": f"Books('{book}')", "body": {"title": "Changed"}, **more}


def numbered(*requests: dict[str, Any]) -> dict[str, Any]:
    return {"requests": [{"id": str(number), **request} for number, request in enumerate(requests, start=1)]}


def answers(client: httpx.Client, location: str) -> list[dict[str, Any]]:
    """The answers of an asynchronous batch, whose host may have another port by now."""
    answer = awaited(client, httpx.URL(location).path)
    assert (answer.status_code, answer.headers["asyncresult"]) == (200, "200"), answer.text
    return answer.json()["responses"]


def inner(client: httpx.Client) -> dict[str, str]:
    """The operations beside the batch: id and kind."""
    return {item["id"]: item["kind"] for item in listing(client) if item["kind"] != "odata:batch"}


def killed_in_a_batch(folder: Path, store: str) -> None:
    """An asynchronous batch that loses its host ends after a restart, and nothing of it was done twice.

    Actions that had ended are not run again, the one that was cut off is: in the same record. What was created, changed
    or removed before is recognised, alone and in a group; the answers are those of an undisturbed batch.
    """
    logs = [folder / name for name in ("before", "cut", "after")]
    requests = numbered(
        create("a"),
        repeat(logs[0]),
        create("b", atomicityGroup="g"),
        patch("c", atomicityGroup="g"),
        remove("d", atomicityGroup="g"),
        remove("e"),
        {"method": "POST", "url": "GenerateReport", "body": {"endDate": "1600-01-01"}},
        patch("f"),
        {"method": "POST", "url": "TrialFail", "body": {}},
        create("a"),
        remove("none"),
        repeat(logs[1], 60),
        create("h"),
        repeat(logs[2]),
    )
    with outlasting_storage(store) as environment:
        host = LocalHost(folder, store=store, app_root=SAMPLE_APP, environment={**SHORT_LEASES, **environment})
        with host, connected(host) as client:
            store_books(client, *[{"id": book, "title": "Old"} for book in "cdef"])
            location = begun(client, BATCH, requests)
            polled(logs[1].exists)
            known = inner(client)
            etags = {book["id"]: book["@odata.etag"] for book in everything(client, BOOKS)}
            host.kill()
        kinds = ["GenerateReport", "TrialFail", "TrialRepeat", "TrialRepeat"]
        assert sorted(known.values()) == [f"Library.{kind}" for kind in kinds]
        assert etags.keys() == set("abcf")
        again = LocalHost(folder, store=store, app_root=SAMPLE_APP, environment={**SHORT_LEASES, **environment})
        with again, connected(again) as client:
            responses = answers(client, location)
            _nothing_was_done_twice(client, known, etags)
        assert [entry["status"] for entry in responses] == [
            *(201, 200, 201, 204, 204, 204, 200, 204, 422, 409, 404, 200, 201, 200)
        ]
        assert [entry["body"]["attempt"] for entry in (responses[1], responses[11], responses[13])] == [1, 2, 1]
        assert [entry["body"]["id"] for entry in (responses[0], responses[2])] == ["a", "b"]
        assert responses[0]["headers"]["etag"] == etags["a"]
        assert responses[7]["headers"]["etag"] == etags["f"]
    assert [log.read_text().splitlines() for log in logs] == [["began 1"], ["began 1", "began 2"], ["began 1"]]


def _nothing_was_done_twice(client: httpx.Client, known: dict[str, str], etags: dict[str, str]) -> None:
    after = inner(client)
    assert known.items() <= after.items()
    assert len(after) == len(known) + 1
    ends = {(kind, monitor(client, each)["status"]) for each, kind in after.items()}
    succeeded = {("Library.GenerateReport", "Succeeded"), ("Library.TrialRepeat", "Succeeded")}
    assert ends == {*succeeded, ("Library.TrialFail", "Failed")}
    assert len(everything(client, "/odata/Reports")) == 1
    books = {book["id"]: book["@odata.etag"] for book in everything(client, BOOKS)}
    assert books.keys() == set("abcfh")
    assert {book: books[book] for book in etags} == etags, "a book was written again"


def killed_after_a_book_was_written_twice(folder: Path, store: str) -> None:
    """A batch that makes a book and changes or removes it is recognised as a whole, conditions and references too."""
    log = folder / "log"
    requests = numbered(
        create("a"),
        {"method": "PATCH", "url": "$1", "headers": {"If-Match": "$1"}, "body": {"title": "New"}, "dependsOn": ["1"]},
        create("b"),
        {"method": "DELETE", "url": "$3", "dependsOn": ["3"]},
        repeat(log, 60),
    )
    with outlasting_storage(store) as environment:
        host = LocalHost(folder, store=store, app_root=SAMPLE_APP, environment={**SHORT_LEASES, **environment})
        with host, connected(host) as client:
            location = begun(client, BATCH, requests)
            polled(log.exists)
            host.kill()
        again = LocalHost(folder, store=store, app_root=SAMPLE_APP, environment={**SHORT_LEASES, **environment})
        with again, connected(again) as client:
            assert [entry["status"] for entry in answers(client, location)] == [201, 204, 201, 204, 200]
            assert client.get(book_url("a")).json()["title"] == "New"
            assert client.get(book_url("b")).status_code == 404


def killed_after_a_read_of_what_was_removed(folder: Path, store: str) -> None:
    """A read that was answered before the host died keeps its answer, and so does what depends on it."""
    log = folder / "log"
    requests = numbered(
        {"method": "GET", "url": "Books('a')"},
        remove("a", dependsOn=["1"]),
        repeat(log, 60),
    )
    host = LocalHost(folder, store=store, app_root=SAMPLE_APP, environment=SHORT_LEASES)
    with host, connected(host) as client:
        store_books(client, {"id": "a", "title": "Old"})
        location = begun(client, BATCH, requests)
        polled(log.exists)
        host.kill()
    with (
        LocalHost(folder, store=store, app_root=SAMPLE_APP, environment=SHORT_LEASES) as again,
        connected(again) as client,
    ):
        assert [entry["status"] for entry in answers(client, location)] == [200, 204, 200]


def killed_in_a_synchronous_action(folder: Path, store: str) -> None:
    """An action whose request died with its host is not left running: it is run again, or ended if it must not be."""
    calls = {"TrialRepeat": folder / "repeat", "TrialWait": folder / "wait"}
    host = LocalHost(folder, store=store, app_root=SAMPLE_APP, environment=SHORT_LEASES)
    with host, connected(host) as client, ThreadPoolExecutor(2) as threads:
        cut = [
            threads.submit(client.post, f"/odata/{name}", json={"seconds": 30, "log": str(log)})
            for name, log in calls.items()
        ]
        polled(lambda: all(log.exists() for log in calls.values()))
        ids = {item["kind"].removeprefix("Library."): item["id"] for item in listing(client)}
        host.kill()
        assert [type(each.exception()) for each in cut] == [httpx.RemoteProtocolError] * 2
    with (
        LocalHost(folder, store=store, app_root=SAMPLE_APP, environment=SHORT_LEASES) as again,
        connected(again) as client,
    ):
        repeated, waited = (ended(client, ids[name]) for name in calls)
        assert (repeated["status"], repeated["attempt"]) == ("Succeeded", 2)
        assert (waited["status"], waited["attempt"]) == ("Failed", 1)
        assert waited["error"]["code"] in ("AttemptLost", "DeadlineExceeded")
        assert len(listing(client)) == 2
    assert [log.read_text().splitlines() for log in calls.values()] == [["began 1", "began 2"], ["began 1"]]


@pytest.mark.parametrize(
    "scenario",
    [
        *on(killed_in_a_batch, *STORES),
        *on(killed_after_a_book_was_written_twice, *STORES),
        *on(killed_after_a_read_of_what_was_removed, "sqlite"),
        *on(killed_in_a_synchronous_action, "sqlite"),
    ],
)
def test_death(outcomes: Outcomes, scenario: Scenario) -> None:
    """What the scenario's own docstring says."""
    outcomes[scenario].result()


@pytest.mark.parametrize("store", STORES)
def test_result_that_is_gone(store: str, tmp_path: Path) -> None:
    """Where the stored result was removed the monitor is 410 in OData's shape, in both forms; it can be dismissed."""
    with outlasting_storage(store) as environment:
        host = LocalHost(tmp_path, store=store, app_root=SAMPLE_APP, environment={**SHORT_LEASES, **environment})
        with host, connected(host) as client:
            locations = [
                begun(client, "/odata/TrialSized", {"size": 100_000}),
                begun(client, BATCH, numbered(*[{"method": "GET", "url": "$metadata"}] * 9)),
            ]
            for location in locations:
                assert awaited(client, location).status_code == 200
            _remove_payloads(tmp_path, environment.get("AzureWebJobsStorage"))
            for location in locations:
                for accept in ("application/json", "application/http"):
                    answer = client.get(location, headers={"Accept": accept})
                    assert (answer.status_code, answer.headers["odata-version"]) == (410, "4.01")
                    assert answer.json()["error"]["code"] == "ResultGone"
                assert client.delete(location).status_code == 204
                assert client.get(location).status_code == 404


def _remove_payloads(folder: Path, connection: str | None) -> None:
    """Remove what the operations have stored beside their rows."""
    if connection:
        with BlobServiceClient.from_connection_string(connection) as service:
            (name,) = (each.name for each in service.list_containers() if each.name.endswith("0operations"))
            container = service.get_container_client(name)
            names = [blob.name for blob in container.list_blobs()]
            for name in names:
                container.delete_blob(name)
    else:
        names = [path for path in (folder / "data").rglob("*0operations/**/*") if path.is_file()]
        for path in names:
            path.unlink()
    assert names, "nothing was stored beside the rows"
