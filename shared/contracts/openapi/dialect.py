"""JSON schemas as trees: their parts, and the dialect of OpenAPI 3.0.

OpenAPI 3.1 takes JSON Schema 2020-12 as it is; 3.0.3 ("Schema Object") knows an older and smaller dialect.
"""

from collections.abc import Callable
from typing import Any, cast

Json = dict[str, Any]

_MAPS = ("properties", "patternProperties", "$defs", "dependentSchemas")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = (
    "items", "additionalProperties", "not", "if", "then", "else", "propertyNames", "contains", "contentSchema",
    "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip

_UNKNOWN_TO_3_0 = (
    "$schema", "$id", "$anchor", "$comment", "$defs", "patternProperties", "propertyNames", "prefixItems", "contains",
    "minContains", "maxContains", "dependentRequired", "dependentSchemas", "if", "then", "else", "contentMediaType",
    "contentEncoding", "contentSchema", "unevaluatedItems", "unevaluatedProperties", "const", "examples",
)  # fmt: skip


def copied(value: Any) -> Any:
    """A copy of JSON, all the way down: a fifth of the work of `deepcopy`."""
    if isinstance(value, dict):
        return {name: copied(each) for name, each in cast(Json, value).items()}
    return [copied(each) for each in cast(list[Any], value)] if isinstance(value, list) else value


def mapped(schema: Json, change: Callable[[Any], Any]) -> Json:
    """A copy of the schema with every schema directly in it replaced by `change` of it."""
    found = dict(schema)
    for name in _MAPS:
        if name in found:
            found[name] = {key: change(each) for key, each in found[name].items()}
    for name in _LISTS:
        if name in found:
            found[name] = [change(each) for each in found[name]]
    for name in _SINGLE:
        if name in found:
            found[name] = change(found[name])
    return found


def to_3_0(schema: Any) -> Any:
    """The schema in OpenAPI 3.0's dialect. Where that has no word for a condition, the condition is left out."""
    if not isinstance(schema, dict):
        return {} if schema is True else {"not": {}} if schema is False else schema
    found = mapped(cast(Json, schema), _member_to_3_0)
    if "$ref" in found:
        siblings = {name: value for name, value in found.items() if name != "$ref"}
        # Siblings of a reference are ignored there ("Reference Object").
        return {"allOf": [{"$ref": found["$ref"]}], **to_3_0(siblings)} if siblings else found
    _type_to_3_0(found)
    _null_to_3_0(found)
    _limits_to_3_0(found)
    if "const" in found:
        found["enum"] = [found["const"]]
    if examples := found.get("examples"):
        found.setdefault("example", examples[0])
    if found.get("contentEncoding") in ("base64", "base64url"):
        found["format"] = "byte"
    if "prefixItems" in found:
        found["items"] = {"anyOf": found["prefixItems"]} if found["prefixItems"] else {}
    if "patternProperties" in found and not isinstance(found.get("additionalProperties"), dict):
        found["additionalProperties"] = {"anyOf": list(found["patternProperties"].values())}
    return {name: value for name, value in found.items() if name not in _UNKNOWN_TO_3_0}


def _member_to_3_0(schema: Any) -> Any:
    # Booleans stay what they are where 3.0 takes them: `additionalProperties`.
    return schema if isinstance(schema, bool) else to_3_0(schema)


def _type_to_3_0(schema: Json) -> None:
    """A list of types becomes one type, `nullable`, or a choice."""
    types = schema.get("type")
    if types == "null":
        del schema["type"]
        schema |= {"nullable": True, "enum": [None]}
    elif isinstance(types, list):
        rest = [each for each in cast(list[str], types) if each != "null"]
        if len(rest) < len(cast(list[str], types)):
            schema["nullable"] = True
        del schema["type"]
        if len(rest) == 1:
            schema["type"] = rest[0]
        elif rest:
            schema.setdefault("anyOf", [{"type": each} for each in rest])


def _null_to_3_0(schema: Json) -> None:
    """A choice that null is one of becomes `nullable`."""
    for name in ("anyOf", "oneOf"):
        choices = cast(list[Json], schema.get(name, []))
        rest = [each for each in choices if each != {"nullable": True, "enum": [None]}]
        if len(rest) == len(choices):
            continue
        del schema[name]
        schema["nullable"] = True
        if len(rest) == 1 and "$ref" not in rest[0] and not set(rest[0]) & set(schema):
            schema |= rest[0]
        elif len(rest) == 1:
            # `nullable` counts beside a type only; a reference brings its own.
            schema["allOf"] = rest
        elif rest:
            schema[name] = rest


def _limits_to_3_0(schema: Json) -> None:
    """An exclusive limit is a number of its own in 3.1, a mark on the inclusive one in 3.0."""
    for exclusive, inclusive in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if exclusive in schema and not isinstance(schema[exclusive], bool):
            schema[inclusive] = schema[exclusive]
            schema[exclusive] = True
