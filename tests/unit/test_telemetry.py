"""Spans and metrics of operations, by a real SDK in memory; and nothing at all without one."""

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import NoOpTracerProvider, StatusCode

from shared import telemetry
from shared.actions import ActionContext, ActionFailed, RequestError, Retry, SyncActionContext, action
from shared.model.operation import Operation, Status
from shared.model.timing import Timing
from shared.operations import rows
from shared.operations.loop_watch import watch_loop
from shared.storage.traced import TracedStorage
from tests.support.clock import ManualClock, finished
from tests.support.parts import Faults, FaultyStorage, Input, World, make_operation, sqlite
from tests.support.telemetry import Recorded, recorded, recording
from tests.unit.runner.handlers import claim_elsewhere, echo

__all__ = ["recorded"]

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def world(recorded: Recorded, tmp_path: Path) -> AsyncIterator[World]:
    """The core over a store that was opened with an SDK set up; `test:work` echoes."""
    async with sqlite(tmp_path) as storage:
        yield World(FaultyStorage(storage, Faults()), action("test:work", post="thing/{id}:work")(echo))


def reset(world: World, handler: Any, **policies: Any) -> World:
    """Another handler of `test:work` over the same store."""
    return World(world.storage, action("test:work", post="thing/{id}:work", **policies)(handler), clock=world.clock)


def parent(span: trace.Span | Any) -> str:
    return "" if span.parent is None else f"{span.parent.span_id:016x}"


def id_of(span: Any) -> str:
    return f"{span.context.span_id:016x}"


