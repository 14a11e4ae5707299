"""A file in which handlers write down when they begin and end, and what has to be true of its lines."""

import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from shared.actions import AttemptContext
from shared.operations.process_context import ProcessAttempt


class Line(NamedTuple):
    """`word`: began, ended, failed, stopped. `pid`: of the app. `at`: seconds since the epoch."""

    id: str
    attempt: int
    word: str
    pid: int
    at: float


def note(log: Path, context: AttemptContext, word: str) -> None:
    """Append a line, in one system call: a process that is killed leaves it whole or not at all."""
    # A process for handlers does not outlive the app that has made it.
    pid = os.getppid() if isinstance(context.attempt_state, ProcessAttempt) else os.getpid()
    line = {"id": context.operation_id, "attempt": context.attempt, "word": word, "pid": pid, "at": time.time()}
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, f"{json.dumps(line)}\n".encode())
    finally:
        os.close(file)


def lines_of(log: Path) -> list[Line]:
    if not log.exists():
        return []
    return [Line(**json.loads(text)) for text in log.read_text().splitlines()]


_TO_SETTLE = 15
"""Seconds from a handler's return to the stored end of its operation, on the busiest machine."""


def check_attempts(lines: Iterable[Line], ids: Iterable[str], killed: Mapping[int, float]) -> None:
    """Each operation's handler returned once, its attempts have numbers that grow, and no two of them ran at a time.

    `killed`: when which process was killed; its attempts ran no longer than that. A handler that had returned when its
    process was killed, before that was stored, runs again.
    """
    by_id: dict[str, list[Line]] = {each: [] for each in ids}
    for line in lines:
        if line.id in by_id:
            by_id[line.id].append(line)
    for each, own in by_id.items():
        returned = [line for line in own if line.word == "ended"]
        assert returned, (each, own)
        assert all(0 <= killed.get(line.pid, 0) - line.at < _TO_SETTLE for line in returned[:-1]), (each, own)
        begun = [line.attempt for line in own if line.word == "began"]
        assert begun == sorted(set(begun)), (each, own)
        _check_one_at_a_time(own, killed)


def _check_one_at_a_time(own: Iterable[Line], killed: Mapping[int, float]) -> None:
    """Lines of one operation."""
    under_way: Line | None = None
    for line in own:
        if line.word == "began":
            assert under_way is None or killed.get(under_way.pid, line.at + 1) <= line.at, (under_way, line)
            under_way = line
        else:
            under_way = None
