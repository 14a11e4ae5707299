"""JSON schemas of the app's Python types, as the components of one document.

Pydantic makes them (JSON Schema 2020-12, which is OpenAPI 3.1's dialect); what the wire adds to a model is derived from
its schema here: a body without the route's parameters, a monitor with its action's result.
"""

import json
import re
from collections.abc import Iterable, Mapping, Set
from typing import Any, Literal, cast

from pydantic import PydanticInvalidForJsonSchema, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from shared.contracts.openapi.dialect import Json, copied, mapped
from shared.errors import DeclarationError

_Mode = Literal["validation", "serialization"]
TypeOf = tuple[str, _Mode, Any]
"""A key of its own, whether it is read or written, and the type or its TypeAdapter."""

_Adapter = tuple[str, _Mode, TypeAdapter[Any]]

_PREFIX = "#/components/schemas/"


class _Generator(GenerateJsonSchema):
    """Without the titles that only repeat a field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: Any) -> Json:
        return self._closed(super().model_schema(schema))

    def typed_dict_schema(self, schema: Any) -> Json:
        return self._closed(super().typed_dict_schema(schema))

    def _closed(self, found: Json) -> Json:
        """Requests are read with `extra="forbid"` (bodies.parse_input), whatever a model says of itself."""
        if self.mode == "validation" and "additionalProperties" in found:
            found["additionalProperties"] = False
        return found


class Schemas:
    """The components, and the schema of every type by its key."""

    def __init__(self, types: Iterable[TypeOf]) -> None:
        adapters: list[_Adapter] = [
            (key, mode, cast(TypeAdapter[Any], each) if isinstance(each, TypeAdapter) else TypeAdapter[Any](each))
            for key, mode, each in types
        ]
        found, rest = _generated(adapters)
        names = {name: _component_name(name) for name in rest.get("$defs", {})}
        self.components: dict[str, Json] = {
            names[name]: _renamed(schema, names) for name, schema in rest.get("$defs", {}).items()
        }
        self._by_key: dict[str, Json] = {key: _renamed(schema, names) for (key, _), schema in found.items()}
        closed: set[str] = set()
        for key, mode, _ in adapters:
            if mode == "validation":
                self._by_key[key] = self._closed(self._by_key[key], closed)

    def of(self, key: str) -> Json:
        """The schema of a type, a reference where it has a name."""
        return copied(self._by_key[key])

    def resolved(self, schema: Json) -> Json:
        """What a reference stands for; a copy."""
        while "$ref" in schema:
            schema = self.components[schema["$ref"].removeprefix(_PREFIX)]
        return copied(schema)

    def properties(self, key: str) -> dict[str, Json]:
        return self.resolved(self.of(key)).get("properties", {})

    def required(self, key: str) -> list[str]:
        return self.resolved(self.of(key)).get("required", [])

    def add(self, name: str, schema: Json) -> Json:
        """A component of our own; the reference to it. The same name with another schema gets a number."""
        base, number = _component_name(name), 1
        chosen = base
        while self.components.get(chosen, schema) != schema:
            number += 1
            chosen = f"{base}{number}"
        self.components[chosen] = schema
        return {"$ref": f"{_PREFIX}{chosen}"}

    def named(self, key: str, name: str) -> Json:
        """The type as a component, under this name where it has none of its own; the reference to it."""
        schema = self.of(key)
        return schema if "$ref" in schema else self.add(name, schema)

    def without(self, key: str, names: Set[str]) -> Json:
        """The type without some of its members, for bodies whose route has them."""
        schema = self.resolved(self.of(key))
        if not names & schema.get("properties", {}).keys():
            return self.of(key)
        schema["properties"] = {name: each for name, each in schema["properties"].items() if name not in names}
        schema["required"] = [name for name in schema.get("required", []) if name not in names]
        if not schema["required"]:
            del schema["required"]
        title = f"{schema.get('title') or key}Body"
        return self.add(title, {**schema, "title": title})

    def extended(
        self, key: str, name: str, properties: Mapping[str, Json], *, required: Iterable[str] = (), without: str = ""
    ) -> Json:
        """A named copy of the type with more, or other, members, and without an optional one."""
        schema = self.resolved(self.of(key))
        schema["properties"] = {**schema.get("properties", {}), **properties}
        schema["properties"].pop(without, None)
        schema["required"] = list(dict.fromkeys([*schema.get("required", []), *required]))
        return self.add(name, {**schema, "title": _component_name(name)})

    def _closed(self, schema: Any, seen: set[str]) -> Any:
        """The schema, and all it refers to, with unknown members refused, as requests have it (bodies.parse_input)."""
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            name = cast(str, schema["$ref"]).removeprefix(_PREFIX)
            if name not in seen:
                seen.add(name)
                self.components[name] = self._closed(self.components[name], seen)
            return cast(Json, schema)
        found = mapped(cast(Json, schema), lambda each: self._closed(each, seen))
        if "properties" in found:
            found.setdefault("additionalProperties", False)
        return found


def _generated(adapters: list[_Adapter]) -> tuple[Mapping[Any, Any], Mapping[str, Any]]:
    """Pydantic's schemas by key and mode, and what they share. Raises DeclarationError for one that it cannot make."""
    try:
        return TypeAdapter.json_schemas(adapters, ref_template=f"{_PREFIX}{{model}}", schema_generator=_Generator)
    except PydanticInvalidForJsonSchema:
        # Of them all it does not say which.
        for key, mode, adapter in adapters:
            try:
                adapter.json_schema(mode=mode, schema_generator=_Generator)
            except PydanticInvalidForJsonSchema as error:
                name = re.sub("^(odata:)?(in|out|new|result):", "", key)
                side = "takes" if mode == "validation" else "answers"
                message = f"what {name} {side} cannot be described as JSON: {error.message}"
                raise DeclarationError(message) from None
        raise


def _is_json(value: Any) -> bool:
    """False for numbers and texts that cannot be sent: NaN, infinities, half a surrogate pair."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return False
    return True


def _component_name(name: str) -> str:
    """Names of components are letters, digits, `.`, `-` and `_` (OpenAPI 3.1, "Components Object")."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("_") or "Unnamed"


def _renamed(schema: Any, names: Mapping[str, str]) -> Any:
    """With references renamed, and without what is no JSON or only repeats that it may be absent: `default: null`."""
    if not isinstance(schema, dict):
        return schema
    found = mapped(cast(Json, schema), lambda each: _renamed(each, names))
    if "$ref" in found:
        name = found["$ref"].removeprefix(_PREFIX)
        found["$ref"] = _PREFIX + names.get(name, name)
    if isinstance(mapping := found.get("discriminator", {}).get("mapping"), dict):
        renamed = {value: _renamed({"$ref": target}, names)["$ref"] for value, target in cast(Json, mapping).items()}
        found["discriminator"] = {**found["discriminator"], "mapping": renamed}
    if found.get("default", "") is None:
        del found["default"]
    return {word: each for word, each in found.items() if _is_json(each)}
