"""kill -9 of the host while handlers write files: the result is whole, and nothing of what came before is kept."""

import asyncio
import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.settings import Settings
from shared.storage.factory import open_inventory
from tests.support.host import STORES, TEST_APP, LocalHost
from tests.support.lro import begin, ended
from tests.support.scenarios import SHORT_LEASES, Outcomes, Scenario, connected, on, outlasting_storage

pytestmark = pytest.mark.timeout(300)

SIZE = 20_000_000
WHOLE = (bytes(range(256)) * 4096 * 20)[:SIZE]


def blobs(folder: Path, store: str, environment: Mapping[str, str]) -> list[str]:
    """The names of all blobs of operations, without their runs; for a process that has the store alone."""

    async def names() -> list[str]:
        chosen = {"OPERATIONS_STORE": "sqlite" if store == "sqlite" else "tables", "DATA_DIR": str(folder / "data")}
        inventory = open_inventory(Settings.read({**environment, **chosen}))
        try:
            return sorted([each.rpartition("/")[2] async for each in inventory.blobs("operations")])
        finally:
            await inventory.aclose()

    return asyncio.run(names())


def marked(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, "the handler has not got so far"
        time.sleep(0.05)


def killed_while_files_are_written(folder: Path, store: str) -> None:
    """One has half of its blocks in the store, one is whole: the next attempts write both anew, and the old ones go."""
    with outlasting_storage(store) as storage:
        environment = {**storage, **SHORT_LEASES, "OPERATIONS_NAMESPACE": "filedeaths"}
        host = LocalHost(folder, store=store, app_root=TEST_APP, environment=environment)
        markers = [folder / "half", folder / "whole"]
        with host, connected(host) as client:
            ids = [_begin(client, marker) for marker in markers]
            for marker in markers:
                marked(marker)
            host.kill()
        if store == "sqlite":
            assert list((folder / "data" / "blobs" / ".incoming").iterdir()), "the one that was not whole"
        assert blobs(folder, store, environment) == ["file-1-1"], "the one that was"
        again = LocalHost(folder, store=store, app_root=TEST_APP, environment=environment)
        with again, connected(again) as client:
            for each in ids:
                state = ended(client, each)
                assert (state["status"], state["attempt"]) == ("Succeeded", 2), state
                _check(state["result"])
            assert again.interrupt() == 0
        assert [name[-2:] for name in blobs(folder, store, environment)] == ["-1", "-1"]
        assert "file-1-1" not in blobs(folder, store, environment)
        if store == "sqlite":
            assert not list((folder / "data" / "blobs" / ".incoming").iterdir())


def _begin(client: httpx.Client, marker: Path) -> str:
    body = {"size": SIZE, "marker": str(marker), "waitWhenWhole": marker.name == "whole"}
    return begin(client, "/result/f1:file", body)["id"]


def _check(result: Mapping[str, Any]) -> None:
    assert (result["size"], result["sha256"]) == (SIZE, sha256(WHOLE).hexdigest())
    assert httpx.get(result["downloadUrl"], timeout=60).content == WHOLE


@pytest.mark.parametrize("scenario", on(killed_while_files_are_written, *STORES))
def test_deaths(outcomes: Outcomes, scenario: Scenario) -> None:
    """Each is described by its function."""
    outcomes[scenario].result()
