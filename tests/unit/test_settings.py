"""Settings: names, defaults, blanks, wrong values, and where storage is found."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from shared.errors import SettingsError
from shared.settings import ManagedIdentity, Settings, StorageConnection

DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"
PLACES = "AzureFunctionsJobHost__extensions__durableTask__maxConcurrentActivityFunctions"
PREFIX = "AzureFunctionsJobHost__extensions__http__routePrefix"
NAMES = {field.alias for field in Settings.model_fields.values() if field.alias}
"""All but what several settings, or host.json, say together."""


def test_names() -> None:
    """The names people set are these; renaming one breaks every deployment."""
    assert {
        PREFIX, PLACES, "API_VERSION_REQUIRED", "CSV_NEUTRALIZE_FORMULAS", "DATA_DIR", "HANDLER_PROCESSES",
        "HOUSEKEEPING_SCHEDULE",
        "HTTP_AUTH_LEVEL", "MAX_BODY_BYTES", "MAX_CONCURRENT_REQUESTS", "MAX_FILE_BYTES", "MAX_RESULT_BYTES",
        "MAX_UPLOAD_BYTES", "MAX_WAIT_SECONDS", "PAUSED_ACTIONS",
        "OPERATIONS_NAMESPACE", "OPERATIONS_STORE", "OPERATIONS_TABLES_CLIENT",
        "OPERATOR_CANCEL_ROLE", "OPERATOR_READ_ROLE",
        "PUBLIC_BASE_URL",
        "SYNC_HANDLER_THREADS", "SYNC_TIMEOUT_SECONDS",
        "TRUST_FORWARDED_HEADERS",
        "TRUST_PLATFORM_AUTH", "TRUST_REFERER", "WEBSITE_AUTH_ENABLED", "WEBSITE_HOSTNAME", "WEBSITE_INSTANCE_ID",
        "WEBSITE_SITE_NAME", "WEBSITE_SLOT_NAME",
    } == NAMES  # fmt: skip


def test_docs_list_every_setting() -> None:
    """The table of docs/configuration.md has every setting in its first column, in backticks, and no other."""
    table = DOCS.read_text(encoding="utf-8").split("\n## ")[0]
    rows = re.findall(r"^\| (`.+?`) \|", table, re.MULTILINE)
    listed = {name for cell in rows for name in re.findall(r"`(\w+)`", cell)}
    storage = {
        "OPERATIONS_STORAGE", "OPERATIONS_STORAGE__accountName", "OPERATIONS_STORAGE__tableServiceUri",
        "OPERATIONS_STORAGE__blobServiceUri", "OPERATIONS_STORAGE__clientId", "OPERATIONS_STORAGE__credential",
        "OPERATIONS_STORAGE__managedIdentityResourceId",
    }  # fmt: skip
    assert listed == NAMES | storage


def test_blanks_are_not_set() -> None:
    """An empty app setting is one that is not set."""
    assert Settings.read(dict.fromkeys(NAMES, "  ")) == Settings.read({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPERATIONS_STORE", "redis"),
        ("OPERATIONS_NAMESPACE", "my-app"),
        ("OPERATIONS_NAMESPACE", "1app"),
        ("OPERATIONS_NAMESPACE", "ab"),
        ("OPERATIONS_NAMESPACE", "äpp"),
        ("OPERATIONS_NAMESPACE", "a" * 51),
        ("HTTP_AUTH_LEVEL", "admin"),
        ("API_VERSION_REQUIRED", "perhaps"),
        ("PUBLIC_BASE_URL", "api.example"),
        ("PUBLIC_BASE_URL", "https://h/?a"),
        ("PUBLIC_BASE_URL", "https://h/#a"),
        ("PUBLIC_BASE_URL", "https://"),
        ("PUBLIC_BASE_URL", "ftp://h"),
        ("PUBLIC_BASE_URL", "https://a.b;script-src *"),
        ("PUBLIC_BASE_URL", "https://user:pw@a.b"),
        ("PUBLIC_BASE_URL", "https://a.b/x y"),
        ("PUBLIC_BASE_URL", "https://a.b:port"),
        ("PUBLIC_BASE_URL", "https://a.b/\nx"),
        ("MAX_BODY_BYTES", "0"),
        ("MAX_CONCURRENT_REQUESTS", "0"),
        ("MAX_CONCURRENT_REQUESTS", "-1"),
        ("MAX_UPLOAD_BYTES", "big"),
        ("MAX_RESULT_BYTES", "0"),
        ("MAX_FILE_BYTES", "0"),
        ("MAX_FILE_BYTES", "209715200001"),
        ("SYNC_HANDLER_THREADS", "257"),
        ("SYNC_TIMEOUT_SECONDS", "230"),
        ("HANDLER_PROCESSES", "0"),
        ("HANDLER_PROCESSES", "65"),
        (PLACES, "0"),
        (PLACES, "many"),
    ],
)
def test_wrong_values(name: str, value: str) -> None:
    """A value that cannot be read is an error that names the setting."""
    with pytest.raises(SettingsError, match=name):
        Settings.read({name: value})


@pytest.mark.parametrize(
    "url", ["https://api.example", "http://localhost:7071/", "https://[::1]:8443/a/b-c~d/%20;v=1/"], ids=str
)
def test_public_addresses(url: str) -> None:
    """A host, a port, a path: what links may begin with. What else stands there is refused, and said."""
    assert Settings.read({"PUBLIC_BASE_URL": url}).public_base_url == url
    with pytest.raises(SettingsError, match=r"PUBLIC_BASE_URL: write https://.*no user, query or fragment$"):
        Settings.read({"PUBLIC_BASE_URL": f"{url}?x"})


def test_every_wrong_value_is_named() -> None:
    """All problems are told at once."""
    with pytest.raises(SettingsError, match=r"(?s)MAX_BODY_BYTES.*SYNC_|SYNC_.*MAX_BODY_BYTES"):
        Settings.read({"MAX_BODY_BYTES": "x", "SYNC_HANDLER_THREADS": "x"})


@pytest.mark.parametrize(
    ("host_json", "environment", "expected"),
    [
        ('{"version": "2.0"}', {}, "/api"),
        ('{"extensions": {"durableTask": {}}}', {}, "/api"),
        ('{"extensions": {"http": {"routePrefix": ""}}}', {}, ""),
        ('{"extensions": {"http": {"routePrefix": null}}}', {}, ""),
        ('{"extensions": {"http": {"routePrefix": "v1/api"}}}', {}, "/v1/api"),
        ('\ufeff{"Extensions": {"HTTP": {"RoutePrefix": "/a-b_c.d/"}}}', {}, "/a-b_c.d"),
        ('{"extensions": {"http": {"routePrefix": "no"}}}', {PREFIX: "v2"}, "/v2"),
        ('{"extensions": {"http": {"routePrefix": "no"}}}', {PREFIX: ""}, ""),
        ("{}", {PREFIX.upper(): "v2"}, "/v2"),
    ],
)
def test_route_prefix(tmp_path: Path, host_json: str, environment: dict[str, str], expected: str) -> None:
    """The app setting that overrides host.json, else host.json, else the platform's `api`; names in any case."""
    file = tmp_path / "host.json"
    file.write_text(host_json, encoding="utf-8")
    found = Settings.read(environment, file)
    assert found.root_path == expected
    assert found.own_url == f"http://localhost:7071{expected}"
    public = Settings.read({**environment, "PUBLIC_BASE_URL": "https://api.example/x"}, file)
    assert public.own_url == "https://api.example/x"


