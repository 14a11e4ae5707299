"""The repository's own function app, once per store, with the defaults of the local host."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.host import STORES, Hosts, LocalHost, pytest_runtest_makereport
from tests.support.scenarios import outcomes, pytest_collection_modifyitems

__all__ = ["client", "host", "outcomes", "pytest_collection_modifyitems", "pytest_runtest_makereport"]


@pytest.fixture(scope="module", params=STORES)
def host(request: pytest.FixtureRequest, hosts: Hosts) -> LocalHost:
    """`python -m local_host --store ...`: the app as a user runs it; Azurite is the host's own."""
    return hosts.shared("sample", store=request.param, own_emulator=True)


@pytest.fixture
def client(host: LocalHost) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=host.url, timeout=30, verify=False) as client:
        yield client
