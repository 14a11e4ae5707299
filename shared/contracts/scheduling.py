"""When the first attempt is to begin at the earliest: `Operation-Not-Before: 2026-12-24T18:00:00+01:00`."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from shared.errors import RequestError
from shared.model.operation import Operation
from shared.model.times import write_time

HEADER = "Operation-Not-Before"

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
"""RFC 3339, section 5.6."""
_FRACTION = re.compile(r"(\.\d{6})\d+")


def not_before(headers: Mapping[str, str]) -> datetime | None:
    """The time that a request names, None where it names none; raises RequestError 400 InvalidNotBefore."""
    text = headers.get(HEADER.lower())
    if text is None:
        return None
    if _DATE_TIME.fullmatch(text.strip()):
        try:
            # Python reads six digits of a second, and upper-case letters.
            return datetime.fromisoformat(_FRACTION.sub(r"\1", text.strip().upper())).astimezone(UTC)
        except (ValueError, OverflowError):
            pass  # A day that no month has, or a year before the first.
    raise refused("is a date-time of RFC 3339 with an offset, such as 2026-12-24T18:00:00+01:00")


def waiting_json(operation: Operation) -> dict[str, str]:
    """Of a monitor: the time that the start has named, and since when the next attempt waits for what."""
    body: dict[str, str] = {}
    if operation.scheduled is not None:
        body["notBefore"] = write_time(operation.scheduled)
    if operation.waiting_for and operation.waiting_since is not None:
        body |= {"waitingFor": operation.waiting_for, "waitingSince": write_time(operation.waiting_since)}
    return body


def refuse_not_before(headers: Mapping[str, str], why: str) -> None:
    """Raise RequestError 400 where a request names a time that nothing could follow."""
    if not_before(headers) is not None:
        raise refused(why)


def refused(why: str) -> RequestError:
    return RequestError(400, "InvalidNotBefore", f"{HEADER} {why}.", target=HEADER)
