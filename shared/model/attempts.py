"""What a record keeps of its attempts: the last ten that failed or were lost, and the latest one. Pure.

Written where an attempt begins or ends, never by a heartbeat: about 4 KB.
"""

from datetime import datetime
from enum import StrEnum

from shared.errors import ErrorBody
from shared.frozen import frozen, replace

KEPT = 10
"""Failures and losses that are kept, beside the latest attempt."""

_LONGEST_CODE = 100
_LONGEST_MESSAGE = 200


class AttemptOutcome(StrEnum):
    """How an attempt ended. Words on the wire and in storage, never renamed."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    LOST = "Lost"
    """Its instance went away: its lease ran out."""
    GIVEN_BACK = "GivenBack"
    """Its instance is stopping, or could not load the input: this counts as nothing."""
    CONTINUED = "Continued"
    """Its slice ended on purpose, and another one goes on: this counts as nothing."""
    CANCELED = "Canceled"


_COUNTED = frozenset({AttemptOutcome.FAILED, AttemptOutcome.LOST})


@frozen(kw_only=True)
class AttemptRecord:
    """One attempt, from its claim to its end."""

    number: int
    began: datetime
    instance: str = ""
    """A short hash of the instance that ran it."""
    ended: datetime | None = None
    """For a lost one: when its lease ran out."""
    outcome: AttemptOutcome | None = None
    """None while it runs."""
    code: str = ""
    message: str = ""


Attempts = tuple[AttemptRecord, ...]
"""The oldest first; the last one is the latest, which may still run."""


def begun(attempts: Attempts, number: int, now: datetime, *, instance: str) -> Attempts:
    """With a new attempt at the end; before it what failed or was lost, ten at most."""
    past = tuple(each for each in attempts if each.outcome in _COUNTED)
    return (*past[-KEPT:], AttemptRecord(number=number, began=now, instance=instance))


def ended(attempts: Attempts, now: datetime, outcome: AttemptOutcome, error: ErrorBody | None = None) -> Attempts:
    """With the latest attempt ended; as they were where it has ended before."""
    if not attempts or attempts[-1].outcome is not None:
        return attempts
    code, message = (error.code, error.message) if error else ("", "")
    last = replace(
        attempts[-1],
        ended=now,
        outcome=outcome,
        code=_cut(code, _LONGEST_CODE),
        message=_cut(message, _LONGEST_MESSAGE),
    )
    return (*attempts[:-1], last)


def _cut(text: str, length: int) -> str:
    """The beginning of a text; without halves of surrogate pairs, which nobody can send."""
    return text[:length].encode("utf-8", "replace").decode("utf-8")
