"""What is deleted is gone: after a mixed run with kills, deletion of everything, and a day, nothing is stored any more.

The host dies by `kill -9` with every kind of operation under way. Then the same app is served in this process, by a
clock that the test moves, over what the host has left.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

import azure.functions as func
import httpx
import pytest
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient

import actions
import blueprints
from blueprints.durable import DFApp, DurableEngine
from local_host.clock import SYSTEM
from local_host.durable.hub import TaskHub
from shared.actions.registry import discover
from shared.composition import Application
from shared.model.ids import PARTITIONS
from shared.model.timing import Timing
from shared.settings import Settings
from shared.system_clock import SystemClock
from tests.sample.books import large_epub, upload
from tests.sample.odata import begun, uploaded
from tests.support.host import STORES, LocalHost
from tests.support.host_for_tests import RunningHost, running
from tests.support.lro import TERMINAL, begin, run, until
from tests.support.scenarios import Outcomes, Scenario, on, outlasting_storage

pytestmark = pytest.mark.timeout(300)

NAMESPACE = "remains"
APP_ROWS = {("operations", "app", "schema"), ("operations", "app", "site")}
"""What belongs to the app itself; the embedded store has no site."""

APP_FILES = {"tables.db", "tables.db-shm", "tables.db-wal", "in-use-by", "upload-key"}
ARM = "/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/rg/providers/Contoso.Library"
VERSION = {"api-version": "2026-01-01"}


class MovedClock(SystemClock):
    """The real clock, as late as a test says."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


def put_arm(client: httpx.Client, kind: str, name: str) -> None:
    answer = client.put(f"{ARM}/{kind}/{name}", params=VERSION, json={"location": "westeurope", "properties": {}})
    assert answer.status_code in (200, 201), answer.text


def put_file(url: str, content: bytes, **query: str) -> None:
    answer = httpx.put(
        httpx.URL(url).copy_merge_params(query), content=content, headers={"x-ms-blob-type": "BlockBlob"}
    )
    assert answer.status_code == 201, answer.text


def live(client: httpx.Client, number: int) -> None:
    """Every kind of operation, some to their end, and some that the next kill finds under way."""
    epub = large_epub(1)
    book = f"whole-{number}"
    assert run(client, f"/book/{book}:upload-finish", upload(client, book, epub))["status"] == "Succeeded"
    if number == 0:
        assert run(client, "/search-index:rebuild")["status"] == "Succeeded"
    else:
        # Of the many books that were loaded, it has a part when it is canceled.
        half_built = begin(client, "/search-index:rebuild", {"sliceBooks": 5})["id"]
        until(client, half_built, lambda state: state.get("percentComplete", 0) > 0)
        client.post(f"/status/{half_built}:cancel")
    for format in ("json", "csv"):
        answer = client.post(f"/odata/Books('{book}')/Library.Export", json={"format": format})
        assert answer.status_code == 200, answer.text
    assert client.post("/odata/GenerateReport", json={}).status_code == 200
    put_arm(client, "shelves", f"shelf{number}")
    put_arm(client, "presses", f"press{number}")
    run(client, f"/book/never-{number}:upload-start", {"fileName": "never.epub"})
    for start in (
        run(client, "/files:upload-start", {"fileName": "sent.csv"}),
        run(client, "/files:upload-start", {"fileName": "b"}),
    ):
        put_file(start["result"]["uploadUrl"], b"half", comp="block", blockid="AAAA")
    put_file(start["result"]["uploadUrl"], b"id,title\n")
    finishes = [upload(client, f"cut-{number}-{each}", large_epub(6)) for each in range(3)]
    ids = [begin(client, f"/book/cut-{number}-{each}:upload-finish", body)["id"] for each, body in enumerate(finishes)]
    until(client, ids[0], lambda state: state.get("percentComplete", 0) > 5)
    client.post(f"/status/{ids[2]}:cancel")
    lines = "".join(f"load{number}-{line},Title {line}\n" for line in range(2_000))
    begun(client, "/odata/Books/Library.ProcessLargeFile", {"fileId": uploaded(client, f"id,title\n{lines}")})
    items = [{"id": f"import-{each}", "transactionId": uuid4().hex} for each in range(20)]
    assert client.put(f"/imports/import-{number}", json={"items": items}).status_code in (201, 202)
    begun(client, "/odata/$batch", {"requests": batch(number)})
    begun(client, "/odata/GenerateReport")


