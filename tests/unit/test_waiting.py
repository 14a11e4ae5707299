"""Waiting for an end: woken where it happens, found out elsewhere, and never an error of its own."""

import asyncio
import time
from dataclasses import replace
from itertools import pairwise

import pytest

from shared.errors import StorageUnavailable
from shared.operations.ids import Locator
from shared.operations.model import Operation, Status
from shared.operations.waiting import Endings, wait_for_end
from tests.unit.parts import make_operation

RUNNING = make_operation(status=Status.RUNNING)
ENDED = replace(RUNNING, status=Status.SUCCEEDED)


class Record:
    """A record that `reads` times says Running."""

    def __init__(self, stored: Operation | None, reads: int = 0) -> None:
        self.stored, self.reads, self.read_at = stored, reads, list[float]()

    async def read(self, locator: Locator) -> Operation | None:
        self.read_at.append(time.monotonic())
        return self.stored if len(self.read_at) > self.reads else RUNNING


async def test_ended_already() -> None:
    """What has ended is not looked at again."""
    record = Record(None)
    assert await wait_for_end(ENDED, 5, Endings(), record.read) is ENDED
    assert record.read_at == []


async def test_looked_at_ever_less_often() -> None:
    """Elsewhere the end is found by reading, with growing pauses."""
    record = Record(ENDED, reads=3)
    began = time.monotonic()
    assert await wait_for_end(RUNNING, 5, Endings(), record.read) is ENDED
    pauses = [b - a for a, b in zip([began, *record.read_at], record.read_at, strict=False)]
    assert len(pauses) == 4
    assert all(later > 1.5 * earlier for earlier, later in pairwise(pauses))


async def test_in_vain() -> None:
    """After its time the caller gets what was last seen, and not a moment later."""
    began = time.monotonic()
    assert await wait_for_end(RUNNING, 0.35, Endings(), Record(ENDED, reads=99).read) is RUNNING
    assert 0.3 < time.monotonic() - began < 0.6


async def test_woken() -> None:
    """An end in this process wakes all who wait for it, without another read, and nobody else; none is left behind."""
    endings, record = Endings(), Record(ENDED, reads=99)
    waits = [asyncio.create_task(wait_for_end(RUNNING, 20, endings, record.read)) for _ in range(2)]
    await asyncio.sleep(0.9)
    before = len(record.read_at)
    endings.announce(replace(ENDED, id="another"))
    endings.announce(ENDED)
    began = time.monotonic()
    assert await asyncio.gather(*waits) == [ENDED, ENDED]
    assert time.monotonic() - began < 0.1
    assert len(record.read_at) == before
    assert endings._waiting == {}


@pytest.mark.parametrize("stored", [None, replace(ENDED, run="1" * 32)], ids=["purged", "another"])
async def test_gone(stored: Operation | None) -> None:
    """An operation that was removed meanwhile, or replaced by another of its id, ends the wait as it was known."""
    assert await wait_for_end(RUNNING, 5, Endings(), Record(stored).read) is RUNNING


async def test_storage_down() -> None:
    """A read that fails does not take back what was accepted."""

    async def read(locator: Locator) -> Operation | None:
        raise StorageUnavailable("down")

    assert await wait_for_end(RUNNING, 5, Endings(), read) is RUNNING
