"""One local host per store for the HTTP contract tests of a worker, over their `app_root`; each caller is an owner."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.host import STORES, Hosts, LocalHost, pytest_runtest_makereport, timed
from tests.support.lro import caller

__all__ = ["anybody", "client", "host", "open_host", "pytest_runtest_makereport", "settings_host", "short_host"]

AUTHENTICATED = {"TRUST_PLATFORM_AUTH": "true", "WEBSITE_AUTH_ENABLED": "True"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test over HTTP runs on SQLite, and on Azurite too where the store can matter: marker `both_stores`."""
    stores = STORES if metafunc.definition.get_closest_marker("both_stores") else STORES[:1]
    for name in ("host", "open_host"):
        if name in metafunc.fixturenames and not hasattr(metafunc.module, name):
            metafunc.parametrize(name, stores, indirect=True, scope="module")


@pytest.fixture(scope="module")
def host(request: pytest.FixtureRequest, hosts: Hosts, app_root: Path) -> LocalHost:
    """A host on each store. Its owners are principals, so that a test sees nobody else's operations."""
    return hosts.shared("trials", store=request.param, app_root=app_root, environment=AUTHENTICATED)


@pytest.fixture
def client(host: LocalHost) -> Iterator[httpx.Client]:
    """A caller that nobody has been before."""
    with caller(host.url) as client:
        yield client


@pytest.fixture(scope="module")
def open_host(request: pytest.FixtureRequest, hosts: Hosts, app_root: Path) -> LocalHost:
    """A host on each store that takes every caller for the same one, with an empty store at its start."""
    return hosts.shared("open", store=request.param, app_root=app_root, environment=timed(progress_interval=0.05))


@pytest.fixture
def anybody(open_host: LocalHost) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=open_host.url, timeout=30, verify=False) as client:
        yield client


@pytest.fixture(scope="module")
def settings_host(hosts: Hosts, app_root: Path) -> LocalHost:
    """A host with the settings that are off by default: api-version required, forwarded headers trusted."""
    environment = {"API_VERSION_REQUIRED": "true", "TRUST_FORWARDED_HEADERS": "true", "MAX_BODY_BYTES": "1000"}
    return hosts.shared("settings", app_root=app_root, environment=environment)


@pytest.fixture(scope="module")
def short_host(hosts: Hosts, app_root: Path) -> LocalHost:
    """A host whose synchronous requests have two seconds."""
    return hosts.shared("short", app_root=app_root, environment={"SYNC_TIMEOUT_SECONDS": "2"})
