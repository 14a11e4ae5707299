"""The description as a whole: it is valid, nothing declared is missing, and starts say how they end."""

from dataclasses import replace
from enum import IntEnum, StrEnum
from typing import Annotated, Any, Literal

import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
from pydantic import ConfigDict, Field, create_model

from shared.actions import ActionContext, Model, RequestContext, RequestError, action, read
from shared.actions.registry import Registry
from shared.contracts.bodies import parse_input
from shared.contracts.openapi.components import TYPES, Components
from shared.contracts.openapi.parts import Profile, Scope
from shared.contracts.openapi.schemas import Schemas
from shared.settings import Settings
from tests.sample.described import (
    REGISTRIES,
    Json,
    answer,
    described,
    endpoints,
    operations,
    pathway,
    resolved,
    sample,
    trial,
    validator,
)
from tests.support.parts import Input

VALIDATORS = {"3.1": OpenAPIV31SpecValidator, "3.0": OpenAPIV30SpecValidator}
SETTINGS: dict[str, dict[str, str]] = {
    "defaults": {},
    "strict": {"API_VERSION_REQUIRED": "true", "TRUST_PLATFORM_AUTH": "true", "WEBSITE_AUTH_ENABLED": "true"},
    "anonymous": {"HTTP_AUTH_LEVEL": "anonymous"},
}


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("version", VALIDATORS)
@pytest.mark.parametrize("registry", REGISTRIES)
def test_it_is_valid(registry: str, version: str, settings: str) -> None:
    """openapi-spec-validator finds nothing wrong with it, in both versions, whatever is declared and set."""
    document = described(REGISTRIES[registry](), version=version, **SETTINGS[settings])
    assert document["openapi"].startswith(version)
    VALIDATORS[version](document).validate()


@pytest.mark.parametrize("version", VALIDATORS)
def test_the_validator_can_fail(version: str) -> None:
    """A reference to nothing is found."""
    document = described(sample(), version=version)
    document["paths"]["/health"]["get"]["responses"]["200"] = {"$ref": "#/components/responses/Nothing"}
    with pytest.raises(Exception, match="Nothing"):
        VALIDATORS[version](document).validate()


def missing(document: Json, registry: Registry) -> set[str]:
    """What the app serves and the description does not have, or has elsewhere."""
    found = {(method, pathway(path)): name for name, (method, path, _) in operations(document).items()}
    # A function that takes several methods has an operation for each, named after it.
    return {name for at, name in endpoints(registry).items() if found.get(at, "").partition("-")[0] != name}


@pytest.mark.parametrize("version", VALIDATORS)
@pytest.mark.parametrize("registry", REGISTRIES)
def test_nothing_is_missing(registry: str, version: str) -> None:
    """Every HTTP function but the fallback is in it, under its name, method and route, and nothing else is."""
    document = described(REGISTRIES[registry](), version=version)
    assert missing(document, REGISTRIES[registry]()) == set()
    assert len(operations(document)) == len(endpoints(REGISTRIES[registry]()))


def test_what_is_missing_is_found() -> None:
    """A declaration that the description does not know of makes the test above fail, whatever its profile."""
    registry = Registry(sample().actions.values(), package=sample().package)
    known = described(registry)
    assert missing(known, registry) == set()
    found = missing(known, trial())
    assert {"trial_wait", "trial_put", "trial_job_cancel", "Contoso_Things_bothThings_write"} <= found
    assert {"odata_GenerateReport", "odata_Books", "odata_Books_Export", "odata_Counted", "odata_async"} <= found


