"""What handlers save, when it is stored, and what the next slice gets of it."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from shared.actions import ActionContext, ActionFailed, ContinueLater, Model, Retry, SyncActionContext
from shared.model.operation import Operation, Status
from shared.operations.stopping import Stopping
from shared.storage.ports import Merge
from tests.support.parts import Input, World
from tests.unit.runner.handlers import claim_elsewhere, error_code, until

LARGE = "x" * 40_000
"""As a checkpoint it is a blob, stored as soon as a small one."""
SMALL = 64 * 1024
"""Bytes of a checkpoint that is stored within a second; a text has two more than characters."""
HUGE = "y" * 100_000
"""Stored less often."""


class State(Model):
    """A checkpoint that is a model."""

    next_page: int


class Script:
    """An async handler that does what the test tells it, one thing after another."""

    def __init__(self) -> None:
        self.context: ActionContext | None = None
        self._tasks: asyncio.Queue[tuple[Callable[[ActionContext], Awaitable[Any]] | None, asyncio.Future[Any]]]
        self._tasks = asyncio.Queue()

    async def __call__(self, context: ActionContext, request: Input) -> None:
        self.context = context
        while True:
            work, done = await self._tasks.get()
            if work is None:
                done.set_result(None)
                return
            try:
                done.set_result(await work(context))
            except ActionFailed as failure:
                done.set_exception(failure)

    async def do(self, work: Callable[[ActionContext], Awaitable[Any]] | None) -> Any:
        """Have the handler do it; None ends it."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._tasks.put_nowait((work, done))
        return await done

    async def save(self, state: Any, *, flush: bool = False) -> None:
        await self.do(lambda context: context.save(state, flush=flush))


Scripted = tuple[Script, World, Operation, "asyncio.Task[Any]"]


@pytest.fixture
async def script(make: Callable[..., World]) -> AsyncIterator[Scripted]:
    """A handler under way that waits for what it is told."""
    script = Script()

    async def work(context: ActionContext, request: Input) -> None:
        await script(context, request)

    world = make(work, timeout="10m")
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await until(lambda: script.context)
    yield script, world, started, running
    running.cancel()
    await world.clock.run_for(minutes=1)
    await asyncio.wait({running}, timeout=5)


async def stored(world: World, operation: Operation) -> str | None:
    """The checkpoint in the record: its text, or the name of its blob behind the run."""
    saved = (await world.read(operation)).saved
    if saved is None:
        return None
    return saved.text if saved.blob is None else saved.blob.rpartition("/")[2]


async def blobs(world: World, operation: Operation) -> list[str]:
    names = await world.storage.container("operations").list(f"{operation.run_id}/")
    return sorted(name.rpartition("/")[2] for name in names)


async def test_small_ones_are_stored_within_a_second(script: Scripted) -> None:
    """Each write has what was saved last, and the next one comes a second later."""
    handler, world, started, running = script
    await handler.save({"n": 0})
    await world.clock.run_for(seconds=1)
    await until(lambda: world.faults.writes == 3)
    assert await stored(world, started) == '{"n":0}'
    for number in range(1, 50):
        await handler.save({"n": number})
    await world.clock.run_for(seconds=0.9)
    assert await stored(world, started) == '{"n":0}'
    await world.clock.run_for(seconds=0.1)
    await until(lambda: world.faults.writes == 4)
    assert await stored(world, started) == '{"n":49}'
    await handler.save("x" * (SMALL - 2))
    await world.clock.run_for(seconds=1)
    await until(lambda: world.faults.puts)
    await until(lambda: world.faults.writes == 5)
    await handler.do(None)
    await running
    assert world.faults.writes == 6, "start, claim, three checkpoints, end"


async def test_large_ones_are_stored_within_ten_seconds(script: Scripted) -> None:
    """A blob of a byte more than 64 KiB is not written once a second, although the progress is."""
    handler, world, started, running = script
    assert handler.context is not None
    await handler.save("x" * (SMALL - 1))
    for number in range(9):
        handler.context.report_progress(done=number)
        await handler.save(str(number) * (SMALL - 1))
        await world.clock.run_for(seconds=1)
    assert await stored(world, started) is None
    await world.clock.run_for(seconds=1)
    await until(lambda: world.faults.puts)
    async with asyncio.timeout(20):
        while await stored(world, started) is None:
            await world.clock.run_for(seconds=1)
    assert await stored(world, started) == "saved-1-0"
    await handler.do(None)
    await running
    assert world.faults.puts == [f"{started.run_id}/saved-1-0"]


