"""Operations run inside a request: recorded and ended like any other, canceled at the limit, never run twice."""

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from shared.actions import ActionContext, ActionFailed, Retry, SyncActionContext, action
from shared.errors import RequestError, StorageUnavailable
from shared.model.operation import Operation, Status
from shared.operations.inline import InlineRuns
from shared.operations.service import StartRequest
from tests.support.clock import finished
from tests.support.parts import Faults, FaultyStorage, Input, World, sqlite

runs: list[str] = []


@action("inline:quick", post="inline/{id}:quick")
async def quick(context: ActionContext, request: Input) -> str:
    runs.append(context.run_id)
    return request.id


@action("inline:slow", post="inline/{id}:slow")
async def slow(context: ActionContext, request: Input) -> None:
    runs.append(context.run_id)
    await asyncio.sleep(30)


RELEASED = threading.Event()


@action("inline:deaf", post="inline/{id}:deaf", timeout="1s")
def deaf(context: SyncActionContext, request: Input) -> None:
    runs.append(context.run_id)
    RELEASED.wait(20)


@action("inline:twice", post="inline/{id}:twice", retry=Retry(max_attempts=2, delay="100ms"))
async def twice(context: ActionContext, request: Input) -> int:
    if context.attempt == 1:
        raise ActionFailed("NotYet", "The first attempt fails.", retryable=True)
    return context.attempt


def inline(world: World) -> InlineRuns:
    return InlineRuns(world.service, world.runner, world.live, clock=world.clock, timing=world.timing)


def world(storage: FaultyStorage) -> World:
    return World(storage, quick, slow, deaf, twice)


async def begun(made: World, request: StartRequest, *, seconds: float) -> "asyncio.Task[Operation]":
    """The request under way: its handler runs."""
    before = len(runs)
    task = asyncio.create_task(inline(made).run(request, seconds=seconds))
    while len(runs) == before:  # noqa: ASYNC110 - the handler is under test as users write them
        await asyncio.sleep(0.005)
    return task


async def test_three_storage_requests(tmp_path: Path) -> None:
    """Insert, claim, outcome: nothing is read, nothing is started."""
    async with sqlite(tmp_path) as inner:
        storage = FaultyStorage(inner, Faults())
        made = world(storage)
        done = await inline(made).run(made.request(quick), seconds=5)
        assert (done.status, storage.faults.writes, storage.faults.reads) == (Status.SUCCEEDED, 3, 0)
        assert made.engine.started == []
        assert await made.service.result_content(done) == b'"1"'
        stored = await made.read(done)
        assert replace(stored, etag=done.etag) == done


async def test_canceled_at_the_limit(tmp_path: Path) -> None:
    """An action that is not done in time is told to stop, and its record says Canceled."""
    async with sqlite(tmp_path) as inner:
        made = world(FaultyStorage(inner))
        task = await begun(made, made.request(slow), seconds=0.2)
        await made.clock.run_for(seconds=0.2)
        done = await task
        assert done.status is Status.CANCELED
        assert (await made.read(done)).status is Status.CANCELED


async def test_a_failure_is_tried_again_here(tmp_path: Path) -> None:
    """Attempts that are left are made in the same request."""
    async with sqlite(tmp_path) as inner:
        made = world(FaultyStorage(inner))
        task = asyncio.create_task(inline(made).run(made.request(twice), seconds=5))
        done = await finished(task, made.clock, within=5)
        assert (done.status, done.attempt) == (Status.SUCCEEDED, 2)


async def test_replayed_by_its_id(tmp_path: Path) -> None:
    """The same id and request find the stored outcome; the handler runs once. Another request of that id is 409."""
    async with sqlite(tmp_path) as inner:
        made = world(FaultyStorage(inner))
        before = len(runs)
        request = made.request(quick, operation_id="batch-1")
        first = await inline(made).run(request, seconds=5)
        second = await inline(made).run(request, seconds=5)
        assert (first.run_id, len(runs) - before) == (second.run_id, 1)
        with pytest.raises(RequestError) as refused:
            await inline(made).run(replace(request, fingerprint="e" * 64), seconds=5)
        assert refused.value.code == "OperationIdInUse"


async def test_found_half_way(tmp_path: Path) -> None:
    """What an earlier process has recorded but never run is run now, with its stored input."""
    async with sqlite(tmp_path) as inner:
        made = world(FaultyStorage(inner))
        request = made.request(quick, operation_id="batch-2")
        await made.service.start(request, made.engine)
        done = await inline(made).run(request, seconds=5)
        assert await made.service.result_content(done) == b'"1"'


@pytest.mark.parametrize("canceled", [True, False], ids=["somebody wants it", "the process stops"])
async def test_the_caller_is_cancelled(tmp_path: Path, canceled: bool) -> None:
    """A batch that is canceled cancels what it runs; a process that stops leaves it to the engine."""
    async with sqlite(tmp_path) as inner:
        made = world(FaultyStorage(inner))
        request = made.request(slow, operation_id="batch-3")
        task = asyncio.create_task(inline(made).run(request, seconds=20, is_canceled=lambda: canceled))
        before = len(runs)
        while len(runs) == before:  # noqa: ASYNC110 - the handler is under test as users write them
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        stored = await made.service.get("", "batch-3")
        assert stored.status is (Status.CANCELED if canceled else Status.RUNNING)
        assert stored.lease_until is None


async def test_a_handler_that_does_not_listen(tmp_path: Path) -> None:
    """A thread that cannot be stopped does not hold the request: it is answered after a grace period."""
    async with sqlite(tmp_path) as inner:
        made = world(FaultyStorage(inner))
        task = await begun(made, made.request(deaf), seconds=0.1)
        done = await finished(task, made.clock, within=9)
        assert done.status in (Status.CANCELED, Status.CANCELING)
        RELEASED.set()


async def test_storage_that_goes_away(tmp_path: Path) -> None:
    """The caller learns that storage cannot be reached; the operation stays and is not lost."""
    async with sqlite(tmp_path) as inner:
        storage = FaultyStorage(inner, Faults(at=2, fault="down"))
        made = world(storage)
        with pytest.raises(StorageUnavailable):
            await inline(made).run(made.request(quick, operation_id="kept"), seconds=5)
        assert (await made.service.get("", "kept")).status is Status.NOT_STARTED
