"""What the command shows: one JSON object or the result on stdout, everything else on stderr."""

import json
import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import TextIOWrapper
from typing import Any, Literal, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from lro_client.clock import Clock
from lro_client.errors import LroError
from lro_client.model import Snapshot, Status
from lro_client.operation import OperationState
from lro_client.reasons import ErrorDetail


def prepare() -> None:
    """Make streams that take everything: letters that their encoding has not, and what is said where one is closed."""
    for name in ("stdout", "stderr"):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as the process
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


Shown = Callable[[Snapshot], None]
"""Shows looks at an operation as they come."""


@contextmanager
def bar(clock: Clock) -> Generator[Shown]:
    """A live bar on a terminal: percent, message, elapsed time."""
    columns = (
        TextColumn("{task.fields[word]}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[percent]}", markup=False),
        TextColumn("{task.fields[message]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=False, get_time=clock.monotonic) as progress:
        task = progress.add_task("", total=None, word="Waiting", percent="", message="")

        def show(snapshot: Snapshot) -> None:
            percent = 100.0 if snapshot.status is Status.SUCCEEDED else snapshot.percent
            progress.update(
                task,
                total=None if percent is None else 100.0,
                completed=percent or 0.0,
                word=plain(snapshot.word or snapshot.status.value),
                percent="" if percent is None else f"{percent:.0f}%",
                message=plain(snapshot.message or ""),
            )

        yield show


@contextmanager
def lines(clock: Clock) -> Generator[Shown]:
    """A line for each change, for pipes and logs."""
    started = clock.monotonic()
    last = ""

    def show(snapshot: Snapshot) -> None:
        nonlocal last
        line = one_line(snapshot)
        if line != last:
            say(f"{clock.monotonic() - started:6.1f}s  {line}")
            last = line

    yield show


def progress(clock: Clock) -> AbstractContextManager[Shown]:
    """A bar where somebody watches, lines where nobody does."""
    return bar(clock) if sys.stderr.isatty() else lines(clock)


def one_line(snapshot: Snapshot) -> str:
    """The state as a line: word, percent, message."""
    parts = [plain(snapshot.word or snapshot.status.value)]
    parts += [] if snapshot.percent is None else [f"{snapshot.percent:.0f}%"]
    return " ".join([*parts, *([plain(snapshot.message)] if snapshot.message else [])])


def plain(text: str) -> str:
    """Text of the service without what a terminal would obey."""
    return "".join(character if character.isprintable() else " " for character in text)[:500]


def say(text: str) -> None:
    """A line for the person. One that cannot be written is lost: what is done matters more than what is said of it."""
    try:
        print("".join(c if c.isprintable() or c == "\n" else " " for c in text), file=sys.stderr, flush=True)
    except OSError:
        silence("stderr")


def reasons(details: Iterable[ErrorDetail], indent: str = "  ") -> Iterator[str]:
    """A line for each part of an error, `CODE at TARGET: MESSAGE` as far as it has them; its own parts follow it."""
    for detail in details:
        where = " at ".join(plain(part) for part in (detail.code, detail.target) if part)
        yield indent + (
            ": ".join(part for part in (where, plain(detail.message or "")) if part) or "no reason was given"
        )
        yield from reasons(detail.details, indent + "  ")


def silence(name: Literal["stdout", "stderr"]) -> None:
    """Drop what is written there from now on, so that Python does not complain at its end of what it still holds."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), getattr(sys, name).fileno())


def known(operation: OperationState[Any] | None) -> Status | None:
    """The status as it was seen last; None where nobody has looked yet."""
    return operation.status if operation is not None and operation.response.status_code else None


def described(
    operation: OperationState[Any] | None, status: Status | None, result: Any = None, error: LroError | None = None
) -> dict[str, Any]:
    """What `--output json` prints: `{id, status, monitorUrl, result?, error?}`."""
    shown: dict[str, Any] = {
        "id": operation.id if operation else None,
        "status": status,
        "monitorUrl": operation.monitor_url if operation else error and error.monitor_url,
    }
    if result is not None:
        shown["result"] = result
    if error is not None:
        code = error.code or type(error).__name__
        message = (error.error and error.error.message) or error.message
        reason: dict[str, Any] = {"code": code, "message": " ".join([message, *getattr(error, "__notes__", ())])}
        if error.status_code:
            reason["statusCode"] = error.status_code
        if error.details:
            reason["details"] = [detail.raw for detail in error.details]
        shown["error"] = reason
    return shown


def print_json(value: Any) -> None:
    """One JSON object on stdout. Bytes that are no text are told by their number."""
    print(_json(value), flush=True)


def print_result(value: Any) -> None:
    """A result for a person or a pipe: JSON is laid out, text and bytes are written as they are."""
    if value is None:
        return
    if isinstance(value, bytes):
        sys.stdout.buffer.write(value)
        sys.stdout.flush()
    else:
        print(value if isinstance(value, str) else _json(value, indent=2), flush=True)


def printed(value: Any) -> bytes:
    """What a file of a result holds that is none itself."""
    if isinstance(value, bytes):
        return value
    if value is None:
        return b""
    return f"{value if isinstance(value, str) else _json(value, indent=2)}\n".encode()


def _json(value: Any, indent: int | None = None) -> str:
    """JSON in ASCII, which every terminal and pipe takes. Python reads NaN and Infinity, which JSON has not: null."""
    read = json.loads(json.dumps(value, default=_unknown), parse_constant=lambda _: None)
    return json.dumps(read, indent=indent)


def _unknown(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": len(value)}
    return str(value)
