"""`lro arm`: resources of Azure Resource Manager, or of any endpoint built like it."""

from typing import Annotated, Any

import typer

from lro_client.arm import ENDPOINT, SCOPE, ArmClient
from lro_client.command import examples
from lro_client.command.following import started
from lro_client.command.options import Access, Data, FinalStateOption, Header, Manner, Wait, flat, payload
from lro_client.command.running import Run, begun
from lro_client.command.settings import service
from lro_client.command.targets import with_client
from lro_client.model import FinalState
from lro_client.operation import Operation

app = typer.Typer(help="Create, change, delete and act on ARM resources.", no_args_is_help=True, rich_markup_mode=None)

Id = Annotated[str, typer.Argument(metavar="ID", help="A resource id: /subscriptions/...")]
Version = Annotated[str, typer.Option("--api-version", help="The provider's version.")]
Endpoint = Annotated[
    str | None,
    typer.Option("--endpoint", metavar="URL", help=f"Where the resource manager is (LRO_ENDPOINT, or {ENDPOINT})."),
]


def _on_resource(name: str, method: str, description: str) -> None:
    """Register a command that sends a resource's own verb."""

    def command(
        context: typer.Context,
        id: Id,
        *,
        api_version: Version,
        data: Data = None,
        header: Header = None,
        endpoint: Endpoint = None,
        wait: Wait = False,
        manner: Manner,
        access: Access,
    ) -> None:
        if method == "DELETE" and data is not None:
            raise typer.BadParameter("a DELETE has no body")
        options = _options(access, endpoint, api_version)
        _send(method, id, options, begun(context, manner), data=data, header=header, wait=wait)

    app.command(name, help=description, epilog=examples.ARM[name])(flat(command))


_on_resource("put", "PUT", "Create or replace a resource.")
_on_resource("patch", "PATCH", "Change a resource.")
_on_resource("delete", "DELETE", "Delete a resource.")


@app.command(epilog=examples.ARM["action"])
@flat
def action(
    context: typer.Context,
    id: Id,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The action, such as restart.")],
    *,
    api_version: Version,
    data: Data = None,
    header: Header = None,
    final_state_via: FinalStateOption = None,
    endpoint: Endpoint = None,
    wait: Wait = False,
    manner: Manner,
    access: Access,
) -> None:
    """Call an action of a resource."""
    options = _options(access, endpoint, api_version)
    path = f"{id.rstrip('/')}/{name}"
    _send(
        "POST", path, options, begun(context, manner), data=data, header=header, wait=wait, final_state=final_state_via
    )


def _options(access: Access, endpoint: str | None, api_version: str) -> dict[str, Any]:
    home = endpoint or service() or ENDPOINT
    return access.options(home, SCOPE) | {"endpoint": home, "api_version": api_version}


def _send(
    method: str,
    path: str,
    options: dict[str, Any],
    run: Run,
    *,
    data: str | None,
    header: list[str] | None,
    wait: bool,
    final_state: FinalState | None = None,
) -> None:
    body, headers = payload(data, header)

    def send(client: ArmClient) -> Operation[Any]:
        return client.start(
            method,
            path,
            content=body,
            headers=headers,
            final_state=final_state,
            timeout=run.left,
            cancellation=run.token,
        )

    with_client(ArmClient, run, lambda client: started(run, client, send, wait=wait), options)
