"""`$metadata` read by code nobody here wrote: the schemas and the converter of OData's own committee, and SAP's parser.

`odata-csdl`, `ajv` and `@sap-ux/edmx-parser` of npm, unchanged; `make javascript` installs them.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from local_host.azurite import find_node
from shared.contracts.odata.metadata.csdl_json import metadata_json
from shared.contracts.odata.metadata.csdl_xml import metadata_xml
from tests.support.host import ROOT
from tests.support.odata_library import library

SCRIPT = Path(__file__).parent / "javascript" / "read_csdl.mjs"
MODULES = ROOT / ".build" / "js" / "node_modules"
SCHEMAS = MODULES / "odata-csdl" / "schemas"
VERSIONS = ("4.0", "4.01")


@pytest.fixture(autouse=True)
def _readers() -> None:
    if SCHEMAS.exists() and (MODULES / "@sap-ux").exists():
        return
    if os.environ.get("CI"):
        pytest.fail("the CSDL readers are not installed; `make test` installs them")
    pytest.skip("the CSDL readers are not installed; `make javascript` installs them")


def read(version: str, document: Any = None) -> dict[str, Any]:
    """What the readers make of the service's XML, and of `document` or its JSON."""
    order = {
        "modulesUrl": (MODULES / "any.js").as_uri(),
        "xml": metadata_xml(library, version).decode(),
        "json": document or metadata_json(library, version),
    }
    line = [find_node(), str(SCRIPT)]
    done = subprocess.run(line, input=json.dumps(order), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def xml_problems(document: bytes) -> list[str]:
    schema = etree.XMLSchema(etree.parse(SCHEMAS / "edmx.xsd"))
    schema.validate(etree.fromstring(document))
    return [str(entry.message) for entry in schema.error_log]


@pytest.mark.parametrize("version", VERSIONS)
def test_xml_follows_the_schemas(version: str) -> None:
    """The XML document is valid by the committee's edmx.xsd and edm.xsd."""
    document = metadata_xml(library, version)
    assert xml_problems(document) == []
    assert xml_problems(document.replace(b'IsBound="true"', b'Bound="true"')) != [], "the schema checks nothing"


@pytest.mark.parametrize("version", VERSIONS)
def test_json_follows_the_schema(version: str) -> None:
    """The JSON document is valid by the committee's csdl.schema.json."""
    assert read(version)["problems"] == []


def test_the_json_schema_refuses() -> None:
    """What the committee's schema does not know is seen as a problem, so that an empty list means something."""
    document = metadata_json(library, "4.01")
    document["Contoso.Library"]["Book"]["$Kin"] = "EntityType"
    assert read("4.01", document)["problems"] != []


@pytest.mark.parametrize("version", VERSIONS)
def test_both_documents_say_the_same(version: str) -> None:
    """The committee's converter makes of the XML exactly the JSON that is served, but for the files it refers to."""
    converted = read(version)["converted"]
    served = metadata_json(library, version)
    references = {url.removesuffix(".xml") + ".json": said for url, said in converted.pop("$Reference").items()}
    assert references == served.pop("$Reference")
    assert converted == served


def test_sap_reads_the_service() -> None:
    """SAP's parser finds every type with its key, set, operation and import."""
    schema = read("4.0")["parsed"]
    assert {one["name"]: [key["name"] for key in one["keys"]] for one in schema["entityTypes"]} == {
        "Book": ["id"],
        "Report": ["id"],
    }
    assert {one["name"] for one in schema["complexTypes"]} == {"Cover", "Warned", "ExportResult"}
    assert {one["name"]: one["entityTypeName"] for one in schema["entitySets"]} == {
        "Books": "Contoso.Library.Book",
        "Reports": "Contoso.Library.Report",
    }
    actions = {one["name"]: one for one in schema["actions"]}
    assert {name for name, one in actions.items() if one["isBound"]} == {"Export", "Merge", "Summary", "Newest"}
    assert {name for name, one in actions.items() if one["isFunction"]} == {"Summary", "Newest", "Total", "Counted"}
    first = [one["parameters"][0]["type"] for one in (actions["Export"], actions["Merge"])]
    assert first == ["Contoso.Library.Book", "Collection(Contoso.Library.Book)"]
    assert {one["name"] for one in schema["actionImports"]} == {"GenerateReport", "Tidy", "Total", "Counted"}
