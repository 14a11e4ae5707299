"""The number of the schema that a store is written in: one row of the app itself.

A store of an older schema is refused, once, where the app opens it: this version would misread its rows.
"""

import asyncio

from shared.errors import StorageConflict, other_schema
from shared.model.ids import PARTITIONS
from shared.model.operation import SCHEMA_VERSION
from shared.storage.pages import row_pages
from shared.storage.ports import Insert, Table
from shared.storage.writes import write_once

_PARTITION = "app"
_KEY = "schema"


async def check_schema(table: Table) -> None:
    """Number a new store, by its table of operations. Raises SettingsError for one that was written in another schema.

    Where there is no number, the records say it, each in itself: schema 1 had no other.
    """
    row = await table.read(_PARTITION, _KEY)
    if row is None:
        for found in await asyncio.gather(*(_number_in(table, partition) for partition in PARTITIONS)):
            if found not in (None, SCHEMA_VERSION):
                raise other_schema(found, SCHEMA_VERSION)
        try:
            await write_once(table, _PARTITION, [Insert(_KEY, {"version": SCHEMA_VERSION})])
        except StorageConflict:
            row = await table.read(_PARTITION, _KEY)
    found = int(row.values["version"]) if row is not None else SCHEMA_VERSION
    if found != SCHEMA_VERSION:
        raise other_schema(found, SCHEMA_VERSION)


async def _number_in(table: Table, partition: str) -> int | None:
    """The schema of a partition's first record; None where it has none."""
    async for rows in row_pages(table, partition, lower="o!", upper='o"', columns=["v"], limit=1):
        return int(rows[0].values.get("v", 1))
    return None
