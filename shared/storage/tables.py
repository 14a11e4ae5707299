"""The table port on Azure Tables (and Azurite).

Every call is one request, or three when its table is still missing. Nothing here resolves lost answers: a write whose
outcome is unknown is a StorageAnswerLost, and `write_once` finds out. A Delete alone has no row to look at: aiohttp may
send it twice and report the second one's 404, so to whoever purges, a conflict of a lone Delete means "gone".
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from shared.errors import StorageConflict
from shared.settings import StorageConnection
from shared.storage.azure_calls import CALL_TIMES, CallTimes, call, condition
from shared.storage.azure_errors import Missing
from shared.storage.connection import Account, tables_client
from shared.storage.limits import MAX_PAGE, check_key, check_store_name, check_transaction
from shared.storage.pages import decode_token, encode_token
from shared.storage.ports import Change, Delete, Insert, Merge, Page, Replace, Row, Scalar, Table, Upsert
from shared.storage.table_calls import TableCalls

if TYPE_CHECKING:
    from azure.data.tables.aio import TableClient, TableServiceClient  # noqa: F401 - named in a base

_SYSTEM = frozenset({"PartitionKey", "RowKey", "Timestamp"})
_NO_CONTENT = {"response_preference": "return-no-content"}
"""An insert answers with the whole row unless told otherwise ("Insert Entity", Prefer header)."""


class AzureTables(Account["TableServiceClient"]):
    """All tables of one storage account."""

    exclusive_since = None
    """Any number of processes share an account."""

    def __init__(
        self, connection: StorageConnection, *, times: CallTimes = CALL_TIMES, direct: bool = True, **options: Any
    ) -> None:
        """`direct`: whether point reads and transactions go around the SDK (`shared.storage.table_calls`). `options` go
        to the SDK's client; tests put a faulty transport there."""
        super().__init__(lambda: tables_client(connection, **options))
        self._times = times
        self._direct = direct
        self._transport = options.get("transport")
        self._calls: TableCalls | None = None

    def table(self, name: str) -> Table:
        """The table; made by the first write that finds it missing."""
        check_store_name(name)
        return _AzureTable(self.client.get_table_client(name), self._times, self.calls)

    @property
    def calls(self) -> TableCalls | None:
        """None where the SDK is to do everything."""
        if self._calls is None and self._direct:
            endpoint, credential = self.client.url.partition("?")[0], self.client.credential
            self._calls = TableCalls(endpoint, credential, transport=self._transport)
        return self._calls

    async def names(self) -> list[str]:
        """The account's tables."""

        async def listed() -> list[str]:
            return [str(table.name) async for table in self.client.list_tables()]

        return await call(listed, kind="repeatable", what="tables: list", times=self._times)

    async def rows(self, name: str) -> AsyncIterator[Row]:
        """Every row of a table."""
        client = self.client.get_table_client(name)
        token: Any = None

        async def one_page(after: Any) -> tuple[list[Row], Any]:
            pages: Any = client.list_entities(results_per_page=MAX_PAGE).by_page(continuation_token=after)
            found = [_row(str(each["PartitionKey"]), str(each["RowKey"]), each) async for each in await anext(pages)]
            return found, pages.continuation_token

        while True:
            found, token = await call(
                partial(one_page, token), kind="repeatable", what=f"table {name}: list", times=self._times
            )
            for row in found:
                yield row
            if not token:
                return

    async def aclose(self) -> None:
        try:
            if self._calls is not None:
                await self._calls.aclose()
        finally:
            await super().aclose()


