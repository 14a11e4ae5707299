"""Hosts that are killed."""

from tests.support.host import pytest_runtest_makereport
from tests.support.scenarios import outcomes, pytest_collection_modifyitems

__all__ = [
    "outcomes",
    "pytest_collection_modifyitems",
    "pytest_runtest_makereport",
]
