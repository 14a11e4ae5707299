"""The command `lro` as a process: to its end, with pipes, or on a terminal of its own."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from tests.client.lro_command import Done, environment

LINE = [sys.executable, "-m", "lro_client.command.main"]


def lro_process(
    *arguments: str | bytes | Path, env: Mapping[str, str] | None = None, stdout: IO[str] | int = subprocess.PIPE
) -> Done:
    """Run it to its end as a process of its own."""
    done = subprocess.run(
        [*LINE, *arguments],
        env=environment(env),
        stdout=stdout,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    return Done(done.returncode, done.stdout or "", done.stderr)


class Running:
    """The command while it runs, with pipes."""

    def __init__(self, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [*LINE, *arguments],
            env=environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.err = ""

    def until(self, text: str, within: float = 30) -> None:
        """Read what it says until it has said this."""
        assert self.process.stderr is not None
        deadline = time.monotonic() + within
        while text not in self.err:
            left = deadline - time.monotonic()
            assert left > 0, f"{text!r} did not come: {self.err}"
            if select.select([self.process.stderr], [], [], left)[0]:
                part = os.read(self.process.stderr.fileno(), 65536).decode()
                assert part, f"it ended without {text!r}: {self.err}"
                self.err += part

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def done(self, within: float = 30) -> Done:
        try:
            out, err = self.process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        return Done(self.process.returncode, out, self.err + err)


class Terminal:
    """The command on a pseudo-terminal of its own: what it shows is read, and keys are pressed."""

    def __init__(self, *arguments: str | Path, env: Mapping[str, str] | None = None) -> None:
        self.shown = ""
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.execve(sys.executable, [*LINE, *(str(argument) for argument in arguments)], environment(env))

    def until(self, text: str, within: float = 30) -> None:
        """Read what it shows until it has shown this."""
        deadline = time.monotonic() + within
        while text not in self.shown:
            assert time.monotonic() < deadline, f"{text!r} did not come: {self.shown}"
            assert self._read(), f"it ended without {text!r}: {self.shown}"

    def press_ctrl_c(self) -> None:
        os.write(self._terminal, b"\x03")

    def done(self, within: float = 30) -> int:
        """Its exit code, once it has ended."""
        deadline = time.monotonic() + within
        while self._read():
            assert time.monotonic() < deadline, self.shown
        _, status = os.waitpid(self._pid, 0)
        os.close(self._terminal)
        return os.waitstatus_to_exitcode(status)

    def _read(self) -> bool:
        """Whether it still runs, as far as the terminal tells."""
        if not select.select([self._terminal], [], [], 0.2)[0]:
            return True
        try:
            part = os.read(self._terminal, 65536)
        except OSError:
            return False
        self.shown += part.decode(errors="replace")
        return bool(part)