def batch(number: int) -> list[dict[str, Any]]:
    """More than a row holds: its input, and what it notes, are blobs."""
    made = [f"batch{number}-{each}" for each in range(60)]
    creations = [{"method": "POST", "url": "Books", "body": {"id": each, "title": "T" * 480}} for each in made]
    removals = [{"method": "DELETE", "url": f"Books('{each}')"} for each in made[:30]]
    return [{"id": str(at), **request} for at, request in enumerate([*creations, *removals], start=1)]


@dataclass
class Again:
    """The app over what the killed host has left."""

    application: Application
    clock: MovedClock
    host: RunningHost
    hub: TaskHub
    client: httpx.AsyncClient

    async def passes(self, number: int = 1) -> None:
        for _ in range(number):
            await self.application.housekeeping.run(DurableEngine(self.host.client))

    async def listed(self) -> list[dict[str, Any]]:
        link, found = f"{self.host.url}/status", list[dict[str, Any]]()
        while link:
            page = (await self.client.get(link)).json()
            found += page["value"]
            link = page.get("nextLink")
        return found

    async def settle(self) -> None:
        """Until every operation has ended."""
        end = asyncio.get_running_loop().time() + 120
        while under_way := [each for each in await self.listed() if each["status"] not in TERMINAL]:
            assert asyncio.get_running_loop().time() < end, under_way
            await self.passes()
            await asyncio.sleep(0.3)

    async def delete(self, *paths: str) -> None:
        for path in paths:
            answer = await self.client.delete(path)
            assert answer.status_code in (202, 204), (path, answer.text)


@asynccontextmanager
async def again(environment: Mapping[str, str]) -> AsyncGenerator[Again]:
    clock, hub = MovedClock(), TaskHub()
    settings = Settings.read({"OPERATIONS_NAMESPACE": NAMESPACE, "WEBSITE_HOSTNAME": "127.0.0.1:1", **environment})
    # A clock that jumps is what moves the time here: it is no fault that has to be waited out.
    timing = Timing(clock_jump=timedelta.max)
    application = Application(discover(actions), settings=settings, clock=clock, timing=timing)
    app = DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    for blueprint in blueprints.build(application):
        app.register_functions(blueprint)
    try:
        of_host = replace(SYSTEM, now=clock.now)
        async with (
            running(app, hub=hub, clock=of_host) as host,
            httpx.AsyncClient(base_url=host.url, timeout=60) as client,
        ):
            yield Again(application, clock, host, hub, client)
    finally:
        await application.aclose()


async def delete_everything(environment: Mapping[str, str]) -> None:
    async with again(environment) as app:
        # The site that was killed has the namespace of a shared store for an hour, and what nobody took is overdue.
        app.clock.ahead = timedelta(hours=3)
        await app.passes()
        await app.settle()
        await delete_resources(app)
        await app.settle()
        for _ in range(3):
            await app.delete(*(f"/status/{each['id']}" for each in await app.listed()))
        assert await app.listed() == []
        # Operations on ARM resources have no DELETE; those that ended at a deadline expire a day after that.
        for _ in range(2):
            app.clock.ahead += timedelta(hours=25)
            await app.passes(2)
        await app.passes(len(PARTITIONS))
        assert app.hub.instances == {}


