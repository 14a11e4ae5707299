"""Which adapters the settings ask for. Each is imported in its branch: no branch pays for another's libraries."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shared.settings import Settings
from shared.storage.ports import Container, Storage, Table


class _Tables(Protocol):
    def table(self, name: str) -> Table: ...
    async def aclose(self) -> None: ...


class _Containers(Protocol):
    def container(self, name: str) -> Container: ...
    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Pair:
    """Tables and containers, each from its own adapter."""

    tables: _Tables
    containers: _Containers

    def table(self, name: str) -> Table:
        return self.tables.table(name)

    def container(self, name: str) -> Container:
        return self.containers.container(name)

    async def aclose(self) -> None:
        try:
            await self.containers.aclose()
        finally:
            await self.tables.aclose()


def open_storage(settings: Settings) -> Storage:
    """The store the settings name. Nothing is connected yet.

    Raises SettingsError: no storage account is set, the connection string cannot be read, or another process uses
    the DATA_DIR.
    """
    if settings.store == "sqlite":
        from shared.storage.files import FileBlobs  # noqa: PLC0415  # see the module's docstring
        from shared.storage.sqlite import SqliteTables  # noqa: PLC0415

        data_dir = Path(settings.data_dir)
        return _Pair(SqliteTables(data_dir), FileBlobs(data_dir, site_hostname=settings.site_hostname))
    from shared.storage.blobs import AzureBlobs  # noqa: PLC0415
    from shared.storage.connection import check_connection  # noqa: PLC0415
    from shared.storage.tables import AzureTables  # noqa: PLC0415

    check_connection(settings.storage)
    return _Pair(AzureTables(settings.storage), AzureBlobs(settings.storage))
