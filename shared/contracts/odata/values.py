"""Values of EDM types as JSON has them (OData JSON Format 4.01, sections 4.5.3, 7.1 and 7.2)."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

from pydantic import TypeAdapter

from shared.actions.odata.edm import StructuredType, TypeRef
from shared.contracts.odata.media import Representation

Selection = Mapping[str, "Selection | None"]
"""The properties to show, each whole (None) or in part."""

_NUMBERS_AS_TEXT = ("Edm.Int64", "Edm.Decimal")
_PLAIN = ("Edm.String", "Edm.Boolean", "Edm.Double")
"""What JSON shows by itself (section 4.5.3)."""
_OFFSET = r"(?:Z|[+-][0-9]{2}:?[0-9]{2})$"
_DURATION = TypeAdapter(timedelta)


def write_value(value: Any, type: TypeRef, representation: Representation) -> Any:
    """A value for an answer, from the JSON that pydantic makes of it."""
    if value is None:
        return None
    if type.is_collection:
        item = TypeRef(type.name, nullable=type.nullable, structured=type.structured)
        return [write_value(each, item, representation) for each in value]
    if type.structured is not None:
        return write_structure(value, type.structured, representation)
    return _write_primitive(value, type.name, representation)


def write_structure(
    value: Mapping[str, Any],
    type: StructuredType,
    representation: Representation,
    selection: Selection | None = None,
    *,
    typed: bool = True,
) -> dict[str, Any]:
    """A structured value with its declared properties in the order of the type.

    `typed`: whether full metadata name the type inside, which an entity has done already.
    """
    full = representation.metadata == "full"
    shown: dict[str, Any] = {"@odata.type": f"#{type.qualified}"} if full and typed else {}
    for name, property in type.properties.items():
        if name not in value or (selection is not None and name not in selection):
            continue
        content = value[name]
        if full and content is not None and (type_name := shown_type(content, property.type)):
            shown[f"{name}@odata.type"] = type_name
        shown[name] = _part(content, property.type, representation, selection[name] if selection else None)
    return shown


def shown_type(value: Any, type: TypeRef) -> str | None:
    """The `@odata.type` of a property or result where its JSON does not show it (section 4.5.3).

    With the hash sign, which 4.0 demands and every reader of 4.01 takes. Structured values name their type inside.
    """
    name = type.name.removeprefix("Edm.")
    if type.is_collection:
        return f"#Collection({name})"
    not_finite = isinstance(value, float) and not math.isfinite(value)
    return None if type.structured or (type.name in _PLAIN and not not_finite) else f"#{name}"


def selection_of(paths: Sequence[str] | None) -> Selection | None:
    """The tree of `$select` paths such as `title` and `cover/size`; None for all properties."""
    if paths is None or "*" in paths:
        return None
    tree: dict[str, Any] = {}
    for path in paths:
        name, _, rest = path.partition("/")
        known = tree.setdefault(name, [])
        tree[name] = None if known is None or not rest else [*known, rest]
    return {name: None if rest is None else selection_of(rest) for name, rest in tree.items()}


def duration_text(value: timedelta) -> str:
    """An Edm.Duration: days, hours, minutes, seconds; never years, which pydantic would write."""
    sign, value = ("-", -value) if value < timedelta(0) else ("", value)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    second = f"{seconds}.{value.microseconds:06}".rstrip("0").rstrip(".") if value.microseconds else str(seconds)
    days = f"{value.days}D" if value.days else ""
    rest = [f"{hours}H" if hours else "", f"{minutes}M" if minutes else "", f"{second}S" if second != "0" else ""]
    return f"{sign}P{days}T{''.join(rest)}" if any(rest) else f"{sign}P{days or 'T0S'}"


def _part(value: Any, type: TypeRef, representation: Representation, selection: Selection | None) -> Any:
    if selection is None or type.structured is None or value is None:
        return write_value(value, type, representation)
    items = cast(list[Any], value) if type.is_collection else [value]
    parts = [write_structure(item, type.structured, representation, selection) for item in items if item is not None]
    return parts if type.is_collection else parts[0]


def _write_primitive(value: Any, name: str, representation: Representation) -> Any:
    if name in _NUMBERS_AS_TEXT:
        return _write_number(value, representation)
    if isinstance(value, float):
        return value if math.isfinite(value) else "NaN" if math.isnan(value) else "INF" if value > 0 else "-INF"
    if name == "Edm.Duration":
        return duration_text(_DURATION.validate_python(value))
    if name == "Edm.DateTimeOffset" and not re.search(_OFFSET, value):
        # A time without an offset is one of this app, whose clock is UTC.
        return f"{value}Z"
    return value


def _write_number(value: Any, representation: Representation) -> Any:
    """Without IEEE754Compatible a Decimal has the digits of a double, as its readers in JavaScript have."""
    number = value if isinstance(value, int) else Decimal(value)
    if representation.ieee754:
        return format(number, "d" if isinstance(number, int) else "f")
    return number if isinstance(number, int) else int(number) if number == number.to_integral_value() else float(number)
