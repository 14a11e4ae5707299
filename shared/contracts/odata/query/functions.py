"""Operators and canonical functions on values (OData URL Conventions 4.01, sections 5.1.1.2 and 5.1.1.4 to 5.1.1.9).

What is here never sees null: an operation on null is null, which the caller sees to. ArithmeticError and ValueError say
that there is no result.
"""

import math
import operator
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal, InvalidOperation, Overflow
from functools import partial
from typing import Any

S, B, I, D, F = "Edm.String", "Edm.Boolean", "Edm.Int64", "Edm.Decimal", "Edm.Double"  # noqa: E741
DATE, STAMP, TIME, SPAN = "Edm.Date", "Edm.DateTimeOffset", "Edm.TimeOfDay", "Edm.Duration"

NUMERIC = (I, D, F)

Function = Callable[..., Any]
Signature = tuple[tuple[str, ...], str, Function]
"""Types of the parameters, type of the result, and what computes it."""

_DECIMALS = Context(prec=34, traps=[InvalidOperation, Overflow])


def _substring(text: str, start: int, length: int | None = None) -> str:
    if length is not None and length < 0:
        raise ValueError("the length of substring is negative")
    begin = max(0, start if start >= 0 else len(text) + start)
    return text[begin:] if length is None else text[begin : begin + length]


def _whole(rounding: str, value: Any) -> Any:
    if isinstance(value, float):
        return value if not math.isfinite(value) else float(Decimal(value).to_integral_value(rounding))
    return value.to_integral_value(rounding)


def _fraction(value: datetime | time) -> Decimal:
    return Decimal(value.microsecond).scaleb(-6)


