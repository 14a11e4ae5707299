"""How long, how often, and what counts: the policies a declaration can carry."""

import re
from dataclasses import dataclass
from datetime import timedelta

from shared.errors import DeclarationError

Duration = str | timedelta
"""`"90s"`, `"5m"`, `"1h30m"`, `"7d"`, `"500ms"`, or a timedelta."""

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def duration(value: Duration, *, what: str) -> timedelta:
    """Read a duration greater than zero; `what` names it in the error."""
    if isinstance(value, timedelta):
        length = value
    else:
        if not re.fullmatch(rf"(?:{_PART.pattern})+", value):
            raise DeclarationError(f"{what} is {value!r}: write a duration such as '90s', '5m', '1h30m' or '7d'")
        length = timedelta(seconds=sum(float(n) * _UNITS[unit] for n, unit in _PART.findall(value)))
    if length <= timedelta(0):
        raise DeclarationError(f"{what} is {value!r}: it must be longer than zero")
    return length


def write_duration(length: timedelta) -> str:
    """The short form used in messages, e.g. `9m` or `1h30m`."""
    seconds = int(length.total_seconds())
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Try again after an unexpected exception, a time-out, a lost instance, or `ActionFailed(retryable=True)`.

    The n-th wait is `delay * backoff ** (n - 1)`, at most `max_delay`.
    """

    max_attempts: int = 3
    delay: Duration = "5s"
    backoff: float = 2.0
    max_delay: Duration = "5m"

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise DeclarationError(f"max_attempts is {self.max_attempts}: at least one attempt is made")
        if self.backoff < 1:
            raise DeclarationError(f"backoff is {self.backoff}: waits may grow or stay, so it is at least 1")
        duration(self.delay, what="delay")
        duration(self.max_delay, what="max_delay")

    def wait_after(self, failures: int) -> timedelta:
        """How long to wait after the given number of failures (1 for the first)."""
        longest = duration(self.max_delay, what="max_delay").total_seconds()
        first = duration(self.delay, what="delay").total_seconds()
        # The exponent is bounded so that a large number of attempts cannot overflow.
        return timedelta(seconds=min(longest, first * self.backoff ** min(failures - 1, 64)))


NO_RETRY = Retry(max_attempts=1)
