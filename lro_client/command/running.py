"""One run of the command: what interrupts it, how its errors are told, and what its exit code is."""

import os
import shlex
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any

import typer

from lro_client.cancellation import CancellationToken
from lro_client.clock import Clock
from lro_client.command.interrupts import Interrupts
from lro_client.command.options import Manner, Output
from lro_client.command.output import described, known, print_json, print_result, reasons, say, silence
from lro_client.errors import (
    InvalidRequest,
    LroError,
    MonitorGone,
    NotFinished,
    OperationCanceled,
    ServiceUnreachable,
    StoppedWaiting,
    TokenError,
    WaitCanceled,
)
from lro_client.model import Profile, Status
from lro_client.operation import Operation


class Exit(IntEnum):
    """Exit codes of the command; what is documented stays."""

    SUCCEEDED = 0
    FAILED = 1
    USAGE = 2
    CANCELED = 3
    TIMED_OUT = 4
    UNREACHABLE = 5
    UNWRITTEN = 6


class Run:
    """How it is done, what interrupts it, its operation as soon as there is one, and the file that has its token."""

    def __init__(self, command: str, manner: Manner, clock: Clock) -> None:
        self.command = command
        self.manner = manner
        self.clock = clock
        self.token = CancellationToken()
        self.interrupts = Interrupts(self.token, clock)
        self.operation: Operation[Any] | None = None
        self.token_file: Path | None = None
        self._began = self.clock.monotonic()

    @property
    def left(self) -> float | None:
        """Seconds until `--timeout`; None where there is none."""
        timeout = self.manner.timeout
        return None if timeout is None else max(0.0, self._began + timeout - self.clock.monotonic())


def begun(context: typer.Context, manner: Manner) -> Run:
    """A run of this command by the clock that the entry point has given."""
    return Run(context.info_name or "", manner, context.ensure_object(Clock))


def guarded(run: Run, work: Callable[[], Exit]) -> int:
    """Do the work. Ctrl-C uses the run's token; what the service is to blame for is told and has its exit code.

    Raises:
        typer.BadParameter: the token's file cannot be written; nothing is done then.
    """
    if run.manner.save_token is not None:
        _check_writable(run.manner.save_token)
    try:
        with run.interrupts:
            try:
                return work()
            except LroError as error:
                return ended(run, error)
    except OSError as error:
        if error.filename is None:
            silence("stdout")
        # Whoever closed the pipe has seen enough.
        if not isinstance(error, BrokenPipeError):
            url = run.operation.monitor_url if run.operation else None
            what = "the output" if error.filename is None else os.fsdecode(error.filename)
            say(f"lro: {what} could not be written: {error.strerror}{f'; the monitor is {url}' if url else ''}")
        return Exit.UNWRITTEN


def exit_code(error: LroError) -> Exit:
    """What an error means to a script."""
    if isinstance(error, OperationCanceled):
        return Exit.CANCELED
    if isinstance(error, StoppedWaiting | WaitCanceled | NotFinished):
        return Exit.TIMED_OUT
    if isinstance(error, TokenError | InvalidRequest):
        return Exit.USAGE
    return Exit.UNREACHABLE if isinstance(error, ServiceUnreachable) else Exit.FAILED


def ended(run: Run, error: LroError, status: Status | None = None) -> Exit:
    """Show an error and return the exit code it stands for. `status` is that of the operation unless it is given."""
    operation = run.operation
    say(f"lro: {error}")
    for line in reasons(error.details):
        say(f"lro: {line}")
    for note in getattr(error, "__notes__", ()):
        say(f"lro: {note}")
    may_run = not isinstance(error, MonitorGone) and not (operation is not None and operation.has_completed)
    if may_run and (url := operation.monitor_url if operation else error.monitor_url):
        say(f"To go on: {how_to_resume(run, url)}")
    if run.manner.output is Output.JSON:
        print_json(described(operation, status or known(operation), error=error))
    return exit_code(error)


def show(run: Run, value: Any = None) -> None:
    """The last word on stdout."""
    if run.manner.output is Output.JSON:
        print_json(described(run.operation, known(run.operation), value))
    else:
        print_result(value)


def how_to_resume(run: Run, url: str) -> str:
    """The line that goes on where this stops."""
    if run.token_file is not None and run.token_file.is_file():
        return f"lro resume {shlex.quote(str(run.token_file))}"
    is_odata = run.operation is not None and run.operation.profile is Profile.ODATA
    return f"lro wait {shlex.quote(url)}{' --profile odata' if is_odata else ''}"


def save(run: Run) -> None:
    """Write the resume token where `--save-token` says, for its owner's eyes only. What runs goes on without it."""
    path, operation = run.manner.save_token, run.operation
    if path is None or operation is None or operation.has_completed:
        return
    try:
        token = operation.token()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(token + "\n")
        run.token_file = path
    except (OSError, TokenError) as error:
        say(f"lro: no token was saved: {error}")
        say(f"The operation goes on; its monitor is {operation.monitor_url}")


def _check_writable(path: Path) -> None:
    """Open it as `save` will, and leave it as it was. Pipes and devices are not opened: that alone may do something."""
    try:
        was_there = os.path.lexists(path)
        if was_there and path.exists() and not path.is_file() and not path.is_dir():
            return
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        if not was_there:
            path.unlink()
    except OSError as error:
        raise typer.BadParameter(f"--save-token {path}: {error.strerror}") from None
