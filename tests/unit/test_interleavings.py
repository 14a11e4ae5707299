"""Operations of several slices under random orders of requests, with deaths, lost answers and stalls between any two.

Two processes on one store, or one after another on the embedded store. A failed run shows its seed and its trace.
"""

import os
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import from_json

from shared.actions import ActionContext, ContinueLater, Retry, action
from shared.actions.declaration import Action
from shared.errors import RequestError, StorageError
from shared.model.ids import PARTITIONS
from shared.model.operation import Operation, Status
from shared.model.timing import Timing
from shared.operations.records import OperationRecords
from shared.storage.ports import Storage
from tests.support.interleaving import HubOf, Process, Schedule, this_process
from tests.support.parts import Input, make_operation, sqlite

LARGE = "x" * 40_000
"""As a checkpoint, or as a step's result, it is a blob."""
IDS = ("one", "two", "three")
SEEDS = range(int(os.environ.get("INTERLEAVINGS", "15")))
STEPS = 400
"""In which things go wrong; then all that is left goes on in peace."""


@dataclass
class Seen:
    """By operation: what was promised to a caller or to a handler, and has to stay so."""

    started: dict[str, Operation] = field(default_factory=dict[str, Operation])
    saved: dict[str, int] = field(default_factory=dict[str, int])
    """The last checkpoint that was said to be stored."""
    steps: dict[tuple[str, str], Any] = field(default_factory=dict[tuple[str, str], Any])
    ended: dict[str, tuple[Status, Any]] = field(default_factory=dict[str, tuple[Status, Any]])
    under_way: dict[str, tuple[Process, str]] = field(default_factory=dict[str, tuple[Process, str]])
    """Which process runs which attempt that has begun last and has not ended."""
    broken: list[str] = field(default_factory=list[str])

    def begin(self, context: ActionContext) -> None:
        """An attempt begins: no other is under way, but one that has lost its lease to another process."""
        process, id = this_process(), context.operation_id
        before, attempt = self.under_way.get(id, (None, ""))
        process.note(f"attempt {context.attempt} of {id} begins")
        self.under_way[id] = process, str(context.attempt)
        if before is None or before.is_dead:
            return
        renewed = before.written[make_operation(id=id).locator.record_key]
        if not process.schedule.shared or (before is not process and process.now() - renewed < Timing().lease):
            self.broken.append(f"attempts {attempt} and {context.attempt} of {id} at once")

    def end(self, context: ActionContext) -> None:
        process, id = this_process(), context.operation_id
        process.note(f"attempt {context.attempt} of {id} ends")
        if self.under_way.get(id) == (process, str(context.attempt)):
            del self.under_way[id]


def work(seen: Seen) -> Action:
    async def step(context: ActionContext, key: str, result: Any) -> Any:
        found = await context.once(key, lambda: result)
        assert seen.steps.setdefault((context.operation_id, key), found) == found, "a stored step was done again"
        return found

    async def save(context: ActionContext, number: int) -> None:
        await context.save({"n": number, "pad": LARGE if number == 2 else ""}, flush=True)
        seen.saved[context.operation_id] = max(number, seen.saved.get(context.operation_id, 0))

    async def handler(context: ActionContext, request: Input) -> Any:
        seen.begin(context)
        try:
            return await next_slice(context)
        except AssertionError as broken:
            seen.broken.append(str(broken))
            raise
        finally:
            seen.end(context)

    async def next_slice(context: ActionContext) -> Any:
        saved = 0 if context.saved is None else context.saved["n"]
        assert saved >= seen.saved.get(context.operation_id, 0), "a stored checkpoint is gone"
        attempt = context.attempt
        first = await step(context, "small", [1, attempt])
        await context.clock.sleep(12)  # longer than from one heartbeat to the next
        match saved:
            case 0:
                await save(context, 1)
                raise ContinueLater
            case 1:
                await save(context, 2)
                raise ContinueLater(after="20m")
            case 2:
                await step(context, "large", [attempt, LARGE])
                await save(context, 3)
                raise ValueError("once more")
            case _:
                large = await step(context, "large", [attempt, LARGE])
                return [first[0], len(large[1])]

    policies: dict[str, Any] = {"retry": Retry(max_attempts=100, delay="1s", max_delay="1s"), "max_lost": 100}
    return action("test:work", post="thing/{id}:work", keep="1h", **policies)(handler)


