"""What a process for handlers does: it imports the app's actions, and runs one handler after the other."""

import asyncio
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from shared import telemetry
from shared.actions.attempt_context import SyncActionContext
from shared.actions.declaration import Action
from shared.actions.registry import discover
from shared.errors import problems
from shared.model.timing import Clock
from shared.operations.process_context import GIVEN, ProcessAttempt, services_in_process
from shared.operations.process_errors import InputMisfit, describe, describe_raised
from shared.operations.process_files import ProcessFiles
from shared.operations.process_frames import Channel, Frame
from shared.operations.process_lines import HandlerLogger, LinesToApp
from shared.operations.process_link import Link, RunLink
from shared.operations.results import declared_json_now
from shared.settings import Settings
from shared.system_clock import SystemClock

_STATM = Path("/proc/self/statm")


def serve(channel: Channel, hello: Mapping[str, Any]) -> None:
    """Run what the app sends, until it goes. `hello` is its first frame's JSON."""
    link = Link(channel)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # pyright: ignore - of io
    lines = LinesToApp(link)
    logging.basicConfig(handlers=[lines], level=hello["log_level"], format="%(message)s")
    clock = SystemClock()
    try:
        actions = discover(import_module(hello["package"])).runnable
        settings = Settings.model_validate(hello["settings"])
    except BaseException as error:
        _mark(hello["mark"])
        link.send("end", error=describe_raised(error))
        raise SystemExit(1) from error
    handlers = _Handlers(link, lines, actions, settings, clock)
    _mark(hello["mark"])
    link.send("ready")
    while True:
        frame, saved = link.jobs.get(), None
        if frame.head["kind"] == "saved":
            frame, saved = link.jobs.get(), from_json(frame.content)
        end, content = handlers.run(frame, saved)
        link.send_progress()
        _mark(hello["mark"])
        link.send("end", content, **end, memory=_memory())


class _Handlers:
    def __init__(
        self, link: Link, lines: LinesToApp, actions: Mapping[str, Action], settings: Settings, clock: Clock
    ) -> None:
        self._link = link
        self._lines = lines
        self._actions = actions
        self._settings = settings
        self._clock = clock

    def run(self, job: Frame, saved: Any) -> tuple[dict[str, Any], bytes]:
        """Its end as the frame has it, and the result as JSON: empty where there is none."""
        try:
            with self._lines.of_run(job.head) as logger:
                return {}, self._result(job, saved, logger)
        except BaseException as error:  # whatever user code raises ends the run, not the process
            return {"error": _described(error)}, b""

    def _result(self, job: Frame, saved: Any, logger: HandlerLogger) -> bytes:
        head = job.head
        action = self._actions.get(head["action"])
        if action is None:
            raise LookupError(
                f"the process does not know {head['action']}: the app's files have changed since the app has started, "
                "or a condition in its modules depends on where they are imported"
            )
        arguments = _arguments(action, job.content, head["input_version"])
        link = RunLink(self._link, head["run"])
        context = self._context(head, saved, link, logger)
        with telemetry.continued(head["traceparent"]):
            value = action.handler(context, *arguments)
            if action.returns_file:
                asyncio.run(ProcessFiles(link).keep(value, check=context.raise_if_canceled))
                return b""
        if action.output is None and value is None:
            return b""
        return declared_json_now(action.output, value, limit=self._settings.max_result_bytes)

    def _context(self, head: Mapping[str, Any], saved: Any, link: RunLink, logger: HandlerLogger) -> SyncActionContext:
        return SyncActionContext(
            services=services_in_process(link, self._settings, self._clock),
            logger=logger,
            deadline=datetime.fromisoformat(head["deadline"]),
            attempt_state=ProcessAttempt(
                link,
                saved=saved,
                time_left=head["time_left"],
                max_step_bytes=self._settings.max_result_bytes,
                clock=self._clock,
            ),
            **{name: head[name] for name in GIVEN},
        )


def _arguments(action: Action, content: bytes, version: int) -> tuple[Any, ...]:
    if action.input_model is None:
        return ()
    try:
        return (action.read_input(content, version),)
    except ValidationError as error:
        raise InputMisfit(problems(error)) from None
    except ValueError as error:
        raise InputMisfit(str(error)) from None


def _described(error: BaseException) -> dict[str, Any]:
    try:
        return describe(error)
    except Exception as other:  # an error's values are anybody's
        return describe_raised(other)


def _memory() -> int:
    """Resident bytes; 0 where the system does not say."""
    with suppress(OSError, ValueError, IndexError):
        return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _mark(mark: str) -> None:
    """Say on both streams that what follows is of another run."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    for number in (1, 2):
        with suppress(OSError):
            os.write(number, f"{mark}\n".encode())
