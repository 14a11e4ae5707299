"""Operations that are delegated: created, updated, ended, and never touched by what runs handlers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.actions import ActionContext, action
from shared.actions.progress import measured
from shared.errors import (
    ErrorBody,
    ErrorDetail,
    FenceLost,
    RequestError,
    StorageError,
    StorageUnavailable,
    TransitionError,
)
from shared.model import lifecycle
from shared.model.operation import Operation, Status
from shared.model.updates import Canceled, CreatedOperation, Failed, Origin, Running, Succeeded, Update
from shared.operations import external_secret, rows
from shared.operations.external import ExternalOperations
from shared.operations.remains import Remains
from shared.storage.ports import Insert
from tests.support.clock import finished
from tests.support.parts import LEASES, Faults, FaultyStorage, Input, Killed, World, sqlite

BROKEN = Failed(ErrorBody("PaperJam", "The paper is stuck."))
ENDS: dict[str, tuple[Update, Status]] = {
    "succeeded": (Succeeded({"pages": 12}), Status.SUCCEEDED),
    "failed": (BROKEN, Status.FAILED),
    "canceled": (Canceled(), Status.CANCELED),
}


@action("test:work", post="thing/{id}:work")
async def work(context: ActionContext, request: Input) -> None: ...


class Outside(World):
    """The core, and operations that are delegated."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.ended: list[Operation] = []
        self.external = ExternalOperations(
            self.records, clock=self.clock, timing=self.timing, after_end=self._note, max_result_bytes=100_000
        )

    async def _note(self, operation: Operation) -> None:
        self.ended.append(operation)

    async def create(self, **changes: Any) -> CreatedOperation:
        return await self.external.create(**{"kind": "press:set-up", "owner": "aad:alice", **changes})

    async def update(self, operation: Operation, update: Update) -> Operation:
        return await self.external.update(operation.owner, operation.id, update)

    async def result(self, operation: Operation) -> Any:
        content = await self.service.result_content(operation)
        return None if content is None else json.loads(content)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Outside]:
    async with sqlite(tmp_path) as storage:
        yield Outside(FaultyStorage(storage, Faults()), work)


def files(folder: Path) -> set[Path]:
    """Every file below, but for the database's own."""
    return {
        path for path in folder.rglob("*") if path.is_file() and ".sqlite" not in path.name and ".db" not in path.name
    }


async def refusal(awaitable: Any) -> tuple[int, str]:
    with pytest.raises(RequestError) as caught:
        await awaitable
    return caught.value.status, caught.value.code


async def test_create(world: Outside) -> None:
    """A new operation is NotStarted, one write of three rows, given to no engine; its secret is in none of them."""
    created = await world.create(
        retry_after=7, keep="2h", deadline="90s", resource="presses/p1", origin=Origin(profile_state={"a": 1})
    )
    stored = await world.read(created.operation)
    assert stored == created.operation
    assert (stored.status, stored.external, stored.retry_after, stored.action) == (
        "NotStarted",
        True,
        7,
        "press:set-up",
    )
    assert (stored.deadline - stored.created, stored.keep) == (timedelta(seconds=90), timedelta(hours=2))
    assert world.engine.started == []
    assert world.faults.writes == 1
    (_, changes) = world.faults.seen[0]
    assert [change.key[:2] for change in changes if isinstance(change, Insert)] == ["o!", "a!", "l!"]
    assert created.secret not in repr(changes)
    assert stored.secret_hash == external_secret.fingerprint(created.secret)


async def test_the_defaults_are_those_of_the_specification(world: Outside) -> None:
    """Clients wait 5 seconds between polls; the whole may take a day, and is kept for another one."""
    operation = (await world.create()).operation
    assert operation.retry_after == 5
    assert (operation.deadline - operation.created, operation.keep) == (timedelta(days=1), timedelta(days=1))


async def test_the_callers_id(world: Outside) -> None:
    """An id of the caller's is taken once per owner; one that is taken, or cannot be one, is refused."""
    assert (await world.create(operation_id="mine")).operation.id == "mine"
    assert (await world.create(operation_id="mine", owner="aad:bob")).operation.id == "mine"
    assert await refusal(world.create(operation_id="mine")) == (409, "OperationIdInUse")
    assert await refusal(world.create(operation_id="a:b")) == (400, "InvalidOperationId")
    with pytest.raises(ValueError, match="retry_after"):
        await world.create(retry_after=0)
    with pytest.raises(ValueError, match="kind"):
        await world.create(kind="")


