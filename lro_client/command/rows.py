"""Operations as rows: a header line, then a row each. Aligned on a terminal, with tabs in a pipe."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from lro_client.command.output import plain

_COLUMNS = (("ID", "id", 36), ("STATUS", "status", 10), ("KIND", "kind", 24), ("CREATED", "createdDateTime", 27))
HEADER = tuple(title for title, _, _ in _COLUMNS)


def cells(item: Mapping[str, Any]) -> list[str]:
    """What the columns show of an operation; `-` is what the service does not say."""
    found = [item.get(name) for _, name, _ in _COLUMNS]
    shown = ["-" if value is None else plain(str(value)) for value in found]
    percent: Any = item.get("percentComplete")
    if isinstance(percent, int | float) and item.get("status") == "Running":
        shown[1] = f"Running {percent:.0f}%"
    return shown


def print_row(values: Sequence[str]) -> None:
    """One line on stdout."""
    if sys.stdout.isatty():
        line = "  ".join(f"{value:{width}}" for value, (_, _, width) in zip(values, _COLUMNS, strict=True)).rstrip()
    else:
        line = "\t".join(values)
    print(line, flush=True)
