"""ARM resources in a store: one row each, listed by resource group or by subscription.

partition   {subscription}!{namespace}!{type}   lower-cased
key         {resource group}!{name}             lower-cased; the names as given are columns
"""

import json
from contextlib import aclosing
from dataclasses import asdict, fields
from typing import Any, cast

from shared.actions.arm.resource import Verb
from shared.errors import StorageAnswerLost, StorageConflict
from shared.frozen import frozen, replace
from shared.model.times import read_time, write_time
from shared.model.timing import Clock
from shared.resources.model import Body, Lock, ResourceKey, ResourceRow
from shared.storage.pages import row_pages
from shared.storage.ports import Delete, Insert, Replace, Row, Scalar, Storage
from shared.storage.writes import write_once

_KEY_COLUMNS = ("subscription", "resource_group", "namespace", "type", "name")
_OF_BODY = tuple(each.name for each in fields(Body))
_LAST = "~"
"""Sorts above every character of a group's name."""


@frozen
class ResourcePage:
    """`position` is the key after which the next page starts; None when the list ends here."""

    rows: tuple[ResourceRow, ...]
    position: str | None


class ResourceStore:
    """Rows of resources; every write is conditional on what was read."""

    def __init__(self, storage: Storage, *, clock: Clock) -> None:
        self._table = storage.table("resources")
        self._clock = clock

    async def read(self, key: ResourceKey) -> ResourceRow | None:
        row = await self._table.read(key.partition, key.row_key)
        return from_row(row) if row else None

    async def write(self, row: ResourceRow) -> ResourceRow:
        """Replace the row as it was read, or insert one without an etag. Raises StorageConflict."""
        key, columns = row.key.row_key, to_columns(row)
        change = Replace(key, columns, if_match=row.etag) if row.etag else Insert(key, columns)
        (etag,) = await write_once(self._table, row.key.partition, [change], sleep=self._clock.sleep)
        return replace(row, etag=etag or "")

    async def remove(self, row: ResourceRow) -> None:
        """Remove the row as it was read; one that is gone is removed. Raises StorageConflict where it has changed."""
        try:
            await self._table.write(row.key.partition, [Delete(row.key.row_key, if_match=row.etag)])
        except (StorageConflict, StorageAnswerLost):
            stored = await self.read(row.key)
            if stored is not None:
                raise StorageConflict(f"resource {row.key.name} has changed") from None

    async def page(self, partition: str, *, resource_group: str | None, after: str | None, limit: int) -> ResourcePage:
        """Up to `limit` rows in the order of their keys, of one resource group or of all."""
        prefix = f"{resource_group}!".lower() if resource_group is not None else ""
        # `!` sorts below every character of a name, so this is the first key behind `after`.
        lower = f"{after}!" if after else prefix or " "
        upper = f'{prefix[:-1]}"' if prefix else _LAST  # `"` follows `!`
        rows: list[Row] = []
        async with aclosing(row_pages(self._table, partition, lower=lower, upper=upper, limit=limit + 1)) as pages:
            async for page in pages:
                rows += page
                if len(rows) > limit:
                    break
        found = tuple(from_row(row) for row in rows[:limit])
        return ResourcePage(found, rows[limit - 1].key if len(rows) > limit else None)


def to_columns(row: ResourceRow) -> dict[str, Scalar]:
    """The row's columns; what there is not is an empty string."""
    columns: dict[str, Scalar] = {name: getattr(row.key, name) for name in _KEY_COLUMNS}
    columns |= {"body": _dump(row.body), "state": row.state, "holder": ""}
    if row.lock is not None:
        columns |= {
            "holder": row.lock.holder,
            "verb": row.lock.verb.value,
            "since": write_time(row.lock.since),
            "desired": _dump(row.lock.desired),
        }
    return columns


def from_row(row: Row) -> ResourceRow:
    values = row.values
    lock = None
    if values.get("holder"):
        lock = Lock(
            holder=str(values["holder"]),
            verb=Verb(str(values["verb"])),
            since=read_time(str(values["since"])),
            desired=_load(values.get("desired")),
        )
    return ResourceRow(
        key=ResourceKey(**{name: str(values[name]) for name in _KEY_COLUMNS}),
        body=_load(values.get("body")),
        state=str(values.get("state", "")),
        lock=lock,
        etag=row.etag,
    )


def _dump(body: Body | None) -> str:
    return json.dumps(asdict(body), ensure_ascii=False, separators=(",", ":")) if body else ""


def _load(text: Scalar | None) -> Body | None:
    if not text:
        return None
    value = cast(dict[str, Any], json.loads(str(text)))
    return Body(**{name: value[name] for name in _OF_BODY if name in value})