async def test_flush_returns_once_it_is_stored(script: Scripted) -> None:
    """Whatever its size, and without a wait; blobs take turns, so the one that the record has stays as it is."""
    handler, world, started, running = script
    for number, name in enumerate(["saved-1-0", "saved-1-1", "saved-1-0"]):
        await handler.save([LARGE, number], flush=True)
        assert await stored(world, started) == name
    await handler.save([HUGE], flush=True)
    assert await stored(world, started) == "saved-1-1"
    await handler.save("small", flush=True)
    assert await stored(world, started) == '"small"'
    merges = [c for _, changes in world.faults.seen for c in changes if isinstance(c, Merge) and "saved" in c.values]
    await handler.save("small", flush=True)
    again = [c for _, changes in world.faults.seen for c in changes if isinstance(c, Merge) and "saved" in c.values]
    assert len(again) == len(merges) == 5, "the record has it"
    assert await blobs(world, started) == ["saved-1-0", "saved-1-1"]
    await handler.do(None)
    await running


async def test_a_snapshot(script: Scripted) -> None:
    """What becomes of the value afterwards changes nothing; what was saved is read as JSON."""
    handler, world, started, running = script
    state: dict[str, Any] = {"done": [1]}

    async def work(context: ActionContext) -> list[Any]:
        found = [context.saved]
        await context.save(state)
        state["done"].append(2)
        found.append(context.saved)
        await context.save(State(next_page=3))
        found.append(State.model_validate(context.saved).next_page)
        await context.save((1, None, True), flush=True)
        return [*found, context.saved]

    assert await handler.do(work) == [None, {"done": [1]}, 3, [1, None, True]]
    assert await stored(world, started) == "[1,null,true]"
    await handler.do(None)
    await running


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (object(), "InvalidCheckpoint"),
        ({"n": math.nan}, "InvalidCheckpoint"),
        ([math.inf], "InvalidCheckpoint"),
        ("\ud800", "InvalidCheckpoint"),
        ("x" * (4 * 1024 * 1024), "CheckpointTooLarge"),
        (["ä" * 3 * 1024 * 1024], "CheckpointTooLarge"),
    ],
    ids=["object", "nan", "inf", "surrogate", "4 MiB", "6 MiB as UTF-8"],
)
async def test_what_cannot_be_saved(script: Scripted, state: Any, code: str) -> None:
    """It raises at once, in words that say what to do; the last checkpoint stays."""
    handler, world, started, running = script
    await handler.save("good", flush=True)
    with pytest.raises(ActionFailed) as refused:
        await handler.save(state)
    assert refused.value.code == code
    assert len(refused.value.message) < 200
    assert await stored(world, started) == '"good"'
    await handler.do(None)
    await running


async def test_a_store_that_is_away(script: Scripted) -> None:
    """What was saved reaches it later; a flush waits until then, without asking it all the time."""
    handler, world, started, running = script
    world.faults.down = True
    saving = asyncio.create_task(handler.save([LARGE], flush=True))
    await world.clock.run_for(seconds=5)
    assert not saving.done()
    assert world.faults.writes < 12
    world.faults.down = False
    async with asyncio.timeout(20):
        while not saving.done():
            await world.clock.run_for(seconds=0.5)
            await asyncio.sleep(0.005)
    assert await stored(world, started) in ("saved-1-0", "saved-1-1")
    await handler.do(None)
    await running


