"""What every command that starts something does with its URLs before, and with its operation after."""

from typing import Any

import typer

from lro_client.command.following import Exit, Manner, Output, ended, follow, save, show
from lro_client.command.output import say
from lro_client.errors import UnsafeUrl
from lro_client.operation import Operation
from lro_client.urls import origin


def checked(url: str | None, allow_origin: list[str] | None) -> tuple[str, ...]:
    """The origins that are allowed beside that of `url`.

    Raises:
        typer.BadParameter: one of them is no URL.
    """
    try:
        for found in [*([url] if url is not None else []), *(allow_origin or [])]:
            origin(found)
    except UnsafeUrl as error:
        raise typer.BadParameter(error.message) from None
    return tuple(allow_origin or ())


def started(operation: Operation[Any], manner: Manner, *, wait: bool) -> Exit:
    """What comes after any accepted start: the result, the wait, or where it can be watched."""
    if operation.has_completed:
        failure = operation.failure()
        if failure is not None:
            return ended(operation, manner, failure)
        show(operation, manner, operation.status.value, operation.value)
        return Exit.SUCCEEDED
    if manner.save_token is not None:
        save(operation, manner.save_token)
    if wait:
        say(f"Started: {operation.monitor_url}")
        return follow(operation, manner)
    show(operation, manner, operation.status.value, None if manner.output is Output.JSON else operation.monitor_url)
    return Exit.SUCCEEDED
