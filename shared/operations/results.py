"""A result as the JSON that is stored: of what the action declares, of a bounded size, made where it holds up nobody.

A large one is made in a thread. The size is estimated first: serializing holds the interpreter's lock as long as it
takes, so what is certainly too large is not begun.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import to_json

from shared.errors import ErrorBody, LroError, problems

_SMALL = 16 * 1024
"""Estimated bytes up to which a result is made on the event loop: about a millisecond."""

_DEEPEST = 1_000
"""Levels of nesting that are looked into: pydantic writes fewer, so what has more, or holds itself, is left to it."""

_SCALARS = frozenset({bool, int, float, type(None)})


class ResultRefused(LroError):
    """What an action returned, or another system reported, is not stored as a result; `error` says why."""

    def __init__(self, error: ErrorBody) -> None:
        super().__init__(f"{error.code}: {error.message}")
        self.error = error


async def declared_json(output: TypeAdapter[Any] | None, value: Any, *, limit: int) -> bytes:
    """As `declared_json_now`, in a thread where the value is large."""
    return await _made(lambda: declared_json_now(output, value, limit=limit), value)


def declared_json_now(output: TypeAdapter[Any] | None, value: Any, *, limit: int) -> bytes:
    """What an action returned, as it declares it. Raises ResultRefused: InvalidResult, or ResultTooLarge above `limit`
    bytes; neither repeats the value."""
    if output is None:
        raise _invalid("it declares that it returns nothing")
    try:
        checked = output.validate_python(value)
        if not _may_leave_out(output):
            _check_estimate(checked, limit)
        return _within(output.dump_json(checked, by_alias=True), limit)
    except ResultRefused:
        raise
    except ValidationError as error:
        raise _invalid(problems(error)) from error
    except ValueError as error:
        raise _invalid(_without_cause(str(error))) from error
    except Exception as error:  # validators and serializers are the action's own code
        raise _invalid(f"it cannot be written as JSON ({type(error).__name__})") from error


async def any_json(value: Any, *, limit: int) -> bytes:
    """Any value that pydantic can write. Raises ResultRefused, ResultTooLarge, above `limit` bytes, and ValueError."""

    def make() -> bytes:
        _check_estimate(value, limit)
        return _within(to_json(value, by_alias=True, inf_nan_mode="null"), limit)

    return await _made(make, value)


async def _made(make: Callable[[], bytes], value: Any) -> bytes:
    size, is_known = estimated(value, _SMALL)
    return make() if is_known and size <= _SMALL else await asyncio.to_thread(make)


def _within(content: bytes, limit: int) -> bytes:
    if len(content) > limit:
        raise _too_large(limit)
    return content


def _may_leave_out(output: TypeAdapter[Any]) -> bool:
    """Whether a serializer or an excluded field may make less of a value than there seems to be."""
    text = str(output.core_schema)
    return "'serialization':" in text or "'serialization_exclude" in text


def _without_cause(message: str) -> str:
    """pydantic's message, without the text of an exception of the action's own code: values may be in it."""
    found = re.match(
        r"Error serializing to JSON: (?:PydanticSerializationError: )?"
        r"(Error calling function `\w+`: \w+|Unable to serialize .*|\w+)",
        message,
    )
    return found[1] if found else message


def _check_estimate(value: Any, limit: int) -> None:
    if estimated(value, limit)[0] > limit:
        raise _too_large(limit)


def estimated(value: Any, limit: int) -> tuple[int, bool]:
    """Bytes that the JSON of `value` has at least, counted up to `limit`, and whether all of it was understood.

    What is nested too deeply to be written is not looked at to its end.
    """
    size, is_known = 0, True
    open_ones: list[Iterator[Any]] = [iter((value,))]
    while open_ones and size <= limit:
        for each in open_ones[-1]:
            size += 1
            if isinstance(each, str):
                size += len(each)
            elif type(each) not in _SCALARS:
                inside = _inside(each)
                if inside is not None:
                    if len(open_ones) > _DEEPEST:
                        return size, False
                    open_ones.append(inside)
                    break
                is_known = False
            if size > limit:
                break
        else:
            open_ones.pop()
    return size, is_known


def _inside(value: Any) -> Iterator[Any] | None:
    if isinstance(value, list | tuple | set | frozenset):
        return iter(value)
    if isinstance(value, dict):
        return chain.from_iterable(value.items())
    return iter(value.__dict__.values()) if isinstance(value, BaseModel) else None


def no_file(value: Any) -> ResultRefused:
    """What is said of something else that was returned for a file."""
    kind = type(value).__name__
    return ResultRefused(ErrorBody("InvalidResult", f"The action declares a file and returned a {kind}."))


def _invalid(reason: str) -> ResultRefused:
    return ResultRefused(ErrorBody("InvalidResult", f"The action returned what it does not declare: {reason}"))


def _too_large(limit: int) -> ResultRefused:
    return ResultRefused(ErrorBody("ResultTooLarge", f"The result has more than {limit} bytes as JSON."))
