"""Schemas of OpenAPI 3.1 in the dialect of 3.0."""

from typing import Any

import pytest

from shared.contracts.openapi.dialect import to_3_0

A = {"$ref": "#/components/schemas/A"}
NULL = {"type": "null"}

CASES: dict[str, tuple[Any, Any]] = {
    "plain": ({"type": "string", "format": "uri"}, {"type": "string", "format": "uri"}),
    "type or null": ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
    "types": ({"type": ["string", "integer"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
    "choice or null": (
        {"anyOf": [{"type": "integer", "minimum": 1}, NULL]},
        {"type": "integer", "minimum": 1, "nullable": True},
    ),
    "reference or null": ({"anyOf": [A, NULL]}, {"allOf": [A], "nullable": True}),
    "choices or null": ({"anyOf": [A, {"type": "string"}, NULL]}, {"anyOf": [A, {"type": "string"}], "nullable": True}),
    "null": (NULL, {"nullable": True, "enum": [None]}),
    "const": ({"type": "string", "const": "x"}, {"type": "string", "enum": ["x"]}),
    "exclusive": (
        {"type": "integer", "exclusiveMinimum": 0},
        {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
    ),
    "examples": ({"type": "string", "examples": ["a", "b"]}, {"type": "string", "example": "a"}),
    "sibling of a reference": ({**A, "description": "d"}, {"allOf": [A], "description": "d"}),
    "tuple": (
        {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "minItems": 2},
        {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}, "minItems": 2},
    ),
    "anything": (True, {}),
    "nothing": (False, {"not": {}}),
    "closed": (
        {"type": "object", "properties": {"a": {"const": 1}}, "additionalProperties": False},
        {"type": "object", "properties": {"a": {"enum": [1]}}, "additionalProperties": False},
    ),
    "bytes": ({"type": "string", "contentEncoding": "base64"}, {"type": "string", "format": "byte"}),
    "a member called const": (
        {"type": "object", "properties": {"const": {"type": "string"}, "type": {"const": "t"}}},
        {"type": "object", "properties": {"const": {"type": "string"}, "type": {"enum": ["t"]}}},
    ),
    "patterns": (
        {"type": "object", "patternProperties": {"^x": {"type": "integer"}}},
        {"type": "object", "additionalProperties": {"anyOf": [{"type": "integer"}]}},
    ),
    "no word for it": ({"type": "object", "propertyNames": {"pattern": "a"}, "if": {}, "then": {}}, {"type": "object"}),
}


@pytest.mark.parametrize("name", CASES)
def test_to_3_0(name: str) -> None:
    """Each form of 3.1 has the form that 3.0 has for it, and the schema that came in is as it was."""
    given, expected = CASES[name]
    before = repr(given)
    assert to_3_0(given) == expected
    assert repr(given) == before
