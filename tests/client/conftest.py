"""The mock services once for all tests, and clients of both kinds."""

from collections.abc import Iterator

import pytest

from tests.client.mocks import autorest, spector
from tests.client.twins import KINDS, Twins
from tests.host import STORES, TEST_APP, LocalHost, pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]


@pytest.fixture(scope="session")
def spector_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with spector(tmp_path_factory.mktemp("spector")) as url:
        yield url


@pytest.fixture(scope="session")
def autorest_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with autorest(tmp_path_factory.mktemp("autorest")) as url:
        yield url


@pytest.fixture(params=KINDS)
def twins(request: pytest.FixtureRequest) -> Iterator[Twins]:
    """A test that takes this runs with the blocking client and with the asynchronous one."""
    kind: str = request.param
    made = Twins(kind)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session", params=STORES)
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHost]:
    """The app on the local host, on each store, with actions that fail and take their time beside the sample's."""
    store: str = request.param
    environment = {"TRUST_PLATFORM_AUTH": "true", "WEBSITE_AUTH_ENABLED": "True"}
    if store == "azurite":
        environment["AzureWebJobsStorage"] = request.getfixturevalue("azurite")
    folder = tmp_path_factory.mktemp(f"client-{store}")
    with LocalHost(folder, store=store, app_root=TEST_APP, environment=environment) as running:
        yield running


@pytest.fixture
def callers(host: LocalHost) -> Iterator[Twins]:
    """Asynchronous clients on one store, blocking ones on the other; that both do the same is proven elsewhere."""
    made = Twins("async" if host.store == "sqlite" else "sync")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app as `make run` starts it: one store, and nobody is told apart."""
    with LocalHost(tmp_path_factory.mktemp("client-lone"), app_root=TEST_APP) as running:
        yield running.url
