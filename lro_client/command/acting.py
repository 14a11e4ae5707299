"""`lro result`, `lro delete` and `lro retry`: what is done with an operation that has ended."""

from typing import Any

import typer

from lro_client.client import LroClient
from lro_client.command.following import keep, started, told
from lro_client.command.options import (
    LOOK_SECONDS,
    Access,
    Manner,
    Output,
    OutputOption,
    ProfileOption,
    Timeout,
    To,
    Wait,
    flat,
)
from lro_client.command.running import Exit, begun, show
from lro_client.command.targets import Target, found_in, on_target, with_target
from lro_client.model import Profile
from lro_client.operation import Operation


@flat
def result(
    context: typer.Context,
    target: Target,
    *,
    to: To = None,
    output: OutputOption = Output.TEXT,
    profile: ProfileOption = Profile.AUTO,
    timeout: Timeout = None,
    access: Access,
) -> None:
    """Print the result of an operation that has ended, or save it with --to. Exits 4 where it still goes on."""
    run, found = begun(context, Manner(output, timeout, to=to)), found_in(target)

    def work(operation: Operation[Any]) -> Exit:
        operation.update_status(timeout=run.left, cancellation=run.token)
        value = operation.value
        return told(run, value, None if to is None else keep(run, operation, value, to))

    on_target(run, work, found, access, profile=profile)


@flat
def delete(
    context: typer.Context,
    target: Target,
    *,
    output: OutputOption = Output.TEXT,
    timeout: Timeout = LOOK_SECONDS,
    access: Access,
) -> None:
    """Have the service forget an operation that has ended. Exits 0 also where it knows of none, 1 where it refuses."""
    run, found = begun(context, Manner(output, timeout)), found_in(target)

    def work(operation: Operation[Any]) -> Exit:
        operation.delete(timeout=run.left, cancellation=run.token)
        show(run)
        return Exit.SUCCEEDED

    on_target(run, work, found, access)


@flat
def retry(context: typer.Context, target: Target, *, wait: Wait = False, manner: Manner, access: Access) -> None:
    """Start a failed or canceled operation anew, with the input that the service has stored.

    Prints where the new one can be watched, or with --wait its result; exits 1 where the service refuses.
    """
    run, found = begun(context, manner), found_in(target)

    def work(client: LroClient, operation: Operation[Any]) -> Exit:
        # From here on it is about the new one.
        run.operation, run.token_file = None, None

        def send(_: LroClient) -> Operation[Any]:
            return operation.retry(timeout=run.left, cancellation=run.token)

        return started(run, client, send, wait=wait)

    with_target(run, work, found, access)
