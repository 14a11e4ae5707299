"""`python -m local_host` as a process: start, what it prints, answers, and a clean stop."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from shared.storage.factory import open_storage
from shared.storage.ports import Insert
from tests.support.azurite import Accounts
from tests.support.mounts import make_read_only, mounted
from tests.support.parts import settings

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests" / "e2e" / "sample_app_for_host"

PATIENCE = 30.0  # seconds, for a machine that is very busy

pytestmark = pytest.mark.timeout(90)


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "VIRTUAL_ENV", "CI"}}
    return kept | {"PYTHONPATH": str(ROOT), "TICK_SCHEDULE": "0 0 0 1 1 *"} | more


def run_to_end(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local_host", *arguments],
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
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
        wait_for(lambda: ready.exists() or process.poll() is not None)
        assert process.poll() is None, (tmp_path / "output").read_text()
        yield process, json.loads(ready.read_text())["url"]
    finally:
        process.kill()
        process.wait()
        output.close()


def get(url: str, data: bytes | None = None) -> str:
    with urlopen(Request(url, data=data), timeout=PATIENCE) as answer:
        return answer.read().decode()


def wait_for(condition: Callable[[], object]) -> None:
    """Look until it holds; the limit is for a machine that is very busy."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "never came true"
        time.sleep(0.02)


def stop(process: Any, number: signal.Signals = signal.SIGINT) -> int:
    process.send_signal(number)
    return process.wait(PATIENCE)


def app_of(folder: Path, text: str) -> Path:
    """A folder with this function_app.py."""
    folder.mkdir()
    (folder / "function_app.py").write_text(text)
    return folder


def test_starts_answers_and_stops(tmp_path: Path) -> None:
    """Prints every function, serves all four triggers, and ends with 0 shortly after Ctrl-C."""
    with started(tmp_path) as (process, url):
        assert json.loads(get(f"{url}/hello/bob"))["name"] == "bob"
        assert get(f"{url}/environment/WEBSITE_HOSTNAME") == url.removeprefix("http://")
        assert get(f"{url}/environment/OPERATIONS_STORE") == "sqlite"
        assert get(f"{url}/environment/DATA_DIR") == str(tmp_path / "data")
        assert get(f"{url}/environment/HOUSEKEEPING_SCHEDULE") == "*/5 * * * * *"
        wait_for(lambda: get(f"{url}/ticks") == "1")  # the first pass: its schedule is once a year
        instance = get(f"{url}/start/greet", b"bob")
        state = f"{url}/runtime/webhooks/durabletask/instances/{instance}"
        wait_for(lambda: json.loads(get(state))["runtimeStatus"] == "Completed")
        assert json.loads(get(state))["output"] == "hello bob"
        assert stop(process) == 0
    output = (tmp_path / "output").read_text()
    assert f"\thello: [GET,POST] {url}/hello/{{name}}\n" in output
    assert "\tgreet: orchestrationTrigger\n" in output
    assert f"Ready on {url} after" in output
    assert "Unclosed" not in output


SLOW_THREAD = """
import time, azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
@app.timer_trigger(arg_name="timer", schedule="00:10:00", run_on_startup=True)
def slow(timer: func.TimerRequest) -> None:
    print("it runs", flush=True)
    time.sleep(60)
"""


def test_sigterm_stops_though_a_sync_function_runs(tmp_path: Path) -> None:
    """A thread that cannot be stopped does not hold the exit."""
    with started(tmp_path, app_root=app_of(tmp_path / "app", SLOW_THREAD)) as (process, _):
        wait_for(lambda: "it runs" in (tmp_path / "output").read_text())
        assert stop(process, signal.SIGTERM) == 0


BLOCKED = """
import asyncio, time, azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
@app.timer_trigger(arg_name="timer", schedule="00:10:00", run_on_startup=True)
async def stuck(timer: func.TimerRequest) -> None:
    print("it runs", flush=True)
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            time.sleep(60)  # a bug of the app: it holds the event loop
"""
STOP_WITHIN_HALF_A_SECOND = """
import sys
from pathlib import Path
from local_host.clock import SYSTEM
from local_host.options import Options
from local_host.run import run
from local_host.settings_file import NO_CORS
app, data, ready = map(Path, sys.argv[1:])
sys.exit(run(Options(app, 0, "sqlite", data, NO_CORS, ready, SYSTEM.monotonic(), stop_within=0.5), SYSTEM))
"""


