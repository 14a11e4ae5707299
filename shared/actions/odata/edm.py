"""The entity data model of an OData service, read from pydantic models.

OData CSDL 4.01, sections 4.4 "Built-In Types", 6 "Entity Type", 9 "Complex Type". Names are those on the wire.
"""

import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, Union
from uuid import UUID

from pydantic import BaseModel

from shared.actions.models import read_only_names
from shared.errors import DeclarationError
from shared.frozen import frozen

PRIMITIVES: Mapping[type, str] = {
    bool: "Edm.Boolean",
    int: "Edm.Int64",
    float: "Edm.Double",
    Decimal: "Edm.Decimal",
    str: "Edm.String",
    datetime: "Edm.DateTimeOffset",
    date: "Edm.Date",
    time: "Edm.TimeOfDay",
    timedelta: "Edm.Duration",
    UUID: "Edm.Guid",
}

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


@frozen
class TypeRef:
    """A type as a property, a parameter or a result uses it."""

    name: str
    """`Edm.String`, or the qualified name of a structured type."""
    is_collection: bool = False
    nullable: bool = False
    """Whether the value may be null; of a collection, whether its items may."""
    structured: "StructuredType | None" = None

    def __str__(self) -> str:
        return f"Collection({self.name})" if self.is_collection else self.name


@frozen
class Property:
    """A property of a structured type, or a parameter of an operation."""

    name: str
    """On the wire."""
    field: str
    """In Python."""
    type: TypeRef
    required: bool
    """Whether a request that creates has to bring it."""
    computed: bool = False
    """Whether the service sets it: what a request says of it is ignored (Org.OData.Core.V1.Computed)."""


@frozen
class StructuredType:
    """An entity type (it has a key) or a complex type."""

    namespace: str
    name: str
    model: type[BaseModel]
    properties: Mapping[str, Property]
    """By the name on the wire, in the order of the model."""
    key: Property | None = None

    @property
    def qualified(self) -> str:
        return f"{self.namespace}.{self.name}"


@dataclass(slots=True)
class Types:
    """The structured types of one namespace, in the order in which they were met."""

    namespace: str
    all: dict[type[BaseModel], StructuredType] = field(default_factory=dict[type[BaseModel], StructuredType])

    def entity(self, model: type[BaseModel], key: str, where: str) -> StructuredType:
        """The entity type of a model; `key` is a field of type str. Raises DeclarationError."""
        if model in self.all:
            raise DeclarationError(f"{where}: {model.__name__} is a type of this service already; one set each")
        properties = self.properties(model, where)
        found = next((p for p in properties.values() if p.field == key), None)
        if found is None or found.type != TypeRef("Edm.String"):
            raise DeclarationError(f"{where}: the key {key!r} must be a field of {model.__name__} that is a str")
        return self._add(StructuredType(self.namespace, self._name(model, where), model, properties, found))

    def reference(self, annotation: Any, where: str) -> TypeRef:
        """How a Python annotation reads in EDM. Raises DeclarationError for what has no counterpart."""
        base, nullable = _without_none(annotation)
        origin, arguments = typing.get_origin(base), typing.get_args(base)
        if origin in (list, tuple, set, frozenset):
            item = self.reference(arguments[0], where) if arguments else None
            if item is None or item.is_collection or (origin is tuple and arguments[1:] != (...,)):
                raise DeclarationError(f"{where}: {annotation} is no collection of one type of items")
            if nullable:
                raise DeclarationError(f"{where}: {annotation} may be null; a collection is empty instead")
            return TypeRef(item.name, True, item.nullable, item.structured)
        if origin is Literal:
            if not all(isinstance(value, str) for value in arguments):
                raise DeclarationError(f"{where}: {annotation} has values that are no strings")
            return TypeRef("Edm.String", nullable=nullable)
        if isinstance(base, type):
            if issubclass(base, BaseModel):
                structured = self.all.get(base) or self._complex(base, where)
                return TypeRef(structured.qualified, nullable=nullable, structured=structured)
            if issubclass(base, Enum) and issubclass(base, str):
                return TypeRef("Edm.String", nullable=nullable)
            if name := PRIMITIVES.get(base):
                return TypeRef(name, nullable=nullable)
        raise DeclarationError(f"{where}: {annotation} has no counterpart in OData")

    def properties(self, model: type[BaseModel], where: str) -> dict[str, Property]:
        """The properties of a model by their names on the wire."""
        found: dict[str, Property] = {}
        for name, info in model.model_fields.items():
            wire = info.alias or name
            if not _IDENTIFIER.fullmatch(wire):
                raise DeclarationError(f"{where}: {model.__name__}.{name} is called {wire!r}, which is no identifier")
            reference = self.reference(info.annotation, f"{where}: {model.__name__}.{name}")
            computed = wire in read_only_names(model)
            found[wire] = Property(wire, name, reference, info.is_required() and not computed, computed)
        return found

    def _complex(self, model: type[BaseModel], where: str) -> StructuredType:
        if model in self._open:
            raise DeclarationError(f"{where}: {model.__name__} contains itself")
        self._open.add(model)
        try:
            properties = self.properties(model, where)
        finally:
            self._open.discard(model)
        return self._add(StructuredType(self.namespace, self._name(model, where), model, properties))

    _open: set[type[BaseModel]] = field(default_factory=set[type[BaseModel]])

    def _name(self, model: type[BaseModel], where: str) -> str:
        name = model.__name__
        if not _IDENTIFIER.fullmatch(name):
            raise DeclarationError(f"{where}: the model's name {name!r} is no identifier")
        if any(other.name == name for other in self.all.values()):
            raise DeclarationError(f"{where}: two models are called {name!r}; rename one of them")
        return name

    def _add(self, structured: StructuredType) -> StructuredType:
        self.all[structured.model] = structured
        return structured


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if typing.get_origin(annotation) is typing.Annotated:
        return _without_none(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (Union, types.UnionType):
        rest = [part for part in typing.get_args(annotation) if part is not type(None)]
        if len(rest) == 1:
            return _without_none(rest[0])[0], len(rest) < len(typing.get_args(annotation))
    return annotation, False
