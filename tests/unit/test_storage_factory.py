"""Which store the settings open, what that imports, and how uploads to Azure are signed."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shared.errors import SettingsError, StorageRefused
from shared.settings import ManagedIdentity, Settings, StorageConnection
from shared.storage.blob_signing import UrlSigner
from shared.storage.connection import blobs_client, connection_string, tables_client
from shared.storage.factory import open_storage

ROOT = Path(__file__).parent.parent.parent
HEAVY = ("azure.core", "azure.data.tables", "azure.storage.blob", "azure.identity", "aiohttp", "sqlite3")


def imported_by(code: str) -> set[str]:
    """Which of the heavy modules are loaded after `code`, in a fresh interpreter."""
    script = f"import sys\n{code}\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_imports_are_cheap(tmp_path: Path) -> None:
    """Importing the factory or an Azure adapter loads no SDK; a store loads its own libraries only."""
    assert imported_by("import shared.storage.factory, shared.storage.tables, shared.storage.blobs") == set()
    opened = "from shared.storage.factory import *\nfrom shared.settings import Settings\n"
    sqlite = f"open_storage(Settings.read({{'OPERATIONS_STORE': 'sqlite', 'DATA_DIR': {str(tmp_path)!r}}}))"
    assert imported_by(opened + sqlite) == {"sqlite3"}
    azurite = "open_storage(Settings.read({'OPERATIONS_STORAGE': 'UseDevelopmentStorage=true'})).table('abc')"
    assert "azure.identity" not in imported_by(opened + azurite)


def test_nothing_set() -> None:
    """Tables without an account is a settings error that names what to set."""
    with pytest.raises(SettingsError) as caught:
        open_storage(Settings.read({}))
    for name in ("OPERATIONS_STORAGE", "AzureWebJobsStorage", "OPERATIONS_STORAGE__accountName", "OPERATIONS_STORE"):
        assert name in str(caught.value)


@pytest.mark.parametrize("text", ["nonsense", "BlobEndpoint=x"])
def test_connection_strings_that_cannot_be_read(text: str) -> None:
    """A connection string the SDK cannot read is a settings error, and its text stays out of the message."""
    storage = open_storage(Settings.read({"OPERATIONS_STORAGE": text + ";AccountKey=c2VjcmV0"}))
    with pytest.raises(SettingsError) as caught:
        storage.table("abc")
    assert "c2VjcmV0" not in str(caught.value)


async def test_development_storage() -> None:
    """`UseDevelopmentStorage=true` is the emulator on its own ports."""
    connection = StorageConnection(connection_string=" UseDevelopmentStorage = true ;")
    text = connection_string(connection)
    assert text is not None
    assert "devstoreaccount1" in text
    tables, _ = tables_client(connection)
    blobs, _ = blobs_client(connection)
    assert tables.url == "http://127.0.0.1:10002/devstoreaccount1"
    assert blobs.url.rstrip("/") == "http://127.0.0.1:10000/devstoreaccount1"
    await tables.close()
    await blobs.close()


def by_identity(identity: ManagedIdentity | None) -> StorageConnection:
    return StorageConnection(
        table_service_uri="https://a.table.core.windows.net",
        blob_service_uri="https://a.blob.core.windows.net",
        identity=identity,
    )


async def test_identity_at_hand() -> None:
    """Service URLs without a managed identity are reached by whatever identity is at hand."""
    for client, credential in (tables_client(by_identity(None)), blobs_client(by_identity(None))):
        assert type(credential).__name__ == "DefaultAzureCredential"
        assert client.url.startswith("https://a.")
        await client.close()
        assert credential is not None
        await credential.close()


@pytest.mark.parametrize(
    ("identity", "query"),
    [
        (ManagedIdentity(), {}),
        (ManagedIdentity(client_id="c"), {"client_id": "c"}),
        (ManagedIdentity(resource_id="/subscriptions/s"), {"mi_res_id": "/subscriptions/s"}),
    ],
    ids=str,
)
async def test_managed_identity(
    identity: ManagedIdentity, query: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The platform is asked for a token of that identity, by the names of its own endpoint."""
    asked: list[dict[str, str]] = []

    async def token(request: web.Request) -> web.Response:
        asked.append(dict(request.query))
        answer = {"access_token": "t", "expires_on": "4102444800", "token_type": "Bearer", **request.query}
        return web.json_response(answer)

    app = web.Application()
    app.router.add_get("/token", token)
    async with TestServer(app) as server:
        monkeypatch.setenv("IDENTITY_ENDPOINT", str(server.make_url("/token")))
        monkeypatch.setenv("IDENTITY_HEADER", "h")
        client, credential = tables_client(by_identity(identity))
        assert credential is not None
        assert (await credential.get_token("https://storage.azure.com/.default")).token == "t"
        await client.close()
        await credential.close()
    assert asked == [{"api-version": "2019-08-01", "resource": "https://storage.azure.com", **query}]


class Service:
    """A blob service reached with an identity."""

    account_name = "a"
    url = "https://a.blob.core.windows.net/"
    credential = SimpleNamespace(get_token=None)

    def __init__(self) -> None:
        self.asked: list[tuple[datetime, datetime]] = []

    async def get_user_delegation_key(self, start: datetime, expiry: datetime) -> Any:
        from azure.storage.blob import UserDelegationKey

        self.asked.append((start, expiry))
        key = UserDelegationKey()
        key.signed_oid = key.signed_tid = "00000000-0000-0000-0000-000000000000"
        key.signed_start = start.strftime("%Y-%m-%dT%H:%M:%SZ")
        key.signed_expiry = expiry.strftime("%Y-%m-%dT%H:%M:%SZ")
        key.signed_service, key.signed_version, key.value = "b", "2024-08-04", "a2V5"
        return key


async def test_signing_with_an_identity() -> None:
    """A URL grants create and write on one blob over https; its key is asked for once and outlives it."""
    service: Any = Service()
    signer = UrlSigner(service)
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for at in (now, now + timedelta(hours=1)):
        query = parse_qs(await signer.query("things", "a/b", now=at, lifetime_seconds=600))
        assert (query["sp"], query["sr"], query["spr"]) == (["cw"], ["b"], ["https"])
        assert query["st"] == [(at - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")]
        assert query["se"] == [(at + timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")]
        assert "skoid" in query
    assert len(service.asked) == 1
    await signer.query("things", "b", now=now + timedelta(hours=23, minutes=50), lifetime_seconds=600)
    assert len(service.asked) == 2
    assert service.asked[1][1] > now + timedelta(hours=24)
    await signer.query("things", "b", now=now, lifetime_seconds=3 * 86400)
    assert service.asked[2][1] > now + timedelta(days=3)


async def test_signing_that_is_not_possible() -> None:
    """A lifetime an identity cannot grant is refused; without key and identity there is nothing to sign with."""
    service: Any = Service()
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(StorageRefused, match="seven days"):
        await UrlSigner(service).query("things", "b", now=now, lifetime_seconds=8 * 86400)
    service.credential = None
    with pytest.raises(SettingsError):
        await UrlSigner(service).query("things", "b", now=now, lifetime_seconds=60)
