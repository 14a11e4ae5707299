"""`lro arm`: resources of Azure Resource Manager, or of any endpoint built like it."""

from typing import Annotated, Any

import typer

from lro_client.arm import ENDPOINT, SCOPE, ArmClient
from lro_client.command.options import Access, Data, FinalStateOption, Header, Manner, Wait, body_of, flat, headers_of
from lro_client.command.running import Exit, Run, guarded
from lro_client.command.starting import started
from lro_client.model import FinalState

app = typer.Typer(help="Create, change, delete and act on ARM resources.", no_args_is_help=True, rich_markup_mode=None)

Id = Annotated[str, typer.Argument(metavar="ID", help="A resource id: /subscriptions/...")]
Version = Annotated[str, typer.Option("--api-version", help="The provider's version.")]
Endpoint = Annotated[str, typer.Option("--endpoint", metavar="URL", help="Where the resource manager is.")]


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
        manner: Manner,
        access: Access,
    ) -> None:
        if method == "DELETE" and data is not None:
            raise typer.BadParameter("a DELETE has no body")
        options = access.options(endpoint, SCOPE) | {"endpoint": endpoint, "api_version": api_version}
        _send(method, id, options, manner, data=data, header=header, wait=wait)

    app.command(name, help=told)(flat(command))


_on_resource("put", "PUT", "Create or replace a resource.")
_on_resource("patch", "PATCH", "Change a resource.")
_on_resource("delete", "DELETE", "Delete a resource.")


@app.command()
@flat
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
    manner: Manner,
    access: Access,
) -> None:
    """Call an action of a resource."""
    options = access.options(endpoint, SCOPE) | {"endpoint": endpoint, "api_version": api_version}
    path = f"{id.rstrip('/')}/{name}"
    _send("POST", path, options, manner, data=data, header=header, wait=wait, final_state=final_state_via)


def _send(
    method: str,
    path: str,
    options: dict[str, Any],
    manner: Manner,
    *,
    data: str | None,
    header: list[str] | None,
    wait: bool,
    final_state: FinalState | None = None,
) -> None:
    body = body_of(data)
    sent: dict[str, Any] = {"content": body, "headers": headers_of(header, has_body=body is not None)}
    run = Run(manner)

    def work() -> Exit:
        with ArmClient(**options) as client:
            return started(
                run,
                lambda: client.start(
                    method, path, **sent, final_state=final_state, timeout=run.left, cancellation=run.token
                ),
                wait=wait,
            )

    raise typer.Exit(guarded(run, work))
