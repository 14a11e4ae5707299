"""One local host per store for all HTTP contract tests, over the tests' own app; callers are told apart."""

from collections.abc import Iterator

import httpx
import pytest

from tests.host import STORES, TEST_APP, LocalHost, pytest_runtest_makereport
from tests.lro import caller

__all__ = ["anybody", "client", "host", "open_host", "pytest_runtest_makereport", "settings_host", "short_host"]

AUTHENTICATED = {"TRUST_PLATFORM_AUTH": "true", "WEBSITE_AUTH_ENABLED": "True"}


@pytest.fixture(scope="session", params=STORES)
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHost]:
    """A host on each store. Its owners are principals, so that a test sees nobody else's operations."""
    store: str = request.param
    environment = dict(AUTHENTICATED)
    if store == "azurite":
        environment["AzureWebJobsStorage"] = request.getfixturevalue("azurite")
    folder = tmp_path_factory.mktemp(f"host-{store}")
    with LocalHost(folder, store=store, app_root=TEST_APP, environment=environment) as running:
        yield running


@pytest.fixture
def client(host: LocalHost) -> Iterator[httpx.Client]:
    """A caller that nobody has been before."""
    with caller(host.url) as client:
        yield client


@pytest.fixture(scope="session", params=STORES)
def open_host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHost]:
    """A host on each store that takes every caller for the same one, with an empty store at its start."""
    with LocalHost(tmp_path_factory.mktemp(f"open-{request.param}"), store=request.param, app_root=TEST_APP) as running:
        yield running


@pytest.fixture
def anybody(open_host: LocalHost) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=open_host.url, timeout=30, verify=False) as client:
        yield client


@pytest.fixture(scope="session")
def settings_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHost]:
    """A host with the settings that are off by default: api-version required, forwarded headers trusted."""
    environment = {"API_VERSION_REQUIRED": "true", "TRUST_FORWARDED_HEADERS": "true", "MAX_BODY_BYTES": "1000"}
    with LocalHost(tmp_path_factory.mktemp("host-settings"), app_root=TEST_APP, environment=environment) as running:
        yield running


@pytest.fixture(scope="session")
def short_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHost]:
    """A host whose synchronous requests have two seconds."""
    environment = {"SYNC_TIMEOUT_SECONDS": "2"}
    with LocalHost(tmp_path_factory.mktemp("host-short"), app_root=TEST_APP, environment=environment) as running:
        yield running
