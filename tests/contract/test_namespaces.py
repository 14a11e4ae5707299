"""Apps on one storage: each in a namespace of its own, or two of them in one by mistake."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient

from shared.actions import ActionContext, Retry, action
from shared.actions.registry import Registry
from shared.composition import Application
from shared.contracts.http import Request
from shared.errors import NamespaceTaken, StorageUnavailable
from shared.model import lifecycle
from shared.model.ids import new_id
from shared.model.operation import Operation
from shared.operations.site import SiteName
from shared.settings import Settings
from shared.storage.factory import open_storage
from shared.storage.ports import Insert
from tests.support.azurite import Accounts
from tests.support.clock import ManualClock
from tests.support.parts import Faults, FaultyStorage, Input, RecordingEngine, World, sqlite
from tests.support.stores import fresh_name, settings_for

pytestmark = pytest.mark.timeout(60)

ONE, TWO = SiteName("one", "Production", "HubOne"), SiteName("two", "Production", "HubTwo")
ASKED = Request(method="GET", url="http://127.0.0.1:7071/health", headers={}, route={}, query={}, body=b"")
IDLE = (0, 33, 0)
"""Reads, pages and writes of a pass that finds nothing to do."""


@action("test:work", post="thing/{id}:work", retry=Retry(max_attempts=3))
async def work(context: ActionContext, request: Input) -> None: ...


@pytest.mark.parametrize("more", ["z", "Two", "0", "z" * 20])
async def test_another_namespace_is_not_seen(store: str, request: pytest.FixtureRequest, more: str) -> None:
    """Rows and blobs of one namespace are there for whoever opens it again, and for nobody in another one."""
    settings, name = settings_for(store, request), fresh_name()
    for namespace, found in ((name, False), (name + more, False), (name.upper(), True)):
        storage = open_storage(settings.model_copy(update={"own_namespace": namespace}))
        try:
            table, container = storage.table("things"), storage.container("things")
            assert (await table.read("p", "k") is not None) == found
            assert (await container.info("b") is not None) == found
            if not found:
                await table.write("p", [Insert("k", {"n": 1})])
                await container.put("b", b"1", content_type="a/b")
        finally:
            await storage.aclose()


async def test_everything_lies_in_the_namespace(accounts: Accounts, tmp_path: Path) -> None:
    """All that an app stores in an account, large payloads and locks included, has its hub's name."""
    path = tmp_path / "host.json"
    path.write_text('{"extensions": {"durableTask": {"hubName": "%HUB%"}}}')
    connection = accounts.fresh()
    settings = Settings.read({"OPERATIONS_STORAGE": connection, "HUB": "EveryThing"}, path)
    app = Application(Registry([work]), settings=settings)
    try:
        await app.open()
        world = World(app.storage, work)
        large = b'{"id": "%s"}' % (b"1" * 40_000)
        await world.start(input_json=large, resource="things/1", exclusive=True)
    finally:
        await app.aclose()
    async with TableServiceClient.from_connection_string(connection) as tables:
        named = {each.name async for each in tables.list_tables()}
    async with BlobServiceClient.from_connection_string(connection) as blobs:
        contained = {each.name async for each in blobs.list_containers()}
    assert named == {"everything0operations", "everything0locks"}
    assert contained == {"everything0operations"}


class Sites:
    """Apps on one storage account, at one time."""

    def __init__(self, connection: str, stack: AsyncExitStack) -> None:
        self.clock = ManualClock()
        self._connection = connection
        self._stack = stack

    def add(self, site: SiteName, namespace: str) -> World:
        """An app, or another process of one."""
        settings = Settings.read({"OPERATIONS_STORAGE": self._connection, "OPERATIONS_NAMESPACE": namespace})
        storage = open_storage(settings, clock=self.clock)
        self._stack.push_async_callback(storage.aclose)
        return World(FaultyStorage(storage, Faults()), work, clock=self.clock, site=site)


@pytest.fixture
async def sites(storage_account: str) -> AsyncIterator[Sites]:
    async with AsyncExitStack() as stack:
        yield Sites(storage_account, stack)


@pytest.fixture
def pair(sites: Sites) -> tuple[World, World]:
    """Two sites that were given one namespace."""
    namespace = fresh_name()
    return sites.add(ONE, namespace), sites.add(TWO, namespace)


