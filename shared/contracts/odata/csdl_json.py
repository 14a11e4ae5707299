"""`$metadata` as JSON (OData CSDL JSON Representation 4.01)."""

from typing import Any

from shared.actions.edm import StructuredType, TypeRef
from shared.actions.odata import CONTAINER, EntitySet, ODataOperation, ODataService
from shared.actions.odata_routes import Binding
from shared.contracts.odata import csdl
from shared.contracts.odata.payloads import set_of
from shared.contracts.odata.service_document import is_in_service_document


def metadata_json(service: ODataService, version: str) -> dict[str, Any]:
    """The document for a version, "4.0" or "4.01", as `odata_version` gives it."""
    schema: dict[str, Any] = {type.name: _type(type) for type in service.types.all.values()}
    for operation in service.operations:
        schema.setdefault(operation.name, []).append(_operation(operation))
    schema[CONTAINER] = _container(service)
    return {
        "$Version": version,
        "$EntityContainer": csdl.container_name(service),
        "$Reference": {f"{url}.json": {"$Include": [{"$Namespace": name}]} for name, url in csdl.VOCABULARIES.items()},
        service.namespace: schema,
    }


def _type(type: StructuredType) -> dict[str, Any]:
    kind: dict[str, Any] = {"$Kind": "ComplexType" if type.key is None else "EntityType"}
    if type.key is not None:
        kind["$Key"] = [type.key.name]
    return {**kind, **{member.name: _member(member) for member in csdl.type_members(type)}}


def _member(member: csdl.Member) -> dict[str, Any]:
    default = {} if member.default is None else {"$DefaultValue": member.default}
    return {**_type_of(member.type), **default, **_annotations(member.annotations)}


def _type_of(type: TypeRef) -> dict[str, Any]:
    """Where nothing is said, a single Edm.String, not null, or a decimal of any scale is meant (sections 7.1, 7.2)."""
    said: dict[str, Any] = {"$Collection": True} if type.is_collection else {}
    if type.name != "Edm.String":
        said["$Type"] = type.name
    if type.nullable:
        said["$Nullable"] = True
    if digits := csdl.precision(type):
        said["$Precision"] = digits
    return said


def _operation(operation: ODataOperation) -> dict[str, Any]:
    said: dict[str, Any] = {"$Kind": "Action" if operation.is_action else "Function"}
    if operation.binding is not Binding.NONE:
        said["$IsBound"] = True
    if path := csdl.result_path(operation):
        said["$EntitySetPath"] = path
    if members := csdl.operation_members(operation):
        said["$Parameter"] = [{"$Name": member.name, **_member(member)} for member in members]
    if operation.returns is not None:
        said["$ReturnType"] = _type_of(operation.returns)
    return said


def _container(service: ODataService) -> dict[str, Any]:
    unbound = [operation for operation in service.operations if operation.binding is Binding.NONE]
    return {
        "$Kind": "EntityContainer",
        **_annotations(csdl.container_annotations()),
        **{entity_set.name: _set(entity_set) for entity_set in service.entity_sets.values()},
        **{operation.name: _import(service, operation) for operation in unbound},
    }


def _set(entity_set: EntitySet) -> dict[str, Any]:
    said = {"$Collection": True, "$Type": entity_set.type.qualified}
    return {**said, **_annotations(csdl.set_annotations(entity_set))}


def _import(service: ODataService, operation: ODataOperation) -> dict[str, Any]:
    said: dict[str, Any] = {"$Action" if operation.is_action else "$Function": operation.qualified}
    if entity_set := set_of(service, operation.returns):
        said["$EntitySet"] = entity_set.name
    if is_in_service_document(operation):
        said["$IncludeInServiceDocument"] = True
    return said


def _annotations(annotations: csdl.Annotations) -> dict[str, Any]:
    return {f"@{term}": value for term, value in annotations.items()}
