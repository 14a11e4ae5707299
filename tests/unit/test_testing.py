"""`shared.testing`: an action in memory ends as it would in the app."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError, field_serializer

from shared import testing
from shared.actions import (
    Accepted,
    ActionCanceled,
    ActionContext,
    ActionFailed,
    ArmResource,
    ArmTrackedResource,
    File,
    Model,
    RemovalContext,
    RequestContext,
    RequestError,
    SyncActionContext,
    action,
    read,
)
from shared.actions.arm.delegation import delegate_put
from shared.actions.delegation import Delegation
from shared.errors import StorageRefused
from shared.model.operation import Status
from shared.storage.ports import Insert
from shared.testing import FakeApp, FakeClock, Run
from tests.support.parts import sqlite


class Count(Model):
    up_to: int = 3


class Counted(Model):
    how_many: int


@action("count:async", post="count:async", timeout="1m")
async def count(context: ActionContext, request: Count) -> Counted:
    """Reports each number; between two it waits a second of the app's clock."""
    for number in range(1, request.up_to + 1):
        context.report_progress(done=number, total=request.up_to)
        await context.clock.sleep(1)
    return Counted(how_many=request.up_to)


@action("count:def", post="count:def", timeout="1m")
def count_in_thread(context: SyncActionContext, request: Count) -> Counted:
    for number in range(1, request.up_to + 1):
        context.report_progress(done=number, total=request.up_to)
        context.raise_if_canceled()
    return Counted(how_many=request.up_to)


@pytest.fixture
async def app() -> AsyncIterator[FakeApp]:
    async with FakeApp(clock=FakeClock(auto_advance=True)) as app:
        yield app


def test_public_names() -> None:
    """What users' tests may rely on."""
    assert testing.__all__ == ["FakeApp", "FakeClock", "ReturnedFile", "Run"]
    names = {
        kind: sorted(name for name in vars(kind) if not name.startswith("_")) for kind in (FakeApp, FakeClock, Run)
    }
    assert names == {
        FakeApp: [
            "accepted", "check", "removal_context", "request_context", "run", "services", "settings", "storage",
        ],
        FakeClock: ["advance", "alarm", "monotonic", "now", "sleep", "thread_time", "timeout"],
        Run: [
            "aclose", "attempt", "cancel", "cancel_requested", "created", "done", "file", "find_step",
            "keep_step",
            "operation_id", "owner", "report", "run_id", "save", "status", "steps", "time_left", "until", "wait_for",
        ],
    }  # fmt: skip


def test_it_needs_no_sdk_of_functions() -> None:
    """A user's tests need neither azure.functions nor a store's SDK."""
    code = "import sys, shared.testing; print([m for m in sys.modules if m.startswith(('azure', 'aiohttp'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("handler", [count, count_in_thread, count.handler, count_in_thread.handler])
@pytest.mark.parametrize("given", [Count(up_to=2), {"upTo": 2}, {"up_to": 2}])
async def test_result_and_progress(app: FakeApp, handler: testing.app.Handler, given: object) -> None:
    """Declared or not, async or def, from a model or a dict: the result, and every report."""
    run = app.run(handler, given)
    assert run.status is Status.RUNNING
    assert await run == Counted(how_many=2)
    assert run.status is Status.SUCCEEDED
    assert [(each.done, each.percent) for each in run.progress] == [(1, 50.0), (2, 100.0)]


async def test_input_that_does_not_fit(app: FakeApp) -> None:
    """It is refused where it is handed over, by what pydantic says of it."""
    with pytest.raises(ValidationError, match="upTo"):
        app.run(count, {"upTo": "many"})
    with pytest.raises(TypeError, match="takes Count; 0 inputs were given"):
        app.run(count)


async def test_input_by_way_of_json(app: FakeApp) -> None:
    """What a model loses in JSON, the handler does not see either: an operation stores its input."""

    class Odd(Model):
        when: datetime
        note: str = ""

    async def handler(context: ActionContext, request: Odd) -> str:
        return request.when.isoformat()

    handler.__annotations__["request"] = Odd
    when = datetime(2026, 1, 1, tzinfo=UTC)
    assert await app.run(handler, {"when": when}) == when.isoformat()


