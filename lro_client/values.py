"""The result of an operation in the type that was asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from typing_extensions import TypeVar

from lro_client.errors import ResultMismatch, UnexpectedAnswer
from lro_client.messages import Answer
from lro_client.model import Outcome

T = TypeVar("T", default=Any)
"""The type of a result: the one that was named in the call, `Any` where none was."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A kind of result that has a function of its own to read it with."""

    read: Callable[[Outcome], Any]


def value_of(outcome: Outcome, kind: Any = None) -> Any:
    """What the operation came to; None where it has no result.

    `kind` None gives plain JSON, or text or bytes where the result is none. `bytes` and `str` give the body as it is.
    Anything else is a type that pydantic can read from JSON: a model, a dataclass, `list[Model]`.

    Raises:
        ResultMismatch: the result does not fit `kind`.
        UnexpectedAnswer: it says that it is JSON and is not, or is a page for people.
    """
    if isinstance(kind, Reader):
        return kind.read(outcome)
    answer = outcome.answer
    if kind is bytes and outcome.member is None:
        return b"" if answer is None else answer.body
    if kind is str and outcome.member is None and answer is not None and not answer.is_json:
        return answer.text()
    value = None if answer is None else _plain(answer, outcome.member)
    return value if kind is None or kind is Any else _fitted(value, kind, answer)


def _plain(answer: Answer, member: str | None) -> Any:
    if not answer.body.strip():
        return None
    if answer.is_json or not answer.media_type or member is not None:
        try:
            found = answer.json()
        except ValueError as error:
            if not answer.is_json:
                return answer.body
            raise UnexpectedAnswer(f"The result is not the JSON it says it is: {error}", answer=answer) from None
        return found if member is None else found[member]
    if answer.media_type in ("text/html", "application/xhtml+xml"):
        raise UnexpectedAnswer("The result is an HTML page; ask for str or bytes if that is what it is.", answer=answer)
    return answer.text() if answer.media_type.startswith("text/") else answer.body


def _fitted(value: Any, kind: Any, answer: Answer | None) -> Any:
    from pydantic import ValidationError  # noqa: PLC0415 - half of the import time, for those who use it

    try:
        return _adapter(kind).validate_python(value)
    except ValidationError as error:
        raise ResultMismatch(f"The result does not fit {_name(kind)}: {error}", answer=answer) from None


@lru_cache(maxsize=256)
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter  # noqa: PLC0415

    return TypeAdapter(kind)


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind))
