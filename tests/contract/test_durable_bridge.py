"""Orchestrations through the real SDK on both sides: its client, its replay, the local host between them."""

import asyncio
import importlib
import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import pytest

from local_host.durable.hub import TaskHub
from tests.support.host_for_tests import RunningHost, exchange, raw_request, running
from tests.support.moved_clock import MovedClock

pytestmark = [
    pytest.mark.timeout(20),
    # The SDK's own call, once a process: the extension's JSON names no types.
    pytest.mark.filterwarnings("ignore:azure.functions df_loads was called without expected_type"),
]
runs: dict[str, int] = {}
ended: list[str] = []
gate: dict[str, asyncio.Event] = {}


def build_app() -> df.DFApp:  # noqa: PLR0915 (declarations)
    app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    @app.activity_trigger(input_name="text")
    async def say(text: str) -> str:
        return f"hello {text}"

    @app.activity_trigger(input_name="text")
    def say_in_thread(text: str) -> str:
        return f"thread {text}"

    @app.activity_trigger(input_name="text")
    async def fail(text: str) -> str:
        raise ValueError(f"no {text}")

    @app.activity_trigger(input_name="key")
    async def wait_for_gate(key: str) -> str:
        runs[key] = runs.get(key, 0) + 1
        await gate[key].wait()
        ended.append(key)
        return "opened"

    @app.activity_trigger(input_name="context")
    async def sleep_long(context) -> None:
        await asyncio.sleep(30)

    @app.orchestration_trigger(context_name="context")
    def chain(context):
        one = yield context.call_activity("say", context.get_input())
        two = yield context.call_activity("say_in_thread", one)
        context.set_custom_status({"step": 2})
        return [one, two]

    @app.orchestration_trigger(context_name="context")
    def fan_out(context):
        return (yield context.task_all([context.call_activity("say", str(n)) for n in range(5)]))

    @app.orchestration_trigger(context_name="context")
    def fails(context):
        yield context.call_activity("fail", "way")

    @app.orchestration_trigger(context_name="context")
    def catches(context):
        try:
            yield context.call_activity("fail", "way")
        except Exception as error:
            return str(error)

    @app.orchestration_trigger(context_name="context")
    def sleeps(context):
        start = context.current_utc_datetime
        yield context.create_timer(start + timedelta(hours=1))
        return (context.current_utc_datetime - start).total_seconds()

    @app.orchestration_trigger(context_name="context")
    def sleeps_until(context):
        start = context.current_utc_datetime
        yield context.create_timer(datetime.fromisoformat(context.get_input()))
        return (context.current_utc_datetime - start).total_seconds()

    @app.orchestration_trigger(context_name="context")
    def gated(context):
        return (yield context.call_activity("wait_for_gate", context.instance_id))

    @app.orchestration_trigger(context_name="context")
    def rounds(context):
        """The first execution leaves a timer of one hour behind; the second waits for one of three with the same id."""
        start = context.current_utc_datetime
        if context.get_input() == "first":
            stale = context.create_timer(start + timedelta(hours=1))
            yield context.task_any([stale, context.call_activity("say", "go on")])
            context.continue_as_new("second")
            return None
        yield context.create_timer(start + timedelta(hours=3))
        return (context.current_utc_datetime - start).total_seconds()

    @app.orchestration_trigger(context_name="context")
    def stale_activity(context):
        if context.get_input() == "first":
            stale = context.call_activity("wait_for_gate", "stale")
            yield context.task_any([stale, context.call_activity("wait_for_gate", "leave")])
            context.continue_as_new("second")
            return None
        return (yield context.call_activity("wait_for_gate", "fresh"))

    @app.orchestration_trigger(context_name="context")
    def cancels_timer(context):
        timer = context.create_timer(context.current_utc_datetime + timedelta(hours=1))
        yield context.task_any([timer, context.call_activity("say", "x")])
        timer.cancel()
        return "done"

    @app.orchestration_trigger(context_name="context")
    def not_served(context):
        match context.get_input():
            case "call_activity_with_retry":
                yield context.call_activity_with_retry("say", df.RetryOptions(1, 2), "x")
            case "call_sub_orchestrator":
                yield context.call_sub_orchestrator("chain", "x")
            case "wait_for_external_event":
                yield context.wait_for_external_event("go")
            case "call_http":
                yield context.call_http("GET", "http://127.0.0.1/")
            case "call_entity":
                yield context.call_entity(df.EntityId("counter", "one"), "get")

    @app.orchestration_trigger(context_name="context")
    def too_long(context):
        try:
            yield context.call_activity("sleep_long", None)
        except Exception as error:
            return str(error)

    return app


