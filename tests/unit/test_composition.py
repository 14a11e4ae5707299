"""Putting the parts together: lazily, and by what the host is configured to."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from shared.actions.registry import Registry
from shared.composition import Application
from shared.errors import SettingsError
from shared.model.leases import Leases
from shared.model.timing import Timing
from shared.operations.handler_places import MAX_WAITING
from shared.settings import MOST_HANDLER_PROCESSES, OTHER_ACTIVITIES, Settings, function_timeout
from tests.support.clock import T0, ManualClock
from tests.support.parts import Faults, FaultyStorage, settings, sqlite

PLACES = "AzureFunctionsJobHost__extensions__durableTask__maxConcurrentActivityFunctions"
HOST_JSON = Path(__file__).parents[2] / "host.json"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00:10:00", timedelta(minutes=10)),
        ("1.00:00:30", timedelta(days=1, seconds=30)),
        ("-1", None),
    ],
)
def test_function_timeout(tmp_path: Path, text: str, expected: timedelta | None) -> None:
    """host.json's functionTimeout, overridden by the app setting; -1 is unbounded, and blank counts as not set."""
    file = tmp_path / "host.json"
    file.write_text(json.dumps({"functionTimeout": text}))
    assert function_timeout(file, {}) == expected
    assert function_timeout(file, {"AzureFunctionsJobHost__functionTimeout": " "}) == expected
    assert function_timeout(HOST_JSON, {"AzureFunctionsJobHost__functionTimeout": text}) == expected


def test_full_collections_leave_out_the_app_itself() -> None:
    """What the app's modules hold is not gone through again and again: it would hold up requests for some 30 ms."""
    code = "import gc, function_app; print(gc.isenabled(), gc.get_freeze_count() > 10 * len(gc.get_objects()))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=HOST_JSON.parent
    )
    assert done.stdout.split() == ["True", "True"]


def test_function_timeout_of_this_app(tmp_path: Path) -> None:
    """Ours is explicit, an hour; without one the host's default is five; nonsense names the setting."""
    assert function_timeout(HOST_JSON, {}) == timedelta(hours=1)
    empty = tmp_path / "host.json"
    empty.write_text("{}")
    assert function_timeout(empty, {}) == timedelta(minutes=5)
    with pytest.raises(SettingsError, match="functionTimeout"):
        function_timeout(empty, {"AzureFunctionsJobHost__functionTimeout": "soon"})


@pytest.mark.parametrize("app", ["function_app.py", "tests/e2e/test_app/function_app.py"])
def test_the_route_prefix_is_that_of_the_app_s_host_json(tmp_path: Path, app: str) -> None:
    """What stands beside `function_app.py` counts; without a word there it is the platform's `api`."""
    source = HOST_JSON.parent / app
    for name in ("function_app.py", "actions"):
        (tmp_path / name).symlink_to(source.parent / name)
    (tmp_path / "host.json").write_text('{"functionTimeout": "00:10:00"}')
    code = "import function_app; print(function_app.application.settings.root_path)"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{tmp_path}:{HOST_JSON.parent}"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    )
    assert done.stdout.split() == ["/api"]


@pytest.mark.parametrize("folder", ["tests/e2e/test_app", "tests/engine/app", "tests/sample/app"])
def test_the_tests_apps_run_as_this_one(folder: str) -> None:
    """Their host.json is a copy: links are not kept by every checkout."""
    assert HOST_JSON.read_bytes() == (HOST_JSON.parent / folder / "host.json").read_bytes()


def test_places_for_activities() -> None:
    """host.json has as many as the settings ask for by default: who runs a `def` handler, who waits, and some more."""
    host = json.loads(HOST_JSON.read_text())
    wanted = MOST_HANDLER_PROCESSES + Settings.read({}).sync_handler_threads + OTHER_ACTIVITIES
    assert host["extensions"]["durableTask"]["maxConcurrentActivityFunctions"] == wanted
    assert MAX_WAITING < OTHER_ACTIVITIES
    for copy in ("tests/chaos/app", "tests/conformance_app"):
        other = json.loads((HOST_JSON.parent / copy / "host.json").read_text())
        assert other["extensions"]["durableTask"]["maxConcurrentActivityFunctions"] == wanted


@pytest.mark.parametrize(("cores", "expected"), [(1, 1), (3, 3), (64, 4)])
def test_as_many_processes_as_usable_cores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cores: int, expected: int
) -> None:
    """At most four, unless a setting says how many."""
    monkeypatch.setattr("shared.parts.usable_cores", lambda: cores, raising=False)
    assert Application(Registry(), settings=settings(tmp_path))._handler_processes == expected
    assert Application(Registry(), settings=settings(tmp_path, HANDLER_PROCESSES="9"))._handler_processes == 9


