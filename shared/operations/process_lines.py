"""The log lines of a process for handlers: written by the app, each about the operation whose code has logged it."""

import logging
import threading
from collections.abc import Generator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

from shared.operations.process_frames import MAX_TEXT
from shared.operations.process_link import Link

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What every record of a log line has."""

_MAX_FIELDS = 20
"""Of its own."""

_RUN = "handler_run"
"""The field of a record that has the run it is of, where the logger knows."""

_SHOWN = ("run", "operation_id", "action", "attempt")
"""What the app is told of a run that may be over."""

_current: ContextVar[Mapping[str, Any] | None] = ContextVar("handler_run", default=None)


class HandlerLogger(logging.LoggerAdapter[logging.Logger]):
    """A context's: its lines are of the context's run, in any thread and at any time. It leaves the text as it is: the
    app says whose it is."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, {**kwargs, "extra": {**(kwargs.get("extra") or {}), _RUN: self.extra}}


class LinesToApp(logging.Handler):
    """Has log lines written by the app, and says which run each is of."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link
        self._run: Mapping[str, Any] | None = None
        self._older = WeakSet[threading.Thread]()
        """Threads that were there before the run."""

    @contextmanager
    def of_run(self, head: Mapping[str, Any]) -> Generator[HandlerLogger]:
        """Lines are of this run from now on, but for those of threads that were there before: they are of nobody, if
        neither their logger nor their context knows more. The logger is that of the run's context."""
        self._run = {name: head[name] for name in _SHOWN}
        self._older = WeakSet(threading.enumerate())
        ours = _current.set(self._run)
        try:
            yield HandlerLogger(logging.getLogger("shared.actions.handler"), self._run)
        finally:
            _current.reset(ours)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)[:MAX_TEXT]
            fields = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
            run = fields.pop(_RUN, None) or self._run_here()
            extra = {name[:100]: _field(fields[name]) for name in list(fields)[:_MAX_FIELDS]}
            self._link.send("log", level=record.levelno, name=record.name[:200], text=text, extra=extra, of=run)
        except Exception:
            self.handleError(record)

    def _run_here(self) -> Mapping[str, Any] | None:
        """That of the code which logs a line; None where nobody knows."""
        of_nobody = threading.current_thread() in self._older
        return _current.get() or (None if of_nobody else self._run)


def _field(value: Any) -> str | int | float | bool:
    return value if isinstance(value, int | float | bool) else str(value)[:200]
