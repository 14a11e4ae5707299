"""Which adapters the settings ask for. Each is imported in its branch: no branch pays for another's libraries."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from shared.frozen import frozen
from shared.model.timing import Clock
from shared.settings import Settings
from shared.storage.namespace import own_name, stored_name
from shared.storage.ports import Container, Inventory, Row, Storage, Table
from shared.storage.traced import traced
from shared.system_clock import SystemClock

if TYPE_CHECKING:
    from shared.storage.blobs import AzureBlobs
    from shared.storage.files import FileBlobs
    from shared.storage.sqlite import SqliteTables
    from shared.storage.tables import AzureTables


@frozen
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


@frozen
class _Everything:
    """All of a namespace, by the names that an app knows."""

    pair: _Pair

    @property
    def exclusive_since(self) -> datetime | None:
        return self.pair.exclusive_since

    def table(self, name: str) -> Table:
        return self.pair.table(name)

    def container(self, name: str) -> Container:
        return self.pair.container(name)

    async def aclose(self) -> None:
        await self.pair.aclose()

    async def tables(self) -> AsyncIterator[str]:
        for stored in await self.pair.tables.names():
            if (name := own_name(self.pair.namespace, stored)) is not None:
                yield name

    def rows(self, table: str) -> AsyncIterator[Row]:
        return self.pair.tables.rows(stored_name(self.pair.namespace, table))

    async def containers(self) -> AsyncIterator[str]:
        for stored in await self.pair.containers.names():
            if (name := own_name(self.pair.namespace, stored)) is not None:
                yield name

    def blobs(self, container: str) -> AsyncIterator[str]:
        return self.pair.containers.blobs(stored_name(self.pair.namespace, container))


def open_storage(settings: Settings, *, clock: Clock | None = None) -> Storage:
    """The store the settings name, seen through their namespace: SQLite opened and checked, Azure not yet connected.

    Raises SettingsError where no storage account is set, the connection string cannot be read, or DATA_DIR holds
    another schema; StorageUnusable where another process uses DATA_DIR, or what lies there cannot be used.
    """
    pair = _opened(settings, clock or SystemClock())
    if settings.store == "sqlite":
        return traced(pair, tables="sqlite", blobs="files")
    return traced(pair, tables="azure.tables", blobs="azure.blobs")


def open_inventory(settings: Settings) -> Inventory:
    """The same store, which says all it holds. Raises as `open_storage`."""
    return _Everything(_opened(settings, SystemClock()))


def _opened(settings: Settings, clock: Clock) -> _Pair:
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
        return _Pair(tables, blobs, settings.namespace)
    from shared.storage.blobs import AzureBlobs  # noqa: PLC0415
    from shared.storage.connection import check_connection  # noqa: PLC0415
    from shared.storage.tables import AzureTables  # noqa: PLC0415

    check_connection(settings.storage)
    return _Pair(
        AzureTables(settings.storage, direct=settings.tables_client == "direct"),
        AzureBlobs(settings.storage, clock=clock),
        settings.namespace,
    )
