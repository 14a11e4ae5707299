"""Times as they are stored and sent."""

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=512)  # the times of a record are written again and again: in rows, in keys, in answers
def write_time(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds: sorts as text."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return f"{moment.isoformat(timespec='microseconds')[:-6]}Z"


def read_time(text: str) -> datetime:
    """Inverse of `write_time`: aware. Raises ValueError."""
    return datetime.fromisoformat(text)
