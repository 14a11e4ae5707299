"""The command `lro`.

Exit codes: 0 succeeded, or accepted where nobody waits; 1 failed, or refused; 2 usage; 3 canceled; 4 stopped waiting;
5 the service could not be reached.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from lro_client.client import LroClient
from lro_client.command import arm, odata
from lro_client.command.following import Exit, Manner, Output, ended, follow, guarded, save, show
from lro_client.command.options import (
    AllowOrigin,
    ApiVersion,
    CancelOnInterrupt,
    Data,
    FinalStateOption,
    Header,
    Identity,
    Interval,
    OutputOption,
    ProfileOption,
    SaveToken,
    Scope,
    Timeout,
    Wait,
    body_of,
    headers_of,
)
from lro_client.command.output import plain, print_json, say
from lro_client.command.settings import credential_options, environment
from lro_client.command.starting import checked, started
from lro_client.errors import CancelRefused
from lro_client.model import Profile, Status
from lro_client.operation import Operation

app = typer.Typer(
    help="Start, watch, cancel and fetch long-running operations of Azure data-plane, ARM and OData services.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Keys: LRO_KEY (header LRO_KEY_HEADER), LRO_TOKEN (bearer), or --identity. Exit codes: 0 succeeded, "
    "1 failed, 2 usage, 3 canceled, 4 stopped waiting, 5 could not reach.",
)
app.add_typer(arm.app, name="arm")
app.add_typer(odata.app, name="odata")

Target = Annotated[str, typer.Argument(metavar="URL|TOKEN", help="A monitor's URL, or a resume token.")]
_CODES = {Status.FAILED: Exit.FAILED, Status.CANCELED: Exit.CANCELED}


@app.command()
def start(
    method: Annotated[str, typer.Argument(metavar="METHOD")],
    url: Annotated[str, typer.Argument(metavar="URL")],
    *,
    data: Data = None,
    header: Header = None,
    wait: Wait = False,
    output: OutputOption = Output.TEXT,
    timeout: Timeout = None,
    interval: Interval = None,
    save_token: SaveToken = None,
    cancel_on_interrupt: CancelOnInterrupt = False,
    profile: ProfileOption = Profile.AUTO,
    final_state_via: FinalStateOption = None,
    api_version: ApiVersion = None,
    operation_id: Annotated[
        str | None, typer.Option("--operation-id", help="Your own id of the operation, sent as Operation-Id.")
    ] = None,
    identity: Identity = False,
    scope: Scope = None,
    allow_origin: AllowOrigin = None,
) -> None:
    """Start an operation: print where it can be watched, or with --wait its result."""
    manner = Manner(output, timeout, interval, save_token, cancel_on_interrupt)
    body = body_of(data)
    headers = headers_of(header, has_body=body is not None)
    client = _client(url, profile, identity, scope, allow_origin, api_version=api_version)

    def work() -> Exit:
        operation = client.start(
            method,
            url,
            content=body,
            headers=headers,
            final_state=final_state_via,
            operation_id=operation_id,
            timeout=timeout,
        )
        return started(operation, manner, wait=wait)

    raise typer.Exit(_closing(client, work, manner))


@app.command()
def wait(
    target: Target,
    *,
    output: OutputOption = Output.TEXT,
    timeout: Timeout = None,
    interval: Interval = None,
    save_token: SaveToken = None,
    cancel_on_interrupt: CancelOnInterrupt = False,
    profile: ProfileOption = Profile.AUTO,
    identity: Identity = False,
    scope: Scope = None,
    allow_origin: AllowOrigin = None,
) -> None:
    """Wait for an operation that runs already, and print its result."""
    manner = Manner(output, timeout, interval, save_token, cancel_on_interrupt)
    client = _client(target, profile, identity, scope, allow_origin)
    raise typer.Exit(_closing(client, lambda: _followed(_opened(client, target), manner), manner))


@app.command()
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
    identity: Identity = False,
    scope: Scope = None,
    allow_origin: AllowOrigin = None,
) -> None:
    """Go on with an operation from its token: wait for its end and print its result."""
    manner = Manner(output, timeout, interval, file, cancel_on_interrupt)
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file}: {error}") from None
    home = endpoint or environment().get("LRO_ENDPOINT")
    client = _client(home, Profile.AUTO, identity, scope, allow_origin, keeps_home=home is not None)
    raise typer.Exit(_closing(client, lambda: _followed(client.resume(token), manner, is_saved=True), manner))


@app.command()
def status(
    target: Target,
    *,
    output: OutputOption = Output.TEXT,
    profile: ProfileOption = Profile.AUTO,
    timeout: Timeout = 60.0,
    identity: Identity = False,
    scope: Scope = None,
    allow_origin: AllowOrigin = None,
) -> None:
    """Look at an operation once. Exits 0 while it runs and when it has succeeded, 1 when failed, 3 when canceled."""
    manner = Manner(output, timeout)
    client = _client(target, profile, identity, scope, allow_origin)

    def work() -> Exit:
        operation = _opened(client, target)
        operation.update_status(timeout=timeout)
        return _looked_at(operation, manner)

    raise typer.Exit(_closing(client, work, manner))


@app.command()
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
    identity: Identity = False,
    scope: Scope = None,
    allow_origin: AllowOrigin = None,
) -> None:
    """Ask the service to end an operation. Exits 0 when it was asked; with --wait as `lro wait`."""
    manner = Manner(output, timeout, interval)
    client = _client(target, profile, identity, scope, allow_origin)

    def work() -> Exit:
        operation = _opened(client, target)
        # Only its answer shows what kind of monitor it is, and so where it is canceled.
        operation.update_status(timeout=60.0)
        if operation.has_completed:
            say("The operation had ended already.")
            return _looked_at(operation, manner)
        try:
            operation.cancel(url=url)
        except CancelRefused as error:
            return ended(operation, manner, error)
        if wait:
            return follow(operation, manner)
        show(operation, manner, operation.status.value, _shown_state(operation, manner))
        return Exit.SUCCEEDED

    raise typer.Exit(_closing(client, work, manner))


@app.command("list")
def list_operations(
    base: Annotated[str, typer.Argument(metavar="BASE", help="The URL of the list, such as https://host/status.")],
    *,
    filter: Annotated[str | None, typer.Option("--filter", help="Such as: status eq 'Running'.")] = None,
    top: Annotated[int | None, typer.Option("--top", min=1, help="Operations a page.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Stop after so many.")] = None,
    output: OutputOption = Output.TEXT,
    api_version: ApiVersion = None,
    timeout: Timeout = 60.0,
    identity: Identity = False,
    scope: Scope = None,
) -> None:
    """List operations, newest first as the service has them: id, status, kind, creation."""
    manner = Manner(output, timeout)
    client = _client(base, Profile.DATA_PLANE, identity, scope, None, api_version=api_version)

    def work() -> Exit:
        found: list[dict[str, Any]] = []
        for item in client.operations(base, filter=filter, top=top, timeout=timeout):
            found.append(item)
            if output is Output.TEXT:
                fields = (item.get(name) for name in ("id", "status", "kind", "createdDateTime"))
                print("\t".join(plain(str(field)) if field is not None else "-" for field in fields), flush=True)
            if limit is not None and len(found) >= limit:
                break
        if output is Output.JSON:
            print_json({"value": found})
        return Exit.SUCCEEDED

    raise typer.Exit(_closing(client, work, manner))


def _followed(operation: Operation[Any], manner: Manner, *, is_saved: bool = False) -> Exit:
    if manner.save_token is not None and not is_saved:
        save(operation, manner.save_token)
    return follow(operation, manner)


def _looked_at(operation: Operation[Any], manner: Manner) -> Exit:
    failure = operation.failure() if operation.has_completed else None
    if failure is not None:
        return ended(operation, manner, failure)
    value = operation.value if operation.has_completed and manner.output is Output.JSON else None
    show(operation, manner, operation.status.value, value or _shown_state(operation, manner))
    return _CODES.get(operation.status, Exit.SUCCEEDED)


def _shown_state(operation: Operation[Any], manner: Manner) -> str | None:
    """The state as a line; JSON has it in its own field."""
    if manner.output is Output.JSON:
        return None
    snapshot = operation.snapshot
    parts = [snapshot.word or snapshot.status.value]
    parts += [] if snapshot.percent is None else [f"{snapshot.percent:.0f}%"]
    return " ".join([*parts, *([snapshot.message] if snapshot.message else [])])


def _opened(client: LroClient, target: str) -> Operation[Any]:
    return client.resume(target) if target.lstrip().startswith("{") else client.open(target)


def _client(
    target: str | None,
    profile: Profile,
    identity: bool,
    scope: str | None,
    allow_origin: list[str] | None,
    *,
    api_version: str | None = None,
    keeps_home: bool = False,
) -> LroClient:
    """A client for one URL; the credential belongs to that URL's origin, or to the token's."""
    is_url = target is not None and not target.lstrip().startswith("{")
    allowed = checked(target if is_url else None, allow_origin)
    credential = credential_options(environment(), identity=identity, scope=scope)
    options: dict[str, Any] = {"allowed_origins": allowed, **credential}
    endpoint = target if keeps_home else None
    return LroClient(endpoint, profile=profile, api_version=api_version, **options)


def _closing(client: LroClient, work: Any, manner: Manner) -> int:
    with client:
        return int(guarded(work, manner))


def run() -> None:
    """The entry point."""
    app()


if __name__ == "__main__":
    run()