def test_a_blocked_event_loop_does_not_hold_the_exit(tmp_path: Path) -> None:
    """Whatever the app does, a stop ends at its limit."""
    app, log = app_of(tmp_path / "app", BLOCKED), tmp_path / "output"
    line = [sys.executable, "-c", STOP_WITHIN_HALF_A_SECOND, str(app), str(tmp_path / "data"), str(tmp_path / "ready")]
    with log.open("w") as out, subprocess.Popen(line, env=environment(), stdout=out, stderr=out) as process:
        try:
            wait_for(lambda: "it runs" in log.read_text())
            assert stop(process) == 0
        finally:
            process.kill()


TELLS = """
import asyncio, azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
@app.timer_trigger(arg_name="timer", schedule="00:10:00", run_on_startup=True)
async def tick(timer: func.TimerRequest) -> None:
    print("it runs", flush=True)
    try:
        await asyncio.sleep(60)
    finally:
        print("it was told", flush=True)
class application:
    @staticmethod
    async def aclose() -> None:
        print("it is closed", flush=True)
"""


@pytest.mark.parametrize(("word", "told"), [("kill", False), ("drain", True)])
def test_what_runs_is_told_of_a_stop_or_not(tmp_path: Path, word: str, told: bool) -> None:
    """`--stop kill`: nothing is canceled and nothing closed, as where an instance is lost; exit code 0 either way."""
    log = tmp_path / "output"
    with started(tmp_path, "--stop", word, app_root=app_of(tmp_path / "app", TELLS)) as (process, _):
        wait_for(lambda: "it runs" in log.read_text())
        assert stop(process) == 0
    assert ("it was told" in log.read_text(), "it is closed" in log.read_text()) == (told, told)


WHICH_LOOP = """
import asyncio, azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
@app.route(route="loop")
async def loop(req: func.HttpRequest) -> str:
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]
"""


@pytest.mark.parametrize("name", ["asyncio", "uvloop"])
def test_the_event_loop_can_be_chosen(tmp_path: Path, name: str) -> None:
    """Functions run on it, and a signal stops it."""
    with started(tmp_path, "--loop", name, app_root=app_of(tmp_path / "app", WHICH_LOOP)) as (process, url):
        assert get(f"{url}/api/loop") == name
        assert stop(process) == 0


SLOW_REQUEST = """
import asyncio, azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
@app.route(route="slow")
async def slow(req: func.HttpRequest) -> str:
    print("it runs", flush=True)
    await asyncio.sleep(60)
    return ""
"""


def test_second_interrupt_stops_at_once(tmp_path: Path) -> None:
    """A running request gets its time after Ctrl-C; a second Ctrl-C does not wait for it, and the exit code says so."""
    log = tmp_path / "output"
    with started(tmp_path, app_root=app_of(tmp_path / "app", SLOW_REQUEST)) as (process, url):
        address = url.removeprefix("http://").partition(":")
        with socket.create_connection((address[0], int(address[2]))) as client:
            client.sendall(b"GET /api/slow HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_for(lambda: "it runs" in log.read_text())
            process.send_signal(signal.SIGINT)
            wait_for(lambda: "Stopping" in log.read_text())
            assert process.poll() is None
            assert stop(process) == 1


def test_environment_is_not_overridden(tmp_path: Path) -> None:
    """A variable that is set stays as it is."""
    with started(tmp_path, WEBSITE_HOSTNAME="public.example", HOUSEKEEPING_SCHEDULE="0 0 * * * *") as (_, url):
        assert get(f"{url}/environment/WEBSITE_HOSTNAME") == "public.example"
        assert get(f"{url}/environment/HOUSEKEEPING_SCHEDULE") == "0 0 * * * *"


def test_local_settings_and_environment(tmp_path: Path) -> None:
    """local.settings.json sets what the environment does not."""
    app = app_of(tmp_path / "app", (SAMPLE / "function_app.py").read_text())
    (app / "local.settings.json").write_text(json.dumps({"Values": {"MINE": "file", "TICK_SCHEDULE": "00:00:05"}}))
    with started(tmp_path, app_root=app, OTHER="environment") as (_, url):
        assert get(f"{url}/api/environment/MINE") == "file"
        assert get(f"{url}/api/environment/OTHER") == "environment"
        assert get(f"{url}/api/environment/TICK_SCHEDULE") == "0 0 0 1 1 *"


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
    """Code that fails on import: its traceback, and a line that says where and why; exit code 1. What is refused: one
    line."""
    for text, why in (
        ("\nimport nowhere_to_be_found\n",
         "line 2: ModuleNotFoundError: No module named 'nowhere_to_be_found'; "
         "add the package that has it to requirements.txt"),
        ("def broken(:\n", "line 1: SyntaxError: invalid syntax"),
        ("import json\njson.loads('x')\n", "line 2: JSONDecodeError: Expecting value: line 1 column 1 (char 0)"),
    ):  # fmt: skip
        (tmp_path / "function_app.py").write_text("import mine\n")
        (tmp_path / "mine.py").write_text(text)
        ended = run_to_end("--app-root", str(tmp_path), "--port", "0")
        assert ended.returncode == 1
        assert "Traceback" in ended.stderr
        assert ended.stderr.splitlines()[-1] == f"local_host: function_app.py could not be imported: mine.py, {why}"
    (tmp_path / "function_app.py").write_text("x = 1\n")
    ended = run_to_end("--app-root", str(tmp_path), "--port", "0")
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1)