@pytest.fixture(autouse=True)
def _fresh() -> None:  # pyright: ignore[reportUnusedFunction]
    runs.clear()
    gate.clear()
    ended.clear()


@pytest.fixture
def time() -> MovedClock:
    return MovedClock()


@pytest.fixture
async def host(time: MovedClock) -> AsyncIterator[RunningHost]:
    """A host whose clock stands: what it does, it does without waiting."""
    async with running(build_app(), clock=time.clock) as each:
        yield each


async def finished(host: RunningHost, instance_id: str) -> df.models.DurableOrchestrationStatus:
    """The status of an instance once it has ended."""
    for _ in range(1000):
        status = await host.client.get_status(instance_id, show_input=True)
        if status.runtime_status not in {df.OrchestrationRuntimeStatus.Running, df.OrchestrationRuntimeStatus.Pending}:
            return status
        await asyncio.sleep(0.01)
    raise AssertionError("it did not end")


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("never came true")


async def output(host: RunningHost, name: str, payload: Any = None) -> Any:
    instance_id = await host.client.start_new(name, None, payload)
    status = await finished(host, instance_id)
    assert status.runtime_status is df.OrchestrationRuntimeStatus.Completed, status.output
    return status.output


async def test_chain_of_async_and_sync_activities(host: RunningHost) -> None:
    """Results feed the next activity; a sync activity runs as well; custom status and input are shown."""
    instance_id = await host.client.start_new("chain", "mine", "bob")
    assert instance_id == "mine"
    status = await finished(host, instance_id)
    assert status.output == ["hello bob", "thread hello bob"]
    assert status.custom_status == {"step": 2}
    assert status.input_ == '"bob"'  # the extension keeps start_new's input as JSON text
    assert (status.name, status.instance_id) == ("chain", "mine")


async def test_a_replay_compiles_no_class(host: RunningHost) -> None:
    """The SDK asks for the same one in each replay; it is made once."""
    module = importlib.import_module("azure.durable_functions.models.TaskOrchestrationExecutor")
    before = module.namedtuple.cache_info()
    for _ in range(2):
        await output(host, "chain", "world")
    after = module.namedtuple.cache_info()
    assert after.misses <= 1
    assert after.hits + after.misses >= before.hits + before.misses + 4


async def test_fan_out(host: RunningHost) -> None:
    """Results of task_all keep their order."""
    assert await output(host, "fan_out") == [f"hello {n}" for n in range(5)]


async def test_activity_failure_reaches_the_orchestrator(host: RunningHost) -> None:
    """A caught failure carries the host's words and the traceback."""
    text = await output(host, "catches")
    assert text.startswith("Activity function 'fail' failed:  ValueError: no way \n ")
    assert "Traceback" in text


async def test_uncaught_failure_fails_the_orchestration(host: RunningHost) -> None:
    """The instance fails and says why."""
    status = await finished(host, await host.client.start_new("fails"))
    assert status.runtime_status is df.OrchestrationRuntimeStatus.Failed
    assert "Orchestrator function 'fails' failed: Activity function 'fail' failed:  ValueError" in status.output


async def test_timer(host: RunningHost, time: MovedClock) -> None:
    """A durable timer of whole seconds fires at its time and not before, by the orchestrator's own clock."""
    instance_id = await host.client.start_new("sleeps")
    await until(lambda: time.sleepers == 1)
    await time.move(timedelta(minutes=59))
    assert (await host.client.get_status(instance_id)).runtime_status is df.OrchestrationRuntimeStatus.Running
    await time.move(timedelta(minutes=1))
    assert (await finished(host, instance_id)).output == 3600


async def test_timers_fire_early(host: RunningHost, time: MovedClock) -> None:
    """A timer waits for whole seconds, cut off, as on the Azure Storage backend."""
    await time.move(timedelta(milliseconds=300))
    instance_id = await host.client.start_new(
        "sleeps_until", None, (time.clock.now() + timedelta(seconds=2.9)).isoformat()
    )
    await until(lambda: time.sleepers == 1)
    await time.move(timedelta(seconds=1.9))
    assert (await host.client.get_status(instance_id)).runtime_status is df.OrchestrationRuntimeStatus.Running
    await time.move(timedelta(seconds=0.1))
    assert (await finished(host, instance_id)).output == 2