async def test_a_large_input_goes_with_a_refused_create(world: Outside, tmp_path: Path) -> None:
    """Where the id is taken, the input's blob does not stay behind."""
    await world.create(operation_id="mine")
    blobs = files(tmp_path)
    assert await refusal(world.create(operation_id="mine", origin=Origin(input_json=b"x" * 50_000))) == (
        409,
        "OperationIdInUse",
    )
    assert files(tmp_path) == blobs


async def test_running_then_succeeded(world: Outside) -> None:
    """`Running` shows progress, which stays until there is newer; `Succeeded` ends it with its result."""
    operation = (await world.create()).operation
    world.clock.pass_by(seconds=3)
    running = await world.update(operation, Running(measured(done=1, total=4, message="Inking")))
    assert running == await world.read(operation)
    assert (running.status, running.started, running.changed) == (Status.RUNNING, world.clock.now(), world.clock.now())
    assert running.progress is not None
    assert (running.progress.percent, running.progress.message) == (25.0, "Inking")
    assert (running.fence, running.attempt, running.lease_until) == (0, 0, None)
    again = await world.update(operation, Running())
    assert again.progress == running.progress
    ended = await world.update(operation, Succeeded({"pages": 12}))
    assert (ended.status, await world.result(ended)) == (Status.SUCCEEDED, {"pages": 12})
    assert ended.progress is not None
    assert ended.progress.percent == 100.0
    assert ended.expires == ended.ended + operation.keep if ended.ended else False


@pytest.mark.parametrize("name", ENDS)
async def test_an_end_at_once(world: Outside, name: str) -> None:
    """Every end may be the first thing that is said; it is one transaction, and the rows are those of any end."""
    update, status = ENDS[name]
    operation = (await world.create()).operation
    before = world.faults.writes
    ended = await world.update(operation, update)
    assert (ended.status, world.faults.writes - before) == (status, 1)
    assert ended.started == ended.ended == world.clock.now()
    assert [key[:2] for key in await world.keys()] == ["l!", "o!", "t!"]
    assert world.ended == [ended]


@pytest.mark.parametrize("ended_by", ENDS)
@pytest.mark.parametrize("name", ["running", *ENDS])
async def test_nothing_follows_an_end(world: Outside, ended_by: str, name: str) -> None:
    """Every update of a terminal operation is 409 OperationFinished and changes nothing."""
    operation = (await world.create()).operation
    await world.update(operation, ENDS[ended_by][0])
    stored = await world.read(operation)
    update = Running() if name == "running" else ENDS[name][0]
    assert await refusal(world.update(operation, update)) == (409, "OperationFinished")
    assert await world.read(operation) == stored


async def test_failed(world: Outside) -> None:
    """The error is shown as it was given, cut to what a record holds; the status code is the caller's to choose."""
    operation = (await world.create()).operation
    error = ErrorBody("E" * 200, "m" * 5000, "t", tuple(ErrorDetail("c", "m" * 900) for _ in range(9)))
    ended = await world.update(operation, Failed(error, status_code=422))
    assert ended.outcome is not None
    assert ended.outcome.error is not None
    assert ended.outcome.status_code == 422
    assert (len(ended.outcome.error.code), len(ended.outcome.error.message)) == (100, 1000)
    assert len(ended.outcome.error.details) == 4


@pytest.mark.parametrize("result", [None, [1, 2.5], "text", {"a": float("inf")}], ids=str)
async def test_results(world: Outside, result: Any) -> None:
    """Any JSON value is a result; nothing is 204; a number JSON has no word for is null."""
    ended = await world.update((await world.create()).operation, Succeeded(result))
    assert ended.outcome is not None
    assert ended.outcome.status_code == (204 if result is None else 200)
    assert await world.result(ended) == ({"a": None} if isinstance(result, dict) else result)


async def test_a_result_that_is_too_large(world: Outside, tmp_path: Path) -> None:
    """It ends the operation as Failed, ResultTooLarge, and nothing of it is stored; a smaller one is stored."""
    before = files(tmp_path)
    ended = await world.update((await world.create()).operation, Succeeded({"pages": ["x" * 1000] * 101}))
    assert ended.outcome is not None
    assert ended.outcome.error is not None
    assert (ended.status, ended.outcome.error.code) == (Status.FAILED, "ResultTooLarge")
    assert files(tmp_path) == before
    assert [each.id for each in world.ended] == [ended.id]
    kept = {"pages": ["x" * 1000] * 98}
    assert await world.result(await world.update((await world.create()).operation, Succeeded(kept))) == kept


async def test_a_model_is_a_result(world: Outside) -> None:
    """A pydantic model is written with its names on the wire."""
    ended = await world.update((await world.create()).operation, Succeeded(Input(id="1", file_name="b")))
    assert await world.result(ended) == {"id": "1", "fileName": "b"}


