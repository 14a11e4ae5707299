"""Whether that which callers wait for grows with the number of records, on the embedded store: 1,000 to a million.

In this process, without HTTP: the first page of a list, an idle pass of housekeeping, a start to its end, and a poll.
Then the sweep of expired records, whose time has to be linear.
"""

import asyncio
import gc
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.app.actions.nothing import do_nothing
from bench.report import Report
from bench.requests import Caught, request_of
from shared.actions.registry import Registry
from shared.composition import Application
from shared.model.ids import Locator
from shared.operations.lists import OperationLists
from shared.storage.factory import open_storage
from shared.system_clock import SystemClock
from tests.support.parts import RecordingEngine, settings
from tests.support.seeds import HUB, ended, seed

SIZES = (1_000, 10_000, 100_000, 1_000_000)
SWEPT = (10_000, 100_000)
_CHUNK = 10_000


def measure(folder: Path, report: Report, *, rounds: int, rivals: bool) -> None:
    found: dict[int, dict[str, float]] = {}
    for size in SIZES:
        ids = _seeded(folder / f"{size}", size, keep=timedelta(days=4000))
        found[size] = asyncio.run(_measure(folder / f"{size}", ids))
    names = list(found[SIZES[0]])
    print(f"milliseconds with so many records  {''.join(f'{name:>10}' for name in names)}")
    for size, values in found.items():
        print(f"{size:>34,} {''.join(f'{values[name]:>10.2f}' for name in names)}")
    report.add({"growth": [max(found[SIZES[-1]][name] / found[SIZES[0]][name] for name in names)]})
    swept: list[float] = []
    for size in SWEPT:
        _seeded(folder / f"sweep-{size}", size, keep=timedelta(0))
        swept.append(asyncio.run(_sweep(folder / f"sweep-{size}", size)))
        print(f"sweep of {size:>7,} expired   {swept[-1]:6.3f} ms a record")
    report.add({"sweep": [swept[-1] / swept[0]]})


def _seeded(folder: Path, size: int, *, keep: timedelta) -> list[str]:
    """The ids of so many operations that have ended, whose rows are in the store of `folder`."""
    now, ids = datetime.now(UTC), list[str]()
    for first in range(0, size, _CHUNK):
        operations = [ended(number, now, keep=keep) for number in range(first, min(size, first + _CHUNK))]
        seed(folder, operations, whole=len(operations))
        ids += [operation.id for operation in operations]
    return ids


async def _measure(folder: Path, ids: list[str]) -> dict[str, float]:
    owner = settings(folder / "data", OPERATIONS_NAMESPACE=HUB)
    async with aclosing(open_storage(owner, clock=SystemClock())) as storage:
        app = Application(Registry([do_nothing]), settings=owner, storage=storage)
        engine, chance, lists = Caught(), random.Random(1), OperationLists(storage)
        owner_hash = Locator.of("", ids[0]).owner_hash

        async def start() -> None:
            await app.service.start(request_of(app, do_nothing, f"n{chance.randrange(10**12)}"), engine)
            await app.runner.run(engine.works.pop())

        calls: dict[str, tuple[int, Callable[[], Awaitable[object]]]] = {
            "list": (100, lambda: lists.page(owner_hash, position=None, limit=100)),
            "pass": (10, lambda: app.housekeeping.run(engine)),
            "start": (200, start),
            "poll": (1000, lambda: app.service.get("", chance.choice(ids))),
        }
        return {name: await _milliseconds(count, call) for name, (count, call) in calls.items()}


async def _sweep(folder: Path, size: int) -> float:
    """Milliseconds a record."""
    its = settings(folder / "data", OPERATIONS_NAMESPACE=HUB)
    async with aclosing(open_storage(its, clock=SystemClock())) as storage:
        app = Application(Registry([do_nothing]), settings=its, storage=storage)
        engine, removed = RecordingEngine(), 0
        began = time.perf_counter()
        while removed < size:
            removed += (await app.housekeeping.run(engine)).removed
        return (time.perf_counter() - began) * 1000 / size


async def _milliseconds(count: int, call: Callable[[], Awaitable[object]]) -> float:
    """The median."""
    await call()
    gc.collect()
    times: list[float] = []
    for _ in range(count):
        began = time.perf_counter()
        await call()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)
