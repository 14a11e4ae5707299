"""Operations a second on Azurite, beside the same storage requests by azure-data-tables and nothing else."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from azure.core.exceptions import ResourceExistsError
from azure.data.tables.aio import TableClient

from bench import load
from bench.report import Report
from bench.systems import APP
from tests.support.host import LocalHost, emulator

CALLERS, OPERATIONS = 16, 80
COLUMNS = {f"column{number}": "x" * 30 for number in range(40)}


def measure(folder: Path, report: Report, *, rounds: int, rivals: bool) -> None:
    found: dict[str, list[float]] = {"ours": [], "floor": []}
    settings = {"HOUSEKEEPING_SCHEDULE": "0 */10 * * * *"}
    with emulator() as (_, connection):
        settings["AzureWebJobsStorage"] = connection
        with LocalHost(folder / "host", store="azurite", engine="", app_root=APP, environment=settings) as host:
            asyncio.run(load.operations(load.ours(host.url), CALLERS, CALLERS))
            for _ in range(rounds):
                found["ours"].append(asyncio.run(_ours(host.url)))
                found["floor"].append(asyncio.run(_floor(connection)))
    report.systems["this app, Azurite"] = {f"operations/s, {CALLERS} callers": found["ours"]}
    report.systems["azure-data-tables alone, Azurite"] = {f"operations/s, {CALLERS} callers": found["floor"]}
    report.add({"azurite": [ours / floor for ours, floor in zip(found["ours"], found["floor"], strict=True)]})


async def _ours(url: str) -> float:
    return await load.rate(load.operations(load.ours(url), OPERATIONS, CALLERS), OPERATIONS)


async def _floor(connection: str) -> float:
    left = iter(range(OPERATIONS))
    async with TableClient.from_connection_string(connection, "floor") as table:
        with suppress(ResourceExistsError):
            await table.create_table()

        async def caller() -> None:
            for _ in left:
                await _operation(table)

        return await load.rate(_all(caller), OPERATIONS)


async def _all(caller: Any) -> None:
    await asyncio.gather(*(caller() for _ in range(CALLERS)))


async def _operation(table: TableClient) -> None:
    """A start, a claim, an end and a poll, in the rows and changes of an operation."""
    key = uuid4().hex
    names = {"o": COLUMNS, "a": {}, "l": {"kind": "x", "status": "NotStarted"}, "x": {}}
    record, active, listed, expiry = (
        {"PartitionKey": key[0], "RowKey": f"{name}!{key}", **columns} for name, columns in names.items()
    )
    await table.submit_transaction([("create", record), ("create", active), ("create", listed)])
    await table.submit_transaction([("update", {**record, "column0": "y"}), ("update", listed)])
    await table.submit_transaction(
        [("update", {**record, "column0": "z"}), ("update", listed), ("delete", active), ("create", expiry)]
    )
    await table.get_entity(key[0], f"o!{key}")
