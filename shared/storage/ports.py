"""What the app needs from storage: tables of small rows, and containers of blobs.

The table port is the part of Azure Tables this app relies on, with its limits: an adapter that holds more than
Azure Tables would is refused by the contract tests (tests/contract/test_tables.py), because code that runs on the
embedded default must run in Azure unchanged.
"""

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from shared.frozen import frozen

Scalar = str | int | float | bool
"""A column's value. Times are ISO 8601 strings; there is no null: an absent column and `""` are what code tests for."""


@frozen
class Row:
    """A row as read. `etag` changes with every write of the row."""

    partition: str
    key: str
    values: Mapping[str, Scalar]
    etag: str


@frozen
class Insert:
    """Create; a conflict if the key exists."""

    key: str
    values: Mapping[str, Scalar]


@frozen
class Merge:
    """Set these columns and keep the others; a conflict if the row is gone or `if_match` is stale."""

    key: str
    values: Mapping[str, Scalar]
    if_match: str | None = None


@frozen
class Replace:
    """Set exactly these columns; a conflict if the row is gone or `if_match` is stale."""

    key: str
    values: Mapping[str, Scalar]
    if_match: str | None = None


@frozen
class Upsert:
    """Create, or replace whatever is there."""

    key: str
    values: Mapping[str, Scalar]


@frozen
class Delete:
    """Remove; a conflict if the row is gone or `if_match` is stale."""

    key: str
    if_match: str | None = None


Change = Insert | Merge | Replace | Upsert | Delete


@frozen
class Page:
    """Rows in key order. It may be empty and still have a continuation: only `continuation is None` means the end."""

    rows: tuple[Row, ...]
    continuation: str | None


class Table(Protocol):
    """One table. Every method raises StorageUnavailable when the store cannot be reached within its bounded retries."""

    async def read(self, partition: str, key: str, *, columns: Sequence[str] | None = None) -> Row | None:
        """The row, or None. `columns` limits what is transferred."""
        ...

    async def write(self, partition: str, changes: Sequence[Change]) -> tuple[str | None, ...]:
        """All of `changes` or none, in one storage request; returns each row's new etag (None for a Delete).

        Raises StorageConflict (nothing was done), StorageAnswerLost (it may have been done), StorageRefused
        (more than 100 changes or 4 MiB, one key twice, or a key, string or row outside Azure Tables' limits).
        A single change is sent as a plain request, several as one entity-group transaction.
        """
        ...

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
        """Rows with `lower <= key < upper` in key order, at most min(limit, 1000) of them."""
        ...


@frozen
class BlobInfo:
    """What is known of a blob without reading it. `size` in bytes."""

    name: str
    size: int
    etag: str
    content_type: str


class BlobReader(Protocol):
    """An open blob. Chunks are at most 4 MiB; a blob that changed while it is read is a StorageConflict."""

    @property
    def info(self) -> BlobInfo: ...

    def chunks(self) -> AsyncIterator[bytes]: ...


class Container(Protocol):
    """One container of blobs. Names are 1 to 1024 characters of A-Z a-z 0-9 . _ - and /."""

    async def put(
        self, name: str, data: bytes | AsyncIterable[bytes], *, content_type: str, overwrite: bool = True
    ) -> BlobInfo:
        """Store a blob; it appears whole or not at all. StorageConflict if it exists and `overwrite` is False."""
        ...

    async def info(self, name: str) -> BlobInfo | None: ...

    def open(self, name: str, *, if_match: str | None = None) -> AbstractAsyncContextManager[BlobReader | None]:
        """Read a blob in chunks; None where there is none. A stale `if_match` is a StorageConflict."""
        ...

    async def delete(self, name: str) -> bool:
        """Remove it; False if there was none."""
        ...

    async def list(self, prefix: str, *, limit: int = 1000) -> Sequence[str]:
        """Names of blobs that begin with `prefix`, at most `limit` of them; it holds a whole first segment, `a/`."""
        ...

    async def upload_url(self, name: str, *, lifetime_seconds: int) -> str:
        """A URL that lets its bearer write exactly this blob, and nothing else, until it expires."""
        ...

    async def download_url(self, name: str, *, lifetime_seconds: int, disposition: str) -> str:
        """A URL that lets its bearer read exactly this blob, and nothing else, until it expires.

        GET and HEAD, with `Range`, `If-Match` and an `ETag`. `disposition`: the answer's Content-Disposition, in ASCII.
        """
        ...


class Storage(Protocol):
    """Tables and containers of this app's namespace by name; made on first use. Names: 3 to 31 lower-case letters."""

    @property
    def exclusive_since(self) -> datetime | None:
        """When this process became the only one that uses the store; None where processes share it.

        Whoever used it before has died, so nobody else works on what is found there.
        """
        ...

    def table(self, name: str) -> Table: ...

    def container(self, name: str) -> Container: ...

    async def aclose(self) -> None: ...


class Inventory(Storage, Protocol):
    """A store that also says all it holds of its namespace: for moving it as a whole. What an app does has no need of
    it. What changes meanwhile may be there or not."""

    def tables(self) -> AsyncIterator[str]: ...

    def rows(self, table: str) -> AsyncIterator[Row]:
        """Every row of a table, whatever its partition."""
        ...

    def containers(self) -> AsyncIterator[str]: ...

    def blobs(self, container: str) -> AsyncIterator[str]:
        """The names of a container's blobs."""
        ...
