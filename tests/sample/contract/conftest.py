"""The hosts of the tests over HTTP."""

from tests.support.served import (
    anybody,
    client,
    host,
    open_host,
    pytest_generate_tests,
    pytest_runtest_makereport,
    settings_host,
    short_host,
)

__all__ = [
    "anybody",
    "client",
    "host",
    "open_host",
    "pytest_generate_tests",
    "pytest_runtest_makereport",
    "settings_host",
    "short_host",
]