@pytest.mark.parametrize(
    ("environment", "wanted", "places"),
    [
        ({"SYNC_HANDLER_THREADS": "64", "HANDLER_PROCESSES": "3"}, 83, 28),
        ({"HANDLER_PROCESSES": "4"}, None, 28),
        ({"HANDLER_PROCESSES": "4", PLACES: "27"}, 28, 27),
        ({"SYNC_HANDLER_THREADS": "64", PLACES: "100"}, None, 100),
    ],
)
async def test_a_host_that_runs_too_few_activities(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    *,
    environment: dict[str, str],
    wanted: int | None,
    places: int,
) -> None:
    """The app says so when it starts, once, with the app setting that raises the number; else it says nothing."""
    store = {"OPERATIONS_STORE": "sqlite", "DATA_DIR": str(tmp_path), "TASK_HUB_NAME": "Mine"}
    for name, value in {**store, **environment}.items():
        monkeypatch.setenv(name, value)
    application = Application(Registry(), host_json=HOST_JSON)
    assert application.settings.activity_places == places
    await application.open()
    assert application.runner
    await application.aclose()
    said = [record.getMessage() for record in caplog.records if record.__dict__.get("event") == "few_activities"]
    assert said == (
        [f"The host runs {places} activities at a time, and the settings ask for {wanted}: set {PLACES}={wanted}"]
        if wanted
        else []
    )


def test_wrong_settings_do_not_hide_the_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app whose settings cannot be read is imported with defaults, and says so when it is used."""
    monkeypatch.setenv("MAX_BODY_BYTES", "big")
    application = Application(Registry())
    assert application.settings_at_import.max_body_bytes == 1_048_576
    with pytest.raises(SettingsError):
        _ = application.settings


async def test_the_task_hub_of_host_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The hub that host.json names is the namespace; one that names no table is refused before a store is opened."""
    monkeypatch.setenv("OPERATIONS_STORE", "sqlite")
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "not-there"))
    monkeypatch.setenv("TASK_HUB_NAME", "Mine")
    assert Application(Registry(), host_json=HOST_JSON).settings.namespace == "Mine"
    monkeypatch.setenv("TASK_HUB_NAME", "my-hub")
    application = Application(Registry(), host_json=HOST_JSON)
    assert application.settings_at_import.http_auth_level == "function"
    with pytest.raises(SettingsError, match=r"^TASK_HUB_NAME is 'my-hub'"):
        await application.open()
    assert not (tmp_path / "not-there").exists()


def test_lazy(tmp_path: Path) -> None:
    """An application opens nothing until it is used."""
    application = Application(Registry(), settings=settings(tmp_path / "not-there"))
    assert application.live is application.live
    assert not (tmp_path / "not-there").exists()


def test_parts_are_shared(tmp_path: Path) -> None:
    """Every part is made once: a cancel must find the attempts of the runner."""
    read: Callable[[Application], object] = lambda a: a.live  # noqa: E731
    application = Application(Registry(), settings=settings(tmp_path))
    assert read(application) is read(application)


async def test_clock_and_timing_are_chosen_here(tmp_path: Path) -> None:
    """What an application is composed with reaches its parts: an operation's times are the clock's and the timing's."""
    clock, timing = ManualClock(), Timing(total_deadline=timedelta(hours=1), lease=timedelta(seconds=7))
    async with sqlite(tmp_path, clock) as storage:
        application = Application(Registry(), settings=settings(tmp_path), storage=storage, clock=clock, timing=timing)
        assert application.records.leases == Leases(
            length=timing.lease, exclusive_since=T0, held_here=application.live.runs
        )
        clock.pass_by(minutes=5)
        operation = (await application.external.create(kind="k", owner="me")).operation
        assert (operation.created, operation.deadline) == (clock.now(), clock.now() + timing.total_deadline)


async def test_open_without_a_store(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A store that cannot be reached at the start is no reason to end: it may be back for the first request."""
    async with sqlite(tmp_path) as inner:
        storage = FaultyStorage(inner, Faults(down=True))
        application = Application(Registry(), settings=settings(tmp_path), storage=storage)
        await application.open()
        assert "cannot be reached yet" in caplog.text
        storage.faults.down = False
        await application.open()
        assert await storage.table("operations").read("app", "schema") is not None