@pytest.mark.parametrize("is_async", [True, False])
async def test_failures_come_as_they_were_raised(app: FakeApp, is_async: bool) -> None:
    """ActionFailed with all it holds, and any other exception; the operation has failed."""

    async def fails(context: ActionContext, request: Count) -> None:
        raise ActionFailed("Empty", "There is nothing.", target="upTo") if request.up_to else KeyError("x")

    def fails_in_thread(context: SyncActionContext, request: Count) -> None:
        raise ActionFailed("Empty", "There is nothing.", target="upTo") if request.up_to else KeyError("x")

    handler = fails if is_async else fails_in_thread
    run = app.run(handler, Count())
    with pytest.raises(ActionFailed, match="Empty") as failure:
        await run
    assert failure.value.target == "upTo"
    assert run.status is Status.FAILED
    with pytest.raises(KeyError, match="x"):
        await app.run(handler, Count(up_to=0))


async def test_exit_is_an_error_like_any_other(app: FakeApp) -> None:
    """A handler that calls sys.exit ends neither the app nor the tests."""

    async def leaves(context: ActionContext) -> None:
        sys.exit(3)

    def leaves_in_thread(context: SyncActionContext) -> None:
        sys.exit(3)

    for handler in (leaves, leaves_in_thread):
        with pytest.raises(RuntimeError, match="SystemExit"):
            await app.run(handler)


async def test_results_that_are_not_declared(app: FakeApp) -> None:
    """The operation would end as Failed with InvalidResult."""

    async def wrong(context: ActionContext) -> Counted:
        return "three"  # type: ignore[return-value]

    async def too_much(context: ActionContext) -> None:
        return 3  # type: ignore[return-value]

    with pytest.raises(TypeError, match="does not declare"):
        await app.run(wrong)
    with pytest.raises(TypeError, match="returns nothing"):
        await app.run(too_much)


@pytest.mark.parametrize("handler", [count, count_in_thread])
async def test_cancel_in_the_midst(app: FakeApp, handler: testing.app.Handler) -> None:
    """Canceled at its second report, a handler makes no third; the run says that it was canceled."""
    run = app.run(handler, {}, on_progress=lambda run, progress: run.cancel() if progress.done == 2 else None)
    with pytest.raises(ActionCanceled):
        await run
    assert run.status is Status.CANCELED
    assert run.progress[-1].done == 2


async def test_an_async_handler_gets_cancelled_error_once() -> None:
    """It can clean up, however often the cancel is repeated."""
    seen: list[str] = []

    async def cleans_up(context: ActionContext) -> None:
        context.report_progress(message="waiting")
        try:
            await context.clock.sleep(10)
        except asyncio.CancelledError:
            seen.append(f"canceled {context.cancel_requested}")
            await asyncio.sleep(0)
            seen.append("clean")
            raise

    async with FakeApp() as app:
        run = app.run(cleans_up)
        await run.until(lambda progress: progress.message == "waiting")
        run.cancel()
        run.cancel()
        with pytest.raises(ActionCanceled):
            await run
    assert seen == ["canceled True", "clean"]


async def test_who_goes_on_has_succeeded(app: FakeApp) -> None:
    """A cancel is a request."""

    def goes_on(context: SyncActionContext) -> bool:
        context.report_progress()
        return context.cancel_requested

    run = app.run(goes_on, on_progress=lambda run, progress: run.cancel())
    assert await run is True
    assert run.status is Status.SUCCEEDED


async def test_canceled_before_it_began(app: FakeApp) -> None:
    """The handler is not called."""
    run = app.run(count, {})
    run.cancel()
    with pytest.raises(ActionCanceled):
        await run
    assert run.progress == []


async def test_who_stops_without_a_cancel_has_failed(app: FakeApp) -> None:
    """An attempt that stopped itself is no canceled operation."""

    async def stops(context: ActionContext) -> None:
        raise ActionCanceled("done with it")

    with pytest.raises(RuntimeError, match="nobody had canceled"):
        await app.run(stops)


