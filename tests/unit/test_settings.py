"""Settings: names, defaults, blanks, wrong values, and where storage is found."""

import re
from pathlib import Path

import pytest

from shared.errors import SettingsError
from shared.settings import Settings, StorageConnection

DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"
NAMES = {field.alias for name, field in Settings.model_fields.items() if name != "storage"}


def test_names() -> None:
    """The names people set are these; renaming one breaks every deployment."""
    assert {
        "API_VERSION_REQUIRED", "DATA_DIR", "HOUSEKEEPING_SCHEDULE", "HTTP_AUTH_LEVEL", "MAX_BODY_BYTES",
        "MAX_UPLOAD_BYTES", "MAX_WAIT_SECONDS", "OPERATIONS_STORE", "PUBLIC_BASE_URL", "SYNC_HANDLER_THREADS",
        "SYNC_TIMEOUT_SECONDS",
        "TRUST_FORWARDED_HEADERS",
        "TRUST_PLATFORM_AUTH", "TRUST_REFERER", "WEBSITE_AUTH_ENABLED", "WEBSITE_HOSTNAME",
    } == NAMES  # fmt: skip


def test_docs_list_every_setting() -> None:
    """The table of docs/configuration.md has every setting in its first column, in backticks, and no other."""
    rows = re.findall(r"^\| (`.+?`) \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    listed = {name for cell in rows for name in re.findall(r"`(\w+)`", cell)}
    storage = {
        "OPERATIONS_STORAGE", "OPERATIONS_STORAGE__accountName", "OPERATIONS_STORAGE__tableServiceUri",
        "OPERATIONS_STORAGE__blobServiceUri", "OPERATIONS_STORAGE__clientId",
    }  # fmt: skip
    assert listed == NAMES | storage


def test_blanks_are_not_set() -> None:
    """An empty app setting is one that is not set."""
    assert Settings.read(dict.fromkeys((name for name in NAMES if name), "  ")) == Settings.read({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPERATIONS_STORE", "redis"),
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
        ("MAX_UPLOAD_BYTES", "big"),
        ("SYNC_HANDLER_THREADS", "257"),
        ("SYNC_TIMEOUT_SECONDS", "230"),
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
            StorageConnection(table_service_uri=TABLE, blob_service_uri=BLOB, client_id="id"),
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


def test_half_a_connection() -> None:
    """One service URL without the other names what is missing."""
    with pytest.raises(SettingsError, match="OPERATIONS_STORAGE__tableServiceUri"):
        Settings.read({"OPERATIONS_STORAGE__blobServiceUri": "https://b"})
