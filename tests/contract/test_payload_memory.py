"""How much memory large results and files take on their way to the store and back, on every store."""

import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest

from shared.model.timing import Timing
from shared.operations.records import OperationRecords
from shared.storage.ports import Storage
from shared.system_clock import SystemClock

pytestmark = pytest.mark.timeout(120)

MEGABYTE = b"x" * 1_000_000


@pytest.fixture
def records(storage: Storage) -> OperationRecords:
    return OperationRecords(storage, clock=SystemClock(), timing=Timing())


async def blocks(number: int) -> AsyncIterator[bytes]:
    for _ in range(number):
        yield MEGABYTE


async def peak_of(work: Callable[[], Awaitable[object]]) -> int:
    tracemalloc.start()
    try:
        await work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_a_result_is_read_into_its_answer(records: OperationRecords) -> None:
    """50 MB are in memory once, with all that stands around them, beside three blocks of 4 MiB at the most."""
    payload = await records.store_payload(uuid4().hex, "result-1", "application/json", MEGABYTE * 50)
    read: list[bytes | None] = []

    async def work() -> None:
        read.append(await records.load_payload(payload, b'{"result":', b"}"))

    assert await peak_of(work) < 50_000_000 + 3 * 4_194_304 + 1_000_000
    assert read[0] is not None
    assert (len(read[0]), read[0][:11], read[0][-2:]) == (50_000_011, b'{"result":x', b"x}")


async def test_a_file_is_never_in_memory(records: OperationRecords) -> None:
    """As many bytes as one likes go through in blocks."""
    peak = await peak_of(lambda: records.store_file(f"{uuid4().hex}/file-1-1", blocks(60), content_type="text/plain"))
    assert peak < 40_000_000