async def test_time_out_by_a_moved_clock() -> None:
    """A minute later by the clock, and no sooner, the handler is stopped."""
    async with FakeApp() as app:
        run = app.run(count, {})
        await run.until(lambda progress: progress.done == 1)
        app.clock.advance("900ms")
        await asyncio.sleep(0)
        assert run.status is Status.RUNNING
        app.clock.advance("100ms")
        await run.until(lambda progress: progress.done == 2)
        app.clock.advance("59s")
        with pytest.raises(TimeoutError, match="within 60 seconds"):
            await run
        assert run.status is Status.FAILED


async def test_a_thread_sees_its_time_out(app: FakeApp) -> None:
    """As it sees a cancel: in its context."""

    def waits(context: SyncActionContext) -> None:
        context.report_progress()
        stopped = threading.Event()
        while not context.cancel_requested:
            stopped.wait(0.001)
        context.raise_if_canceled()

    run = app.run(waits, on_progress=lambda run, progress: app.clock.advance("5m"))
    with pytest.raises(TimeoutError, match="within 300 seconds"):
        await run


async def test_a_run_nobody_awaits_ends_with_the_app() -> None:
    """Its handler is canceled, and nothing complains."""
    seen: list[str] = []

    async def waits(context: ActionContext) -> None:
        context.report_progress()
        try:
            await context.clock.sleep(10)
        finally:
            seen.append("ended")

    async with FakeApp() as app:
        await app.run(waits).until(lambda progress: True)
    assert seen == ["ended"]


async def test_until_at_the_end(app: FakeApp) -> None:
    """A report that never comes is an error, and the handler's own error comes first."""

    async def fails(context: ActionContext) -> None:
        raise KeyError("x")

    with pytest.raises(LookupError, match="without such a report"):
        await app.run(count, {}).until(lambda progress: progress.done == 9)
    with pytest.raises(KeyError):
        await app.run(fails).until(lambda progress: True)


async def test_another_attempt(app: FakeApp) -> None:
    """It has the operation's ids and finds what the first one has stored."""

    async def twice(context: ActionContext) -> int:
        name = f"{context.run_id}/note"
        if await context.storage.container("notes").info(name) is None:
            await context.storage.container("notes").put(name, b"1", content_type="text/plain")
            raise ConnectionError("half way")
        return context.attempt

    first = app.run(twice)
    with pytest.raises(ConnectionError):
        await first
    second = app.run(twice, retry_of=first)
    assert await second == 2
    assert (second.operation_id, second.run_id) == (first.operation_id, first.run_id)
    with pytest.raises(RuntimeError, match="has not ended"):
        app.run(twice, retry_of=app.run(count, {}))


async def test_locks_hold_until_a_run_has_ended() -> None:
    """As in the app: the others get 409 until it has ended."""
    released = asyncio.Event()

    async def locks(context: ActionContext) -> None:
        await context.lock("thing/1")
        context.report_progress()
        await released.wait()

    async with FakeApp() as app:
        first = app.run(locks)
        await first.until(lambda progress: True)
        with pytest.raises(RequestError, match="OperationInProgress"):
            await app.run(locks)
        released.set()
        await first
        await app.run(locks)


async def test_the_store_has_its_limits(app: FakeApp) -> None:
    """What the real store refuses is refused."""

    async def stores(context: ActionContext) -> None:
        await context.storage.table("things").write("p", [Insert("k", {"text": "x" * 40_000})])

    with pytest.raises(StorageRefused):
        await app.run(stores)


async def test_a_store_that_is_given(tmp_path: Path) -> None:
    """It is used, and left open."""
    async with sqlite(tmp_path) as storage:
        async with FakeApp(storage=storage) as app:
            assert app.storage is storage
            await app.storage.table("things").write("p", [Insert("k", {"n": 1})])
        assert await storage.table("things").read("p", "k") is not None


async def test_settings_as_given() -> None:
    """By the names that people set."""

    async def link(context: ActionContext) -> str:
        return context.link("things/1")

    async with FakeApp(settings={"PUBLIC_BASE_URL": "https://example.org/api"}) as app:
        assert await app.run(link) == "https://example.org/api/things/1?api-version=2026-01-01"


