"""The command `lro`.

Exit codes: 0 succeeded, or accepted where nobody waits; 1 failed, or refused; 2 usage; 3 canceled; 4 stopped waiting;
5 the service could not be reached; 6 the output could not be written.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from lro_client.client import LroClient
from lro_client.clock import Clock
from lro_client.command import arm, examples, odata
from lro_client.command.acting import delete, result, retry
from lro_client.command.check import check
from lro_client.command.following import follow, looked_at, other_ways, started
from lro_client.command.listing import list_operations
from lro_client.command.options import (
    EXAMPLE_OF_A_TIME,
    LOOK_SECONDS,
    Access,
    ApiVersion,
    CancelOnInterrupt,
    Data,
    FinalStateOption,
    Header,
    Interval,
    Manner,
    Output,
    OutputOption,
    ProfileOption,
    Timeout,
    To,
    Version,
    Wait,
    date_time,
    flat,
    method_of,
    payload,
)
from lro_client.command.output import one_line, prepare, say
from lro_client.command.running import Exit, begun, save, show
from lro_client.command.settings import located, service
from lro_client.command.targets import Found, Target, found_in, on_target, token_in, with_client
from lro_client.command.watching import watch
from lro_client.errors import CancelRefused, StoppedWaiting, WaitCanceled
from lro_client.model import Profile
from lro_client.operation import Operation

app = typer.Typer(
    help="Start, watch, cancel and fetch long-running operations of Azure data-plane, ARM and OData services.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Keys: LRO_KEY (header LRO_KEY_HEADER), LRO_TOKEN (bearer), or --identity. With LRO_ENDPOINT every URL may "
    "be a path below it. Exit codes: 0 succeeded, "
    "1 failed, 2 usage, 3 canceled, 4 stopped waiting, 5 could not reach, 6 output not written.",
)


@app.callback()
def _common(*, version: Version = False) -> None:
    """Options of the command itself."""


app.add_typer(arm.app, name="arm")
app.add_typer(odata.app, name="odata")


@app.command(epilog=examples.START)
@flat
def start(
    context: typer.Context,
    method: Annotated[str, typer.Argument(metavar="METHOD")],
    url: Annotated[str, typer.Argument(metavar="URL")],
    *,
    data: Data = None,
    header: Header = None,
    wait: Wait = False,
    profile: ProfileOption = Profile.AUTO,
    final_state_via: FinalStateOption = None,
    api_version: ApiVersion = None,
    operation_id: Annotated[
        str | None,
        typer.Option("--operation-id", metavar="ID", help="Your own id of the operation, sent as Operation-Id."),
    ] = None,
    not_before: Annotated[
        str | None,
        typer.Option("--not-before", metavar="TIME", help=f"When to begin: RFC 3339, as {EXAMPLE_OF_A_TIME}."),
    ] = None,
    manner: Manner,
    access: Access,
) -> None:
    """Start an operation: print where it can be watched, or with --wait its result."""
    body, headers = payload(data, header)
    url = located(url)
    due = date_time(not_before)
    run = begun(context, manner)

    def send(client: LroClient) -> Operation[Any]:
        return client.start(
            method_of(method),
            url,
            content=body,
            headers=headers,
            final_state=final_state_via,
            operation_id=operation_id,
            not_before=due,
            timeout=run.left,
            cancellation=run.token,
        )

    options = access.options(url) | {"profile": profile, "api_version": api_version}
    with_client(LroClient, run, lambda client: started(run, client, send, wait=wait), options)


@app.command(epilog=examples.WAIT)
@flat
def wait(
    context: typer.Context,
    target: Target,
    *,
    profile: ProfileOption = Profile.AUTO,
    manner: Manner,
    access: Access,
) -> None:
    """Wait for an operation that runs already, and print its result."""
    run, found = begun(context, manner), found_in(target)

    def work(operation: Operation[Any]) -> Exit:
        if manner.save_token is not None:
            # A URL is not enough to make a token of: its answer shows what kind of monitor it is.
            operation.update_status(timeout=run.left, cancellation=run.token)
            save(run)
        return follow(run, operation)

    on_target(run, work, found, access, profile=profile)


@app.command(epilog=examples.RESUME)
@flat
def resume(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What --save-token has written.")],
    *,
    output: OutputOption = Output.TEXT,
    timeout: Timeout = None,
    interval: Interval = None,
    to: To = None,
    cancel_on_interrupt: CancelOnInterrupt = False,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", metavar="URL", help="Refuse a token of any other origin (LRO_ENDPOINT).")
    ] = None,
    access: Access,
) -> None:
    """Go on with an operation from its token: wait for its end and print its result."""
    run = begun(context, Manner(output, timeout, interval, to=to, cancel_on_interrupt=cancel_on_interrupt))
    found = Found(token=token_in(file), file=file)
    on_target(run, lambda operation: follow(run, operation), found, access, endpoint=endpoint)


@app.command(epilog=examples.STATUS)
@flat
def status(
    context: typer.Context,
    target: Target,
    *,
    output: OutputOption = Output.TEXT,
    profile: ProfileOption = Profile.AUTO,
    timeout: Timeout = LOOK_SECONDS,
    access: Access,
) -> None:
    """Look at an operation once. Exits 0 while it runs and when it has succeeded, 1 when failed, 3 when canceled."""
    run, found = begun(context, Manner(output, timeout)), found_in(target)

    def work(operation: Operation[Any]) -> Exit:
        operation.update_status(timeout=run.left, cancellation=run.token)
        return looked_at(run, operation)

    on_target(run, work, found, access, profile=profile)


@app.command(epilog=examples.CANCEL)
@flat
def cancel(
    context: typer.Context,
    target: Target,
    *,
    output: OutputOption = Output.TEXT,
    wait: Wait = False,
    timeout: Timeout = None,
    interval: Interval = None,
    profile: ProfileOption = Profile.AUTO,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="Where the service cancels it, if not where all do.")
    ] = None,
    access: Access,
) -> None:
    """Ask the service to end an operation. Exits 0 when it was asked; with --wait as `lro wait`."""
    run, found = begun(context, Manner(output, timeout, interval)), found_in(target)
    where = url if url is None or service() is None else located(url)

    def work(operation: Operation[Any]) -> Exit:
        # Only its answer shows what kind of monitor it is, and so where it is canceled.
        operation.update_status(timeout=_at_most(run.left), cancellation=run.token)
        if operation.has_completed:
            say("The operation had ended already.")
            return looked_at(run, operation)
        try:
            operation.cancel(url=where, timeout=_at_most(run.left), cancellation=run.token)
        except (StoppedWaiting, WaitCanceled) as error:
            error.add_note("The service may have been asked to cancel it all the same.")
            raise
        except CancelRefused as error:
            if error.answer is None:
                error.add_note(other_ways(operation))
            raise
        if wait:
            return follow(run, operation)
        show(run, one_line(operation.snapshot) if output is Output.TEXT else None)
        return Exit.SUCCEEDED

    on_target(run, work, found, access, profile=profile)


app.command(epilog=examples.RESULT)(result)
app.command(epilog=examples.DELETE)(delete)
app.command(epilog=examples.RETRY)(retry)
app.command("list", epilog=examples.LIST)(list_operations)
app.command(epilog=examples.WATCH)(watch)
app.command(epilog=examples.CHECK)(check)


def _at_most(left: float | None) -> float:
    return LOOK_SECONDS if left is None else min(left, LOOK_SECONDS)


def run(arguments: Sequence[str] | None = None, clock: Clock | None = None) -> None:
    """The entry point. `arguments` are those of the process unless they are given.

    Raises:
        SystemExit: always, with the exit code.
    """
    prepare()
    app(arguments, obj=clock or Clock())


if __name__ == "__main__":
    run()
