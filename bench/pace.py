"""Polls and added wait of clients that keep to the pace they are told: simulated, on a clock that is moved.

300 operations of 30 actions. Each action has its own duration, from 50 ms to 10 minutes in even steps of the logarithm;
its operations take that, a tenth more or less. Those of every other action report progress once a second.
"""

import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from bench.report import Report
from shared.actions.declaration import Action
from shared.model.operation import Operation, Progress, Status
from shared.model.timing import Timing
from shared.operations.durations import Durations
from shared.operations.pacing import Pacing
from tests.support.clock import T0, ManualClock
from tests.support.parts import make_operation

_ACTIONS, _EACH = 30, 10
_SHORTEST, _LONGEST = 0.05, 600.0
_SPREAD = 0.1


@dataclass(frozen=True, slots=True)
class Seen:
    polls: int
    added: float
    """Part of the operation's duration between its end and the poll that finds it."""


Wait = Callable[[Operation, bool], float]
"""Seconds to the next poll of an operation; whether it is the first one."""


def measure(folder: Path, report: Report, *, rounds: int, rivals: bool) -> None:
    seen = adaptive(random.Random(1))
    polls = statistics.median(each.polls for each in seen)
    added = statistics.median(each.added for each in seen)
    report.add({"pace_polls": [polls], "pace_added": [100 * added]})
    print("pace                 polls, median and most    added wait, median and mean")
    for name, found in {
        "adaptive": seen,
        "whole seconds": adaptive(random.Random(1), whole=True),
        "every second": fixed(random.Random(1)),
    }.items():
        counts, parts = [each.polls for each in found], [each.added for each in found]
        median, most = statistics.median(counts), max(counts)
        print(f"{name:<20} {median:>6g} {most:>6} {statistics.median(parts):>16.1%} {statistics.mean(parts):>7.1%}")


def adaptive(chance: random.Random, *, whole: bool = False) -> list[Seen]:
    """As the app proposes it; with `whole` for clients that read `Retry-After` alone."""
    clock, timing, durations = ManualClock(), Timing(), Durations()
    action = SimpleNamespace(has_fixed_pace=False, expected_duration=None)
    actions = {f"a{number}": cast(Action, action) for number in range(_ACTIONS)}
    pacing = Pacing(actions, durations, clock=clock, timing=timing)

    def wait(operation: Operation, is_first: bool) -> float:
        proposed = pacing.first_poll(operation) if is_first else pacing.next_poll(operation)
        seconds = operation.retry_after if proposed is None else proposed
        return max(operation.retry_after, -(-seconds // 1)) if whole else seconds

    return _all(chance, clock, wait, durations.note)


def fixed(chance: random.Random) -> list[Seen]:
    """One poll a second, whatever the operation."""
    return _all(chance, ManualClock(), lambda operation, _: operation.retry_after, lambda *_: None)


def _all(chance: random.Random, clock: ManualClock, wait: Wait, note: Callable[[str, float], None]) -> list[Seen]:
    steps = [_SHORTEST * (_LONGEST / _SHORTEST) ** (number / (_ACTIONS - 1)) for number in range(_ACTIONS)]
    work = [number for number in range(_ACTIONS) for _ in range(_EACH)]
    chance.shuffle(work)
    seen: list[Seen] = []
    for number in work:
        seconds = steps[number] * chance.uniform(1 - _SPREAD, 1 + _SPREAD)
        seen.append(_one(f"a{number}", seconds, clock, wait, reports=number % 2 == 0))
        note(f"a{number}", seconds)
    return seen


def _one(action: str, seconds: float, clock: ManualClock, wait: Wait, *, reports: bool) -> Seen:
    began = clock.now()
    times: dict[str, Any] = {"created": began, "changed": began, "started": began}
    operation = make_operation(action=action, retry_after=1, **times)
    elapsed, polls = wait(operation, True), 1
    operation = replace(operation, status=Status.RUNNING)
    while elapsed < seconds:
        clock.set_wall_clock(seconds=elapsed - (clock.now() - began).total_seconds())
        if reports and elapsed >= 1:
            told = elapsed // 1
            changed = began + timedelta(seconds=told)
            operation = replace(operation, changed=changed, progress=Progress(percent=100 * told / seconds))
        elapsed += wait(operation, False)
        polls += 1
    clock.set_wall_clock(seconds=(T0 - clock.now()).total_seconds())
    return Seen(polls, (elapsed - seconds) / seconds)
