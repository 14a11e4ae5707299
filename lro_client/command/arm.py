"""`lro arm`: resources of Azure Resource Manager, or of any endpoint built like it."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from lro_client.arm import ENDPOINT, SCOPE, ArmClient
from lro_client.command.following import Exit, Manner, Output, guarded
from lro_client.command.options import (
    AllowOrigin,
    CancelOnInterrupt,
    Data,
    FinalStateOption,
    Header,
    Identity,
    Interval,
    OutputOption,
    SaveToken,
    Scope,
    Timeout,
    Wait,
    body_of,
    headers_of,
)
from lro_client.command.settings import credential_options, environment
from lro_client.command.starting import checked, started
from lro_client.model import FinalState

app = typer.Typer(help="Create, change, delete and act on ARM resources.", no_args_is_help=True, rich_markup_mode=None)

Id = Annotated[str, typer.Argument(metavar="ID", help="A resource id: /subscriptions/...")]
Version = Annotated[str, typer.Option("--api-version", help="The provider's version.")]
Endpoint = Annotated[str, typer.Option("--endpoint", metavar="URL", help="Where the resource manager is.")]


@dataclass(frozen=True, slots=True)
class StartOf:
    """What is sent."""

    method: str
    path: str
    data: str | None
    header: list[str] | None
    final_state: FinalState | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """Where it is sent, and as whom."""

    endpoint: str
    api_version: str
    identity: bool
    scope: str | None
    allow_origin: list[str] | None


def _on_resource(name: str, method: str, told: str) -> None:
    """Register a command that sends a resource's own verb."""

    def command(
        id: Id,
        *,
        api_version: Version,
        data: Data = None,
        header: Header = None,
        endpoint: Endpoint = ENDPOINT,
        wait: Wait = False,
        output: OutputOption = Output.TEXT,
        timeout: Timeout = None,
        interval: Interval = None,
        save_token: SaveToken = None,
        cancel_on_interrupt: CancelOnInterrupt = False,
        identity: Identity = False,
        scope: Scope = None,
        allow_origin: AllowOrigin = None,
    ) -> None:
        if method == "DELETE" and data is not None:
            raise typer.BadParameter("a DELETE has no body")
        manner = Manner(output, timeout, interval, save_token, cancel_on_interrupt)
        access = Access(endpoint, api_version, identity, scope, allow_origin)
        _send(StartOf(method, id, data, header), access, manner, wait=wait)

    app.command(name, help=told)(command)


_on_resource("put", "PUT", "Create or replace a resource.")
_on_resource("patch", "PATCH", "Change a resource.")
_on_resource("delete", "DELETE", "Delete a resource.")


@app.command()
def action(
    id: Id,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The action, such as restart.")],
    *,
    api_version: Version,
    data: Data = None,
    header: Header = None,
    final_state_via: FinalStateOption = None,
    endpoint: Endpoint = ENDPOINT,
    wait: Wait = False,
    output: OutputOption = Output.TEXT,
    timeout: Timeout = None,
    interval: Interval = None,
    save_token: SaveToken = None,
    cancel_on_interrupt: CancelOnInterrupt = False,
    identity: Identity = False,
    scope: Scope = None,
    allow_origin: AllowOrigin = None,
) -> None:
    """Call an action of a resource."""
    manner = Manner(output, timeout, interval, save_token, cancel_on_interrupt)
    access = Access(endpoint, api_version, identity, scope, allow_origin)
    _send(StartOf("POST", f"{id.rstrip('/')}/{name}", data, header, final_state_via), access, manner, wait=wait)


def _send(start: StartOf, access: Access, manner: Manner, *, wait: bool) -> None:
    body = body_of(start.data)
    headers = headers_of(start.header, has_body=body is not None)
    credential: dict[str, Any] = credential_options(
        environment(), identity=access.identity, scope=access.scope, default_scope=SCOPE
    )
    allowed = checked(access.endpoint, access.allow_origin)

    def work() -> Exit:
        options: dict[str, Any] = {"api_version": access.api_version, "allowed_origins": allowed, **credential}
        with ArmClient(endpoint=access.endpoint, **options) as client:
            operation = client.start(
                start.method,
                start.path,
                content=body,
                headers=headers,
                final_state=start.final_state,
                timeout=manner.timeout,
            )
            return started(operation, manner, wait=wait)

    raise typer.Exit(int(guarded(work, manner)))
