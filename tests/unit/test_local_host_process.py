"""`python -m local_host` as a process: start, what it prints, answers, and a clean stop."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests" / "e2e" / "sample_app_for_host"

pytestmark = pytest.mark.timeout(60)


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "VIRTUAL_ENV", "CI"}}
    return kept | {"PYTHONPATH": str(ROOT), "TICK_SCHEDULE": "* * * * * *"} | more


def run_to_end(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local_host", *arguments],
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@contextmanager
def started(tmp_path: Path, *arguments: str, app_root: Path = SAMPLE, **more: str) -> Iterator[tuple[Any, str]]:
    """A running host and its URL."""
    ready = tmp_path / "ready.json"
    line = [sys.executable, "-m", "local_host", "--app-root", str(app_root), "--port", "0", "--ready-file", str(ready)]
    line += ["--data-dir", str(tmp_path / "data"), *arguments]
    output = (tmp_path / "output").open("w+")
    process = subprocess.Popen(line, env=environment(**more), stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 15
        while not ready.exists():
            assert process.poll() is None, (tmp_path / "output").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield process, json.loads(ready.read_text())["url"]
    finally:
        process.kill()
        process.wait()
        output.close()


def get(url: str, data: bytes | None = None) -> str:
    with urlopen(Request(url, data=data), timeout=5) as answer:
        return answer.read().decode()


def stop(process: Any, number: signal.Signals = signal.SIGINT) -> tuple[int, float]:
    began = time.monotonic()
    process.send_signal(number)
    return process.wait(10), time.monotonic() - began


def test_starts_answers_and_stops(tmp_path: Path) -> None:
    """Prints every function, serves all four triggers, and ends with 0 shortly after Ctrl-C."""
    with started(tmp_path) as (process, url):
        assert json.loads(get(f"{url}/hello/bob"))["name"] == "bob"
        assert get(f"{url}/environment/WEBSITE_HOSTNAME") == url.removeprefix("http://")
        assert get(f"{url}/environment/OPERATIONS_STORE") == "sqlite"
        assert get(f"{url}/environment/DATA_DIR") == str(tmp_path / "data")
        assert get(f"{url}/environment/HOUSEKEEPING_SCHEDULE") == "*/5 * * * * *"
        assert int(get(f"{url}/ticks")) >= 1  # run_on_startup
        instance = get(f"{url}/start/greet", b"bob")
        status: dict[str, Any] = {}
        for _ in range(100):
            status = json.loads(get(f"{url}/runtime/webhooks/durabletask/instances/{instance}"))
            if status["runtimeStatus"] == "Completed":
                break
            time.sleep(0.02)
        assert status["output"] == "hello bob"
        code, seconds = stop(process)
        assert (code, seconds < 2) == (0, True)
    said = (tmp_path / "output").read_text()
    assert f"\thello: [GET,POST] {url}/hello/{{name}}\n" in said
    assert "\tgreet: orchestrationTrigger\n" in said
    assert f"Ready on {url} after" in said
    assert "Unclosed" not in said


def test_sigterm_stops_though_a_sync_function_runs(tmp_path: Path) -> None:
    """A thread that cannot be stopped does not hold the exit."""
    app = tmp_path / "app"
    app.mkdir()
    (app / "function_app.py").write_text(
        "import time, azure.functions as func\n"
        "app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)\n"
        "@app.timer_trigger(arg_name='timer', schedule='00:10:00', run_on_startup=True)\n"
        "def slow(timer: func.TimerRequest) -> None:\n    time.sleep(30)\n"
    )
    with started(tmp_path, app_root=app) as (process, _):
        time.sleep(0.1)
        code, seconds = stop(process, signal.SIGTERM)
    assert (code, seconds < 5) == (0, True)


BLOCKED = """
import time, azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
@app.timer_trigger(arg_name="timer", schedule="00:10:00", run_on_startup=True)
async def stuck(timer: func.TimerRequest) -> None:
    import asyncio
    while True:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            time.sleep(60)  # a bug of the app: it holds the event loop
