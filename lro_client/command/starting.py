"""What every command that starts something does with its operation."""

from collections.abc import Callable
from typing import Any

from lro_client.command.following import follow
from lro_client.command.options import Output
from lro_client.command.output import say
from lro_client.command.running import Exit, Run, ended, save, show
from lro_client.errors import StartRefused, WaitCanceled
from lro_client.model import Status
from lro_client.operation import Operation


def started(
    run: Run, send: Callable[[], Operation[Any]], *, wait: bool, finish: Callable[[Any], Any] | None = None
) -> Exit:
    """Send a start, and go on with what it came to: the result, the wait, or where it can be watched."""
    try:
        run.operation = operation = send()
    except StartRefused as error:
        return ended(run, error, Status.FAILED)
    except WaitCanceled as error:
        error.add_note("The service may have taken it all the same.")
        raise
    save(run)
    if operation.has_completed:
        return follow(run, operation, finish)
    if wait:
        say(f"Started: {operation.monitor_url}")
        return follow(run, operation, finish)
    show(run, None if run.manner.output is Output.JSON else operation.monitor_url)
    return Exit.SUCCEEDED