ARM = "Contoso_Library_shelves"
STARTS: dict[str, tuple[str, str | None]] = {
    "book_upload_start": ("operation-location", "UploadStarted"),
    "book_upload_finish": ("operation-location", "Book"),
    "book_count_words": ("operation-location", "WordCounts"),
    "book_put": ("original-uri", None),
    "book_delete": ("operation-location", None),
    "book_import": ("operation-location", "ImportOutcome"),
    f"{ARM}_write": ("azure-async-operation", "Shelf"),
    f"{ARM}_update": ("location", "Shelf"),
    f"{ARM}_delete": ("location", None),
    f"{ARM}_startMigration_action": ("location", "MigrationResult"),
    f"{ARM}_restart_action": ("location", None),
    f"{ARM}_exportInventory_action": ("location", "Inventory"),
    "Contoso_Library_presses_write": ("azure-async-operation", "Press"),
    "Contoso_Library_presses_delete": ("location", None),
    "odata_GenerateReport": ("location", "Library.Report"),
    "odata_Library_GenerateReport": ("location", "Library.Report"),
    "odata_Books_Export": ("location", "Library.ExportResult"),
    "odata_Books_ProcessLargeFile": ("location", "Library.ProcessResult"),
    "odata_batch": ("location", None),
    "odata_Tidy": ("location", None),
    "trial_nothing": ("operation-location", None),
    "trial_job": ("operation-location", "Waited"),
    "Contoso_Things_asyncThings_add_action": ("azure-async-operation", "Total"),
    "Contoso_Things_locationThings_write": ("location", "Thing2"),
    "Contoso_Things_bothThings_write": ("location", "Thing3"),
    "Contoso_Things_bothThings_delete": ("location", None),
}
"""Azure/autorest, extensions; Azure/typespec-azure, "Customizing Long-Running Operations"."""


@pytest.mark.parametrize("name", STARTS)
def test_starts_are_marked(name: str) -> None:
    """A start is a long-running operation and says where its final result is, and what that is where it differs."""
    document = described(sample() if name in operations(described(sample())) else trial())
    via, schema = STARTS[name]
    operation = operations(document)[name][2]
    assert operation["x-ms-long-running-operation"] is True
    options = operation["x-ms-long-running-operation-options"]
    assert options.pop("final-state-via") == via
    assert options == ({} if schema is None else {"final-state-schema": f"#/components/schemas/{schema}"})
    if schema is not None:
        assert schema in document["components"]["schemas"]


@pytest.mark.parametrize("registry", REGISTRIES)
def test_only_starts_are_marked(registry: str) -> None:
    """Exactly the functions that start an operation are marked."""
    found = REGISTRIES[registry]()
    starts = {action.function_name for action in (*found.actions.values(), *found.resource_actions.values())}
    if found.odata is not None:
        # An action bound to nothing has two URLs, and a batch may be one operation.
        calls = [each for each in found.odata.operations if each.is_action]
        starts |= {endpoint.function_name for each in calls for endpoint in each.endpoints()} | {"odata_batch"}
    marked = {n for n, (_, _, o) in operations(described(found)).items() if o.get("x-ms-long-running-operation")}
    assert marked == starts


