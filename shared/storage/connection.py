"""From a StorageConnection to the SDK's service clients. The SDKs are imported inside: they cost 50 to 350 ms each."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from shared.errors import SettingsError
from shared.settings import StorageConnection
from shared.storage.azure_calls import CLIENT_OPTIONS
from shared.storage.limits import CHUNK_BYTES

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.data.tables.aio import TableServiceClient
    from azure.storage.blob.aio import BlobServiceClient

C = TypeVar("C")
Connected = tuple[C, "AsyncTokenCredential | None"]
"""A client, and the credential to close with it."""

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


class Account(Generic[C]):
    """One storage account, through one client that is made when it is first used. Used from one event loop."""

    def __init__(self, connect: Callable[[], Connected[C]]) -> None:
        self._connect = connect
        self._connected: Connected[C] | None = None

    @property
    def client(self) -> C:
        if self._connected is None:
            self._connected = self._connect()
        return self._connected[0]

    async def aclose(self) -> None:
        opened: tuple[Any, ...] = self._connected or ()
        for each in opened:
            if each is not None:
                await each.close()


def tables_client(connection: StorageConnection, **options: Any) -> "Connected[TableServiceClient]":
    """A client for tables; `options` go to the SDK (tests)."""
    from azure.data.tables.aio import TableServiceClient  # noqa: PLC0415  # see the module's docstring

    return _connected(TableServiceClient, connection, connection.table_service_uri, options, what="tables")


def blobs_client(connection: StorageConnection, **options: Any) -> "Connected[BlobServiceClient]":
    """A client for blobs; every transfer is at most one chunk."""
    from azure.storage.blob.aio import BlobServiceClient  # noqa: PLC0415  # see the module's docstring

    sizes = {"max_single_put_size": CHUNK_BYTES, "max_single_get_size": CHUNK_BYTES, "max_chunk_get_size": CHUNK_BYTES}
    return _connected(BlobServiceClient, connection, connection.blob_service_uri, {**sizes, **options}, what="blobs")


def _connected(
    made: type[C], connection: StorageConnection, uri: str | None, options: dict[str, Any], *, what: str
) -> Connected[C]:
    service: Any = made
    options = {**CLIENT_OPTIONS, **options}
    try:
        if text := connection_string(connection):
            return service.from_connection_string(text, **options), None
        credential = _credential(connection)
        return service(uri or "", credential=credential, **options), credential
    except ValueError as error:
        raise SettingsError(f"the storage connection for {what} cannot be read: {error}") from None


def _credential(connection: StorageConnection) -> "AsyncTokenCredential":
    """The managed identity where one is set; otherwise whatever identity is at hand."""
    from azure.identity import aio  # noqa: PLC0415  # see the module's docstring

    identity = connection.identity
    if identity is None:
        return aio.DefaultAzureCredential()
    if identity.resource_id:
        # The SDK's asynchronous credential passes this on as it is, and `mi_res_id` is App Service's own name for it:
        # learn.microsoft.com, "How to use managed identities for App Service and Azure Functions", REST endpoint.
        return aio.ManagedIdentityCredential(identity_config={"mi_res_id": identity.resource_id})
    return aio.ManagedIdentityCredential(client_id=identity.client_id)
