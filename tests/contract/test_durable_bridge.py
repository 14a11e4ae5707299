"""Orchestrations through the real SDK on both sides: its client, its replay, the local host between them."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import pytest

from tests.contract.host_for_tests import RunningHost, running

pytestmark = [
    pytest.mark.timeout(20),
    # The SDK's own call, once a process: the extension's JSON names no types.
    pytest.mark.filterwarnings("ignore:azure.functions df_loads was called without expected_type"),
]
runs: dict[str, int] = {}
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
        yield context.create_timer(start + timedelta(milliseconds=150))
        return (context.current_utc_datetime - start).total_seconds()

    @app.orchestration_trigger(context_name="context")
    def waits(context):
        return (yield context.wait_for_external_event("go"))

    @app.orchestration_trigger(context_name="context")
    def waits_twice(context):
        one = yield context.wait_for_external_event("go")
        two = yield context.wait_for_external_event("go")
        return [one, two]

    @app.orchestration_trigger(context_name="context")
    def gated(context):
        return (yield context.call_activity("wait_for_gate", context.instance_id))

    @app.orchestration_trigger(context_name="context")
    def rounds(context):
        """Each round leaves a timer and an activity behind; the last waits for a timer of the same id."""
        left = int(context.get_input())
        start = context.current_utc_datetime
        if left:
            stale = context.create_timer(start + timedelta(milliseconds=120))
            yield context.task_any([stale, context.wait_for_external_event("next")])
            context.continue_as_new(left - 1)
            return None
        yield context.create_timer(start + timedelta(milliseconds=400))
        return (context.current_utc_datetime - start).total_seconds()

    @app.orchestration_trigger(context_name="context")
    def stale_activity(context):
        if context.get_input() == "first":
            yield context.task_any(
                [context.call_activity("wait_for_gate", "stale"), context.wait_for_external_event("next")]
            )
            context.continue_as_new("second")
            return None
        return (yield context.call_activity("wait_for_gate", "fresh"))

    @app.orchestration_trigger(context_name="context")
    def carries(context):
        """An event nobody waited for is there in the next execution."""
        if context.get_input() == "first":
            yield context.call_activity("wait_for_gate", "carry")
            context.continue_as_new("second")
            return None
        return (yield context.wait_for_external_event("kept"))

    @app.orchestration_trigger(context_name="context")
    def cancels_timer(context):
        timer = context.create_timer(context.current_utc_datetime + timedelta(hours=1))
        yield context.task_any([timer, context.call_activity("say", "x")])
        timer.cancel()
        return "done"

    @app.orchestration_trigger(context_name="context")
    def parent(context):
        return (yield context.call_sub_orchestrator("chain", context.get_input()))

    @app.orchestration_trigger(context_name="context")
    def retries(context):
        yield context.call_activity_with_retry("say", df.RetryOptions(1, 2), "x")

    @app.orchestration_trigger(context_name="context")
    def too_long(context):
        try:
            yield context.call_activity("sleep_long", None)
        except Exception as error:
            return str(error)

    return app


@pytest.fixture
async def host() -> AsyncIterator[RunningHost]:
    runs.clear()
    gate.clear()
    async with running(build_app(), activity_timeout=timedelta(seconds=1)) as each:
        yield each


async def finished(host: RunningHost, instance_id: str, within: float = 5.0) -> df.models.DurableOrchestrationStatus:
    """The status of an instance once it has ended."""
    until = time.monotonic() + within
    while True:
        status = await host.client.get_status(instance_id, show_input=True)
        if status.runtime_status not in {
            df.OrchestrationRuntimeStatus.Running,
            df.OrchestrationRuntimeStatus.Pending,
            df.OrchestrationRuntimeStatus.Suspended,
        }:
            return status
        assert time.monotonic() < until, f"still {status.runtime_status}"
        await asyncio.sleep(0.01)


async def until(condition: Any) -> None:
    for _ in range(500):
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


async def test_timer(host: RunningHost) -> None:
    """A durable timer fires at its time, by the orchestrator's own clock."""
    assert 0.14 <= await output(host, "sleeps") < 0.6


async def test_canceled_timer_does_not_hold_the_instance(host: RunningHost) -> None:
    """A timer that was canceled, or left by task_any, is forgotten with its execution."""
    assert await output(host, "cancels_timer") == "done"


async def test_stale_timer_of_an_earlier_execution_is_not_heard(host: RunningHost) -> None:
    """After continue_as_new a timer of the last execution never fires the new one's, though ids are equal."""
    instance_id = await host.client.start_new("rounds", None, 2)
    for _ in range(2):
        await asyncio.sleep(0.03)
        await host.client.raise_event(instance_id, "next")
    status = await finished(host, instance_id)
    assert status.output >= 0.39


async def test_stale_activity_of_an_earlier_execution_is_not_heard(host: RunningHost) -> None:
    """An activity that ends after continue_as_new does not answer for a new one with the same id."""
    gate.update(stale=asyncio.Event(), fresh=asyncio.Event())
    instance_id = await host.client.start_new("stale_activity", None, "first")
    await until(lambda: "stale" in runs)
    await host.client.raise_event(instance_id, "next")
    await until(lambda: "fresh" in runs)
    gate["stale"].set()
    await asyncio.sleep(0.05)
    assert (await host.client.get_status(instance_id)).runtime_status is df.OrchestrationRuntimeStatus.Running
    gate["fresh"].set()
    assert (await finished(host, instance_id)).output == "opened"


