"""`$metadata` as XML (OData CSDL XML Representation 4.01; 4.0 has the same namespaces), written from the JSON form."""

from typing import Any, cast
from xml.etree.ElementTree import Element, SubElement, tostring

from shared.actions.odata.service import ODataService
from shared.contracts.odata.metadata.csdl_json import literal, metadata_json

_EDMX = "http://docs.oasis-open.org/odata/ns/edmx"
_EDM = "http://docs.oasis-open.org/odata/ns/edm"

_Json = dict[str, Any]


def metadata_xml(service: ODataService, version: str) -> bytes:
    """The document for a version, "4.0" or "4.01", as `odata_version` gives it; UTF-8 with an XML declaration."""
    document = metadata_json(service, version)
    root = Element("edmx:Edmx", {"xmlns:edmx": _EDMX, "Version": version})
    for url, included in document["$Reference"].items():
        reference = SubElement(root, "edmx:Reference", {"Uri": f"{url.removesuffix('.json')}.xml"})
        SubElement(reference, "edmx:Include", {"Namespace": included["$Include"][0]["$Namespace"]})
    services = SubElement(root, "edmx:DataServices")
    schema = SubElement(services, "Schema", {"xmlns": _EDM, "Namespace": service.namespace})
    write = {"EntityContainer": _container, "Action": _operation, "Function": _operation}
    for name, content in document[service.namespace].items():
        # The overloads of an operation are a list; here each is unlike any other.
        for each in content if isinstance(content, list) else [content]:
            write.get(each["$Kind"], _type)(schema, name, each)
    return cast(bytes, tostring(root, encoding="utf-8", xml_declaration=True))


def _type(schema: Element, name: str, members: _Json) -> None:
    element = SubElement(schema, members["$Kind"], {"Name": name})
    for key in members.get("$Key", ()):
        SubElement(SubElement(element, "Key"), "PropertyRef", {"Name": key})
    for each, content in members.items():
        if each[0] != "$":
            _member(element, "Property", each, content)


def _operation(schema: Element, name: str, members: _Json) -> None:
    attributes = {"Name": name, **_attributes(members, "IsBound", "EntitySetPath")}
    element = SubElement(schema, members["$Kind"], attributes)
    for parameter in members.get("$Parameter", ()):
        _member(element, "Parameter", parameter["$Name"], parameter)
    if "$ReturnType" in members:
        SubElement(element, "ReturnType", _type_of(members["$ReturnType"]))


def _container(schema: Element, name: str, members: _Json) -> None:
    container = SubElement(schema, "EntityContainer", {"Name": name})
    for each, content in members.items():
        if each[0] in "$@":
            continue
        if "$Type" in content:
            element = SubElement(container, "EntitySet", {"Name": each, "EntityType": content["$Type"]})
            _annotate(element, content)
        else:
            kind = "Action" if "$Action" in content else "Function"
            attributes = _attributes(content, kind, "EntitySet", "IncludeInServiceDocument")
            SubElement(container, f"{kind}Import", {"Name": each, **attributes})
    _annotate(container, members)


def _member(parent: Element, tag: str, name: str, member: _Json) -> None:
    attributes = {"Name": name, **_type_of(member), **_attributes(member, "DefaultValue")}
    _annotate(SubElement(parent, tag, attributes), member)


def _type_of(member: _Json) -> dict[str, str]:
    """Nullable is true where it is not stated, but of a collection's items nothing is known then (section 7.2.1)."""
    name, is_collection, nullable = member.get("$Type", "Edm.String"), "$Collection" in member, "$Nullable" in member
    attributes = {"Type": f"Collection({name})" if is_collection else name}
    if is_collection or not nullable:
        attributes["Nullable"] = literal(nullable)
    attributes |= _attributes(member, "Precision")
    if name == "Edm.Decimal":
        # Without it a decimal is a whole number (section 7.2.4).
        attributes["Scale"] = "variable"
    return attributes


def _attributes(members: _Json, *names: str) -> dict[str, str]:
    """Those that are there, as text."""
    return {name: literal(members[f"${name}"]) for name in names if f"${name}" in members}


def _annotate(element: Element, members: _Json) -> None:
    for name, value in members.items():
        if name[0] == "@":
            _value(SubElement(element, "Annotation", {"Term": name[1:]}), value)


def _value(element: Element, value: Any) -> None:
    """A constant as an attribute, a record or a collection as an element (sections 14.3 and 14.4)."""
    match value:
        case bool():
            element.set("Bool", literal(value))
        case str():
            element.set("String", value)
        case dict():
            record = SubElement(element, "Record")
            for name, part in cast(_Json, value).items():
                _value(SubElement(record, "PropertyValue", {"Property": name}), part)
        case list():
            items = SubElement(element, "Collection")
            for item in cast(list[str], value):
                SubElement(items, "String").text = item
        case _:
            raise TypeError(f"no annotation value: {value!r}")
