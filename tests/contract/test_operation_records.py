"""Operation records on every store: each kind of write against a conflict and a lost answer; lists; payloads."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from shared.errors import ErrorBody, FenceLost, StorageConflict, TransitionError
from shared.model import lifecycle
from shared.model.ids import Locator
from shared.model.operation import Operation, Outcome, Progress, Status
from shared.model.timing import Timing
from shared.operations import list_rows, rows
from shared.operations.records import OperationRecords
from shared.operations.remains import Remains
from shared.storage.ports import Merge, Storage
from shared.system_clock import SystemClock
from tests.support.parts import LEASES, T0, Faults, FaultyStorage, make_operation

pytestmark = pytest.mark.timeout(60)

NOW = T0 + timedelta(minutes=1)
LENGTH = timedelta(minutes=5)
ERROR = ErrorBody("Broken", "It broke.")
Write = Callable[[Operation], Operation]

WRITES: dict[str, tuple[Status, Write]] = {
    "claim": (Status.NOT_STARTED, lambda o: lifecycle.claim(o, NOW, holder="h2", timeout=LENGTH, leases=LEASES)),
    "heartbeat": (Status.RUNNING, lambda o: lifecycle.heartbeat(o, NOW, fence=1, leases=LEASES)),
    "progress": (Status.RUNNING, lambda o: lifecycle.heartbeat(o, NOW, fence=1, leases=LEASES, progress=Progress(5))),
    "retry_later": (Status.RUNNING, lambda o: lifecycle.retry_later(o, NOW, fence=1, not_before=NOW, error=ERROR)),
    "continue_later": (Status.RUNNING, lambda o: lifecycle.continue_later(o, NOW, fence=1)),
    "succeed": (Status.RUNNING, lambda o: lifecycle.succeed(o, NOW, fence=1, outcome=Outcome(204))),
    "fail": (Status.RUNNING, lambda o: lifecycle.fail(o, NOW, fence=1, outcome=Outcome(500, error=ERROR))),
    "request_cancel": (Status.RUNNING, lambda o: lifecycle.request_cancel(o, NOW)),
    "cancel_queued": (Status.NOT_STARTED, lambda o: lifecycle.request_cancel(o, NOW)),
    "confirm_cancel": (Status.CANCELING, lambda o: lifecycle.confirm_cancel(o, NOW, fence=1)),
    "restart": (Status.NOT_STARTED, lambda o: lifecycle.restart(o, NOW, leases=LEASES, wait=timedelta)),
    "note_unknown": (Status.NOT_STARTED, lambda o: lifecycle.note_unknown_action(o, NOW)),
}


@pytest.fixture
def faulty(storage: Storage) -> FaultyStorage:
    return FaultyStorage(storage, Faults())


@pytest.fixture
def records(faulty: FaultyStorage) -> OperationRecords:
    return OperationRecords(faulty, clock=SystemClock(), timing=Timing())


@pytest.fixture
def other(storage: Storage) -> OperationRecords:
    """Somebody else at the same store."""
    return OperationRecords(storage, clock=SystemClock(), timing=Timing())


def fresh(**changes: Any) -> Operation:
    return make_operation(id=str(uuid4()), owner=uuid4().hex, run_id=uuid4().hex, **changes)


async def at(records: OperationRecords, status: Status) -> Operation:
    """A stored operation in this status."""
    operation = await records.insert(fresh())
    if status is not Status.NOT_STARTED:
        operation = await records.change(
            operation, lambda o: lifecycle.claim(o, T0, holder="h1", timeout=LENGTH, leases=LEASES)
        )
    if status is Status.CANCELING:
        operation = await records.change(operation, lambda o: lifecycle.request_cancel(o, T0))
    return operation


async def stored(records: OperationRecords, operation: Operation) -> Operation:
    found = await records.read(operation.locator)
    assert found is not None
    return found


async def check_rows(storage: Storage, operation: Operation) -> None:
    """The rows beside the record say what it says: list row, active marker until terminal, expiry row after."""
    table, partition = storage.table("operations"), operation.locator.partition
    listed = await table.read(partition, list_rows.list_key(operation))
    assert listed is not None
    assert listed.values["status"] == operation.status.value
    active = await table.read(partition, operation.locator.active_key)
    assert (active is None) == operation.status.is_terminal
    if operation.status.is_terminal:
        assert await table.read(partition, rows.expiry_key(operation)) is not None


async def test_who_polls_sees_every_change(records: OperationRecords, other: OperationRecords) -> None:
    """An unchanged record is the value that was read before; one that somebody else has changed, or removed, is not."""
    operation = await at(other, Status.RUNNING)
    first = await records.read(operation.locator, for_monitor=True)
    assert first is not None
    assert await records.read(operation.locator, for_monitor=True) is first
    ended = await other.change(operation, lambda o: lifecycle.succeed(o, NOW, fence=1, outcome=Outcome(204)))
    second = await records.read(operation.locator, for_monitor=True)
    assert second is not None
    assert (second.status, second.etag) == (Status.SUCCEEDED, ended.etag)
    await other.remove(ended)
    assert await records.read(operation.locator, for_monitor=True) is None


@pytest.mark.parametrize("name", WRITES)
class TestWrites:
    """Every change of a record."""

    async def test_alone(
        self, records: OperationRecords, faulty: FaultyStorage, other: OperationRecords, name: str
    ) -> None:
        """One request; what comes back is what is stored; all rows agree."""
        status, write = WRITES[name]
        operation = await at(other, status)
        changed = await records.change(operation, write)
        assert (faulty.faults.writes, faulty.faults.reads) == (1, 0)
        assert await stored(other, operation) == changed
        await check_rows(faulty.inner, changed)

    @pytest.mark.parametrize("fault", ["lost", "lost-before"])
    async def test_lost_answer(
        self, records: OperationRecords, faulty: FaultyStorage, other: OperationRecords, name: str, fault: Any
    ) -> None:
        """Done or not, a write whose answer was lost is done once in the end, with the etag that is stored."""
        status, write = WRITES[name]
        operation = await at(other, status)
        faulty.faults.at, faulty.faults.fault = 1, fault
        changed = await records.change(operation, write)
        assert faulty.faults.writes == (1 if fault == "lost" else 2)
        assert await stored(other, operation) == changed
        await check_rows(faulty.inner, changed)

    async def test_conflict_under_the_same_fence(
        self, records: OperationRecords, storage: Storage, other: OperationRecords, name: str
    ) -> None:
        """A write that meets another one is applied on top of it: neither is lost."""
        status, write = WRITES[name]
        operation = await at(other, status)
        await storage.table("operations").write(
            operation.locator.partition, [Merge(operation.locator.record_key, {"path": "changed"})]
        )
        changed = await records.change(operation, write)
        assert changed.path == "changed"
        assert await stored(other, operation) == changed

    async def test_conflict_with_the_end(self, records: OperationRecords, other: OperationRecords, name: str) -> None:
        """A write that finds the operation over, or gone, changes nothing."""
        status, write = WRITES[name]
        operation = await at(other, status)
        failed = await other.change(
            operation, lambda o: lifecycle.fail(o, NOW, fence=o.fence, outcome=Outcome(500, error=ERROR))
        )
        if name in ("request_cancel", "cancel_queued"):
            assert await records.change(operation, write) == failed
        else:
            with pytest.raises((TransitionError, FenceLost)):
                await records.change(operation, write)
        assert await stored(other, operation) == failed
        assert await other.remove(failed)
        with pytest.raises(FenceLost):
            await records.change(operation, write)


async def test_conflict_with_another_claim(records: OperationRecords, other: OperationRecords) -> None:
    """Another fence ends it: the older attempt's result is not written."""
    operation = await at(other, Status.RUNNING)
    again = await other.change(operation, lambda o: lifecycle.claim(o, NOW, holder="h2", timeout=LENGTH, leases=LEASES))
    with pytest.raises(FenceLost):
        await records.change(operation, WRITES["succeed"][1])
    assert await stored(other, operation) == again


