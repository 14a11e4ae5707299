"""Starts an operation and waits for it as a person would: shows it, can be interrupted, and says how to go on; or looks
once."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import typer

from lro_client.command.options import Output
from lro_client.command.output import described, known, lines, one_line, print_json, printed, progress, say
from lro_client.command.running import Exit, Run, ended, how_to_resume, save, show
from lro_client.errors import LroError, StartRefused, WaitCanceled
from lro_client.model import Profile, Status
from lro_client.operation import Operation
from lro_client.saving import SavedFile

C = TypeVar("C")
GRACE_SECONDS = 2.0
"""How long the first Ctrl-C waits for a second one before the command ends."""


def started(
    run: Run,
    client: C,
    send: Callable[[C], Operation[Any]],
    *,
    wait: bool,
    finish: Callable[[Any], Any] | None = None,
) -> Exit:
    """Send a start, and go on with what it came to: the result, the wait, or where it can be watched.

    Raises:
        typer.BadParameter: there is nothing to save without a wait.
    """
    if run.manner.to is not None and not wait:
        raise typer.BadParameter("--to saves the result: add --wait")
    try:
        run.operation = operation = send(client)
    except StartRefused as error:
        return ended(run, error, Status.FAILED)
    except WaitCanceled as error:
        error.add_note("The service may have taken it all the same.")
        raise
    save(run)
    if wait and not operation.has_completed:
        say(f"Started: {operation.monitor_url}")
    if wait or operation.has_completed:
        return follow(run, operation, finish)
    show(run, None if run.manner.output is Output.JSON else operation.monitor_url)
    return Exit.SUCCEEDED


def follow(run: Run, operation: Operation[Any], finish: Callable[[Any], Any] | None = None) -> Exit:
    """Wait for the end, show it, and return the exit code. `finish` makes of the value what is shown."""
    run.operation = operation
    try:
        with lines(run.clock) if operation.has_completed else progress(run.clock) as shown:
            value = operation.wait(
                timeout=run.left,
                interval=run.manner.interval,
                on_progress=shown,
                cancellation=run.token,
                cancel_operation=run.manner.cancel_on_interrupt,
            )
            value = value if finish is None else finish(value)
            saved = None if run.manner.to is None else keep(run, operation, value, run.manner.to)
    except WaitCanceled as error:
        # What has ended can be neither waited for nor canceled: it was `finish` that was interrupted.
        return ended(run, error) if operation.has_completed else _interrupted(run, operation, error)
    return told(run, value, saved)


def keep(run: Run, operation: Operation[Any], value: Any, path: Path) -> Path:
    """Save the result where `--to` says, and return where that is: a file as it is, all else as it would be printed."""
    if operation.file is not None:
        return operation.download(path, timeout=run.left, cancellation=run.token)
    with SavedFile(path, "result") as file:
        file.write(printed(value))
    return file.path


def told(run: Run, value: Any, saved: Path | None) -> Exit:
    """Show the result, or where it was saved."""
    if saved is not None:
        say(f"Saved: {saved}")
    show(run, value if saved is None or run.manner.output is Output.JSON else None)
    return Exit.SUCCEEDED


def _interrupted(run: Run, operation: Operation[Any], error: WaitCanceled) -> Exit:
    if run.manner.cancel_on_interrupt:
        return _after_cancel(run, operation, error)
    say(f"Stopped waiting; the operation goes on. To go on: {how_to_resume(run, operation.monitor_url or '')}")
    say("Ctrl-C once more cancels the operation.")
    if run.interrupts.another_comes_within(GRACE_SECONDS):
        say("Canceling the operation ...")
        try:
            operation.cancel(timeout=10.0)
        except LroError as refused:
            error = WaitCanceled(f"The operation could not be canceled: {refused}", monitor_url=operation.monitor_url)
        return _after_cancel(run, operation, error)
    if run.manner.output is Output.JSON:
        print_json(described(operation, known(operation), error=error))
    return Exit.TIMED_OUT


def _after_cancel(run: Run, operation: Operation[Any], error: WaitCanceled) -> Exit:
    """The service was asked to end it, or could not be."""
    is_ending = operation.status in (Status.CANCELING, Status.CANCELED)
    say("The operation was asked to stop." if is_ending else f"lro: {error}")
    for note in getattr(error, "__notes__", ()):
        say(f"lro: {note}")
    if operation.has_completed and operation.status is not Status.CANCELED:
        failure = operation.failure()
        if failure is None:
            show(run, operation.value)
            return Exit.SUCCEEDED
        return ended(run, failure)
    if run.manner.output is Output.JSON:
        print_json(described(operation, known(operation), error=None if is_ending else error))
    return Exit.CANCELED if is_ending else Exit.TIMED_OUT


def looked_at(run: Run, operation: Operation[Any]) -> Exit:
    """Show how it is after one look, and return the exit code: that of its end, where it has ended."""
    failure = operation.failure() if operation.has_completed else None
    if failure is not None:
        return ended(run, failure)
    if run.manner.output is Output.TEXT:
        show(run, one_line(operation.snapshot))
    else:
        show(run, operation.value if operation.has_completed else None)
    return Exit.SUCCEEDED


def other_ways(operation: Operation[Any]) -> str:
    """How to cancel what no contract says how to cancel."""
    by_url = "With --url the command is told the URL that cancels it."
    if operation.profile is not Profile.AUTO or operation.monitor_url is None:
        return by_url
    line = f"lro cancel {shlex.quote(operation.monitor_url)} --profile odata"
    return f"If this is the monitor of an OData service: {line}. {by_url}"
