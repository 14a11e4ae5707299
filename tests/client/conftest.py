"""The mock services once for all tests, and clients of both kinds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.mocks import autorest, spector
from tests.client.twins import KINDS, Twins
from tests.support.host import LocalHost, pytest_runtest_makereport

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


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory, app_root: Path) -> Iterator[LocalHost]:
    """The app on the local host, with actions that fail and take their time."""
    with _host(tmp_path_factory.mktemp("client-sqlite"), app_root, "sqlite") as running:
        yield running


@pytest.fixture(scope="session")
def host_on_azurite(azurite: str, tmp_path_factory: pytest.TempPathFactory, app_root: Path) -> Iterator[LocalHost]:
    """The same on the other store, for what a store can do to a client."""
    folder = tmp_path_factory.mktemp("client-azurite")
    with _host(folder, app_root, "azurite", AzureWebJobsStorage=azurite) as running:
        yield running


def _host(folder: Path, app_root: Path, store: str, **environment: str) -> LocalHost:
    environment |= {"TRUST_PLATFORM_AUTH": "true", "WEBSITE_AUTH_ENABLED": "True"}
    return LocalHost(folder, store=store, app_root=app_root, environment=environment)


@pytest.fixture(scope="session")
def app_url(tmp_path_factory: pytest.TempPathFactory, app_root: Path) -> Iterator[str]:
    """The app as `make run` starts it: one store, and everybody is the same caller."""
    with LocalHost(tmp_path_factory.mktemp("client-lone"), app_root=app_root) as running:
        yield running.url
