"""infra/: the compiled template fits its sources, and has what the app needs and no secret. Read without a compiler."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.contracts.pages import OPERATIONS_FILES
from shared.settings import Settings
from shared.storage.namespace import stored_name
from tests.support import infra, kql

ROOT = infra.ROOT
TEMPLATE = json.loads(infra.COMPILED.read_text(encoding="utf-8"))
GIVEN = {
    "taskHub": "lroabc123",
    "identityClientId": "11111111-2222-3333-4444-555555555555",
    "identityId": "/subscriptions/s/userAssignedIdentities/app",
    "blobEndpoint": "https://acct.blob.core.windows.net/",
    "queueEndpoint": "https://acct.queue.core.windows.net/",
    "tableEndpoint": "https://acct.table.core.windows.net/",
    "packageUrl": "https://acct.blob.core.windows.net/app-package/app.zip",
    "schedulerEndpoint": "https://hub.example",
    "monitoringConnection": "InstrumentationKey=none;IngestionEndpoint=https://logs.example",
    "publicBaseUrl": "",
    "signIn": False,
}
"""What the modules get, in the place of Azure's answers."""


def resources(template: Mapping[str, Any] = TEMPLATE) -> Iterator[dict[str, Any]]:
    """All resources, those of modules too."""
    found = template["resources"]
    for resource in found.values() if isinstance(found, dict) else found:
        yield resource
        if resource["type"] == "Microsoft.Resources/deployments":
            yield from resources(resource["properties"]["template"])


def of_type(kind: str) -> list[dict[str, Any]]:
    return [each for each in resources() if each["type"] == kind]


def module(name: str) -> dict[str, Any]:
    return TEMPLATE["resources"][name]["properties"]["template"]


def evaluate(text: str, given: Mapping[str, Any] = GIVEN) -> str:
    """The few kinds of ARM expressions that the settings are made of."""
    if not text.startswith("["):
        return text
    if choice := re.fullmatch(r"\[if\(parameters\('(\w+)'\), '(.*)', '(.*)'\)\]", text):
        return choice[2] if given[choice[1]] else choice[3]
    if formatted := re.fullmatch(r"\[format\('(.*?)', (.*)\)\]", text):
        return formatted[1].format(*(str(given[name]) for name in re.findall(r"parameters\('(\w+)'\)", formatted[2])))
    (name,) = re.fullmatch(r"\[parameters\('(\w+)'\)\]", text).groups()  # type: ignore[union-attr]
    return str(given[name])


def settings(*parts: str, **changed: Any) -> dict[str, str]:
    """App settings of these parts of settings.bicep."""
    variables = module("settings")["variables"]
    given = {**GIVEN, **changed}
    return {name: evaluate(value, given) for part in parts for name, value in variables[part].items()}


def section(document: str, title: str) -> str:
    (text,) = [
        part
        for part in (ROOT / "docs" / document).read_text(encoding="utf-8").split("\n## ")
        if part.startswith(f"{title}\n")
    ]
    return text


def test_the_template_is_made_of_these_sources() -> None:
    """Whoever changes a source without `make infra`, or the template by hand, is told here."""
    assert infra.HASHES.read_text(encoding="utf-8") == infra.hashes(), "call `make infra`"


def test_the_compiler_makes_the_same_template() -> None:
    """Where there is a compiler: no error, no finding of its linter, and what is kept."""
    program = infra.compiler()
    if program is None:
        pytest.skip("no Bicep compiler: name one with BICEP")
    assert json.loads(infra.compiled(program)) == TEMPLATE


