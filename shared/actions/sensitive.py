"""Values that the app stores for its handlers and shows to nobody: `SecretStr`, and fields marked `SENSITIVE`.

    class Import(Model):
        password: SecretStr
        account: Annotated[str, SENSITIVE]

As JSON, and in `repr`, both are asterisks, wherever a model is shown; only the stored input has what a caller sent.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any, Final, cast

from pydantic import (
    BaseModel,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    RootModel,
    SecretBytes,
    SecretStr,
    TypeAdapter,
)
from pydantic.fields import FieldInfo
from pydantic_core import core_schema

HIDDEN = "**********"
"""As pydantic writes a secret."""


class _Sensitive:
    """Marks a field: its value is not written where its model is shown."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        schema = handler(source)
        schema["serialization"] = core_schema.plain_serializer_function_ser_schema(_hidden, when_used="json")
        return schema

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> Any:
        return {**handler(schema), "writeOnly": True}


def _hidden(value: Any) -> str | None:
    return None if value is None else HIDDEN


SENSITIVE: Final = _Sensitive()


def dumped(input: BaseModel) -> Any:
    """The model as JSON values by its names on the wire, with what is sensitive in clear: for storage alone."""
    shown = input.model_dump(mode="json", by_alias=True)
    return _in_clear(input, shown) if has_secrets(type(input)) else shown


@lru_cache(maxsize=1024)
def has_secrets(model: type[BaseModel]) -> bool:
    """Whether a value of the model, however deep, is sensitive."""
    return any(node.get("cls") in (SecretStr, SecretBytes) or _is_hiding(node) for node in _nodes(model))


def _nodes(model: type[BaseModel]) -> Iterable[Mapping[str, Any]]:
    pending: list[Any] = [model.__pydantic_core_schema__]
    while pending:
        found = pending.pop()
        if isinstance(found, Mapping):
            node = cast(Mapping[str, Any], found)
            yield node
            pending += node.values()
        elif isinstance(found, list | tuple):
            pending += cast(Iterable[Any], found)


def _is_hiding(node: Mapping[str, Any]) -> bool:
    serialization: Any = node.get("serialization")
    return isinstance(serialization, Mapping) and cast(Mapping[str, Any], serialization).get("function") is _hidden


def _in_clear(value: Any, json_value: Any) -> Any:
    """What was dumped, with each secret in its place: both have the same shape."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, SecretBytes):
        return value.get_secret_value().decode()
    if isinstance(value, RootModel):
        return _in_clear(cast(Any, value).root, json_value)
    if isinstance(value, BaseModel) and isinstance(json_value, dict):
        return _members_in_clear(value, cast(dict[str, Any], json_value))
    if is_dataclass(value) and isinstance(json_value, dict):
        given = cast(dict[str, Any], json_value)
        members = {each.name: getattr(value, each.name) for each in fields(value) if each.name in given}
        return given | {name: _in_clear(member, given[name]) for name, member in members.items()}
    if isinstance(value, Mapping) and isinstance(json_value, dict):
        pairs = zip(cast(Mapping[Any, Any], value).values(), cast(dict[str, Any], json_value).items(), strict=True)
        return {name: _in_clear(member, each) for member, (name, each) in pairs}
    if isinstance(value, list | tuple | set | frozenset) and isinstance(json_value, list):
        return [_in_clear(*pair) for pair in zip(cast(Iterable[Any], value), cast(list[Any], json_value), strict=True)]
    return json_value


def _members_in_clear(value: BaseModel, given: dict[str, Any]) -> dict[str, Any]:
    found = dict(given)
    for name, info in type(value).model_fields.items():
        wire = info.serialization_alias or info.alias or name
        if wire not in given:
            continue
        member = getattr(value, name)
        if is_sensitive(info):
            found[wire] = _adapter(type(value), name).dump_python(member, mode="json", by_alias=True)
        else:
            found[wire] = _in_clear(member, given[wire])
    return found


def is_sensitive(info: FieldInfo) -> bool:
    """Whether the field is marked."""
    return any(isinstance(each, _Sensitive) for each in info.metadata)


@lru_cache(maxsize=256)
def _adapter(model: type[BaseModel], name: str) -> TypeAdapter[Any]:
    """Of the field's type without its mark."""
    annotation: Any = model.model_fields[name].annotation
    return TypeAdapter(annotation)
