"""The stores a storage contract test runs on: SQLite with files, and Azure Storage as Azurite speaks it."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from shared.settings import Settings
from shared.storage.factory import open_storage
from shared.storage.loop_calls import LoopCalls
from shared.storage.ports import Container, Storage, Table
from shared.storage.sqlite import SqliteTables
from shared.system_clock import SystemClock
from tests.support.azurite import Accounts


def settings_for(store: str, request: pytest.FixtureRequest) -> Settings:
    if store.startswith("azurite"):
        client = {"OPERATIONS_TABLES_CLIENT": "sdk"} if store == "azurite-sdk" else {}
        return Settings.read({"OPERATIONS_STORAGE": request.getfixturevalue("storage_account"), **client})
    directory = str(request.getfixturevalue("tmp_path"))
    return Settings.read({"OPERATIONS_STORE": "sqlite", "DATA_DIR": directory, "WEBSITE_HOSTNAME": "127.0.0.1:1"})


@pytest.fixture(scope="session")
def storage_account(accounts: Accounts) -> str:
    """No host uses it: the housekeeping of one would go through what a test has stored."""
    return accounts.fresh()


@pytest.fixture(params=["sqlite", "azurite"])
def store(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def storage(store: str, request: pytest.FixtureRequest) -> AsyncIterator[Storage]:
    opened = open_storage(settings_for(store, request))
    yield opened
    await opened.aclose()


def fresh_name() -> str:
    """A table or container no other test uses: letters, as apps name them."""
    return uuid4().hex[:20].translate(str.maketrans("0123456789", "ghijklmnop"))


@pytest.fixture
async def table(store: str, request: pytest.FixtureRequest) -> AsyncIterator[Table]:
    """A new table. `sqlite-empty-pages` is SQLite answering with an empty first page, as Azure may, `sqlite-threads`
    what it does on a slow disk; `azurite-sdk` sends every call by azure-data-tables."""
    if store in ("sqlite-empty-pages", "sqlite-threads"):
        calls = LoopCalls(SystemClock())
        calls.are_made = store != "sqlite-threads"
        is_empty = store == "sqlite-empty-pages"
        tables = SqliteTables(request.getfixturevalue("tmp_path"), empty_pages=is_empty, calls=calls)
        yield tables.table(fresh_name())
        await tables.aclose()
        return
    opened = open_storage(settings_for(store, request))
    yield opened.table(fresh_name())
    await opened.aclose()


@pytest.fixture
def container(storage: Storage) -> Container:
    return storage.container(fresh_name())
