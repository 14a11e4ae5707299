"""What `$metadata` says of sets, types, properties and operations, beyond what its schemas demand."""

from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest

from shared.actions import ActionContext, Model
from shared.actions.odata.routes import Binding
from shared.actions.odata.service import ODataService
from shared.contracts.odata.metadata.csdl_json import metadata_json
from shared.contracts.odata.metadata.csdl_xml import metadata_xml
from shared.contracts.odata.query.options import parse_query
from shared.errors import DeclarationError, RequestError
from tests.support.odata_library import Store, books, bound_to, library, reports

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
CORE, CAPABILITIES = "@Org.OData.Core.V1.", "@Org.OData.Capabilities.V1."
# What the reader of Microsoft.OData.Edm knows; it refuses a document with any other attribute.
KNOWN_ATTRIBUTES = {
    "Schema": {"Namespace"},
    "EntityType": {"Name"},
    "ComplexType": {"Name"},
    "PropertyRef": {"Name"},
    "Property": {"Name", "Type", "Nullable", "DefaultValue", "Precision", "Scale"},
    "Action": {"Name", "IsBound", "EntitySetPath"},
    "Function": {"Name", "IsBound", "EntitySetPath"},
    "Parameter": {"Name", "Type", "Nullable", "Precision", "Scale"},
    "ReturnType": {"Type", "Nullable", "Precision", "Scale"},
    "EntityContainer": {"Name"},
    "EntitySet": {"Name", "EntityType"},
    "ActionImport": {"Name", "Action", "EntitySet"},
    "FunctionImport": {"Name", "Function", "EntitySet", "IncludeInServiceDocument"},
    "Annotation": {"Term", "Bool", "String"},
    "PropertyValue": {"Property", "Bool", "String"},
}
NO_ARGUMENTS = ("now", "mindatetime", "maxdatetime")
NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return metadata_json(library, "4.01")["Contoso.Library"]


def test_versions() -> None:
    """The document is of the version that is asked for, in both forms."""
    for version in ("4.0", "4.01"):
        assert metadata_json(library, version)["$Version"] == version
        assert ElementTree.fromstring(metadata_xml(library, version)).get("Version") == version


def test_no_attribute_that_a_reader_refuses() -> None:
    """Every attribute is one that Microsoft's reader knows, which refuses a document with any other."""
    for element in ElementTree.fromstring(metadata_xml(library, "4.0")).iter():
        name = element.tag.removeprefix(EDM)
        if element.tag.startswith(EDM):
            assert set(element.attrib) <= KNOWN_ATTRIBUTES.get(name, set()), name


def test_keys(schema: dict[str, Any]) -> None:
    """An entity type has its key, which is never null; a complex type has none."""
    assert schema["Book"]["$Key"] == ["id"]
    assert "$Nullable" not in schema["Book"]["id"]
    assert "$Key" not in schema["Cover"]
    root = ElementTree.fromstring(metadata_xml(library, "4.0"))
    for keyed in root.iter(f"{EDM}EntityType"):
        found = keyed.find(f"{EDM}Property[@Name='id']")
        assert found is not None
        assert found.get("Nullable") == "false"


def test_properties(schema: dict[str, Any]) -> None:
    """Computed ones are marked, defaults are told, fractions of a second have a place."""
    book = schema["Book"]
    assert {name for name, said in book.items() if f"{CORE}Computed" in said} == {"sha256", "sizeBytes"}
    defaults = {name: said["$DefaultValue"] for name, said in book.items() if "$DefaultValue" in said}
    assert defaults == {"kind": "novel", "inPrint": True, "words": 0}
    assert book["added"] == {"$Type": "Edm.DateTimeOffset", "$Nullable": True, "$Precision": 6}
    assert book["creators"] == {"$Collection": True}
    assert book["warnings"] == {"$Collection": True, "$Type": "Contoso.Library.Warned"}


def test_decimals_keep_their_fractions() -> None:
    """In XML a decimal without a scale is a whole number."""
    root = ElementTree.fromstring(metadata_xml(library, "4.0"))
    scales = {element.get("Scale") for element in root.iter() if element.get("Type") == "Edm.Decimal"}
    assert scales == {"variable"}


def test_sets(schema: dict[str, Any]) -> None:
    """A set that is only read says that it takes no writes; one that takes them says that it has ETags."""
    writable, read_only = schema["Container"]["Books"], schema["Container"]["Reports"]
    assert writable["$Type"] == "Contoso.Library.Book"
    assert writable[f"{CORE}OptimisticConcurrency"] == []
    assert writable[f"{CAPABILITIES}UpdateRestrictions"]["Upsertable"] is False
    assert f"{CAPABILITIES}InsertRestrictions" not in writable
    assert read_only[f"{CAPABILITIES}InsertRestrictions"] == {"Insertable": False}
    assert read_only[f"{CAPABILITIES}UpdateRestrictions"]["Updatable"] is False
    assert read_only[f"{CAPABILITIES}DeleteRestrictions"] == {"Deletable": False}


