"""The table port on Azure Tables (and Azurite).

Every call is one request, or three when its table is still missing. Nothing here resolves lost answers: a write whose
outcome is unknown is a StorageAnswerLost, and `write_once` finds out. A Delete alone has no row to look at: aiohttp may
send it twice and report the second one's 404, so to whoever purges, a conflict of a lone Delete means "gone".
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shared.errors import StorageConflict, StorageRefused
from shared.settings import StorageConnection
from shared.storage.azure_calls import call
from shared.storage.azure_errors import Missing
from shared.storage.connection import tables_client
from shared.storage.limits import MAX_PAGE, check_key, check_store_name, check_transaction
from shared.storage.ports import Change, Delete, Insert, Merge, Page, Replace, Row, Scalar, Table, Upsert

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.data.tables.aio import TableClient, TableServiceClient

_SYSTEM = frozenset({"PartitionKey", "RowKey", "Timestamp"})
_NO_CONTENT = {"response_preference": "return-no-content"}
"""An insert answers with the whole row unless told otherwise ("Insert Entity", Prefer header)."""


class AzureTables:
    """All tables of one storage account, through one client. Used from one event loop."""

    def __init__(self, connection: StorageConnection, **options: Any) -> None:
        """`options` go to the SDK's client; tests put a faulty transport there."""
        self._connection = connection
        self._options = options
        self._service: TableServiceClient | None = None
        self._credential: AsyncTokenCredential | None = None

    def table(self, name: str) -> Table:
        """The table; made by the first write that finds it missing."""
        check_store_name(name)
        if self._service is None:
            self._service, self._credential = tables_client(self._connection, **self._options)
        return _AzureTable(self._service.get_table_client(name))

    async def aclose(self) -> None:
        if self._service is not None:
            await self._service.close()
        if self._credential is not None:
            await self._credential.close()


class _AzureTable:
    def __init__(self, client: "TableClient") -> None:
        self._client = client
        self._name = f"table {client.table_name}"

    async def read(self, partition: str, key: str, *, columns: Sequence[str] | None = None) -> Row | None:
        check_key(partition, "partition")
        check_key(key)
        select = _select(columns)
        try:
            entity = await call(
                lambda: self._client.get_entity(partition, key, select=select),
                kind="repeatable",
                what=f"{self._name}: read",
            )
        except Missing:
            return None
        return _row(partition, key, entity)

    async def write(self, partition: str, changes: Sequence[Change]) -> tuple[str | None, ...]:
        check_transaction(partition, changes)
        single = len(changes) == 1
        try:
            return await call(
                lambda: self._write_one(partition, changes[0]) if single else self._write_all(partition, changes),
                kind="once",
                what=f"{self._name}: write",
                create=self._client.create_table,
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
        token: Any = _decode_token(continuation) if continuation is not None else None  # the SDK declares a str
        select = _select(columns)

        async def one_page() -> Page:
            found = self._client.query_entities(query, select=select, results_per_page=max(1, min(limit, MAX_PAGE)))
            pages: Any = found.by_page(continuation_token=token)
            rows = [_row(partition, str(entity["RowKey"]), entity) async for entity in await anext(pages)]
            following: dict[str, str] | None = pages.continuation_token
            return Page(tuple(rows), _encode_token(following) if following else None)

        try:
            return await call(one_page, kind="repeatable", what=f"{self._name}: page")
        except Missing:
            return Page((), None)

    async def _write_one(self, partition: str, change: Change) -> tuple[str | None, ...]:
        """A plain request. Deletes ask for the raw answer: the SDK takes a 404 for success, the port does not."""
        match change:
            case Insert():
                answer = await self._client.create_entity(_entity(partition, change), **_NO_CONTENT)
            case Upsert():
                answer = await self._client.upsert_entity(_entity(partition, change), mode="replace")
            case Delete():
                answers: list[Any] = []
                await self._client.delete_entity(
                    partition, change.key, raw_response_hook=answers.append, **_condition(change.if_match)
                )
                _raise_if_missing(answers[-1].http_response)
                return (None,)
            case Merge() | Replace():
                answer = await self._client.update_entity(
                    _entity(partition, change), mode=_mode(change), **_condition(change.if_match)
                )
        return (str(answer["etag"]),)

    async def _write_all(self, partition: str, changes: Sequence[Change]) -> tuple[str | None, ...]:
        """An entity-group transaction ("Performing entity group transactions")."""
        answers = await self._client.submit_transaction([_operation(partition, change) for change in changes])
        return tuple(
            None if isinstance(change, Delete) else str(answer["etag"])
            for change, answer in zip(changes, answers, strict=True)
        )


def _operation(partition: str, change: Change) -> tuple[str, dict[str, Any], dict[str, Any]]:
    match change:
        case Insert():
            return "create", _entity(partition, change), dict(_NO_CONTENT)
        case Upsert():
            return "upsert", _entity(partition, change), {"mode": "replace"}
        case Delete():
            return "delete", {"PartitionKey": partition, "RowKey": change.key}, _condition(change.if_match)
        case Merge() | Replace():
            return "update", _entity(partition, change), {"mode": _mode(change), **_condition(change.if_match)}


def _mode(change: Merge | Replace) -> str:
    return "merge" if isinstance(change, Merge) else "replace"


def _condition(if_match: str | None) -> dict[str, Any]:
    """Without an etag the SDK sends `If-Match: *`: the row must exist."""
    from azure.core import MatchConditions  # noqa: PLC0415  # loaded with the client by now

    return {"etag": if_match, "match_condition": MatchConditions.IfNotModified} if if_match is not None else {}


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


def _encode_token(token: Mapping[str, str]) -> str:
    return urlsafe_b64encode(json.dumps(dict(token)).encode()).decode()


def _decode_token(text: str) -> dict[str, str]:
    try:
        token: dict[str, str] = json.loads(urlsafe_b64decode(text.encode()))
    except ValueError:
        raise StorageRefused("the continuation is not one of this table's") from None
    return token
