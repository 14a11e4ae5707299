"""Steps that are done once: whatever dies or is lost, a stored result stays, and nothing is left after the removal."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest
from pydantic_core import from_json

from shared.actions import ActionCanceled, ActionContext, ContinueLater, Model, Retry, SyncActionContext
from shared.errors import StorageError
from shared.model.operation import Status
from shared.operations import steps as steps_module
from shared.storage.ports import Delete, Row
from tests.support.parts import Input, Killed, World
from tests.unit.runner.handlers import claim_elsewhere, error_code

LARGE = "x" * 40_000


class Receipt(Model):
    """What a step may return."""

    charge_id: str


async def settle(world: World, started: Any, *, within: int = 30) -> Any:
    """Deliveries and passes of housekeeping until it has ended."""
    for _ in range(within):
        await world.run(started)
        world.clock.pass_by(seconds=41)
        if (await world.read(started)).status.is_terminal:
            return await world.read(started)
        await world.tidy()
    raise AssertionError("it does not end")


async def test_a_step_is_done_once(make: Callable[..., World]) -> None:
    """A later attempt gets what the first one stored, as JSON; each costs one storage request."""
    done: list[str] = []

    async def charge() -> Receipt:
        done.append("charge")
        return Receipt(charge_id="c-1")

    def weigh(name: str) -> str:
        done.append(name)
        return LARGE

    async def handler(context: ActionContext, request: Input) -> None:
        before = world.faults.writes + world.faults.reads
        assert await context.once("charge", charge) == {"chargeId": "c-1"}
        counts.append(world.faults.writes + world.faults.reads - before)
        assert await context.once("weigh", partial(weigh, "weigh")) == LARGE
        assert await context.once("charge", charge) == {"chargeId": "c-1"}, "also in the same attempt"
        assert await context.once("last", lambda: done.append(f"last {context.attempt}")) is None
        if context.attempt == 1:
            raise ValueError

    counts: list[int] = []
    world = make(handler, retry=Retry(max_attempts=2))
    started = await world.start()
    ended = await settle(world, started)
    assert (ended.status, ended.steps, ended.attempt) == (Status.SUCCEEDED, 3, 2)
    assert done == ["charge", "weigh", "last 1"]
    assert counts == [1, 1]
    assert [name.rpartition("/")[2][:7] for name in world.faults.puts] == ["step-1-"]


async def test_a_def_handler(make: Callable[..., World]) -> None:
    """Without `await`; its steps run in its own thread."""
    done: list[int] = []

    def handler(context: SyncActionContext, request: Input) -> list[Any]:
        found = [context.once(f"n-{number}", partial(add, number)) for number in range(3)]
        if context.saved is None:
            context.save("again")
            raise ContinueLater
        return found

    def add(number: int) -> dict[str, int]:
        done.append(number)
        return {"n": number}

    world = make(handler)
    started = await world.start()
    ended = await settle(world, started)
    assert (ended.status, ended.steps, done) == (Status.SUCCEEDED, 3, [0, 1, 2])


async def test_what_raises_is_done_again(make: Callable[..., World]) -> None:
    """Nothing is stored of it."""
    tries: list[int] = []

    def fails_once() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError
        return "done"

    async def handler(context: ActionContext, request: Input) -> None:
        await context.once("key", fails_once)

    world = make(handler, retry=Retry(max_attempts=2))
    ended = await settle(world, await world.start())
    assert (ended.status, ended.steps, len(tries)) == (Status.SUCCEEDED, 1, 2)


@pytest.mark.parametrize("again", [False, True], ids=["same attempt", "next attempt"])
async def test_a_key_of_another_step(make: Callable[..., World], again: bool) -> None:
    """It raises, and is no reason to try again: the message names both."""

    def one() -> int:
        return 1

    def two() -> int:
        return 2

    async def handler(context: ActionContext, request: Input) -> None:
        if context.saved is None:
            await context.once("key", one)
            if again:
                await context.save(1)
                raise ContinueLater
        await context.once("key", two)

    world = make(handler, retry=Retry(max_attempts=2))
    ended = await settle(world, await world.start())
    assert error_code(ended) == "StepMismatch"
    assert ended.outcome.error.message.count("<locals>") == 2
    assert ended.attempt == 1


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("", 1, "InvalidStepKey"),
        ("k" * 201, 1, "InvalidStepKey"),
        ("\ud800", 1, "InvalidStepKey"),
        (3, 1, "InvalidStepKey"),
        ("key/with#all ?kinds\n", 1, None),
        ("k", object(), "InvalidStepResult"),
        ("k", float("nan"), "InvalidStepResult"),
        ("k", "x" * 1000, "StepResultTooLarge"),
    ],
    ids=["empty", "long", "surrogate", "number", "any", "object", "nan", "large"],
)
async def test_bad_steps(make: Callable[..., World], key: Any, value: Any, code: str | None) -> None:
    """Any text up to 200 characters is a key; a result is JSON, as large as a result may be."""

    async def handler(context: ActionContext, request: Input) -> None:
        await context.once(key, lambda: value)

    world = make(handler, settings={"MAX_RESULT_BYTES": "1000"})
    assert error_code(await settle(world, await world.start())) == code


async def test_as_many_as_an_operation_may_have(make: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    """One more raises before it is done; those that were done are still there."""
    assert steps_module.MAX_STEPS == 1000
    monkeypatch.setattr(steps_module, "MAX_STEPS", 3)
    done: list[int] = []

    async def handler(context: ActionContext, request: Input) -> None:
        for number in range(4):
            await context.once(str(number), lambda: done.append(len(done)))

    world = make(handler)
    assert error_code(await settle(world, await world.start())) == "TooManySteps"
    assert done == [0, 1, 2]


FAULTS = ["kill", "kill-before", "lost", "lost-unread", "lost-before", "down"]
"""As `Fault`; of "lost-unread" the read that would tell whether the write was done fails as well."""


async def two_steps(context: ActionContext, request: Input) -> str:
    """One whose result is in its row, and one whose result is a blob; returns by which attempt each was done."""
    attempt = str(context.attempt)
    small = await context.once("small", lambda: attempt)
    large = await context.once("large", lambda: attempt * len(LARGE))
    return small + large[0]


async def step_rows(world: World, started: Any) -> dict[str, Row]:
    prefix = steps_module.steps_prefix(started.locator, started.run_id)
    table = world.storage.table("operations")
    page = await table.page(started.locator.partition, lower=prefix, upper=f"{prefix}~")
    return {str(row.values["key"]): row for row in page.rows}


async def strike(world: World, work: Coroutine[Any, Any, Any], fault: Any, at: int) -> World:
    """The process in which it goes on, after the `at`-th write from here has gone wrong."""
    faults = world.faults
    faults.at, faults.fault, faults.kills_process = faults.writes + at, fault.removesuffix("-unread"), True

    async def fail_a_read() -> None:
        faults.failing_reads = 1

    faults.after = fail_a_read if fault == "lost-unread" else None
    try:
        await world.carry_out(work)
    except* (Killed, StorageError):
        pass
    assert faults.writes >= faults.at, "nothing has gone wrong"
    faults.failing_reads = 0
    return world.restarted() if faults.is_dead else world


async def check_nothing_is_left(world: World, started: Any) -> None:
    for _ in range(2):  # what was killed has left an orchestration that has not ended: the first pass ends it
        world.clock.pass_by(minutes=2)
        await world.tidy()
    assert await world.keys() == []
    assert await world.storage.container("operations").list(f"{started.run_id}/") == []


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("at", range(1, 6), ids=["claim", "small", "blob", "large", "end"])
async def test_any_write_goes_wrong(make: Callable[..., World], fault: Any, at: int) -> None:
    """A result that is stored is neither made nor written anew, whichever write is the last of a process."""
    world = make(two_steps, max_lost=2)
    started = await world.start()
    world = await strike(world, world.run(started), fault, at)
    kept = await step_rows(world, started)
    ended = await settle(world, started)
    assert (ended.status, ended.steps, ended.failures) == (Status.SUCCEEDED, 2, 0)
    assert (await step_rows(world, started)).items() >= kept.items()
    done_by = dict(zip(["small", "large"], from_json(ended.outcome.body.text), strict=True))
    assert {done_by[key] for key in kept} <= {"1"}
    assert set(done_by.values()) - {"1"} == ({"2"} if ended.attempt == 2 and len(kept) < 2 else set())
    await world.delete(started)
    await check_nothing_is_left(world, started)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("at", range(1, 5), ids=["record", "steps", "blob", "row that tells of them"])
async def test_any_write_of_the_removal_goes_wrong(make: Callable[..., World], fault: Any, at: int) -> None:
    """Steps and their blobs go all the same: by the next DELETE, or by a pass of housekeeping."""
    world = make(two_steps)
    started = await world.start()
    await settle(world, started)
    world = await strike(world, world.delete(started), fault, at)
    if await world.records.read(started.locator) is not None:
        await world.delete(started)
    await check_nothing_is_left(world, started)


async def test_an_overtaken_attempt_stores_nothing(make: Callable[..., World]) -> None:
    """The row goes in under the fence: whoever has lost the operation is told to stop."""
    seen: list[type[BaseException]] = []

    async def handler(context: ActionContext, request: Input) -> None:
        await claim_elsewhere(world, started, after=31)
        try:
            await context.once("key", lambda: "overtaken")
        except BaseException as error:
            seen.append(type(error))
            raise

    world = make(handler)
    started = await world.start()
    assert await world.run(started) is None
    assert seen == [ActionCanceled]
    assert [key for key in await world.keys() if key.startswith("j!")] == []
    assert (await world.read(started)).steps == 0


async def test_two_at_once(make: Callable[..., World]) -> None:
    """Steps side by side do not meet each other's writes as conflicts; of one key the first result stands."""

    async def handler(context: ActionContext, request: Input) -> list[Any]:
        reads = world.faults.reads
        found = await asyncio.gather(*(context.once(str(number % 5), partial(str, number)) for number in range(10)))
        assert world.faults.reads == reads
        assert found[:5] == found[5:]
        return list(found)

    world = make(handler)
    ended = await settle(world, await world.start())
    assert (ended.status, ended.steps) == (Status.SUCCEEDED, 5)


async def test_rows_go_in_bounded_transactions(make: Callable[..., World]) -> None:
    """A removal deletes at most 90 rows at a time, and the row that tells of them last; an id can be used anew."""

    async def handler(context: ActionContext, request: Input) -> None:
        for number in range(200):
            await context.once(str(number), partial(str, number))

    world = make(handler)
    started = await world.start(operation_id="mine")
    await settle(world, started)
    world.faults.seen.clear()
    await world.delete(started)
    deleted = [[c.key[:2] for c in changes if isinstance(c, Delete)] for _, changes in world.faults.seen]
    assert [len(keys) for keys in deleted] == [3, 90, 90, 20, 1]
    assert deleted[-1] == ["t!"]
    again = await world.start(operation_id="mine")
    assert (await world.read(again)).steps == 0
