"""Operations on the released Durable extension over Azurite, beside Durable's own pattern on the same processes.

The bound is what the pattern takes and, besides, what three transactions and the point reads of the polls take.
"""

import asyncio
import os
import statistics
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from uuid import uuid4

from bench import load
from bench.report import Report
from bench.systems import APP, Missing
from local_host.engine.program import NAME, find_program
from local_host.errors import EngineError
from shared.settings import StorageConnection
from shared.storage.ports import Delete, Insert, Merge, Table
from shared.storage.tables import AzureTables
from tests.support.host import ENGINE_SETTINGS, ROOT, LocalHost, emulator

PLAIN = Path(__file__).parent / "plain"
CALLERS, OPERATIONS = 16, 100
PAUSE = 0.2
COLUMNS = {f"column{number}": "x" * 30 for number in range(40)}


def measure(folder: Path, report: Report, *, rounds: int, rivals: bool) -> None:
    try:
        program = find_program(NAME, ROOT, os.environ, said=NAME)
    except EngineError as error:
        raise Missing(f"the Durable extension as a program: {error}") from None
    ours: list[float] = []
    plain: list[float] = []
    bound: list[float] = []
    used: dict[str, list[float]] = {"ours": [], "plain": []}
    polls = Counter[int]()
    with emulator() as (_, connection), ExitStack() as stack:
        hosts = {
            name: stack.enter_context(_host(folder / name, app, str(program), connection))
            for name, app in (("ours", APP), ("plain", PLAIN))
        }
        apis = {"ours": load.ours(hosts["ours"].url), "plain": load.plain(hosts["plain"].url)}
        for api in apis.values():
            asyncio.run(load.operations(api, CALLERS, CALLERS, pause=PAUSE))
        for _ in range(rounds):
            for name, rates in (("ours", ours), ("plain", plain)):
                before, counted = load.own_cpu(hosts[name].pid), Counter[int]()
                work = load.operations(apis[name], OPERATIONS, CALLERS, pause=PAUSE, polls=counted)
                rates.append(asyncio.run(load.rate(work, OPERATIONS)))
                used[name].append((load.own_cpu(hosts[name].pid) - before) / OPERATIONS * 1000)
                polls.update(counted if name == "ours" else {})
            raw = asyncio.run(_raw(connection, polls.total() / len(ours) / OPERATIONS))
            bound.append(1 / (1 / plain[-1] + 1 / raw))
    _print(ours, plain, bound, used, polls)
    report.add(
        {
            "engine": [mine / its for mine, its in zip(ours, bound, strict=True)],
            "engine_cpu": [mine / its for mine, its in zip(used["ours"], used["plain"], strict=True)],
        }
    )


def _host(folder: Path, app: Path, program: str, connection: str) -> LocalHost:
    """Each has a hub of its own: the program knows two functions only, by their names."""
    settings = {
        **ENGINE_SETTINGS,
        "HOUSEKEEPING_SCHEDULE": "0 */10 * * * *",
        "AzureWebJobsStorage": connection,
        "AzureFunctionsJobHost__extensions__durableTask__hubName": f"Bench{folder.name}",
    }
    return LocalHost(folder, store="azurite", engine=program, app_root=app, environment=settings)


def _print(
    ours: list[float], plain: list[float], bound: list[float], used: dict[str, list[float]], polls: Counter[int]
) -> None:
    for name, rates in (("this app", ours), ("Durable's own pattern", plain), ("the bound", bound)):
        print(f"on the Durable extension: {name:24} {statistics.median(rates):6.1f} operations/s")
    for name, values in used.items():
        print(f"CPU of the functions' process, {name:6} {statistics.median(values):6.1f} ms an operation")
    print(f"answers to {polls.total()} polls that found no end: {dict(polls)}")


async def _raw(connection: str, reads: float) -> float:
    """Operations a second, if each were three transactions and so many point reads and nothing else."""
    tables = AzureTables(StorageConnection(connection_string=connection))
    table, left = tables.table("benchraw"), iter(range(OPERATIONS))
    try:
        with suppress(Exception):
            await _operation(table, 0)  # the first write makes the table

        async def caller() -> None:
            for _ in left:
                await _operation(table, round(reads))

        async def all_of_them() -> None:
            await asyncio.gather(*(caller() for _ in range(CALLERS)))

        return await load.rate(all_of_them(), OPERATIONS)
    finally:
        await tables.aclose()


async def _operation(table: Table, reads: int) -> None:
    """A start, a claim, an end and the polls, in the rows and changes of an operation."""
    key = uuid4().hex
    record, active, listed, expiry = (f"{name}!{key}" for name in "oalx")
    await table.write(key[0], [Insert(record, COLUMNS), Insert(active, {}), Insert(listed, {"kind": "x"})])
    for _ in range(reads):
        await table.read(key[0], record)
    await table.write(key[0], [Merge(record, {"column0": "y"}), Merge(listed, {"kind": "y"})])
    last = [Merge(record, {"column0": "z"}), Merge(listed, {"kind": "z"}), Delete(active), Insert(expiry, {})]
    await table.write(key[0], last)