SOON = {"Retry-After", "retry-after-ms", "Operation-Not-Before"}
FIRST: dict[tuple[str, int | str], set[str]] = {
    ("book_upload_start", 202): {"Operation-Location", "Operation-Id", *SOON, "Preference-Applied"},
    ("book_put", 201): {"Operation-Location", "Operation-Id", *SOON, "Preference-Applied"},
    ("book_import", 201): {"Operation-Location", "Operation-Id", *SOON, "Preference-Applied"},
    ("status", 200): {*SOON, "ETag"},
    ("status", 304): {"ETag"},
    ("Contoso_Library_operationStatuses", 304): {"ETag"},
    (f"{ARM}_write", 201): {"Azure-AsyncOperation", *SOON, "ETag"},
    (f"{ARM}_delete", 202): {"Location", *SOON},
    (f"{ARM}_startMigration_action", 202): {"Azure-AsyncOperation", "Location", *SOON},
    (f"{ARM}_get", 200): {"ETag"},
    ("Contoso_Library_operationResults", 202): {"Location", *SOON},
    ("presses_take_work_order", 200): set(),
    ("presses_take_work_order", 415): {"x-ms-error-code", "Accept-Encoding"},
    ("odata_Books", 200): {"OData-Version", "Preference-Applied", "Vary"},
    ("odata_Books-create", 201): {"OData-Version", "ETag", "Location", "Preference-Applied", "Vary"},
    ("odata_Books_entity", 304): {"OData-Version", "ETag"},
    ("odata_Books_entity-update", 204): {"OData-Version", "ETag", "OData-EntityId", "Preference-Applied", "Vary"},
    ("odata_Books_Export", 202): {"OData-Version", "Location", *SOON, "Preference-Applied", "Vary"},
    ("odata_async", 202): {"OData-Version", "Location", *SOON},
    ("odata_async", 200): {"OData-Version", "AsyncResult"},
    ("odata_async-delete", 405): {"OData-Version", "x-ms-error-code", "Allow"},
    ("openapi", 304): {"ETag"},
    ("status", 404): {"x-ms-error-code"},
    ("status_result", 409): {"x-ms-error-code", "Retry-After"},
    ("book_put", 409): {"x-ms-error-code", "Retry-After"},
    (f"{ARM}_delete", 409): {"x-ms-error-code", "Retry-After"},
    ("status", 405): {"x-ms-error-code", "Allow"},
    ("status", 503): {"x-ms-error-code", "Retry-After"},
    (f"{ARM}_get", 404): {"x-ms-error-code"},
    (f"{ARM}_startMigration_action", "default"): {"x-ms-error-code"},
    ("Contoso_Library_operationResults", "default"): {"x-ms-error-code"},
    ("book_put", "default"): {"x-ms-error-code"},
    ("odata_Books_Export", "default"): {"x-ms-error-code", "OData-Version"},
}
EVERYWHERE = {
    *("x-ms-request-id", "x-ms-client-request-id", "Access-Control-Expose-Headers"),
    *("Cache-Control", "X-Content-Type-Options"),
}


@pytest.mark.parametrize(("name", "status"), FIRST)
def test_headers(name: str, status: int | str) -> None:
    """Answers list the headers that they carry; ARM's have a correlation id beside those of every answer."""
    headers = set(answer(described(sample()), name, status)["headers"])
    arm = {"x-ms-correlation-request-id"} if name.startswith("Contoso_Library") else set[str]()
    assert headers == FIRST[name, status] | EVERYWHERE | arm


WAITS: dict[tuple[str, int], bool] = {
    (f"{ARM}_write", 200): True,
    (f"{ARM}_write", 201): True,
    (f"{ARM}_delete", 202): True,
    ("Contoso_Library_operationResults", 202): True,
    ("Contoso_Library_operationStatuses", 200): False,
    ("odata_Books_Export", 202): True,
    ("odata_async", 202): True,
    ("odata_async-delete", 202): True,
    ("status", 503): True,
    ("status", 200): False,
    ("status_result", 409): False,
    ("book_upload_start", 202): False,
}


@pytest.mark.parametrize(("name", "status"), WAITS)
def test_where_there_is_always_something_to_wait_for(name: str, status: int) -> None:
    """Retry-After is required of the answers that always have it, and of no other."""
    assert answer(described(sample()), name, status)["headers"]["Retry-After"]["required"] == WAITS[name, status]


def test_errors_of_one_name() -> None:
    """What shares a name has the same headers: another set is found, not left out."""
    components = Components(Scope(registry=Registry(), settings=Settings.read({}), schemas=Schemas(TYPES)))
    plain, tagged = Profile(tag="Plain", description=""), Profile(tag="Tagged", description="", last_headers=("ETag",))
    assert components.error(plain, 404) == components.error(plain, 404)
    assert components.error(replace(tagged, error_prefix="Other"), 404) != components.error(plain, 404)
    with pytest.raises(AssertionError, match="Error404"):
        components.error(tagged, 404)


