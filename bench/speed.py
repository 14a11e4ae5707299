"""Operations and polls a second, and CPU an operation: all systems in turn, in short slices, in one run."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from bench import load
from bench.marks import Samples
from bench.report import Report
from bench.systems import DURABLE, OURS, System, running
from bench.wire import Connection

CALLERS, MANY = 16, 64
OPERATIONS, POLLS, WARM = 200, 1000, 100
YOUNG = 1.2
"""Seconds after which a poll no longer waits for an end."""

Found = Mapping[str, Mapping[str, list[float]]]
"""By system, and by what was measured of it."""


def measure(folder: Path, report: Report, *, rounds: int, rivals: bool) -> None:
    found: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with running(folder, rivals=rivals) as systems:
        for system in systems.values():
            asyncio.run(load.operations(system.api, WARM, CALLERS))
        running_one = asyncio.run(_monitor(load.ours(systems[OURS].api.url, "wait")))
        for number in range(rounds):
            for name in _rotated(list(systems), number):
                for what, value in asyncio.run(_slice(systems[name], running_one if name == OURS else None)).items():
                    found[name][what].append(value)
    file = folder / "ours" / "data" / "tables.db"
    operations = WARM + 1 + rounds * 2 * OPERATIONS
    report.systems.update({name: dict(each) for name, each in found.items()})
    report.add({**_marks(found), "file": [file.stat().st_size / 1024 / operations]})


async def _slice(system: System, running_one: str | None) -> dict[str, float]:
    api, before = system.api, load.cpu(system.pids)
    found = {f"operations/s, {CALLERS} callers": await load.rate(load.operations(api, OPERATIONS, CALLERS), OPERATIONS)}
    found["CPU ms an operation"] = (load.cpu(system.pids) - before) / OPERATIONS * 1000
    found[f"operations/s, {MANY} callers"] = await load.rate(load.operations(api, OPERATIONS, MANY), OPERATIONS)
    ended = await _monitor(api)
    found["polls/s, ended"] = await load.rate(load.gets(api.url, ended, POLLS, CALLERS), POLLS)
    if running_one is not None:
        found["polls/s, running"] = await load.rate(load.gets(api.url, running_one, POLLS, CALLERS), POLLS)
        found["empty function/s"] = await load.rate(load.gets(api.url, "/empty", POLLS, CALLERS), POLLS)
    return found


async def _monitor(api: load.Api) -> str:
    """That of an operation which is no longer young."""
    async with Connection(api.url) as connection:
        monitor = await load.start(connection, api)
    await asyncio.sleep(YOUNG)
    return monitor


def _marks(found: Found) -> Samples:
    ops, many = f"operations/s, {CALLERS} callers", f"operations/s, {MANY} callers"
    ours = found[OURS]

    def ratio(what: str, of: Mapping[str, list[float]], other: str | None = None) -> list[float]:
        return [mine / its for mine, its in zip(ours[what], of[other or what], strict=True)]

    marks = {
        "callers": ratio(many, ours, ops),
        "cpu": ratio("CPU ms an operation", found[DURABLE]),
        "poll_running": ratio("polls/s, running", ours, "empty function/s"),
        "poll_ended": ratio("polls/s, ended", ours, "empty function/s"),
    }
    rivals = {"celery": "FastAPI + Celery + Redis", "dbos": "FastAPI + DBOS, SQLite"}
    return marks | {key: ratio(ops, found[name]) for key, name in rivals.items() if name in found}


def _rotated(names: list[str], by: int) -> list[str]:
    first = by % len(names)
    return [*names[first:], *names[:first]]
