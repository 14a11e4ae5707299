"""An asynchronous batch that dies anywhere goes on behind what it has answered, and its answers stay as they were."""

import base64
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from library.entities import BookEntities
from library.models import Book
from shared.actions import ActionCanceled
from shared.actions.odata.entities import Create, Update
from shared.actions.odata.service import ODataService
from shared.actions.registry import Registry
from shared.composition import Application
from shared.endpoints.odata.batch import BatchInput
from shared.endpoints.odata.service import OData
from shared.model import lifecycle
from shared.model.timing import Timing
from shared.operations.attempt import LiveAttempt
from shared.operations.records import OperationRecords
from shared.settings import Settings
from shared.storage.ports import Storage
from tests.support.clock import ManualClock
from tests.support.parts import Faults, FaultyStorage, Killed, context, make_operation, sqlite

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


async def claimed(storage: Storage, clock: ManualClock, inner: Storage | None = None) -> LiveAttempt:
    """The next attempt at the batch, whose own writes go through `storage`."""
    time: dict[str, Any] = {"clock": clock, "timing": Timing()}
    records = OperationRecords(inner or storage, **time)
    operation = make_operation(run_id=RUN)
    stored = await records.read(operation.locator) or await records.insert(operation)
    minutes = timedelta(minutes=5)
    claimed = await records.change(
        stored,
        lambda o: lifecycle.claim(o, clock.now(), holder=uuid4().hex, timeout=minutes, leases=records.leases),
    )
    return LiveAttempt(OperationRecords(storage, **time), claimed, **time)


async def run(storage: Storage, clock: ManualClock, inner: Storage | None = None) -> list[dict[str, Any]]:
    clock.pass_by(minutes=1)
    attempt = await claimed(storage, clock, inner)
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
        context(storage, run_id=RUN, deadline=datetime.now(UTC) + timedelta(minutes=5), attempt_state=attempt), stored
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
            faults, clock = Faults(at=at, fault=fault), ManualClock()
            with suppress(Killed):
                await run(FaultyStorage(inner, faults), clock, inner)
            died = faults.writes >= at
            answers = await run(inner, clock)
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
        clock = ManualClock()
        answers = await run(inner, clock)
        await BookEntities(inner, datetime.now(UTC)).write([Update("emma", {"title": "theirs"})])
        assert await run(inner, clock) == answers
        emma = await BookEntities(inner, datetime.now(UTC)).get("emma")
        assert emma is not None
        assert emma.entity.model_dump()["title"] == "theirs"


async def test_another_attempt_changes_no_answer(tmp_path: Path) -> None:
    """An attempt that was lost and still goes on cannot change what its successor builds on."""
    async with sqlite(tmp_path) as storage:
        clock = ManualClock()
        lost = await claimed(storage, clock)
        clock.pass_by(minutes=1)
        successor = await claimed(storage, clock)
        assert await successor.keep_step("1", "unit", {"answers": [1]}) == {"answers": [1]}
        with pytest.raises(ActionCanceled):
            await lost.keep_step("1", "unit", {"answers": [2]})
        clock.pass_by(minutes=1)
        third = await claimed(storage, clock)
        assert await third.find_step("1", "unit") == ({"answers": [1]},)
