"""Scenarios that mostly wait, run side by side: the first test of a file starts all of them."""

from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.support.host import ENGINE, LocalHost, emulator, timed
from tests.support.lro import caller


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On another engine than the one in memory (ENGINE), what runs on SQLite proves nothing new.

    Nor does an app without the sample, which runs on SQLite; and the extension does not start without its storage.
    """
    other = ("sqlite", "test_own_app", "storage_that_is_not_there")
    left_out = [item for item in items if ENGINE and "/e2e/" in item.nodeid and any(n in item.nodeid for n in other)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


class Scenario(NamedTuple):
    """A function of a folder of its own and a store; what must be true is its docstring."""

    run: Callable[[Path, str], None]
    store: str


Outcomes = Mapping[Scenario, "Future[None]"]


def on(scenario: Callable[[Path, str], None], *stores: str) -> list[Any]:
    """The scenario on each store, as values of the parameter `scenario`."""
    return [pytest.param(Scenario(scenario, store), id=f"{scenario.__name__}-{store}") for store in stores]


SHORT_LEASES = timed(lease=6, heartbeat=2, housekeeping_patience=2)
"""For the tests' own app: somebody else may go on with an operation after 6 s instead of 30 s."""


def connected(host: LocalHost) -> httpx.Client:
    return caller(host.url, "anybody")


@contextmanager
def outlasting_storage(store: str) -> Generator[Mapping[str, str]]:
    """Settings of a storage that does not die with the host, as a storage account does not."""
    if store == "sqlite":
        yield {}
        return
    with emulator() as (_, connection):
        yield {"AzureWebJobsStorage": connection}


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    """The selected scenarios of the file, all under way."""
    items = [item for item in request.session.items if item.path == request.path]
    parameters = [getattr(getattr(item, "callspec", None), "params", {}) for item in items]
    selected: list[Scenario] = [each["scenario"] for each in parameters if "scenario" in each]
    with ThreadPoolExecutor(max(1, len(selected))) as threads:
        yield {each: threads.submit(each.run, _folder(tmp_path_factory, each), each.store) for each in selected}


def _folder(factory: pytest.TempPathFactory, scenario: Scenario) -> Path:
    return factory.mktemp(f"{scenario.run.__name__}-{scenario.store}")
