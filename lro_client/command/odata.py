"""`lro odata`: actions and batches of an OData 4 service."""

from dataclasses import asdict
from typing import Annotated, Any, cast

import typer

from lro_client.command import examples
from lro_client.command.following import started
from lro_client.command.options import Access, Data, Header, Manner, Output, Wait, flat, headers_of, json_of, method_of
from lro_client.command.output import plain
from lro_client.command.running import Exit, begun
from lro_client.command.settings import located
from lro_client.command.targets import with_client
from lro_client.odata import ODataClient
from lro_client.odata_batch import Batch, BatchResponse
from lro_client.odata_state import CallOptions
from lro_client.operation import Operation

app = typer.Typer(help="Call actions and send batches, preferring an asynchronous answer.", no_args_is_help=True,
                  rich_markup_mode=None)  # fmt: skip

Root = Annotated[str, typer.Argument(metavar="ROOT", help="The service root.")]
Prefer = Annotated[
    int | None,
    typer.Option("--prefer-wait", min=0, metavar="SECONDS", help="Time that the service may take to answer at once."),
]


@app.command(epilog=examples.CALL)
@flat
def call(
    context: typer.Context,
    root: Root,
    name: Annotated[str, typer.Argument(metavar="ACTION", help="Its path below the root.")],
    *,
    data: Data = None,
    header: Header = None,
    prefer_wait: Prefer = None,
    wait: Wait = False,
    manner: Manner,
    access: Access,
) -> None:
    """Call an action with the parameters in -d."""
    parameters = json_of(data)
    headers, root = headers_of(header), located(root)
    run = begun(context, manner)

    def send(client: ODataClient) -> Operation[Any]:
        return client.call_action(
            name, parameters, headers=headers, wait=prefer_wait, timeout=run.left, cancellation=run.token
        ).either

    options = access.options(root) | {"endpoint": root}
    with_client(ODataClient, run, lambda client: started(run, client, send, wait=wait), options)


@app.command(epilog=examples.BATCH)
@flat
def batch(
    context: typer.Context,
    root: Root,
    *,
    data: Data = None,
    multipart: Annotated[bool, typer.Option("--multipart", help="Send it as multipart/mixed, not as JSON.")] = False,
    continue_on_error: Annotated[bool, typer.Option("--continue-on-error")] = False,
    manner: Manner,
    access: Access,
) -> None:
    """Send the batch in -d ({"requests": [...]}) asynchronously, wait for it and print its results.

    Text has a line for each request: id, status, error. What a GET gave, and every other body, is in -o json alone.

    Exits 0 when the batch was done, whatever became of its requests.
    """
    requests, root = _batch(json_of(data), continue_on_error), located(root)
    run = begun(context, manner)

    def work(client: ODataClient) -> Exit:
        def options() -> CallOptions:
            return {"timeout": run.left, "cancellation": run.token, "poll_interval": manner.interval}

        def send(client: ODataClient) -> Operation[Any]:
            return client.execute_batch(requests, format="multipart" if multipart else "json", **options()).either

        def finish(response: BatchResponse) -> Any:
            return _shown(client.rest_of_batch(response, **options()), manner.output)

        return started(run, client, send, wait=True, finish=finish)

    with_client(ODataClient, run, work, access.options(root) | {"endpoint": root})


def _batch(found: Any, continue_on_error: bool) -> Batch:
    made = Batch(continue_on_error=continue_on_error)
    listed: Any = cast("dict[str, Any]", found).get("requests") if isinstance(found, dict) else None
    if not isinstance(listed, list) or not listed:
        raise typer.BadParameter('-d needs {"requests": [{"method": ..., "url": ...}, ...]}')
    for entry in cast("list[Any]", listed):
        try:
            request = cast("dict[str, Any]", entry)
            made.add(
                method_of(request["method"]),
                request["url"],
                request.get("body"),
                id=request.get("id"),
                headers=request.get("headers"),
                group=request.get("atomicityGroup"),
                depends_on=tuple(request.get("dependsOn", ())),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise typer.BadParameter(f"-d has a request that cannot be sent: {error!r}") from None
    return made


def _shown(response: BatchResponse, output: Output) -> Any:
    """A line for each result, or their JSON."""
    if output is Output.TEXT:
        rows = ((plain(result.id), str(result.status_code), result.error) for result in response.results)
        return "\n".join(f"{id}\t{status}\t{plain(str(error)) if error else ''}" for id, status, error in rows)
    shown = [
        {"id": result.id, "status": result.status_code, "body": result.body}
        | ({"error": asdict(result.error)} if result.error else {})
        | ({"monitorUrl": result.monitor_url} if result.monitor_url else {})
        for result in response.results
    ]
    return {"responses": shown}
