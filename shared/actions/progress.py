"""Progress as the record holds it. What another system sends is refused where it does not fit; a handler's is cut."""

import json
import operator
from typing import Any

from shared.model.operation import Progress

MAX_COUNT = 2**53
"""Larger whole numbers are not the same in every JSON reader (RFC 8259, section 6)."""

_MAX_MESSAGE = 500
_MAX_DATA = 4096

Mistakes = dict[str, str]
"""Why something was cut or left out, by its name. The values themselves are not in it."""


def measured(
    *,
    percent: float | None = None,
    done: int | None = None,
    total: int | None = None,
    message: str | None = None,
    data: Any = None,
) -> Progress:
    """Progress of these values: `percent` is 0 to 100 and follows from `done` and `total` where it is not given,
    `message` is cut after 500 characters, `data` is JSON of up to 4 KiB.

    Raises ValueError for a percentage out of range and for data that does not fit.
    """
    if percent is None and done is not None and total:
        percent = 100.0 * done / total
    if percent is not None and not 0 <= percent <= 100:
        raise ValueError(f"percent is {percent}: it lies between 0 and 100")
    rounded = None if percent is None else round(percent, 2)
    cut = None if message is None else message[:_MAX_MESSAGE]
    return Progress(rounded, done, total, cut, _snapshot(data))


def cut_to_fit(*, percent: Any, done: Any, total: Any, message: Any, data: Any) -> tuple[Progress, Mistakes]:
    """Progress of whatever a handler reports, and its mistakes: how far the work is matters less than the work.

    Numbers are moved into their range, and what is of another type or cannot be kept is left out.
    """
    mistakes: Mistakes = {}
    whole, so_far = _count("total", total, mistakes), _count("done", done, mistakes)
    if whole and so_far is not None and so_far > whole:
        mistakes["done"] = "done is more than total"
        so_far = whole
    part = _within(_number("percent", percent, mistakes), 100, "percent", mistakes)
    text = _text(message, mistakes)
    try:
        return measured(percent=part, done=so_far, total=whole, message=text, data=data), mistakes
    except Exception as error:  # another thread may be changing it, and its classes are anybody's
        mistakes["data"] = str(error) if isinstance(error, ValueError) else f"data is no JSON: {type(error).__name__}"
        return measured(percent=part, done=so_far, total=whole, message=text), mistakes


def _count(name: str, value: Any, mistakes: Mistakes) -> int | None:
    number = _within(_number(name, value, mistakes), MAX_COUNT, name, mistakes)
    if number is not None and number != int(number):
        mistakes[name] = f"{name} is no whole number"
    return None if number is None else int(number)


def _number(name: str, value: Any, mistakes: Mistakes) -> float | None:
    """Of any class that stands for a real number, those of other packages included."""
    number: float | None = None
    if value is not None and not isinstance(value, bool | str | bytes):
        for read in (operator.index, float):
            try:
                number = read(value)
            except Exception:  # noqa: S112 - a class of a package may raise anything
                continue
            break
    if number is None and value is not None:
        mistakes[name] = f"{name} is no number, but {type(value).__name__}"
    if number != number:  # noqa: PLR0124 - only NaN is not itself, and `math` takes no number of any size
        mistakes[name] = f"{name} is NaN"
        return None
    return number


def _within(number: float | None, limit: int, name: str, mistakes: Mistakes) -> float | None:
    if number is None or 0 <= number <= limit:
        return number
    mistakes[name] = f"{name} does not lie between 0 and {limit}"
    return 0 if number < 0 else limit


def _text(value: Any, mistakes: Mistakes) -> str | None:
    if value is None or isinstance(value, str):
        return value
    mistakes["message"] = f"message is no text, but {type(value).__name__}"
    try:
        return str(value)
    except Exception:
        return None


def _snapshot(data: Any) -> Any:
    """A copy the handler cannot change any more, of what JSON and the record can hold."""
    try:
        text = json.dumps(data, allow_nan=False)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"data is not JSON: {error}") from None
    if len(text) > _MAX_DATA:
        raise ValueError(f"data has {len(text)} bytes as JSON; the record holds {_MAX_DATA}")
    return json.loads(text)
