"""From a StorageConnection to the SDK's service clients. The SDKs are imported inside: they cost 50 to 350 ms each."""

from typing import TYPE_CHECKING, Any

from shared.errors import SettingsError
from shared.settings import StorageConnection
from shared.storage.azure_calls import CLIENT_OPTIONS
from shared.storage.limits import CHUNK_BYTES

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.data.tables.aio import TableServiceClient
    from azure.storage.blob.aio import BlobServiceClient

DEVELOPMENT_ACCOUNT = "devstoreaccount1"
_DEVELOPMENT_STORAGE = ";".join(
    [
        "DefaultEndpointsProtocol=http",
        f"AccountName={DEVELOPMENT_ACCOUNT}",
        # The emulators' key, the same everywhere: learn.microsoft.com, "Use the Azurite emulator", well-known account.
        "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
        f"BlobEndpoint=http://127.0.0.1:10000/{DEVELOPMENT_ACCOUNT}",
        f"TableEndpoint=http://127.0.0.1:10002/{DEVELOPMENT_ACCOUNT}",
    ]
)


def connection_string(connection: StorageConnection) -> str | None:
    """The connection string with `UseDevelopmentStorage=true` spelled out: the Python SDKs do not know that word."""
    text = connection.connection_string
    if text and "usedevelopmentstorage=true" in text.lower().replace(" ", ""):
        return _DEVELOPMENT_STORAGE
    return text


def check_connection(connection: StorageConnection) -> None:
    """Raise SettingsError unless both services can be reached by what is set."""
    if connection.connection_string or (connection.table_service_uri and connection.blob_service_uri):
        return
    raise SettingsError(
        "OPERATIONS_STORE is 'tables', but no storage account is set: set OPERATIONS_STORAGE (or AzureWebJobsStorage) "
        "to a connection string, or OPERATIONS_STORAGE__accountName, or OPERATIONS_STORAGE__tableServiceUri and "
        "OPERATIONS_STORAGE__blobServiceUri, to use the app's identity; or set OPERATIONS_STORE=sqlite"
    )


def tables_client(
    connection: StorageConnection, **options: Any
) -> "tuple[TableServiceClient, AsyncTokenCredential | None]":
    """The process's one client for tables, and the credential to close with it; `options` go to the SDK (tests)."""
    from azure.data.tables.aio import TableServiceClient  # noqa: PLC0415  # see the module's docstring

    options = {**CLIENT_OPTIONS, **options}
    try:
        if text := connection_string(connection):
            return TableServiceClient.from_connection_string(text, **options), None
        credential = _credential(connection)
        return TableServiceClient(connection.table_service_uri or "", credential=credential, **options), credential
    except ValueError as error:
        raise SettingsError(f"the storage connection for tables cannot be read: {error}") from None


def blobs_client(
    connection: StorageConnection, **options: Any
) -> "tuple[BlobServiceClient, AsyncTokenCredential | None]":
    """The process's one client for blobs, and the credential to close with it; every transfer is at most one chunk."""
    from azure.storage.blob.aio import BlobServiceClient  # noqa: PLC0415  # see the module's docstring

    sizes = {"max_single_put_size": CHUNK_BYTES, "max_single_get_size": CHUNK_BYTES, "max_chunk_get_size": CHUNK_BYTES}
    options = {**CLIENT_OPTIONS, **sizes, **options}
    try:
        if text := connection_string(connection):
            return BlobServiceClient.from_connection_string(text, **options), None
        credential = _credential(connection)
        return BlobServiceClient(connection.blob_service_uri or "", credential=credential, **options), credential
    except ValueError as error:
        raise SettingsError(f"the storage connection for blobs cannot be read: {error}") from None


def _credential(connection: StorageConnection) -> "AsyncTokenCredential":
    """A user-assigned identity where its client id is set; otherwise whatever identity is at hand."""
    from azure.identity import aio  # noqa: PLC0415  # see the module's docstring

    if connection.client_id:
        return aio.ManagedIdentityCredential(client_id=connection.client_id)
    return aio.DefaultAzureCredential()