"""


def test_a_blocked_event_loop_does_not_hold_the_exit(tmp_path: Path) -> None:
    """Whatever the app does, a stop takes less than five seconds."""
    app = tmp_path / "app"
    app.mkdir()
    (app / "function_app.py").write_text(BLOCKED)
    with started(tmp_path, app_root=app) as (process, _):
        time.sleep(0.1)
        code, seconds = stop(process)
    assert (code, seconds < 5) == (0, True)


def test_second_interrupt_stops_at_once(tmp_path: Path) -> None:
    """A second Ctrl-C does not wait for a request that is still running."""
    app = tmp_path / "app"
    app.mkdir()
    (app / "function_app.py").write_text(
        "import asyncio, azure.functions as func\n"
        "app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)\n"
        "@app.route(route='slow')\n"
        "async def slow(req: func.HttpRequest) -> str:\n    await asyncio.sleep(30)\n    return ''\n"
    )
    with started(tmp_path, app_root=app) as (process, url):
        address = url.removeprefix("http://").partition(":")
        with socket.create_connection((address[0], int(address[2]))) as client:
            client.sendall(b"GET /api/slow HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
            assert process.poll() is None  # the request gets its time
            _, seconds = stop(process)
    assert seconds < 1


def test_environment_is_not_overridden(tmp_path: Path) -> None:
    """A variable that is set stays as it is."""
    with started(tmp_path, WEBSITE_HOSTNAME="public.example", HOUSEKEEPING_SCHEDULE="0 0 * * * *") as (_, url):
        assert get(f"{url}/environment/WEBSITE_HOSTNAME") == "public.example"
        assert get(f"{url}/environment/HOUSEKEEPING_SCHEDULE") == "0 0 * * * *"


def test_local_settings_and_environment(tmp_path: Path) -> None:
    """local.settings.json sets what the environment does not."""
    app = tmp_path / "app"
    app.mkdir()
    (app / "function_app.py").write_text((SAMPLE / "function_app.py").read_text())
    (app / "local.settings.json").write_text(json.dumps({"Values": {"MINE": "file", "TICK_SCHEDULE": "00:00:05"}}))
    with started(tmp_path, app_root=app, OTHER="environment") as (_, url):
        assert get(f"{url}/api/environment/MINE") == "file"
        assert get(f"{url}/api/environment/OTHER") == "environment"
        assert get(f"{url}/api/environment/TICK_SCHEDULE") == "* * * * * *"


def test_port_in_use() -> None:
    """One line that says what to do, exit code 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = run_to_end("--app-root", str(SAMPLE), "--port", port)
    assert ended.returncode == 1
    assert ended.stderr == (
        f"local_host: port {port} is in use: stop the other process, or choose another (--port or PORT; 0: any)\n"
    )


def test_broken_function_app(tmp_path: Path) -> None:
    """Code that fails on import: its traceback, exit code 1. What is refused: one line."""
    (tmp_path / "function_app.py").write_text("import nowhere_to_be_found\n")
    ended = run_to_end("--app-root", str(tmp_path), "--port", "0")
    assert ended.returncode == 1
    assert "No module named 'nowhere_to_be_found'" in ended.stderr
    (tmp_path / "function_app.py").write_text("x = 1\n")
    ended = run_to_end("--app-root", str(tmp_path), "--port", "0")
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1)


def test_help_is_quick_and_complete() -> None:
    """--help names every option."""
    ended = run_to_end("--help")
    assert ended.returncode == 0
    for option in ("--port", "--store", "--data-dir", "--app-root", "--ready-file", "--no-local-settings"):
        assert option in ended.stdout


def test_a_setting_that_cannot_be_read(tmp_path: Path) -> None:
    """The host needs some of the app's settings itself: it says which one is wrong, in one line."""
    done = run_to_end("--app-root", str(ROOT), "--port", "0", "--data-dir", str(tmp_path), MAX_UPLOAD_BYTES="x")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert "local_host: settings that cannot be read: MAX_UPLOAD_BYTES: " in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stops_though_nobody_reads_what_it_prints(tmp_path: Path, number: signal.Signals) -> None:
    """As behind `| head`: what cannot be printed is left out, and a signal still stops the host."""
    ready = tmp_path / "ready.json"
    line = [sys.executable, "-m", "local_host", "--app-root", str(SAMPLE), "--port", "0", "--ready-file", str(ready)]
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen(
        [*line, "--data-dir", str(tmp_path / "data")], env=environment(), stdout=writing, stderr=subprocess.DEVNULL
    )
    os.close(writing)
    try:
        deadline = time.monotonic() + 15
        while not ready.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        process.wait(8)
    finally:
        process.kill()
        process.wait()
