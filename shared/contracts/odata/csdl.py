"""What `$metadata` says, whichever way it is written: names, facets, annotations.

OData CSDL 4.01; vocabularies Org.OData.Core.V1, Org.OData.Capabilities.V1. Values of annotations are as CSDL JSON has
them: booleans, strings, lists, and objects for records.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from shared.actions.edm import Property, StructuredType, TypeRef
from shared.actions.odata import CONTAINER, EntitySet, ODataOperation, ODataService
from shared.actions.odata_routes import Binding
from shared.contracts.odata.functions import FUNCTIONS

CORE = "Org.OData.Core.V1"
CAPABILITIES = "Org.OData.Capabilities.V1"
_PUBLISHED = "https://docs.oasis-open.org/odata/odata-vocabularies/v4.0/vocabularies"
VOCABULARIES: Mapping[str, str] = {name: f"{_PUBLISHED}/{name}" for name in (CORE, CAPABILITIES)}
"""Where they are published, without the suffix that tells XML from JSON."""

TEMPORAL_PRECISION = 6
"""Digits of a second."""

_WITH_DEFAULT = ("Edm.String", "Edm.Boolean", "Edm.Int64", "Edm.Double")
_TEMPORAL = ("Edm.DateTimeOffset", "Edm.Duration", "Edm.TimeOfDay")
_FORMATS = [
    f"application/json;odata.metadata={metadata};IEEE754Compatible={compatible}"
    for metadata in ("minimal", "full", "none")
    for compatible in ("false", "true")
]

Annotations = Mapping[str, Any]
"""Values by the qualified names of their terms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A property or a parameter."""

    name: str
    type: TypeRef
    default: Any = None
    """Of the facet DefaultValue; None where there is none."""
    annotations: Annotations = field(default_factory=dict[str, Any])


def container_annotations() -> Annotations:
    """What holds for the whole service."""
    return {
        f"{CORE}.ODataVersions": "4.0 4.01",
        f"{CAPABILITIES}.AsynchronousRequestsSupported": True,
        f"{CAPABILITIES}.BatchSupported": True,
        f"{CAPABILITIES}.BatchContinueOnErrorSupported": True,
        f"{CAPABILITIES}.BatchSupport": {
            "Supported": True,
            "ContinueOnErrorSupported": True,
            "ReferencesInRequestBodiesSupported": False,
            "ReferencesAcrossChangeSetsSupported": True,
            "EtagReferencesSupported": True,
            "RequestDependencyConditionsSupported": False,
            "SupportedFormats": ["multipart/mixed", "application/json"],
        },
        f"{CAPABILITIES}.SupportedFormats": _FORMATS,
        f"{CAPABILITIES}.ChangeTracking": {"Supported": False},
        f"{CAPABILITIES}.CrossJoinSupported": False,
        f"{CAPABILITIES}.KeyAsSegmentSupported": False,
        f"{CAPABILITIES}.QuerySegmentSupported": False,
        f"{CAPABILITIES}.FilterFunctions": sorted({*FUNCTIONS, "now"}),
    }


def set_annotations(entity_set: EntitySet) -> Annotations:
    """What a set does not do; what is not named here it does."""
    said: dict[str, Any] = {
        f"{CAPABILITIES}.ExpandRestrictions": {"Expandable": False},
        f"{CAPABILITIES}.SearchRestrictions": {"Searchable": False},
    }
    if entity_set.is_writable:
        # An empty collection: there are ETags, and it is not said what they are made of.
        said[f"{CORE}.OptimisticConcurrency"] = []
        said[f"{CAPABILITIES}.UpdateRestrictions"] = {"Updatable": True, "Upsertable": False}
    else:
        said[f"{CAPABILITIES}.InsertRestrictions"] = {"Insertable": False}
        said[f"{CAPABILITIES}.UpdateRestrictions"] = {"Updatable": False, "Upsertable": False}
        said[f"{CAPABILITIES}.DeleteRestrictions"] = {"Deletable": False}
    return said


def type_members(type: StructuredType) -> list[Member]:
    """The properties of a type. A default is what a new entity gets where the request leaves the property out."""
    return [
        Member(
            name=property.name,
            type=property.type,
            default=None if property.computed else _default(type.model, property),
            annotations={f"{CORE}.Computed": True} if property.computed else {},
        )
        for property in type.properties.values()
    ]


def operation_members(operation: ODataOperation) -> list[Member]:
    """The parameters: the binding one first, then those that a call has to bring, then the optional ones."""
    members: list[Member] = []
    model = operation.declared.input_model
    for property in sorted(operation.parameters.values(), key=lambda parameter: not parameter.required):
        optional: dict[str, Any] = {}
        if not property.required and model is not None:
            value = _default(model, property)
            optional[f"{CORE}.OptionalParameter"] = {} if value is None else {"DefaultValue": literal(value)}
        members.append(Member(name=property.name, type=property.type, annotations=optional))
    if operation.entity_set is None:
        return members
    bound = operation.entity_set.type
    is_collection = operation.binding is Binding.COLLECTION
    name = "bindingParameter"
    while name in operation.parameters:
        name += "_"
    return [Member(name=name, type=TypeRef(bound.qualified, is_collection, structured=bound)), *members]


def result_path(operation: ODataOperation) -> str | None:
    """The EntitySetPath of a bound operation: what it returns is of the set that it is called on."""
    returned = operation.returns.structured if operation.returns else None
    if operation.entity_set is None or returned is not operation.entity_set.type:
        return None
    return operation_members(operation)[0].name


def precision(type: TypeRef) -> int | None:
    """Of a time of day, a moment or a span: without it XML says whole seconds (CSDL XML 4.01, section 7.2.3)."""
    return TEMPORAL_PRECISION if type.name in _TEMPORAL else None


def literal(value: Any) -> str:
    """A default as text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def container_name(service: ODataService) -> str:
    return f"{service.namespace}.{CONTAINER}"


def _default(model: type[BaseModel], property: Property) -> str | int | float | None:
    """The default of a plain value that can be written in metadata."""
    value: Any = model.model_fields[property.field].default
    if property.type.is_collection or property.type.name not in _WITH_DEFAULT or value is PydanticUndefined:
        return None
    return str(value) if isinstance(value, str) else value