REFUSED_BY_A_DECLARATION = """
from shared.errors import DeclarationError
raise DeclarationError("actions/books.py: upload(retry='x'): write a number or Retry(...)")
"""
REFUSED_BY_THE_STORE = """
import azure.functions as func
from shared.errors import StorageError
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
@app.route(route="hello")
def hello(req: func.HttpRequest) -> str:
    return ""
class application:
    @staticmethod
    async def open() -> None:
        raise StorageError("DATA_DIR holds records of schema 1: this version reads schema 2")
"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (REFUSED_BY_A_DECLARATION, "actions/books.py: upload(retry='x'): write a number or Retry(...)"),
        (REFUSED_BY_THE_STORE, "DATA_DIR holds records of schema 1: this version reads schema 2"),
    ],
)
def test_what_the_app_refuses_is_one_line(tmp_path: Path, text: str, line: str) -> None:
    """A wrong declaration, and a store that does not open: its own sentence, no traceback, exit code 1, never Ready."""
    app = app_of(tmp_path / "app", text)
    ended = run_to_end("--app-root", str(app), "--port", "0", "--data-dir", str(tmp_path / "data"))
    assert (ended.returncode, ended.stderr) == (1, f"local_host: {line}\n")
    assert "Ready" not in ended.stdout


def test_a_data_folder_in_use(tmp_path: Path) -> None:
    """A second host over one folder names the process that has it, in one line."""
    with started(tmp_path, app_root=ROOT) as (process, _):
        ended = run_to_end("--app-root", str(ROOT), "--port", "0", "--data-dir", str(tmp_path / "data"))
        assert ended.returncode == 1
        assert "Ready" not in ended.stdout
        (line,) = ended.stderr.splitlines()
        assert f"is in use by process {process.pid}" in line


def refused_in_one_line(folder: Path, **more: str) -> str:
    """What a host over the repository's app ends with before it is Ready."""
    ended = run_to_end("--app-root", str(ROOT), "--port", "0", "--data-dir", str(folder), **more)
    assert (ended.returncode, "Ready" in ended.stdout) == (1, False)
    (line,) = ended.stderr.splitlines()
    return line


def test_a_data_folder_that_cannot_be_used(tmp_path: Path) -> None:
    """A file that was lost, and a disk that is read-only: what is wrong and what to do, and never Ready."""
    (tmp_path / "tables.db").touch()
    assert re.match(r"local_host: '.*tables.db' is empty: .*restore it from a copy", refused_in_one_line(tmp_path))
    with mounted(tmp_path / "disk"):
        make_read_only(tmp_path / "disk")
        line = refused_in_one_line(tmp_path / "disk")
        assert re.match(r"local_host: .*: Read-only file system; .*set DATA_DIR to another folder", line)


def test_an_account_with_another_key(accounts: Accounts) -> None:
    """A storage account that refuses the key refuses it at the start, with the code and the advice."""
    wrong = re.sub("AccountKey=[^;]*", f"AccountKey={b64encode(b'another').decode()}", accounts.fresh())
    line = refused_in_one_line(Path("unused"), STORE="azurite", AzureWebJobsStorage=wrong)
    assert re.match(r"local_host: table .*: 403 .*check the key in the connection string", line)


async def test_a_data_folder_of_an_older_schema(tmp_path: Path) -> None:
    """A store that another version wrote is refused in one sentence, and stays as it is."""
    storage = open_storage(settings(tmp_path / "data", OPERATIONS_NAMESPACE="LongRunningActions"))
    await storage.table("operations").write("a", [Insert("o!0123456789abcdef!id", {"v": 1})])
    await storage.aclose()
    line = refused_in_one_line(tmp_path / "data")
    assert line.startswith("local_host: the store was written in schema 1, and this version reads schema 3: ")


def test_help_is_quick_and_complete() -> None:
    """--help names every option."""
    ended = run_to_end("--help")
    assert ended.returncode == 0
    for option in (
        "--port",
        "--store",
        "--data-dir",
        "--app-root",
        "--ready-file",
        "--no-local-settings",
        "--engine",
        "--processes",
        "--stop",
    ):
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
        wait_for(ready.exists)
        stop(process, number)
    finally:
        process.kill()
        process.wait()
