"""What the command shows: one JSON object or the result on stdout, everything else on stderr."""

import json
import sys
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from lro_client.errors import LroError
from lro_client.model import Snapshot, Status
from lro_client.operation_state import OperationState


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
    """A line for the person."""
    print("".join(c if c.isprintable() or c == "\n" else " " for c in text), file=sys.stderr, flush=True)


def described(
    operation: OperationState[Any] | None, status: str, result: Any = None, error: LroError | None = None
) -> dict[str, Any]:
    """What `--output json` prints: `{id, status, monitorUrl, result?, error?}`."""
    shown: dict[str, Any] = {
        "id": operation.id if operation else None,
        "status": status,
        "monitorUrl": operation.monitor_url if operation else None,
    }
    if result is not None:
        shown["result"] = result
    if error is not None:
        code = error.code or type(error).__name__
        message = (error.error and error.error.message) or error.message
        told: dict[str, Any] = {"code": code, "message": message}
        if error.status_code:
            told["statusCode"] = error.status_code
        if error.details:
            told["details"] = [detail.raw for detail in error.details]
        shown["error"] = told
    return shown


def print_json(value: Any) -> None:
    """One JSON object on stdout. Bytes that are no text are told by their number."""
    print(json.dumps(value, ensure_ascii=False, default=_unknown), flush=True)


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
        print(json.dumps(value, indent=2, ensure_ascii=False, default=_unknown), flush=True)


def _unknown(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": len(value)}
    return str(value)