def test_a_monitor_names_its_result() -> None:
    """The monitor in a start's answer has the action's kind, its result, and for a PUT of an operation its input."""
    document = described(sample())
    schema = resolved(document, answer(document, "book_import", 201)["content"]["application/json"]["schema"])
    assert schema["properties"]["kind"] == {"type": "string", "const": "book:import"}
    assert schema["properties"]["result"] == {"$ref": "#/components/schemas/ImportOutcome"}
    assert "items" in schema["required"]
    deleted = resolved(document, answer(document, "book_delete", 202)["content"]["application/json"]["schema"])
    assert deleted["properties"]["result"] == {}


def test_bodies_leave_out_what_the_route_has() -> None:
    """The route's parameters are in the path, the other members in a body that takes no others."""
    document = described(sample())
    operation = operations(document)["book_upload_start"][2]
    body = resolved(document, operation["requestBody"]["content"]["application/json"]["schema"])
    assert set(body["properties"]) == {"fileName", "size"}
    assert (body["required"], body["additionalProperties"]) == (["fileName"], False)
    assert operation["requestBody"]["required"] is True
    assert operations(document)["book_put"][2]["requestBody"]["required"] is False
    assert "requestBody" not in operations(document)["book_delete"][2]


SECURITY: dict[str, tuple[dict[str, str], list[Any], set[str]]] = {
    "key": ({}, [{"functionKey": []}], {"functionKey"}),
    "nobody": ({"HTTP_AUTH_LEVEL": "anonymous"}, [], set()),
    "both": (
        {"TRUST_PLATFORM_AUTH": "true", "WEBSITE_AUTH_ENABLED": "True"},
        [{"functionKey": [], "signedIn": []}],
        {"functionKey", "signedIn"},
    ),
    "signed in": (
        {"HTTP_AUTH_LEVEL": "anonymous", "TRUST_PLATFORM_AUTH": "true", "WEBSITE_AUTH_ENABLED": "True"},
        [{"signedIn": []}],
        {"signedIn"},
    ),
}


@pytest.mark.parametrize("name", SECURITY)
def test_security_follows_the_settings(name: str) -> None:
    """What callers have to show is what the settings ask for; 401 is declared where something is."""
    environment, security, schemes = SECURITY[name]
    document = described(sample(), **environment)
    assert document["security"] == security
    assert document["components"]["securitySchemes"].keys() == schemes | {"operationSecret"}
    found = operations(document)
    anonymous = {"health", "docs", "docs_file", "operations", "operations_file"}
    assert {name for name, (_, _, each) in found.items() if each.get("security") == []} == anonymous
    refusing = {name for name, (_, _, each) in found.items() if "401" in each["responses"]}
    assert refusing == (found.keys() - anonymous if security else set())
    assert found["status_update"][2]["security"] == [{"operationSecret": []}]
    assert "security" not in found["book_put"][2]


def test_api_version() -> None:
    """It is optional with a default, or required by the setting; ARM always requires the provider's own."""

    def parameters(name: str, **environment: str) -> Json:
        document = described(sample(), **environment)
        found = [resolved(document, each) for each in operations(document)[name][2]["parameters"]]
        return next(each for each in found if each["name"] == "api-version")

    assert parameters("status")["required"] is False
    assert parameters("status")["schema"]["default"] == "2026-01-01"
    required = parameters("status", API_VERSION_REQUIRED="true")
    assert (required["required"], "default" in required["schema"]) == (True, False)
    assert parameters(f"{ARM}_get")["required"] is True


def test_paths_that_differ_in_names_only() -> None:
    """Two routes that are one path are described as one, their parameters renamed ("Paths Object")."""

    @action("thing:put-like", post="thing/{id}")
    async def start(context: ActionContext, request: Input) -> None: ...

    class Other(Input):
        key: str

    @read("thing:get", get="thing/{key}")
    async def get(context: RequestContext, request: Other) -> Input:
        return request

    document = described(Registry([start], [get]))
    OpenAPIV31SpecValidator(document).validate()
    [path] = [path for path in document["paths"] if path.startswith("/thing/")]
    assert set(document["paths"][path]) == {"post", "get"}