async def test_canceled_timer_does_not_hold_the_instance(host: RunningHost, time: MovedClock) -> None:
    """A timer that was canceled is forgotten."""
    assert await output(host, "cancels_timer") == "done"
    await until(lambda: time.sleepers == 0)


async def test_stale_timer_of_an_earlier_execution_is_not_heard(host: RunningHost, time: MovedClock) -> None:
    """After continue_as_new a timer of the last execution never fires the new one's, though ids are equal."""
    instance_id = await host.client.start_new("rounds", None, "first")
    await until(lambda: host.worker.hub.instances[instance_id].execution.scheduled == {0} and time.sleepers == 1)
    await time.move(timedelta(hours=2))
    assert (await host.client.get_status(instance_id)).runtime_status is df.OrchestrationRuntimeStatus.Running
    await time.move(timedelta(hours=1))
    assert (await finished(host, instance_id)).output == 3 * 3600


async def test_stale_activity_of_an_earlier_execution_is_not_heard(host: RunningHost) -> None:
    """An activity that ends after continue_as_new does not answer for a new one with the same id."""
    gate.update(stale=asyncio.Event(), leave=asyncio.Event(), fresh=asyncio.Event())
    instance_id = await host.client.start_new("stale_activity", None, "first")
    await until(lambda: {"stale", "leave"} <= runs.keys())
    gate["leave"].set()
    await until(lambda: "fresh" in runs)
    gate["stale"].set()
    await until(lambda: "stale" in ended)
    assert (await host.client.get_status(instance_id)).runtime_status is df.OrchestrationRuntimeStatus.Running
    gate["fresh"].set()
    assert (await finished(host, instance_id)).output == "opened"


async def test_terminate_while_an_activity_runs(host: RunningHost) -> None:
    """The instance ends at once with the reason; the activity runs on and its result is dropped."""
    gate["held"] = asyncio.Event()
    await host.client.start_new("gated", "held")
    await until(lambda: "held" in runs)
    await host.client.terminate("held", "enough")
    status = await finished(host, "held")
    assert (status.runtime_status, status.output) == (df.OrchestrationRuntimeStatus.Terminated, "enough")
    gate["held"].set()
    await until(lambda: ended == ["held"])
    assert (await host.client.get_status("held")).runtime_status is df.OrchestrationRuntimeStatus.Terminated
    await host.client.terminate("held", "again")  # finished: silent, as the SDK has it


async def test_start_on_live_and_finished_ids(host: RunningHost) -> None:
    """A live id is refused with an exception and keeps running; a finished one is replaced."""
    gate["same"] = asyncio.Event()
    await host.client.start_new("gated", "same")
    with pytest.raises(Exception, match="already exists"):
        await host.client.start_new("chain", "same", "x")
    gate["same"].set()
    await finished(host, "same")
    await host.client.start_new("chain", "same", "new")
    assert (await finished(host, "same")).output == ["hello new", "thread hello new"]


async def test_result_of_a_replaced_instance_is_not_heard(host: RunningHost) -> None:
    """An activity of a terminated instance does not answer for the instance that took its id."""
    gate["same"] = asyncio.Event()
    await host.client.start_new("gated", "same")
    await until(lambda: runs.get("same") == 1)
    await host.client.terminate("same", "replaced")
    await finished(host, "same")
    held, gate["same"] = gate["same"], asyncio.Event()
    await host.client.start_new("gated", "same")
    await until(lambda: runs.get("same") == 2)
    held.set()
    await until(lambda: ended == ["same"])
    assert (await host.client.get_status("same")).runtime_status is df.OrchestrationRuntimeStatus.Running
    gate["same"].set()
    assert (await finished(host, "same")).output == "opened"


async def test_unknown_orchestrator_and_bad_id(host: RunningHost) -> None:
    """The client raises with a message that names the function or the id."""
    with pytest.raises(Exception, match="'nobody' doesn't exist"):
        await host.client.start_new("nobody")
    with pytest.raises(Exception, match="Invalid instance id"):
        await host.client.start_new("chain", "@x")


