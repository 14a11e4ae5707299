"""How long, how often, and what counts: the policies a declaration can carry."""

import math
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypedDict

from shared.actions.parameters import RETRY_AFTER, TRUTH, Rule, checked_fields, is_count
from shared.errors import DeclarationError

Duration = str | timedelta
"""`"90s"`, `"5m"`, `"1h30m"`, `"7d"`, `"500ms"`, or a timedelta."""

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_LONGEST = timedelta(days=36_525)
"""A hundred years: a time so far away can still be written."""

_STEEPEST = 1000


def duration(value: Duration, *, what: str, or_none: bool = False) -> timedelta:
    """Read a duration greater than zero, or `or_none`, of a hundred years at most; `what` names it in the error."""
    if isinstance(value, timedelta):
        length = value
    else:
        if not re.fullmatch(rf"(?:{_PART.pattern})+", value):
            raise DeclarationError(f"{what} is {value!r}: write a duration such as '90s', '5m', '1h30m' or '7d'")
        seconds = sum(float(n) * _UNITS[unit] for n, unit in _PART.findall(value))
        length = timedelta(seconds=min(seconds, _LONGEST.total_seconds() + 1))
    if length < timedelta(0) or not (length or or_none):
        raise DeclarationError(f"{what} is {value!r}: it must be longer than zero")
    if length > _LONGEST:
        raise DeclarationError(f"{what} is {value!r}: it must be a hundred years at most")
    return length


def is_duration(value: Any) -> bool:
    """Whether `duration` reads it."""
    if not isinstance(value, str | timedelta):
        return False
    try:
        duration(value, what="it")
    except DeclarationError:
        return False
    return True


DURATION = Rule("a duration longer than zero", ('"5m"', '"1h30m"', "timedelta(minutes=5)"), is_duration)


def write_duration(length: timedelta) -> str:
    """The short form used in messages, e.g. `9m` or `1h30m`."""
    seconds = int(length.total_seconds())
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _is_growth(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return not math.isnan(value) and 1 <= value <= _STEEPEST


@checked_fields(
    max_attempts=Rule("a whole number of attempts, at least 1", ("3",), is_count),
    delay=DURATION,
    backoff=Rule(f"a number from 1 to {_STEEPEST}", ("2.0",), _is_growth),
    max_delay=DURATION,
)
@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Try again after an unexpected exception, a time-out, or `ActionFailed(retryable=True)`.

    A lost instance is no failure: `max_lost` counts those. The n-th wait is `delay * backoff ** (n - 1)`, at most
    `max_delay`. Raises DeclarationError.
    """

    max_attempts: int = 3
    delay: Duration = "5s"
    backoff: float = 2.0
    max_delay: Duration = "5m"

    def wait_after(self, failures: int) -> timedelta:
        """How long to wait after the given number of failures (1 for the first)."""
        longest = duration(self.max_delay, what="max_delay").total_seconds()
        first = duration(self.delay, what="delay").total_seconds()
        # The exponent is bounded so that a large number of attempts cannot overflow.
        return timedelta(seconds=min(longest, first * self.backoff ** min(failures - 1, 64)))


Isolation = Literal["thread", "process"]
"""Of a `def` handler: a thread of the app's process, or a process of its own, which can be ended."""

NO_RETRY = Retry(max_attempts=1)


class Policies(TypedDict, total=False):
    """What every action may be declared with, whatever its profile. `Action.declared` has the defaults."""

    timeout: Duration
    """What one attempt may take."""
    retry: Retry | int
    """A number is that of the attempts."""
    max_lost: int
    """Lost attempts, after which the operation is given up: the last one of so many ends it."""
    deadline: Duration
    """What the operation may take in all, over all its attempts and waits."""
    at_most_once: bool
    """Never run the handler again, also where its instance was lost."""
    keep: Duration
    """How long the record stays after the end."""
    expected_duration: Duration
    """What the operation takes as a rule, from its start to its end: clients are told to poll then."""
    isolation: Isolation
    """Where a `def` handler runs."""
    grace: Duration
    """What one in a process has to stop, once it is canceled or its time is up; then the process is ended."""


class PollingPolicies(Policies, total=False):
    """Policies of the profiles that declare the pace of polls here; ARM has it in its header models."""

    retry_after: int
    """Seconds that clients wait between polls, however long the operation takes."""


DEFAULT_MAX_LOST = 5
DEFAULT_GRACE = timedelta(seconds=5)

POLICY_RULES = {
    "timeout": DURATION,
    "retry": Rule(
        "a retry policy", ("3", "Retry(max_attempts=3)"), lambda value: isinstance(value, Retry) or is_count(value)
    ),
    "max_lost": Rule("a whole number of lost attempts, at least 1", ("5",), is_count),
    "at_most_once": TRUTH,
    "deadline": DURATION,
    "keep": DURATION,
    "expected_duration": DURATION,
    "isolation": Rule("where a handler runs", ('"thread"', '"process"'), lambda value: value in ("thread", "process")),
    "grace": DURATION,
}
POLLING_RULES = {**POLICY_RULES, "retry_after": RETRY_AFTER}


def retry_policy(value: Retry | int) -> Retry:
    """The policy that a declaration means."""
    return value if isinstance(value, Retry) else Retry(max_attempts=value)


def lost_limit(policies: Policies, where: str) -> int:
    """The `max_lost` that a declaration means. Raises DeclarationError where its policies contradict each other."""
    if not policies.get("at_most_once", False):
        return policies.get("max_lost", DEFAULT_MAX_LOST)
    if retry_policy(policies.get("retry", NO_RETRY)).max_attempts > 1:
        raise DeclarationError(f"{where}: at_most_once=True and retry contradict each other; leave one of them out")
    if "max_lost" in policies:
        raise DeclarationError(f"{where}: at_most_once=True and max_lost contradict each other; leave one of them out")
    return 1


def isolation_of(policies: Policies, where: str, *, is_async: bool) -> tuple[Isolation, timedelta]:
    """Where the handler runs, and its grace there. Raises DeclarationError where that does not fit the handler."""
    isolation = policies.get("isolation", "thread")
    if is_async and "isolation" in policies:
        raise DeclarationError(
            f"{where}: isolation is for a `def` handler: an `async def` runs on the event loop; write `def`, with "
            "`context: SyncActionContext`, or leave isolation out"
        )
    if "grace" in policies and isolation != "process":
        raise DeclarationError(f'{where}: grace is for isolation="process": nothing else can be ended; leave it out')
    grace = policies.get("grace", DEFAULT_GRACE)
    return isolation, duration(grace, what=f"grace of {where}")
