"""The engine's program as a child process: found, started, waited for, stopped with its host.

It prints `{"rpc": URL}` once it takes calls, then log lines. Source: `tests/engine/durable_host` of this repository.
"""

import json
import logging
import os
import re
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_host.child import dies_with_parent
from local_host.errors import EngineError

NAME = "durable-host"
"""Of the program; as the value of --engine: the one that DURABLE_HOST names, or `make durable-host` has unpacked."""

_READY_WITHIN = 60.0  # seconds
_STOP_WITHIN = 2.5  # seconds
_KEPT_LINES = 200

_log = logging.getLogger(__name__)
_output = logging.getLogger(NAME)


def find_program(engine: str, app_root: Path, environment: Mapping[str, str], *, said: str) -> Path:
    """The executable file that `engine` means: a path of the program or of its folder, or NAME.

    EngineError begins with what was `said`: the option or the variable with its value.
    """
    named = environment.get("DURABLE_HOST")
    if engine != NAME:
        path, hint = Path(engine), f"write the path of {NAME}, or the URL that it printed"
    elif named:
        path, hint = Path(named), "DURABLE_HOST names it"
    else:
        path, hint = app_root / ".build" / NAME, f"run `make {NAME}`, or set DURABLE_HOST to where it is"
    if path.is_dir():
        path /= NAME
    if not path.is_file() or not os.access(path, os.X_OK):
        raise EngineError(f"{said}: {path} is not a program: {hint}")
    return path.resolve()


class EngineProgram:
    """One run of the program. A host that is killed takes it along at once, as a lost instance is lost whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process: subprocess.Popen[str] | None = None
        self._rpc: str | None = None
        self._reader: threading.Thread | None = None
        self._is_settled = threading.Event()  # it is ready, or it has ended
        self._is_stopping = False
        self._before: list[str] = []
        """What it printed before it was ready, as far as it is kept."""

    def start(self, environment: Mapping[str, str]) -> None:
        """Start it; `rpc_base_url` waits for it."""
        try:
            self._process = subprocess.Popen(  # noqa: S603 (the program that the user named, no shell)
                [str(self._path)],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                preexec_fn=dies_with_parent(signal.SIGKILL),  # noqa: PLW1509 (one prepared system call)
                # Ctrl-C reaches the whole group of the terminal; this one is stopped by its host.
                start_new_session=True,
            )
        except OSError as error:
            raise EngineError(f"the engine {self._path} cannot be started: {error.strerror}") from None
        self._reader = threading.Thread(target=self._read, args=[self._process], name=NAME, daemon=True)
        self._reader.start()

    def rpc_base_url(self) -> str:
        """Wait until it takes calls, and return the URL for them. Holds its thread. EngineError where it ended."""
        self._is_settled.wait(_READY_WITHIN)
        if self._rpc is None:
            self._is_stopping = True
            self.kill()
            raise EngineError(f"the engine {self._path} did not get ready: {self._reason()}")
        return self._rpc

    def join(self, within: float) -> None:
        """Wait at most that many seconds until all that it printed has been read, its end included."""
        if self._reader is not None:
            self._reader.join(within)

    def begin_stop(self) -> None:
        """Let it take no more work; it ends once what it has begun is over."""
        self._is_stopping = True
        if self._process is not None:
            self._process.terminate()

    def stop(self) -> None:
        """Stop it and wait until it is gone; killed where it takes too long."""
        self.begin_stop()
        if self._process is None:
            return
        try:
            self._process.wait(_STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once, and wait until it is gone."""
        self._is_stopping = True
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _reason(self) -> str:
        """The line of its output that says most: the first that names an exception, else the last."""
        for line in self._before:
            if re.match(r"[\w.]+(Exception|Error)\b", line):
                return line
        return self._before[-1].strip() if self._before else "it printed nothing"

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                text = line.rstrip()
                if (rpc := _rpc_of(text)) is not None:
                    self._rpc = rpc
                    self._is_settled.set()
                elif self._rpc is not None:
                    _output.warning("%s", text)
                elif len(self._before) < _KEPT_LINES:
                    self._before.append(text)
        code = process.wait()
        was_ready = self._rpc is not None
        self._is_settled.set()
        if was_ready and not self._is_stopping:
            _log.error(
                "The engine (%s, process %d) has ended with %d: nothing is run here until this host is started again",
                NAME,
                process.pid,
                code,
            )


def _rpc_of(line: str) -> str | None:
    if not line.startswith('{"rpc"'):
        return None
    try:
        document: Any = json.loads(line)
        return str(document["rpc"])
    except (ValueError, KeyError):
        return None
