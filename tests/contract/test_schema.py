"""The number of a store's schema, on every store."""

import asyncio

import pytest

from shared.errors import SettingsError
from shared.operations.rows import SCHEMA_VERSION
from shared.operations.schema import check_schema
from shared.storage.ports import Insert, Table, Upsert

REFUSED = rf"written in schema {{}}, and this version reads schema {SCHEMA_VERSION}: .*DATA_DIR"


async def test_a_new_store_is_numbered_once(table: Table) -> None:
    """Whoever is first numbers it; several at once, and later ones, find that number."""
    await asyncio.gather(*(check_schema(table) for _ in range(3)))
    await check_schema(table)
    row = await table.read("app", "schema")
    assert row is not None
    assert row.values["version"] == SCHEMA_VERSION


@pytest.mark.parametrize("partition", ["0", "9", "f"])
async def test_a_store_of_before_numbers_is_refused(table: Table, partition: str) -> None:
    """A store without a number has it in its records, wherever they are; nothing is written there."""
    await table.write(partition, [Insert("o!0123456789abcdef!id", {"v": 1})])
    for _ in range(2):
        with pytest.raises(SettingsError, match=REFUSED.format(1)):
            await check_schema(table)
    assert await table.read("app", "schema") is None


async def test_records_of_this_schema_are_no_obstacle(table: Table) -> None:
    """Somebody wrote before the app was opened: the store gets its number then."""
    await table.write("3", [Insert("o!0123456789abcdef!id", {"v": SCHEMA_VERSION})])
    await check_schema(table)
    assert await table.read("app", "schema") is not None


async def test_another_number_is_refused(table: Table) -> None:
    """Older or newer: the message names both numbers and what to do."""
    for number in (SCHEMA_VERSION - 1, SCHEMA_VERSION + 1):
        await table.write("app", [Upsert("schema", {"version": number})])
        with pytest.raises(SettingsError, match=REFUSED.format(number)):
            await check_schema(table)
