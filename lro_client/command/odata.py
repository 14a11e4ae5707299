"""`lro odata`: actions and batches of an OData 4 service."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, cast

import typer

from lro_client.command.following import Exit, Manner, Output, guarded
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
from lro_client.command.output import plain, print_json
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
    identity: Identity = False,
    scope: Scope = None,
    allow_origin: AllowOrigin = None,
) -> None:
    """Send the batch in -d ({"requests": [...]}) asynchronously, wait for it and print its results.

    Exits 0 when the batch was done, whatever became of its requests.
    """
    manner = Manner(output, timeout, interval)
    requests = _batch(json_of(data), continue_on_error)

    def work(client: ODataClient) -> Exit:
        response = client.execute_batch_and_wait(
            requests, format="multipart" if multipart else "json", timeout=timeout, poll_interval=interval
        )
        _print(response, manner)
        return Exit.SUCCEEDED

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


def _print(response: BatchResponse, manner: Manner) -> None:
    if manner.output is Output.TEXT:
        for result in response.results:
            print(f"{plain(result.id)}\t{result.status_code}\t{plain(str(result.error)) if result.error else ''}")
        return
    shown = [
        {"id": result.id, "status": result.status_code, "body": result.body}
        | ({"error": asdict(result.error)} if result.error else {})
        for result in response.results
    ]
    print_json({"status": "Succeeded", "result": {"responses": shown}})


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
