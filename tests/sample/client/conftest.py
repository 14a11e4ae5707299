"""The hosts of the client's tests."""

from tests.client.conftest import app_url, host, host_on_azurite, pytest_runtest_makereport, twins

__all__ = [
    "app_url",
    "host",
    "host_on_azurite",
    "pytest_runtest_makereport",
    "twins",
]