@pytest.mark.parametrize("word", ["true", "True", " TRUE ", "enabled", "yes", "1", "on", "False", "null", "0"])
def test_the_platforms_word_on_callers(word: str) -> None:
    """Only `true` means that callers are known; any other word takes no app down, and means that they are not."""
    assert Settings.read({"WEBSITE_AUTH_ENABLED": word}).platform_auth_enabled == (word.strip().lower() == "true")


@pytest.mark.parametrize(
    "prefix", ["a b", "a//b", "{x}", "a?b", "a#b", "%TASK_HUB_NAME%", "..", "a/./b", "ä", "~a", "a\n"]
)
def test_odd_route_prefixes(tmp_path: Path, prefix: str) -> None:
    """What is no path of plain segments is refused, with the setting's name, wherever it is written."""
    file = tmp_path / "host.json"
    file.write_text(json.dumps({"extensions": {"http": {"routePrefix": prefix}}}))
    for environment, path in (({}, file), ({PREFIX: prefix}, None), ({PREFIX: prefix}, file)):
        with pytest.raises(SettingsError, match=rf"{PREFIX}.*extensions\.http\.routePrefix in host\.json.*v1/api"):
            Settings.read(environment, path)


BLOB, TABLE = "https://acc.blob.core.windows.net", "https://acc.table.core.windows.net"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, StorageConnection()),
        ({"AzureWebJobsStorage": "A"}, StorageConnection(connection_string="A")),
        ({"AzureWebJobsStorage": "A", "OPERATIONS_STORAGE": "B"}, StorageConnection(connection_string="B")),
        ({"AzureWebJobsStorage": "A", "OPERATIONS_STORAGE": " "}, StorageConnection(connection_string="A")),
        (
            {"OPERATIONS_STORAGE__accountName": "acc", "AzureWebJobsStorage": "A"},
            StorageConnection(table_service_uri=TABLE, blob_service_uri=BLOB),
        ),
        (
            {"AzureWebJobsStorage__accountName": "acc", "AzureWebJobsStorage__clientId": "id"},
            StorageConnection(table_service_uri=TABLE, blob_service_uri=BLOB, identity=ManagedIdentity(client_id="id")),
        ),
        (
            {"OPERATIONS_STORAGE__tableServiceUri": "https://t", "OPERATIONS_STORAGE__blobServiceUri": "https://b"},
            StorageConnection(table_service_uri="https://t", blob_service_uri="https://b"),
        ),
        (
            {"OPERATIONS_STORAGE__accountName": "acc", "OPERATIONS_STORAGE__tableServiceUri": "https://t"},
            StorageConnection(table_service_uri="https://t", blob_service_uri=BLOB),
        ),
    ],
    ids=str,
)
def test_where_storage_is(environment: dict[str, str], expected: StorageConnection) -> None:
    """The app's own connection, else the host's; a connection string, an account's name, or service URLs."""
    assert Settings.read(environment).storage == expected


