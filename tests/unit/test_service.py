"""The use cases: start and replay, cancel, delete, results."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from shared.actions import ActionContext, RequestError, action
from shared.errors import StorageError
from shared.model import lifecycle
from shared.model.operation import Status
from tests.support.clock import finished
from tests.support.parts import LEASES, Faults, FaultyStorage, Input, World, sqlite

REFUSE: list[RequestError] = []


@action("test:work", post="thing/{id}:work")
async def work(context: ActionContext, request: Input) -> str:
    return request.file_name * 20_000


@work.precondition
async def refuse(request: Input) -> None:
    if REFUSE:
        raise REFUSE[0]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    REFUSE.clear()
    async with sqlite(tmp_path) as inner:
        yield World(FaultyStorage(inner, Faults()), work)


async def test_precondition_refuses(world: World) -> None:
    """What a precondition raises reaches the caller, and nothing exists: no row, no blob, no orchestration."""
    REFUSE.append(RequestError(409, "Busy", "Not now."))
    with pytest.raises(RequestError) as caught:
        await world.start(input_json=b"x" * 50_000)
    assert caught.value.code == "Busy"
    assert (await world.keys(), world.faults.writes, world.engine.started) == ([], 0, [])


async def test_replay(world: World) -> None:
    """The same id and request answer the stored operation, even where the precondition would now refuse."""
    first = await world.start(operation_id="mine")
    await world.run(first)
    REFUSE.append(RequestError(409, "Busy", "Not now."))
    again = await world.start(operation_id="mine")
    assert (again.id, again.run_id, again.status) == ("mine", first.run_id, Status.SUCCEEDED)
    assert len(world.engine.started) == 1


async def test_id_in_use(world: World) -> None:
    """The same id with another request is refused, and the stored one stays as it is."""
    await world.start(operation_id="mine")
    before = await world.keys()
    with pytest.raises(RequestError) as caught:
        await world.start(operation_id="mine", fingerprint="0" * 64, input_json=b"y" * 50_000)
    assert (caught.value.status, caught.value.code) == (409, "OperationIdInUse")
    assert (await world.keys(), len(world.engine.started)) == (before, 1)


async def test_ids_belong_to_owners(world: World) -> None:
    """Two owners may use one id; neither sees the other's operation."""
    mine = await world.start(operation_id="same", owner="a")
    theirs = await world.start(operation_id="same", owner="b", fingerprint="0" * 64)
    assert mine.run_id != theirs.run_id
    with pytest.raises(RequestError) as caught:
        await world.service.get("c", "same")
    assert (caught.value.status, caught.value.code) == (404, "OperationNotFound")


async def test_race_of_equal_starts(world: World) -> None:
    """Of equal starts at one time one creates the operation, all get it, and no loser's blob stays behind."""
    answers = await asyncio.gather(
        *(world.start(operation_id="mine", input_json=b"x" * 50_000) for _ in range(5)), return_exceptions=False
    )
    assert len({answer.run_id for answer in answers}) == 1
    assert len(world.engine.started) == 1
    # Each that raced wrote what tells of its blob, the blob, and tried an insert; all but one removed both again.
    # Who came late only read.
    raced, rest = divmod(world.faults.writes + 2, 5)
    assert (rest, 1 <= raced <= 5) == (0, True)
    stored = await world.read(answers[0])
    assert await world.records.load_payload(stored.input) == b"x" * 50_000


async def test_storage_down(world: World) -> None:
    """A start that cannot be stored is an error; nothing exists, nothing was given to the engine."""
    world.faults.down = True
    with pytest.raises(StorageError):
        await world.start()
    assert world.engine.started == []
    assert await world.keys() == []


async def test_lost_answer_of_a_start(world: World) -> None:
    """A start whose answer was lost is found to be done: one operation, started once."""
    world.faults.at, world.faults.fault = 1, "lost"
    started = await world.start()
    assert len(await world.keys()) == 3
    assert [work.locator for _, work in world.engine.started] == [started.locator]


async def test_start_that_housekeeping_has_met_before_its_answer(world: World) -> None:
    """A start whose answer got lost and that was restarted meanwhile is no replay of another one: its input stays."""

    async def restart() -> None:
        (row,) = [locator async for locator, _ in world.records.active()]
        found = await world.records.read(row)
        assert found is not None
        await world.records.change(
            found, lambda o: lifecycle.restart(o, world.clock.now(), leases=LEASES, wait=timedelta)
        )

    world.faults.at, world.faults.fault, world.faults.after = 3, "lost", restart
    starting = asyncio.create_task(world.start(operation_id="mine", input_json=b"x" * 50_000))
    started = await finished(starting, world.clock, within=5)
    assert [work.generation for _, work in world.engine.started] == [2]
    stored = await world.read(started)
    assert await world.records.load_payload(stored.input) == b"x" * 50_000


async def test_cancel(world: World) -> None:
    """Queued is Canceled at once; cancelled again, or once over, it stays as it is and nothing is written."""
    started = await world.start()
    canceled = await world.service.cancel("", started.id)
    assert canceled.status is Status.CANCELED
    before = world.faults.writes
    assert await world.service.cancel("", started.id) == await world.service.get("", started.id)
    assert world.faults.writes == before
    assert await world.run(started) is None
    assert (await world.read(started)).attempt == 0
    with pytest.raises(RequestError):
        await world.service.cancel("", "unknown")


async def test_delete(world: World) -> None:
    """What is not over is not deleted; what is goes with rows and blobs, and is not found afterwards."""
    started = await world.start(input_json=b'{"pad":"' + b"x" * 50_000 + b'"}')
    with pytest.raises(RequestError) as caught:
        await world.delete(started)
    assert (caught.value.status, caught.value.code) == (409, "OperationNotFinished")
    await world.run(started)
    ended = await world.read(started)
    assert ended.outcome is not None
    assert ended.outcome.body is not None
    await world.delete(started)
    assert await world.keys() == []
    for payload in (started.input, ended.outcome.body):
        assert payload.blob is not None
        assert await world.storage.container("operations").info(payload.blob) is None
    with pytest.raises(RequestError) as caught:
        await world.delete(started)
    assert caught.value.status == 404


async def test_result(world: World) -> None:
    """A result is given as stored; one whose blob is gone is 410, while the monitor just does without it."""
    started = await world.start()
    assert await world.service.result("", started.id) == (await world.service.get("", started.id), None)
    await world.run(started)
    operation, content = await world.service.result("", started.id)
    assert content == b'"' + b"a.txt" * 20_000 + b'"'
    assert operation.outcome is not None
    assert operation.outcome.body is not None
    await world.records.drop_payload(operation.outcome.body)
    assert await world.service.result_content(operation) is None
    with pytest.raises(RequestError) as caught:
        await world.service.result("", started.id)
    assert caught.value.status == 410
