"""The base of input and output models: camelCase on the wire, snake_case in Python."""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """A pydantic model whose JSON names are camelCase and whose Python names are snake_case."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)


@dataclass(frozen=True, slots=True)
class Content:
    """What a read answers that is no JSON: bytes and their media type."""

    body: bytes
    content_type: str