@pytest.mark.parametrize("prefix", ["OPERATIONS_STORAGE", "AzureWebJobsStorage"])
@pytest.mark.parametrize(
    ("named", "identity"),
    [
        ({}, None),
        ({"credential": " ", "clientId": "", "managedIdentityResourceId": " "}, None),
        ({"credential": "managedidentity"}, ManagedIdentity()),
        ({"credential": "ManagedIdentity", "clientId": "id"}, ManagedIdentity(client_id="id")),
        ({"managedIdentityResourceId": "/subscriptions/s"}, ManagedIdentity(resource_id="/subscriptions/s")),
    ],
    ids=str,
)
def test_identities(prefix: str, named: dict[str, str], identity: ManagedIdentity | None) -> None:
    """What the host reads under its own name is read under both: an id, or the word for the system-assigned one."""
    environment = {f"{prefix}__accountName": "acc", **{f"{prefix}__{name}": value for name, value in named.items()}}
    assert Settings.read(environment).storage.identity == identity


@pytest.mark.parametrize("prefix", ["OPERATIONS_STORAGE", "AzureWebJobsStorage"])
def test_identities_that_cannot_be_meant(prefix: str) -> None:
    """A credential of another kind, and two ids at once, name the setting and what to do."""
    account = {f"{prefix}__accountName": "acc"}
    with pytest.raises(SettingsError, match=f"^{prefix}__credential is 'secret': write managedidentity, or remove it$"):
        Settings.read({**account, f"{prefix}__credential": "secret"})
    with pytest.raises(SettingsError, match=f"^{prefix}__clientId and {prefix}__managedIdentityResourceId .* remove"):
        Settings.read({**account, f"{prefix}__clientId": "a", f"{prefix}__managedIdentityResourceId": "b"})


def test_half_a_connection() -> None:
    """One service URL without the other names what is missing."""
    with pytest.raises(SettingsError, match="OPERATIONS_STORAGE__tableServiceUri"):
        Settings.read({"OPERATIONS_STORAGE__blobServiceUri": "https://b"})


OVERRIDE = "AzureFunctionsJobHost__extensions__durableTask__hubName"
HUB_NAME = f"extensions.durableTask.hubName in host.json, or {OVERRIDE},"


def host_json(folder: Path, hub: Any = None, section: str = "durableTask") -> Path:
    """A host.json that says so much of the task hub; nothing for None."""
    path = folder / "host.json"
    path.write_text(json.dumps({"extensions": {section: {} if hub is None else {"hubName": hub}}}))
    return path


