"""`lro list`: the operations that a data-plane service lists."""

import shlex
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from lro_client.client import LroClient
from lro_client.command.options import LOOK_SECONDS, Access, ApiVersion, Manner, Output, OutputOption, Timeout, flat
from lro_client.command.output import print_json
from lro_client.command.rows import HEADER, cells, print_row
from lro_client.command.running import Exit, Run, begun
from lro_client.command.settings import located
from lro_client.command.targets import with_client
from lro_client.errors import StartRefused, UnexpectedAnswer
from lro_client.model import Profile
from lro_client.urls import append_to_path, last_segment, without_query

Base = Annotated[str, typer.Argument(metavar="BASE", help="The URL of the list, such as https://host/status.")]
Filter = Annotated[str | None, typer.Option("--filter", metavar="FILTER", help="Such as: status eq 'Running'.")]
NoHeader = Annotated[bool, typer.Option("--no-header", help="Rows alone, for scripts.")]


@flat
def list_operations(
    context: typer.Context,
    base: Base,
    *,
    filter: Filter = None,
    top: Annotated[int | None, typer.Option("--top", min=1, metavar="NUMBER", help="Operations a page.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, metavar="NUMBER", help="Stop after so many.")] = None,
    no_header: NoHeader = False,
    output: OutputOption = Output.TEXT,
    api_version: ApiVersion = None,
    timeout: Timeout = LOOK_SECONDS,
    access: Access,
) -> None:
    """List operations, newest first as the service has them: id, status, kind, creation.

    A table on a terminal; elsewhere tabs part the columns.
    """
    run = begun(context, Manner(output, timeout))

    def work(client: LroClient, url: str) -> Exit:
        found: list[dict[str, Any]] = []
        for item in client.operations(url, filter=filter, top=top, timeout=run.left, cancellation=run.token):
            if output is Output.TEXT:
                if not found and not no_header:
                    print_row(HEADER)
                print_row(cells(item))
            found.append(item)
            if limit is not None and len(found) >= limit:
                break
        if output is Output.JSON:
            print_json({"value": found})
        return Exit.SUCCEEDED

    with_list(run, base, work, api_version, access)


def with_list(
    run: Run, base: str, work: Callable[[LroClient, str], Exit], api_version: str | None, access: Access
) -> NoReturn:
    """Do the work with a client and the URL of a list. Where there is none, the error says where one may be.

    Raises:
        typer.Exit: always, with the exit code.
    """
    url = located(base)

    def guided(client: LroClient) -> Exit:
        try:
            return work(client, url)
        except (StartRefused, UnexpectedAnswer) as error:
            is_elsewhere = isinstance(error, UnexpectedAnswer) or error.status_code in (404, 405)
            if is_elsewhere and last_segment(url) != "status":
                better = without_query(append_to_path(url, "/status"))
                line = f"lro {run.command} {shlex.quote(better)}"
                error.add_note(f"Many services have their list at the path status: {line}")
            raise

    options = {"profile": Profile.DATA_PLANE, "api_version": api_version}
    with_client(LroClient, run, guided, access.options(url) | options)