async def test_unknown_and_others(world: Outside) -> None:
    """An unknown id is 404, and so is another owner's; what a handler runs is 409 and stays as it is."""
    operation = (await world.create()).operation
    assert await refusal(world.external.update("aad:alice", "none", Running())) == (404, "OperationNotFound")
    assert await refusal(world.external.update("aad:bob", operation.id, Running())) == (404, "OperationNotFound")
    mine = await world.start(owner="aad:alice")
    assert await refusal(world.update(mine, Succeeded())) == (409, "OperationNotExternal")
    assert (await world.read(mine)).status is Status.NOT_STARTED


async def test_cancel_before_any_update(world: Outside) -> None:
    """A cancel of what has not begun is done at once; the system outside learns it from its next update."""
    operation = (await world.create()).operation
    canceled = await world.service.cancel(operation.owner, operation.id)
    assert canceled.status is Status.CANCELED
    assert await refusal(world.update(operation, Running())) == (409, "OperationFinished")


@pytest.mark.parametrize("name", ENDS)
async def test_cancel_while_it_runs(world: Outside, name: str) -> None:
    """A cancel waits for the system outside: `Running` is refused with the news, every end is taken."""
    operation = (await world.create()).operation
    await world.update(operation, Running())
    canceling = await world.service.cancel(operation.owner, operation.id)
    assert canceling.status is Status.CANCELING
    assert await refusal(world.update(operation, Running(measured(percent=5)))) == (409, "OperationCanceling")
    assert (await world.read(operation)).progress is None
    update, status = ENDS[name]
    ended = await world.update(operation, update)
    assert ended.status is status
    if status is Status.CANCELED:
        assert ended.outcome is not None
        assert ended.outcome.error == lifecycle.CANCELED_ERROR


async def test_canceled_on_its_own_account(world: Outside) -> None:
    """Who was not asked to stop is not said to have been."""
    ended = await world.update((await world.create()).operation, Canceled())
    assert ended.outcome is not None
    assert ended.outcome.error is not None
    assert ended.outcome.error.code == "OperationCanceled"
    assert "request" not in ended.outcome.error.message


async def test_the_runner_leaves_it_alone(world: Outside) -> None:
    """A delivery for an external operation claims nothing, even where a handler has its kind's name."""
    operation = (await world.create(kind="test:work")).operation
    before = world.faults.writes
    assert await world.run(operation) is None
    world.clock.pass_by(days=2)
    assert await world.run(operation) is None
    assert world.faults.writes == before


def test_the_lifecycle_does_not_claim_it() -> None:
    """No attempt takes an external operation and no orchestration is started for it; and the other way round."""
    operation = replace(rows.from_row(_row()), external=True)
    with pytest.raises(TransitionError):
        lifecycle.claim(operation, operation.created, holder="h", timeout=timedelta(minutes=1), leases=LEASES)
    with pytest.raises(TransitionError):
        lifecycle.restart(operation, operation.created, leases=LEASES, wait=timedelta)
    with pytest.raises(TransitionError):
        lifecycle.update(replace(operation, external=False), operation.created)


def _row() -> rows.Row:
    now = "2026-01-02T03:04:05.678901Z"
    values = {"id": "x", "status": "NotStarted", "created": now, "changed": now, "deadline": now}
    return rows.Row("0", "o!x", values, "e")


async def test_housekeeping_leaves_it_alone_before_its_deadline(world: Outside) -> None:
    """Neither a silent nor a running one is restarted, and the engine is not even asked."""
    silent, running = (await world.create()).operation, (await world.create()).operation
    await world.update(running, Running())
    world.clock.pass_by(hours=23, minutes=59)
    assert not (await world.tidy()).did_something
    assert (world.engine.started, world.engine.asked) == ([], [])
    assert [(await world.read(each)).status for each in (silent, running)] == ["NotStarted", "Running"]


@pytest.mark.parametrize("running", [False, True])
async def test_housekeeping_ends_it_at_its_deadline(world: Outside, running: bool) -> None:
    """Past its deadline it is Failed with DeadlineExceeded, updates or not, and is removed when it expires."""
    operation = (await world.create(deadline="10m")).operation
    world.clock.pass_by(minutes=9, seconds=59)
    if running:
        await world.update(operation, Running())
    world.clock.pass_by(seconds=1)
    report = await world.tidy()
    assert (report.failed, report.restarted) == (1, 0)
    ended = await world.read(operation)
    assert ended.outcome is not None
    assert ended.outcome.error is not None
    assert (ended.status, ended.outcome.error.code) == (Status.FAILED, "DeadlineExceeded")
    world.clock.pass_by(hours=24, seconds=1)
    assert (await world.tidy()).removed == 1
    assert await world.keys() == []


