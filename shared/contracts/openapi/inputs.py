"""Where the members of an input model travel: in the path, in the query, in the body."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from shared.actions import routes
from shared.actions.patterns import OPERATION_ID
from shared.contracts.openapi.dialect import Json
from shared.contracts.openapi.parts import body_of, path_parameter, without_null
from shared.contracts.openapi.schemas import Schemas
from shared.model.ids import ID_PATTERN

ID_SCHEMA: Json = {"type": "string", "pattern": f"^{ID_PATTERN}$"}
"""What texts in our routes have to match, whatever else their field asks for."""

OPERATION = path_parameter(OPERATION_ID, ID_SCHEMA, "The operation's id.")


class Input:
    """The input of one declaration; `key` names its type among the schemas, and `model` may be None."""

    def __init__(self, schemas: Schemas, key: str, model: type[BaseModel] | None, route: str) -> None:
        self._schemas = schemas
        self._key = key
        self.model = model
        self.members: Mapping[str, Json] = schemas.properties(key) if model is not None else {}
        self.required = schemas.required(key) if model is not None else []
        names = routes.parameters(route, route)
        self._in_route = {name: self._wire_name(name) for name in names}
        self._taken = {wire for name, wire in self._in_route.items() if name != OPERATION_ID}

    @property
    def rest(self) -> dict[str, Json]:
        """The members that the route does not have."""
        return {name: schema for name, schema in self.members.items() if name not in self._taken}

    @property
    def required_rest(self) -> list[str]:
        return [name for name in self.required if name not in self._taken]

    def path(self) -> list[Json]:
        """The route's parameters, each an id and what its field wants."""
        found: list[Json] = []
        for name, wire in self._in_route.items():
            schema = without_null(dict(self.members.get(wire, {}))) if wire in self._taken else {}
            schema.pop("default", None)
            found.append(path_parameter(name, self._as_id(schema)))
        return found

    def query(self) -> list[Json]:
        """The rest of the members as query parameters."""
        return [
            {"name": name, "in": "query", "required": name in self.required, "schema": without_null(schema)}
            for name, schema in self.rest.items()
        ]

    def body(self) -> Json | None:
        """The rest of the members as a JSON body, which is optional where none is required."""
        if self.model is None:
            return None
        return body_of(self._schemas.without(self._key, self._taken), required=bool(self.required_rest))

    def _as_id(self, schema: Json) -> Json:
        """The schema with its texts held to what ids have to match; all else stays what it is."""
        shown = self._schemas.resolved(schema)
        if "anyOf" in shown:
            return {**shown, "anyOf": [self._as_id(each) for each in shown["anyOf"]]}
        untyped = None if shown.keys() & {"enum", "oneOf"} else "string"
        if shown.get("type", untyped) != "string":
            return schema
        if shown.get("pattern", ID_SCHEMA["pattern"]) != ID_SCHEMA["pattern"]:
            return {**shown, "allOf": [ID_SCHEMA]}
        return {**ID_SCHEMA, **shown}

    def _wire_name(self, name: str) -> str:
        field: Any = self.model.model_fields.get(name) if self.model is not None else None
        return (field.alias or name) if field is not None else name
