"""`lro list`: the operations that a data-plane service lists."""

import shlex
from typing import Annotated, Any

import typer

from lro_client.client import LroClient
from lro_client.command.options import LOOK_SECONDS, Access, ApiVersion, Manner, Output, OutputOption, Timeout, flat
from lro_client.command.output import plain, print_json
from lro_client.command.running import Exit, begun
from lro_client.command.settings import located
from lro_client.command.targets import with_client
from lro_client.errors import StartRefused, UnexpectedAnswer
from lro_client.model import Profile
from lro_client.urls import append_to_path, last_segment, without_query


@flat
def list_operations(
    context: typer.Context,
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
    base = located(base)
    run = begun(context, Manner(output, timeout))

    def work(client: LroClient) -> Exit:
        try:
            return listed(client)
        except (StartRefused, UnexpectedAnswer) as error:
            is_elsewhere = isinstance(error, UnexpectedAnswer) or error.status_code in (404, 405)
            if is_elsewhere and last_segment(base) != "status":
                url = without_query(append_to_path(base, "/status"))
                error.add_note(f"Many services have their list at the path status: lro list {shlex.quote(url)}")
            raise

    def listed(client: LroClient) -> Exit:
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

    options = {"profile": Profile.DATA_PLANE, "api_version": api_version}
    with_client(LroClient, run, work, access.options(base) | options)
