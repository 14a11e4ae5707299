"""Whether that which callers wait for grows with the number of records, on the embedded store: 1,000 to a million.

In this process, without HTTP: the first page of a list, an idle pass of housekeeping, a start to its end, and a poll.
The sweep of expired records, and the restart of those that a process left active, have to be linear; a caller polls
meanwhile.
"""

import asyncio
import gc
import logging
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from bench.app.actions.nothing import do_nothing
from bench.report import Report
from bench.requests import Caught, request_of
from shared.actions.registry import Registry
from shared.composition import Application
from shared.model.ids import Locator
from shared.model.operation import Operation
from shared.operations.lists import OperationLists
from shared.storage.factory import open_storage
from shared.system_clock import SystemClock
from tests.support.parts import RecordingEngine, make_operation, settings
from tests.support.seeds import HUB, ended, seed

SIZES = (1_000, 10_000, 100_000, 1_000_000)
LITTLE, MUCH = 10_000, 100_000
Done = Callable[[RecordingEngine], int]
"""How many the passes have dealt with."""
Seeded = Callable[[int, datetime], Operation]
"""The operation of a number, at a time."""
_CHUNK = 10_000
_POLLED = 100
_POLL_EVERY = 0.01
"""Seconds."""


def measure(folder: Path, report: Report, *, rounds: int, rivals: bool) -> None:
    """The sizes in turn, `rounds` times; the ratios of that which grows most are reported."""
    ids = {size: _seeded(folder / f"{size}", size, _ended) for size in SIZES}
    found: dict[int, list[dict[str, float]]] = {size: [] for size in SIZES}
    for _ in range(rounds):
        for size in SIZES:
            found[size].append(asyncio.run(_measure(folder / f"{size}", ids[size])))
    names = list(found[SIZES[0]][0])
    print(f"milliseconds with so many records  {''.join(f'{name:>10}' for name in names)}")
    for size, each in found.items():
        print(f"{size:>34,} {''.join(f'{statistics.median(one[name] for one in each):>10.2f}' for name in names)}")
    pairs = list(zip(found[SIZES[0]], found[SIZES[-1]], strict=True))
    ratios = [[large[name] / small[name] for small, large in pairs] for name in names]
    report.add({"growth": max(ratios, key=statistics.median)})


def measure_sweep(folder: Path, report: Report, *, rounds: int, rivals: bool) -> None:
    _measure_passes(folder, report, "sweep", _expired, lambda engine: len(set(engine.purged)))


def measure_restart(folder: Path, report: Report, *, rounds: int, rivals: bool) -> None:
    _measure_passes(folder, report, "restart", _left, lambda engine: len(engine.started))


def _measure_passes(folder: Path, report: Report, key: str, make: Seeded, done: Done) -> None:
    """Milliseconds a record of much work for housekeeping over those of a little before and after it."""
    found: list[float] = []
    polls: list[float] = []
    with _logged(folder / "log"):
        for number, size in enumerate((LITTLE, MUCH, LITTLE)):
            each = folder / f"{key}-{number}"
            _seeded(each, size, make)
            polled = _seeded(each, _POLLED, lambda number, now: _ended(10 * MUCH + number, now))
            taken, waits = asyncio.run(_passes(each, size, polled, done))
            found.append(taken)
            polls = waits if size == MUCH else polls
            print(f"{key} of {size:>7,}   {taken:6.3f} ms a record   {_p99(waits):6.1f} ms for a poll meanwhile, p99")
    before, much, after = found
    report.add({key: [much / before, much / after], f"{key}_polls": [_p99(polls)]})


@contextmanager
def _logged(file: Path) -> Iterator[None]:
    """A restart is a line of the log: it is written here too, as in an app."""
    handler = logging.FileHandler(file, encoding="utf-8")
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def _ended(number: int, now: datetime) -> Operation:
    return ended(number, now, keep=timedelta(days=4000), kinds=(do_nothing.name,))


def _expired(number: int, now: datetime) -> Operation:
    return ended(number, now, keep=timedelta(0), kinds=(do_nothing.name,))


def _left(number: int, now: datetime) -> Operation:
    """Recorded by a process that has died since."""
    created, id = now - timedelta(minutes=5), f"{UUID(int=number, version=4)}"
    deadline = created + timedelta(hours=24)
    return make_operation(id=id, action=do_nothing.name, created=created, changed=created, deadline=deadline)


def _seeded(folder: Path, size: int, make: Seeded) -> list[str]:
    """The ids of so many operations, whose rows are in the store of `folder`."""
    now, ids = datetime.now(UTC), list[str]()
    for first in range(0, size, _CHUNK):
        operations = [make(number, now) for number in range(first, min(size, first + _CHUNK))]
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


async def _passes(folder: Path, size: int, polled: Sequence[str], done: Done) -> tuple[float, list[float]]:
    """Milliseconds a record until passes have dealt with all, and those of the polls meanwhile.

    The engine tells: a pass that runs out of time does not count those that it was about to end.
    """
    its = settings(folder / "data", OPERATIONS_NAMESPACE=HUB)
    async with aclosing(open_storage(its, clock=SystemClock())) as storage:
        app = Application(Registry([do_nothing]), settings=its, storage=storage)
        engine, polls = RecordingEngine(), list[float]()
        polling = asyncio.create_task(_poll(app, polled, polls))
        began = time.perf_counter()
        while done(engine) < size:
            await app.housekeeping.run(engine)
        took = time.perf_counter() - began
        polling.cancel()
        return took * 1000 / size, polls


async def _poll(app: Application, ids: Sequence[str], found: list[float]) -> None:
    """One caller, from the moment at which it wants to ask: a busy loop makes it wait as well."""
    loop, chance = asyncio.get_running_loop(), random.Random(1)
    while True:
        due = loop.time() + _POLL_EVERY
        await asyncio.sleep(_POLL_EVERY)
        await app.service.get("", chance.choice(ids))
        found.append((loop.time() - due) * 1000)


def _p99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100)[-1]


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