# --- without an SDK ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", [None, NoOpTracerProvider()], ids=["none", "no-op"])
async def test_nothing_is_made_without_an_sdk(
    provider: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No span is made, the store is used as it is, and the record has no column for it."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    monkeypatch.setattr(trace.NonRecordingSpan, "__init__", lambda *_: pytest.fail("a span was made"))
    nothing = telemetry.span("a", {})
    assert nothing is telemetry.span("b", {}, continues=CALLER) is telemetry.continued(CALLER)
    async with sqlite(tmp_path) as storage:
        assert not isinstance(storage, TracedStorage)
        world = World(storage, action("test:work", post="thing/{id}:work")(echo))
        started = await world.start()
        await world.run(started)
        ended = await world.read(started)
    assert (ended.status, ended.traceparent) == (Status.SUCCEEDED, "")
    assert "traceparent" not in rows.to_columns(ended)


def test_the_deployed_app_has_the_api() -> None:
    """It comes with the SDK of Durable Functions, so the app's own requirements need not name it."""
    found = requires("azure-functions-durable") or []
    assert any(each.startswith("opentelemetry-api") for each in found)


# --- spans ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
async def test_one_trace_from_the_request_to_the_handler(world: World, recorded: Recorded, sync: bool) -> None:
    """The caller's span, the start, the attempt, the handler, what that does; and the storage calls of each."""

    def blocking(context: SyncActionContext, request: Input) -> None:
        assert threading.current_thread() is not threading.main_thread()
        with telemetry.span("mine", {}):
            pass

    async def waiting(context: ActionContext, request: Input) -> None:
        with telemetry.span("mine", {}):
            await asyncio.sleep(0)

    world = reset(world, blocking if sync else waiting)
    with telemetry.continued(CALLER):
        started = await world.start()
    await world.run(started)
    start, attempt = recorded.span("start test:work"), recorded.span("attempt test:work")
    handler = recorded.span("handler test:work")
    assert (parent(start), parent(attempt)) == (CALLER.split("-")[2], id_of(start))
    assert (parent(handler), parent(recorded.span("mine"))) == (id_of(attempt), id_of(handler))
    assert [parent(each) for each in recorded.spans("write operations")] == [
        id_of(start),
        id_of(attempt),
        id_of(attempt),
    ]
    # Before the claim a delivery reads its record: whose trace it belongs to is known only then.
    traced = [each for each in recorded.spans() if each.name != "read operations"]
    assert {f"{each.context.trace_id:032x}" for each in traced} == {CALLER.split("-")[1]}
    assert (start.kind.name, attempt.kind.name, handler.kind.name) == ("PRODUCER", "CONSUMER", "INTERNAL")


async def test_attributes(world: World, recorded: Recorded) -> None:
    """Spans name the operation, never its owner, its input or its result."""
    started = await world.start(owner="aad:alice")
    await world.run(started)
    assert dict(recorded.span("start test:work").attributes or {}) == {
        "lro.action": "test:work",
        "lro.operation.id": started.id,
        "lro.replayed": False,
    }
    assert dict(recorded.span("attempt test:work").attributes or {}) == {
        "lro.action": "test:work",
        "lro.operation.id": started.id,
        "lro.attempt": 1,
        "lro.attempt.outcome": "Succeeded",
        "lro.status": "Succeeded",
    }
    write = recorded.spans("write operations")[0]
    assert write.kind.name == "CLIENT"
    assert dict(write.attributes or {}) == {
        "db.system.name": "sqlite",
        "db.operation.name": "write",
        "db.collection.name": "operations",
        "db.operation.batch.size": 3,
    }
    text = "".join(each.to_json() for each in recorded.spans())
    assert "alice" not in text
    assert "a.txt" not in text


async def test_every_attempt_continues_the_start(world: World, recorded: Recorded) -> None:
    """After a failure, after a loss and after a restart: the same trace, as children of the start."""
    tries: list[int] = []

    async def flaky(context: ActionContext, request: Input) -> None:
        tries.append(context.attempt)
        if len(tries) < 2:
            raise ConnectionError("not yet")

    world = reset(world, flaky, retry=Retry(max_attempts=3, delay="1ms"))
    started = await world.start()
    again = await world.run(started)
    assert again is not None
    world.clock.pass_by(seconds=1)
    await claim_elsewhere(world, started)
    world.clock.pass_by(seconds=60)
    report = await world.tidy()
    assert report.restarted == 1
    assert await world.run(started) is None
    start, attempts = recorded.span("start test:work"), recorded.spans("attempt test:work")
    assert [dict(each.attributes or {})["lro.attempt"] for each in attempts] == [1, 3]
    assert [parent(each) for each in attempts] == [id_of(start)] * 2
    assert {each.context.trace_id for each in attempts} == {start.context.trace_id}


async def test_the_engines_own_trace_is_linked(world: World, recorded: Recorded) -> None:
    """The span of the invocation that runs an attempt is one click away."""
    started = await world.start()
    with telemetry.span("activity", {}):
        await world.run(started)
    (link,) = recorded.span("attempt test:work").links
    assert link.context.span_id == recorded.span("activity").context.span_id


@pytest.mark.parametrize("header", ["", "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01"])
async def test_a_header_that_is_none_begins_a_trace(world: World, recorded: Recorded, header: str) -> None:
    """A caller's `traceparent` that cannot be read is passed over."""
    with telemetry.continued(header):
        await world.start()
    assert recorded.span("start test:work").parent is None


async def test_the_workers_context_is_nearer_than_the_header(world: World, recorded: Recorded) -> None:
    """Where the platform's worker has set the invocation's span, the start is its child."""
    with telemetry.span("request", {}), telemetry.continued(CALLER):
        await world.start()
    assert parent(recorded.span("start test:work")) == id_of(recorded.span("request"))


async def test_errors_have_a_type_and_no_text(world: World, recorded: Recorded) -> None:
    """A failed handler and its attempt are failed spans; the words of an exception are for the log."""

    async def crash(context: ActionContext, request: Input) -> None:
        raise RuntimeError("a secret")

    world = reset(world, crash)
    await world.run(await world.start())
    found = {each.name: each for each in (recorded.span("handler test:work"), recorded.span("attempt test:work"))}
    assert {name: dict(each.attributes or {})["error.type"] for name, each in found.items()} == {
        "handler test:work": "RuntimeError",
        "attempt test:work": "ActionError",
    }
    assert {each.status.status_code for each in found.values()} == {StatusCode.ERROR}
    assert "a secret" not in "".join(each.to_json() for each in recorded.spans())


async def test_a_callers_mistake_is_no_failed_span(world: World, recorded: Recorded) -> None:
    """A start that is refused has its code as the type, and counts as no error of the app."""
    await world.start(operation_id="chosen")
    with pytest.raises(RequestError):
        await world.start(operation_id="chosen", fingerprint="0" * 64)
    refused = recorded.spans("start test:work")[1]
    assert dict(refused.attributes or {})["error.type"] == "OperationIdInUse"
    assert refused.status.status_code is StatusCode.UNSET


async def test_it_costs_no_storage_request(world: World, recorded: Recorded) -> None:
    """A start is one write and no read, also where its trace is stored."""
    started = await world.start()
    assert (world.faults.writes, world.faults.reads) == (1, 0)
    start = recorded.span("start test:work").context
    words = f"00-{start.trace_id:032x}-{start.span_id:016x}-{start.trace_flags:02x}"
    assert (await world.read(started)).traceparent == words


async def test_every_call_of_the_store_is_a_span(world: World, recorded: Recorded) -> None:
    """Tables and containers, each method once."""
    table, container = world.storage.table("things"), world.storage.container("things")
    await table.page("p", lower="a", upper="b")
    await table.read("p", "a")
    await container.put("a", b"1", content_type="text/plain")
    assert await container.info("a") is not None
    async with container.open("a") as reader:
        assert reader is not None
        assert [each async for each in reader.chunks()] == [b"1"]
    await container.upload_url("b", lifetime_seconds=60)
    await container.delete("a")
    names = ["page", "read", "put", "info", "open", "upload_url", "delete"]
    assert [each.name for each in recorded.spans()] == [f"{name} things" for name in names]
    assert recorded.spans()[-1].attributes == {
        "db.system.name": "files",
        "db.operation.name": "delete",
        "db.collection.name": "things",
    }


# --- metrics -------------------------------------------------------------------------------------------------------


async def test_an_operation_is_counted(world: World, recorded: Recorded) -> None:
    """Its start, its first attempt, its end and how long that took; each once, however often it is looked at."""
    started = await world.start()
    world.clock.pass_by(seconds=2)
    await world.run(started)
    await world.run(started)
    await world.service.cancel("", started.id)
    found = recorded.metrics()
    assert found["lro.operation.started"] == {("test:work", "data-plane"): 1}
    assert found["lro.operation.ended"] == {("test:work", "Succeeded"): 1}
    assert found["lro.operation.duration"] == {("test:work", "Succeeded"): 1}
    assert found["lro.operation.time_to_first_attempt"] == {("test:work",): 1}


async def test_failures_losses_and_restarts_are_counted(world: World, recorded: Recorded) -> None:
    """Two failed attempts, the last one for good, and a lost one between them that is restarted."""

    async def fail(context: ActionContext, request: Input) -> None:
        raise ActionFailed("TrialFailed", "no", retryable=True)

    world = reset(world, fail, retry=Retry(max_attempts=2, delay="1ms"))
    started = await world.start()
    await world.run(started)
    world.clock.pass_by(seconds=1)
    await claim_elsewhere(world, started)
    world.clock.pass_by(seconds=60)
    await world.tidy()
    await world.run(started)
    found = recorded.metrics()
    assert found["lro.attempt.failed"] == {("TrialFailed", "test:work"): 2}
    assert found["lro.attempt.lost"] == {("test:work",): 1}
    assert found["lro.operation.restarted"] == {("test:work",): 1}
    assert found["lro.operation.ended"] == {("TrialFailed", "test:work", "Failed"): 1}
    assert found["lro.operation.time_to_first_attempt"] == {("test:work",): 1}


async def test_a_cancel_before_the_first_attempt_is_an_end(world: World, recorded: Recorded) -> None:
    """It ends without a first attempt."""
    started = await world.start()
    await world.service.cancel("", started.id)
    found = recorded.metrics()
    assert found["lro.operation.ended"] == {("OperationCanceled", "test:work", "Canceled"): 1}
    assert "lro.operation.time_to_first_attempt" not in found


async def test_lost_answers_are_counted_once(world: World, recorded: Recorded) -> None:
    """A start whose answer got lost is one operation."""
    world.faults.at, world.faults.fault = 1, "lost"
    await world.start()
    assert recorded.metrics()["lro.operation.started"] == {("test:work", "data-plane"): 1}


async def test_an_abandoned_thread_is_counted(recorded: Recorded, world: World) -> None:
    """One that did not stop at its deadline."""
    release = threading.Event()

    def stubborn(context: SyncActionContext, request: Input) -> None:
        release.wait(20)

    world = reset(world, stubborn, timeout="1s")
    started = await world.start()
    try:
        await finished(asyncio.create_task(world.run(started)), world.clock, within=60)
    finally:
        release.set()
    assert recorded.metrics()["lro.handler.abandoned"] == {("test:work",): 1}


async def test_who_gets_no_place_is_counted(recorded: Recorded, world: World) -> None:
    """A delivery that went back because no thread was free."""

    def work(context: SyncActionContext, request: Input) -> None: ...

    world = reset(world, work)
    started = await world.start()
    async with world.threads.place(), world.threads.place():
        running = asyncio.create_task(world.run(started))
        await finished(running, world.clock, within=60)
    assert recorded.metrics()["lro.attempt.no_place"] == {("test:work",): 1}
    await world.run(started)
    assert recorded.metrics()["lro.attempt.no_place"] == {("test:work",): 1}


async def test_loop_lag_is_measured(recorded: Recorded) -> None:
    """Each look at the loop is one, late or not."""
    clock = ManualClock()
    watch = asyncio.create_task(watch_loop(lambda: [], say=lambda line: line(), clock=clock, timing=Timing()))
    await clock.run_for(seconds=0.6)
    watch.cancel()
    assert recorded.metrics()["lro.loop.lag"] == {(): 2}


def test_instruments_are_of_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another SDK is set up later, its own instruments count."""
    counter = telemetry.Counter("lro.test", "{thing}", "Things.")
    counter.add(1, {})
    for _ in range(2):
        with recording(monkeypatch) as found:
            counter.add(3, {})
            assert found.metrics() == {"lro.test": {(): 3}}


def test_the_column_is_read_and_written() -> None:
    """There and back; a record of before has none."""
    traced: Operation = make_operation(traceparent=CALLER, changed=make_operation().created + timedelta(seconds=1))
    assert rows.to_columns(traced)["traceparent"] == CALLER
    assert "traceparent" not in rows.to_columns(make_operation())
