"""Inline route constraints of ASP.NET Core: `{id:guid}`, `{n:range(1,12)}`, `{x:regex(^a+$)}`.

Source: "Routing in ASP.NET Core", section "Route constraints", and the DefaultInlineConstraintResolver's table.
Values are read in the invariant culture.
"""

import re
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

Constraint = Callable[[str], bool]
"""Whether a decoded route value fits."""

_INT = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
_DECIMAL = re.compile(r"\s*[+-]?(\d{1,3}(,\d{3})*|\d+)?(\.\d*)?\s*", re.ASCII)
_FLOAT = re.compile(r"\s*[+-]?((\d[\d,]*)?\.?\d*([eE][+-]?\d+)?|NaN|Infinity|∞)\s*", re.ASCII)
_GUID = re.compile(r"\{?[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}\}?|\([0-9a-f-]{36}\)|[0-9a-f]{32}", re.I)
_DATES = ("%Y-%m-%d", "%m/%d/%Y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M")


def constraint(text: str) -> Constraint:
    """`length(3,5)` -> a predicate; ValueError for a name or argument the resolver does not know."""
    name, _, rest = text.partition("(")
    if rest and not rest.endswith(")"):
        raise ValueError(f"the constraint '{text}' lacks its ')'")
    argument = rest[:-1]
    key = name.lower()
    if key in _PLAIN and not argument:
        return _PLAIN[key]
    if key == "regex" and argument:
        return _regex(argument)
    if key in _NUMERIC:
        try:
            numbers = [int(piece) for piece in argument.split(",")]
            return _NUMERIC[key](*numbers)
        except (ValueError, TypeError) as error:
            raise ValueError(f"the constraint '{text}' needs whole numbers as its argument") from error
    raise ValueError(f"the constraint '{text}' is unknown")


def _integer(low: int, high: int) -> Constraint:
    return lambda value: _INT.fullmatch(value) is not None and low <= int(value) <= high


def _min(low: int) -> Constraint:
    return _integer(low, 2**63 - 1)


def _max(high: int) -> Constraint:
    return _integer(-(2**63), high)


def _min_length(low: int) -> Constraint:
    return lambda value: len(value) >= low


def _max_length(high: int) -> Constraint:
    return lambda value: len(value) <= high


def _length(low: int, high: int | None = None) -> Constraint:
    upper = low if high is None else high
    return lambda value: low <= len(value) <= upper


def _regex(argument: str) -> Constraint:
    """.NET's search, ignoring case; named groups are the one common construct Python spells differently."""
    try:
        pattern = re.compile(re.sub(r"\(\?<(?=[A-Za-z_])", "(?P<", argument), re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"the regular expression '{argument}' is not valid: {error}") from error
    return lambda value: pattern.search(value) is not None


def _is_number(pattern: re.Pattern[str]) -> Constraint:
    return lambda value: pattern.fullmatch(value) is not None and any(char.isalnum() for char in value)


def _is_datetime(value: str) -> bool:
    try:
        datetime.fromisoformat(value.strip())
    except ValueError:
        return any(_reads_as(value.strip(), form) for form in _DATES)
    return True


def _reads_as(value: str, form: str) -> bool:
    try:
        datetime.strptime(value, form)
    except ValueError:
        return False
    return True


def _is_guid(value: str) -> bool:
    if _GUID.fullmatch(value.strip()) is None:
        return False
    try:
        UUID(value.strip().strip("()"))
    except ValueError:
        return False
    return True


def _is_file(value: str) -> bool:
    """The last piece has a period with something behind it."""
    return bool(value.rpartition("/")[2].rpartition(".")[2]) and "." in value.rpartition("/")[2]


_PLAIN: dict[str, Constraint] = {
    "int": _integer(-(2**31), 2**31 - 1),
    "long": _integer(-(2**63), 2**63 - 1),
    "bool": lambda value: value.strip().lower() in {"true", "false"},
    "alpha": lambda value: re.fullmatch(r"[a-z]*", value, re.IGNORECASE | re.ASCII) is not None,
    "decimal": _is_number(_DECIMAL),
    "double": _is_number(_FLOAT),
    "float": _is_number(_FLOAT),
    "guid": _is_guid,
    "datetime": _is_datetime,
    "required": bool,
    "file": _is_file,
    "nonfile": lambda value: not _is_file(value),
}

_NUMERIC: dict[str, Callable[..., Constraint]] = {
    "min": _min,
    "max": _max,
    "range": _integer,
    "minlength": _min_length,
    "maxlength": _max_length,
    "length": _length,
}
