"""Which adapters the settings ask for. Each is imported in its branch: no branch pays for another's libraries."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from shared.model.timing import Clock
from shared.settings import Settings
from shared.storage.namespace import stored_name
from shared.storage.ports import Container, Storage, Table
from shared.storage.traced import traced
from shared.system_clock import SystemClock

if TYPE_CHECKING:
    from shared.storage.blobs import AzureBlobs
    from shared.storage.files import FileBlobs
    from shared.storage.sqlite import SqliteTables
    from shared.storage.tables import AzureTables


@dataclass(frozen=True, slots=True)
class _Pair:
    """Tables and containers of one namespace, each from its own adapter."""

    tables: "SqliteTables | AzureTables"
    containers: "FileBlobs | AzureBlobs"
    namespace: str

    @property
    def exclusive_since(self) -> datetime | None:
        return self.tables.exclusive_since

    def table(self, name: str) -> Table:
        return self.tables.table(stored_name(self.namespace, name))

    def container(self, name: str) -> Container:
        return self.containers.container(stored_name(self.namespace, name))

    async def aclose(self) -> None:
        try:
            await self.containers.aclose()
        finally:
            await self.tables.aclose()


def open_storage(settings: Settings, *, clock: Clock | None = None) -> Storage:
    """The store the settings name, seen through their namespace: SQLite opened and checked, Azure not yet connected.

    Raises SettingsError where no storage account is set, the connection string cannot be read, or DATA_DIR holds
    another schema; StorageUnusable where another process uses DATA_DIR, or what lies there cannot be used.
    """
    clock = clock or SystemClock()
    if settings.store == "sqlite":
        from shared.storage.files import FileBlobs  # noqa: PLC0415  # see the module's docstring
        from shared.storage.sqlite import SqliteTables  # noqa: PLC0415

        data_dir = Path(settings.data_dir)
        blobs = FileBlobs(data_dir, site_hostname=settings.site_hostname, clock=clock)
        blobs.check()
        tables = SqliteTables(data_dir, clock=clock)
        try:
            blobs.discard_unfinished()
        except BaseException:
            tables.close()
            raise
        return traced(_Pair(tables, blobs, settings.namespace), tables="sqlite", blobs="files")
    from shared.storage.blobs import AzureBlobs  # noqa: PLC0415
    from shared.storage.connection import check_connection  # noqa: PLC0415
    from shared.storage.tables import AzureTables  # noqa: PLC0415

    check_connection(settings.storage)
    pair = _Pair(
        AzureTables(settings.storage, direct=settings.tables_client == "direct"),
        AzureBlobs(settings.storage, clock=clock),
        settings.namespace,
    )
    return traced(pair, tables="azure.tables", blobs="azure.blobs")
