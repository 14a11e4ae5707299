"""Runs side by side."""

from tests.support.host import pytest_runtest_makereport
from tests.support.scenarios import outcomes

__all__ = ["outcomes", "pytest_runtest_makereport"]