@pytest.mark.parametrize("update", [Running(), Succeeded({"pages": 1}), Canceled()], ids=["running", "end", "cancel"])
async def test_an_update_past_the_deadline(world: Outside, update: Update) -> None:
    """It is too late although housekeeping has not come by: the update is refused and the operation is ended."""
    operation = (await world.create(deadline="10m")).operation
    world.clock.pass_by(minutes=10)
    assert await refusal(world.update(operation, update)) == (409, "OperationFinished")
    ended = await world.read(operation)
    assert ended.outcome is not None
    assert ended.outcome.error is not None
    assert ended.outcome.error.code == "DeadlineExceeded"
    assert world.ended == [ended]


async def test_an_update_past_the_deadline_of_a_cancel(world: Outside) -> None:
    """One that was asked to stop is Canceled when its deadline passes."""
    operation = (await world.create(deadline="10m")).operation
    await world.update(operation, Running())
    await world.service.cancel(operation.owner, operation.id)
    world.clock.pass_by(minutes=10)
    assert await refusal(world.update(operation, Succeeded())) == (409, "OperationFinished")
    assert (await world.read(operation)).status is Status.CANCELED


@pytest.mark.parametrize(("deadline", "wait"), [("1h", timedelta(minutes=5)), ("12m", timedelta(minutes=2))])
async def test_housekeeping_ends_an_unheard_cancel(world: Outside, deadline: str, wait: timedelta) -> None:
    """A cancel nobody confirms is done after five minutes, or at the deadline where that comes first."""
    operation = (await world.create(deadline=deadline)).operation
    world.clock.pass_by(minutes=10)
    await world.update(operation, Running())
    await world.service.cancel(operation.owner, operation.id)
    world.clock.pass_by(seconds=wait.total_seconds() - 1)
    assert not (await world.tidy()).did_something
    world.clock.pass_by(seconds=1)
    assert (await world.tidy()).canceled == 1
    assert (await world.read(operation)).status is Status.CANCELED


async def test_a_race_of_two_ends(world: Outside, tmp_path: Path) -> None:
    """Of two ends at one time one is stored and the other is 409; the loser's large result does not stay behind."""
    operation = (await world.create()).operation
    results = [{"who": name, "text": name * 40_000} for name in "abcd"]
    answers = await asyncio.gather(
        *(world.update(operation, Succeeded(result)) for result in results), return_exceptions=True
    )
    won = [answer for answer in answers if isinstance(answer, Operation)]
    lost = [answer for answer in answers if isinstance(answer, RequestError)]
    assert (len(won), {(e.status, e.code) for e in lost}, len(lost)) == (1, {(409, "OperationFinished")}, 3)
    assert (await world.result(await world.read(operation)))["who"] == results[answers.index(won[0])]["who"]
    assert len([path for path in files(tmp_path) if "blobs" in path.parts]) == 1
    assert world.ended == won


async def test_a_race_of_progress_and_end(world: Outside) -> None:
    """Progress that comes with the end is either in the record before it or refused; the end always stands."""
    operation = (await world.create()).operation
    updates: list[Update] = [Running(measured(percent=n)) for n in range(5)]
    racing = asyncio.gather(
        *(world.update(operation, each) for each in [*updates, Succeeded(1), *updates]), return_exceptions=True
    )
    # Writers that keep meeting pause before they try again.
    answers = await finished(racing, world.clock, within=60)
    assert all(isinstance(a, Operation) or (isinstance(a, RequestError) and a.status == 409) for a in answers)
    assert (await world.read(operation)).status is Status.SUCCEEDED


async def test_removal(world: Outside) -> None:
    """What is delegated was never in the engine: its removal asks the engine for nothing."""
    operation = (await world.create()).operation
    await world.update(operation, Succeeded())
    await world.delete(operation)
    assert (await world.keys(), world.engine.purged) == ([], [])


async def test_removed_while_it_is_updated(world: Outside) -> None:
    """An update of what is gone by then is 404, from whatever copy it starts."""
    operation = (await world.create()).operation
    ended = await world.update(operation, Succeeded())
    await world.delete(operation)
    assert await refusal(world.external.apply(replace(operation, etag="stale"), Succeeded())) == (
        404,
        "OperationNotFound",
    )
    assert await refusal(world.update(ended, Succeeded())) == (404, "OperationNotFound")