async def test_hooks_and_reads(app: FakeApp) -> None:
    """Preconditions refuse, the accepted hook answers, a read is called as a function."""

    class Thing(Model):
        id: str

    async def put(context: ActionContext, request: Thing) -> Thing:
        return request

    put.__annotations__ |= {"request": Thing, "return": Thing}
    put_thing = action("thing:put", put="thing/{id}")(put)

    @put_thing.precondition
    async def not_two(context: RequestContext, request: Thing) -> None:
        if request.id == "two":
            raise RequestError(409, "NotTwo", f"Not for {context.owner}.")

    @put_thing.accepted
    async def accepted(request: Thing) -> Accepted:
        return Accepted(created=True, resource=request)

    async def get(context: RequestContext, request: Thing) -> str:
        return context.link(request.id)

    get.__annotations__["request"] = Thing
    get_thing = read("thing:get", get="thing/{id}")(get)

    await app.check(put_thing, {"id": "one"})
    with pytest.raises(RequestError, match="Not for ann"):
        await app.check(put_thing, {"id": "two"}, owner="ann")
    assert (await app.accepted(put_thing, {"id": "one"})).created
    with pytest.raises(TypeError, match="no `accepted` hook"):
        await app.accepted(count, {})
    assert await get_thing(app.request_context(), Thing(id="one")) == "http://localhost:7071/one?api-version=2026-01-01"


async def test_what_follows_a_cancel(app: FakeApp) -> None:
    """The hook of `when_canceled` is called with the run's id, after a cancel alone."""
    cleaned: list[str] = []
    counting = action("count:cleaned", post="count:cleaned")(count.handler)

    @counting.when_canceled
    async def clean(run_id: str) -> None:
        cleaned.append(run_id)

    await app.run(counting, {})
    assert cleaned == []
    run = app.run(counting, {}, on_progress=lambda run, progress: run.cancel())
    with pytest.raises(ActionCanceled):
        await run
    assert cleaned == [run.run_id]


async def test_what_follows_a_removal(app: FakeApp) -> None:
    """A removal hook is called as the function it is, with the ids and the time of the run."""

    @action("count:kept", post="count:kept")
    async def keep(context: ActionContext) -> None:
        await context.storage.container("kept").put(context.run_id, b"1", content_type="text/plain")

    @keep.removed
    async def forget(context: RemovalContext) -> datetime:
        await context.storage.container("kept").delete(context.run_id)
        return context.created

    run = app.run(keep, owner="ann")
    await run
    context = app.removal_context(run)
    assert (context.owner, context.operation_id, await forget(context)) == ("ann", run.operation_id, app.clock.now())
    assert await app.storage.container("kept").info(run.run_id) is None


class LampProperties(Model):
    watts: int = 0


class Dim(Model):
    by: int


Lamp = ArmTrackedResource[LampProperties]
Bench = ArmTrackedResource[LampProperties]
benches = ArmResource("Contoso.Light", "benches", api_versions=["2026-01-01"], properties=LampProperties)
lamps = ArmResource("Contoso.Light", "lamps", api_versions=["2026-01-01"], properties=LampProperties)


@lamps.action("dim")
async def dim(context: ActionContext, lamp: Lamp, request: Dim) -> Dim:
    context.report_progress(percent=10)
    return Dim(by=lamp.properties.watts - request.by)


@dim.precondition
async def bright_enough(lamp: Lamp, request: Dim) -> None:
    if lamp.properties.watts < request.by:
        raise RequestError(409, "TooDark", "There is not that much light.")


@lamps.create_or_replace()
async def install(context: ActionContext, lamp: Lamp) -> Lamp:
    lamp.properties.watts += 1
    return lamp


async def test_arm_verbs(app: FakeApp) -> None:
    """They take the resource, and the request where there is one."""
    names = {"id": "/lamps/one", "name": "one", "type": "Contoso.Light/lamps"}
    lamp = {**names, "location": "here", "properties": {"watts": 40}}
    assert await app.run(dim, lamp, {"by": 15}) == Dim(by=25)
    assert (await app.run(install, lamp)).properties.watts == 41
    await app.check(dim, lamp, Dim(by=40))
    with pytest.raises(RequestError, match="TooDark"):
        await app.check(dim, lamp, Dim(by=41))
    with pytest.raises(TypeError, match="takes"):
        app.run(dim, lamp)


