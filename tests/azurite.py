"""Azurite for tests: one emulator in memory per session. Missing: skipped on a laptop, a failure where CI is set."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_host.azurite import Azurite
from local_host.errors import AzuriteError

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """The connection string of a running emulator."""
    try:
        emulator = Azurite(ROOT, in_memory=True)
    except AzuriteError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    with emulator as connection_string:
        yield connection_string
