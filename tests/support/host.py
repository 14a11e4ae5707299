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
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pytest

from local_host.azurite import Azurite, Ports
from local_host.errors import AzuriteError

if TYPE_CHECKING:
    from tests.support.azurite import Accounts

ROOT = Path(__file__).parents[2]
TEST_APP = ROOT / "tests" / "e2e" / "test_app"
"""The tests' own app: nothing in it is of the sample."""

STORES = ("sqlite", "azurite")

ENGINE = os.environ.get("TESTS_ENGINE", "")
"""The engine of hosts over Azurite, as `--engine` takes it; empty for the one in memory."""

DEFAULT_STORE = "azurite" if ENGINE else "sqlite"

_STORAGE_PROVIDER = "AzureFunctionsJobHost__extensions__durableTask__storageProvider__"
ENGINE_SETTINGS = {
    # A message that a lost instance had fetched comes back after a minute, not after five.
    f"{_STORAGE_PROVIDER}controlQueueVisibilityTimeout": "00:01:00",
    f"{_STORAGE_PROVIDER}workItemQueueVisibilityTimeout": "00:01:00",
    f"{_STORAGE_PROVIDER}maxQueuePollingInterval": "00:00:01",
}
"""Settings of hosts on the Durable extension."""

_KEPT = ("PATH", "HOME", "VIRTUAL_ENV", "CI", "LANG", "COVERAGE_PROCESS_CONFIG")
_SERVICES = ("Blob", "Queue", "Table")
_START_SECONDS = 90
_STOP_SECONDS = 60
_SHOWN_LINES = 60
_SHARED_AT_A_TIME = 7
"""More than the tests of one file use."""
_hosts: list["LocalHost"] = []


class LocalHost:
    """A host over `folder`. `environment` adds to a clean environment; `app_root` is the repository by default.

    With the store `azurite` it starts an emulator of its own, unless `AzureWebJobsStorage` names one. It stops as an
    instance is lost: nobody is told; `stop="drain"` gives back what is under way.
    """

    def __init__(
        self,
        folder: Path,
        *,
        store: str = DEFAULT_STORE,
        app_root: Path = ROOT,
        environment: Mapping[str, str] | None = None,
        engine: str | None = None,
        stop: str = "kill",
        loop: str = "asyncio",
        processes: int = 1,
        port: int = 0,
    ) -> None:
        self.folder = folder
        self.store = store
        self.url = ""
        self.base = ""
        """Where the app's routes begin: `url` and the route prefix."""
        self._app_root = app_root
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "host.log"
        self._engine = engine if engine is not None else ENGINE if store == "azurite" else ""
        self._line = ["--stop", stop, "--loop", loop, "--port", str(port), "--processes", str(processes)]

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
        """The processes it has started (Azurite, the engine); Linux only."""
        found = Path(f"/proc/{self.pid}/task").glob("*/children")
        return [int(pid) for path in found for pid in path.read_text().split()]

    def start(self) -> "LocalHost":
        assert not self.is_running
        if self.store == "azurite" and "AzureWebJobsStorage" not in self._environment:
            require_azurite()
        self.folder.mkdir(parents=True, exist_ok=True)
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        line = [sys.executable, "-m", "local_host", "--app-root", str(self._app_root), *self._line]
        line += ["--engine", self._engine] if self._engine else []
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
        urls = json.loads(ready.read_text())
        self.url, self.base = urls["url"], urls["base"]
        return self

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(_STOP_SECONDS)

    def wait(self) -> int:
        """Wait until it has ended by itself; returns the exit code."""
        assert self._process is not None
        return self._process.wait(_STOP_SECONDS)

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone: nothing of its own gets to run.

        Its engine ends with it. Its Azurite ends by itself, a little later, and has its data on disk by then.
        """
        assert self._process is not None
        children = self.children()
        self._process.kill()
        self._process.wait()
        deadline = time.monotonic() + _STOP_SECONDS
        while any(Path(f"/proc/{pid}").exists() for pid in children):
            assert time.monotonic() < deadline, "what the killed host had started is still there"
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
            "DURABLE_HOST": os.environ.get("DURABLE_HOST", str(ROOT / ".build" / "durable-host")),
        }
        return kept | defaults | (ENGINE_SETTINGS if self._engine else {}) | self._environment


class Hosts:
    """Hosts that many tests share: each is started when it is first needed, and the latest ones go on.

    Every one that runs costs the others: its housekeeping never rests.
    """

    def __init__(self, request: pytest.FixtureRequest, factory: pytest.TempPathFactory) -> None:
        self._request = request
        self._factory = factory
        self._running: dict[tuple[Path, str, str], tuple[LocalHost, ExitStack]] = {}
        """The one that was asked for last at the end, each with its own end."""

    def shared(
        self,
        name: str,
        *,
        store: str = DEFAULT_STORE,
        app_root: Path = ROOT,
        environment: Mapping[str, str] | None = None,
        own_emulator: bool = False,
    ) -> LocalHost:
        """The host of this app, name and store; the other arguments are those of its first start.

        On Azurite it has a storage account of its own, or, as for a user, an emulator of its own.
        """
        key = (app_root, name, store)
        if key in self._running:
            self._running[key] = self._running.pop(key)
        else:
            # As on a user's machine; but a pass over Azurite is dear, and many hosts are there at once.
            every = 15 if store == "azurite" else 5
            variables = {"HOUSEKEEPING_SCHEDULE": f"*/{every} * * * * *", **(environment or {})}
            if store == "azurite" and not own_emulator:
                accounts: Accounts = self._request.getfixturevalue("accounts")
                variables["AzureWebJobsStorage"] = accounts.fresh()
            host = LocalHost(
                self._factory.mktemp(f"{name}-{store}"), store=store, app_root=app_root, environment=variables
            )
            stack = ExitStack()
            self._running[key] = (stack.enter_context(host), stack)
            while len(self._running) > _SHARED_AT_A_TIME:
                self._running.pop(next(iter(self._running)))[1].close()
        return self._running[key][0]

    def stop(self) -> None:
        """All of them."""
        with ExitStack() as whole:
            for _, stack in self._running.values():
                whole.callback(stack.close)


@pytest.fixture(scope="session")
def hosts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    shared = Hosts(request, tmp_path_factory)
    yield shared
    shared.stop()


@pytest.fixture(scope="session")
def app_root() -> Path:
    """The app that shared hosts serve: the tests' own. The tests of the sample have another."""
    return TEST_APP


def timed(**seconds: float | Sequence[float]) -> dict[str, str]:
    """The setting of the tests' own app for other lengths of time than users' apps have: fields of `Timing`."""
    return {"TRIAL_TIMING": json.dumps(seconds)}


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


def on_the_same_ports(location: Path, connection: str) -> Azurite:
    """An emulator over the data, and on the ports, of one that has ended."""
    ports = (
        int(connection.split(f"{each}Endpoint=http://127.0.0.1:")[1].split("/", maxsplit=1)[0]) for each in _SERVICES
    )
    return Azurite(ROOT, location=location, ports=Ports(*ports))


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
