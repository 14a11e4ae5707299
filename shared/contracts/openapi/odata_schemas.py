"""JSON schemas of an OData service: its types as answers show them, and what requests bring.

Named as in the OASIS note "OData to OpenAPI Mapping Version 1.0", "Schemas for Entity Types and Complex Types": the
qualified name, with `-create` and `-update` for what makes and changes an entity.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, Field, create_model
from typing_extensions import TypedDict  # pydantic reads it from there below Python 3.12

from shared.actions.odata.edm import StructuredType, TypeRef
from shared.actions.odata.service import EntitySet, ODataOperation, ODataService
from shared.contracts.odata.limits import MAX_REQUESTS, MAX_URL, REQUEST_ID
from shared.contracts.openapi.dialect import Json
from shared.contracts.openapi.schemas import Schemas, TypeOf

BATCH_IN, BATCH_OUT, SERVICE = "odata:batch", "odata:answers", "odata:service"

_CONTEXT: Json = {"type": "string", "format": "uri-reference"}
_NULL: Json = {"type": "null"}
_OF_THEIR_OWN: Mapping[str, Json] = {
    "Edm.Decimal": {"type": "number"},
    "Edm.Double": {"anyOf": [{"type": "number"}, {"enum": ["INF", "-INF", "NaN"]}]},
    "Edm.Int64": {"type": "integer", "format": "int64"},
}
"""What answers show in another way than pydantic writes it (`shared.contracts.odata.values`)."""


BatchName = Annotated[str, Field(pattern=f"^{REQUEST_ID}$")]


class BatchRequest(TypedDict):
    """One request of a batch. Members of one `atomicityGroup` are done together or not at all."""

    id: BatchName
    method: Literal["GET", "POST", "PATCH", "PUT", "DELETE"]
    url: Annotated[str, Field(min_length=1, max_length=MAX_URL)]
    headers: NotRequired[dict[str, str] | None]
    body: NotRequired[Any]
    atomicityGroup: NotRequired[BatchName | None]
    dependsOn: NotRequired[list[BatchName] | None]


class BatchRequests(TypedDict):
    """Requests that are served one after the other; a URL may begin with `$` and the id of an earlier one."""

    requests: Annotated[list[BatchRequest], Field(max_length=MAX_REQUESTS)]


class BatchAnswer(TypedDict):
    """The answer to one request of a batch; a 202 has the monitor in `headers.location`."""

    id: NotRequired[str]
    atomicityGroup: NotRequired[str]
    status: int
    headers: NotRequired[dict[str, str]]
    body: NotRequired[Any]


class BatchAnswers(TypedDict):
    """In the order of the requests; after a failure the rest may not have been done."""

    responses: list[BatchAnswer]


class ServiceItem(TypedDict):
    """An entity set, or a function that takes nothing."""

    name: str
    kind: Literal["EntitySet", "FunctionImport"]
    url: str


# The names of control information are no identifiers.
ServiceDocument = TypedDict(
    "ServiceDocument",
    {
        "@odata.context": NotRequired[Annotated[str, Field(json_schema_extra={"format": "uri"})]],
        "value": list[ServiceItem],
    },
)


def types(service: ODataService) -> Iterator[TypeOf]:
    """Every structured type as it is shown, each writable set's as a request brings it, and the parameters."""
    yield BATCH_IN, "validation", BatchRequests
    yield BATCH_OUT, "serialization", BatchAnswers
    yield SERVICE, "serialization", ServiceDocument
    for structured in service.types.all.values():
        yield _shown_key(structured), "serialization", structured.model
    for entity_set in service.entity_sets.values():
        if entity_set.is_writable:
            yield _new_key(entity_set), "validation", _brought(entity_set.type)
    for operation in service.operations:
        if operation.declared.input_model is not None:
            yield input_key(operation), "validation", operation.declared.input_model
        if operation.declared.output is not None:
            yield _output_key(operation), "serialization", operation.declared.output


def input_key(operation: ODataOperation) -> str:
    return f"odata:in:{operation.declared.name}"


def structure(schemas: Schemas, type: StructuredType, *, selected: bool = False) -> Json:
    """A reference to the type as answers show it. `$select` may leave out any member of an entity, at any depth."""
    selected = selected or type.key is not None
    own = schemas.resolved(schemas.of(_shown_key(type)))
    own.pop("additionalProperties", None)
    given = own.get("properties", {})
    members = {
        name: _value(schemas, p.type, given.get(name, {}), selected=selected) for name, p in type.properties.items()
    }
    if selected:
        own.pop("required", None)
    if type.key is not None:
        members = {"@odata.context": _CONTEXT, "@odata.etag": {"type": "string"}, **members}
    return schemas.add(type.qualified, {**own, "title": type.qualified, "properties": members})


