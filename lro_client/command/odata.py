"""`lro odata`: actions and batches of an OData 4 service."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, cast

import typer

from lro_client.command.following import Exit, Manner, Output, follow, guarded, save
from lro_client.command.options import (
    AllowOrigin,
    CancelOnInterrupt,
    Data,
    Header,
    Identity,
    Interval,
    OutputOption,
    SaveToken,
    Scope,
    Timeout,
    Wait,
    headers_of,
    json_of,
)
from lro_client.command.output import plain
from lro_client.command.settings import credential_options, environment
from lro_client.command.starting import checked, started
from lro_client.odata import ODataClient
from lro_client.odata_batch import Batch, BatchResponse

app = typer.Typer(help="Call actions and send batches, preferring an asynchronous answer.", no_args_is_help=True,
                  rich_markup_mode=None)  # fmt: skip

Root = Annotated[str, typer.Argument(metavar="ROOT", help="The service root.")]
Prefer = Annotated[
    int | None, typer.Option("--prefer-wait", min=0, help="Seconds that the service may take to answer at once.")
]


@app.command()
def call(
    root: Root,
    name: Annotated[str, typer.Argument(metavar="ACTION", help="Its path below the root.")],
    *,
    data: Data = None,
    header: Header = None,
    prefer_wait: Prefer = None,
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
    """Call an action with the parameters in -d."""
    manner = Manner(output, timeout, interval, save_token, cancel_on_interrupt)
    parameters = json_of(data)
    headers = headers_of(header, has_body=False)

    def work(client: ODataClient) -> Exit:
        called = client.call_action(name, parameters, headers=headers, wait=prefer_wait, timeout=timeout)
        return started(called.either, manner, wait=wait)

    _with_client(root, manner, work, identity=identity, scope=scope, allow_origin=allow_origin)


@app.command()
def batch(
    root: Root,
    *,
    data: Data = None,
    multipart: Annotated[bool, typer.Option("--multipart", help="Send it as multipart/mixed, not as JSON.")] = False,
    continue_on_error: Annotated[bool, typer.Option("--continue-on-error")] = False,
    output: OutputOption = Output.TEXT,
    timeout: Timeout = None,
    interval: Interval = None,
    save_token: SaveToken = None,
    cancel_on_interrupt: CancelOnInterrupt = False,
    identity: Identity = False,
    scope: Scope = None,
    allow_origin: AllowOrigin = None,
) -> None:
    """Send the batch in -d ({"requests": [...]}) asynchronously, wait for it and print its results.

    Exits 0 when the batch was done, whatever became of its requests.
    """
    manner = Manner(output, timeout, interval, save_token, cancel_on_interrupt)
    requests = _batch(json_of(data), continue_on_error)

    def work(client: ODataClient) -> Exit:
        called = client.execute_batch(
            requests, format="multipart" if multipart else "json", timeout=timeout, poll_interval=interval
        )
        if called.is_async and save_token is not None:
            save(called.operation, save_token)

        def finish(response: BatchResponse) -> Any:
            return _shown(client.rest_of_batch(response, timeout=timeout, poll_interval=interval), output)

        return follow(called.either, manner, finish)

    _with_client(root, manner, work, identity=identity, scope=scope, allow_origin=allow_origin)


def _batch(found: Any, continue_on_error: bool) -> Batch:
    made = Batch(continue_on_error=continue_on_error)
    listed: Any = cast("dict[str, Any]", found).get("requests") if isinstance(found, dict) else None
    if not isinstance(listed, list) or not listed:
        raise typer.BadParameter('-d needs {"requests": [{"method": ..., "url": ...}, ...]}')
    for entry in cast("list[Any]", listed):
        try:
            request = cast("dict[str, Any]", entry)
            made.add(
                request["method"],
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


def _with_client(
    root: str,
    manner: Manner,
    work: Callable[[ODataClient], Exit],
    *,
    identity: bool,
    scope: str | None,
    allow_origin: list[str] | None,
) -> None:
    credential: dict[str, Any] = credential_options(environment(), identity=identity, scope=scope)
    allowed = checked(root, allow_origin)

    def opened() -> Exit:
        with ODataClient(root, allowed_origins=allowed, **credential) as client:
            return work(client)

    raise typer.Exit(int(guarded(opened, manner)))
