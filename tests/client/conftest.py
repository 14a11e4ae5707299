"""The mock services once for all tests, and clients of both kinds."""

from collections.abc import Iterator

import pytest

from tests.client.mocks import autorest, spector
from tests.client.twins import KINDS, Twins
from tests.host import pytest_runtest_makereport

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