@pytest.mark.parametrize("fault", ["lost", "lost-before"])
async def test_insert_lost(
    records: OperationRecords, faulty: FaultyStorage, other: OperationRecords, fault: Any
) -> None:
    """An insert whose answer was lost is done once, and is no conflict with itself."""
    faulty.faults.at, faulty.faults.fault = 1, fault
    operation = await records.insert(fresh())
    assert await stored(other, operation) == operation
    await check_rows(faulty.inner, operation)


async def test_insert_lost_and_moved_on(
    records: OperationRecords, faulty: FaultyStorage, other: OperationRecords
) -> None:
    """An insert whose answer was lost is no conflict where somebody has moved the operation on in the meantime."""
    new = fresh()

    async def restart() -> None:
        found = await other.read(new.locator)
        assert found is not None
        await other.change(found, WRITES["restart"][1])

    faulty.faults.at, faulty.faults.fault, faulty.faults.after = 1, "lost", restart
    operation = await records.insert(new)
    assert (operation.run_id, operation.generation) == (new.run_id, new.generation + 1)
    assert await stored(other, operation) == operation


async def test_insert_conflict(records: OperationRecords, other: OperationRecords) -> None:
    """An id that is taken is a conflict, and the stored operation stays."""
    operation = await other.insert(fresh())
    with pytest.raises(StorageConflict):
        await records.insert(make_operation(id=operation.id, owner=operation.owner, run_id="2" * 32))
    assert await stored(other, operation) == operation


