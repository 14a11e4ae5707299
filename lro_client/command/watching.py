"""`lro watch`: the operations that a service lists, as they change."""

import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lro_client.client import LroClient
from lro_client.command.listing import Base, Filter, NoHeader, with_list
from lro_client.command.options import LOOK_SECONDS, Access, ApiVersion, Manner, Output, OutputOption, Timeout, flat
from lro_client.command.output import print_json
from lro_client.command.rows import HEADER, cells, print_row
from lro_client.command.running import Exit, Run, begun
from lro_client.errors import WaitCanceled
from lro_client.model import status_of

_COLORS = {"Running": "cyan", "Succeeded": "green", "Failed": "red", "Canceled": "yellow", "Canceling": "yellow"}
Rows = Sequence[dict[str, Any]]


@flat
def watch(
    context: typer.Context,
    base: Base,
    *,
    filter: Filter = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=1000, metavar="NUMBER", help="Operations shown, the newest ones.")
    ] = 20,
    interval: Annotated[
        float, typer.Option("--interval", min=0.2, metavar="SECONDS", help="Time between two looks.")
    ] = 2.0,
    until_ended: Annotated[
        bool, typer.Option("--until-ended", help="Stop, and exit 0, once all that is shown has ended.")
    ] = False,
    no_header: NoHeader = False,
    output: OutputOption = Output.TEXT,
    api_version: ApiVersion = None,
    timeout: Timeout = None,
    access: Access,
) -> None:
    """Watch operations, the newest ones first, until Ctrl-C; exits 4 then.

    On a terminal a table that changes; elsewhere a line for each operation that is new or has changed, and with -o
    json an object a line.
    """
    run = begun(context, Manner(output, timeout))
    shown = _live() if output is Output.TEXT and sys.stdout.isatty() else _changes(output, no_header)

    def work(client: LroClient, url: str) -> Exit:
        with shown as show:
            while True:
                found = _look(client, run, url, filter, limit)
                if found is None:
                    return Exit.TIMED_OUT
                show(found)
                if until_ended and all(status_of(str(item.get("status"))).is_terminal for item in found):
                    return Exit.SUCCEEDED
                if not _rested(run, interval):
                    return Exit.TIMED_OUT

    with_list(run, base, work, api_version, access)


def _look(client: LroClient, run: Run, url: str, filter: str | None, limit: int) -> Rows | None:
    """The newest operations; None where the command is to stop."""
    left = LOOK_SECONDS if run.left is None else min(run.left, LOOK_SECONDS)
    if not left:
        return None
    try:
        pages = client.operations(url, filter=filter, top=limit, timeout=left, cancellation=run.token)
        return list(islice(pages, limit))
    except WaitCanceled:
        return None


def _rested(run: Run, seconds: float) -> bool:
    """Sleep between two looks; False where the command is to stop."""
    woken = threading.Event()
    forget = run.token.on_cancel(woken.set)
    try:
        left = run.left
        is_last = left is not None and left <= seconds
        return not run.clock.wait(woken, seconds if left is None else min(left, seconds)) and not is_last
    finally:
        forget()


@contextmanager
def _changes(output: Output, no_header: bool) -> Generator[Callable[[Rows], None]]:
    seen: dict[str, list[str]] = {}
    if output is Output.TEXT and not no_header:
        print_row(HEADER)

    def show(found: Rows) -> None:
        # Oldest first, as things happen.
        for item in reversed(found):
            values = cells(item)
            if seen.get(values[0]) == values:
                continue
            if output is Output.JSON:
                print_json(item)
            else:
                print_row(values)
        # What is no longer among the newest is forgotten: a watch may go on for weeks.
        seen.clear()
        seen.update({values[0]: values for values in map(cells, found)})

    yield show


@contextmanager
def _live() -> Generator[Callable[[Rows], None]]:
    with Live(console=Console(), auto_refresh=False) as live:
        yield lambda found: live.update(_as_table(found), refresh=True)


def _as_table(found: Rows) -> Table:
    table = Table(*HEADER, box=None, pad_edge=False, header_style="bold")
    for item in found:
        id, status, *others = cells(item)
        table.add_row(Text(id), Text(status, _COLORS.get(status.partition(" ")[0], "")), *map(Text, others))
    return table
