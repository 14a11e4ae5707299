"""What a part of an expression is once its types are known, and how paths read entities."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, time
from enum import Enum
from typing import Any

from shared.actions.odata.edm import StructuredType, TypeRef
from shared.contracts.odata.query.functions import NUMERIC
from shared.contracts.odata.query.literals import NULL, Literal, read_text
from shared.contracts.odata.query.syntax import invalid
from shared.frozen import frozen

Environment = tuple[Any, ...]
"""The entity, and then the values of the variables of the enclosing `any` and `all`."""

Getter = Callable[[Environment], Any]

MAX_SEGMENTS = 10
_MAX_TEXT = 60


@frozen(kw_only=True)
class Value:
    """A typed part of an expression. `text` names it in messages."""

    type: TypeRef
    get: Getter
    text: str
    literal: Literal | None = None

    @property
    def is_null(self) -> bool:
        return self.type.name == NULL

    @property
    def primitive(self) -> str:
        """The name of its primitive type, or of null; "" for collections and structured values."""
        return "" if self.type.is_collection or self.type.structured else self.type.name

    def described(self) -> str:
        text = self.text if len(self.text) <= _MAX_TEXT else f"{self.text[:_MAX_TEXT]}..."
        return f"{text} ({self.type})"


@frozen
class Scope:
    """What names mean: the properties of `root`, and `variables` with their places in the environment."""

    root: StructuredType
    option: str
    variables: Mapping[str, tuple[int, TypeRef]]
    innermost: str = ""
    """The variable of the closest `any` or `all` around."""


def constant(literal: Literal) -> Value:
    value = literal.value
    return Value(type=TypeRef(literal.type, nullable=True), get=lambda _: value, text=literal.text, literal=literal)


def path(scope: Scope, names: tuple[str, ...]) -> Value:
    """What a path leads to. Raises RequestError 400 for one that leads nowhere."""
    text = "/".join(names)
    if len(names) > MAX_SEGMENTS:
        invalid(scope.option, f"a path has more than {MAX_SEGMENTS} segments")
    at, type, rest = _start(scope, names)
    fields: list[str] = []
    for name in rest:
        if type.is_collection:
            invalid(scope.option, f"{text!r} goes through a collection; write any(x: ...) or all(x: ...)")
        found = type.structured.properties.get(name) if type.structured else None
        if found is None:
            invalid(scope.option, f"there is no property {name!r} in {type}")
        fields.append(found.field)
        type = found.type
    return Value(type=type, get=_reader(at, fields, type), text=text)


def normalizer(type: TypeRef) -> Callable[[Any], Any] | None:
    """What makes Python's values of an EDM type comparable with each other; None where they are."""
    return _NORMALIZERS.get(type.name)


def with_type_of(value: Value, other: str) -> Value:
    """A string literal as the duration it stands for, where the other side is one (4.01 needs no prefix)."""
    if other == "Edm.Duration" and value.literal is not None and value.literal.type == "Edm.String":
        try:
            span = read_text(other, value.literal.value)
        except ValueError:
            return value
        return constant(Literal(other, span, value.text))
    return value


def comparable(left: Value, right: Value) -> bool:
    """Whether the types compare: equal ones, numbers with numbers, null with everything but collections."""
    if left.is_null or right.is_null:
        return not (left.type.is_collection or right.type.is_collection)
    if not left.primitive or not right.primitive:
        return False
    return left.primitive == right.primitive or (left.primitive in NUMERIC and right.primitive in NUMERIC)


def as_double(value: Value) -> Value:
    """A decimal as the double next to it: 0.1 the property then equals 0.1 the literal."""
    if value.primitive != "Edm.Decimal":
        return value
    if value.literal is not None:
        return constant(Literal("Edm.Double", float(value.literal.value), value.text))
    get = value.get

    def converted(environment: Environment) -> float | None:
        found = get(environment)
        return None if found is None else float(found)

    return Value(type=TypeRef("Edm.Double", nullable=True), get=converted, text=value.text)


def items(value: Any, normalize: Callable[[Any], Any] | None) -> Iterable[Any]:
    """The members of a collection, null among them."""
    if normalize is None:
        return value or ()
    return (None if item is None else normalize(item) for item in value or ())


def _start(scope: Scope, names: tuple[str, ...]) -> tuple[int, TypeRef, tuple[str, ...]]:
    entity = TypeRef(scope.root.qualified, structured=scope.root)
    if names[0] in scope.variables:
        at, type = scope.variables[names[0]]
        return at, type, names[1:]
    if names[0].lower() == "$it":
        return 0, entity, names[1:]
    if names[0].startswith("$"):
        invalid(scope.option, f"{names[0]!r} is not supported; write property names")
    return 0, entity, names


def _reader(at: int, fields: list[str], type: TypeRef) -> Getter:
    normalize = None if type.is_collection else normalizer(type)

    def read(environment: Environment) -> Any:
        value = environment[at]
        for field in fields:
            if value is None:
                return None
            value = getattr(value, field)
        return value if normalize is None or value is None else normalize(value)

    return read


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _local(value: time) -> time:
    return value.replace(tzinfo=None)


def _string(value: Any) -> str:
    # An enumeration's member that is a string hashes by its name, not as the string.
    return value.value if isinstance(value, Enum) else value


_NORMALIZERS: Mapping[str, Callable[[Any], Any]] = {
    "Edm.DateTimeOffset": _aware,
    "Edm.TimeOfDay": _local,
    "Edm.String": _string,
}
