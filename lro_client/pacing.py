"""How long to wait before asking again. Seconds everywhere; randomness comes in as an argument."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from lro_client.messages import Headers

TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
"""Status codes after which the same request may well be answered: those that azure-core retries, 425 (RFC 8470), and
what content delivery networks say of a service that they do not reach."""

NOT_TAKEN = frozenset({425, 429, 503})
"""Status codes that say that a request was not taken up, so that any may be sent again."""

SHORTEST = 0.2
"""No server gets more than five polls a second of one operation, even if it says `Retry-After: 0`."""

LONGEST = 600.0
"""A server that says "in a year" is asked again after ten minutes: ARM's own upper bound."""


_NUMBERS = re.compile(r"(?<![^,\s])[0-9]+(?:\.[0-9]+)?(?=\s*(?:,|$))")


@dataclass(frozen=True, slots=True)
class Pace:
    """The time between polls where the server names none: it grows from `first` to `longest`, give or take `jitter`."""

    first: float = 1.0
    factor: float = 1.5
    longest: float = 30.0
    jitter: float = 0.2

    def delay(self, polls: int, random: Callable[[], float]) -> float:
        """Seconds after the given number of polls. `random` gives 0 to 1."""
        middle = min(self.longest, self.first * self.factor ** min(polls, 64))
        return middle * (1 + self.jitter * (2 * random() - 1))


@dataclass(frozen=True, slots=True)
class Retries:
    """How often one request is sent before it is given up, and the time between: doubling, give or take a fifth.

    A start is given up after `starts`: there is nothing yet that could be lost.
    """

    attempts: int = 6
    starts: int = 4
    first: float = 0.8
    longest: float = 30.0

    def delay(self, failures: int, random: Callable[[], float]) -> float:
        """Seconds after the given number of failures, which is 1 at least."""
        middle = min(self.longest, self.first * 2 ** min(failures - 1, 64))
        return middle * (0.8 + 0.4 * random())


def retry_after(headers: Headers, now: datetime) -> float | None:
    """What the server asks for, in seconds from now: `retry-after-ms`, `x-ms-retry-after-ms`, `Retry-After`.

    Integer, float and HTTP-date are read (RFC 9110, section 10.2.3; floats occur). A date that has passed is 0, and
    None is what cannot be read: a poller must not stumble over it. Where a gateway has added a second header the longer
    time counts. Never more than `LONGEST`.
    """
    for name, unit in (("retry-after-ms", 0.001), ("x-ms-retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name)
        if text is not None:
            seconds = _seconds(text.strip(), unit, now)
            if seconds is not None:
                return min(seconds, LONGEST)
    return None


def _seconds(text: str, unit: float, now: datetime) -> float | None:
    if "," in text and unit == 1.0 and (parts := [_seconds(part, unit, now) for part in _NUMBERS.findall(text)]):
        return max(filter(None, parts), default=0.0)
    try:
        number = float(text)
    except ValueError:
        return _until(text, now) if unit == 1.0 else None
    # "1_000" and "infinity" are floats to Python, but not to HTTP.
    usable = math.isfinite(number) and number >= 0 and "_" not in text
    return number * unit if usable else None


def _until(text: str, now: datetime) -> float | None:
    try:
        then = parsedate_to_datetime(text)
        then = then if then.tzinfo else then.replace(tzinfo=UTC)
        return max(0.0, (then - now).total_seconds())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
