"""`$orderby`: from text to keys that sort entities (OData URL Conventions 4.01, section 5.1.6).

Null comes before every value where the order ascends and after it where it descends (Protocol 4.01, section 11.2.6.2).
Strings order by code point, as the keys of the entities do, which end every order: it is total, and pages meet.
"""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import BaseModel, TypeAdapter

from shared.actions.odata.edm import StructuredType
from shared.contracts.odata.query.compiling import Compiler
from shared.contracts.odata.query.expression_values import Value
from shared.contracts.odata.query.filters import guarded
from shared.contracts.odata.query.literals import PYTHON_TYPES, read_text
from shared.contracts.odata.query.syntax import invalid, parse_ordering
from shared.frozen import frozen

MAX_KEYS = 8
"""Items of one `$orderby`."""


@frozen
class OrderKey:
    """One item of an order: `value` of an entity, of the EDM type `type`."""

    text: str
    type: str
    value: Callable[[BaseModel], Any]
    descending: bool


@frozen
class Ordering:
    """An order that is not that of the keys; `keys` is never empty, `text` is what was asked for."""

    text: str
    keys: tuple[OrderKey, ...]

    def values(self, entity: BaseModel) -> tuple[Any, ...]:
        """What the entity is ordered by, one value for each key."""
        return tuple(key.value(entity) for key in self.keys)

    def rank(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """`values` as a tuple that sorts as this order wants it."""
        return tuple(_rank(value, key.descending) for value, key in zip(values, self.keys, strict=True))

    def write_values(self, values: tuple[Any, ...]) -> list[str | None]:
        """`values` as JSON has them, for `read_values`."""
        return [
            None if value is None else _write(value, key.type) for value, key in zip(values, self.keys, strict=True)
        ]

    def read_values(self, texts: list[Any]) -> tuple[Any, ...]:
        """What `write_values` wrote; raises ValueError for what it did not."""
        if len(texts) != len(self.keys):
            raise ValueError(f"{len(texts)} values for {len(self.keys)} keys")
        return tuple(
            None if text is None else _read(text, key.type) for text, key in zip(texts, self.keys, strict=True)
        )


def compile_orderby(
    text: str, entity_type: StructuredType, *, aliases: Mapping[str, str] | None = None, now: datetime | None = None
) -> Ordering | None:
    """The order that `text` asks for; None for that of the keys, ascending, which is how entities are stored.

    Raises RequestError 400 InvalidExpression that says what does not fit, or that there are more than 8 items.
    """
    compiler = Compiler(entity_type, option="$orderby", aliases=aliases or {}, now=now)
    orders = parse_ordering(text)
    if len(orders) > MAX_KEYS:
        invalid("$orderby", f"it has more than {MAX_KEYS} items")
    keys: list[OrderKey] = []
    for order in orders:
        value = compiler.compile(order.value)
        if value.primitive not in PYTHON_TYPES:
            invalid("$orderby", f"{value.described()} has no order; name a property of a primitive type")
        if entity_type.key is not None and value.text in (entity_type.key.name, f"$it/{entity_type.key.name}"):
            if not order.descending and not keys:
                return None
            keys.append(_key(value, order.descending, entity_type))
            # No two entities have the same key: what follows orders nothing.
            break
        keys.append(_key(value, order.descending, entity_type))
    return Ordering(text, tuple(keys))


def _key(value: Value, descending: bool, entity_type: StructuredType) -> OrderKey:
    get = guarded(value.get, entity_type, "$orderby")

    def of(entity: BaseModel) -> Any:
        return get((entity,))

    return OrderKey(value.text, value.primitive, of, descending)


def _rank(value: Any, descending: bool) -> Any:
    if value is None:
        rank: tuple[Any, ...] = (0,)
    elif isinstance(value, float) and math.isnan(value):
        rank = (1,)
    else:
        rank = (2, value)
    return Reversed(rank) if descending else rank


class Reversed(tuple[Any, ...]):
    """A tuple that sorts the other way round."""

    __slots__ = ()

    def __lt__(self, other: tuple[Any, ...]) -> bool:
        return tuple.__lt__(other, self)


def _write(value: Any, type: str) -> str:
    if type == "Edm.String":
        return value
    if isinstance(value, float | Decimal):
        # These keep every digit of a number; JSON's own numbers would not.
        return repr(value) if isinstance(value, float) else str(value)
    return str(TypeAdapter[Any](value.__class__).dump_python(value, mode="json"))


def _read(text: Any, type: str) -> Any:
    if not isinstance(text, str):
        raise ValueError(f"{type} is kept as text")  # the caller knows ValueError
    match type:
        case "Edm.String":
            return text
        case "Edm.Decimal":
            return _decimal(text)
        case _:
            value = read_text(type, text)
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError(f"no {type}: it has no offset, and would not compare")
    return value


def _decimal(text: str) -> Decimal:
    """Infinity is one, which a division by zero gives and no model takes; what is not a number does not compare."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if value.is_nan():
        raise ValueError("no Edm.Decimal")
    return value