def _total_seconds(value: timedelta) -> Decimal:
    return Decimal(value // timedelta(microseconds=1)).scaleb(-6)


def _offset(value: datetime) -> int:
    return (value.utcoffset() or timedelta()) // timedelta(minutes=1)


def _rounded(rounding: str) -> list[Signature]:
    compute = partial(_whole, rounding)
    return [((D,), D, compute), ((F,), F, compute), ((I,), I, int)]


def _part(name: str, *types: str) -> list[Signature]:
    def part(value: Any) -> Any:
        return getattr(value, name)

    return [((type,), I, part) for type in types]


FUNCTIONS: Mapping[str, list[Signature]] = {
    "contains": [((S, S), B, operator.contains)],
    "startswith": [((S, S), B, str.startswith)],
    "endswith": [((S, S), B, str.endswith)],
    "length": [((S,), I, len)],
    "indexof": [((S, S), I, str.find)],
    "substring": [((S, I), S, _substring), ((S, I, I), S, _substring)],
    "tolower": [((S,), S, str.lower)],
    "toupper": [((S,), S, str.upper)],
    "trim": [((S,), S, str.strip)],
    "concat": [((S, S), S, operator.add)],
    "year": _part("year", DATE, STAMP),
    "month": _part("month", DATE, STAMP),
    "day": _part("day", DATE, STAMP),
    "hour": _part("hour", STAMP, TIME),
    "minute": _part("minute", STAMP, TIME),
    "second": _part("second", STAMP, TIME),
    "fractionalseconds": [((STAMP,), D, _fraction), ((TIME,), D, _fraction)],
    "date": [((STAMP,), DATE, datetime.date)],
    "time": [((STAMP,), TIME, datetime.time)],
    "totaloffsetminutes": [((STAMP,), I, _offset)],
    "totalseconds": [((SPAN,), D, _total_seconds)],
    "mindatetime": [((), STAMP, lambda: datetime.min.replace(tzinfo=UTC))],
    "maxdatetime": [((), STAMP, lambda: datetime.max.replace(tzinfo=UTC))],
    "round": _rounded(ROUND_HALF_UP),
    "floor": _rounded(ROUND_FLOOR),
    "ceiling": _rounded(ROUND_CEILING),
}
"""By lower-case name. `now` is not among them: the time is the caller's to give."""

NOT_SUPPORTED = frozenset(
    {"case", "cast", "isof", "matchespattern", "hassubset", "hassubsequence"}
    | {"geo.distance", "geo.intersects", "geo.length"}
)
"""Functions of OData that are not done. A pattern of a caller's can keep a regular expression busy for ever."""


def arithmetic(name: str, left: str, right: str) -> tuple[str, Function] | None:
    """The type of `left name right`, given the operands' types, and what computes it; None where there is none."""
    if left in NUMERIC and right in NUMERIC:
        return _numeric(name, left, right)
    match name, left, right:
        case ("add" | "sub", "Edm.Duration", "Edm.Duration") | ("add" | "sub", "Edm.DateTimeOffset", "Edm.Duration"):
            return left, operator.add if name == "add" else operator.sub
        case ("sub", "Edm.DateTimeOffset", "Edm.DateTimeOffset") | ("sub", "Edm.Date", "Edm.Date"):
            return SPAN, operator.sub
        case ("add" | "sub", "Edm.Date", "Edm.Duration"):
            return DATE, partial(_move_date, 1 if name == "add" else -1)
        case ("mul" | "div" | "divby", "Edm.Duration", number) if number in NUMERIC:
            return SPAN, _scale_up if name == "mul" else _scale_down
        case ("mul", number, "Edm.Duration") if number in NUMERIC:
            return SPAN, _scaled_up
        case _:
            return None


def _move_date(sign: int, day: date, span: timedelta) -> date:
    # A span smaller than a day, added to a date, stays within it; subtracted, it leads to the day before (5.1.1.2.1).
    return (datetime.combine(day, time()) + sign * span).date()


def _scale_up(span: timedelta, factor: float | Decimal) -> timedelta:
    return span * float(factor)


def _scaled_up(factor: float | Decimal, span: timedelta) -> timedelta:
    return span * float(factor)


def _scale_down(span: timedelta, divisor: float | Decimal) -> timedelta:
    return span / float(divisor)


def _numeric(name: str, left: str, right: str) -> tuple[str, Function]:
    if F in (left, right):
        return F, _converting(float, _DOUBLES[name])
    if D in (left, right) or name == "divby":
        return D, _converting(Decimal, _DECIMAL[name])
    return I, _INTEGERS[name]


def _converting(convert: Callable[[Any], Any], compute: Function) -> Function:
    def converted(left: Any, right: Any) -> Any:
        return compute(convert(left), convert(right))

    return converted


def _double_division(left: float, right: float) -> float:
    if right == 0:
        return math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left)
    return left / right


def _decimal_division(left: Decimal, right: Decimal) -> Decimal | None:
    """Only integers may not be divided by zero. Zero by zero is not a number, which compares like null here."""
    if right == 0:
        return None if left == 0 else Decimal("Infinity").copy_sign(left)
    return _DECIMALS.divide(left, right)


def _integer_division(left: int, right: int) -> int:
    # Towards zero, where Python rounds down.
    whole = abs(left) // abs(right)
    return whole if (left < 0) == (right < 0) else -whole


def _remainder(left: int, right: int) -> int:
    return left - right * _integer_division(left, right)


_PLAIN: Mapping[str, Function] = {"add": operator.add, "sub": operator.sub, "mul": operator.mul}
_INTEGERS: Mapping[str, Function] = {**_PLAIN, "div": _integer_division, "mod": _remainder}
_DECIMAL: Mapping[str, Function] = {
    "add": _DECIMALS.add,
    "sub": _DECIMALS.subtract,
    "mul": _DECIMALS.multiply,
    "div": _decimal_division,
    "divby": _decimal_division,
    "mod": _DECIMALS.remainder,
}
_DOUBLES: Mapping[str, Function] = {
    **_PLAIN,
    "div": _double_division,
    "divby": _double_division,
    "mod": math.fmod,
}
