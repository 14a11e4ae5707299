"""Waits for an operation as a person would: shows it, can be interrupted, and says how to go on."""

import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any

from lro_client.cancellation import CancellationToken
from lro_client.command.interrupts import Interrupts
from lro_client.command.output import described, print_json, print_result, progress, say
from lro_client.errors import (
    LroError,
    MonitorGone,
    OperationCanceled,
    ServiceUnreachable,
    StoppedWaiting,
    TokenError,
    WaitCanceled,
)
from lro_client.model import Profile, Status
from lro_client.operation import Operation

GRACE_SECONDS = 2.0
"""How long the first Ctrl-C waits for a second one before the command ends."""


class Exit(IntEnum):
    """Exit codes of the command; what is documented stays."""

    SUCCEEDED = 0
    FAILED = 1
    USAGE = 2
    CANCELED = 3
    TIMED_OUT = 4
    UNREACHABLE = 5


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Manner:
    """How to wait and what to print."""

    output: Output = Output.TEXT
    timeout: float | None = None
    interval: float | None = None
    save_token: Path | None = None
    cancel_on_interrupt: bool = False


def exit_code(error: LroError) -> Exit:
    """What an error means to a script."""
    if isinstance(error, OperationCanceled):
        return Exit.CANCELED
    if isinstance(error, StoppedWaiting | WaitCanceled):
        return Exit.TIMED_OUT
    return Exit.UNREACHABLE if isinstance(error, ServiceUnreachable) else Exit.FAILED


def save(operation: Operation[Any], path: Path) -> None:
    """Write the resume token, for its owner's eyes only."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(operation.token() + "\n")


def how_to_resume(operation: Operation[Any], manner: Manner) -> str:
    """The line that goes on where this stops."""
    if manner.save_token is not None:
        return f"lro resume {shlex.quote(str(manner.save_token))}"
    profile = " --profile odata" if operation.profile is Profile.ODATA else ""
    return f"lro wait {shlex.quote(operation.monitor_url or '')}{profile}"


def follow(operation: Operation[Any], manner: Manner, finish: Callable[[Any], Any] | None = None) -> Exit:
    """Wait for the end, show it, and return the exit code. `finish` makes of the value what is shown."""
    token = CancellationToken()
    with Interrupts(token) as interrupts:
        try:
            with progress() as shown:
                value = operation.wait(
                    timeout=manner.timeout,
                    interval=manner.interval,
                    on_progress=shown,
                    cancellation=token,
                    cancel_operation=manner.cancel_on_interrupt,
                )
                value = value if finish is None else finish(value)
        except WaitCanceled as error:
            return _interrupted(operation, manner, interrupts, error)
        except LroError as error:
            return ended(operation, manner, error)
    show(operation, manner, operation.status.value, value)
    return Exit.SUCCEEDED


def ended(operation: Operation[Any] | None, manner: Manner, error: LroError) -> Exit:
    """Show an error and return the exit code it stands for."""
    code = exit_code(error)
    status = _status(operation, error)
    if manner.output is Output.JSON:
        print_json(described(operation, status, error=error))
    say(f"lro: {error}")
    for note in getattr(error, "__notes__", ()):
        say(f"lro: {note}")
    is_there = operation is not None and not operation.has_completed and not isinstance(error, MonitorGone)
    if operation is not None and operation.monitor_url and is_there:
        say(f"To go on: {how_to_resume(operation, manner)}")
    return code


def show(operation: Operation[Any], manner: Manner, status: str, value: Any = None) -> None:
    """The last word on stdout."""
    if manner.output is Output.JSON:
        print_json(described(operation, status, value))
    else:
        print_result(value)


def guarded(work: Callable[[], Exit], manner: Manner) -> Exit:
    """Do the work; what the service or the token file is to blame for is told and has its exit code."""
    try:
        return work()
    except TokenError as error:
        say(f"lro: {error}")
        return Exit.USAGE
    except LroError as error:
        return ended(None, manner, error)
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python must not complain about it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED


def _interrupted(operation: Operation[Any], manner: Manner, interrupts: Interrupts, error: WaitCanceled) -> Exit:
    if manner.cancel_on_interrupt:
        return _after_cancel(operation, manner, error)
    say(f"Stopped waiting; the operation goes on. To go on: {how_to_resume(operation, manner)}")
    say("Ctrl-C once more cancels the operation.")
    if interrupts.another_comes_within(GRACE_SECONDS):
        say("Canceling the operation ...")
        try:
            operation.cancel(timeout=10.0)
        except LroError as refused:
            error = WaitCanceled(f"The operation could not be canceled: {refused}", monitor_url=operation.monitor_url)
        return _after_cancel(operation, manner, error)
    if manner.output is Output.JSON:
        print_json(described(operation, operation.status.value, error=error))
    return Exit.TIMED_OUT


def _after_cancel(operation: Operation[Any], manner: Manner, error: WaitCanceled) -> Exit:
    """The service was asked to end it, or could not be."""
    notes = getattr(error, "__notes__", ())
    asked = operation.status in (Status.CANCELING, Status.CANCELED)
    say("The operation was asked to stop." if asked else f"lro: {error}")
    for note in notes:
        say(f"lro: {note}")
    if operation.has_completed and operation.status is not Status.CANCELED:
        failure = operation.failure()
        if failure is None:
            show(operation, manner, operation.status.value, operation.value)
            return Exit.SUCCEEDED
        return ended(operation, manner, failure)
    if manner.output is Output.JSON:
        print_json(described(operation, operation.status.value, error=None if asked else error))
    return Exit.CANCELED if asked else Exit.TIMED_OUT


def _status(operation: Operation[Any] | None, error: LroError) -> str:
    if operation is not None:
        return operation.status.value
    return Status.NOT_STARTED.value if isinstance(error, ServiceUnreachable) else Status.FAILED.value