async def test_what_cannot_be_run(app: FakeApp) -> None:
    """Work that another system does has no handler; an input that its own JSON does not make again is said to be so."""

    @delegate_put(benches, deadline="1h")
    async def order(context: RequestContext, work: Delegation, bench: Bench) -> None:
        """Order it."""

    with pytest.raises(TypeError, match="is delegated: call it as a function"):
        app.run(order, {})

    class OneWay(Model):
        number: int

        @field_serializer("number")
        def in_words(self, number: int) -> str:
            return "many"

    async def handler(context: ActionContext, request: OneWay) -> None:
        """Is not called."""

    handler.__annotations__["request"] = OneWay
    with pytest.raises(TypeError, match="OneWay cannot be read again"):
        app.run(handler, OneWay(number=3))


async def test_clock() -> None:
    """It stands still; `timeout` and `sleep` keep to it; with auto_advance a sleep moves it."""
    clock = FakeClock(datetime(2026, 5, 1, tzinfo=UTC))
    before = clock.now()
    clock.advance(timedelta(hours=1))
    assert (clock.now() - before, clock.monotonic()) == (timedelta(hours=1), 3600.0)

    async def late() -> str:
        async with clock.timeout(5):
            await clock.sleep(60)
        return "in time"

    task = asyncio.create_task(late())
    await asyncio.sleep(0)
    clock.advance("5s")
    with pytest.raises(TimeoutError):
        await task
    async with clock.timeout(5) as limit:
        await clock.sleep(0)
    assert not limit.expired()
    assert clock.thread_time() >= 0
    clock.advance("10s")  # the block has ended: nothing is stopped any more
    with pytest.raises(TimeoutError):
        async with clock.timeout(0):
            await asyncio.sleep(1)
    hasty = FakeClock(auto_advance=True)
    await hasty.sleep(60)
    assert hasty.monotonic() == 60
    with pytest.raises(TimeoutError):
        async with hasty.timeout(5):
            await hasty.sleep(60)


async def test_files(app: FakeApp) -> None:
    """A file that a handler writes or returns can be looked at, with all that callers are told of it."""

    async def written(context: ActionContext, request: Count) -> File:
        async with context.result_file(file_name="numbers.csv", content_type="text/csv") as file:
            for number in range(request.up_to):
                await file.write(f"{number}\n".encode())
        return file

    def returned(context: SyncActionContext, request: Count) -> File:
        return File((f"{number}\n".encode() for number in range(request.up_to)), file_name="numbers.csv")

    for handler, content_type in ((written, "text/csv"), (returned, "application/octet-stream")):
        run = app.run(handler, Count(up_to=3))
        await run
        found = await run.file()
        assert (found.file_name, found.content_type, found.content) == ("numbers.csv", content_type, b"0\n1\n2\n")
        assert len(found.sha256) == 64


async def test_files_that_do_not_fit(app: FakeApp) -> None:
    """What the app would refuse fails the run; a run without a file has none to look at."""

    async def undeclared(context: ActionContext, request: Count) -> None:
        async with context.result_file() as file:
            await file.write(b"")

    async def other(context: ActionContext, request: Count) -> File:
        return "text"  # type: ignore[return-value]

    with pytest.raises(ActionFailed, match="-> File"):
        await app.run(undeclared, Count(up_to=1))
    with pytest.raises(TypeError):
        await app.run(other, Count(up_to=1))
    run = app.run(count, Count(up_to=1))
    await run
    with pytest.raises(LookupError):
        await run.file()


async def test_what_computes_runs_in_a_thread_here() -> None:
    """An action for a process of its own is run where a test sees it, with blobs as it has them there."""

    def copies(context: SyncActionContext, request: Count) -> int:
        content = context.read_blob("things", "a")
        assert content is not None
        context.write_blob("things", "b", content * request.up_to, content_type="text/plain")
        assert context.read_blob("things", "c") is None
        return os.getpid()

    async with FakeApp() as app:
        await app.storage.container("things").put("a", b"x", content_type="text/plain")
        assert await app.run(action("a", post="a", isolation="process")(copies), {"upTo": 3}) == os.getpid()
        info = await app.storage.container("things").info("b")
        assert info is not None
        assert (info.size, info.content_type) == (3, "text/plain")
