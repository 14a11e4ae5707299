"""The base of input and output models: camelCase on the wire, snake_case in Python."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """A pydantic model whose JSON names are camelCase and whose Python names are snake_case."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)


@dataclass(frozen=True, slots=True)
class Content:
    """What a read answers that is no JSON: bytes and their media type."""

    body: bytes
    content_type: str


def read_only(default: Any = None) -> Any:
    """A property that the service sets: a request may only repeat its value. `words: int | None = read_only()`."""
    return Field(default, json_schema_extra={"readOnly": True})


def read_only_names(model: type[BaseModel]) -> frozenset[str]:
    """The wire names of the model's own read-only properties."""
    return frozenset(
        field.alias or name
        for name, field in model.model_fields.items()
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("readOnly")
    )
