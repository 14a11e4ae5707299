"""What a process finds in a store that another one has left: alone on the embedded store, not on an account."""

from datetime import timedelta
from typing import Any

import pytest

from shared.actions import ActionContext, Retry, action
from shared.model import lifecycle
from shared.model.ids import new_id
from shared.model.operation import Operation, Status
from shared.storage.factory import open_storage
from shared.storage.ports import Storage
from tests.support.clock import T0, ManualClock
from tests.support.parts import Input, World
from tests.support.stores import settings_for

pytestmark = pytest.mark.timeout(60)


@action("test:work", post="thing/{id}:work", retry=Retry(max_attempts=3))
async def work(context: ActionContext, request: Input) -> None: ...


class Processes:
    """One process after the other on one store."""

    def __init__(self, store: str, request: pytest.FixtureRequest) -> None:
        self.clock = ManualClock()
        self._settings = settings_for(store, request)
        self._storage: Storage | None = None

    async def next(self) -> World:
        """The last one has died; a second later there is another one."""
        await self.aclose()
        self.clock.pass_by(seconds=1)
        self._storage = open_storage(self._settings, clock=self.clock)
        return World(self._storage, work, clock=self.clock)

    async def aclose(self) -> None:
        if self._storage is not None:
            await self._storage.aclose()


@pytest.fixture
async def processes(store: str, request: pytest.FixtureRequest) -> Any:
    made = Processes(store, request)
    yield made
    await made.aclose()


async def claimed(world: World, operation: Operation) -> Operation:
    now, leases = world.clock.now(), world.records.leases
    return await world.records.change(
        operation, lambda o: lifecycle.claim(o, now, holder="h", timeout=timedelta(minutes=5), leases=leases)
    )


async def test_exclusive_since(processes: Processes, store: str) -> None:
    """The embedded store says when its process took it; an account is nobody's own."""
    for seconds in (1, 2):
        world = await processes.next()
        taken = T0 + timedelta(seconds=seconds) if store == "sqlite" else None
        assert (world.storage.exclusive_since, world.records.leases.exclusive_since) == (taken, taken)


async def test_a_lease_of_the_process_before(processes: Processes, store: str) -> None:
    """A claim whose process has died: taken over at once where nobody else can hold it, else when the lease is over."""
    before = await processes.next()
    held = await claimed(before, await before.start(operation_id=new_id()))
    after = await processes.next()
    again = await after.run(held)
    found = await after.read(held)
    if store == "sqlite":
        assert (again, found.status, found.attempt, found.fence) == (None, Status.SUCCEEDED, 2, 2)
    else:
        assert (again, found.status, found.fence) == (held.lease_until, Status.RUNNING, 1)


async def test_a_lease_of_this_process(processes: Processes) -> None:
    """A claim of this process holds from the moment at which the store was taken."""
    world = await processes.next()
    held = await claimed(world, await world.start(operation_id=new_id()))
    assert held.lease_until == world.clock.now() + world.timing.lease
    for _ in range(2):
        assert await world.run(held) == held.lease_until
        world.clock.pass_by(seconds=29)
    assert (await world.read(held)).fence == 1
