"""Fixtures for the whole suite, and the order of its files."""

import gc
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.azurite import accounts, azurite, pytest_configure_node, pytest_unconfigure, pytest_xdist_setupnodes
from tests.support.host import app_root, hosts
from tests.support.stores import container, storage, storage_account, store, table

__all__ = [
    "accounts",
    "app_root",
    "azurite",
    "container",
    "hosts",
    "pytest_configure_node",
    "pytest_unconfigure",
    "pytest_xdist_setupnodes",
    "storage",
    "storage_account",
    "store",
    "table",
]


# How long an example takes is up to what else the machine does.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

LONGEST = (
    "test_losses",
    "test_chaos",
    "test_processes",
    "test_schemathesis",
    "test_interruptions",
    "test_javascript_client",
    "test_installed",
    "test_sudden_death",
    "test_search_kills",
    "test_long_work_kills",
    "test_long_work",
    "test_odata_deaths",
    "test_library_loading",
    "test_epub_limits",
    "test_odata_collections",
    "test_docs_page",
    "test_operations_page",
    "test_documents",
)
"""These begin first, so that they run beside all others and no worker is left with one at the end."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep each file in one piece, the longest first: a worker gets whole files, what a file shares is made once."""
    places: dict[Path, tuple[int, int]] = {}
    for number, item in enumerate(items):
        rank = LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST)
        places.setdefault(item.path, (rank, number))
    items.sort(key=lambda item: places[item.path])


def pytest_collection_finish() -> None:
    """No collection of garbage looks through the thousands of tests again."""
    gc.collect()
    gc.freeze()
