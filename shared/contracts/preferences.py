"""The `Prefer` header (RFC 7240). What cannot be read is ignored and never an error (section 2)."""

import re

from shared.contracts.headers import QUOTED, WORD, elements
from shared.contracts.http import Request
from shared.frozen import replace

_PREFERENCE = re.compile(rf'\s*({WORD})\s*(?:=\s*({WORD}|{QUOTED}))?\s*((?:;(?:[^,"]|{QUOTED})*)?)\s*')


def preferences(request: Request) -> dict[str, str]:
    """The preferences by lower-case name; one without a value, or with an empty one, has "" (section 2).

    Several header lines arrive joined by commas. The first of one name counts, even if its value is of no use.
    """
    found: dict[str, str] = {}
    for match in filter(None, map(_PREFERENCE.fullmatch, elements(request.headers.get("prefer", "")))):
        value = match[2] or ""
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        found.setdefault(match[1].lower(), value)
    return found


def wait_seconds(request: Request, *, limit: int) -> int:
    """How long the caller would wait for the end, at most `limit` (section 4.3); 0 for one that does not ask."""
    value = preferences(request).get("wait", "")
    # delta-seconds are digits alone (RFC 9110, "Retry-After"); longer ones are beyond every limit.
    return min(int(value[:9]), limit) if re.fullmatch(r"[0-9]+", value) else 0


def without_wait(request: Request) -> Request:
    """The request with all its preferences but `wait`: a server may honour none (section 2)."""
    kept = [each for each in elements(request.headers.get("prefer", "")) if not _is_wait(each)]
    return replace(request, headers={**request.headers, "prefer": ",".join(kept)})


def _is_wait(element: str) -> bool:
    match = _PREFERENCE.fullmatch(element)
    return match is not None and match[1].lower() == "wait"


def applied(seconds: int) -> dict[str, str]:
    """What was honoured, and how far (section 3)."""
    return {"Preference-Applied": f"wait={seconds}"} if seconds else {}
