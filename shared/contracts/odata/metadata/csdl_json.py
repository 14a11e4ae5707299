"""`$metadata` as JSON (OData CSDL JSON Representation 4.01): names, facets, annotations. XML is made of it."""

from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from shared.actions.odata.edm import Property, StructuredType, TypeRef
from shared.actions.odata.routes import Binding
from shared.actions.odata.service import CONTAINER, ODataOperation, ODataService
from shared.contracts.odata.metadata.annotations import CORE, VOCABULARIES, container_annotations, set_annotations
from shared.contracts.odata.metadata.service_document import is_in_service_document
from shared.contracts.odata.payloads import set_of

TEMPORAL_PRECISION = 6
"""Digits of a second: without it XML says whole seconds (CSDL XML 4.01, section 7.2.3)."""

_TEMPORAL = ("Edm.DateTimeOffset", "Edm.Duration", "Edm.TimeOfDay")
_WITH_DEFAULT = ("Edm.String", "Edm.Boolean", "Edm.Int64", "Edm.Double")


def metadata_json(service: ODataService, version: str) -> dict[str, Any]:
    """The document for a version, "4.0" or "4.01", as `odata_version` gives it."""
    schema: dict[str, Any] = {type.name: _type(type) for type in service.types.all.values()}
    for operation in service.operations:
        schema.setdefault(operation.name, []).append(_operation(operation))
    schema[CONTAINER] = _container(service)
    return {
        "$Version": version,
        "$EntityContainer": f"{service.namespace}.{CONTAINER}",
        "$Reference": {f"{url}.json": {"$Include": [{"$Namespace": name}]} for name, url in VOCABULARIES.items()},
        service.namespace: schema,
    }


def literal(value: Any) -> str:
    """A default or a truth value as text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _type(type: StructuredType) -> dict[str, Any]:
    kind: dict[str, Any] = {"$Kind": "ComplexType" if type.key is None else "EntityType"}
    if type.key is not None:
        kind["$Key"] = [type.key.name]
    return kind | {property.name: _property(type.model, property) for property in type.properties.values()}


def _property(model: type[BaseModel], property: Property) -> dict[str, Any]:
    """A default is what a new entity gets where the request leaves the property out."""
    if property.computed:
        return {**_type_of(property.type), f"@{CORE}.Computed": True}
    default = _default(model, property)
    return _type_of(property.type) | ({} if default is None else {"$DefaultValue": default})


def _type_of(type: TypeRef) -> dict[str, Any]:
    """By default a single Edm.String, not null, or a decimal of any scale is meant (sections 7.1, 7.2)."""
    members: dict[str, Any] = {"$Collection": True} if type.is_collection else {}
    if type.name != "Edm.String":
        members["$Type"] = type.name
    if type.nullable:
        members["$Nullable"] = True
    if type.name in _TEMPORAL:
        members["$Precision"] = TEMPORAL_PRECISION
    return members


def _operation(operation: ODataOperation) -> dict[str, Any]:
    members: dict[str, Any] = {"$Kind": "Action" if operation.is_action else "Function"}
    parameters = _parameters(operation)
    if operation.entity_set is not None:
        members["$IsBound"] = True
        if operation.returns is not None and operation.returns.structured is operation.entity_set.type:
            # What it returns is of the set that it is called on.
            members["$EntitySetPath"] = parameters[0]["$Name"]
    if parameters:
        members["$Parameter"] = parameters
    if operation.returns is not None:
        members["$ReturnType"] = _type_of(operation.returns)
    return members


def _parameters(operation: ODataOperation) -> list[dict[str, Any]]:
    """The binding one first, then those that a call has to bring, then the optional ones."""
    found: list[dict[str, Any]] = []
    model = operation.declared.input_model
    if operation.entity_set is not None:
        bound, name = operation.entity_set.type, "bindingParameter"
        while name in operation.parameters:
            name += "_"
        found.append({"$Name": name, **_type_of(TypeRef(bound.qualified, operation.binding is Binding.COLLECTION))})
    for property in sorted(operation.parameters.values(), key=lambda parameter: not parameter.required):
        found.append({"$Name": property.name, **_type_of(property.type)})
        if not property.required and model is not None:
            value = _default(model, property)
            found[-1][f"@{CORE}.OptionalParameter"] = {} if value is None else {"DefaultValue": literal(value)}
    return found


def _container(service: ODataService) -> dict[str, Any]:
    found: dict[str, Any] = {"$Kind": "EntityContainer", **container_annotations()}
    for each in service.entity_sets.values():
        found[each.name] = {"$Collection": True, "$Type": each.type.qualified, **set_annotations(each)}
    for operation in service.operations:
        if operation.binding is Binding.NONE:
            found[operation.name] = _import(service, operation)
    return found


def _import(service: ODataService, operation: ODataOperation) -> dict[str, Any]:
    members: dict[str, Any] = {"$Action" if operation.is_action else "$Function": operation.qualified}
    if entity_set := set_of(service, operation.returns):
        members["$EntitySet"] = entity_set.name
    if is_in_service_document(operation):
        members["$IncludeInServiceDocument"] = True
    return members


def _default(model: type[BaseModel], property: Property) -> str | int | float | None:
    """The default of a plain value that can be written in metadata."""
    value: Any = model.model_fields[property.field].default
    if property.type.is_collection or property.type.name not in _WITH_DEFAULT or value is PydanticUndefined:
        return None
    return str(value) if isinstance(value, str) else value