class _AzureTable:
    def __init__(self, client: "TableClient", times: CallTimes, calls: TableCalls | None) -> None:
        self._client = client
        self._times = times
        self._calls = calls
        self._name = f"table {client.table_name}"

    async def read(self, partition: str, key: str, *, columns: Sequence[str] | None = None) -> Row | None:
        check_key(partition, "partition")
        check_key(key)
        what = f"{self._name}: read"
        try:
            return await call(
                lambda: self._read(partition, key, columns), kind="repeatable", what=what, times=self._times
            )
        except Missing:
            return None

    async def _read(self, partition: str, key: str, columns: Sequence[str] | None) -> Row:
        if self._calls is not None:
            return await self._calls.read(self._client.table_name, partition, key, columns)
        return _row(partition, key, await self._client.get_entity(partition, key, select=_select(columns)))

    async def write(self, partition: str, changes: Sequence[Change]) -> tuple[str | None, ...]:
        check_transaction(partition, changes)
        single = len(changes) == 1
        try:
            return await call(
                lambda: self._write_one(partition, changes[0]) if single else self._write_all(partition, changes),
                kind="once",
                what=f"{self._name}: write",
                create=self._client.create_table,
                times=self._times,
            )
        except StorageConflict as error:
            error.index = 0 if single else error.index
            raise

    async def page(
        self,
        partition: str,
        *,
        lower: str,
        upper: str,
        columns: Sequence[str] | None = None,
        limit: int = MAX_PAGE,
        continuation: str | None = None,
    ) -> Page:
        check_key(partition, "partition")
        query = f"PartitionKey eq {_quoted(partition)} and RowKey ge {_quoted(lower)} and RowKey lt {_quoted(upper)}"
        token: Any = decode_token(continuation) if continuation is not None else None  # the SDK declares a str
        select = _select(columns)

        async def one_page() -> Page:
            found = self._client.query_entities(query, select=select, results_per_page=max(1, min(limit, MAX_PAGE)))
            pages: Any = found.by_page(continuation_token=token)
            rows = [_row(partition, str(entity["RowKey"]), entity) async for entity in await anext(pages)]
            following: dict[str, str] | None = pages.continuation_token
            return Page(tuple(rows), encode_token(dict(following)) if following else None)

        try:
            return await call(one_page, kind="repeatable", what=f"{self._name}: page", times=self._times)
        except Missing:
            return Page((), None)

    async def _write_one(self, partition: str, change: Change) -> tuple[str | None, ...]:
        """A plain request. Deletes look at the raw answer: the SDK takes a 404 for success, the port does not."""
        operation, entity, options = _operation(partition, change)
        raw: list[Any] = []
        answer = await getattr(self._client, f"{operation}_entity")(entity, raw_response_hook=raw.append, **options)
        if not isinstance(change, Delete):
            return (str(answer["etag"]),)
        _raise_if_missing(raw[-1].http_response)
        return (None,)

    async def _write_all(self, partition: str, changes: Sequence[Change]) -> tuple[str | None, ...]:
        """An entity-group transaction ("Performing entity group transactions")."""
        if self._calls is not None:
            return await self._calls.write(self._client.table_name, partition, changes)
        answers = await self._client.submit_transaction([_operation(partition, change) for change in changes])
        return tuple(
            None if isinstance(change, Delete) else str(answer["etag"])
            for change, answer in zip(changes, answers, strict=True)
        )


def _operation(partition: str, change: Change) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """As the SDK has it in a transaction; `{name}_entity` of a client does the same alone."""
    match change:
        case Insert():
            return "create", _entity(partition, change), dict(_NO_CONTENT)
        case Upsert():
            return "upsert", _entity(partition, change), {"mode": "replace"}
        case Delete():
            return "delete", {"PartitionKey": partition, "RowKey": change.key}, condition(change.if_match)
        case Merge() | Replace():
            mode = "merge" if isinstance(change, Merge) else "replace"
            return "update", _entity(partition, change), {"mode": mode, **condition(change.if_match)}


def _entity(partition: str, change: Insert | Merge | Replace | Upsert) -> dict[str, Any]:
    """The SDK's form: integers go as Int64, because a plain int would be an Int32 and refused above 2^31."""
    columns: dict[str, Any] = {
        name: (value, "Edm.Int64") if isinstance(value, int) and not isinstance(value, bool) else value
        for name, value in change.values.items()
    }
    return {"PartitionKey": partition, "RowKey": change.key, **columns}


def _row(partition: str, key: str, entity: Any) -> Row:
    columns: Mapping[str, Any] = entity
    values = {name: _scalar(value) for name, value in columns.items() if name not in _SYSTEM and value is not None}
    return Row(partition, key, values, str(entity.metadata["etag"]))


def _scalar(value: Any) -> Scalar:
    """Back from the SDK's form; what we never write (dates, guids, bytes by another hand) is read as text."""
    if isinstance(value, tuple):  # EntityProperty(value, edm_type): an Int64
        value = value[0]
    return value if isinstance(value, str | int | float | bool) else str(value)


def _select(columns: Sequence[str] | None) -> list[str] | None:
    """RowKey is always asked for: pages need it, and an empty selection would mean all columns."""
    return None if columns is None else ["RowKey", *columns]


def _quoted(key: str) -> str:
    """An OData string literal: a quote inside is doubled ("Querying tables and entities", escaping)."""
    return "'" + key.replace("'", "''") + "'"


def _raise_if_missing(response: Any) -> None:
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415  # loaded with the client by now

    if response.status_code == 404:
        raise ResourceNotFoundError(response=response)
