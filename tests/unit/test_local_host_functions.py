"""What the host refuses to serve, and how timers run."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Optional

import azure.durable_functions as df
import azure.functions as func
import pytest

from local_host.errors import FunctionAppError
from local_host.functions import AppFunction, Trigger, functions_of, load_functions
from local_host.ncrontab import Interval
from local_host.timers import Timer, build_timers, run_timer


def test_functions_are_listed_by_name_ignoring_case() -> None:
    """The host registers functions in the order of their names."""
    app = func.FunctionApp()
    for name in ("b", "C", "a_b", "aB"):

        def body(req: func.HttpRequest) -> str:
            return ""

        app.function_name(name)(app.route(route=name, methods=["get"])(body))
    functions = functions_of(app)
    assert [each.name for each in functions] == ["aB", "a_b", "b", "C"]
    assert functions[0].methods == {"GET"}


def entity(app: df.DFApp) -> None:
    @app.entity_trigger(context_name="context")
    def counter(context: Any) -> None: ...


def queue(app: df.DFApp) -> None:
    @app.queue_trigger(arg_name="message", queue_name="q", connection="c")
    def from_queue(message: func.QueueMessage) -> None: ...


def blob_input(app: df.DFApp) -> None:
    @app.route(route="x")
    @app.blob_input(arg_name="blob", path="p", connection="c")
    def with_blob(req: func.HttpRequest, blob: str) -> None: ...


def extra_parameter(app: df.DFApp) -> None:
    @app.route(route="x")
    def with_more(req: func.HttpRequest, more: str) -> None: ...


def missing_parameter(app: df.DFApp) -> None:
    @app.route(route="x", trigger_arg_name="request")
    def with_less() -> None: ...


def generic_annotation(app: df.DFApp) -> None:
    @app.activity_trigger(input_name="payload")
    def typed(payload: dict[str, Any]) -> None: ...


def optional_annotation(app: df.DFApp) -> None:
    @app.activity_trigger(input_name="payload")
    def typed(payload: Optional[str]) -> None: ...  # noqa: UP045 (what the worker refuses)


def same_name(app: df.DFApp) -> None:
    for _ in range(2):

        @app.route(route="x")
        def twin(req: func.HttpRequest) -> None: ...


@pytest.mark.parametrize(
    ("declare", "reason"),
    [
        (entity, "'counter': durable entities are not supported"),
        (queue, "'from_queue': binding 'message' of type 'queueTrigger'"),
        (blob_input, "'with_blob': binding 'blob' of type 'blob'"),
        (extra_parameter, "not in the function decorators: more"),
        (missing_parameter, "not present in Python: request"),
        (generic_annotation, r"payload has invalid non-type annotation dict\[str"),
        (optional_annotation, "payload has invalid non-type annotation"),
        (same_name, "unique function name"),
    ],
)
def test_refused_apps(declare: Callable[[df.DFApp], None], reason: str) -> None:
    """What the worker or this host cannot serve is refused with function and reason."""
    app = df.DFApp()
    declare(app)
    with pytest.raises(FunctionAppError, match=reason):
        functions_of(app)


def test_no_function_app(tmp_path: Path) -> None:
    """A folder without function_app.py says so."""
    with pytest.raises(FunctionAppError, match=r"no function_app\.py"):
        load_functions(tmp_path)


def a_timer(period: float, *, run_on_startup: bool = False) -> Timer:
    function = AppFunction("tick", Trigger.TIMER, "timer", print, Path())
    return Timer(function, Interval(timedelta(seconds=period)), run_on_startup)


async def test_timer_never_overlaps_and_survives_failures() -> None:
    """A run that takes longer than the period delays the next, missed ticks do not pile up, an error ends nothing."""
    running, most, requests = 0, 0, list[func.TimerRequest]()

    async def call(_: AppFunction, argument: object) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        assert isinstance(argument, func.TimerRequest)
        requests.append(argument)
        await asyncio.sleep(0.05)
        running -= 1
        raise RuntimeError("this time")

    task = asyncio.create_task(run_timer(a_timer(0.02), call))
    await asyncio.sleep(0.3)
    task.cancel()
    assert most == 1
    assert 2 <= len(requests) <= 5
    assert requests[0].past_due is False
    assert requests[1].schedule_status["Last"] <= requests[1].schedule_status["Next"]


async def test_run_on_startup_runs_at_once() -> None:
    """A timer with run_on_startup does not wait for its first time."""
    ran = asyncio.Event()

    async def call(_: AppFunction, argument: object) -> None:
        ran.set()

    task = asyncio.create_task(run_timer(a_timer(3600, run_on_startup=True), call))
    await asyncio.wait_for(ran.wait(), 1)
    task.cancel()


async def test_late_run_is_past_due() -> None:
    """A run that starts well behind its time says so (a machine that slept)."""
    clock = iter([datetime.now() - timedelta(seconds=30), *[datetime.now()] * 10])
    seen = asyncio.Queue[bool]()

    async def call(_: AppFunction, argument: object) -> None:
        assert isinstance(argument, func.TimerRequest)
        seen.put_nowait(argument.past_due)

    task = asyncio.create_task(run_timer(a_timer(5), call, lambda: next(clock)))
    assert await asyncio.wait_for(seen.get(), 1) is True
    task.cancel()


def test_schedule_from_a_setting() -> None:
    """`%NAME%` in a schedule is the app setting."""
    function = AppFunction("tick", Trigger.TIMER, "timer", print, Path(), settings={"schedule": "%EVERY%"})
    (each,) = build_timers([function], {"EVERY": "00:00:05"})
    assert each.schedule == Interval(timedelta(seconds=5))
