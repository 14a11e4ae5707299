"""`--reload`: a change of the app is served without anybody starting the host again."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local_host.reload import is_source, source_folders
from tests.support.lro import PATIENCE

ROOT = Path(__file__).parents[2]
APP = """
import azure.functions as func
from words.word import WORD
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
@app.route(route="word")
def word(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(WORD)
"""


class Running:
    """A host over a small app, started with --reload."""

    def __init__(self, folder: Path) -> None:
        self.app = folder / "app"
        (self.app / "words").mkdir(parents=True)
        (self.app / "function_app.py").write_text(APP)
        (self.app / "host.json").write_text('{"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}')
        self.say("one")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        self._log = folder / "log"
        line = [sys.executable, "-m", "local_host", "--reload", "--app-root", str(self.app), "--no-local-settings"]
        line += ["--port", self.url.rpartition(":")[2], "--data-dir", str(folder / "data")]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(line, env=environment, stdout=log, stderr=log, cwd=ROOT)

    def say(self, word: str) -> None:
        (self.app / "words" / "word.py").write_text(f"WORD = {word!r}\n")

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def until_logged(self, text: str, times: int = 1) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.log.count(text) < times:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)

    def word(self) -> str:
        return httpx.get(f"{self.url}/word", timeout=30).text


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    made = Running(tmp_path)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()


def test_each_change_is_served(running: Running) -> None:
    """A changed module is served by a host of its own; one that cannot be imported waits for the next change; what is
    not of the app changes nothing. Ctrl-C ends all of it."""
    running.until_logged("Ready on")
    assert running.word() == "one"
    running.say("two")
    running.until_logged("Ready on", 2)
    assert running.word() == "two"
    (running.app / "words" / "word.py").write_text("WORD = (\n")
    running.until_logged("it is started by the next change")
    with pytest.raises(httpx.ConnectError):
        running.word()
    running.say("three")
    running.until_logged("Ready on", 3)
    assert running.word() == "three"
    assert running.log.count("Reload: words/word.py has changed") == 3
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(PATIENCE) == 0
    with pytest.raises(httpx.ConnectError):
        running.word()


def test_what_is_watched(tmp_path: Path) -> None:
    """Modules and settings are; data, environments, tests and documents are not."""
    for name in (".venv/lib", ".data", "actions/deep", "shared", "tests", "docs", "node_modules/x"):
        (tmp_path / name).mkdir(parents=True)
    assert [path.name for path in source_folders(tmp_path)] == ["actions", "shared"]
    watched = ("function_app.py", "host.json", "local.settings.json", "actions/a.py", "actions/deep/b.py")
    ignored = ("README.md", "openapi.json", "tests/test_a.py", ".data/a.py", "actions/a.csv", "actions/tests/a.py",
               "actions/__pycache__/a.py")  # fmt: skip
    assert all(is_source(tmp_path / name, tmp_path) for name in watched)
    assert not any(is_source(tmp_path / name, tmp_path) for name in ignored)


def test_the_package_is_missing(tmp_path: Path) -> None:
    """Without watchfiles one line says what to install."""
    code = "import sys; sys.modules['watchfiles'] = None\nfrom local_host.cli import main\nsys.exit(main(['--reload']))"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-c", code]
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "local_host: --reload needs the package watchfiles: pip install -r requirements-local.txt\n"
