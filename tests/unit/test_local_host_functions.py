"""What the host refuses or leaves out, and how timers run."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Optional

import azure.durable_functions as df
import azure.functions as func
import pytest

from local_host.errors import AppRefusedError, FunctionAppError, ScheduleError
from local_host.functions import AppFunction, Trigger, functions_of, load_functions
from local_host.ncrontab import Interval
from local_host.timers import Timer, build_timers, run_timer
from tests.support.moved_clock import MovedClock


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
        (extra_parameter, "not in the function decorators: more"),
        (missing_parameter, "not present in Python: request"),
        (generic_annotation, r"payload has invalid non-type annotation dict\[str"),
        (optional_annotation, "payload has invalid non-type annotation"),
        (same_name, "unique function name"),
    ],
)
def test_refused_apps(declare: Callable[[df.DFApp], None], reason: str) -> None:
    """What the worker cannot serve is refused with function and reason."""
    app = df.DFApp()
    declare(app)
    with pytest.raises(FunctionAppError, match=reason):
        functions_of(app)


@pytest.mark.parametrize(
    ("declare", "reason"),
    [
        (entity, "Function 'counter' (entityTrigger) is left out: the local host does not serve its binding 'context'"),
        (
            queue,
            "Function 'from_queue' (queueTrigger) is left out: the local host does not serve its binding 'message'",
        ),
        (
            blob_input,
            "Function 'with_blob' (httpTrigger) is left out: the local host does not serve its binding 'blob'",
        ),
    ],
)
def test_functions_that_are_left_out(
    declare: Callable[[df.DFApp], None], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning of one line names function, trigger and what is not served; the rest of the app is served."""
    app = df.DFApp()
    declare(app)
    good = app.function_name("good")

    @good
    @app.route(route="good")
    def body(req: func.HttpRequest) -> str:
        return ""

    assert [each.name for each in functions_of(app)] == ["good"]
    (line,) = [each.getMessage() for each in caplog.records if each.name == "local_host.functions"]
    assert line.startswith(reason)
    assert line.endswith("use `func start` for it")


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("raise SettingsError('DATA_DIR is away')", "DATA_DIR is away"),
        (
            "raise DeclarationError('actions/books.py: retry\\nmust be a number')",
            "actions/books.py: retry must be a number",
        ),
        ("raise StorageUnavailable('no store')", "no store"),
    ],
)
def test_what_the_app_refuses_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, refused: str
) -> None:
    """A declaration, setting or store error of the app on import is its own sentence, as one line."""
    (tmp_path / "function_app.py").write_text(f"from shared.errors import *\n{line}\n")
    monkeypatch.delitem(sys.modules, "function_app", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(AppRefusedError) as raised:
        load_functions(tmp_path)
    assert str(raised.value) == refused


def test_no_function_app(tmp_path: Path) -> None:
    """A folder without function_app.py says so."""
    with pytest.raises(FunctionAppError, match=r"no function_app\.py"):
        load_functions(tmp_path)


def a_timer(period: float) -> Timer:
    function = AppFunction("tick", Trigger.TIMER, "timer", print, Path())
    return Timer(function, Interval(timedelta(seconds=period)), at_start=True)


class Runs:
    """Starts of a timer's function; a run takes `seconds` of the clock, then fails."""

    def __init__(self, time: MovedClock, seconds: float = 0) -> None:
        self.requests: list[func.TimerRequest] = []
        self._time = time
        self._seconds = seconds

    async def call(self, _: AppFunction, argument: object) -> None:
        assert isinstance(argument, func.TimerRequest)
        self.requests.append(argument)
        if self._seconds:
            await self._time.clock.sleep(self._seconds)
        raise RuntimeError("this time")


@asynccontextmanager
async def ticking(timer: Timer, runs: Runs, time: MovedClock) -> AsyncIterator[None]:
    task = asyncio.create_task(run_timer(timer, runs.call, time.clock))
    await time.move(timedelta())
    try:
        yield
    finally:
        task.cancel()


async def test_first_pass_is_at_once_and_may_fail() -> None:
    """A timer that is to runs when the host has started, whatever its schedule; a failure ends nothing."""
    time = MovedClock()
    runs = Runs(time)
    async with ticking(a_timer(3600), runs, time):
        assert [each.past_due for each in runs.requests] == [False]
        await time.move(timedelta(seconds=3599))
        assert len(runs.requests) == 1
        await time.move(timedelta(seconds=1))
        assert len(runs.requests) == 2
        assert runs.requests[1].schedule_status["Last"] < runs.requests[1].schedule_status["Next"]


async def test_timer_never_overlaps() -> None:
    """A run that takes longer than the period delays the next, and missed ticks do not pile up."""
    time = MovedClock()
    runs = Runs(time, seconds=25)
    async with ticking(a_timer(10), runs, time):
        for _ in range(60):
            await time.move(timedelta(seconds=1))
        assert len(runs.requests) == 2  # at 0 and, 10 s after the first has ended, at 35
        assert time.sleepers == 1
        assert not any(each.past_due for each in runs.requests)


async def test_late_run_is_past_due() -> None:
    """A run that starts well behind its time says so (a machine that slept)."""
    time = MovedClock()
    runs = Runs(time)
    async with ticking(a_timer(5), runs, time):
        await time.move(timedelta(seconds=30))
        assert [each.past_due for each in runs.requests] == [False, True]


@pytest.mark.parametrize(
    ("settings", "named", "expected"),
    [
        ({}, (), False),
        ({"runOnStartup": True}, (), True),
        ({}, ("tick",), True),
        ({"runOnStartup": False}, ("x",), False),
    ],
)
async def test_which_timers_run_at_the_start(settings: dict[str, Any], named: tuple[str, ...], expected: bool) -> None:
    """One with run_on_startup, as on the platform, and one that the app names; any other waits for its time."""
    function = AppFunction("tick", Trigger.TIMER, "timer", print, Path(), settings={"schedule": "00:10:00", **settings})
    (timer,) = build_timers([function], {}, at_start=named)
    time = MovedClock()
    runs = Runs(time)
    async with ticking(timer, runs, time):
        assert len(runs.requests) == expected


def test_schedule_from_a_setting() -> None:
    """`%NAME%` in a schedule is the app setting."""
    function = AppFunction("tick", Trigger.TIMER, "timer", print, Path(), settings={"schedule": "%EVERY%"})
    (each,) = build_timers([function], {"EVERY": "00:00:05"})
    assert each.schedule == Interval(timedelta(seconds=5))


@pytest.mark.parametrize(("schedule", "reason"), [("every day", "the schedule 'every day'"), ("%NONE%", "'%NONE%'")])
def test_a_schedule_that_cannot_be_read_names_its_function(schedule: str, reason: str) -> None:
    """One line with the function, what it declares, and what is right."""
    function = AppFunction("tick", Trigger.TIMER, "timer", print, Path(), settings={"schedule": schedule})
    with pytest.raises(ScheduleError, match=f"function 'tick': {reason}"):
        build_timers([function], {})