@pytest.mark.parametrize("end", ["retry", "slice", "fail", "succeed"])
@pytest.mark.parametrize("state", ["small", LARGE, HUGE], ids=["small", "large", "huge"])
async def test_the_end_has_the_last_one(make: Callable[..., World], end: str, state: str) -> None:
    """In the same transaction: what was saved and not yet stored."""

    async def handler(context: ActionContext, request: Input) -> None:
        await context.save([state])
        if end == "slice":
            raise ContinueLater(after="5s")
        if end != "succeed":
            raise ActionFailed("Broken", "It broke.", retryable=end == "retry")

    world = make(handler, retry=Retry(max_attempts=2))
    started = await world.start()
    await world.run(started)
    operation = await world.read(started)
    assert operation.saved is not None
    assert await world.records.load_payload(operation.saved) == f'["{state}"]'.encode()
    merges = [c for _, changes in world.faults.seen for c in changes if isinstance(c, Merge) and "saved" in c.values]
    assert [("attempts" in merge.values) for merge in merges] == [True]


async def test_the_next_slice_goes_on(make: Callable[..., World]) -> None:
    """A handler in slices: each has a fresh limit of time, and none is a failure."""
    left: list[timedelta] = []

    async def handler(context: ActionContext, request: Input) -> int:
        left.append(context.time_left)
        number = (context.saved or 0) + 1
        await context.save(number)
        world.clock.pass_by(seconds=50)
        assert context.time_left == timedelta(seconds=10)
        if number < 20:
            raise ContinueLater
        return number

    world = make(handler, timeout="1m")
    started = await world.start()
    again = await world.run(started)
    while again is not None:
        assert again == world.clock.now(), "no time is lost between two slices"
        again = await world.run(started)
    ended = await world.read(started)
    assert (ended.status, ended.fence, ended.attempt, ended.failures, ended.losses) == (Status.SUCCEEDED, 20, 1, 0, 0)
    assert left == [timedelta(minutes=1)] * 20


async def test_slices_that_get_nowhere(make: Callable[..., World]) -> None:
    """They are followed after 1, 2, 4 ... 60 s, until one saves something new, or works for a second."""
    plan = [*["same"] * 9, "new", *["same"] * 2]
    plan = [*[(state, 0.9) for state in plan], ("same", 1.0), ("same", 0.0)]

    async def handler(context: ActionContext, request: Input) -> None:
        state, seconds = plan[len(waits)]
        await context.save(state)
        world.clock.pass_by(seconds=seconds)
        raise ContinueLater

    waits: list[float] = []
    world = make(handler)
    started = await world.start()
    for _ in plan:
        again = await world.run(started)
        assert again is not None
        waits.append((again - world.clock.now()).total_seconds())
        world.clock.pass_by(seconds=waits[-1])
    assert waits == [0, 1, 2, 4, 8, 16, 32, 60, 60, 0, 0, 1, 0, 1]


async def test_failures_count_from_the_last_new_checkpoint(make: Callable[..., World]) -> None:
    """Three failures in a row end it, unless it got further in between; numbers of attempts go on."""
    saves = ["a", "a", "b", "b", "b"]

    async def handler(context: ActionContext, request: Input) -> None:
        await context.save(saves[context.attempt - 1])
        raise ValueError

    world = make(handler, retry=Retry(max_attempts=3, delay="1s", backoff=1))
    started = await world.start()
    while (await world.run(started)) is not None:
        world.clock.pass_by(seconds=1)
    ended = await world.read(started)
    assert (ended.status, error_code(ended), ended.attempt) == (Status.FAILED, "ActionError", 5)
    assert [each.number for each in ended.attempts] == [1, 2, 3, 4, 5]


async def test_losses_count_from_the_last_new_checkpoint(make: Callable[..., World]) -> None:
    """The transaction that stores it sets both counts to zero; the same one again counts for nothing."""

    async def handler(context: ActionContext, request: Input) -> None:
        await context.save("one", flush=True)
        seen.append((await world.read(started)).losses)
        await context.save("one", flush=True)

    seen: list[int] = []
    world = make(handler, max_lost=2)
    started = await world.start()
    await claim_elsewhere(world, started)
    world.clock.pass_by(seconds=31)
    await world.tidy()
    assert (await world.read(started)).losses == 1
    await world.run(started)
    (stores,) = [c for _, changes in world.faults.seen for c in changes if isinstance(c, Merge) and "saved" in c.values]
    assert (stores.values["losses"], stores.values["forgiven"]) == (0, 1)
    assert (seen, (await world.read(started)).attempt) == ([0], 2)


