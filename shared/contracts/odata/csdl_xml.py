"""`$metadata` as XML (OData CSDL XML Representation 4.01; 4.0 has the same namespaces)."""

from typing import Any, cast
from xml.etree.ElementTree import Element, SubElement, tostring

from shared.actions.edm import StructuredType, TypeRef
from shared.actions.odata import CONTAINER, EntitySet, ODataOperation, ODataService
from shared.actions.odata_routes import Binding
from shared.contracts.odata import csdl
from shared.contracts.odata.payloads import set_of
from shared.contracts.odata.service_document import is_in_service_document

_EDMX = "http://docs.oasis-open.org/odata/ns/edmx"
_EDM = "http://docs.oasis-open.org/odata/ns/edm"


def metadata_xml(service: ODataService, version: str) -> bytes:
    """The document for a version, "4.0" or "4.01", as `odata_version` gives it; UTF-8 with an XML declaration."""
    root = Element("edmx:Edmx", {"xmlns:edmx": _EDMX, "Version": version})
    for name, url in csdl.VOCABULARIES.items():
        reference = SubElement(root, "edmx:Reference", {"Uri": f"{url}.xml"})
        SubElement(reference, "edmx:Include", {"Namespace": name})
    services = SubElement(root, "edmx:DataServices")
    schema = SubElement(services, "Schema", {"xmlns": _EDM, "Namespace": service.namespace})
    for type in service.types.all.values():
        _type(schema, type)
    for operation in service.operations:
        _operation(schema, operation)
    container = SubElement(schema, "EntityContainer", {"Name": CONTAINER})
    for entity_set in service.entity_sets.values():
        _set(container, entity_set)
    for operation in service.operations:
        if operation.binding is Binding.NONE:
            _import(container, service, operation)
    _annotate(container, csdl.container_annotations())
    return cast(bytes, tostring(root, encoding="utf-8", xml_declaration=True))


def _type(schema: Element, type: StructuredType) -> None:
    element = SubElement(schema, "ComplexType" if type.key is None else "EntityType", {"Name": type.name})
    if type.key is not None:
        SubElement(SubElement(element, "Key"), "PropertyRef", {"Name": type.key.name})
    for member in csdl.type_members(type):
        default = {} if member.default is None else {"DefaultValue": csdl.literal(member.default)}
        _member(element, "Property", member, default)


def _member(parent: Element, tag: str, member: csdl.Member, more: dict[str, str]) -> None:
    element = SubElement(parent, tag, {"Name": member.name, **_type_of(member.type), **more})
    _annotate(element, member.annotations)


def _type_of(type: TypeRef) -> dict[str, str]:
    """Nullable is true where it is not said, but of a collection's items nothing is known then (section 7.2.1)."""
    said = {"Type": str(type)}
    if type.is_collection or not type.nullable:
        said["Nullable"] = csdl.literal(type.nullable)
    if digits := csdl.precision(type):
        said["Precision"] = str(digits)
    if type.name == "Edm.Decimal":
        # Without it a decimal is a whole number (section 7.2.4).
        said["Scale"] = "variable"
    return said


def _operation(schema: Element, operation: ODataOperation) -> None:
    said = {"Name": operation.name}
    if operation.binding is not Binding.NONE:
        said["IsBound"] = "true"
    if path := csdl.result_path(operation):
        said["EntitySetPath"] = path
    element = SubElement(schema, "Action" if operation.is_action else "Function", said)
    for member in csdl.operation_members(operation):
        _member(element, "Parameter", member, {})
    if operation.returns is not None:
        SubElement(element, "ReturnType", _type_of(operation.returns))


def _set(container: Element, entity_set: EntitySet) -> None:
    said = {"Name": entity_set.name, "EntityType": entity_set.type.qualified}
    _annotate(SubElement(container, "EntitySet", said), csdl.set_annotations(entity_set))


def _import(container: Element, service: ODataService, operation: ODataOperation) -> None:
    kind = "Action" if operation.is_action else "Function"
    said = {"Name": operation.name, kind: operation.qualified}
    if entity_set := set_of(service, operation.returns):
        said["EntitySet"] = entity_set.name
    if is_in_service_document(operation):
        said["IncludeInServiceDocument"] = "true"
    SubElement(container, f"{kind}Import", said)


def _annotate(element: Element, annotations: csdl.Annotations) -> None:
    for term, value in annotations.items():
        _value(SubElement(element, "Annotation", {"Term": term}), value)


def _value(element: Element, value: Any) -> None:
    """A constant as an attribute, a record or a collection as an element (sections 14.3 and 14.4)."""
    match value:
        case bool():
            element.set("Bool", csdl.literal(value))
        case str():
            element.set("String", value)
        case dict():
            record = SubElement(element, "Record")
            for name, part in cast(dict[str, Any], value).items():
                _value(SubElement(record, "PropertyValue", {"Property": name}), part)
        case list():
            items = SubElement(element, "Collection")
            for item in cast(list[str], value):
                SubElement(items, "String").text = item
        case _:
            raise TypeError(f"no annotation value: {value!r}")