async def test_purge(host: RunningHost) -> None:
    """An instance that nobody has is falsy; purging removes a finished one and only that."""
    assert not await host.client.get_status("nobody")
    await host.client.start_new("chain", "gone", "x")
    await finished(host, "gone")
    assert (await host.client.purge_instance_history("gone")).instances_deleted == 1
    assert (await host.client.purge_instance_history("gone")).instances_deleted == 0
    assert not await host.client.get_status("gone")


async def test_two_hundred_at_once(host: RunningHost) -> None:
    """Every instance ends with its own result."""
    ids = await asyncio.gather(*(host.client.start_new("chain", f"many-{n}", str(n)) for n in range(200)))
    for n, instance_id in enumerate(ids):
        assert (await finished(host, instance_id)).output[0] == f"hello {n}"


async def test_finished_instances_are_kept_up_to_a_bound() -> None:
    """Memory does not grow with every operation: the oldest finished instances go first."""
    async with running(build_app(), hub=TaskHub(kept_finished=3)) as host:
        for n in (0, 1, 2, 0, 3, 4):  # an id that is taken again counts once, by its last end
            await host.client.start_new("chain", f"n{n}", "x")
            await finished(host, f"n{n}")
        assert list(host.worker.hub.instances) == ["n0", "n3", "n4"]


@pytest.mark.parametrize(
    "call",
    ["call_activity_with_retry", "call_sub_orchestrator", "wait_for_external_event", "call_http", "call_entity"],
)
async def test_an_orchestrator_that_needs_more_says_so(host: RunningHost, call: str) -> None:
    """An orchestrator that needs the real host fails with the name of what is missing and the way out."""
    status = await finished(host, await host.client.start_new("not_served", None, call))
    assert status.runtime_status is df.OrchestrationRuntimeStatus.Failed
    assert f"{call} is not supported by the local host; use `func start`" in status.output


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "instances"),
        ("DELETE", "instances/?createdTimeFrom=2026-01-01"),
        ("GET", "instances/one?showHistory=true"),
        ("POST", "instances/one/raiseEvent/go"),
        ("POST", "instances/one/suspend?reason=x"),
        ("POST", "instances/one/resume?reason=x"),
        ("POST", "instances/one/restart"),
        ("POST", "instances/one/rewind?reason=x"),
        ("GET", "entities/counter/one"),
    ],
)
async def test_the_rest_of_the_api_is_not_served(host: RunningHost, method: str, path: str) -> None:
    """What the durable client asks beyond start, status, terminate and purge is 501 with one sentence."""
    message = raw_request(method, f"/runtime/webhooks/durabletask/{path}")
    status, _, body = await exchange(host.port, message)
    assert status == 501
    assert f"The local host does not serve {method} /{path}" in json.loads(body)["Message"]


async def test_activity_over_the_function_timeout_fails() -> None:
    """An activity that runs longer than functionTimeout is cancelled, and its failure says why."""
    async with running(build_app(), activity_timeout=timedelta(milliseconds=50)) as host:
        assert "longer than functionTimeout, 0:00:00.05" in await output(host, "too_long")


async def test_nothing_waits_for_a_clock_between_start_and_activity(host: RunningHost, time: MovedClock) -> None:
    """From start_new to the activity's first line no part of the host sleeps or polls: its clock stands."""
    for n in range(15):
        gate[f"quick-{n}"] = asyncio.Event()
        await host.client.start_new("gated", f"quick-{n}")
        await until(lambda key=f"quick-{n}": key in runs)
        assert time.sleepers == 0
        gate[f"quick-{n}"].set()


async def test_activities_run_side_by_side_up_to_the_limit() -> None:
    """maxConcurrentActivityFunctions bounds what runs; the rest waits and is not lost."""
    async with running(build_app(), max_activities=2) as host:
        for n in range(4):
            gate[f"n{n}"] = asyncio.Event()
            await host.client.start_new("gated", f"n{n}")
        await until(lambda: len(runs) == 2)
        statuses = [await host.client.get_status(f"n{n}") for n in range(4)]
        assert {each.runtime_status for each in statuses} == {df.OrchestrationRuntimeStatus.Running}
        assert len(runs) == 2
        for each in gate.values():
            each.set()
        for n in range(4):
            assert (await finished(host, f"n{n}")).output == "opened"