async def test_unread_event_is_carried_over(host: RunningHost) -> None:
    """continue_as_new hands events that nobody waited for to the next execution."""
    gate["carry"] = asyncio.Event()
    instance_id = await host.client.start_new("carries", None, "first")
    await until(lambda: "carry" in runs)
    await host.client.raise_event(instance_id, "kept", "treasure")
    gate["carry"].set()
    assert (await finished(host, instance_id)).output == '"treasure"'


async def test_external_event(host: RunningHost) -> None:
    """Data of the client's raise_event arrives as JSON text, early events wait, order is kept."""
    instance_id = await host.client.start_new("waits_twice")
    await host.client.raise_event(instance_id, "go", {"n": 1})
    await host.client.raise_event(instance_id, "go", {"n": 2})
    assert (await finished(host, instance_id)).output == ['{"n": 1}', '{"n": 2}']
    with pytest.raises(Exception, match="gone"):
        await host.client.raise_event(instance_id, "go")
    with pytest.raises(Exception, match="No instance"):
        await host.client.raise_event("unknown", "go")


async def test_terminate_while_an_activity_runs(host: RunningHost) -> None:
    """The instance ends at once with the reason; the activity runs on and its result is dropped."""
    gate["held"] = asyncio.Event()
    await host.client.start_new("gated", "held")
    await until(lambda: "held" in runs)
    await host.client.terminate("held", "enough")
    status = await finished(host, "held")
    assert (status.runtime_status, status.output) == (df.OrchestrationRuntimeStatus.Terminated, "enough")
    gate["held"].set()
    await asyncio.sleep(0.05)
    assert (await host.client.get_status("held")).runtime_status is df.OrchestrationRuntimeStatus.Terminated
    await host.client.terminate("held", "again")  # finished: silent, as the SDK has it


async def test_suspend_and_resume(host: RunningHost) -> None:
    """A suspended instance takes no step; what was sent meanwhile arrives on resume."""
    instance_id = await host.client.start_new("waits")
    await host.client.suspend(instance_id, "wait")
    await asyncio.sleep(0.02)
    await host.client.raise_event(instance_id, "go", 1)
    await asyncio.sleep(0.05)
    assert (await host.client.get_status(instance_id)).runtime_status is df.OrchestrationRuntimeStatus.Suspended
    await host.client.resume(instance_id, "go on")
    assert (await finished(host, instance_id)).output == "1"


async def test_start_on_live_and_finished_ids(host: RunningHost) -> None:
    """A live id is refused with an exception and keeps running; a finished one is replaced."""
    await host.client.start_new("waits", "same")
    with pytest.raises(Exception, match="already exists"):
        await host.client.start_new("chain", "same", "x")
    await host.client.raise_event("same", "go", "old")
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
    await asyncio.sleep(0.05)
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
    """Every instance ends with its own result, and the list shows them all."""
    ids = await asyncio.gather(*(host.client.start_new("chain", f"many-{n}", str(n)) for n in range(200)))
    for n, instance_id in enumerate(ids):
        assert (await finished(host, instance_id)).output[0] == f"hello {n}"
    listed = await host.client.get_status_by(runtime_status=[df.OrchestrationRuntimeStatus.Completed])
    assert {each.instance_id for each in listed} == set(ids)


async def test_finished_instances_are_kept_up_to_a_bound(host: RunningHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with every operation: the oldest finished instances go first."""
    monkeypatch.setattr("local_host.durable.backend._KEPT_FINISHED", 3)
    for n in range(5):
        await host.client.start_new("chain", f"n{n}", "x")
        await finished(host, f"n{n}")
    known = {each.instance_id for each in await host.client.get_status_all()}
    assert known == {"n2", "n3", "n4"}


async def test_restart(host: RunningHost) -> None:
    """A finished instance can be run again under its id, with its input."""
    await host.client.start_new("chain", "again", "x")
    first = await finished(host, "again")
    await host.client.restart("again", restart_with_new_instance_id=False)
    second = await finished(host, "again")
    assert second.output == first.output


async def test_sub_orchestration(host: RunningHost) -> None:
    """A parent gets its child's result."""
    assert (await output(host, "parent", "kid"))[0].startswith("hello ")


async def test_what_is_not_supported_says_so(host: RunningHost) -> None:
    """An orchestrator that needs the real host fails with its name and the way out."""
    status = await finished(host, await host.client.start_new("retries"))
    assert "call_activity_with_retry is not supported by the local host; use `func start`" in status.output


async def test_activity_over_the_function_timeout_fails(host: RunningHost) -> None:
    """An activity that runs longer than functionTimeout is cancelled, and its failure says why."""
    assert "longer than functionTimeout, 0:00:01" in await output(host, "too_long")


async def test_activity_starts_at_once(host: RunningHost) -> None:
    """From start_new to the activity's first line: well below 20 ms in the median."""
    waits: list[float] = []
    for n in range(15):
        key = f"quick-{n}"
        gate[key] = asyncio.Event()
        started = time.perf_counter()
        await host.client.start_new("gated", key)
        while key not in runs:  # noqa: ASYNC110 (measures: no timer in between)
            await asyncio.sleep(0)
        waits.append(time.perf_counter() - started)
        gate[key].set()
    assert sorted(waits)[7] < 0.02


async def test_activities_run_side_by_side_up_to_the_limit() -> None:
    """maxConcurrentActivityFunctions bounds what runs; the rest waits and is not lost."""
    runs.clear()
    gate.clear()
    async with running(build_app(), max_activities=2) as host:
        for n in range(4):
            gate[f"n{n}"] = asyncio.Event()
            await host.client.start_new("gated", f"n{n}")
        await asyncio.sleep(0.05)
        assert len(runs) == 2
        for each in gate.values():
            each.set()
        for n in range(4):
            assert (await finished(host, f"n{n}")).output == "opened"
