"""What the command shows: one JSON object or the result on stdout, everything else on stderr."""

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from io import TextIOWrapper
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from lro_client.errors import LroError
from lro_client.messages import ErrorDetail
from lro_client.model import Snapshot, Status
from lro_client.operation_state import OperationState


def prepare() -> None:
    """Make streams that take everything: letters that their encoding has not, and what is said where one is closed."""
    for name in ("stdout", "stderr"):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as the process
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class Shown(Protocol):
    """Shows looks at an operation as they come."""

    def __call__(self, snapshot: Snapshot) -> None: ...


class Bar(AbstractContextManager["Bar"]):
    """A live bar on a terminal: percent, message, elapsed time."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.fields[word]}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[percent]}", markup=False),
            TextColumn("{task.fields[message]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=False,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        self._task = self._progress.add_task("", total=None, word="Waiting", percent="", message="")
        return self

    def __call__(self, snapshot: Snapshot) -> None:
        assert self._task is not None
        percent = 100.0 if snapshot.status is Status.SUCCEEDED else snapshot.percent
        self._progress.update(
            self._task,
            total=None if percent is None else 100.0,
            completed=percent or 0.0,
            word=plain(snapshot.word or snapshot.status.value),
            percent="" if percent is None else f"{percent:.0f}%",
            message=plain(snapshot.message or ""),
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


class Lines(AbstractContextManager["Lines"]):
    """A line for each change, for pipes and logs."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._last: str | None = None

    def __enter__(self) -> Self:
        return self

    def __call__(self, snapshot: Snapshot) -> None:
        percent = "" if snapshot.percent is None else f" {snapshot.percent:.0f}%"
        message = f" {plain(snapshot.message)}" if snapshot.message else ""
        line = f"{plain(snapshot.word or snapshot.status.value)}{percent}{message}"
        if line != self._last:
            say(f"{time.monotonic() - self._started:6.1f}s  {line}")
            self._last = line

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def progress() -> "Bar | Lines":
    """A bar where somebody watches, lines where nobody does."""
    return Bar(Console(stderr=True)) if sys.stderr.isatty() else Lines()


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
        told: dict[str, Any] = {"code": code, "message": " ".join([message, *getattr(error, "__notes__", ())])}
        if error.status_code:
            told["statusCode"] = error.status_code
        if error.details:
            told["details"] = [detail.raw for detail in error.details]
        shown["error"] = told
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
    elif isinstance(value, str):
        print(value, flush=True)
    else:
        print(_json(value, indent=2), flush=True)


def _json(value: Any, indent: int | None = None) -> str:
    """JSON in ASCII, which every terminal and pipe takes. Python reads NaN and Infinity, which JSON has not: null."""
    read = json.loads(json.dumps(value, default=_unknown), parse_constant=lambda _: None)
    return json.dumps(read, indent=indent)


def _unknown(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": len(value)}
    return str(value)