def test_a_finding_of_the_linter_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make infra` writes nothing where the compiler says anything at all."""
    program = tmp_path / "bicep"
    program.write_text("#!/bin/sh\necho '{}'\necho 'main.bicep(1,7) : Warning no-unused-params' >&2\n")
    program.chmod(0o755)
    monkeypatch.setenv("BICEP", str(program))
    before = infra.COMPILED.read_bytes(), infra.HASHES.read_bytes()
    assert infra.main() == 1
    monkeypatch.setenv("BICEP", str(tmp_path / "missing"))
    assert infra.main() == 1
    assert (infra.COMPILED.read_bytes(), infra.HASHES.read_bytes()) == before


def test_one_finding_is_suppressed() -> None:
    """The update strategy is newer than the compiler's types. The reason stands beside it."""
    lines = [line for source in infra.INFRA.glob("*.bicep") for line in source.read_text("utf-8").splitlines()]
    (at,) = [number for number, line in enumerate(lines) if "#disable" in line]
    assert "BCP037" in lines[at]
    assert any("compiler" in line for line in lines[at - 3 : at])
    assert any("siteUpdateStrategy" in line for line in lines[at - 3 : at])


def test_nothing_comes_from_a_registry() -> None:
    """All modules are files of this folder, so that nothing is fetched."""
    for source in infra.INFRA.glob("*.bicep"):
        for target in re.findall(r"^module \w+ '([^']+)'", source.read_text(encoding="utf-8"), re.MULTILINE):
            assert (infra.INFRA / target).is_file(), f"{source.name} takes {target}"


def test_the_identity_has_the_roles_it_needs() -> None:
    """Built-in roles by their ids ("Azure built-in roles"): storage, metrics, and the scheduler where it is chosen."""
    ids = {
        "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",  # Storage Blob Data Owner
        "974c5e8b-45b9-4653-ba55-5f855dd0fb88",  # Storage Queue Data Contributor
        "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",  # Storage Table Data Contributor
    }
    assert set(module("storage")["variables"]["roles"].values()) == ids
    assert module("monitoring")["variables"]["monitoringMetricsPublisher"] == "3913510d-42f4-4e42-8a64-420c390055eb"
    assert module("scheduler")["variables"]["durableTaskDataContributor"] == "0ad04412-c4d5-4796-b79c-f76d14c8d402"
    assignments = of_type("Microsoft.Authorization/roleAssignments")
    assert len(assignments) == 3
    for each in assignments:
        assert each["properties"]["principalId"] == "[parameters('principalId')]"
        assert each["scope"], "a role on the whole resource group"
        role = each["properties"]["roleDefinitionId"]
        assert re.search(r"roleDefinitions', (items\(variables\('roles'\)\)|variables\('\w+'\)\)\]$)", role), role
    assert {each["copy"]["count"] for each in assignments if "copy" in each} == {"[length(items(variables('roles')))]"}


def test_storage_has_no_keys_and_no_public_blobs() -> None:
    """Whoever reads or writes has a role: no shared key, no anonymous access, no plain HTTP."""
    (account,) = of_type("Microsoft.Storage/storageAccounts")
    properties = account["properties"]
    assert properties["allowSharedKeyAccess"] is False
    assert properties["allowBlobPublicAccess"] is False
    assert properties["supportsHttpsTrafficOnly"] is True
    assert properties["minimumTlsVersion"] == "TLS1_2"
    (insights,) = of_type("Microsoft.Insights/components")
    assert insights["properties"]["DisableLocalAuth"] is True
    policies = of_type("Microsoft.Web/sites/basicPublishingCredentialsPolicies")
    assert [each["properties"] for each in policies] == [{"allow": False}] * 2
    assert [each.get("condition") for each in policies if "scm" in each["name"]] == [None]


def test_no_output_is_a_secret() -> None:
    """Outputs stay in the history of deployments: no key, no SAS, no list*() in any of them; nor in a setting."""
    text = infra.COMPILED.read_text(encoding="utf-8")
    assert not re.search(r"\blist[A-Z]\w*\(|AccountKey=|SharedAccess", text)
    assert set(TEMPLATE["outputs"]) == {
        "baseUrl",
        "functionAppName",
        "storageAccountName",
        "taskHub",
        "identityClientId",
    }


def test_the_app_can_read_its_settings() -> None:
    """With each backend the settings are all that the app needs, and its storage is reached by the identity."""
    for parts in (["common", "onStorage"], ["common", "onScheduler", "onPremium"]):
        read = Settings.read(settings(*parts), ROOT / "host.json")
        assert read.namespace == GIVEN["taskHub"]
        assert read.store == "tables"
        assert read.storage.table_service_uri == GIVEN["tableEndpoint"]
        assert read.storage.blob_service_uri == GIVEN["blobEndpoint"]
        assert read.storage.identity is not None
        assert read.storage.identity.client_id == GIVEN["identityClientId"]
        assert (read.http_auth_level, read.trust_platform_auth) == ("function", False)


def test_sign_in_takes_the_place_of_keys() -> None:
    """With an app registration the platform asks who calls, the app believes it, and nobody needs a key."""
    read = Settings.read(settings("common", signIn=True), ROOT / "host.json")
    assert (read.http_auth_level, read.trust_platform_auth) == ("anonymous", True)
    (sign_in,) = [each for each in of_type("Microsoft.Web/sites/config") if "authsettingsV2" in each["name"]]
    assert sign_in["condition"] == "[not(empty(parameters('authClientId')))]"
    assert sign_in["properties"]["globalValidation"] == {
        "requireAuthentication": True,
        "unauthenticatedClientAction": "Return401",
        "excludedPaths": "[variables('openPaths')]",
    }
    page = ["/operations", *(f"/operations/{name}" for name in OPERATIONS_FILES)]
    assert module("app")["variables"]["openPaths"] == ["/health", *page]
    assert TEMPLATE["variables"]["signIn"] == "[not(empty(parameters('authClientId')))]"


def test_settings_are_those_of_the_documents() -> None:
    """docs/configuration.md and docs/backends.md list the deployment's settings: the same names and values here."""
    rows = dict(
        re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", section("configuration.md", "Settings of a deployment"), re.M)
    )
    assert len(rows) == 5
    assert rows.items() <= settings("common", "onStorage").items()
    prefix = "AzureFunctionsJobHost__extensions__durableTask__"
    backends = re.findall(
        r"^\| Durable Task Scheduler \| `(\w+)` \| `([^`]+)`", section("backends.md", "Settings"), re.M
    )
    scheduler = settings("onScheduler")
    assert {prefix + name: value for name, value in backends}.items() <= scheduler.items()
    assert scheduler["DURABLE_TASK_SCHEDULER_CONNECTION_STRING"] == (
        f"Endpoint=https://hub.example;Authentication=ManagedIdentity;ClientID={GIVEN['identityClientId']}"
    )
    assert not scheduler.keys() & settings("onStorage").keys()


def test_a_swap_leaves_hub_and_records_where_they_are() -> None:
    """On Premium the settings that name them are the slot's."""
    (sticky,) = [each for each in of_type("Microsoft.Web/sites/config") if "slotConfigNames" in each["name"]]
    assert sticky["properties"]["appSettingNames"] == ["TASK_HUB_NAME", "OPERATIONS_NAMESPACE"]


def test_the_lifecycle_rule_meets_the_container_of_uploads() -> None:
    """Whatever the task hub: the rule's prefix is the container as the app names it, and nothing else of the app."""
    (policy,) = of_type("Microsoft.Storage/storageAccounts/managementPolicies")
    (rule,) = policy["properties"]["policy"]["rules"]
    (prefix,) = rule["definition"]["filters"]["prefixMatch"]
    pattern = re.fullmatch(r"\[format\('(.*)', toLower\(parameters\('taskHub'\)\)\)\]", prefix)
    assert pattern is not None
    longest = TEMPLATE["parameters"]["taskHub"]["maxLength"]
    for hub in ("abc", "LongRunningActions", "x" * longest):
        assert pattern[1].format(hub.lower()) == f"{stored_name(hub, 'uploads')}/"
    assert rule["definition"]["actions"] == {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": 1}}}


def test_the_app_is_updated_as_the_parameter_says() -> None:
    """Both plans: instances that work are not taken away at once, and no more of them than allowed."""
    (site,) = of_type("Microsoft.Web/sites")
    text = site["properties"]
    assert list(site["identity"]["userAssignedIdentities"]) == ["[format('{0}', parameters('identityId'))]"]
    assert site["identity"]["type"] == "UserAssigned"
    assert "'minimumElasticInstanceCount', max(1, parameters('alwaysReadyHttp'))" in text
    for group, parameter in {"http": "alwaysReadyHttp", "durable": "alwaysReadyDurable"}.items():
        assert f"createObject('name', '{group}', 'instanceCount', parameters('{parameter}'))" in text
    assert "createObject('siteUpdateStrategy'" in text or "'siteUpdateStrategy', createObject('type'" in text
    assert TEMPLATE["parameters"]["updateStrategy"]["defaultValue"] == "RollingUpdate"
    assert "'httpsOnly', true()" in text
    assert "'perInstanceConcurrency', parameters('httpConcurrency')" in text
    assert "'maximumInstanceCount', parameters('maximumInstances')" in text
    assert "'functionAppScaleLimit', parameters('maximumInstances')" in text


def test_flex_consumption_gets_only_what_it_takes() -> None:
    """It refuses a site with properties of other plans ("Flex Consumption plan deprecations"); so for its settings."""
    (site,) = of_type("Microsoft.Web/sites")
    config = re.search(
        r"'siteConfig', shallowMerge\(createArray\(createObject\((.*?)\), if\(parameters\('flex'\), createObject\(\), "
        r"createObject\((.*)\)\)\)\)",
        site["properties"],
    )
    assert config is not None
    assert set(re.findall(r"'(\w+)', ", config[1])) == {"minTlsVersion", "cors", "allowedOrigins"}
    assert {"ftpsState", "linuxFxVersion", "functionAppScaleLimit"} <= set(re.findall(r"'(\w+)', ", config[2]))
    output = module("settings")["outputs"]["all"]["value"]
    assert output.endswith("if(parameters('flex'), createObject(), variables('onPremium')))]")
    deprecated = {"FUNCTIONS_EXTENSION_VERSION", "FUNCTIONS_WORKER_RUNTIME", "WEBSITE_RUN_FROM_PACKAGE"}
    assert deprecated <= settings("onPremium").keys()
    assert not deprecated & settings("common", "onStorage", "onScheduler").keys()


def test_scripts_of_named_pages_upload_and_download() -> None:
    """Storage lets them use the URLs that operations hand out, with the headers that docs/protocol.md names for files;
    without named pages it lets in nobody."""
    (blobs,) = of_type("Microsoft.Storage/storageAccounts/blobServices")
    rules = blobs["properties"]["cors"]["corsRules"]
    assert rules.startswith("[if(empty(parameters('corsOrigins')), createArray(), ")
    methods = re.search(r"'allowedMethods', createArray\((.*?)\)", rules)
    headers = re.search(r"'allowedHeaders', createArray\((.*?)\)", rules)
    assert methods is not None
    assert headers is not None
    assert set(re.findall(r"'(\S+?)'", methods[1])) == {"GET", "HEAD", "PUT", "OPTIONS"}
    assert {"content-type", "x-ms-blob-type", "range", "if-match"} <= set(re.findall(r"'(\S+?)'", headers[1]))


def test_a_private_network_closes_storage() -> None:
    """All three services get a private endpoint under their usual names, and the public ones are closed."""
    assert module("storage")["variables"]["services"] == ["blob", "queue", "table"]
    (account,) = of_type("Microsoft.Storage/storageAccounts")
    properties = account["properties"]
    assert properties["publicNetworkAccess"] == "[if(parameters('publicAccess'), 'Enabled', 'Disabled')]"
    assert properties["networkAcls"]["defaultAction"] == "[if(parameters('publicAccess'), 'Allow', 'Deny')]"
    assert TEMPLATE["parameters"]["publicStorage"]["defaultValue"] == "[not(parameters('virtualNetwork'))]"
    (zone,) = of_type("Microsoft.Network/privateDnsZones")
    assert zone["name"] == "[format('privatelink.{0}.{1}', parameters('service'), environment().suffixes.storage)]"


def test_every_query_is_an_alert() -> None:
    """Each file under alerts/ is a rule, once, with its words."""
    rules = {rule["name"]: rule for rule in module("monitoring")["variables"]["alerts"]}
    assert set(rules) == {path.stem for path in infra.INFRA.glob("alerts/*.kql")}
    assert {"failed-operations", "not-begun", "restarts", "server-errors", "refused-by-load", "worker-exits"} <= set(
        rules
    )
    assert all(rule["says"].endswith(".") for rule in rules.values())


@pytest.mark.parametrize("name", sorted(kql.of_infra()))
def test_queries_look_for_lines_that_the_app_logs(name: str) -> None:
    """A line that is reworded in the source is reworded here: no alert goes silent."""
    assert kql.unknown_texts(kql.of_infra()[name]) == []


def test_telemetry_has_a_workspace_and_a_workbook() -> None:
    """Queries over logs need the workspace; the workbook is what a person opens first."""
    (component,) = of_type("Microsoft.Insights/components")
    (workbook,) = of_type("Microsoft.Insights/workbooks")
    assert "Microsoft.OperationalInsights/workspaces" in component["properties"]["WorkspaceResourceId"]
    assert "Microsoft.Insights/components" in workbook["properties"]["sourceId"]
    (name,) = re.findall(r"variables\('(.*?)'\)", workbook["properties"]["serializedData"])
    assert module("monitoring")["variables"][name]["items"]


def test_an_instance_that_is_taken_away_is_no_alert() -> None:
    """Exit code 143 is SIGTERM, which the platform sends to every instance that it takes away."""
    assert '!has "exited with code 143"' in kql.of_infra()["worker-exits"]


def test_parameters_of_azd_are_the_templates() -> None:
    """`azd up` gives what has no default, and nothing that the template does not know."""
    given = json.loads((infra.INFRA / "main.parameters.json").read_text(encoding="utf-8"))["parameters"]
    needed = {name for name, each in TEMPLATE["parameters"].items() if "defaultValue" not in each}
    assert needed <= set(given) <= set(TEMPLATE["parameters"])
    for name, each in given.items():
        (default,) = re.fullmatch(r"\$\{[A-Z_]+=?(.*)\}", each["value"]).groups()  # type: ignore[union-attr]
        assert TEMPLATE["parameters"][name]["type"] == "string"
        assert default in TEMPLATE["parameters"][name].get("allowedValues", [""]), name


def test_every_parameter_is_explained() -> None:
    """In the template, and in the table of docs/deployment.md with its default."""
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*)\|", section("deployment.md", "Parameters"), re.M))
    parameters = TEMPLATE["parameters"]
    assert set(rows) == set(parameters)
    assert all(each["metadata"]["description"].endswith(".") for each in parameters.values())
    for name, each in parameters.items():
        default = each.get("defaultValue")
        if isinstance(default, str | int) and not str(default).startswith("[") and default != "":
            assert rows[name].strip(" `") == str(default).lower() or rows[name].strip(" `") == str(default), name


def test_azd_deploys_this_folder() -> None:
    """azure.yaml: the service that the site's tag names, from where function_app.py lies, with the page's files."""
    project = yaml.safe_load((ROOT / "azure.yaml").read_text(encoding="utf-8"))
    (name,) = project["services"]
    service = project["services"][name]
    assert (service["language"], service["host"]) == ("python", "function")
    assert (ROOT / service["project"] / "function_app.py").is_file()
    (site,) = of_type("Microsoft.Web/sites")
    assert site["tags"] == {"azd-service-name": name}
    assert (ROOT / project["infra"]["path"] / f"{project['infra']['module']}.bicep").is_file()
    for hook in service["hooks"]["prepackage"].values():
        assert "local_host.docs_page" in hook["run"]