@pytest.mark.parametrize(
    ("hub", "environment", "expected"),
    [
        ("Mine", {}, "Mine"),
        ("%HUB%", {"HUB": "Theirs"}, "Theirs"),
        ("%hub%", {"HUB": "Theirs"}, "Theirs"),
        ("%A%%B%x", {"A": "One", "B": "Two"}, "OneTwox"),
        ("Mine", {OVERRIDE: "Other"}, "Other"),
        ("Mine", {OVERRIDE.upper(): "%HUB%", "HUB": "Theirs"}, "Theirs"),
        ("Mine", {"WEBSITE_SITE_NAME": "site", "WEBSITE_SLOT_NAME": "staging"}, "Mine"),
        (None, {}, "TestHubName"),
        (None, {"WEBSITE_SITE_NAME": "my-site-2", "WEBSITE_SLOT_NAME": "Production"}, "mysite2"),
        (None, {"WEBSITE_SITE_NAME": "2-sites"}, "t2sites"),
        (None, {"WEBSITE_SITE_NAME": "s" * 60}, "s" * 45),
        (None, {"WEBSITE_SITE_NAME": "a-b"}, "abHub"),
    ],
    ids=str,
)
def test_task_hub(tmp_path: Path, hub: str | None, environment: dict[str, str], expected: str) -> None:
    """The hub is what the Durable extension reads: the app setting that overrides, host.json, or the site's name.

    The namespace is the hub's name, unless a setting names another.
    """
    settings = Settings.read(environment, host_json(tmp_path, hub))
    assert (settings.task_hub, settings.namespace) == (expected, expected)
    own = Settings.read({**environment, "OPERATIONS_NAMESPACE": "Own"}, host_json(tmp_path, hub))
    assert (own.task_hub, own.namespace) == (expected, "Own")


@pytest.mark.parametrize(
    ("hub", "environment", "named"),
    [
        ("my-hub", {}, f"{HUB_NAME} is 'my-hub'"),
        ("", {}, f"{HUB_NAME} is ''"),
        (12345, {}, f"{HUB_NAME} is '12345'"),
        ("ab", {}, f"{HUB_NAME} is 'ab'"),
        ("a" * 51, {}, f"{HUB_NAME} is 'aaa"),
        ("Mine", {OVERRIDE: "my_hub"}, f"{HUB_NAME} is 'my_hub'"),
        ("Mine", {OVERRIDE: ""}, f"{HUB_NAME} is ''"),
        ("%TASK_HUB_NAME%", {"TASK_HUB_NAME": "1st"}, "TASK_HUB_NAME is '1st'"),
    ],
    ids=str,
)
def test_hubs_that_name_no_table(tmp_path: Path, hub: Any, environment: dict[str, str], named: str) -> None:
    """Such a name is refused by the name of the setting it comes from, with the right form and the way round it."""
    path = host_json(tmp_path, hub)
    with pytest.raises(SettingsError, match=r"write 3 to 50 letters and digits.*set OPERATIONS_NAMESPACE") as caught:
        Settings.read(environment, path)
    assert str(caught.value).startswith(named)
    assert Settings.read({**environment, "OPERATIONS_NAMESPACE": "Mine"}, path).namespace == "Mine"


def test_hubs_that_are_not_there(tmp_path: Path) -> None:
    """A setting that host.json names has to be there, and a slot has no default: the extension refuses it, too."""
    with pytest.raises(SettingsError, match="'%TASK_HUB_NAME%', and the app setting TASK_HUB_NAME is not set"):
        Settings.read({}, host_json(tmp_path, "%TASK_HUB_NAME%"))
    slot = {"WEBSITE_SITE_NAME": "site", "WEBSITE_SLOT_NAME": "staging"}
    with pytest.raises(SettingsError, match=r"hubName in host\.json, .* is not set: the slot 'staging'"):
        Settings.read(slot, host_json(tmp_path))


@pytest.mark.parametrize(
    ("text", "names"),
    [("", ()), (" ", ()), ("*", ("*",)), ("book:put", ("book:put",)), (" a:b, c:d,, ", ("a:b", "c:d"))],
)
def test_paused_actions(text: str, names: tuple[str, ...]) -> None:
    """Names with commas between them."""
    assert Settings.read({"PAUSED_ACTIONS": text}).paused_actions == names
