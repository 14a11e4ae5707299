"""A store whose calls are spans, each with its attributes of OpenTelemetry's "Database client spans".

Only where traces go somewhere: else the store is used as it is, and no call takes a step more.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import datetime

from shared import telemetry
from shared.storage.ports import BlobInfo, BlobReader, Change, Container, Page, Row, Storage, Table
from shared.telemetry import Attributes, Kind


def traced(storage: Storage, *, tables: str, blobs: str) -> Storage:
    """`storage`, its calls as spans where an SDK is set up by now. `tables` and `blobs` are each a `db.system.name`."""
    return TracedStorage(storage, tables, blobs) if telemetry.is_tracing() else storage


def _call(operation: str, target: str, system: str, more: Attributes | None = None) -> AbstractContextManager[object]:
    attributes: Attributes = {
        "db.system.name": system,
        "db.operation.name": operation,
        "db.collection.name": target,
        **(more or {}),
    }
    return telemetry.span(f"{operation} {target}", attributes, kind=Kind.CLIENT)


class TracedStorage:
    """Hands out tables and containers whose calls are spans."""

    def __init__(self, storage: Storage, tables: str, blobs: str) -> None:
        self._storage = storage
        self._tables = tables
        self._blobs = blobs

    @property
    def exclusive_since(self) -> datetime | None:
        return self._storage.exclusive_since

    def table(self, name: str) -> Table:
        return _TracedTable(self._storage.table(name), name, self._tables)

    def container(self, name: str) -> Container:
        return _TracedContainer(self._storage.container(name), name, self._blobs)

    async def aclose(self) -> None:
        await self._storage.aclose()


class _TracedTable:
    def __init__(self, table: Table, name: str, system: str) -> None:
        self._table = table
        self._name = name
        self._system = system

    async def read(self, partition: str, key: str, *, columns: Sequence[str] | None = None) -> Row | None:
        with _call("read", self._name, self._system):
            return await self._table.read(partition, key, columns=columns)

    async def write(self, partition: str, changes: Sequence[Change]) -> tuple[str | None, ...]:
        # By the conventions only from two on.
        more = {"db.operation.batch.size": len(changes)} if len(changes) > 1 else None
        with _call("write", self._name, self._system, more):
            return await self._table.write(partition, changes)

    async def page(
        self,
        partition: str,
        *,
        lower: str,
        upper: str,
        columns: Sequence[str] | None = None,
        limit: int = 1000,
        continuation: str | None = None,
    ) -> Page:
        with _call("page", self._name, self._system):
            return await self._table.page(
                partition, lower=lower, upper=upper, columns=columns, limit=limit, continuation=continuation
            )


class _TracedContainer:
    def __init__(self, container: Container, name: str, system: str) -> None:
        self._container = container
        self._name = name
        self._system = system

    async def put(
        self, name: str, data: bytes | AsyncIterable[bytes], *, content_type: str, overwrite: bool = True
    ) -> BlobInfo:
        with _call("put", self._name, self._system):
            return await self._container.put(name, data, content_type=content_type, overwrite=overwrite)

    async def info(self, name: str) -> BlobInfo | None:
        with _call("info", self._name, self._system):
            return await self._container.info(name)

    @asynccontextmanager
    async def open(self, name: str, *, if_match: str | None = None) -> AsyncGenerator[BlobReader | None]:
        with _call("open", self._name, self._system):
            async with self._container.open(name, if_match=if_match) as reader:
                yield reader

    async def delete(self, name: str) -> bool:
        with _call("delete", self._name, self._system):
            return await self._container.delete(name)

    async def list(self, prefix: str, *, limit: int = 1000) -> Sequence[str]:
        with _call("list", self._name, self._system):
            return await self._container.list(prefix, limit=limit)

    async def upload_url(self, name: str, *, lifetime_seconds: int) -> str:
        with _call("upload_url", self._name, self._system):
            return await self._container.upload_url(name, lifetime_seconds=lifetime_seconds)

    async def download_url(self, name: str, *, lifetime_seconds: int, disposition: str) -> str:
        with _call("download_url", self._name, self._system):
            return await self._container.download_url(name, lifetime_seconds=lifetime_seconds, disposition=disposition)