def test_the_container() -> None:
    """It tells that requests may be asynchronous and batched, and every function that a filter may have."""
    container = metadata_json(library, "4.01")["Contoso.Library"]["Container"]
    for term in ("AsynchronousRequestsSupported", "BatchSupported", "BatchContinueOnErrorSupported"):
        assert container[f"{CAPABILITIES}{term}"] is True
    told = container[f"{CAPABILITIES}FilterFunctions"]
    assert {"contains", "now", "substring", "year"} <= set(told)
    for name in told:
        with pytest.raises(RequestError, match="takes") if name not in NO_ARGUMENTS else nullcontext():
            call = f"{name}({'' if name in NO_ARGUMENTS else '1,2,3,4'})"
            parse_query({"$filter": f"{call} ne null"}, books.type, now=NOW)


def test_bound_operations(schema: dict[str, Any]) -> None:
    """They have the entity or the collection as their first parameter, and no import; the key is no parameter."""
    assert bound_to(books, Binding.ENTITY) == ["Export", "Summary"]
    assert bound_to(reports, Binding.ENTITY) == []
    (export,) = schema["Export"]
    assert export["$IsBound"] is True
    assert [parameter["$Name"] for parameter in export["$Parameter"]] == ["bindingParameter", "format", "cover"]
    assert export["$Parameter"][0] == {"$Name": "bindingParameter", "$Type": "Contoso.Library.Book"}
    (merge,) = schema["Merge"]
    assert merge["$Parameter"][0]["$Collection"] is True
    assert merge["$EntitySetPath"] == "bindingParameter"
    assert merge["$ReturnType"] == {"$Type": "Contoso.Library.Book", "$Nullable": True}
    assert not {"Export", "Merge", "Summary", "Newest"} & set(schema["Container"])


def test_unbound_operations(schema: dict[str, Any]) -> None:
    """They have an import, which names the set of the entity they return."""
    container = schema["Container"]
    assert container["GenerateReport"] == {"$Action": "Contoso.Library.GenerateReport", "$EntitySet": "Reports"}
    assert container["Tidy"] == {"$Action": "Contoso.Library.Tidy"}
    assert container["Total"] == {"$Function": "Contoso.Library.Total", "$IncludeInServiceDocument": True}
    assert container["Counted"] == {"$Function": "Contoso.Library.Counted"}
    assert "$ReturnType" not in schema["Tidy"][0]


def test_optional_parameters(schema: dict[str, Any]) -> None:
    """What a call may leave out comes last and says what it is then."""
    parameters = schema["GenerateReport"][0]["$Parameter"]
    optional = {said["$Name"]: said.get(f"{CORE}OptionalParameter") for said in parameters}
    assert optional == {"mustSay": None, "limit": None, "startDate": {}, "format": {"DefaultValue": "json"}}
    assert list(optional) == ["mustSay", "limit", "startDate", "format"]
    summary = {said["$Name"]: said.get(f"{CORE}OptionalParameter") for said in schema["Summary"][0]["$Parameter"]}
    assert (summary["ratio"], summary["exact"]) == ({"DefaultValue": "1.0"}, {"DefaultValue": "false"})


def test_a_binding_parameter_beside_one_of_its_name() -> None:
    """A parameter that is called bindingParameter does not hide the binding one."""

    class Bind(Model):
        id: str
        binding_parameter: str

    class Thing(Model):
        id: str

    service = ODataService("Things")
    things = service.entity_set("Things", Thing, key="id", source=Store)

    async def bind(context: ActionContext, request: Bind) -> Thing:
        raise NotImplementedError

    things.action("Bind")(bind)
    said = metadata_json(service, "4.01")["Things"]["Bind"][0]
    names = [parameter["$Name"] for parameter in said["$Parameter"]]
    assert names == ["bindingParameter_", "bindingParameter"]
    assert said["$EntitySetPath"] == "bindingParameter_"


def test_a_set_that_takes_only_removals() -> None:
    """Clients are told that its entities have ETags and are deleted, and neither inserted nor updated."""

    class Thing(Model):
        id: str

    service = ODataService("Things")
    service.deletable_entity_set("Things", Thing, key="id", source=Store)
    said = metadata_json(service, "4.01")["Things"]["Container"]["Things"]
    capabilities = "@Org.OData.Capabilities.V1"
    assert said["@Org.OData.Core.V1.OptimisticConcurrency"] == []
    assert said[f"{capabilities}.InsertRestrictions"] == {"Insertable": False}
    assert said[f"{capabilities}.UpdateRestrictions"] == {"Updatable": False, "Upsertable": False}
    assert f"{capabilities}.DeleteRestrictions" not in said
    assert [
        endpoint.methods for endpoint in service.endpoints() if endpoint.function_name == "odata_Things_entity"
    ] == [("GET", "HEAD", "DELETE")]


def test_names_that_clash() -> None:
    """A type cannot have the name of an operation or of the container, and the app does not start with such."""

    class Export(Model):
        id: str

    class Container(Model):
        id: str

    async def export(context: ActionContext) -> Export:
        raise NotImplementedError

    async def contain(context: ActionContext) -> None:
        raise NotImplementedError

    with pytest.raises(DeclarationError, match="rename one"):
        ODataService("One").action("Export")(export)
    with pytest.raises(DeclarationError, match="rename one"):
        ODataService("Two").entity_set("Containers", Container, key="id", source=Store)
    with pytest.raises(DeclarationError, match="rename the operation"):
        ODataService("Three").action("Container")(contain)
    late = ODataService("Four")
    late.action("Export")(contain)
    with pytest.raises(DeclarationError, match="rename one"):
        late.entity_set("Exports", Export, key="id", source=Store)
