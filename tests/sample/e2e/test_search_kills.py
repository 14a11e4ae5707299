"""The index of all books, built in slices by hosts that are killed in each of them."""

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from shared.settings import Settings
from shared.storage import Storage
from shared.storage.factory import open_storage
from shared.system_clock import SystemClock
from tests.sample import SAMPLE_APP
from tests.sample.unit.test_library_search import OTHER, content, found, rebuild, small_books, states
from tests.support.host import STORES, LocalHost, timed
from tests.support.lro import begin, ended
from tests.support.scenarios import Outcomes, Scenario, connected, on, outlasting_storage

pytestmark = pytest.mark.timeout(300)

SLICES = {"sqlite": 20, "azurite": 3}
NAMESPACE = "kills"


@asynccontextmanager
async def opened(environment: Mapping[str, str], folder: Path) -> AsyncIterator[Storage]:
    """The storage of the hosts, while none of them runs."""
    embedded = {"OPERATIONS_STORE": "sqlite", "DATA_DIR": str(folder / "data")}
    settings = Settings.read({"OPERATIONS_NAMESPACE": NAMESPACE, **(environment or embedded)})
    storage = open_storage(settings, clock=SystemClock())
    try:
        yield storage
    finally:
        await storage.aclose()


def killed_in_each_slice(folder: Path, store: str) -> None:
    """Two books a slice, a host for each, which dies when it has stored one of the two.

    The operation succeeds in its first attempts' stead: the index is the one that is built without a death, it is the
    only one, and it finds every book.
    """
    slices = SLICES[store]

    async def prepare() -> None:
        async with opened(environment, folder) as storage:
            await small_books(storage, 2 * slices)

    async def check() -> None:
        async with opened(environment, folder) as storage:
            [(run_id, state)] = (await states(storage)).items()
            assert state == "current"
            built = await content(storage, run_id)
            assert await found(storage, '"number 3 of all"') == ["b03"]
            assert len(await found(storage, "book")) == 2 * slices
            await rebuild(storage, run_id=OTHER)
            assert await content(storage, OTHER) == built
            assert await content(storage, run_id) == {}

    with outlasting_storage(store) as environment:
        asyncio.run(prepare())
        settings = {"OPERATIONS_NAMESPACE": NAMESPACE, **environment, **timed(lease=2, heartbeat=0.5, loss_waits=[0])}
        operation = str(uuid4())
        for number in range(slices):
            # The first one dies in the first slice, each that follows ends the slice before first.
            parts = str(3 if number else 1)
            host = LocalHost(
                folder, store=store, app_root=SAMPLE_APP, environment={**settings, "DIE_AFTER_PARTS": parts}
            )
            host.start()
            if number == 0:
                # It may be dead before it has answered.
                with connected(host) as client, suppress(httpx.TransportError):
                    begin(client, "/search-index:rebuild", {"sliceBooks": 2}, **{"Operation-Id": operation})
            assert host.wait() == -signal.SIGKILL, host.log
        host = LocalHost(folder, store=store, app_root=SAMPLE_APP, environment=settings)
        with host, connected(host) as client:
            state = ended(client, operation)
            assert (state["status"], state["result"]) == ("Succeeded", {"books": 2 * slices}), state
            assert state["attempt"] == slices + 1, "each death is a loss, and none of them ends it"
        asyncio.run(check())


@pytest.mark.parametrize("scenario", on(killed_in_each_slice, *STORES))
def test_search_kills(outcomes: Outcomes, scenario: Scenario) -> None:
    """What the scenario's own docstring says."""
    outcomes[scenario].result()
