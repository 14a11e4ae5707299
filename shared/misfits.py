"""What is said of a body that does not fit, however many places of it do not.

Pydantic tells of all places at once and holds the interpreter's lock meanwhile: of a hundred thousand, for a quarter of
a second, in which the process answers nobody. So a body that is wrong in very many places is looked at once more, cut
to the first elements of its lists, which are the places that an answer names.
"""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from shared.errors import ErrorDetail, RequestError, does_not_fit, validation_error

M = TypeVar("M", bound=BaseModel)

_MANY = 1000
"""Places that are told of in some milliseconds."""
_FIRST = 60
"""Elements of a list: as many as an answer has details, and some."""


def fitting(validate: Callable[[Any], M], values: Any) -> M:
    """The model that `validate` makes of JSON's values. Raises RequestError 400 InvalidInput."""
    try:
        return validate(values)
    except ValidationError as error:
        raise _misfit(error, validate, values) from None


def validated(model: type[M], values: Mapping[str, Any]) -> M:
    """The model from members by their wire names. Raises RequestError 400 InvalidInput."""
    return fitting(lambda given: model.model_validate(given, extra="forbid", by_alias=True, by_name=False), values)


def _misfit(error: ValidationError, validate: Callable[[Any], object], values: Any) -> RequestError:
    count = error.error_count()
    if count <= _MANY:
        return validation_error(error)
    try:
        validate(_cut(values))
    except ValidationError as first:
        if first.error_count() <= _MANY:
            return validation_error(first)
    return does_not_fit([ErrorDetail("InvalidValue", f"{count} values do not fit", None)])


def _cut(value: Any) -> Any:
    """With the first elements of each list. Of an object with very many members the first and the last ones stay: those
    of the URL are behind those of the body."""
    if isinstance(value, list):
        return [_cut(each) for each in islice(value, _FIRST)]
    if isinstance(value, dict):
        names = list(value)
        kept = names if len(names) <= _MANY else [*names[: _MANY // 2], *names[-_FIRST:]]
        return {name: _cut(value[name]) for name in kept}
    return value
