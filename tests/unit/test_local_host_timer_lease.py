"""Timers by a lease: one of several processes has it, and another takes over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from uuid import uuid4

import pytest
from azure.storage.blob.aio import BlobLeaseClient, BlobServiceClient

from local_host.clock import SYSTEM, Clock
from local_host.engine.timer_lease import CONTAINER, TimerLease, run_while_leased


@pytest.fixture
async def service(azurite: str) -> AsyncIterator[BlobServiceClient]:
    async with BlobServiceClient.from_connection_string(azurite) as client:
        yield client


async def test_one_of_two_has_the_lease(service: BlobServiceClient) -> None:
    """The other gets it once it is given back; a lease that was broken is not held any more."""
    hub = f"hub{uuid4().hex}"
    one, two = TimerLease(service, hub), TimerLease(service, hub)
    assert await one.take()
    assert not await two.take()
    assert await one.renew()
    await one.give_back()
    assert await two.take()
    blob = service.get_blob_client(CONTAINER, f"locks/{hub}/timers")
    await BlobLeaseClient(blob).break_lease(lease_break_period=0)
    assert not await two.renew()


async def test_storage_that_does_not_answer() -> None:
    """Nobody has the lease then, and nothing is raised."""
    closed = BlobServiceClient("http://127.0.0.1:9/account", credential="a2V5", retry_total=0)
    async with closed:
        assert not await TimerLease(closed, "hub").take()


class OneHolder:
    """A lease in memory, which a test can take away."""

    def __init__(self, *, lost: bool = False) -> None:
        self.is_free = True
        self.lost = lost
        self.given_back = 0

    async def take(self) -> bool:
        free, self.is_free = self.is_free, False
        return free

    async def renew(self) -> bool:
        return not self.lost

    async def give_back(self) -> None:
        self.given_back += 1
        self.is_free = True


async def soon(seconds: float) -> None:
    await asyncio.sleep(0)


CLOCK = Clock(SYSTEM.now, SYSTEM.monotonic, soon, SYSTEM.pause)


async def test_work_that_fails_is_logged_and_begun_again(caplog: pytest.LogCaptureFixture) -> None:
    """Its lease is given back at once: kept, it would be in the way of the next try until it runs out."""
    lease, begun = OneHolder(), asyncio.Queue[int]()

    async def work() -> None:
        begun.put_nowait(1)
        raise ValueError("broken schedule")

    running = asyncio.create_task(run_while_leased(work, lease, CLOCK))  # pyright: ignore[reportArgumentType]
    async with asyncio.timeout(10):
        for _ in range(3):
            await begun.get()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert lease.given_back >= 2
    assert "The timers ended with an error" in caplog.text
    assert "broken schedule" in caplog.text


async def test_work_runs_while_the_lease_is_held() -> None:
    """It stops when the lease is lost, begins again when it is back, and the lease is given back at the end."""
    lease, begun, stopped = OneHolder(), asyncio.Queue[int](), asyncio.Queue[int]()

    async def work() -> None:
        begun.put_nowait(1)
        try:
            await asyncio.Event().wait()
        finally:
            stopped.put_nowait(1)

    running = asyncio.create_task(run_while_leased(work, lease, CLOCK))  # pyright: ignore[reportArgumentType]
    await begun.get()
    lease.lost = True
    await stopped.get()
    lease.lost = False
    await begun.get()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert (stopped.qsize(), lease.is_free) == (1, True)