async def lost(world: World) -> Operation:
    """An operation whose attempt has died, long enough ago for every pass to see it."""
    started = await world.start(operation_id=new_id())
    claim: Callable[[Operation], Operation] = lambda o: lifecycle.claim(  # noqa: E731
        o, world.clock.now(), holder="dead", timeout=timedelta(minutes=5), leases=world.records.leases
    )
    claimed = await world.records.change(started, claim)
    world.clock.pass_by(seconds=world.timing.lease.total_seconds())
    return claimed


async def test_no_slot_runs_the_work_of_another(sites: Sites) -> None:
    """Task hubs of their own: what one app has lost is not seen by the other, and is started again by its own."""
    one, two = sites.add(ONE, fresh_name()), sites.add(TWO, fresh_name())
    operation = await lost(one)
    for _ in range(3):
        report = await two.tidy()
        assert (report.looked_at, report.did_something, two.engine.started) == (0, False, [])
    assert await two.records.read(operation.locator) is None
    assert (await one.tidy()).restarted == 1


async def test_one_namespace_is_one_sites(pair: tuple[World, World], caplog: pytest.LogCaptureFixture) -> None:
    """The first site works; the other one's housekeeping does nothing, and its log says both, and what to set."""
    one, two = pair
    assert not (await one.tidy()).did_something
    operation = await lost(one)
    with caplog.at_level(logging.ERROR):
        report = await two.tidy()
    assert (report.looked_at, report.did_something, two.engine.started, two.faults.pages) == (0, False, [], 0)
    (line,) = [each.getMessage() for each in caplog.records if each.name == "shared.operations.site"]
    for name in (*ONE, *TWO, "OPERATIONS_NAMESPACE", "TASK_HUB_NAME"):
        assert name in line
    with pytest.raises(NamespaceTaken, match="OPERATIONS_NAMESPACE"):
        await two.site.check()
    polled = await two.service.get("", operation.id, two.engine)
    assert (polled.generation, two.engine.started) == (1, [])
    await one.site.check()
    assert (await one.tidy()).restarted == 1
    assert (await one.read(operation)).generation == 2


async def test_every_start_says_it(storage_account: str, caplog: pytest.LogCaptureFixture) -> None:
    """A process that starts with another site's namespace opens, says so every ten minutes, and is not healthy."""
    shared = {"OPERATIONS_STORAGE": storage_account, "OPERATIONS_NAMESPACE": fresh_name()}
    clock = ManualClock()
    async with AsyncExitStack() as stack:

        def start(site: str) -> Application:
            settings = Settings.read({**shared, "WEBSITE_SITE_NAME": site, "WEBSITE_SLOT_NAME": "staging"})
            app = Application(Registry([work]), settings=settings, clock=clock)
            stack.push_async_callback(app.aclose)
            return app

        first = start("SiteOne")
        await first.housekeeping.run(RecordingEngine())
        assert (await first.health.answer(ASKED)).status == 200
        for _ in range(2):
            caplog.clear()
            app = start("SiteTwo")
            for _ in range(2):
                await app.open()
            clock.pass_by(seconds=599)
            await app.open()
            (line,) = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
            assert "'SiteOne'" in line
            assert "'SiteTwo', slot 'staging', task hub 'SiteTwo'" in line
            clock.pass_by(seconds=1)
            await app.open()
            assert sum(each.levelno == logging.ERROR for each in caplog.records) == 2
            unhealthy = await app.health.answer(ASKED)
            assert (unhealthy.status, json.loads(unhealthy.body)["problems"]) == (503, ["NamespaceTaken"])


async def test_a_delete_at_the_other_site(pair: tuple[World, World]) -> None:
    """Its task hub does not know the instances: the record is out of sight, and the owner's pass clears the rest."""
    one, two = pair
    await one.tidy()
    started = await one.start()
    await one.run(started)
    await two.delete(started)
    assert await one.records.read(started.locator) is None
    one.clock.pass_by(seconds=1)
    await two.tidy()
    assert (two.engine.purged, one.engine.kept) == ([], {started.instance_id})
    await one.tidy()
    assert (one.engine.kept, await one.keys()) == (set(), [])


