"""Scenarios that mostly wait, run side by side: the first test starts them all, and each test waits for its own."""

from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.host import LocalHost, emulator
from tests.lro import caller


class Scenario(NamedTuple):
    """A function of a folder of its own and a store; what must be true is its docstring."""

    run: Callable[[Path, str], None]
    store: str


Outcomes = Mapping[Scenario, "Future[None]"]


def on(scenario: Callable[[Path, str], None], *stores: str) -> list[Any]:
    """The scenario on each store, as values of the parameter `scenario`."""
    return [pytest.param(Scenario(scenario, store), id=f"{scenario.__name__}-{store}") for store in stores]


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


@pytest.fixture(scope="session")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    """The selected scenarios, all under way."""
    parameters = [getattr(getattr(item, "callspec", None), "params", {}) for item in request.session.items]
    selected: list[Scenario] = [each["scenario"] for each in parameters if "scenario" in each]
    with ThreadPoolExecutor(max(1, len(selected))) as threads:
        yield {each: threads.submit(each.run, _folder(tmp_path_factory, each), each.store) for each in selected}


def _folder(factory: pytest.TempPathFactory, scenario: Scenario) -> Path:
    return factory.mktemp(f"{scenario.run.__name__}-{scenario.store}")