class Callers:
    """Those who start, watch, cancel and delete, and what they were told."""

    def __init__(self, schedule: Schedule, seen: Seen) -> None:
        self.schedule, self.seen = schedule, seen

    async def start(self, process: Process, id: str) -> None:
        world = process.world
        later = {"two": timedelta(minutes=15), "three": timedelta(seconds=30)}.get(id)
        not_before = later and self.schedule.clock.now() + later
        request = world.request(operation_id=id, not_before=not_before)
        self.seen.started[id] = await world.service.start(request, HubOf(process, self.schedule.hub))

    async def poll(self, process: Process, id: str) -> None:
        with suppress(RequestError):
            found = await process.world.service.get("", id, HubOf(process, self.schedule.hub))
            if found.status.is_terminal:
                outcome = found.outcome and found.outcome.body and found.outcome.body.text
                if self.seen.ended.setdefault(id, (found.status, outcome)) != (found.status, outcome):
                    self.seen.broken.append(f"{id} has ended twice")
            elif id in self.seen.ended:
                self.seen.broken.append(f"{id} has ended, and goes on")

    async def cancel(self, process: Process, id: str) -> None:
        with suppress(RequestError):
            await process.world.service.cancel("", id)

    def something(self) -> None:
        """What one of them does next."""
        process, what = self.schedule.any_process(), self.schedule.random.random()
        id = self.schedule.random.choice(IDS)
        if id not in self.seen.started and what < 0.5:
            process.begin(partial(self.start, process, id), f"start of {id}")
        elif what < 0.9:
            process.begin(partial(self.poll, process, id), f"poll of {id}")
        elif id == "one":
            process.begin(partial(self.cancel, process, id), f"cancel of {id}")


async def disturbed(schedule: Schedule, callers: Callers) -> None:
    """Anything at any time."""
    for _ in range(STEPS):
        event = schedule.random.random()
        if event < 0.1:
            callers.something()
        elif event < 0.14:
            schedule.tidy()
        elif event < 0.16:
            schedule.deliver_twice()
        elif event < 0.18:
            schedule.stall()
        elif event < 0.19:
            schedule.kill(schedule.any_process())
        else:
            await schedule.step()


async def in_peace(schedule: Schedule, ids: tuple[str, ...]) -> dict[str, Operation | None]:
    """What is stored of each, once nothing is left to do for it."""
    schedule.is_calm = True
    records = OperationRecords(schedule.inner, clock=schedule.clock, timing=schedule.timing)
    for _ in range(400):
        schedule.tidy()
        for _ in range(4):
            await _no_request_waits(schedule)
            await schedule.step()
        found = {id: await records.read(make_operation(id=id).locator) for id in ids}
        if all(each is None or each.status.is_terminal for each in found.values()) and not schedule.hub.live:
            return found
    raise AssertionError("it does not end")


async def _no_request_waits(schedule: Schedule) -> None:
    await schedule.settled()
    while schedule.waits:
        await schedule.step()
        await schedule.settled()


async def removed(schedule: Schedule, storage: Storage) -> None:
    """A day later passes have removed all of it: rows, blobs and instances."""
    schedule.clock.pass_by(days=1)
    for _ in range(4):
        schedule.tidy()
        await _no_request_waits(schedule)
        schedule.clock.pass_by(hours=1)
    left: list[str] = []
    for partition in PARTITIONS:
        left += [row.key for row in (await storage.table("operations").page(partition, lower=" ", upper="~")).rows]
    assert left == []
    blobs = storage.container("operations")
    assert [name for name in schedule.blobs if await blobs.info(name) is not None] == []
    assert (schedule.hub.live, schedule.hub.kept) == ({}, set())


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with sqlite(tmp_path) as storage:
        yield storage


@pytest.mark.parametrize("shared", [True, False], ids=["two processes", "one after another"])
@pytest.mark.parametrize("seed", SEEDS)
async def test_any_order(storage: Storage, seed: int, shared: bool) -> None:
    """What was accepted ends as it should, once; no stored step or checkpoint is lost; nothing is left of it."""
    seen = Seen()
    schedule = Schedule(storage, [work(seen)], seed, shared)
    with schedule.installed():
        try:
            await disturbed(schedule, Callers(schedule, seen))
            for id, stored in (await in_peace(schedule, IDS)).items():
                check_end(id, stored, seen)
            await removed(schedule, storage)
            assert seen.broken == []
        except (AssertionError, StorageError) as error:
            raise AssertionError(f"{error}, seed {seed}:\n" + "\n".join(schedule.trace)) from error


def check_end(id: str, stored: Operation | None, seen: Seen) -> None:
    if stored is None:
        assert id not in seen.started, "what was accepted is lost"
        return
    if stored.status is Status.CANCELED:
        assert id == "one"
        return
    assert stored.status is Status.SUCCEEDED, (id, stored)
    assert stored.outcome is not None
    assert stored.outcome.body is not None
    assert from_json(stored.outcome.body.text or "") == [1, len(LARGE)]
    status, result = seen.ended.get(id, (stored.status, stored.outcome.body.text))
    assert (status, result) == (stored.status, stored.outcome.body.text), "it has ended twice"
