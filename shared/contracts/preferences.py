"""The `Prefer` header (RFC 7240). What cannot be read is ignored and never an error (section 2)."""

import re

from shared.contracts.http import Request

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PREFERENCE = re.compile(
    rf'\s*({_WORD})\s*(?:=\s*({_WORD}|"(?:[^"\\]|\\.)*"))?\s*((?:;(?:[^,"]|"(?:[^"\\]|\\.)*")*)?)\s*'
)
_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"|")*')
_MAX_HEADER = 2048


def preferences(request: Request) -> dict[str, str]:
    """The preferences by lower-case name; one without a value, or with an empty one, has "" (section 2).

    Several header lines arrive joined by commas. The first of one name counts, even if its value is of no use.
    """
    header = request.headers.get("prefer", "")[:_MAX_HEADER]
    found: dict[str, str] = {}
    position = 0
    while position < len(header):
        element = _ELEMENT.match(header, position)
        assert element is not None, "it matches everything"
        if match := _PREFERENCE.fullmatch(element[0]):
            value = match[2] or ""
            if value.startswith('"'):
                value = re.sub(r"\\(.)", r"\1", value[1:-1])
            found.setdefault(match[1].lower(), value)
        position = element.end() + 1
    return found


def wait_seconds(request: Request, *, limit: int) -> int:
    """How long the caller would wait for the end, at most `limit` (section 4.3); 0 for one that does not ask."""
    value = preferences(request).get("wait", "")
    # delta-seconds are digits alone (RFC 9110, "Retry-After"); longer ones are beyond every limit.
    return min(int(value[:9]), limit) if re.fullmatch(r"[0-9]+", value) else 0


def applied(seconds: int) -> dict[str, str]:
    """What was honoured, and how far (section 3)."""
    return {"Preference-Applied": f"wait={seconds}"} if seconds else {}
