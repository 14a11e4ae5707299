"""What an input model may not have: members that cannot be described, sent or stored."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel

from shared.errors import DeclarationError

_NEVER_TEXT = frozenset(
    {"list", "set", "frozenset", "tuple", "generator", "dict", "model", "typed-dict", "dataclass", "tagged-union"}
)
"""Kinds of pydantic's core schema that text is never read as."""


def check_model(model: type[BaseModel], where: str) -> None:
    """Refuse members that are read from below another one, and bytes as a default that is no text.

    Raises DeclarationError. The first could not be described, the second not be stored as JSON.
    """
    for node in _nodes(model.__pydantic_core_schema__):
        for path in _alias_paths(node.get("validation_alias")):
            raise DeclarationError(
                f"{where}: {model.__name__} reads a member from the path {path}, which cannot be described; "
                "declare a model for what is nested"
            )
    for name, field in model.model_fields.items():
        if isinstance(field.default, bytes) and model.model_config.get("ser_json_bytes", "utf8") == "utf8":
            try:
                field.default.decode()
            except UnicodeDecodeError:
                message = f"the default of {name!r} is not UTF-8; set ser_json_bytes in the model_config"
                raise DeclarationError(f"{where}: {message}") from None


def check_texts(model: type[BaseModel] | None, names: Iterable[str], where: str) -> None:
    """Refuse members of these names, or aliases, that no text can be. Raises DeclarationError."""
    if model is None:
        return
    given, nodes = set(names), list(_nodes(model.__pydantic_core_schema__))
    shared: dict[str, Any] = {node["ref"]: node for node in nodes if "ref" in node}
    own = next((node for node in nodes if node.get("type") == "model" and node.get("cls") is model), {})
    fields: Mapping[str, Any] = next((node["fields"] for node in _nodes(own) if node.get("type") == "model-fields"), {})
    for name, field in fields.items():
        if {name, model.model_fields[name].alias} & given and not _takes_text(field["schema"], shared):
            raise DeclarationError(
                f"{where}: {name!r} cannot be read from text, and in a URL all is text; take it in a body instead"
            )


def mentions(schema: Mapping[str, Any], word: str) -> bool:
    """Whether a core schema has `word` as a key or a value: a look that costs less than to write a JSON schema."""
    return any(word in node or word in filter(_is_text, node.values()) for node in _nodes(schema))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _takes_text(schema: Mapping[str, Any], shared: Mapping[str, Any]) -> bool:
    match schema["type"]:
        case "default" | "nullable" | "function-after":
            return _takes_text(schema["schema"], shared)
        case "definition-ref":
            return _takes_text(shared[schema["schema_ref"]], shared)
        case "union":
            choices = (each[0] if isinstance(each, tuple) else each for each in schema["choices"])
            return any(_takes_text(cast(Mapping[str, Any], each), shared) for each in choices)
        case kind:
            return kind not in _NEVER_TEXT


def _alias_paths(alias: Any) -> Iterator[list[Any]]:
    """AliasPath is a list of steps here, AliasChoices a list of such lists; of one step it is a name."""
    if isinstance(alias, list):
        steps = cast(list[Any], alias)
        for path in steps if isinstance(steps[0], list) else [steps]:
            if len(path) > 1:
                yield path


def _nodes(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every mapping in a core schema, from the outside in."""
    waiting: list[Any] = [dict(schema)]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            node = cast(dict[str, Any], each)
            yield node
            waiting.extend(reversed(node.values()))
        elif isinstance(each, list | tuple):
            waiting.extend(reversed(cast(Sequence[Any], each)))