async def test_a_stop_gives_back_the_last_checkpoint(script: Scripted) -> None:
    """The next instance goes on from it, in the same attempt."""
    handler, world, started, running = script
    await handler.save({"page": 7})
    await handler.save({"page": 8})
    await Stopping(world.live).stopping()
    assert await running == world.clock.now()
    waiting = await world.read(started)
    assert (await stored(world, started), waiting.attempts[-1].outcome) == ('{"page":8}', "GivenBack")
    assert (waiting.failures, waiting.losses, waiting.holder) == (0, 0, "")


async def test_a_new_claim_removes_the_blobs_of_older_ones(make: Callable[..., World]) -> None:
    """Once it has stored its first checkpoint, and not before; the removal takes what is left."""

    async def handler(context: ActionContext, request: Input) -> None:
        number = (context.saved or [0])[0] + 1
        await context.save([number, LARGE], flush=True)
        await context.save([number, LARGE, "more"], flush=True)
        if number < 3:
            raise ContinueLater

    world = make(handler)
    started = await world.start()
    await world.storage.container("operations").put(f"{started.run_id}/saved-0-0", b"1", content_type="a/b")
    seen: list[list[str]] = []
    while (await world.run(started)) is not None:
        seen.append(await blobs(world, started))
    assert seen == [["saved-0-0", "saved-1-0", "saved-1-1"], ["saved-2-0", "saved-2-1"]]
    await world.delete(started)
    world.clock.pass_by(minutes=2)
    await world.tidy()
    assert (await blobs(world, started), await world.keys()) == ([], [])


async def test_an_overtaken_attempt_overwrites_nothing(script: Scripted) -> None:
    """Its blobs have names of its own claim, its write of the record meets another fence, and it is told to stop."""
    handler, world, started, running = script
    await handler.save([LARGE, 1], flush=True)
    claimed = await claim_elsewhere(world, started, after=31)
    assert claimed.saved is not None
    saving = asyncio.create_task(handler.save([LARGE, 2], flush=True))
    await running
    saving.cancel()
    assert await stored(world, started) == "saved-1-0"
    assert await world.records.load_payload(claimed.saved) == f'["{LARGE}",1]'.encode()


async def test_a_checkpoint_that_is_gone(script: Scripted) -> None:
    """Nothing begins anew, as if nothing had been done: the operation ends, and says why."""
    handler, world, started, running = script
    await handler.save([LARGE], flush=True)
    await Stopping(world.live).stopping()
    await running
    await world.storage.container("operations").delete(f"{started.run_id}/saved-1-0")
    other = World(world.storage, *world.actions.values(), clock=world.clock)
    await other.run(started)
    assert error_code(await world.read(started)) == "CheckpointGone"


async def test_a_def_handler(make: Callable[..., World]) -> None:
    """`save`, `saved`, `time_left` and `ContinueLater` from its thread, without `await`."""

    def handler(context: SyncActionContext, request: Input) -> int:
        number = (context.saved or 0) + 1
        context.save(number, flush=number == 2)
        assert context.saved == number
        assert context.time_left > timedelta(minutes=4)
        if number < 3:
            raise ContinueLater
        return number

    world = make(handler)
    started = await world.start()
    while (await world.run(started)) is not None:
        pass
    ended = await world.read(started)
    assert (ended.status, ended.fence, await stored(world, started)) == (Status.SUCCEEDED, 3, "3")


async def test_no_monitor_reads_it(script: Scripted) -> None:
    """Neither its text nor where its blob is."""
    handler, world, started, running = script
    await handler.save({"secret": 1}, flush=True)
    seen = await world.records.read(started.locator, for_monitor=True)
    assert seen is not None
    assert seen.saved is None
    await handler.do(None)
    await running


@pytest.mark.parametrize("after", ["soon", "-1s", 5, None])
def test_a_wait_that_is_none(after: Any) -> None:
    """It raises in the handler, in words that show the right form."""
    with pytest.raises(ValueError, match="ContinueLater: "):
        raise ContinueLater(after=after)
