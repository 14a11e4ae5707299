"""The base of input and output models: camelCase on the wire, snake_case in Python."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from shared.actions.sensitive import HIDDEN, is_sensitive
from shared.frozen import frozen


class Model(BaseModel):
    """A pydantic model whose JSON names are camelCase and whose Python names are snake_case."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Without the values of fields that are marked as sensitive: a log or a trace may show them."""
        fields = type(self).model_fields
        for name, value in super().__repr_args__():
            info = fields.get(name or "")
            yield name, HIDDEN if info is not None and is_sensitive(info) else value


@frozen
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