async def test_a_lost_answer_is_one_update(world: Outside) -> None:
    """A write whose answer got lost counts once: the update succeeds and is not refused as its own rival."""
    operation = (await world.create()).operation
    world.faults.at, world.faults.fault = world.faults.writes + 1, "lost"
    assert (await world.update(operation, Succeeded(5))).status is Status.SUCCEEDED


async def test_storage_that_is_down(world: Outside) -> None:
    """An update that could not be stored says so, and may be sent again."""
    operation = (await world.create()).operation
    world.faults.at, world.faults.fault = world.faults.writes + 1, "down"
    with pytest.raises(StorageUnavailable):
        await world.update(operation, Succeeded(5))
    assert (await world.update(operation, Succeeded(5))).status is Status.SUCCEEDED


@pytest.mark.parametrize("at", range(1, 4))
@pytest.mark.parametrize("fault", ["kill", "kill-before", "lost", "lost-before", "down"])
@pytest.mark.parametrize("again", [False, True])
async def test_a_large_result_that_is_cut_in_two(
    world: Outside, tmp_path: Path, at: int, fault: Any, again: bool
) -> None:
    """Wherever an update fails, an hour later there is the blob that the record names, no other, and no row of one."""
    operation = (await world.create()).operation
    result = {"text": "x" * 60_000}
    world.faults.at, world.faults.fault = world.faults.writes + at, fault
    with suppress(Killed, StorageError):
        await finished(asyncio.ensure_future(world.update(operation, Succeeded(result))), world.clock, within=2)
    if again:
        with suppress(RequestError):
            await world.update(operation, Succeeded(result))
    world.clock.pass_by(hours=1, seconds=1)
    await world.tidy()
    stored = await world.read(operation)
    is_ended = stored.status is Status.SUCCEEDED
    assert is_ended or not again
    assert len([path for path in files(tmp_path) if "blobs" in path.parts]) == is_ended
    assert [key[:2] for key in await world.keys()] == (["l!", "o!", "t!"] if is_ended else ["a!", "l!", "o!"])
    if is_ended:
        assert await world.result(stored) == result
        await world.delete(stored)
        assert await world.keys() == []
        assert not [path for path in files(tmp_path) if "blobs" in path.parts]


async def test_a_row_that_tells_of_a_result_by_then_recorded(world: Outside) -> None:
    """Who has read the row before the operation ended, and clears after that, leaves what the record names."""
    operation = (await world.create()).operation
    seen: list[Remains] = []

    async def meanwhile(table: str, changes: Any) -> None:
        expired = world.records.due(world.clock.now() + timedelta(hours=2))
        seen.extend([each async for each in expired if isinstance(each, Remains)])

    world.faults.before = meanwhile
    ended = await world.update(operation, Succeeded({"text": "x" * 60_000}))
    world.faults.before = None
    assert [each.locator for each in seen] == [operation.locator]
    await world.removals.clear(seen[0], world.engine)
    assert await world.result(ended) == {"text": "x" * 60_000}


async def test_an_input_that_was_removed_meanwhile(world: Outside) -> None:
    """Nothing else stands for an input that is gone with its operation: its work is not delegated without it."""
    operation = (await world.create(origin=Origin(input_json=b"x" * 60_000))).operation
    await world.delete(await world.update(operation, Succeeded()))
    with pytest.raises(FenceLost):
        await world.external.input(operation)


async def test_what_follows_may_fail(world: Outside, caplog: pytest.LogCaptureFixture) -> None:
    """What is done after an end and fails does not take the end back."""

    async def broken(operation: Operation) -> None:
        raise RuntimeError("not now")

    external = ExternalOperations(world.records, clock=world.clock, timing=world.timing, after_end=broken)
    operation = (await external.create(kind="k", owner="")).operation
    assert (await external.update("", operation.id, Succeeded())).status is Status.SUCCEEDED
    assert "left to its readers" in caplog.text


async def test_a_monitor_does_not_read_the_hash(world: Outside) -> None:
    """What is read for a monitor knows that it is external, and has not even the secret's hash."""
    operation = (await world.create()).operation
    seen = await world.service.get(operation.owner, operation.id)
    assert (seen.external, seen.secret_hash) == (True, "")
    await world.service.cancel(operation.owner, operation.id)
    assert (await world.read(operation)).secret_hash == operation.secret_hash


async def test_rows_of_other_operations_stay_as_they_were(world: Outside) -> None:
    """What handlers run has no column of this: rows of every age mean the same."""
    columns = rows.to_columns(await world.start())
    assert not {"external", "secret_hash"} & set(columns)
