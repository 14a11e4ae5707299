"""The arguments of a function, from the parentheses of its URL.

OData URL Conventions 4.01, sections 4.5.3, 5.1.1.14 and 5.3.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from pydantic import BaseModel

from shared.actions.odata.service import ODataOperation
from shared.contracts.odata.reading_bodies import INT64, input_of
from shared.errors import ErrorDetail, RequestError

_STRING = r"'(?:[^']|'')*'"
_LITERAL = rf"(?:{_STRING}|[^'\s,]+(?:{_STRING})?)"
_ARGUMENT = re.compile(rf"\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*({_LITERAL})\s*(,|$)")
_ALIAS = re.compile(r"@[A-Za-z_][A-Za-z0-9_]*")
_TIME = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,12})?)?"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_NUMBER = r"[+-]?[0-9]{1,400}(?:\.[0-9]{1,400})?"
_GUID = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_FORMS: Mapping[str, re.Pattern[str]] = {
    name: re.compile(form)
    for name, form in {
        "Edm.Boolean": r"(?i:true|false)",
        "Edm.Int64": r"[+-]?[0-9]{1,19}",
        "Edm.Double": rf"{_NUMBER}(?:[eE][+-]?[0-9]{{1,3}})?|-?INF|NaN",
        "Edm.Decimal": _NUMBER,
        "Edm.Date": _DATE,
        "Edm.DateTimeOffset": rf"{_DATE}T{_TIME}(?:Z|[ +-][0-9]{{2}}:[0-9]{{2}})",
        "Edm.TimeOfDay": _TIME,
        "Edm.Duration": r"(?:duration)?'[+-]?P[^']*'",
        "Edm.Guid": _GUID,
        "Edm.String": _STRING,
    }.items()
}
_READERS: Mapping[str, Callable[[str], Any]] = {
    "Edm.String": lambda text: text[1:-1].replace("''", "'"),
    "Edm.Duration": lambda text: text.removeprefix("duration")[1:-1],
    "Edm.Boolean": lambda text: text.lower() == "true",
    "Edm.DateTimeOffset": lambda text: text.replace(" ", "+"),
    "Edm.Int64": int,
    "Edm.Double": float,
}
"""Of literals that JSON has in another form."""


def read_arguments(
    operation: ODataOperation, text: str, query: Mapping[str, str], bound_key: str | None = None
) -> BaseModel | None:
    """The input of a function. `text` is what stands in the parentheses, percent-decoded; `query` has the aliases.

    An alias that the query does not have is null (URL Conventions, section 5.3). Raises RequestError 400 InvalidInput.
    """
    values: dict[str, Any] = {}
    position, more = 0, bool(text.strip())
    while more:
        match = _ARGUMENT.match(text, position)
        if match is None:
            _refuse("Write the arguments as name=value, with commas between them and text in single quotes", None)
        name, written = match[1], match[2]
        if name in values:
            _refuse("is given twice", name)
        if _ALIAS.fullmatch(written):
            written = query.get(written, "null").strip()
        parameter = operation.parameters.get(name)
        values[name] = None if parameter is None else _literal(written, parameter.type.name, name)
        position, more = match.end(), bool(match[3])
    return input_of(operation, values, bound_key)


def _literal(text: str, type_name: str, name: str) -> Any:
    """A primitive literal as the JSON that a body would have. Raises RequestError 400 that names `name`."""
    if text == "null":
        return None
    if not _FORMS[type_name].fullmatch(text):
        _refuse(f"is no {type_name} literal", name)
    value = _READERS.get(type_name, str)(text)
    if isinstance(value, int) and value not in INT64:
        _refuse("is no integer of 64 bits", name)
    if isinstance(value, float) and math.isinf(value) and not text.endswith("INF"):
        _refuse("is too large", name)
    return value


def _refuse(why: str, name: str | None) -> NoReturn:
    details = [ErrorDetail("InvalidValue", f"The argument {why}", name)] if name else []
    message = f"The argument {name} {why}." if name else f"{why}."
    raise RequestError(400, "InvalidInput", message, target=name, details=details)