@pytest.mark.parametrize("fault", ["lost", "none"])
async def test_remove(records: OperationRecords, faulty: FaultyStorage, other: OperationRecords, fault: Any) -> None:
    """A removal takes every row, done once where its answer was lost; what is left is found until it is discarded."""
    ended = await other.change(await at(other, Status.NOT_STARTED), WRITES["cancel_queued"][1])
    payload = await records.store_payload(ended.run_id, "input", "application/json", b"x" * 50_000)
    ended = await other.change(ended, lambda o: replace(o, input=payload))
    faulty.faults.writes = 0
    faulty.faults.at, faulty.faults.fault = (1, "lost") if fault == "lost" else (0, "kill")
    remains = await records.remove(ended)
    assert remains is not None
    assert await other.read(ended.locator) is None
    table, partition = faulty.inner.table("operations"), ended.locator.partition
    for key in (list_rows.list_key(ended), rows.expiry_key(ended)):
        assert await table.read(partition, key) is None
    assert await records.remove(ended) is None
    later = remains.removed + timedelta(microseconds=1)
    assert remains in [each async for each in other.due(later)]
    for _ in range(2):
        await records.discard(remains)
        assert await table.read(partition, remains.key) is None
        assert await other.load_payload(payload) is None


async def test_remove_what_has_changed(records: OperationRecords, other: OperationRecords) -> None:
    """A copy that is no longer the stored one does for a removal; an id that is taken again is left alone."""
    ended = await other.change(await at(other, Status.NOT_STARTED), WRITES["cancel_queued"][1])
    await other.change(ended, lambda o: replace(o, profile_state={"seen": True}))
    assert await records.remove(ended) is not None
    again = await other.insert(replace(ended, run_id=uuid4().hex, status=Status.NOT_STARTED))
    assert await records.remove(ended) is None
    assert await stored(other, again) == again


@pytest.mark.parametrize("size", [0, 1, 30 * 1024, 30 * 1024 + 1, 5_000_000])
async def test_payloads(records: OperationRecords, storage: Storage, size: int) -> None:
    """Up to 30 KiB is kept in the row, more in a blob; either comes back, and goes when dropped."""
    content = b"\xc3\xa9" * (size // 2) + b"x" * (size % 2)
    operation = await records.with_input(fresh(), content)
    payload = operation.input
    assert (payload.blob is not None) == (size > 30 * 1024)
    operation = await records.insert(operation)
    assert (await stored(records, operation)).input == payload
    assert await records.load_payload(payload) == content
    await records.drop_payload(payload)
    if payload.blob:
        assert await storage.container("operations").info(payload.blob) is None
        assert await records.load_payload(payload) is None


@pytest.mark.parametrize("content", [b"x" * 50_000, b"\xff"], ids=["large", "no text"])
async def test_an_input_without_a_record(records: OperationRecords, storage: Storage, content: bytes) -> None:
    """A blob that no record names is found among what has expired an hour later; once it is recorded, no more."""
    lost, kept = [await records.with_input(fresh(), content) for _ in range(2)]
    kept = await records.insert(kept)
    found = [each async for each in records.due(lost.created + timedelta(hours=1, microseconds=1))]
    mine = [each for each in found if isinstance(each, Remains) and each.run_id in (lost.run_id, kept.run_id)]
    assert [(each.run_id, each.blobs) for each in mine] == [(lost.run_id, (lost.input.blob,))]
    assert lost.locator not in [each async for each in records.due(lost.created + timedelta(minutes=59))]
    await records.discard(mine[0])
    container = storage.container("operations")
    assert await container.info(lost.input.blob or "") is None
    assert await container.info(kept.input.blob or "") is not None


async def test_bytes_that_are_no_text(records: OperationRecords) -> None:
    """A small payload that is not UTF-8 is a blob."""
    payload = await records.store_payload(uuid4().hex, "input", "x/y", b"\xff\x00")
    assert payload.blob
    assert await records.load_payload(payload) == b"\xff\x00"


async def test_sweeps(records: OperationRecords) -> None:
    """What is active, and what has expired, is found by key alone."""
    running = await at(records, Status.RUNNING)
    ended = await records.change(await at(records, Status.NOT_STARTED), WRITES["cancel_queued"][1])
    assert ended.expires is not None
    active = {locator async for locator, _ in records.active()}
    assert running.locator in active
    assert ended.locator not in active
    assert ended.locator in [each async for each in records.due(ended.expires + timedelta(microseconds=1))]
    assert ended.locator not in [each async for each in records.due(ended.expires)]
    assert Locator.parse(str(ended.locator)) == ended.locator
