"""`python -m local_host` as a process of its own, for tests: started, stopped, killed, started again.

    with LocalHost(tmp_path) as host:
        httpx.get(f"{host.url}/health")

The port is the system's choice and the data lies under the given folder, so a host that is started again on the same
folder finds what it left. What it printed is shown when a test fails: see `pytest_runtest_makereport`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from local_host.azurite import Azurite
from local_host.errors import AzuriteError

ROOT = Path(__file__).parent.parent
TEST_APP = ROOT / "tests" / "e2e" / "test_app"
STORES = ("sqlite", "azurite")

_KEPT = ("PATH", "HOME", "VIRTUAL_ENV", "CI", "LANG", "COVERAGE_PROCESS_START")
_START_SECONDS = 40
_STOP_SECONDS = 10
_SHOWN_LINES = 60
_hosts: list["LocalHost"] = []


class LocalHost:
    """A host over `folder`. `environment` adds to a clean environment; `app_root` is the repository by default.

    With the store `azurite` it starts an emulator of its own, unless `AzureWebJobsStorage` names one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        store: str = "sqlite",
        app_root: Path = ROOT,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.store = store
        self.url = ""
        self._app_root = app_root
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "host.log"

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything it has printed, over all its starts."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def children(self) -> list[int]:
        """The processes it has started (Azurite); Linux only."""
        found = Path(f"/proc/{self.pid}/task").glob("*/children")
        return [int(pid) for path in found for pid in path.read_text().split()]

    def start(self) -> "LocalHost":
        assert not self.is_running
        if self.store == "azurite" and "AzureWebJobsStorage" not in self._environment:
            require_azurite()
        self.folder.mkdir(parents=True, exist_ok=True)
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        line = [sys.executable, "-m", "local_host", "--app-root", str(self._app_root), "--port", "0"]
        line += ["--no-local-settings", "--ready-file", str(ready), "--data-dir", str(self.folder / "data")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*line, "--store", self.store], env=self._variables(), cwd=ROOT, stdout=log, stderr=log
            )
        _hosts.append(self)
        deadline = time.monotonic() + _START_SECONDS
        while not ready.exists():
            assert self.is_running, f"the host ended with {self._process.returncode}:\n{self.log}"
            assert time.monotonic() < deadline, f"the host was not ready in time:\n{self.log}"
            time.sleep(0.02)
        self.url = json.loads(ready.read_text())["url"]
        return self

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(_STOP_SECONDS)

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone: nothing of its own gets to run.

        Its Azurite ends by itself, a little later, and has its data on disk by then.
        """
        assert self._process is not None
        children = self.children()
        self._process.kill()
        self._process.wait()
        deadline = time.monotonic() + _STOP_SECONDS
        while any(Path(f"/proc/{pid}").exists() for pid in children):
            assert time.monotonic() < deadline, "the killed host's Azurite is still there"
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it if it runs. A host that does not stop is killed and fails the test."""
        if not self.is_running:
            return
        try:
            code = self.interrupt()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the host did not stop within {_STOP_SECONDS} s:\n{self.log}") from None
        assert code == 0, f"the host ended with {code}:\n{self.log}"

    def __enter__(self) -> "LocalHost":
        try:
            return self.start()
        except BaseException:
            if self.is_running:
                self.kill()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(self.tail())
        self.stop()

    def tail(self) -> str:
        lines = self.log.splitlines()[-_SHOWN_LINES:]
        return "\n".join([f"--- what the host in {self.folder} printed last ---", *lines])

    def _variables(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        defaults = {
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "HOUSEKEEPING_SCHEDULE": "*/2 * * * * *",
            # The test app has no .build folder of its own.
            "AZURITE_JS": os.environ.get("AZURITE_JS", str(_azurite_script())),
        }
        return kept | defaults | self._environment


def _azurite_script() -> Path:
    return ROOT / ".build" / "azurite" / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"


def require_azurite() -> None:
    """Skip the test where Azurite is missing; fail it on CI."""
    try:
        Azurite(ROOT, in_memory=True).stop()
    except AzuriteError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@contextmanager
def emulator(location: Path | None = None) -> Generator[tuple[Azurite, str]]:
    """An Azurite of the test's own, and its connection string."""
    require_azurite()
    azurite = Azurite(ROOT, location=location, in_memory=location is None)
    try:
        yield azurite, azurite.start()
    finally:
        azurite.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the hosts printed when a test fails. A conftest takes part by importing this name."""
    report = yield
    if report.failed:
        for host in _hosts:
            report.sections.append((f"host in {host.folder.name} ({host.store})", host.tail()))
    elif report.when == "teardown":
        _hosts[:] = [host for host in _hosts if host.is_running]
    return report
