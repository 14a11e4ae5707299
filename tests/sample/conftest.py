"""The app of the sample's tests."""

from pathlib import Path

import pytest

from tests.sample import SAMPLE_APP


@pytest.fixture(scope="session")
def app_root() -> Path:
    """The sample's actions, and those of the tests' own app beside them."""
    return SAMPLE_APP