async def test_a_namespace_is_taken_over(pair: tuple[World, World], caplog: pytest.LogCaptureFixture) -> None:
    """An hour after the last renewal the other site has it, and says so; the one that comes back finds it taken."""
    one, two = pair
    operation = await lost(one)
    assert (await one.tidy()).restarted == 1
    one.clock.pass_by(minutes=10)
    await one.tidy()
    for minutes in (25, 34):
        one.clock.pass_by(minutes=minutes)
        assert (await two.tidy()).looked_at == 0
        assert await two.site.conflict() is not None
    one.clock.pass_by(seconds=59.999)
    assert (await two.tidy()).looked_at == 0
    one.clock.pass_by(seconds=0.001)
    with caplog.at_level(logging.WARNING):
        assert (await two.tidy()).restarted == 1
    (line,) = [each.getMessage() for each in caplog.records if "Took the namespace" in each.getMessage()]
    assert str(ONE) in line
    assert str(TWO) in line
    assert (await two.read(operation)).generation == 3
    assert (await one.tidy()).looked_at == 0
    assert await one.site.conflict() is not None
    assert await two.site.conflict() is None


async def test_what_looking_costs(pair: tuple[World, World]) -> None:
    """One read and one write in ten minutes where the namespace is one's own, and one read where it is not."""

    def spent(world: World) -> tuple[int, int, int]:
        faults = world.faults
        counts = (faults.reads, faults.pages, faults.writes)
        faults.reads = faults.pages = faults.writes = 0
        return counts

    one, two = pair
    for minutes in (0, 10, 15):
        one.clock.pass_by(minutes=minutes)
        await one.tidy()
        assert spent(one) == (1, 33, 1)
        await two.tidy()
        assert spent(two) == (1, 0, 0)
        for _ in range(3):
            one.clock.pass_by(minutes=3)
            await one.tidy()
            assert spent(one) == IDLE
            await two.tidy()
            await two.site.conflict()
            assert spent(two) == (0, 0, 0)


async def test_who_is_first_of_two(pair: tuple[World, World]) -> None:
    """Two sites find a new namespace at the same time: one of them has it, and both know by the next pass."""
    await asyncio.gather(*(world.tidy() for world in pair))
    await asyncio.gather(*(world.tidy() for world in pair))
    conflicts = [await world.site.conflict() for world in pair]
    assert conflicts.count(None) == 1
    assert sum(world.faults.pages > 0 for world in pair) == 1


async def test_looking_takes_nothing(pair: tuple[World, World]) -> None:
    """A start and a look at health leave a namespace as it is: a site whose passes do not run never has it."""
    one, two = pair
    assert await two.site.conflict() is None
    assert two.faults.writes == 0
    await one.tidy()
    one.clock.pass_by(hours=1)
    assert await two.site.conflict() is None
    assert (two.faults.writes, two.faults.reads) == (0, 2)
    await one.tidy()
    assert await two.site.conflict() is not None


async def test_processes_of_one_site(sites: Sites) -> None:
    """Instances of one site share its namespace and its row, whichever of them runs the timer."""
    namespace = fresh_name()
    first, second = sites.add(ONE, namespace), sites.add(ONE, namespace)
    await first.tidy()
    for _ in range(2):
        await second.tidy()
        assert (second.faults.reads, second.faults.writes) == (1, 0)
    operation = await lost(second)
    assert (await second.tidy()).restarted == 1
    assert (await first.read(operation)).generation == 2
    assert second.faults.writes > 0


async def test_storage_that_is_away(pair: tuple[World, World]) -> None:
    """A pass that cannot find out whose the namespace is does nothing, and the next one looks again."""
    one, _ = pair
    one.faults.down = True
    with pytest.raises(StorageUnavailable):
        await one.tidy()
    assert one.faults.pages == 0
    one.faults.down = False
    operation = await lost(one)
    assert (await one.tidy()).restarted == 1
    assert (await one.read(operation)).generation == 2


async def test_the_embedded_store_needs_no_such_row(tmp_path: Path) -> None:
    """A folder is one process's own: who comes later has the namespace at once, and nothing is asked for it."""
    for site in (ONE, TWO):
        async with sqlite(tmp_path) as storage:
            world = World(FaultyStorage(storage, Faults()), work, site=site)
            await world.tidy()
            assert (world.faults.reads, world.faults.pages, world.faults.writes) == IDLE
            assert await world.site.conflict() is None
