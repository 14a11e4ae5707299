"""The repository's own function app, once per store, with the defaults of the local host."""

from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.scenarios import outcomes
from tests.host import STORES, LocalHost, pytest_runtest_makereport

__all__ = ["client", "host", "outcomes", "pytest_runtest_makereport"]


@pytest.fixture(scope="session", params=STORES)
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHost]:
    """`python -m local_host --store ...`: the app as a user runs it; Azurite is the host's own."""
    store: str = request.param
    with LocalHost(tmp_path_factory.mktemp(f"app-{store}"), store=store) as running:
        yield running


@pytest.fixture
def client(host: LocalHost) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=host.url, timeout=30, verify=False) as client:
        yield client
