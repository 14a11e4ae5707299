"""Primitive literals of URLs (OData URL Conventions 4.01, section 5.1.1.14.1 "Primitive Literals")."""

import math
from collections.abc import Mapping
from datetime import time
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from shared.actions.odata.edm import PRIMITIVES
from shared.frozen import frozen

NULL = "null"
"""The type of the null literal: it goes with every type."""

PYTHON_TYPES: Mapping[str, type] = {name: python for python, name in PRIMITIVES.items()}

_INT64 = 2**63
_TEXTS = {"STAMP": "Edm.DateTimeOffset", "DATE": "Edm.Date", "TIMEOFDAY": "Edm.TimeOfDay", "GUID": "Edm.Guid"}


@frozen
class Literal:
    """A value as an expression wrote it; `type` is its EDM type, or `null`."""

    type: str
    value: Any
    text: str


def read_literal(kind: str, text: str) -> Literal:
    """The value of a literal whose syntax is that of `kind`, a terminal of the grammar.

    Numbers are Edm.Int64 where they fit and have neither point nor exponent, else Edm.Decimal. Raises ValueError with
    a message for a value that cannot be, such as a 30th of February.
    """
    match kind:
        case "STRING":
            return Literal("Edm.String", text[1:-1].replace("''", "'"), text)
        case "NUMBER":
            return _number(text)
        case "SPECIAL":
            return Literal("Edm.Double", math.nan if text == "NaN" else float(text), text)
        case "BOOLEAN":
            return Literal("Edm.Boolean", text.lower() == "true", text)
        case "NULL":
            return Literal(NULL, None, text)
        case "DURATION":
            return Literal("Edm.Duration", read_text("Edm.Duration", text[len("duration'") : -1]), text)
        case "STAMP":
            # A plus that is not written as %2B arrives as a space.
            return Literal(_TEXTS[kind], read_text(_TEXTS[kind], text.replace(" ", "+")), text)
        case _:
            return Literal(_TEXTS[kind], read_text(_TEXTS[kind], text), text)


def read_text(type: str, text: str) -> Any:
    """A value of an EDM type from the text that JSON would hold for it. Raises ValueError with a message."""
    try:
        # No literal has a value of a larger kind: a date is no text for a date with time.
        value = _adapter(type).validate_strings(text)
    except ValidationError:
        raise ValueError(f"{text[:40]!r} is no {type}") from None
    return value.replace(tzinfo=None) if isinstance(value, time) else value


def _number(text: str) -> Literal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text[:40]!r} is too large a number") from None
    if text.lstrip("+-").isdigit() and -_INT64 <= number < _INT64:
        return Literal("Edm.Int64", int(number), text)
    return Literal("Edm.Decimal", number, text)


@cache
def _adapter(type: str) -> TypeAdapter[Any]:
    return TypeAdapter(PYTHON_TYPES[type])