def page(schemas: Schemas, entity_set: EntitySet) -> Json:
    """A page of the set's entities."""
    link: Json = {"type": "string", "format": "uri", "description": "The next page; without it this is the last."}
    members = {
        "@odata.context": _CONTEXT,
        "@odata.count": {"type": "integer", "format": "int64", "description": "Of all pages, with `$count=true`."},
        "value": {"type": "array", "items": structure(schemas, entity_set.type)},
        "@odata.nextLink": link,
    }
    return schemas.add(f"{entity_set.type.qualified}-page", _object(members, ["value"]))


def created(schemas: Schemas, entity_set: EntitySet) -> Json:
    """What a POST to the set brings. What the service sets is not among it: that is ignored."""
    return schemas.add(f"{entity_set.type.qualified}-create", _new(schemas, entity_set))


def changed(schemas: Schemas, entity_set: EntitySet) -> Json:
    """What a PATCH brings: any of the members, of which none has a default."""
    schema = _new(schemas, entity_set)
    schema.pop("required", None)
    schema["properties"] = {
        name: {word: value for word, value in each.items() if word != "default"}
        for name, each in schema["properties"].items()
        if name != entity_set.key.name
    }
    return schemas.add(f"{entity_set.type.qualified}-update", schema)


def parameters(schemas: Schemas, operation: ODataOperation) -> Json | None:
    """The body of an action. A parameter that may be null may be left out (Protocol 4.01, section 11.5.5.1)."""
    if not operation.parameters:
        return None
    schema = schemas.resolved(schemas.of(input_key(operation)))
    schema["properties"] = {name: schema["properties"][name] for name in operation.parameters}
    schema["required"] = [p.name for p in operation.parameters.values() if p.required and not p.type.nullable]
    if not schema["required"]:
        del schema["required"]
    title = f"{operation.qualified}-parameters"
    return schemas.add(title, {**schema, "title": title})


def result(schemas: Schemas, operation: ODataOperation) -> Json | None:
    """What an action or a function answers with 200; None for one that returns nothing."""
    type = operation.returns
    if type is None:
        return None
    if type.structured is not None and not type.is_collection:
        return structure(schemas, type.structured)
    members = {"@odata.context": _CONTEXT, "value": _value(schemas, type, schemas.of(_output_key(operation)))}
    return schemas.add(f"{operation.qualified}-result", _object(members, ["value"]))


def _output_key(operation: ODataOperation) -> str:
    return f"odata:result:{operation.declared.name}"


def _shown_key(type: StructuredType) -> str:
    return f"odata:out:{type.qualified}"


def _new_key(entity_set: EntitySet) -> str:
    return f"odata:new:{entity_set.type.qualified}"


def _brought(type: StructuredType) -> type[BaseModel]:
    """The type's model without what the service sets."""
    fields: dict[str, Any] = {
        property.field: (type.model.model_fields[property.field].annotation, type.model.model_fields[property.field])
        for property in type.properties.values()
        if not property.computed
    }
    return create_model(f"{type.name}Create", __config__=type.model.model_config, __doc__=type.model.__doc__, **fields)


def _new(schemas: Schemas, entity_set: EntitySet) -> Json:
    schema = schemas.resolved(schemas.of(_new_key(entity_set)))
    schema.pop("title", None)
    return schema


def _value(schemas: Schemas, type: TypeRef, given: Json, *, selected: bool = False) -> Json:
    """The type's schema; `given` is what pydantic says of it, with descriptions and the values that are possible."""
    notes = {word: given[word] for word in ("description", "readOnly") if word in given}
    if type.is_collection:
        item = TypeRef(type.name, nullable=type.nullable, structured=type.structured)
        return {
            **notes,
            "type": "array",
            "items": _value(schemas, item, given.get("items", {}), selected=selected),
        }
    if type.structured is not None:
        plain = structure(schemas, type.structured, selected=selected)
    elif type.name in _OF_THEIR_OWN:
        plain = dict(_OF_THEIR_OWN[type.name])
    else:
        return given
    return {**notes, "anyOf": [plain, _NULL]} if type.nullable else {**notes, **plain}


def _object(properties: Json, required: list[str]) -> Json:
    return {"type": "object", "properties": properties, "required": required}
