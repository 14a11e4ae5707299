"""The command `lro`.

Exit codes: 0 succeeded, or accepted where nobody waits; 1 failed, or refused; 2 usage; 3 canceled; 4 stopped waiting;
5 the service could not be reached; 6 the output could not be written.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from lro_client.client import LroClient
from lro_client.command import arm, odata
from lro_client.command.following import follow, looked_at, other_ways, state_of
from lro_client.command.options import (
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
    Version,
    Wait,
    body_of,
    flat,
    headers_of,
)
from lro_client.command.output import plain, prepare, print_json, say
from lro_client.command.running import Exit, Run, save, show
from lro_client.command.starting import started
from lro_client.command.targets import Found, Target, found_in, on_target, token_in, with_client
from lro_client.errors import CancelRefused, StoppedWaiting, WaitCanceled
from lro_client.model import Profile
from lro_client.operation import Operation

app = typer.Typer(
    help="Start, watch, cancel and fetch long-running operations of Azure data-plane, ARM and OData services.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Keys: LRO_KEY (header LRO_KEY_HEADER), LRO_TOKEN (bearer), or --identity. Exit codes: 0 succeeded, "
    "1 failed, 2 usage, 3 canceled, 4 stopped waiting, 5 could not reach, 6 output not written.",
)


@app.callback()
def _common(*, version: Version = False) -> None:
    """Options of the command itself."""


app.add_typer(arm.app, name="arm")
app.add_typer(odata.app, name="odata")

LOOK_SECONDS = 60.0
"""How long one look may take."""


@app.command()
@flat
def start(
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
        str | None, typer.Option("--operation-id", help="Your own id of the operation, sent as Operation-Id.")
    ] = None,
    manner: Manner,
    access: Access,
) -> None:
    """Start an operation: print where it can be watched, or with --wait its result."""
    body = body_of(data)
    headers = headers_of(header, has_body=body is not None)
    run = Run(manner)

    def work(client: LroClient) -> Exit:
        def send() -> Operation[Any]:
            return client.start(
                method,
                url,
                content=body,
                headers=headers,
                final_state=final_state_via,
                operation_id=operation_id,
                timeout=run.left,
                cancellation=run.token,
            )

        return started(run, send, wait=wait)

    with_client(run, work, url, access, profile=profile, api_version=api_version)


@app.command()
@flat
def wait(
    target: Target,
    *,
    profile: ProfileOption = Profile.AUTO,
    manner: Manner,
    access: Access,
) -> None:
    """Wait for an operation that runs already, and print its result."""
    run, found = Run(manner), found_in(target)

    def work(client: LroClient) -> Exit:
        operation = found.opened(run, client)
        if manner.save_token is not None:
            # A URL is not enough to make a token of: its answer shows what kind of monitor it is.
            operation.update_status(timeout=run.left, cancellation=run.token)
            save(run)
        return follow(run, operation)

    on_target(run, work, found, access, profile=profile)


@app.command()
@flat
def resume(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What --save-token has written.")],
    *,
    output: OutputOption = Output.TEXT,
    timeout: Timeout = None,
    interval: Interval = None,
    cancel_on_interrupt: CancelOnInterrupt = False,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", metavar="URL", help="Refuse a token of any other origin (LRO_ENDPOINT).")
    ] = None,
    access: Access,
) -> None:
    """Go on with an operation from its token: wait for its end and print its result."""
    run = Run(Manner(output, timeout, interval, cancel_on_interrupt=cancel_on_interrupt))
    found = Found(token=token_in(file), file=file)
    on_target(run, lambda client: follow(run, found.opened(run, client)), found, access, endpoint=endpoint)


@app.command()
@flat
def status(
    target: Target,
    *,
    output: OutputOption = Output.TEXT,
    profile: ProfileOption = Profile.AUTO,
    timeout: Timeout = LOOK_SECONDS,
    access: Access,
) -> None:
    """Look at an operation once. Exits 0 while it runs and when it has succeeded, 1 when failed, 3 when canceled."""
    run, found = Run(Manner(output, timeout)), found_in(target)

    def work(client: LroClient) -> Exit:
        operation = found.opened(run, client)
        operation.update_status(timeout=run.left, cancellation=run.token)
        return looked_at(run, operation)

    on_target(run, work, found, access, profile=profile)


@app.command()
@flat
def cancel(
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
    run, found = Run(Manner(output, timeout, interval)), found_in(target)

    def work(client: LroClient) -> Exit:
        operation = found.opened(run, client)
        # Only its answer shows what kind of monitor it is, and so where it is canceled.
        operation.update_status(timeout=_at_most(run.left), cancellation=run.token)
        if operation.has_completed:
            say("The operation had ended already.")
            return looked_at(run, operation)
        try:
            operation.cancel(url=url, timeout=_at_most(run.left), cancellation=run.token)
        except (StoppedWaiting, WaitCanceled) as error:
            error.add_note("The service may have been asked to cancel it all the same.")
            raise
        except CancelRefused as error:
            if error.answer is None:
                error.add_note(other_ways(operation))
            raise
        if wait:
            return follow(run, operation)
        show(run, state_of(operation) if output is Output.TEXT else None)
        return Exit.SUCCEEDED

    on_target(run, work, found, access, profile=profile)


@app.command("list")
@flat
def list_operations(
    base: Annotated[str, typer.Argument(metavar="BASE", help="The URL of the list, such as https://host/status.")],
    *,
    filter: Annotated[str | None, typer.Option("--filter", help="Such as: status eq 'Running'.")] = None,
    top: Annotated[int | None, typer.Option("--top", min=1, help="Operations a page.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Stop after so many.")] = None,
    output: OutputOption = Output.TEXT,
    api_version: ApiVersion = None,
    timeout: Timeout = LOOK_SECONDS,
    access: Access,
) -> None:
    """List operations, newest first as the service has them: id, status, kind, creation."""
    run = Run(Manner(output, timeout))

    def work(client: LroClient) -> Exit:
        found: list[dict[str, Any]] = []
        for item in client.operations(base, filter=filter, top=top, timeout=run.left, cancellation=run.token):
            found.append(item)
            if output is Output.TEXT:
                fields = (item.get(name) for name in ("id", "status", "kind", "createdDateTime"))
                print("\t".join(plain(str(field)) if field is not None else "-" for field in fields), flush=True)
            if limit is not None and len(found) >= limit:
                break
        if output is Output.JSON:
            print_json({"value": found})
        return Exit.SUCCEEDED

    with_client(run, work, base, access, profile=Profile.DATA_PLANE, api_version=api_version)


def _at_most(left: float | None) -> float:
    return LOOK_SECONDS if left is None else min(left, LOOK_SECONDS)


def run() -> None:
    """The entry point."""
    prepare()
    app()


if __name__ == "__main__":
    run()