async def delete_resources(app: Again) -> None:
    books = (await app.client.get("/book", params={"top": "1000"})).json()
    while books["value"]:
        requests = [
            {"id": str(at), "method": "DELETE", "url": f"Books('{book['id']}')", "atomicityGroup": f"g{at // 90}"}
            for at, book in enumerate(books["value"], start=1)
        ]
        if len(books["value"]) < 200:
            await app.delete(*(f"/book/{book['id']}" for book in books["value"]))
            await app.settle()
        else:
            answer = await app.client.post("/odata/$batch", json={"requests": requests})
            assert answer.status_code == 200, answer.text
        books = (await app.client.get("/book", params={"top": "1000"})).json()
    reports = (await app.client.get("/odata/Reports")).json()["value"]
    assert reports
    await app.delete(*(f"/odata/Reports('{each['id']}')" for each in reports))
    for kind in ("shelves", "presses"):
        found = await listed(app.client, kind)
        assert found
        await app.delete(*(f"{ARM}/{kind}/{each['name']}?api-version=2026-01-01" for each in found))
        async with asyncio.timeout(60):
            while await listed(app.client, kind):  # noqa: ASYNC110 - a caller has no other way than to ask
                await asyncio.sleep(0.2)


async def listed(client: httpx.AsyncClient, kind: str) -> list[dict[str, Any]]:
    """The ARM resources of a kind."""
    answer = await client.get(f"{ARM}/{kind}", params=VERSION)
    return answer.json()["value"]


def stored_in_folder(folder: Path) -> tuple[set[tuple[str, ...]], list[str]]:
    with closing(sqlite3.connect(folder / "tables.db")) as database:
        found = {
            (name.removeprefix(f"{NAMESPACE}0"), *keys)
            for name, *keys in database.execute("SELECT tab, part, key FROM rows")
        }
    files = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    below_staged = [str(path) for path in folder.glob("blobs/.staged/*")]
    return found, [name for name in files if name not in APP_FILES] + below_staged


def stored_in_account(connection: str) -> tuple[set[tuple[str, ...]], list[str]]:
    rows: set[tuple[str, ...]] = set()
    with TableServiceClient.from_connection_string(connection) as service:
        for table in service.list_tables():
            name = table.name.removeprefix(f"{NAMESPACE}0")
            entities = service.get_table_client(table.name).list_entities(select=["PartitionKey", "RowKey"])
            rows |= {(name, each["PartitionKey"], each["RowKey"]) for each in entities}
    with BlobServiceClient.from_connection_string(connection) as service:
        names = [each.name for each in service.list_containers() if each.name.startswith(NAMESPACE)]
        blobs = [f"{name}/{blob.name}" for name in names for blob in service.get_container_client(name).list_blobs()]
    return rows, blobs


ONE_LOOP = Lock()
"""The Durable SDK has one HTTP session a process, and that belongs to one event loop."""


def what_is_deleted_is_gone(folder: Path, store: str) -> None:
    """Two hosts die with everything under way, and all is deleted by the API.

    A day later only the app's own rows are there. The task hub keeps no instance either.
    """
    with outlasting_storage(store) as environment:
        for number in range(2):
            settings = {"OPERATIONS_NAMESPACE": NAMESPACE, **environment}
            host = LocalHost(folder, store=store, environment=settings)
            with host, httpx.Client(base_url=host.url, timeout=60) as client:
                live(client, number)
                host.kill()
        connection = environment.get("AzureWebJobsStorage", "")
        data = folder / "data"
        before, _ = stored_in_account(connection) if connection else stored_in_folder(data)
        tables = {
            "operations",
            "locks",
            "resources",
            "books",
            "exports",
            "reports",
            "search",
            "uploads",
            "workorders",
        }
        assert {name for name, *_ in before} >= tables
        with ONE_LOOP:
            asyncio.run(delete_everything(environment or {"OPERATIONS_STORE": "sqlite", "DATA_DIR": str(data)}))
        rows, others = stored_in_account(connection) if connection else stored_in_folder(data)
    assert rows <= APP_ROWS, sorted(rows - APP_ROWS)
    assert others == []


@pytest.mark.parametrize("scenario", on(what_is_deleted_is_gone, *STORES))
def test_nothing_remains(outcomes: Outcomes, scenario: Scenario) -> None:
    """What the scenario's own docstring says."""
    outcomes[scenario].result()