def test_profiles_are_tags() -> None:
    """Every operation has one tag, each tag is explained, and none is there without an operation."""
    document = described(sample())
    assert [tag["name"] for tag in document["tags"]] == ["Data plane", "Operations", "ARM", "OData", "App"]
    assert {tag for _, _, o in operations(document).values() for tag in o["tags"]} == {
        "Data plane",
        "Operations",
        "ARM",
        "OData",
        "App",
    }
    assert [tag["name"] for tag in described(Registry())["tags"]] == ["Operations", "App"]


def test_what_the_app_is_called() -> None:
    """The package of actions gives the title."""
    assert described(sample())["info"]["title"] == "Library"
    assert described(Registry())["info"]["title"] == "Long-running actions"


def test_nothing_unused() -> None:
    """Every component is referred to: models that only lend their members to paths are left out."""
    document = described(sample())
    text = str(document)
    for kind in ("schemas", "parameters", "headers", "responses"):
        for name in document["components"][kind]:
            assert f"#/components/{kind}/{name}'" in text, name


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Word(StrEnum):
    ONE = "one"


Three: Any = Annotated[str, Field(pattern="^.{3}$")]
ROUTE_VALUES: list[tuple[Any, list[Any], list[Any]]] = [
    (str, ["a"], ["a/b", "-", 1]),
    (Level, [1, 2], [3, "1"]),
    (Level | None, [1], ["1", None]),
    (int | float, [1, 1.5], ["1"]),
    (int | str, [1, "a"], ["a/b"]),
    (Word, ["one"], ["two"]),
    (Word | int, ["one", 5], ["two"]),
    (Three, ["abc"], ["ab", "a/b"]),
    (Three | None, ["abc"], ["ab", "a/b"]),
    (Literal[1, "a"], [1], [2]),
]


@pytest.mark.parametrize(("annotation", "fit", "unfit"), ROUTE_VALUES, ids=str)
@pytest.mark.parametrize("version", VALIDATORS)
def test_route_parameters(annotation: Any, fit: list[Any], unfit: list[Any], version: str) -> None:
    """A parameter of a route takes what its field takes and can be an id, and nothing else."""
    model: Any = create_model("Keyed", __base__=Model, key=(annotation, ...))

    async def start(context: ActionContext, request: Any) -> None: ...

    start.__annotations__["request"] = model
    document = described(Registry([action("thing:start", post="thing/{key}")(start)]), version=version)
    VALIDATORS[version](document).validate()
    parameters = operations(document)["thing_start"][2]["parameters"]
    [schema] = [each["schema"] for each in parameters if each.get("in") == "path"]
    assert [value for value in fit if not validator(document, schema).is_valid(value)] == []
    assert [value for value in unfit if validator(document, schema).is_valid(value)] == []


def test_open_models_are_closed_in_requests() -> None:
    """What a model keeps of unknown members, a request may not have and an answer may."""

    class Inner(Model):
        model_config = ConfigDict(extra="allow")

        a: int = 1

    class Open(Inner):
        id: str
        inner: Inner = Inner()

    @action("open:start", post="open/{id}")
    async def start(context: ActionContext, request: Open) -> Inner:
        return request

    document = described(Registry([start]))
    operation = operations(document)["open_start"][2]
    given = validator(document, operation["requestBody"]["content"]["application/json"]["schema"])
    assert given.is_valid({"a": 2, "inner": {"a": 3}})
    for body in ({"b": 1}, {"inner": {"b": 1}}):
        assert not given.is_valid(body)
        with pytest.raises(RequestError, match="InvalidInput"):
            parse_input(Open, {"id": "1"}, body)
    monitor = resolved(document, answer(document, "open_start", 202)["content"]["application/json"]["schema"])
    assert validator(document, monitor["properties"]["result"]).is_valid({"a": 1, "b": 2})
