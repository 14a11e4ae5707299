"""An asynchronous batch that dies anywhere goes on behind what it has answered, and its answers stay as they were."""

import base64
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from library.entities import BookEntities
from library.models import Book
from shared.actions import Context
from shared.actions.odata.entities import Create, Update
from shared.actions.odata.service import ODataService
from shared.actions.registry import Registry
from shared.composition import Application
from shared.endpoints.odata.batch import BatchInput
from shared.endpoints.odata.service import OData
from shared.model.operation import Operation
from shared.model.timing import Timing
from shared.operations.journal import Journal
from shared.operations.records import OperationRecords
from shared.settings import Settings
from shared.storage.ports import Storage
from tests.support.clock import ManualClock
from tests.support.parts import Faults, FaultyStorage, Killed, context, sqlite

RUN = "0123456789abcdef" * 2
ROOT = "http://127.0.0.1/odata"

OLD = Create(Book(id="old", title="old"))
REQUESTS: list[dict[str, Any]] = [
    {"id": "1", "method": "POST", "url": "Books", "body": {"id": "emma", "title": "first"}},
    {"id": "2", "method": "PATCH", "url": "$1", "dependsOn": ["1"], "body": {"title": "second"}},
    {
        "id": "3",
        "method": "PATCH",
        "url": "$1",
        "dependsOn": ["2", "1"],
        "headers": {"if-match": "$2"},
        "body": {"words": 5},
    },
    {"id": "4", "method": "GET", "url": "Books('emma')"},
    {"id": "5", "method": "POST", "url": "Books", "body": {"id": "lost", "title": "t"}, "atomicityGroup": "g"},
    {"id": "6", "method": "DELETE", "url": "Books('old')", "atomicityGroup": "g"},
    {"id": "7", "method": "DELETE", "url": "Books('emma')"},
    {"id": "8", "method": "POST", "url": "Books", "body": {"id": "emma", "title": "again"}},
]


def application_of(storage: Storage) -> tuple[Application, OData]:
    """The books alone, over `storage`."""
    library = ODataService("Library")
    library.writable_entity_set("Books", Book, key="id", source=lambda: BookEntities(storage, datetime.now(UTC)))
    application = Application(Registry(services=[library]), settings=Settings.read({}), storage=storage)
    return application, application.odata


async def run(storage: Storage) -> list[dict[str, Any]]:
    body = base64.b64encode(json.dumps({"requests": REQUESTS}).encode())
    stored = BatchInput(
        content_type="application/json",
        body=body,
        base="http://127.0.0.1",
        address=ROOT,
        headers={"odata-version": "4.01"},
        continues=True,
    )
    _, odata = application_of(storage)
    return await odata.batches.action.handler(
        context(storage, run_id=RUN, deadline=datetime.now(UTC) + timedelta(minutes=5)), stored
    )


def statuses(answers: list[dict[str, Any]]) -> list[int]:
    return [answer["status"] for answer in answers]


@pytest.mark.parametrize("fault", ["kill", "kill-before"])
async def test_dies_at_every_write(tmp_path: Path, fault: Any) -> None:
    """Whatever the last attempt died at, the answers are those of one that lived, and nothing is done twice."""
    at = 0
    while True:
        at += 1
        async with sqlite(tmp_path / f"{fault}{at}") as inner:
            await BookEntities(inner, datetime.now(UTC)).write([OLD])
            faults = Faults(at=at, fault=fault)
            with suppress(Killed):
                await run(FaultyStorage(inner, faults))
            died = faults.writes >= at
            answers = await run(inner)
            assert statuses(answers) == [201, 204, 204, 200, 201, 204, 204, 201], f"died at write {at}"
            assert json.loads(answers[3]["text"])["words"] == 5
            emma = await BookEntities(inner, datetime.now(UTC)).get("emma")
            assert emma is not None
            assert emma.entity.model_dump()["title"] == "again"
        if not died:
            break
    assert at > 2 * 6, "a change and its entry are a write each"


async def test_what_others_changed_meanwhile_stays(tmp_path: Path) -> None:
    """A change that was answered is not done again over somebody else's."""
    async with sqlite(tmp_path) as inner:
        await BookEntities(inner, datetime.now(UTC)).write([OLD])
        answers = await run(inner)
        await BookEntities(inner, datetime.now(UTC)).write([Update("emma", {"title": "theirs"})])
        assert await run(inner) == answers
        emma = await BookEntities(inner, datetime.now(UTC)).get("emma")
        assert emma is not None
        assert emma.entity.model_dump()["title"] == "theirs"


async def test_it_goes_with_the_end(tmp_path: Path) -> None:
    """Nothing is left of the journal, its blobs neither, once the operation has ended or is removed."""
    async with sqlite(tmp_path) as storage:
        application, odata = application_of(storage)
        journal = application.journal(RUN)
        for number, size in enumerate([10, 40_000, 10], start=1):
            await journal.add(number, b'"' + b"x" * size + b'"')
        blob = storage.container("operations")
        assert await blob.info(f"{RUN}/journal-2") is not None
        assert [len(entry) for entry in await journal.read()] == [12, 40_002, 12]
        after_end = odata.batches.action.after_end
        assert after_end is not None
        for _ in range(2):
            await after_end(cast(Context, None), cast(Operation, SimpleNamespace(run_id=RUN)))
            assert await journal.read() == []
            assert await blob.info(f"{RUN}/journal-2") is None


async def test_the_first_to_write_an_entry_has_it(tmp_path: Path) -> None:
    """An attempt that was lost and still goes on cannot change what its successor builds on."""
    async with sqlite(tmp_path) as storage:
        clock = ManualClock()
        records = OperationRecords(storage, clock=clock, timing=Timing())
        journals = [Journal(records, storage.table("journals"), RUN, clock=clock) for _ in range(2)]
        await journals[0].add(1, b"1")
        await journals[1].add(1, b"2")
        assert await journals[0].read() == [b"1"]
